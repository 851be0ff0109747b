"""Measures in a process of its own, since a fault of the GPU ends all that a process can do with it.

    python -m benchmarks.gpu.worker REQUEST

REQUEST is a JSON object: `device`, `quick`, `parts` and `people` (lists or null), `folder` (for weights and videos),
`first` (the number of the first step). What it finds goes to stdout, one JSON object a line: `skipped` (why nothing can
be measured), `step` with its `name` and `of` how many, `figure`, `error`, and `done` behind the last step.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import types
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from benchmarks.gpu.scale import Scale

_OURS = ("benchmarks", "common", "stages", "workflows", "tests")  # the repository's own packages


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures; returns 1 if a step fails, after which nothing else is tried."""
    request: dict[str, Any] = json.loads((sys.argv[1:] if arguments is None else arguments)[0])
    try:
        reason, device = _usable(request["device"])
        if device is None:
            _emit(skipped=reason)
            return 0
        import benchmarks.gpu.measure  # noqa: F401 - all that is needed, before anything is done
        from benchmarks.gpu.scale import FULL, QUICK
    except ImportError as error:  # a package that is missing; a fault of our own code is none
        if error.name is None or error.name.partition(".")[0] in _OURS:
            raise
        _emit(skipped=f"{type(error).__name__}: {error}; run `make setup GPU=1`")
        return 0
    scale = QUICK if request["quick"] else FULL
    scale = replace(
        scale,
        parts=tuple(request["parts"] or scale.parts),
        people=tuple(request["people"] or scale.people),
    )
    run(device, scale, Path(request["folder"]), first=request["first"])
    return 0


def run(device: torch.device, scale: Scale, folder: Path, *, first: int = 0) -> None:
    """The steps from number `first` on; what one raises ends them all.

    Args:
        device: where the models compute.
        scale: how much is measured.
        folder: for weights and videos, and whatever is there of them already: 4 GB.
        first: number of a step.
    """
    from benchmarks.gpu.measure import steps
    from benchmarks.gpu.progress import say
    from benchmarks.gpu.scale import Bench
    from common.models.devices import deterministic

    deterministic()
    bench = Bench(device, scale, folder)
    every = steps(scale.parts, device)
    for number, step in enumerate(every[first:], start=first):
        _emit(step=number, name=step.name, of=len(every))
        say(f"[{number + 1} of {len(every)}] {step.name}")
        for figure in step.measure(bench):
            _emit(figure=asdict(figure))
    _emit(done=True)


def _usable(name: str) -> tuple[str, torch.device | None]:
    """The device; or why nothing can be measured here, and None."""
    try:
        import torch
    except OSError as error:  # a library of CUDA that does not fit
        return f"{type(error).__name__}: {error}; run `make setup GPU=1`", None

    from common.errors import ModelUnavailable
    from common.models.devices import resolve
    from stages.segment.prompted.pretrained import TRANSFORMERS

    found = importlib.metadata.version("transformers")
    if found != TRANSFORMERS:
        return f"needs transformers {TRANSFORMERS}, found {found}; run `make setup GPU=1`", None
    if not torch.cuda.is_available():
        return f"no CUDA GPU that torch {torch.__version__} can use here; nothing was measured", None
    try:
        return "", resolve(name)
    except ModelUnavailable as error:
        return str(error), None


def _emit(**said: object) -> None:
    print(json.dumps(said), flush=True)


def _said_last(kind: type[BaseException], error: BaseException, trace: types.TracebackType | None) -> None:
    """Says in one line what ended it, before the traceback on stderr."""
    lines = str(error).strip().splitlines()
    _emit(error=f"{kind.__name__}: {lines[0]}" if lines else kind.__name__)
    sys.__excepthook__(kind, error, trace)


if __name__ == "__main__":
    sys.excepthook = _said_last
    sys.exit(main())
