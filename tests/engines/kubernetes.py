"""A real one-node Kubernetes for tests: started and stopped by the scripts that GHOST_ENGINES names."""

from __future__ import annotations

import contextlib
import datetime
import gzip
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from tests.engines import scripts

START_S = 300  # 9 s when idle and installed; the first time packages are installed
KUBECTL_S = 120
_OUTDATED = "outdated"


class Cluster:
    """A running Kubernetes and its kubectl."""

    def __init__(self, folder: Path, scripts: Path, settings: Mapping[str, str]) -> None:
        """Use `started`.

        Args:
            folder: where it lives.
            scripts: the folder of its scripts.
            settings: environment that points kubectl to it.
        """
        self.folder, self.scripts = folder, scripts
        self.environment = {**os.environ, **settings}

    def kubectl(self, *arguments: str, given: object = None, namespace: str = "") -> str:
        """What kubectl prints. Raises CalledProcessError, with what it said as its note, if it fails.

        Args:
            arguments: of the command.
            given: what its standard input gets, as JSON if it is no text.
            namespace: of the objects.
        """
        done = self.try_kubectl(*arguments, given=given, namespace=namespace)
        if done.returncode:
            error = subprocess.CalledProcessError(done.returncode, ["kubectl", *arguments], done.stdout, done.stderr)
            error.add_note(done.stderr)
            raise error
        return done.stdout

    def try_kubectl(
        self, *arguments: str, given: object = None, namespace: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Runs kubectl, whatever comes of it."""
        where = ["--namespace", namespace] if namespace else []
        return subprocess.run(
            ["kubectl", *where, *arguments],
            input=given if isinstance(given, str) else json.dumps(given),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=KUBECTL_S,
            check=False,
        )

    def _script(self, name: str, *arguments: str, stdin: IO[bytes] | None) -> None:
        """Runs one of the scripts on this cluster."""
        command = [str(self.scripts / name), str(self.folder), *arguments]
        done = subprocess.run(command, env=self.environment, stdin=stdin, capture_output=True, timeout=START_S)
        if done.returncode:
            raise RuntimeError(f"{name} failed: {done.stderr.decode(errors='replace').strip()[-400:]}")

    def load_images(self, names: Sequence[str]) -> None:
        """Copies images from Docker, but for those that a cluster in the same folder has had before."""
        inspected = subprocess.run(
            ["docker", "image", "inspect", "--format={{.Id}}", *names], check=True, capture_output=True, text=True
        )
        wanted = dict(zip(names, inspected.stdout.split(), strict=True))
        note = self.folder / "images.json"
        there = json.loads(note.read_text()) if note.exists() else {}
        missing = [name for name, identity in wanted.items() if there.get(name) != identity]
        if missing:
            if set(missing) & set(there):
                (self.folder / _OUTDATED).touch()
            with subprocess.Popen(["docker", "save", *missing], stdout=subprocess.PIPE) as save:
                self._script("load-image.sh", "-", stdin=save.stdout)
            assert save.returncode == 0, f"docker save: {save.returncode}"
            note.write_text(json.dumps({**there, **wanted}))

    def define(self, definitions: Path) -> None:
        """Makes the kinds of a file of definitions (gzip) known, and waits until objects of them are taken."""
        text = gzip.decompress(definitions.read_bytes()).decode()
        name = definitions.name.removesuffix(".yaml.gz").partition("_")[2]
        crd = f"{name}.argoproj.io"
        if self.try_kubectl("get", "crd", crd).returncode:
            self.kubectl("create", "-f", "-", given=text)
        # A definition is not served at once; `kubectl wait` even fails while it has no condition at all.
        until(lambda: "served" if self.try_kubectl("get", crd).returncode == 0 else "", seconds=60)

    def start_argo(self, programs: Path) -> None:
        """Starts the Argo controller from a folder with workflow-controller, argoexec and argo."""
        self._script("argo-start.sh", str(programs), stdin=None)

    def volume_of(self, claim: str, *, namespace: str) -> Path:
        """The folder of this machine that a claim is bound to. Raises TimeoutError if it is bound to none."""
        volume = until(
            lambda: self.kubectl(
                "get", "pvc", claim, "--output", "jsonpath={.spec.volumeName}", namespace=namespace
            ).strip(),
            seconds=60,
        )
        return self.folder / "volumes" / volume.rpartition("-")[2]

    def stdout_of(self, pod: Mapping[str, Any]) -> str:
        """What the main container of a pod wrote to its standard output (`kubectl logs` mixes it with the other)."""
        return self._log(pod, streams=("stdout",))

    def log_of(self, pod: Mapping[str, Any]) -> str:
        """All that the main container of a pod wrote."""
        return self._log(pod, streams=("stdout", "stderr"))

    def _log(self, pod: Mapping[str, Any], *, streams: tuple[str, ...]) -> str:
        about = pod["metadata"]
        folder = self.folder / "log" / "pods" / f"{about['namespace']}_{about['name']}_{about['uid']}" / "main"
        parts = []
        for path in sorted(folder.glob("*.log")):
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                _, stream, whole, text = (*line.split(" ", 3), "")[:4]  # time, stream, F or P(artial), text
                if stream in streams:
                    parts.append(text + ("\n" if whole == "F" else ""))
        return "".join(parts)


@contextlib.contextmanager
def started(folder: Path, *, gpus: int) -> Iterator[Cluster]:
    """A cluster without any objects, stopped in the end. It keeps the images of the cluster before it in its folder.

    Args:
        folder: a short path (its sockets lie there), open to other users.
        gpus: number of pretended GPUs (resource nvidia.com/gpu).

    Raises:
        RuntimeError: it cannot be had, and why.
    """
    scripts.open_folder(folder)
    scripts.run_script("kubernetes/install.sh", folder)
    _stop(folder)
    try:
        settings = _settings(scripts.run_script("kubernetes/start.sh", folder, "--gpus", gpus))
        yield Cluster(folder, scripts.folder() / "kubernetes", settings)
    finally:
        _stop(folder)


def _stop(folder: Path) -> None:
    """Stops it and forgets its objects, and its images if some of them have been replaced: it never deletes any."""
    if (folder / _OUTDATED).exists():
        scripts.run_script("kubernetes/stop.sh", folder, "--purge")
        return
    scripts.run_script("kubernetes/stop.sh", folder)
    for name in ("etcd", "log", "volumes"):
        shutil.rmtree(folder / name, ignore_errors=True)


def _settings(printed: Mapping[str, str]) -> dict[str, str]:
    """KUBECONFIG and PATH, which the script prints as an addition to the one that there is."""
    return {**printed, "PATH": printed["PATH"].replace("$PATH", os.environ["PATH"])}


def exit_code(pod: Mapping[str, Any]) -> int | None:
    """Of the main container; None as long as there is none."""
    for status in pod["status"].get("containerStatuses", ()):
        if status["name"] == "main" and "terminated" in status["state"]:
            return int(status["state"]["terminated"]["exitCode"])
    return None


def interval(pod: Mapping[str, Any]) -> tuple[datetime.datetime, datetime.datetime]:
    """When the main container of a finished pod ran: whole seconds, as Kubernetes notes them."""
    ended = next(item["state"]["terminated"] for item in pod["status"]["containerStatuses"] if item["name"] == "main")
    begin, end = (datetime.datetime.fromisoformat(ended[key]) for key in ("startedAt", "finishedAt"))
    return begin, end


def lifetime(pod: Mapping[str, Any]) -> float:
    """Seconds from the creation of a finished pod to the end of its main container."""
    created = datetime.datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
    return (interval(pod)[1] - created).total_seconds()


def most_at_once(pods: list[dict[str, Any]]) -> int:
    """The largest number of pods that ran at the same time."""
    intervals = [interval(pod) for pod in pods]
    return max(sum(begin <= moment < max(end, begin) for begin, end in intervals) for moment, _ in intervals)


def until(found: Callable[[], str], *, seconds: float) -> str:
    """The first true answer to a question that is asked again and again."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = found()
        if answer:
            return answer
        threading.Event().wait(0.2)
    raise TimeoutError(f"nothing after {seconds} s")
