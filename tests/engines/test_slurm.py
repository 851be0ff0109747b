"""The driver on a real SLURM with real containers: the whole DAG, lost videos, kills, time limits, memory, chunks."""

from __future__ import annotations

import re
import shutil
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import boto3
import pytest

from common.errors import ExitCode
from tests.e2e.test_run import make_video
from tests.engines import slurm
from tests.engines.apptainer import DRIVER, ensure_sifs
from tests.engines.conftest import Scene
from tests.engines.scripts import open_folder
from tests.engines.slurm import Cluster, Submitted
from tools.build_sif import sif_name

pytestmark = pytest.mark.engines
SUBMIT_TO_DONE_S = 60.0
LONG_S = 40  # seconds of video that keep the fake backend busy for a few seconds


@pytest.fixture(scope="module")
def sifs(images: dict[str, str]) -> Path:
    return ensure_sifs(images)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Two nodes without accounting, as on many small clusters."""
    found = slurm.start()
    yield found
    slurm.stop(found)


def submit(
    cluster: Cluster,
    sifs: Path,
    *arguments: object,
    data: Path,
    output: Path,
    environment: Mapping[str, str] | None = None,
    driver: Path | None = None,
) -> Submitted:
    """Starts the driver as the ordinary user, with the fake backend."""
    given = [f"--data-root={data}", f"--output-root={output}", f"--images={sifs}", "--backend=fake", *arguments]
    before = set((output / "_slurm").glob("*"))
    done = cluster.run("bash", driver or sifs / DRIVER.name, *given, folder=output, environment=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = set((output / "_slurm").glob("*")) - before
    return Submitted(folder, done.stdout.strip(), cluster)


@pytest.fixture
def recordings(scene: Scene, output: Path) -> Path:
    """A copy of the recordings that a test may spoil."""
    return Path(shutil.copytree(scene.data, output / "recordings"))


def counts(log: str) -> tuple[int, int]:
    """How many units were worked on, and how many were up to date already."""
    return len(re.findall(r" I \w+ \S+: done", log)), log.count(": up to date")


def test_a_scene_ends_within_a_minute_with_the_bytes_of_a_local_run(
    cluster: Cluster, sifs: Path, scene: Scene, output: Path, compare: Callable[[Path], None]
):
    start = time.monotonic()
    given = [scene.name, f"--data-root={scene.data}", "--output-root=out, two", "--backend=fake", "--vis"]
    done = cluster.run("sbatch", sifs / DRIVER.name, *given, folder=output)  # relative, and by sbatch, from its spool
    assert done.returncode == 0, done.stderr
    cluster.drain()
    seconds = time.monotonic() - start
    (folder,) = (output / "out, two" / "_slurm").glob("*")
    (said,) = output.glob("ghost-*.out")
    close = said.read_text(encoding="utf-8").split()[-1] if said.read_text("utf-8") else ""
    first = Submitted(folder, close, cluster)
    assert first.finish() == "COMPLETED", first.log("close")
    assert "19 units: 19 done" in first.log("close")
    assert first.log("close").count("COMPLETED") == 18, "all jobs but the closing one are listed"
    compare(output / "out, two" / scene.name)
    sys.stdout.write(f"\nSLURM + Apptainer: submit to done of the fake 4-video DAG with previews: {seconds:.1f} s\n")
    assert seconds <= SUBMIT_TO_DONE_S

    again = submit(cluster, sifs, scene.name, "--vis", data=scene.data, output=output / "out, two")
    assert again.finish() == "COMPLETED", again.log("close")
    assert [counts(again.log(stage)) for stage in ("ingest", "frames", "segment", "body", "sync", "preview")] == [
        (0, 1), (0, 4), (0, 4), (0, 4), (0, 1), (0, 4),
    ]  # fmt: skip


def test_a_corrupt_video_costs_nobody_else_and_accounting_knows_it(
    sifs: Path, recordings: Path, scene: Scene, output: Path
):
    (recordings / scene.name / "cam02.mp4").write_text("these are words, not pictures")
    accounted = slurm.start(accounting=True)
    try:
        run = submit(accounted, sifs, scene.name, data=recordings, output=output)
        assert run.finish() == "FAILED"
        log = run.log("close")
        listed = accounted.ask("sacct", "-X", "-n", "-P", "-o", "State,ExitCode", "-j", run.close)
    finally:
        slurm.stop(accounted)
    assert listed.split() == ["FAILED|1:0"]
    assert re.search(rf"frames +cam02 +FAILED +{int(ExitCode.BAD_INPUT)}:0", log), log
    assert re.search(r"body +cam02 +CANCELLED", log), log
    assert len(re.findall(r"body +cam0[134] +COMPLETED", log)) == 3
    assert re.search(r"sync +COMPLETED", log)
    assert (output / scene.name / "report.html").is_file()
    assert not (output / scene.name / "cam02" / "mask_data.npz").exists()
    assert (output / scene.name / "synchronization.json").is_file()


def test_a_cancelled_job_and_a_time_limit_cost_exactly_what_was_under_way(
    cluster: Cluster, sifs: Path, recordings: Path, scene: Scene, output: Path
):
    """cam01 is warned of its time limit and goes back into the queue; cam03 is cancelled, and done by the next run."""
    for video in ("cam01", "cam03"):
        make_video(recordings / scene.name / f"{video}.mp4", seconds=LONG_S)
    run = submit(cluster, sifs, scene.name, data=recordings, output=output)
    attempts = output / scene.name / "_manifests" / "attempts"
    cluster.wait_until(
        lambda: list(attempts.glob("segment.cam01.*")) and list(attempts.glob("segment.cam03.*")),
        seconds=60,
        what="both long videos under way",
    )
    cluster.ask("scancel", "--batch", "--signal=USR1", run.element("segment", "cam01"))
    cluster.ask("scancel", run.element("segment", "cam03"))
    assert run.finish() == "FAILED"
    warned = run.log_of("segment", "cam01")
    assert "SIGUSR1: stopping" in warned
    assert "attempt 2 of 3" in warned
    assert "segment take_01/cam01: done" in warned
    assert "attempt 2" not in run.log_of("segment", "cam03")
    assert (output / scene.name / "cam01" / "body_data").is_dir()
    assert not (output / scene.name / "cam03" / "mask_data.npz").exists()
    assert list(attempts.iterdir()) == []
    assert re.search(r"segment +cam03 +CANCELLED", run.log("close"))

    again = submit(cluster, sifs, scene.name, data=recordings, output=output)
    assert again.finish() == "COMPLETED", again.log("close")
    worked = {stage: counts(again.log(stage))[0] for stage in ("ingest", "frames", "segment", "body", "sync")}
    assert worked == {"ingest": 0, "frames": 0, "segment": 1, "body": 1, "sync": 1}


GREEDY = """#!/usr/bin/env bash
# Before segment of a video it takes some memory, as a model would that needs more than was asked for.
for word; do
    case $word in --video=cam02) mib=1400 ;; --video=cam03) mib=100000 ;; esac
done
if [[ "$*" == *ghost-segment.sif* && -n "${mib-}" ]]; then python3 -c "bytearray($mib << 20)" || exit 137; fi
exec /usr/bin/apptainer "$@"
"""

CURIOUS = """#!/usr/bin/env bash
# Says which GPU a container sees, then starts it.
options=()
for word in "${@:3}"; do
    if [[ $word == *.sif ]]; then break; fi
    options+=("$word")
done
if [[ $word == *ghost-segment-gpu.sif || $word == *ghost-frames.sif ]]; then
    script='import os; print("sees gpu", repr(os.environ["CUDA_VISIBLE_DEVICES"]), flush=True)'
    /usr/bin/apptainer --silent exec "${options[@]}" "$word" python3 -c "$script" 2>/dev/null
fi
exec /usr/bin/apptainer "$@"
"""


def standing_before_apptainer(script: str, folder: Path) -> dict[str, str]:
    """The environment in which `apptainer` is a script that ends by calling the real one."""
    path = open_folder(folder) / "apptainer"
    path.write_text(script, encoding="utf-8")
    path.chmod(0o755)
    return {"PATH": f"{folder}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


def test_out_of_memory_asks_for_more_and_otherwise_is_recorded(
    cluster: Cluster, sifs: Path, scene: Scene, output: Path
):
    if not Path("/sys/fs/cgroup/memory").is_dir():
        pytest.skip("slurm, memory: no cgroup v1 memory controller on this machine, so no limit is enforced")
    environment = standing_before_apptainer(GREEDY, output / "bin")
    run = submit(cluster, sifs, scene.name, "--retries=1", data=scene.data, output=output, environment=environment)
    assert run.finish() == "FAILED"
    assert "segment take_01/cam02: done" in run.log_of("segment", "cam02"), "1 GiB was too little, 2 were enough"
    assert "attempt 2 of 2" in run.log_of("segment", "cam03")
    log = run.log("close")
    assert re.search(r"segment +cam03 +OUT_OF_ME", log), log
    assert "out of memory" in log.lower() or "OUT_OF_MEMORY" in log
    assert len(re.findall(r"body +cam0[124] +COMPLETED", log)) == 3


def fake_made_for_a_gpu(folder: Path) -> Path:
    """A copy of the driver in which segment's `fake` is a backend that is made for a GPU: the others need real ones."""
    as_it_was = DRIVER.read_text(encoding="utf-8")
    text = re.sub(r"(declare -A GPU_BACKENDS=\()[^)]*", r"\1[segment]=fake", as_it_was)
    assert text != as_it_was
    (path := folder / "gpu.sbatch").write_text(text, encoding="utf-8")
    return path


def with_gpu_image(sifs: Path, folder: Path) -> Path:
    """A folder of the images in which the one of segment for a GPU is its ordinary one: torch is of no use here."""
    folder.mkdir()
    for sif in sifs.glob("*.sif"):
        (folder / sif.name).symlink_to(sif)
    (folder / sif_name("segment", "gpu")).symlink_to(sifs / sif_name("segment"))
    return folder


def test_long_lists_are_chunked_and_every_job_has_its_own_gpu(
    cluster: Cluster, sifs: Path, scene: Scene, recordings: Path, output: Path, compare: Callable[[Path], None]
):
    shutil.copytree(recordings / scene.name, recordings / "take_02", ignore=shutil.ignore_patterns("cam0[24]*"))
    environment = standing_before_apptainer(CURIOUS, output / "bin")
    run = submit(
        cluster, with_gpu_image(sifs, output / "images"), scene.name, "take_02",
        "--gpus=1", "--gpu-cpus=1", "--memory=1", "--vis", "--max-array=4",
        data=recordings, output=output, environment=environment, driver=fake_made_for_a_gpu(output),
    )  # fmt: skip
    assert run.finish(seconds=180) == "COMPLETED", run.log("close")
    assert len(run.units()) == 6
    assert [len(run.jobs(step)) for step in ("ingest", "frames", "segment", "body", "sync")] == [1, 2, 2, 2, 1]
    compare(output / scene.name)
    logs = [path.read_text("utf-8") for path in (run.folder / "logs").glob("ghost-segment_*.out")]
    seen = [(re.search(r" on (n\d)", log), re.search(r"sees gpu '(\d)'", log)) for log in logs]
    jobs = [cluster.ask("scontrol", "show", "job", job) for job in run.jobs("segment")]
    assert all("CPUs/Task=1" in job for job in jobs), jobs
    places = [(node[1], gpu[1]) for node, gpu in seen if node is not None and gpu is not None]
    assert len(places) == 6, logs
    assert len(set(places)) >= 2, "jobs at the same time had GPUs of their own"
    assert {gpu for _, gpu in places} == {"0", "1"}
    assert "sees gpu ''" in run.log("frames"), "a stage without a GPU sees none"


def test_a_dry_run_submits_nothing_and_writes_nothing(cluster: Cluster, sifs: Path, scene: Scene, output: Path):
    given = [
        f"--data-root={scene.data}",
        f"--output-root={output}",
        f"--images={sifs}",
        "--backend=fake",
        "--dry-run",
        scene.name,
    ]
    cluster.drain()
    done = cluster.run("bash", sifs / DRIVER.name, *given, folder=output)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("sbatch --parsable") == 7
    assert cluster.ask("squeue", "--noheader") == ""
    assert list(output.iterdir()) == []


def test_a_scene_in_s3_gives_the_bytes_of_a_local_run(
    cluster: Cluster, sifs: Path, scene: Scene, output: Path, compare: Callable[[Path], None], s3: dict[str, str]
):
    bucket = f"ghost-{uuid.uuid4().hex[:12]}"
    client = boto3.client(
        "s3",
        endpoint_url=s3["AWS_ENDPOINT_URL"],
        aws_access_key_id=s3["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=s3["AWS_SECRET_ACCESS_KEY"],
        region_name=s3["AWS_DEFAULT_REGION"],
    )
    client.create_bucket(Bucket=bucket)
    for video in scene.videos:
        client.upload_file(f"{scene.data}/{scene.name}/{video}.mp4", bucket, f"in/{scene.name}/{video}.mp4")
    roots = [f"--data-root=s3://{bucket}/in", f"--output-root=s3://{bucket}/out", f"--images={sifs}"]
    given = [*roots, "--backend=fake", "--vis", scene.name]
    done = cluster.run("bash", sifs / DRIVER.name, *given, folder=output, environment=s3)
    assert done.returncode == 0, done.stderr
    (folder,) = (output / "ghost-slurm").iterdir()
    run = Submitted(folder, done.stdout.strip(), cluster)
    assert run.finish() == "COMPLETED", run.log("close")
    written = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert s3["AWS_SECRET_ACCESS_KEY"].encode() not in written
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="out/"):
        for entry in page.get("Contents", ()):
            target = output / entry["Key"]
            target.parent.mkdir(parents=True, exist_ok=True)
            client.download_file(bucket, entry["Key"], str(target))
    compare(output / "out" / scene.name)
