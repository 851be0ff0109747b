"""What all engine tests share: the engines' scripts, images, a small scene, and the results of a local run of it."""

from __future__ import annotations

import fnmatch
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.engines import images as image_builder
from tests.engines import scripts
from tests.media_zoo import run_ffmpeg
from tools.lock_requirements import images as image_names

ROOT = Path(__file__).parents[2]
UNSTABLE = Path(__file__).with_name("UNSTABLE.txt")


@dataclass(frozen=True)
class Scene:
    """A small scene.

    Attributes:
        data: the data root, readable for everybody.
        name: of the scene.
        videos: ids, sorted.
    """

    data: Path
    name: str
    videos: tuple[str, ...]


def unstable_patterns() -> dict[str, str]:
    """Pattern -> reason of the files that may differ from run to run."""
    lines = (line.split(maxsplit=1) for line in UNSTABLE.read_text(encoding="utf-8").splitlines() if line.strip())
    return {parts[0]: parts[1] for parts in lines if parts[0] != "#"}


def results(folder: Path) -> dict[str, bytes]:
    """What was published for a scene, without what may differ from run to run: path below it -> content."""
    patterns = unstable_patterns()
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {
        name: path.read_bytes()
        for name, path in sorted(files.items())
        if not any(fnmatch.fnmatch(name, pattern) for pattern in patterns)
    }


@pytest.fixture(scope="session")
def engines() -> Path:
    """The folder of the scripts that start engines."""
    if not scripts.folder().is_dir():
        pytest.skip(f"engines: no folder {scripts.folder()}. Set GHOST_ENGINES to the folder of the start scripts")
    return scripts.folder()


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A folder that other users can reach and write in, unlike pytest's own; its path is short."""
    folder = scripts.open_folder(Path(tempfile.mkdtemp(prefix="ghost-")))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def output(scratch: Path) -> Path:
    """A new output root that every user may write to."""
    return scripts.open_folder(Path(tempfile.mkdtemp(prefix="out-", dir=scratch)))


@pytest.fixture(scope="session")
def docker() -> Iterator[None]:
    """A Docker daemon that answers: the one that runs, or one of our own, stopped at the end."""
    if image_builder.docker_answers():
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        for name, value in image_builder.start_docker().items():
            patch.setenv(name, value)
        yield
    scripts.run_script("docker_stop.sh", scripts.STATE / "docker")


@pytest.fixture(scope="session")
def images(docker: None) -> dict[str, str]:
    """All images of the current code: name of the stage, or `cli` -> name of the image."""
    return image_builder.ensure(image_names("cpu"))


@pytest.fixture(scope="session")
def s3(engines: Path) -> Iterator[dict[str, str]]:
    """A real S3 server (SeaweedFS): the AWS_… settings of its clients."""
    state = scripts.open_folder(scripts.STATE) / "s3"
    try:
        settings = scripts.run_script("s3_start.sh", state)
    except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"S3: {error}")
    yield settings
    scripts.run_script("s3_stop.sh", state, "--purge")


def make_scene(folder: Path) -> Scene:
    """Four videos of two seconds, 160 x 120; two with the same sound, one whose time stamps begin at half a second."""
    sound = ("-f", "lavfi", "-i", "anoisesrc=seed=1:amplitude=0.3:duration=2", "-c:a", "aac")
    encoding = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-threads", 1, "-fflags", "+bitexact")
    (folder / "take_01").mkdir(parents=True)
    for number, picture in enumerate(("testsrc", "testsrc2", "rgbtestsrc", "smptebars"), 1):
        source = ("-f", "lavfi", "-i", f"{picture}=size=160x120:rate=30:duration=2")
        first = ("-output_ts_offset", 0.5) if number == 4 else ()
        file = folder / "take_01" / f"cam{number:02}.mp4"
        run_ffmpeg(*source, *(sound if number < 3 else ()), *encoding, *first, file)
    return Scene(folder, "take_01", tuple(f"cam{number:02}" for number in range(1, 5)))


@pytest.fixture(scope="session")
def scene(scratch: Path) -> Scene:
    """The scene that every engine runs. The fake backend sees people in it, whatever it shows."""
    return make_scene(scratch / "recordings")


@pytest.fixture(scope="session")
def expected(scratch: Path, scene: Scene) -> Path:
    """The scene's folder after a local run with the fake backend and --vis: what every engine must come to as well."""
    output = scratch / "expected"
    command = [sys.executable, "-m", "workflows", "run", str(scene.data), str(output), "--backend", "fake", "--vis"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return output / scene.name


@pytest.fixture(scope="session")
def compare(expected: Path) -> Callable[[Path], None]:
    """Fails unless a scene's folder holds exactly the files of the local run, byte for byte."""

    def check(folder: Path) -> None:
        wanted, found = results(expected), results(folder)
        assert sorted(found) == sorted(wanted)
        assert [name for name in wanted if found[name] != wanted[name]] == []

    return check
