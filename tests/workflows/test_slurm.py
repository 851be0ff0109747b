"""The SLURM driver as rendered: run with stand-ins for SLURM and Apptainer that write down what they were asked."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from common.artifacts import Unit
from common.command import stage_command
from common.errors import ExitCode
from common.names import is_valid
from tools.build_sif import sif_name
from workflows import slurm
from workflows.cli import ghost
from workflows.parameters import KILLED, RETRIED, option_parameters
from workflows.pipeline import STAGES, required

ROOT = Path(__file__).parents[2]
WORDS, CALLS = "\x1f", "\x1e"  # separators that no argument holds
WRITE_DOWN = f"""#!/usr/bin/env bash
printf '%s{WORDS}' "${{0##*/}}" "$@" >>"$CALLS_FILE"
printf '{CALLS}' >>"$CALLS_FILE"
"""
STAND_INS = {
    "sbatch": '[[ "$*" != *"${REFUSED:-none} "* ]] && echo $((100 + $(tr -cd "\\036" <"$CALLS_FILE" | wc -c)))',
    "scontrol": """case $1 in
        show) echo "MaxArraySize            = ${MAX_ARRAY_SIZE:-1001}" ;;
        --oneliner) echo "${RECORD-}" ;;
        requeue) kill -TERM "$PPID" ;;
        release) exit "${RELEASED-0}" ;;
        esac""",
    "scancel": "",
    "sacct": "exit 1",
    "apptainer": """env -0 | grep -z ^APPTAINERENV_ | tr '\\0' '\\n' >"$CALLS_FILE.environment"
        echo "${PRINTED-}"
        if [ -n "${WORK-}" ]; then
            trap 'touch "$CALLS_FILE.stopped"; kill $!; exit 143' TERM
            sleep 20 >/dev/null 2>&1 &
            touch "$CALLS_FILE.works"
            wait
        fi
        exit "${CODE-0}" """,
}
S3 = ("--data-root=s3://bucket/in", "--output-root=s3://bucket/out")
VIDEO_STAGES = [stage for stage in STAGES if stage.unit is Unit.VIDEO]
RESOURCES = next(stage.resources for stage in STAGES if stage.name == "segment")


@dataclass(frozen=True)
class Desk:
    """A folder with stand-ins, images that are none, two scenes, and the driver."""

    folder: Path

    def run(self, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        command = ["bash", str(self.folder / "ghost.sbatch"), *map(str, arguments)]
        return subprocess.run(
            command, cwd=self.folder, env=self.environment(**environment), capture_output=True, text=True, timeout=60
        )

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin",
            "CALLS_FILE": str(self.folder / "calls"),
            "TMPDIR": str(self.folder / "tmp"),
            **more,
        }

    def submit(self, *arguments: object, **environment: str) -> Path:
        """Submits with the fake backend; the run folder."""
        done = self.run(
            *arguments, "--data-root=data", "--output-root=out", "--images=images", "--backend=fake", **environment
        )
        assert done.returncode == 0, done.stderr
        (run,) = (self.folder / "out" / "_slurm").iterdir()
        return run

    def step(self, run: Path, *words: object, task: int = 1, **environment: str) -> subprocess.CompletedProcess[str]:
        variables = {"SLURM_ARRAY_TASK_ID": str(task), "SLURM_ARRAY_JOB_ID": "100", "SLURM_JOB_ID": "90", **environment}
        return self.run("--step", run, *words, **variables)

    def calls(self, program: str) -> list[list[str]]:
        """What a program was asked, call by call."""
        path = self.folder / "calls"
        calls = path.read_text(encoding="utf-8").split(CALLS)[:-1] if path.exists() else []
        return [words for name, *words in (call.split(WORDS)[:-1] for call in calls) if name == program]

    def submitted(self) -> dict[str, list[dict[str, str]]]:
        """Options of sbatch by step, a dictionary for each chunk."""
        found: dict[str, list[dict[str, str]]] = {}
        for words in self.calls("sbatch"):
            options = dict(
                word.removeprefix("--").split("=", 1) for word in words if word.startswith("--") and "=" in word
            )
            found.setdefault(options["job-name"].removeprefix("ghost-"), []).append(options)
        return found

    def container(self) -> tuple[list[str], str, list[str]]:
        """Options, image and arguments of the container that was run last."""
        words = self.calls("apptainer")[-1]
        place = next(index for index, word in enumerate(words) if word.endswith(".sif"))
        return words[:place], Path(words[place]).name, words[place + 1 :]

    def settings_of_container(self) -> dict[str, str]:
        lines = (self.folder / "calls.environment").read_text(encoding="utf-8").splitlines()
        return dict(line.removeprefix("APPTAINERENV_").split("=", 1) for line in lines)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    for folder in ("bin", "images", "tmp", "data/take_01", "data/take_02"):
        (tmp_path / folder).mkdir(parents=True)
    for name, body in STAND_INS.items():
        (tmp_path / "bin" / name).write_text(WRITE_DOWN + body + "\n", encoding="utf-8")
        (tmp_path / "bin" / name).chmod(0o755)
    for name in (*(stage.name for stage in STAGES), "cli", *(f"{s.name}-gpu" for s in STAGES if s.resources.gpu)):
        (tmp_path / "images" / f"ghost-{name}.sif").touch()
    (tmp_path / "ghost.sbatch").write_text(slurm.rendered()[slurm.PATH], encoding="utf-8")
    return Desk(tmp_path)


@pytest.fixture
def fanned_out(desk: Desk) -> Path:
    """A run folder after fan-out: three videos, two scenes, previews."""
    run = desk.submit("take_01", "take_02", "--vis")
    write_videos(run, {"take_01": ["cam01", "cam02"], "take_02": ["left.1"]})
    done = desk.step(run, "fan-out", 0)
    assert done.returncode == 0, done.stderr
    return run


def write_videos(run: Path, videos: Mapping[str, list[str]]) -> None:
    for scene, names in videos.items():
        (run / "videos" / f"{scene}.json").write_text(json.dumps(names) + "\n", encoding="utf-8")


def test_the_driver_in_the_checkout_is_what_the_declarations_render():
    for path, text in slurm.rendered().items():
        assert (ROOT / path).read_text(encoding="utf-8") == text, f"{path}: run `make render`"


def test_the_driver_has_no_fault_that_shellcheck_knows(desk: Desk):
    program = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run([program, desk.folder / "ghost.sbatch"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout


def test_nothing_in_the_driver_runs_text_as_code():
    code = re.sub(r"(?m)^\s*#.*", "", slurm.rendered()[slurm.PATH])
    assert re.findall(r"(?<!--no-)\beval\b|\bsource\b|(?m:^\s*\. )|\bbash -c\b|--wrap\b(?! )", code) == []


def test_the_help_teaches_every_parameter_with_its_default(desk: Desk):
    text = desk.run("--help").stdout
    for parameter in slurm.PARAMETERS:
        spelled = f"--[no-]{parameter.name}" if parameter.is_flag else f"--{parameter.name}="
        assert spelled in text
        assert parameter.help in text
        assert not parameter.default or f"[default: {parameter.default}]" in text
    assert {parameter.name for parameter in option_parameters()} <= {p.name for p in slurm.PARAMETERS}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("--sam3d-stp=2", "Did you mean --sam3d-step?"),
        ("--backnd=fake", "Did you mean --backend?"),
        ("--backend=nonsense", "--backend: expected one of embedded, gdino-sam2, sam3, "),
        ("--segment-backend=nonsense", "expected one of embedded, gdino-sam2, sam3, fake, got 'nonsense'"),
        ("--box-threshold=1.5", "expected at most 1, got 1.5"),
        ("--device=gpu", "expected auto, cpu, cuda, cuda:N or mps, got 'gpu'"),
        ("--sam3d-step=two", "expected a whole number, got 'two'"),
        ("--sam3d-step=0", "expected at least 1"),
        ("--max-offset=0.01", "expected at least 0.1"),
        ("--smooth=perhaps", "expected true or false"),
        ("--gpus=all", "expected a number, or TYPE:NUMBER"),
        ("--cpu=2", "Did you mean --cpus?"),
        ("--gpu-cpus=0", "expected at least 1"),
        ("--time=soon", "expected minutes"),
        ("--partition", "needs a value"),
        ("--evidence=a\nb", "control characters"),
        ("--sbatch=--dependency=afterok:1", "--dependency is set by ghost itself"),
        ("--sbatch=qos", "expected an option of sbatch"),
        ("-x", "there is no -x"),
        ("--no-=x", "there is no --no-"),
        ("--no-", "there is no --no-"),
        ("--=x", "there is no --"),
        ("--@=x", "there is no --@"),
        ("--x]=1", "there is no --x]"),
        ("--sbatch=--hold", "--hold is set by ghost itself"),
        (
            "--sbatch=--gres=gpu:a100:1",
            "--gres would be for all jobs. GPUs are for stages whose backend is made for one: ",
        ),
        ("--sbatch=--gpus=1", "say --gpus=N or --gpus=TYPE:N"),
        ("--sbatch=--gpus-per-node=1", "--gpus-per-node would be for all jobs"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_submitted(desk: Desk, given: str, said: str):
    done = desk.run("take_01", "--data-root=data", "--output-root=out", "--images=images", given)
    assert done.returncode == ExitCode.USAGE
    assert said in done.stderr
    assert desk.calls("sbatch") == []
    assert not (desk.folder / "out").exists()


@pytest.mark.parametrize(
    "name",
    ["a", "cam01", "aria01_214-1", "A.b", "x" * 63, "x" * 64, "a..b", ".a", "_a", "a b", "ä", "a/b", "$(id)", ""],
)
def test_names_of_scenes_follow_the_rule_of_all_of_ghost(desk: Desk, name: str):
    (desk.folder / "data" / "x").mkdir()
    refused = desk.run("--data-root=data", "--images=images", "--dry-run", f"--scene={name}").returncode
    assert (refused == ExitCode.USAGE) == (not is_valid(name))


def test_scenes_that_differ_in_the_case_of_letters_are_refused(desk: Desk):
    done = desk.run("take_01", "Take_01", "--data-root=data", "--output-root=out", "--images=images")
    assert done.returncode == ExitCode.USAGE
    assert "differ only in the case" in done.stderr


def test_what_is_missing_is_said_all_at_once(desk: Desk):
    (desk.folder / "images" / "ghost-sync.sif").unlink()
    done = desk.run("take_09", "--data-root=data", "--output-root=out", "--images=images", "--weights=none")
    assert done.returncode == ExitCode.INPUT_MISSING
    for said in ("there is no scene", "ghost-sync.sif", "--weights: there is no folder"):
        assert said in done.stderr
    assert "ghost-report" not in done.stderr
    assert desk.calls("sbatch") == []


def test_a_dry_run_shows_the_whole_dag_and_leaves_no_trace(desk: Desk):
    roots = ("--data-root=data", "--output-root=out", "--images=images")
    done = desk.run("take_01", "--dry-run", *roots, "--vis", "--backend=fake")
    assert done.returncode == 0, done.stderr
    steps = re.findall(r"--job-name=ghost-(\S+)", done.stdout)
    assert steps == ["ingest", "fan-out", "close", "frames", "segment", "body", "sync", "preview"]
    assert desk.calls("sbatch") == []
    assert not (desk.folder / "out").exists()


def test_the_begin_and_the_end_are_submitted_at_once(desk: Desk):
    run = desk.submit("take_01", "take_02", "--limit=1", "--time=1-12", "--sbatch=--qos=high day", "--account=me")
    jobs = desk.submitted()
    assert list(jobs) == ["ingest", "fan-out", "close"]
    (ingest,), (fan_out,), (close,) = jobs.values()
    ids = dict(line.split()[:2] for line in (run / "jobs").read_text().splitlines())
    assert ingest["array"] == "1-2%1"
    held = [words[words.index("--step") + 2] for words in desk.calls("sbatch") if "--hold" in words]
    assert held == ["ingest"], "nothing runs before the close is noted"
    assert [words for words in desk.calls("scontrol") if words[0] == "release"] == [["release", ids["ingest"]]]
    assert "dependency" not in ingest
    assert fan_out["dependency"] == f"afterany:{ids['ingest']}"
    assert close["dependency"] == f"afterany:{ids['fan-out']}"
    for job in (ingest, fan_out, close):
        assert job["qos"] == "high day"
        assert (job["account"], job["time"]) == ("me", "1-12")
        assert re.fullmatch(r"\d+M", job["mem"])
        assert job["kill-on-invalid-dep"] == "yes"
        assert job["signal"].startswith("B:USR1@")
        assert job["output"].startswith(f"{run}/logs/")


def test_every_stage_waits_for_what_it_needs_video_by_video(desk: Desk, fanned_out: Path):
    jobs = desk.submitted()
    ids = dict(line.split()[:2] for line in (fanned_out / "jobs").read_text().splitlines())
    for stage in STAGES:
        needs = [other for other in required(stage) if other.name != "ingest"]
        if stage.history or not required(stage):
            continue
        (job,) = jobs[stage.name]
        found = set(job.get("dependency", "").split(",")) - {""}
        how = "aftercorr" if stage.unit is Unit.VIDEO else "afterany"
        assert {f"{how}:{ids[other.name]}" for other in needs} <= found
        assert job["array"] == ("1-3" if stage.unit is Unit.VIDEO else "1-2")
    assert f"afterany:{ids['body']}" in jobs["preview"][0]["dependency"], "previews show bodies if there are any"
    (update,) = desk.calls("scontrol")[-1:]
    assert update[:2] == ["update", f"JobId={ids['close']}"]
    waited = set(update[2].removeprefix("Dependency=afterany:").split(":"))
    assert waited == {"90", *(ids[name] for name in ("frames", "segment", "body", "sync", "preview"))}
    assert desk.calls("scancel") == []


def test_without_vis_there_is_no_preview_and_a_scene_without_videos_is_left_to_the_close(desk: Desk):
    run = desk.submit("take_01", "take_02")
    write_videos(run, {"take_02": ["cam01"]})
    desk.step(run, "fan-out", 0)
    jobs = desk.submitted()
    assert "preview" not in jobs
    assert jobs["sync"][0]["array"] == "1-1"
    assert jobs["close"][0]["array"] == "1-2"
    assert (run / "scenes.found").read_text() == "take_02\n"


@pytest.mark.parametrize("text", ['["a", "$(id)"]', "[]", "", "{}", '["../x"]', 'Traceback ["a"]', '["a"] ["b'])
def test_a_list_of_videos_that_is_none_is_not_used(desk: Desk, text: str):
    run = desk.submit("take_01")
    (run / "videos" / "take_01.json").write_text(text)
    assert desk.step(run, "fan-out", 0).returncode == 0
    assert set(desk.submitted()) == {"ingest", "fan-out", "close"}


def test_long_lists_are_cut_into_arrays_that_slurm_accepts(desk: Desk):
    run = desk.submit("take_01", "--limit=2", MAX_ARRAY_SIZE="3")
    write_videos(run, {"take_01": [f"cam{number:02}" for number in range(5)]})
    desk.step(run, "fan-out", 0, MAX_ARRAY_SIZE="3")
    jobs = desk.submitted()
    assert [job["array"] for job in jobs["segment"]] == ["1-2%2", "1-2%2", "1-1%2"]
    lines = [line.split() for line in (run / "jobs").read_text().splitlines()]
    frames = [job for step, job, _ in lines if step == "frames"]
    segment = [job for step, job, _ in lines if step == "segment"]
    assert [int(offset) for step, _, offset in lines if step == "segment"] == [0, 2, 4]
    for chunk, job in enumerate(jobs["segment"]):
        found = job["dependency"].split(",")
        assert f"aftercorr:{frames[chunk]}" in found
        assert chunk == 0 or f"afterany:{segment[chunk - 1]}" in found, "the limit is for all chunks together"
    body = ":".join(job for step, job, _ in lines if step == "body")
    assert f"afterany:{body}" in jobs["sync"][0]["dependency"].split(",")
    desk.step(run, "segment", 4, task=1)
    assert "--video=cam04" in desk.container()[2]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((), None),
        (("--gpus=a100:2",), None),
        (("--segment-backend=sam3",), "gpu:1"),
        (("--segment-backend=sam3", "--gpus=a100:2"), "gpu:a100:2"),
        (("--segment-backend=sam3", "--gpus=0"), None),
        (("--segment-backend=sam3", "--gpus=a100:0"), None),
        (("--segment-backend=sam3", "--device=cpu"), None),
        (("--segment-backend=sam3", "--device=cuda"), "gpu:1"),
    ],
    ids=str,
)
def test_only_stages_with_a_backend_made_for_a_gpu_ask_for_one(
    desk: Desk, given: tuple[str, ...], expected: str | None
):
    run = desk.submit("take_01", "--weights=images", *given)
    write_videos(run, {"take_01": ["cam01"]})
    desk.step(run, "fan-out", 0)
    jobs = desk.submitted()
    assert {step: found[0].get("gres") for step, found in jobs.items() if step != "segment"} == dict.fromkeys(
        [step for step in jobs if step != "segment"]
    )
    assert jobs["segment"][0].get("gres") == expected
    heavy = "--segment-backend=sam3" in given
    assert (
        jobs["segment"][0]["mem"] == f"{round(1024 * (RESOURCES.gpu_memory_gib if heavy else RESOURCES.memory_gib))}M"
    )
    for stage in ("segment", "frames"):
        desk.step(run, stage, 0, CUDA_VISIBLE_DEVICES="3")
        gets_one = stage == "segment" and expected is not None
        assert ("--nv" in desk.container()[0]) == gets_one
        assert desk.settings_of_container()["CUDA_VISIBLE_DEVICES"] == ("3" if gets_one else "")


def test_a_backend_made_for_a_gpu_that_gets_none_is_pointed_out(desk: Desk):
    given = ("take_01", "--data-root=data", "--output-root=out", "--images=images", "--weights=images", "--dry-run")
    said = "--segment-backend=sam3 is made for a GPU and gets none"
    assert said in desk.run(*given, "--segment-backend=sam3", "--gpus=0").stderr
    assert said not in desk.run(*given, "--segment-backend=sam3").stderr
    assert "GPU" not in desk.run(*given, "--gpus=0").stderr


@pytest.mark.parametrize(
    ("given", "segment", "body", "others"),
    [
        ((), "1", "1", "1"),
        (("--cpus=3",), "3", "3", "3"),
        (("--gpu-cpus=8",), "1", "1", "1"),
        (("--segment-backend=sam3",), str(RESOURCES.gpu_cpus), "1", "1"),
        (("--segment-backend=sam3", "--gpu-cpus=8", "--cpus=2"), "8", "2", "2"),
        (("--segment-backend=sam3", "--cpus=2"), str(RESOURCES.gpu_cpus), "2", "2"),
        (("--segment-backend=sam3", "--body-backend=nlf", "--gpu-cpus=8"), "8", "8", "1"),
        (("--segment-backend=sam3", "--gpus=0"), str(RESOURCES.gpu_cpus), "1", "1"),  # all the more on a CPU
    ],
    ids=str,
)
def test_jobs_ask_for_the_cores_that_the_kind_of_their_backend_needs(
    desk: Desk, given: tuple[str, ...], segment: str, body: str, others: str
):
    run = desk.submit("take_01", "--weights=images", *given)
    write_videos(run, {"take_01": ["cam01"]})
    desk.step(run, "fan-out", 0)
    found = {step: jobs[0]["cpus-per-task"] for step, jobs in desk.submitted().items()}
    assert found == {
        **dict.fromkeys(("ingest", "frames", "sync", "close"), others),
        "segment": segment, "body": body, "fan-out": "1",
    }  # fmt: skip


def test_an_option_of_the_users_for_sbatch_wins_over_ghosts_own(desk: Desk):
    desk.submit("take_01", "--cpus=2", "--partition=a", "--sbatch=--cpus-per-task=8", "--sbatch=--partition=b")
    for words in desk.calls("sbatch"):
        for name, last in (("cpus-per-task", "8"), ("partition", "b")):  # sbatch takes the last of several
            assert [word for word in words if word.startswith(f"--{name}=")][-1] == f"--{name}={last}"


@pytest.mark.parametrize(
    ("given", "cores", "threads"),
    [
        (("--segment-backend=sam3",), "", "1"),  # the cores are for decoding and writing
        (("--segment-backend=sam3", "--device=cpu"), "", str(RESOURCES.gpu_cpus)),
        (("--segment-backend=sam3", "--gpus=0", "--gpu-cpus=3"), "", "3"),
        (("--segment-backend=sam3", "--gpus=0"), "8", "8"),  # what the job has, by --sbatch perhaps
        (("--cpus=4",), "4", "1"),
    ],
    ids=str,
)
def test_only_a_model_that_has_to_do_without_its_gpu_has_a_thread_for_each_core(
    desk: Desk, given: tuple[str, ...], cores: str, threads: str
):
    run = desk.submit("take_01", "--weights=images", *given)
    write_videos(run, {"take_01": ["cam01"]})
    desk.step(run, "fan-out", 0)
    desk.step(run, "segment", 0, **({"SLURM_CPUS_PER_TASK": cores} if cores else {}))
    assert desk.settings_of_container()["OMP_NUM_THREADS"] == threads
    assert desk.settings_of_container()["OPENBLAS_NUM_THREADS"] == "1"


def test_a_backend_made_for_a_gpu_runs_in_the_image_with_torch(desk: Desk):
    run = desk.submit("take_01", "--weights=images", "--segment-backend=sam3", "--device=cpu")
    write_videos(run, {"take_01": ["cam01"]})
    desk.step(run, "fan-out", 0)
    for stage, image in (("segment", sif_name("segment", "gpu")), ("body", sif_name("body"))):
        desk.step(run, stage, 0)
        assert desk.container()[1] == image


def test_the_image_with_torch_is_missed_only_where_it_is_needed(desk: Desk):
    for image in (desk.folder / "images").glob("*-gpu.sif"):
        image.unlink()
    given = ("take_01", "--data-root=data", "--output-root=out", "--images=images", "--weights=images", "--dry-run")
    assert desk.run(*given).returncode == 0
    done = desk.run(*given, "--segment-backend=sam3")
    assert done.returncode == ExitCode.CONFIGURATION
    assert "ghost-segment-gpu.sif. Build it" in done.stderr
    assert "ghost-body-gpu" not in done.stderr


@pytest.mark.parametrize(
    ("given", "segment", "body"),
    [
        (("--backend=fake",), "fake", "fake"),
        (("--backend", "sam3"), "sam3", "embedded"),
        (("--body-backend=embedded", "--backend=fake"), "fake", "embedded"),
        (("--backend=fake", "--body_backend=embedded"), "fake", "embedded"),
        (("--segment-backend=gdino-sam2",), "gdino-sam2", "embedded"),
    ],
    ids=str,
)
def test_a_backend_is_for_all_stages_that_have_it_and_what_names_a_stage_wins(
    desk: Desk, given: tuple[str, ...], segment: str, body: str
):
    done = desk.run("take_01", "--data-root=data", "--output-root=out", "--images=images", "--weights=images", *given)
    assert done.returncode == 0, done.stderr
    (run,) = (desk.folder / "out" / "_slurm").iterdir()
    settings = (run / "settings").read_text().splitlines()
    assert f"segment-backend={segment}" in settings
    assert f"body-backend={body}" in settings


def test_jobs_with_a_gpu_can_have_a_partition_of_their_own(desk: Desk):
    given = ("take_01", "--data-root=data", "--output-root=out", "--images=images", "--weights=images", "--dry-run")

    def partitions(*more: str) -> dict[str, str]:
        """By step; "" where none is asked for."""
        done = desk.run(*given, "--segment-backend=sam3", *more)
        assert done.returncode == 0, done.stderr
        lines = [line for line in done.stdout.splitlines() if line.startswith("sbatch")]
        found = [
            (re.findall(rf"--{name}=(\S+)", line) or [""])[-1] for line in lines for name in ("job-name", "partition")
        ]
        return dict(zip((name.removeprefix("ghost-") for name in found[::2]), found[1::2], strict=True))

    others = {"ingest", "fan-out", "close", "frames", "body", "sync"}
    assert partitions("--gpu-partition=gpu") == {**dict.fromkeys(others, ""), "segment": "gpu"}
    assert partitions("--gpu-partition=gpu", "--partition=cpu") == {**dict.fromkeys(others, "cpu"), "segment": "gpu"}
    assert partitions("--partition=cpu") == dict.fromkeys({*others, "segment"}, "cpu")
    assert partitions("--gpu-partition=gpu", "--gpus=0")["segment"] == "", "it needs none"


@pytest.mark.parametrize(("device", "required"), [("auto", "1"), ("cpu", None)])
def test_a_job_that_got_a_gpu_does_not_work_on_the_cpu_instead(desk: Desk, device: str, required: str | None):
    given = ("--data-root=data", "--output-root=out", "--images=images", "--weights=images")
    done = desk.run("take_01", *given, "--segment-backend=sam3", f"--device={device}")
    assert done.returncode == 0, done.stderr
    (run,) = (desk.folder / "out" / "_slurm").iterdir()
    write_videos(run, {"take_01": ["cam01"]})
    desk.step(run, "fan-out", 0)
    for step, expected in (("segment", required), ("body", None), ("close", None)):
        desk.step(run, step, 0)
        assert desk.settings_of_container().get("GHOST_REQUIRE_GPU") == expected


# Whether the models are there


def test_the_models_of_the_options_are_looked_for_before_anything_waits_for_them(desk: Desk):
    given = ("take_01", "--data-root=data", "--output-root=out", "--images=images", "--weights=images", "--bind=data")
    done = desk.run(*given, "--segment-backend=gdino-sam2", "--tracker=sam2.1-hiera-small", "--smooth", CODE="69")
    assert done.returncode == ExitCode.MODEL_UNAVAILABLE
    assert "model files are missing" in done.stderr
    assert desk.calls("sbatch") == []
    assert not (desk.folder / "out").exists()
    options, image, arguments = desk.container()
    assert (image, arguments[:2]) == ("ghost-cli.sif", ["weights", "check"])
    with ghost.commands["weights"].commands["check"].make_context("check", arguments[2:]) as context:  # type: ignore[attr-defined]
        told = context.params
    assert (told["segment_backend"], told["body_backend"]) == ("gdino-sam2", "embedded")
    assert (told["tracker"], told["smooth"]) == ("sam2.1-hiera-small", True)
    assert desk.settings_of_container()["GHOST_WEIGHTS"] == str(desk.folder / "images")
    mounts = [options[index + 1] for index, word in enumerate(options) if word == "--mount"]
    places = [str(desk.folder / name) for name in ("data", "images")]
    assert mounts == [f'type=bind,"src={place}","dst={place}",ro' for place in places]


def test_models_on_s3_are_looked_for_with_its_keys(desk: Desk):
    secrets = {"AWS_SECRET_ACCESS_KEY": "top$(secret)"}
    given = ("take_01", "--data-root=data", "--output-root=out", "--images=images", "--weights=s3://lab/weights")
    assert desk.run(*given, CODE="69", **secrets).returncode == ExitCode.MODEL_UNAVAILABLE
    found = desk.settings_of_container()
    assert (found["GHOST_WEIGHTS"], found["AWS_SECRET_ACCESS_KEY"]) == ("s3://lab/weights", "top$(secret)")


@pytest.mark.parametrize("code", ["1", "255"])
def test_where_the_check_cannot_be_made_the_run_is_submitted_all_the_same(desk: Desk, code: str):
    given = ("take_01", "--data-root=data", "--output-root=out", "--images=images", "--weights=images")
    done = desk.run(*given, CODE=code)
    assert done.returncode == 0, done.stderr
    assert f"could not be checked (exit code {code})" in done.stderr


def test_without_apptainer_where_jobs_are_submitted_the_check_is_left_out(desk: Desk):
    (desk.folder / "bin" / "apptainer").unlink()
    for program in Path("/usr/bin").iterdir():  # of this machine, which may have it
        link = desk.folder / "bin" / program.name
        if program.name != "apptainer" and not link.exists():
            link.symlink_to(program)
    given = ("take_01", "--data-root=data", "--output-root=out", "--images=images", "--weights=images")
    done = desk.run(*given, PATH=str(desk.folder / "bin"))
    assert done.returncode == 0, done.stderr
    assert "is not checked" in done.stderr


def test_backends_without_models_need_no_look(desk: Desk):
    desk.submit("take_01")
    assert desk.calls("apptainer") == []


@pytest.mark.parametrize("prompt", ["person. bicycle.", "", " two  spaces ", "a 'b' \"c\" $(id) `id` \\ *"])
def test_a_prompt_reaches_its_stage_and_the_close_as_it_is(desk: Desk, prompt: str):
    run = desk.submit("take_01", f"--prompt={prompt}")
    write_videos(run, {"take_01": ["cam01"]})
    desk.step(run, "fan-out", 0)
    for step in ("segment", "close"):
        desk.step(run, step, 0)
        assert f"--prompt={prompt}" in desk.container()[2]


@pytest.mark.parametrize("stage", [stage for stage in STAGES if not stage.history], ids=lambda stage: stage.name)
def test_a_stages_own_command_takes_what_the_driver_gives_it(desk: Desk, fanned_out: Path, stage: object):
    declared = next(candidate for candidate in STAGES if candidate is stage)
    done = desk.step(fanned_out, declared.name, 0, task=2, PRINTED='["x"]')
    assert done.returncode == 0, done.stderr
    _, image, arguments = desk.container()
    assert image == f"ghost-{declared.name}.sif"
    with stage_command(declared).make_context("stage", arguments) as context:
        assert context.params["scene"] == ("take_01" if declared.unit is Unit.VIDEO else "take_02")
        assert context.params["output_root"] == str(desk.folder / "out")
        assert context.params.get("video") in (None, "cam02")
        assert context.params.get("backend") in (None, "fake")


def test_the_close_takes_what_the_driver_gives_it(desk: Desk, fanned_out: Path):
    assert desk.step(fanned_out, "close", 0, CODE="1").returncode == 1
    _, image, arguments = desk.container()
    assert (image, arguments[0]) == ("ghost-cli.sif", "close")
    with ghost.commands["close"].make_context("close", arguments[1:]) as context:
        assert context.params["vis"] is True
        assert (context.params["segment_backend"], context.params["body_backend"]) == ("fake", "fake")


@pytest.mark.parametrize("start", ["Unknown", "2026-01-01T00:00:00"])
def test_only_jobs_that_were_cancelled_at_work_are_told_to_the_close(desk: Desk, fanned_out: Path, start: str):
    record = (
        f"JobId=7 JobState=CANCELLED ExitCode=0:0 RunTime=20778-19:52:47 StartTime={start}"  # as SLURM 22.05 says it
    )
    desk.step(fanned_out, "close", 0, RECORD=record)
    (told,) = [word for word in desk.container()[2] if word.startswith("--engine-failures=")]
    assert (told == "--engine-failures=") == (start == "Unknown")


def test_strange_places_and_values_arrive_unchanged(desk: Desk):
    strange = desk.folder / """da:ta,"x" $(touch pwned) 'y' %j"""
    (desk.folder / "data").rename(strange)
    done = desk.run(
        "take_01",
        f"--data-root={strange}",
        f"--output-root={strange}/out",
        "--images=images",
        "--weights=images",
        "--evidence=`id` $(id);",
    )
    assert done.returncode == 0, done.stderr
    (run,) = (strange / "out" / "_slurm").iterdir()
    assert desk.step(run, "ingest", 0, PRINTED='["a"]').returncode == 0
    options, _, arguments = desk.container()
    assert f"--data-root={strange}" in arguments
    written = str(strange).replace('"', '""')
    assert f'type=bind,"src={written}","dst={written}",ro' in options
    assert f'type=bind,"src={written}/out","dst={written}/out"' in options
    assert {"--cleanenv", "--containall", "--no-home", "--no-eval"} <= {*options}
    assert options[options.index("--workdir") + 1].startswith(str(desk.folder / "tmp"))
    assert desk.settings_of_container()["PYTHONNOUSERSITE"] == "1"
    assert "%%j" in desk.submitted()["ingest"][0]["output"]
    desk.step(run, "close", 0)
    assert "--evidence=`id` $(id);" in desk.container()[2]
    assert not list(desk.folder.rglob("pwned"))


def test_what_ingest_prints_is_kept_only_when_it_went_well(desk: Desk):
    run = desk.submit("take_01", "take_02")
    assert desk.step(run, "ingest", 0, task=1, PRINTED='["cam01"]').returncode == 0
    assert desk.step(run, "ingest", 0, task=2, PRINTED='["half', CODE="65").returncode == 65
    assert {path.name: path.read_text() for path in (run / "videos").iterdir()} == {"take_01.json": '["cam01"]\n'}


@pytest.mark.parametrize("code", [0, 1, *(int(code) for code in ExitCode if code not in (0, 1)), KILLED])
def test_the_exit_code_is_the_stages_and_some_are_tried_again(desk: Desk, fanned_out: Path, code: int):
    done = desk.step(fanned_out, "frames", 0, task=3, CODE=str(code))
    asked = [words for words in desk.calls("scontrol") if words[0].startswith("requeue")]
    assert asked == ([["requeue", "100_3"]] if code in RETRIED else [])
    assert done.returncode == (ExitCode.TERMINATED if code in RETRIED else code), done.stderr
    assert list((desk.folder / "tmp").iterdir()) == [], "temporary files are gone"
    last = desk.step(fanned_out, "frames", 0, task=3, CODE=str(code), SLURM_RESTART_COUNT="2")
    assert last.returncode == code, "after the third attempt"


@pytest.mark.parametrize("has_more", [True, False])
def test_an_element_killed_for_want_of_memory_gets_more_if_the_cluster_has_more(
    desk: Desk, fanned_out: Path, has_more: bool
):
    refused = {} if has_more else {"REFUSED": "--mem=3072M"}
    done = desk.step(fanned_out, "frames", 0, task=3, CODE=str(KILLED), SLURM_RESTART_COUNT="1", **refused)
    assert done.returncode == ExitCode.TERMINATED, done.stderr
    tried = desk.calls("sbatch")[-1]
    assert {"--test-only", "--mem=3072M", "--job-name=ghost-frames"} <= {*tried}
    after = [["requeue", "100_3"], *([["update", "JobId=100_3", "MinMemoryNode=3072"]] if has_more else [])]
    assert desk.calls("scontrol")[-len(after) :] == after, "put back, never held: nothing waits for ever"


@pytest.mark.parametrize(("number", "again"), [(signal.SIGUSR1, True), (signal.SIGTERM, False)])
def test_a_time_limit_puts_an_element_back_and_a_cancellation_ends_it(
    desk: Desk, fanned_out: Path, number: signal.Signals, again: bool
):
    command = ["bash", str(fanned_out / "ghost.sbatch"), "--step", str(fanned_out), "frames", "0"]
    environment = desk.environment(SLURM_ARRAY_TASK_ID="1", SLURM_ARRAY_JOB_ID="100", WORK="yes")
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    wait_for(desk.folder / "calls.works")
    process.send_signal(number)
    said, _ = process.communicate(timeout=20)
    assert process.returncode == ExitCode.TERMINATED, said
    assert (desk.folder / "calls.stopped").exists(), "the stage was asked to stop"
    assert (["requeue", "100_1"] in desk.calls("scontrol")) == again
    assert list((desk.folder / "tmp").iterdir()) == []


def test_a_fan_out_that_is_cancelled_stops_submitting_and_takes_back_what_it_had_submitted(desk: Desk):
    run = desk.submit("take_01")
    write_videos(run, {"take_01": ["cam01"]})
    slow = desk.folder / "bin" / "sbatch"
    slow.write_text(slow.read_text() + 'touch "$CALLS_FILE.submits"; sleep 1\n', encoding="utf-8")
    command = ["bash", str(run / "ghost.sbatch"), "--step", str(run), "fan-out", "0"]
    process = subprocess.Popen(command, env=desk.environment(SLURM_JOB_ID="90"), start_new_session=True)
    wait_for(desk.folder / "calls.submits")
    os.killpg(process.pid, signal.SIGTERM)  # SLURM signals every process of a job
    assert process.wait(timeout=20) == ExitCode.TERMINATED
    later = [job for step, job, _ in map(str.split, (run / "jobs").read_text().splitlines()) if step == "frames"]
    assert len(later) == 1, "the job that was being submitted is known"
    assert set(desk.submitted()) == {"ingest", "fan-out", "close", "frames"}
    assert desk.calls("scancel") == [later]


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 10
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)


def test_s3_roots_are_not_bound_and_their_keys_stay_out_of_files_and_arguments(desk: Desk):
    secrets = {"AWS_SECRET_ACCESS_KEY": "top$(secret)", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    done = desk.run("take_01", *S3, "--images=images", "--backend=fake", **secrets)
    assert done.returncode == 0, done.stderr
    (run,) = (desk.folder / "ghost-slurm").iterdir()
    desk.step(run, "ingest", 0, PRINTED='["a"]', **secrets)
    options, _, arguments = desk.container()
    assert "--mount" not in options
    assert "--data-root=s3://bucket/in" in arguments
    assert {key: desk.settings_of_container()[key] for key in secrets} == secrets
    (desk.folder / "calls.environment").unlink()
    files = [path for path in desk.folder.rglob("*") if path.is_file()]
    assert not [path for path in files if b"top$(secret)" in path.read_bytes()]


def test_keys_of_s3_do_not_reach_containers_that_have_no_use_for_them(desk: Desk, fanned_out: Path):
    desk.step(fanned_out, "frames", 0, AWS_SECRET_ACCESS_KEY="secret")  # noqa: S106
    assert "AWS_SECRET_ACCESS_KEY" not in desk.settings_of_container()


def test_a_fan_out_that_is_run_again_takes_back_what_it_had_submitted(desk: Desk, fanned_out: Path):
    before = [line.split() for line in (fanned_out / "jobs").read_text().splitlines()]
    late = [job for step, job, _ in before if step not in ("ingest", "fan-out", "close")]
    assert desk.step(fanned_out, "fan-out", 0, SLURM_RESTART_COUNT="1").returncode == 0
    assert desk.calls("scancel") == [late]
    after = [line.split() for line in (fanned_out / "jobs").read_text().splitlines()]
    assert [step for step, _, _ in after] == [step for step, _, _ in before]
    assert not {job for _, job, _ in after} & set(late)


def test_jobs_that_slurm_refuses_are_named_and_the_close_waits_for_the_others(desk: Desk):
    run = desk.submit("take_01")
    write_videos(run, {"take_01": ["cam01"]})
    done = desk.step(run, "fan-out", 0, REFUSED="ghost-body")
    assert done.returncode == ExitCode.CONFIGURATION
    assert "sbatch refused ghost-body" in done.stderr
    ids = dict(line.split()[:2] for line in (run / "jobs").read_text().splitlines())
    assert set(ids) == {"ingest", "fan-out", "close", "frames", "segment"}
    wanted = ["update", f"JobId={ids['close']}", f"Dependency=afterany:90:{ids['frames']}:{ids['segment']}"]
    assert desk.calls("scontrol")[-1] == wanted


def test_each_close_waits_for_the_one_before_it_if_there_is_a_limit(desk: Desk):
    run = desk.submit("take_01", "take_02", "--limit=1", "--max-array=1")
    write_videos(run, {"take_01": ["cam01"]})
    desk.step(run, "fan-out", 0)
    first, second = [words for words in desk.calls("scontrol") if words[0] == "update"]
    ids = [job for step, job, _ in map(str.split, (run / "jobs").read_text().splitlines()) if step == "close"]
    assert [first[1], second[1]] == [f"JobId={job}" for job in ids]
    assert second[2] == f"{first[2]}:{ids[0]}"


@pytest.mark.parametrize("trouble", [{"REFUSED": "ghost-close"}, {"RELEASED": "1"}])
def test_a_submission_that_is_cut_short_leaves_no_job_behind(desk: Desk, trouble: dict[str, str]):
    done = desk.run("take_01", "--data-root=data", "--output-root=out", "--images=images", "--backend=fake", **trouble)
    assert done.returncode == ExitCode.CONFIGURATION
    (run,) = (desk.folder / "out" / "_slurm").iterdir()
    assert desk.calls("scancel") == [[line.split()[1] for line in (run / "jobs").read_text().splitlines()]]


def test_an_output_root_that_is_not_there_yet_is_made_wherever_the_run_folder_is(desk: Desk):
    given = ("--data-root=data", "--output-root=new/out", "--run-root=runs", "--images=images", "--backend=fake")
    assert desk.run("take_01", *given).returncode == 0
    assert (desk.folder / "new" / "out").is_dir(), "a folder that is missing cannot be mounted"


def test_profiles_of_s3_reach_the_container_from_the_users_home(desk: Desk):
    (desk.folder / ".aws").mkdir()
    (desk.folder / ".aws" / "config").write_text("[profile lab]\n", encoding="utf-8")
    home = {"HOME": str(desk.folder), "AWS_PROFILE": "lab"}
    assert desk.run("take_01", *S3, "--images=images", "--backend=fake", **home).returncode == 0
    (run,) = (desk.folder / "ghost-slurm").iterdir()
    desk.step(run, "ingest", 0, PRINTED='["a"]', **home)
    file = desk.folder / ".aws" / "config"
    options, _, _ = desk.container()
    assert [word for word in options if word.startswith("type=")] == [f'type=bind,"src={file}","dst={file}",ro']
    assert desk.settings_of_container()["AWS_CONFIG_FILE"] == str(file)
    assert desk.settings_of_container()["AWS_PROFILE"] == "lab"


@pytest.mark.parametrize("how", [(), ("--dry-run",)])
def test_a_backend_without_its_weights_is_refused_when_it_is_asked_for(desk: Desk, how: tuple[str, ...]):
    given = ("take_01", "--data-root=data", "--output-root=out", "--images=images", *how)
    done = desk.run(*given, "--backend=embedded", HOME=str(desk.folder))
    assert done.returncode == ExitCode.CONFIGURATION
    assert "weights fetch --backend embedded" in done.stderr
    assert desk.calls("sbatch") == []
    assert desk.run(*given, "--dry-run", "--backend=fake").returncode == 0
    (desk.folder / ".cache" / "ghost" / "weights").mkdir(parents=True)
    assert desk.run(*given, "--dry-run", "--backend=embedded", HOME=str(desk.folder)).returncode == 0


def test_numbers_with_leading_zeros_are_decimal(desk: Desk):
    run = desk.submit("take_01", "--memory=010", "--retries=09", "--limit=08")
    (ingest,) = desk.submitted()["ingest"]
    assert (ingest["mem"], ingest["array"]) == ("10240M", "1-1%8")
    assert desk.step(run, "ingest", 0, PRINTED='["a"]').returncode == 0


def test_the_first_start_of_fan_out_takes_nothing_back(desk: Desk, fanned_out: Path):
    assert desk.step(fanned_out, "fan-out", 0).returncode == 0
    assert desk.calls("scancel") == []
