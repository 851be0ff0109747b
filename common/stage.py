"""How a stage declares itself: what it reads and writes, its options, what it needs.

The declaration is data. The stage's command, the DAG, the local run and the README's tables are all made from it,
so importing one must stay cheap: no numpy, no PyAV, no boto3 behind it.
"""

from __future__ import annotations

import dataclasses
import math
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from common.artifacts import Artifact, Unit
from common.errors import UsageError

if TYPE_CHECKING:
    from common.workspace import Workspace

__all__ = ["OptionSpec", "Resources", "Stage", "Unit", "option", "option_specs"]


@dataclass(frozen=True)
class OptionSpec:
    """One option of a stage, as the command line and the README need it."""

    name: str
    type: type
    default: Any
    help: str
    unit: str = ""
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    pattern: str = ""
    form: str = ""
    get: str = ""

    @property
    def way_to_get(self) -> str:
        """What to do where there is not what the option should name, a sentence without its full stop."""
        return self.get or "Name one that is there"

    @property
    def flag(self) -> str:
        """The spelling on the command line."""
        return "--" + self.name.replace("_", "-")

    def check(self, value: object) -> None:
        """Raises UsageError unless `value` may be given for this option."""
        if self.choices and value not in self.choices:
            raise UsageError(f"{self.flag}: expected one of {', '.join(self.choices)}, got {value!r}.")
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"{self.flag}: expected a number, got {value!r}.")
        if self.minimum is not None and isinstance(value, int | float) and value < self.minimum:
            raise UsageError(f"{self.flag}: expected at least {self.minimum:g}, got {value!r}.")
        if self.maximum is not None and isinstance(value, int | float) and value > self.maximum:
            raise UsageError(f"{self.flag}: expected at most {self.maximum:g}, got {value!r}.")
        if self.pattern and not re.fullmatch(self.pattern, str(value)):
            raise UsageError(f"{self.flag}: expected {self.form}, got {value!r}.")


def option(
    default: Any,  # noqa: ANN401 - the type is the annotation of the field it stands for
    *,
    help: str,
    unit: str = "",
    choices: tuple[str, ...] = (),
    minimum: float | None = None,
    maximum: float | None = None,
    pattern: str = "",
    form: str = "",
    get: str = "",
) -> Any:  # noqa: ANN401
    """A field of an Options dataclass that becomes a command-line option.

    What no option can know by itself (a list inside a text, values that exclude each other) the class checks in
    `__post_init__`, and raises UsageError: then it is refused wherever options are made, before anything starts.

    Args:
        default: value if the option is not given.
        help: one line that teaches what it does.
        unit: unit of the value, shown in the help.
        choices: the only values accepted; empty for free values.
        minimum: the smallest number accepted.
        maximum: the largest number accepted.
        pattern: regular expression that a text has to match as a whole.
        form: the same in words, for the error message.
        get: how to get what the option names, if ghost does not bring it; a sentence without its full stop.
    """
    metadata = {
        "help": help, "unit": unit, "choices": choices, "minimum": minimum, "maximum": maximum, "pattern": pattern,
        "form": form, "get": get,
    }  # fmt: skip
    return field(default=default, metadata=metadata)


def option_specs(options: type) -> tuple[OptionSpec, ...]:
    """The options that an Options dataclass declares, in order."""
    types = typing.get_type_hints(options)
    return tuple(
        OptionSpec(name=f.name, type=types[f.name], default=f.default, **f.metadata)
        for f in dataclasses.fields(options)
    )


@dataclass(frozen=True)
class Resources:
    """What one unit asks for. Figures for the CPU have a measurement behind them (`python -m benchmarks.pipeline`).

    Attributes:
        cpus: cores that it keeps busy.
        memory_gib: memory, at the first attempt; engines that can give more at the next one do.
        gpu: whether it has backends that run on a GPU; which do, `Stage.uses_gpu` says.
        gpu_cpus: cores that it keeps busy with such a backend: decoding, models and writing go on at the same time.
        gpu_memory_gib: memory with such a backend, of the machine, not of the GPU: torch, CUDA and a model that is on
            its way to the GPU. Chosen by hand, not measured.
    """

    cpus: int = 1
    memory_gib: float = 1.0
    gpu: bool = False
    gpu_cpus: int = 3
    gpu_memory_gib: float = 12.0


@dataclass(frozen=True)
class NoOptions:
    """The options of a stage that has none."""


def _nothing(options: Any) -> tuple[str, ...]:  # noqa: ANN401
    return ()


def _no_gpu(options: Any) -> bool:  # noqa: ANN401
    return False


@dataclass(frozen=True)
class Stage:
    """A program that reads artifacts and writes artifacts.

    Attributes:
        name: name of its folder, its command and its image.
        summary: one sentence: what it computes.
        unit: what one run covers.
        reads: artifacts without which it cannot run. A scene stage that reads a video artifact gets it from every
            video that has one, and learns which have none.
        may_read: artifacts that it uses when they are there.
        writes: artifacts that it may publish, and nobody else; whatever else lies in their places is set aside.
        run: does the work, on local files only.
        options: a frozen dataclass made with `option`.
        source: whether it opens the recordings themselves (needs the data root).
        checkpoints: whether it keeps what it has done for the next attempt (`Workspace.checkpoints`).
        history: whether it shows what happened to the other stages (the report): their records are part of its inputs.
        resources: what one unit asks for.
        weights: names of the model files that the options call for.
        uses_gpu: whether a unit with these options works on an NVIDIA GPU where there is one.
        without_effect: names of the options that do not change the result, given the others: the prompt of a backend
            that reads none, the device. Where they differ, a result is still up to date.
        model_paths: the options that name models of the user's own: files, or checkouts of code. Their content counts
            for the result, where they lie does not.
        packages: installed distributions whose versions can change the result.
        model_packages: the same for those that only some choice of options calls for.
    """

    name: str
    summary: str
    unit: Unit
    reads: tuple[Artifact, ...]
    writes: tuple[Artifact, ...]
    run: Callable[[Workspace, Any], None]
    options: type = NoOptions
    may_read: tuple[Artifact, ...] = ()
    source: bool = False
    checkpoints: bool = False
    history: bool = False
    resources: Resources = Resources()
    weights: Callable[[Any], tuple[str, ...]] = _nothing
    uses_gpu: Callable[[Any], bool] = _no_gpu
    without_effect: Callable[[Any], tuple[str, ...]] = _nothing
    model_paths: Callable[[Any], tuple[str, ...]] = _nothing
    packages: tuple[str, ...] = ("numpy",)
    model_packages: Callable[[Any], tuple[str, ...]] = _nothing

    @property
    def uses_models(self) -> bool:
        """Whether some choice of options calls for model files."""
        return self.weights is not _nothing

    def option_spec(self, name: str) -> OptionSpec:
        """How one of its options is declared."""
        return next(spec for spec in option_specs(self.options) if spec.name == name)

    def make_options(self, values: Mapping[str, object]) -> Any:  # noqa: ANN401 - an instance of self.options
        """The options with `values` in place of defaults, checked, each alone and together. Raises UsageError."""
        specs = {spec.name: spec for spec in option_specs(self.options)}
        for name, value in values.items():
            if name not in specs:
                raise UsageError(f"{self.name} has no option {name!r}. See `python -m stages.{self.name} --help`.")
            specs[name].check(value)
        return self.options(**values)
