"""workflows/ghost.yaml on a real Kubernetes: accepted by its API server, and executed, every pod of it.

By our own runner of the part of Argo that the file uses, and by Argo itself where ARGO_PROGRAMS names a folder with
workflow-controller, argoexec and argo 4.x. The same tests for both.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.engines import scripts
from tests.engines.argo_engines import Argo, Engine, OurRunner, Submitted
from tests.engines.kubernetes import Cluster, exit_code, lifetime, most_at_once, started, until
from workflows.argo_parameters import project_version

if TYPE_CHECKING:
    from tests.engines.conftest import Scene

pytestmark = pytest.mark.engines

_LOG = logging.getLogger("engines")
ROOT = Path(__file__).parents[2]
GHOST = ROOT / "workflows" / "ghost.yaml"
TEMPLATE = ROOT / "workflows" / "ghost-template.yaml"
MANIFESTS = sorted((ROOT / "workflows" / "cluster").glob("*.yaml"))
GPUS = 2
CLAIM = "ghost-data"
IMAGES = ("ingest", "frames", "segment", "body", "sync", "preview", "cli")
VIDEO_STAGES = ("frames", "segment", "body", "preview")


@pytest.fixture(scope="module")
def cluster(engines: Path) -> Iterator[Cluster]:
    """A Kubernetes with two pretended GPUs that knows Argo's kinds."""
    definitions = Path(os.environ.get("GHOST_ARGO", ROOT.parent / "shared" / "argo"))
    if not definitions.is_dir():
        pytest.skip(f"kubernetes: no folder {definitions}. Set GHOST_ARGO to the folder of Argo's definitions")
    with contextlib.ExitStack() as stack:
        try:
            cluster = stack.enter_context(started(scripts.STATE / "k8s", gpus=GPUS))
        except RuntimeError as error:
            pytest.skip(f"kubernetes: {error}")
        for kind in ("workflows", "workflowtemplates"):
            cluster.define(definitions / f"argoproj.io_{kind}.yaml.gz")
        yield cluster


@pytest.fixture(scope="module")
def loaded(cluster: Cluster, images: dict[str, str]) -> Cluster:
    """The cluster, with the images of the current code."""
    cluster.load_images([images[name] for name in IMAGES])
    return cluster


@pytest.fixture(scope="module", params=["our runner", "argo"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """What runs workflows, in a namespace where an admin has applied workflows/cluster/."""
    programs = os.environ.get("ARGO_PROGRAMS")
    if request.param == "argo" and not programs:
        pytest.skip("argo: set ARGO_PROGRAMS to a folder with workflow-controller, argoexec and argo of Argo 4.x")
    loaded: Cluster = request.getfixturevalue("loaded")
    running: Engine = OurRunner(loaded) if request.param != "argo" else Argo(loaded, Path(programs or ""))
    for manifest in MANIFESTS:
        loaded.kubectl("apply", "--filename", str(manifest), namespace=running.namespace)
    yield running
    running.close()


@pytest.fixture(scope="module")
def volume(engine: Engine, scene: Scene) -> Path:
    """The folder behind the claim, with the recordings. The claim is bound when the first pod wants it, or before."""
    folder = engine.cluster.volume_of(CLAIM, namespace=engine.namespace)
    shutil.copytree(scene.data, folder / "recordings")
    scripts.open_folder(folder / "results")
    return folder


def parameters(scene: Scene, **more: str) -> dict[str, str]:
    given = {"scene": scene.name, "segment-backend": "fake", "body-backend": "fake"}
    return given | {name.replace("_", "-"): value for name, value in more.items()}


def fake_made_for_a_gpu(folder: Path) -> Path:
    """A copy of ghost.yaml in which `fake` is a backend that is made for a GPU: the others need real ones."""
    document = yaml.safe_load(GHOST.read_text(encoding="utf-8"))
    for template in document["spec"]["templates"]:
        if "tolerations" in template:
            for part, key in ((template, "podSpecPatch"), (template["container"], "image")):
                as_it_was = part[key]
                part[key] = re.sub(r'-backend\'\] in \["[^\]]*\]', '-backend\'] in ["fake"]', as_it_was)
                assert part[key] != as_it_was
    (file := folder / "gpu.yaml").write_text(yaml.safe_dump(document))
    return file


@pytest.fixture(scope="module")
def first(engine: Engine, volume: Path, scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Submitted:
    """A run of everything, with GPUs where they are of use; 4 pods could be at work at a time."""
    amounts = {"cpu": "0.5", "memory": "1024"}
    small = {f"gpu_{kind}_{stage}": amount for stage in ("segment", "body") for kind, amount in amounts.items()}
    given = parameters(scene, vis="true", gpus="1", gpu_image_tag=project_version(), cpu="0.5", **small)
    return engine.submit(fake_made_for_a_gpu(tmp_path_factory.mktemp("gpu")), given, name=engine.next_name())


# --- what the API server says


@pytest.mark.parametrize("file", [GHOST, TEMPLATE, *MANIFESTS], ids=lambda file: file.name)
def test_the_api_server_accepts_every_file_with_all_its_rules(cluster: Cluster, file: Path) -> None:
    done = cluster.try_kubectl("create", "--dry-run=server", "--validate=strict", "--filename", str(file))
    assert done.returncode == 0, done.stderr


def _misspelled(spec: dict[str, Any]) -> None:
    spec["templates"][-1]["container"]["imagePullPolicee"] = "Never"


def _wrong_type(spec: dict[str, Any]) -> None:
    spec["entrypoint"] = ["main"]


def _two_kinds(spec: dict[str, Any]) -> None:
    spec["templates"][-1]["suspend"] = {}  # a rule of the definition, in CEL


@pytest.mark.parametrize("file", [GHOST, TEMPLATE], ids=lambda file: file.name)
@pytest.mark.parametrize("plant", [_misspelled, _wrong_type, _two_kinds])
def test_the_api_server_refuses_a_planted_error(cluster: Cluster, file: Path, plant: Callable[[Any], None]) -> None:
    document = yaml.safe_load(file.read_text(encoding="utf-8"))
    plant(document["spec"])
    done = cluster.try_kubectl("create", "--dry-run=server", "--validate=strict", "--filename=-", given=document)
    assert done.returncode != 0


def test_the_accounts_may_do_what_they_must_and_no_more(engine: Engine) -> None:
    asked = [
        (account, verb, kind)
        for account in ("ghost", "ghost-executor")
        for verb in ("get", "create", "patch", "delete")
        for kind in ("workflowtaskresults.argoproj.io", "workflows.argoproj.io", "pods", "secrets")
    ]
    # Not `kubectl auth can-i`: that says no to everything about kinds which are not installed.
    reviews = [_access_review(engine.namespace, *question) for question in asked]
    given = {"apiVersion": "v1", "kind": "List", "items": reviews}
    answers = engine.cluster.kubectl("create", "--filename=-", "--output=jsonpath={.status.allowed} ", given=given)
    allowed = [question for question, answer in zip(asked, answers.split(), strict=True) if answer == "true"]
    assert allowed == [("ghost-executor", verb, "workflowtaskresults.argoproj.io") for verb in ("create", "patch")]


def test_argo_finds_the_token_of_its_containers(engine: Engine) -> None:
    """A controller of the cluster puts it in; no earlier test gives it the time."""
    wanted = ("get", "secret", "ghost-executor.service-account-token", "--output=jsonpath={.data.token}")
    token = until(lambda: engine.cluster.kubectl(*wanted, namespace=engine.namespace), seconds=60)
    assert len(token) > 100


# --- runs


def test_a_run_gives_what_a_local_run_gives(
    engine: Engine,
    first: Submitted,
    volume: Path,
    scene: Scene,
    compare: Callable[[Path], None],
) -> None:
    assert first.succeeded, first.failures(engine.cluster)
    compare(volume / "results" / scene.name)
    assert first.count() == {"ingest": 1, **dict.fromkeys(VIDEO_STAGES, 4), "sync": 1, "close": 1}
    mean = sum(map(lifetime, first.pods)) / len(first.pods)
    _LOG.info("%s: %d pods, %.1f s from submit to done, %.1f s a pod", first.name, len(first.pods), first.seconds, mean)


def test_pods_with_a_use_for_a_gpu_get_one_and_no_more_run_than_there_are(first: Submitted) -> None:
    with_gpu = [*first.of("segment"), *first.of("body")]
    assert {_resources(pod)["limits"]["nvidia.com/gpu"] for pod in with_gpu} == {"1"}
    assert most_at_once(with_gpu) <= GPUS
    others = [pod for pod in first.pods if pod not in with_gpu]
    assert not any("nvidia.com/gpu" in _resources(pod)["limits"] for pod in others)


def test_a_second_run_executes_no_stage(engine: Engine, first: Submitted, volume: Path, scene: Scene) -> None:
    before = {path: path.stat().st_mtime_ns for path in sorted((volume / "results").rglob("_manifests/**/*.json"))}
    again = engine.submit(GHOST, parameters(scene, vis="true", cpu="0.5"), name=engine.next_name())
    assert again.succeeded, again.failures(engine.cluster)
    stages = [pod for pod in again.pods if pod not in again.of("close")]
    assert len(stages) == 18
    assert [pod["metadata"]["name"] for pod in stages if "up to date" not in engine.cluster.log_of(pod)] == []
    kept = {path: path.stat().st_mtime_ns for path in before if "report" not in path.parts}
    assert {path: before[path] for path in kept} == kept


def slow_segment(folder: Path) -> Path:
    """A copy of ghost.yaml in which segment has so little CPU that its pods are at work for some seconds."""
    document = yaml.safe_load(GHOST.read_text(encoding="utf-8"))
    (template,) = [template for template in document["spec"]["templates"] if template["name"] == "segment"]
    as_it_was = template["podSpecPatch"]
    template["podSpecPatch"] = as_it_was.replace("asFloat(workflow.parameters.cpu)", "0.1")
    assert template["podSpecPatch"] != as_it_was
    (file := folder / "slow.yaml").write_text(yaml.safe_dump(document))
    return file


def test_a_corrupt_video_costs_itself_alone_and_a_killed_pod_nothing(
    engine: Engine, volume: Path, scene: Scene, expected: Path, tmp_path: Path
) -> None:
    """The others go on, sync runs, the report is there and names it, and the workflow is Failed."""
    (folder := volume / "damaged" / scene.name).mkdir(parents=True)
    for video in scene.videos[:2]:
        shutil.copy(scene.data / scene.name / f"{video}.mp4", folder)
    (folder / "cam09.mp4").write_bytes(b"this is no video" * 100)
    scripts.open_folder(volume / "results-damaged")

    name = engine.next_name()
    victims: list[str] = []

    def kill() -> None:
        victims.append(engine.pods.wait_until_running("segment", name, seconds=180))
        engine.cluster.kubectl("delete", "pod", victims[0], "--grace-period=1", namespace=engine.namespace)

    killed = threading.Thread(target=kill)
    killed.start()
    roots = {"data_root": "/data/damaged", "output_root": "/data/results-damaged"}
    run = engine.submit(slow_segment(tmp_path), parameters(scene, **roots, cpu="0.5"), name=name)
    killed.join()

    assert not run.succeeded
    assert {exit_code(pod) for pod in run.pods} <= {0, 1, 65, 137, 143}, run.failures(engine.cluster)
    results = volume / "results-damaged" / scene.name
    good = [path for video in scene.videos[:2] for path in _files(expected / video) if path.suffix != ".mp4"]
    differing = [path for path in good if _content(results / path.relative_to(expected)) != path.read_bytes()]
    assert (len(good) > 10, differing) == (True, []), run.failures(engine.cluster)
    assert json.loads((results / "synchronization.json").read_text())
    assert "cam09" in (results / "report.html").read_text()
    assert [exit_code(pod) for pod in run.of("close")] == [1]
    (victim,) = [pod for pod in run.of("segment") if pod["metadata"]["name"] == victims[0]]
    assert exit_code(victim) in (137, 143), "the pod was over before it could be killed"
    assert len(run.of("segment")) == 3, "two videos, one of them twice"
    assert 65 in {exit_code(pod) for pod in run.of("frames") + run.of("ingest")}, "and never tried again"


def test_without_a_claim_the_shared_folder_is_an_empty_one_of_the_pod(engine: Engine, scene: Scene) -> None:
    run = engine.submit(GHOST, parameters(scene, claim="none"), name=engine.next_name())
    assert not run.succeeded, "there are no recordings in an empty folder"
    assert [exit_code(pod) for pod in run.of("ingest")] == [66]
    for pod in run.pods:
        (data,) = [volume for volume in pod["spec"]["volumes"] if volume["name"] == "data"]
        assert "emptyDir" in data
        assert "persistentVolumeClaim" not in data
        (main,) = [container for container in pod["spec"]["containers"] if container["name"] == "main"]
        (mount,) = [mount for mount in main["volumeMounts"] if mount["name"] == "data"]
        assert mount["readOnly"], "what is written there would be lost"


# What a stage does that hangs: as the first process of its container it must say itself that it obeys a signal.
HANGING = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(143)); time.sleep(600)"
RUN_S = 30  # ingest takes 2 to 10 of them


def hanging(folder: Path, *, deadline_s: int | None = None) -> Path:
    """A copy of ghost.yaml in which the frames of no video are ever ready."""
    document = yaml.safe_load(GHOST.read_text(encoding="utf-8"))
    (template,) = [template for template in document["spec"]["templates"] if template["name"] == "frames"]
    template["container"] |= {"command": ["python3", "-c"], "args": [HANGING]}
    if deadline_s is not None:
        document["spec"]["activeDeadlineSeconds"] = deadline_s
    (file := folder / "hanging.yaml").write_text(yaml.safe_dump(document))
    return file


def check_cut(run: Submitted, engine: Engine, results: Path, scene: Scene) -> None:
    """A run that was cut while it worked on frames: it failed, nothing was tried again, and the report says so."""
    assert not run.succeeded
    # The handler has one attempt: after a stop or the deadline Argo makes no second one.
    assert [exit_code(pod) for pod in run.of("close")] == [1], run.failures(engine.cluster)
    assert [exit_code(pod) for pod in run.of("ingest")] == [0]
    assert 1 <= len(run.of("frames")) <= len(scene.videos)
    assert all(exit_code(pod) != 0 for pod in run.of("frames"))
    assert set(run.count()) == {"ingest", "frames", "close"}
    report = (results / scene.name / "report.html").read_text(encoding="utf-8")
    assert [video for video in scene.videos if video not in report] == []


def test_after_the_deadline_of_the_run_the_report_is_written(
    engine: Engine, volume: Path, scene: Scene, tmp_path: Path
) -> None:
    results = scripts.open_folder(volume / "results-deadline")
    given = parameters(scene, output_root="/data/results-deadline", cpu="0.4")
    run = engine.submit(hanging(tmp_path, deadline_s=RUN_S), given, name=engine.next_name())
    check_cut(run, engine, results, scene)


def test_after_a_stop_the_report_is_written(engine: Engine, volume: Path, scene: Scene, tmp_path: Path) -> None:
    if not isinstance(engine, Argo):
        pytest.skip("argo stop: only Argo itself can show what becomes of it")
    results = scripts.open_folder(volume / "results-stop")
    name = engine.next_name()

    def stop() -> None:
        engine.pods.wait_until_running("frames", name, seconds=180)
        engine.stop(name)

    stopped = threading.Thread(target=stop)
    stopped.start()
    run = engine.submit(hanging(tmp_path), parameters(scene, output_root="/data/results-stop", cpu="0.4"), name=name)
    stopped.join()
    check_cut(run, engine, results, scene)


PROBE = """
import json, os, pathlib
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
def writable(folder):
    try:
        (pathlib.Path(folder) / "probe").write_bytes(b"")
    except OSError:
        return False
    return True
print(json.dumps({
    "user": [os.getuid(), os.getgid()],
    "capabilities": int(status["CapBnd"], 16),
    "new privileges": int(status["NoNewPrivs"]) == 0,
    "system calls filtered": int(status["Seccomp"]) == 2,
    "writable": [folder for folder in "/ /app /opt/python /usr /tmp /data /dev/shm".split() if writable(folder)],
    "token": os.path.exists("/var/run/secrets/kubernetes.io/serviceaccount/token"),
}))
"""


def test_pods_run_as_an_ordinary_user_without_rights(
    engine: Engine, volume: Path, scene: Scene, tmp_path: Path
) -> None:
    document = yaml.safe_load(GHOST.read_text(encoding="utf-8"))
    (template,) = [template for template in document["spec"]["templates"] if template["name"] == "segment"]
    template["container"] |= {"command": ["python3", "-c"], "args": [PROBE]}
    template.pop("inputs")
    document["spec"] |= {"entrypoint": "segment"}
    document["spec"].pop("onExit")
    (file := tmp_path / "probe.yaml").write_text(yaml.safe_dump(document))
    run = engine.submit(file, parameters(scene), name=engine.next_name())
    (pod,) = run.pods
    assert run.succeeded, run.failures(engine.cluster)
    assert json.loads(engine.cluster.stdout_of(pod)) == {
        "user": [1000, 1000],
        "capabilities": 0,
        "new privileges": False,
        "system calls filtered": True,
        "writable": ["/tmp", "/data", "/dev/shm"],  # noqa: S108 - folders in the container
        "token": False,
    }
    assert pod["spec"]["serviceAccountName"] == "ghost"


def _access_review(namespace: str, account: str, verb: str, kind: str) -> dict[str, Any]:
    """The question whether a service account may do something."""
    resource, _, group = kind.partition(".")
    attributes = {"namespace": namespace, "verb": verb, "group": group, "resource": resource}
    who = f"system:serviceaccount:{namespace}:{account}"
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": who, "resourceAttributes": attributes},
    }


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _content(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None


def _resources(pod: dict[str, Any]) -> Any:
    return next(container for container in pod["spec"]["containers"] if container["name"] == "main")["resources"]
