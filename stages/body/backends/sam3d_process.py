"""The worker of SAM 3D Body as a child process: started, asked, and explained when it dies."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from common.errors import GhostError, ModelUnavailable
from stages.body.backends import sam3d_worker
from stages.body.backends.sam3d_worker import Arrays, ProtocolError, receive, send

_LOG = logging.getLogger("ghost")
_ROOT = Path(__file__).resolve().parents[3]  # of ghost's own modules
_LINES = 20  # of its log that are kept; the last few tell what went wrong
_SHOWN = 3
_LONGEST_LINE = 500  # characters
_PATIENCE_S = 10.0  # for a process that has been told to end


class Worker:
    """A running worker. What it prints is not shown; its last lines are, if it dies."""

    def __init__(self, checkout: Path, config: Mapping[str, Any], *, python: str = "") -> None:
        """Starts the process and waits until the model is loaded.

        Args:
            checkout: the folder on its module path.
            config: see `sam3d_worker.Estimator`.
            python: the executable; "" is the one that runs this.

        Raises:
            ModelUnavailable: it cannot be started, or the model cannot be loaded.
        """
        self._is_ready = False
        from_worker, their_replies = os.pipe()
        their_requests, to_worker = os.pipe()
        self._replies: BinaryIO = os.fdopen(from_worker, "rb")
        self._requests: BinaryIO = os.fdopen(to_worker, "wb")
        command = [python or sys.executable, sam3d_worker.__file__, str(their_requests), str(their_replies)]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the user's own Python with a file of ghost's; no shell
                command,
                pass_fds=(their_requests, their_replies),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=checkout,
                env=_environment(checkout, is_own=not python, device=config["device"]),
            )
        except OSError as error:
            self._requests.close()
            self._replies.close()
            raise ModelUnavailable(
                f"--sam3d-python: {command[0]} cannot be started: {error.strerror or error}."
            ) from error
        finally:
            os.close(their_requests)
            os.close(their_replies)
        self._lines: deque[str] = deque(maxlen=_LINES)
        self._reader = threading.Thread(target=_drain, args=(self._process.stdout, self._lines), daemon=True)
        self._reader.start()
        try:
            self.about, arrays = self._ask(config, {})
        except BaseException:
            self.close()
            raise
        self.faces: NDArray[np.int64] = arrays["faces"]
        self._is_ready = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ask(self, arrays: Mapping[str, NDArray[Any]]) -> tuple[dict[str, Any], Arrays]:
        """The bodies of one frame; see `sam3d_worker.Estimator.estimate`.

        Raises:
            ModelUnavailable: the worker found that it cannot do it, or died of its GPU.
            GhostError: it died of something else.
        """
        return self._ask({"type": "estimate"}, arrays)

    def _ask(self, message: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> tuple[dict[str, Any], Arrays]:
        try:
            send(self._requests, message, arrays)
            answer, found = receive(self._replies)
        except (EOFError, BrokenPipeError, ProtocolError) as error:
            raise self._obituary(error) from error
        except BaseException:
            self._process.kill()  # it would finish its frame first, and nobody waits for that
            raise
        if answer["type"] == "failed":
            raise ModelUnavailable(f"sam3d-body: {answer['message']}")
        return answer, found

    def _obituary(self, error: BaseException) -> GhostError:
        """What to say about a worker that has ended without a word."""
        if isinstance(error, ProtocolError):
            self._process.kill()  # it may be alive, and speak another language
            how = f"sent what is no message ({error})"
        elif self._ends():
            status = self._process.returncode
            how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
            if status == -9:
                how += " (out of memory?)"
        else:  # a thread that the official code started, or a GPU that does not answer, keeps it
            how = "broke off and did not end"
        self._reader.join(_PATIENCE_S)
        last = " | ".join([line for line in self._lines if line][-_SHOWN:]) or "it said nothing"
        when = "at work" if self._is_ready else "while the model was loaded"
        text = f"sam3d-body: the process of the official code {how} {when}: {last}"
        if "urlopen error" in last:
            text += " It gets the code of DINOv3 through torch.hub: load it once where there is a network."
        is_unavailable = not self._is_ready or "CUDA" in last
        return ModelUnavailable(text) if is_unavailable else GhostError(text)

    def close(self) -> None:
        """Ends the process, which takes it as the end of the work."""
        for stream in (self._requests, self._replies):
            try:
                stream.close()
            except BrokenPipeError:
                _LOG.debug("the worker of sam3d-body had ended before")
        self._ends(_PATIENCE_S if self._is_ready else 0)
        self._reader.join(_PATIENCE_S)

    def _ends(self, patience: float | None = None) -> bool:
        """Waits for the end of the process; whether it came by itself. If not, the process is killed."""
        try:
            self._process.wait(_PATIENCE_S if patience is None else patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return False
        return True


def _environment(checkout: Path, *, is_own: bool, device: str) -> dict[str, str]:
    """The environment of the worker: on its module path the checkout and, in ghost's own Python, what that needs.

    In an image the packages come by PYTHONPATH, after ghost's own folder, which would bring `common` and `stages`.
    """
    environment = dict(os.environ)
    others = environment.get("PYTHONPATH", "").split(os.pathsep) if is_own else []
    kept = [path for path in others if path and Path(path).resolve() != _ROOT]
    environment["PYTHONPATH"] = os.pathsep.join([str(checkout), *kept])
    environment["PYTHONUNBUFFERED"] = "1"  # last words are not lost with the process
    if device == "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = ""  # the official code puts MHR onto any GPU that there is
    environment.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what deterministic matrix products need
    return environment


def _drain(stream: IO[bytes], lines: deque[str]) -> None:
    """Keeps the last lines of what is printed, so that nobody waits for a full pipe."""
    with stream:
        for line in iter(lambda: stream.readline(_LONGEST_LINE), b""):
            text = line.decode("utf-8", "replace").strip()
            lines.append(text)
            _LOG.debug("sam3d-body: %s", text)
