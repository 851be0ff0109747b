"""Every stage as an Apptainer image: arguments, exit codes, signals and temporary files go through it unharmed."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from common.artifacts import Unit
from common.errors import ExitCode
from common.stage import Stage
from tests.e2e.test_run import make_video
from tests.engines.apptainer import as_user, ensure_sifs
from tests.engines.conftest import Scene
from tests.engines.scripts import open_folder
from tools.build_sif import sif_name
from tools.lock_requirements import images as image_names
from workflows.parameters import CLI_IMAGE
from workflows.pipeline import BODY, FRAMES, INGEST, SEGMENT, STAGES

pytestmark = pytest.mark.engines
HARDENED = ("--cleanenv", "--containall", "--no-home", "--no-eval", "--pwd", "/tmp")  # noqa: S108 - the container's own


@pytest.fixture(scope="module")
def sifs(images: dict[str, str]) -> Path:
    return ensure_sifs(images)


def command(sif: Path, *arguments: object, output: Path, verb: str = "run", data: Path | None = None) -> list[str]:
    """`apptainer run` of an image, with folders bound at the places that they have outside."""
    scratch = open_folder(output / "scratch")
    binds = ["--bind", str(output)] + (["--bind", f"{data}:{data}:ro"] if data is not None else [])
    return ["apptainer", "--silent", verb, *HARDENED, "--workdir", str(scratch), *binds, str(sif), *map(str, arguments)]


def run(words: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*as_user(environment), *words], capture_output=True, text=True, timeout=120, cwd="/")


def arguments(stage: Stage, *, scene: str, video: str, data: Path, output: Path) -> list[str]:
    found = [f"--output-root={output}", f"--scene={scene}"]
    found += [f"--video={video}"] if stage.unit is Unit.VIDEO else []
    found += [f"--data-root={data}"] if stage.source else []
    return found + (["--backend=fake"] if stage in (SEGMENT, BODY) else [])


@pytest.mark.parametrize("name", image_names("cpu"))
def test_every_image_explains_itself(sifs: Path, output: Path, name: str):
    done = run(command(sifs / sif_name(name), "--help", output=output))
    assert done.returncode == 0, done.stderr
    module = "workflows" if name == CLI_IMAGE else f"stages.{name}"
    assert module.removeprefix("stages.") in done.stdout or "Commands:" in done.stdout
    assert done.stdout.startswith("Usage: ")
    described = run(["apptainer", "run-help", str(sifs / sif_name(name))])
    assert "--workdir" in described.stdout


@pytest.mark.parametrize("name", ["$(id -u)", 'a"b', "`id`", "x'; echo INJECTED; '", "{{x}} $HOME"])
@pytest.mark.parametrize("stage", [INGEST, SEGMENT], ids=lambda stage: stage.name)
def test_an_argument_arrives_as_it_was_given(sifs: Path, output: Path, scene: Scene, stage: Stage, name: str):
    given = arguments(stage, scene=name, video="cam01", data=scene.data, output=output)
    done = run(command(sifs / sif_name(stage.name), *given, output=output, data=scene.data))
    assert done.returncode == ExitCode.USAGE, done.stderr
    assert f"scene name {name!r} is not accepted" in done.stderr


def test_the_exit_code_is_the_stages(sifs: Path, output: Path, scene: Scene):
    given = arguments(INGEST, scene="nowhere", video="", data=scene.data, output=output)
    done = run(command(sifs / sif_name(INGEST.name), *given, output=output, data=scene.data))
    assert done.returncode == ExitCode.INPUT_MISSING, done.stderr


def test_sigterm_reaches_the_stage_which_leaves_nothing_half_finished(sifs: Path, output: Path):
    data = open_folder(output / "recordings")
    make_video(data / "take" / "cam01.mp4", seconds=60)
    for stage in (INGEST, FRAMES):
        given = arguments(stage, scene="take", video="cam01", data=data, output=output)
        done = run(command(sifs / sif_name(stage.name), *given, output=output, data=data))
        assert done.returncode == 0, done.stderr
    given = arguments(SEGMENT, scene="take", video="cam01", data=data, output=output)
    words = [*as_user(), *command(sifs / sif_name(SEGMENT.name), *given, output=output, data=data)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/")
    attempts = output / "take" / "_manifests" / "attempts"
    deadline = time.monotonic() + 60
    while not list(attempts.glob("segment.cam01.*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == ExitCode.TERMINATED, errors
    assert list(attempts.iterdir()) == []


def test_the_chosen_gpu_arrives_in_a_clean_environment(sifs: Path, output: Path):
    script = "import os; print(os.environ.get('CUDA_VISIBLE_DEVICES'), os.environ.get('SECRET'))"
    words = command(sifs / sif_name(SEGMENT.name), "python3", "-c", script, output=output, verb="exec")
    words.insert(words.index("exec") + 1, "--nv")
    done = run(words, APPTAINERENV_CUDA_VISIBLE_DEVICES="1", CUDA_VISIBLE_DEVICES="1", SECRET="outside")  # noqa: S106
    assert done.stdout.split() == ["1", "None"], done.stderr


def test_temporary_files_have_room_and_the_recordings_are_safe(sifs: Path, output: Path, scene: Scene):
    script = (
        "import sys, pathlib\n"
        "pathlib.Path('/tmp/large').write_bytes(bytes(100_000_000))\n"
        "pathlib.Path(sys.argv[1], 'new').write_text('')"
    )
    sif = sifs / sif_name(INGEST.name)
    done = run(command(sif, "python3", "-c", script, scene.data, output=output, data=scene.data, verb="exec"))
    assert "Read-only file system" in done.stderr
    assert (output / "scratch" / "tmp" / "large").stat().st_size == 100_000_000


def test_the_images_are_those_of_all_stages_and_of_the_command(sifs: Path):
    assert {path.name for path in sifs.glob("*.sif")} == {f"ghost-{s.name}.sif" for s in STAGES} | {"ghost-cli.sif"}
