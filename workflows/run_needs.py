"""What the backends of a run need on this machine, looked for before the first unit starts: packages, models.

A unit looks for itself, too. But each of a hundred videos would, after seconds of importing, name one thing that is
missing; here everything is said once, with what to do.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common import harness, progress
from common.artifacts import Unit
from common.errors import GhostError, ModelUnavailable, Terminated
from common.published import Published
from common.stage import Stage
from common.storage.interface import Storage
from common.weights.contents import damage
from common.weights.hub_lock import HubModel
from common.weights.lock import LockedFile, weights_lock
from common.weights.model_folder import FOLDER
from common.weights.pins import Pin, pin_of
from common.weights.store import VARIABLE, recorded_pins, remote, root, stored_sizes
from workflows.units import Asked, stage_options

_IMPORTED_AS = {"SAM-2": "sam2"}  # distributions that are imported under another name
_GET_PACKAGES = "`make setup GPU=1` (in containers: images of the GPU flavour)"
_GET_SAM2 = "`pip install` of the official sam2 (github.com/facebookresearch/sam2)"


@dataclass(frozen=True)
class Lack:
    """What a stage lacks with its options.

    Attributes:
        stage: its name.
        backend: which it is asked to use.
        packages: that cannot be imported.
        models: names of files and of folders that are not where the weights are, or not whole.
        damaged: what is wrong with those that have the right sizes, by name, if that was looked for.
        paths: options that name a model of the user's own, where there is none: "--nlf-model is not given".
        ways: how to get what these should name.
    """

    stage: str
    backend: str
    packages: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    ways: tuple[str, ...] = ()
    damaged: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        parts = [
            *([f"{_are(self.packages)} not installed here"] if self.packages else []),
            *([f"{_are(self.models)} not in {_place()}"] if self.models else []),
            *(f"{name} in {_place()} is not what it has to be ({wrong})" for name, wrong in self.damaged.items()),
            *self.paths,
        ]
        return f"{self.stage} with the backend {self.backend}: {', and '.join(parts)}"


def check_run(asked: Asked, scenes: Iterable[str], *, force: bool = False) -> None:
    """Looks for everything that the units of a local run need.

    What is up to date needs nothing: a stage without work is not asked about.

    Args:
        asked: of the run.
        scenes: its scenes.
        force: whether what is up to date is run again.

    Raises:
        ModelUnavailable: something is missing; says what in all stages, and what to do.
        TemporaryFailure, ConfigurationError: the place where the weights are did not answer.
    """
    lacking = {stage: lack_of(stage, asked.options) for stage in asked.stages}
    scenes = tuple(scenes)
    _refuse(
        lack
        for stage, lack in lacking.items()
        if lack is not None and (force or not all(_is_up_to_date(asked, stage, scene) for scene in scenes))
    )


def check_models(stages: Iterable[Stage], options: Mapping[str, Any], *, quick: bool = False) -> None:
    """Looks for the model files alone: other machines have the packages.

    Args:
        stages: of the run.
        options: of the run.
        quick: by names and sizes. Else all that is there is read as well: seconds, where each of a hundred jobs would
            find a damaged byte by itself, after its time in the queue.

    Raises:
        ModelUnavailable, TemporaryFailure, ConfigurationError: as `check_run`.
        DiskError: a file cannot be read.
    """
    chosen = [(stage, stage.make_options(stage_options(stage, options))) for stage in stages]
    needed = {stage: stage.weights(one) for stage, one in chosen}
    missing = {stage: missing_models(names) for stage, names in needed.items()}
    there = dict.fromkeys(name for stage, names in needed.items() for name in names if name not in missing[stage])
    looked_into = [] if quick else progress.track(there, total=len(there), label="models", title="checking models")
    wrong = {name: found for name in looked_into if (found := damage(name))}
    lacks = [
        Lack(stage.name, one.backend, models=missing[stage], damaged={n: wrong[n] for n in needed[stage] if n in wrong})
        for stage, one in chosen
        if needed[stage]
    ]
    _refuse(lack for lack in lacks if lack.models or lack.damaged)


def lack_of(stage: Stage, options: Mapping[str, Any]) -> Lack | None:
    """What a stage lacks with these options of a run; None if nothing."""
    chosen = stage.make_options(stage_options(stage, options))
    packages = _missing_packages(stage.model_packages(chosen))
    models = missing_models(stage.weights(chosen))
    missing = [(stage.option_spec(name), str(getattr(chosen, name))) for name in stage.model_paths(chosen)]
    missing = [(spec, path) for spec, path in missing if not path or not Path(path).expanduser().exists()]
    if not packages and not models and not missing:
        return None
    return Lack(
        stage.name,
        getattr(chosen, "backend", ""),
        packages,
        models,
        paths=tuple(
            f"there is no {spec.flag} {path}" if path else f"{spec.flag} is not given" for spec, path in missing
        ),
        ways=tuple(spec.way_to_get for spec, _ in missing),
    )


def missing_models(names: Sequence[str]) -> tuple[str, ...]:
    """Those of the models that are not where the weights are. By names and sizes: whoever opens one hashes it."""
    entries = [weights_lock().find(name) for name in names]
    elsewhere = remote() if entries else None
    unpinned = any(isinstance(entry, HubModel) and not entry.is_pinned for entry in entries)
    recorded = recorded_pins(elsewhere) if unpinned else {}
    missing = []
    for entry in entries:
        if isinstance(entry, LockedFile):
            is_there = entry.size == (_size(root() / entry.file) if elsewhere is None else elsewhere.size(entry.file))
        else:  # what is optional is not missed
            is_there = not isinstance(entry, HubModel) or _is_whole(entry, recorded, elsewhere)
        missing += [] if is_there else [entry.name]
    return tuple(missing)


def _is_whole(model: HubModel, recorded: Mapping[str, Pin], elsewhere: Storage | None) -> bool:
    pin = pin_of(model, recorded)
    if pin is None:
        return False
    if elsewhere is not None:
        return stored_sizes(model.name, pin.files, elsewhere) == {path: file.size for path, file in pin.files.items()}
    return all(_size(root() / FOLDER / model.name / path) == file.size for path, file in pin.files.items())


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _missing_packages(distributions: Sequence[str]) -> tuple[str, ...]:
    names = dict.fromkeys(_IMPORTED_AS.get(name, name) for name in distributions)
    return tuple(name for name in names if importlib.util.find_spec(name) is None)


def _is_up_to_date(asked: Asked, stage: Stage, scene: str) -> bool:
    """Whether a stage has nothing to do in a scene, as far as that can be told without its models."""
    published = Published(asked.output, scene)
    try:
        videos = sorted(published.load_scene().videos) if stage.unit is Unit.VIDEO else [None]
        tasks = [asked.task(stage, scene, video) for video in videos]
        return all(harness.finished(task, harness.plan(task, published), published) is not None for task in tasks)
    except Terminated:
        raise
    except GhostError:
        return False


def _refuse(found: Iterable[Lack]) -> None:
    """Raises ModelUnavailable if there is anything."""
    lacking = list(found)
    if lacking:
        steps = ", then ".join(_steps(lacking))
        ways = dict.fromkeys(way for lack in lacking for way in lack.ways)
        said = ["; ".join(map(str, lacking)), *([f"Run {steps}"] if steps else []), *ways]
        raise ModelUnavailable(f"{'. '.join(said)}.")


def _steps(lacking: Sequence[Lack]) -> list[str]:
    """Commands that bring what is missing, in the order in which they work."""
    packages = {name for lack in lacking for name in lack.packages}
    steps = [_GET_PACKAGES] if packages - {"sam2"} else []
    steps += [_GET_SAM2] if "sam2" in packages else []
    return list(dict.fromkeys([*steps, *(_fetch(lack) for lack in lacking if lack.models or lack.damaged)]))


def _fetch(lack: Lack) -> str:
    entries = [weights_lock().find(name) for name in (*lack.models, *lack.damaged)]
    models = [entry for entry in entries if isinstance(entry, HubModel)]
    command = ["ghost", "weights", "fetch", "--backend", lack.backend]
    if not all(model.is_default for model in models):
        command += [part for model in models for part in ("--model", model.name)]
    if os.environ.get(VARIABLE):
        command.append(f"--weights={os.environ[VARIABLE]}")
    return f"`{shlex.join(command)}`"


def _place() -> str:
    elsewhere = remote()
    return str(root()) if elsewhere is None else elsewhere.uri


def _are(names: Sequence[str]) -> str:
    """A list in words, with its verb."""
    if len(names) == 1:
        return f"{names[0]} is"
    return f"{', '.join(names[:-1])} and {names[-1]} are"
