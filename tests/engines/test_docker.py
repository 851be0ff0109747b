"""Every stage in its own image, as a strict cluster would run it, compared with a local run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from common.artifacts import Unit
from common.errors import ConfigurationError, ExitCode
from common.weights import store
from common.weights.lock import weights_lock
from tests.e2e.test_run import make_video
from tests.engines.conftest import Scene, results
from tests.engines.containers import HARDENED, Containers
from tests.engines.scripts import open_folder
from tests.media_zoo import run_ffmpeg
from tools.build_images import label, size
from tools.lock_requirements import images as image_names
from workflows.parameters import CLI_IMAGE, KILLED
from workflows.pipeline import BODY, FRAMES, INGEST, SEGMENT, STAGES, SYNC

pytestmark = pytest.mark.engines
ROOT = Path(__file__).parents[2]
DEMO = ROOT / "out" / "demo-data" / "multi"
LIMIT_MB = {stage.name: 350 for stage in STAGES} | {"sync": 200}
OVERHEAD_S = 2.0


@pytest.fixture(scope="module")
def finished(images: dict[str, str], scene: Scene, scratch: Path) -> Containers:
    """The whole scene, run in containers."""
    containers = Containers(images, scene.data, open_folder(scratch / "docker"), scene.name)
    for unit, done in containers.run_all().items():
        assert done.returncode == 0, f"{unit}: {done.stdout}{done.stderr}"
    return containers


@pytest.fixture
def containers(images: dict[str, str], scene: Scene, output: Path) -> Containers:
    """A scene of which nothing has been run, with a copy of the recordings that a test may spoil."""
    shutil.copytree(scene.data, output / "recordings")
    return Containers(images, output / "recordings", open_folder(output / "results"), scene.name)


def test_containers_give_the_bytes_of_a_local_run(finished: Containers, compare: Callable[[Path], None]):
    compare(finished.output / finished.scene)


def test_a_second_run_of_every_container_finds_its_unit_up_to_date(finished: Containers):
    before = {path: path.stat().st_mtime_ns for path in (finished.output / finished.scene).rglob("*.json")}
    again = Containers(finished.images, finished.data, finished.output, finished.scene)
    for unit, done in again.run_all().items():
        assert done.returncode == 0, f"{unit}: {done.stderr}"
        assert "up to date" in done.stderr, f"{unit}: {done.stderr}"
    after = {path: path.stat().st_mtime_ns for path in (finished.output / finished.scene).rglob("*.json")}
    assert after == before


def test_a_local_run_takes_the_results_of_containers_for_its_own(finished: Containers):
    command = [sys.executable, "-m", "workflows", "run", str(finished.data), str(finished.output)]
    done = subprocess.run(
        [*command, "--backend", "fake", "--vis"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " done" not in done.stdout, done.stdout + done.stderr


def test_a_unit_costs_little_beyond_its_work(finished: Containers):
    """Start of Python, plan, checks and publishing, without the container's own start: the best of three attempts."""
    overheads: dict[str, float] = {}
    for stage in STAGES:
        video = None if stage.unit is Unit.SCENE else "cam01"
        record = finished.output / finished.scene / "_manifests" / stage.name / f"{video or 'scene'}.json"
        attempts = []
        for _ in range(3):
            start = time.monotonic()
            bare = ["docker", "run", "--rm", *HARDENED, "--entrypoint", "/bin/true", finished.images[stage.name]]
            subprocess.run(bare, check=True)
            container_start = time.monotonic() - start
            start = time.monotonic()
            done = subprocess.run([*finished.command(stage, video), "--force"], capture_output=True, text=True)
            seconds = time.monotonic() - start
            assert done.returncode == 0, done.stderr
            attempts.append(seconds - container_start - json.loads(record.read_text())["record"]["wall_s"])
        overheads[stage.name] = min(attempts)
    lines = ", ".join(f"{stage} {value:.2f}" for stage, value in overheads.items())
    sys.stdout.write(f"\noverhead per unit, container start excluded: {lines} s\n")
    assert max(overheads.values()) <= OVERHEAD_S, lines


@pytest.mark.parametrize("name", image_names("cpu"))
def test_an_image_explains_itself(images: dict[str, str], name: str):
    done = subprocess.run(
        ["docker", "run", "--rm", *HARDENED, images[name], "--help"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    module = "workflows" if name == CLI_IMAGE else f"stages.{name}"
    assert done.stdout.startswith("Usage: "), done.stdout
    explicit = ["--entrypoint", "python3", images[name], "-m", module, "--help"]  # as rendered workflows start it
    same = subprocess.run(["docker", "run", "--rm", *HARDENED, *explicit], capture_output=True, text=True, timeout=60)
    assert same.stdout == done.stdout


@pytest.mark.parametrize("name", image_names("cpu"))
def test_an_image_says_what_it_is_and_runs_as_nobody_special(images: dict[str, str], name: str):
    for key in ("title", "version", "revision", "source", "licenses"):
        assert label(images[name], f"org.opencontainers.image.{key}"), key
    inspected = subprocess.run(["docker", "image", "inspect", images[name]], capture_output=True, text=True, check=True)
    (described,) = json.loads(inspected.stdout)
    assert described["Config"]["User"] == "1000:1000"
    assert described["Config"]["Entrypoint"][0] == "python3"


@pytest.mark.parametrize("name", [stage.name for stage in STAGES])
def test_an_image_stays_small(images: dict[str, str], name: str):
    base = label(images[name], "org.opencontainers.image.base.name")
    below, whole = size(base), size(images[name])
    if below is None or whole is None:
        pytest.skip(f"docker: the base image {base} is not at hand to measure against")
    over = (whole - below) / 1e6
    sys.stdout.write(f"\nghost-{name}: {over:.0f} MB over its base\n")
    assert over <= LIMIT_MB[name]


def test_a_damaged_recording_and_a_missing_one_end_with_their_codes(containers: Containers):
    (containers.data / containers.scene / "cam02.mp4").write_text("these are words, not pictures")
    assert containers.run(INGEST).returncode == 0
    damaged = containers.run(FRAMES, "cam02")
    assert damaged.returncode == ExitCode.BAD_INPUT, damaged.stderr
    assert "cam02" in damaged.stderr
    missing = containers.run(FRAMES, "cam09")
    assert missing.returncode == ExitCode.INPUT_MISSING, missing.stderr


def test_a_container_that_is_asked_to_stop_ends_with_143_and_leaves_nothing(containers: Containers):
    make_video(containers.data / containers.scene / "cam01.mp4", seconds=60)
    assert containers.run(INGEST).returncode == 0
    assert containers.run(FRAMES, "cam01").returncode == 0
    name = f"ghost-stop-{os.getpid()}"
    process = subprocess.Popen(
        containers.command(SEGMENT, "cam01", "--name", name), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not list(containers.attempts.glob("segment.cam01.*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    subprocess.run(["docker", "stop", "--time", "20", name], capture_output=True, check=True)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == ExitCode.TERMINATED, errors
    assert list(containers.attempts.iterdir()) == []
    assert not (containers.output / containers.scene / "cam01" / "mask_data.npz").exists()
    left = subprocess.run(["docker", "ps", "-aq", "--filter", f"name={name}"], capture_output=True, text=True)
    assert left.stdout == ""


def test_a_container_out_of_memory_ends_with_137_and_the_next_one_does_the_work(containers: Containers):
    assert containers.run(INGEST).returncode == 0
    assert containers.run(FRAMES, "cam01").returncode == 0
    killed = containers.run(SEGMENT, "cam01", "--memory", "16m", "--memory-swap", "16m")
    assert killed.returncode == KILLED, killed.stderr
    assert not (containers.output / containers.scene / "cam01" / "mask_data.npz").exists()
    done = containers.run(SEGMENT, "cam01")
    assert done.returncode == 0, done.stderr
    assert list(containers.attempts.iterdir()) == []


def test_real_models_give_the_same_bytes_in_containers_as_locally(images: dict[str, str], output: Path):
    """Two seconds of two cameras of a real scene, with the default backend."""
    try:
        names = {name for stage in (SEGMENT, BODY) for name in stage.weights(stage.options())}
        files = [store.path(name) for name in sorted(names)]
    except (ConfigurationError, store.ModelUnavailable) as error:
        pytest.skip(f"docker, real models: {error}")
    if not DEMO.is_dir():
        pytest.skip(f"docker, real models: no recordings in {DEMO}. Run `make demo`")
    assert files, weights_lock()
    for camera in ("cam01", "cam02"):
        target = output / "data" / "multi" / f"{camera}.mp4"
        target.parent.mkdir(parents=True, exist_ok=True)
        run_ffmpeg("-i", DEMO / f"{camera}.mp4", "-t", 2, "-c", "copy", target)
    for file in files:
        target = output / "weights" / file.relative_to(store.root())
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    command = [sys.executable, "-m", "workflows", "run", str(output / "data"), str(output / "local"), "--vis"]
    local = subprocess.run([*command, "--backend", "embedded"], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert local.returncode == 0, local.stdout + local.stderr
    containers = Containers(
        images, output / "data", open_folder(output / "results"), "multi", "embedded", output / "weights"
    )
    for unit, done in containers.run_all().items():
        assert done.returncode == 0, f"{unit}: {done.stdout}{done.stderr}"
    wanted, found = results(output / "local" / "multi"), results(containers.output / "multi")
    assert sorted(found) == sorted(wanted)
    assert [name for name in wanted if found[name] != wanted[name]] == []


def test_the_command_runs_a_whole_scene_from_its_image(
    images: dict[str, str], scene: Scene, output: Path, compare: Callable[[Path], None]
):
    mounts = ["-v", f"{scene.data}:/data:ro", "-v", f"{output}:/results"]
    command = ["docker", "run", "--rm", *HARDENED, *mounts, images[CLI_IMAGE], "run", "/data", "/results"]
    done = subprocess.run([*command, "--backend", "fake", "--vis"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    compare(output / scene.name)


def test_the_smallest_image_holds_neither_decoder_nor_pictures(images: dict[str, str]):
    script = "import importlib.util as u; print([n for n in ('av', 'cv2', 'rich') if u.find_spec(n)])"
    command = ["docker", "run", "--rm", *HARDENED, "--entrypoint", "python3", images[SYNC.name], "-c", script]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "[]"
