"""The `ghost` command: run the pipeline on this machine, close a run on a cluster, look after the weights."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import click

from common.artifacts import PREVIEW
from common.command import CONTEXT, click_option, run_command, weights_option
from common.errors import ExitCode, GhostError, UsageError
from common.names import NAME_RULE, check_distinct, check_name, is_valid
from common.recordings import find_scenes
from common.stage import Stage
from common.storage.interface import Storage
from common.storage.open import open_storage
from common.weights.store import VARIABLE
from workflows import pipeline
from workflows.units import Asked, Request, is_complete, stage_options

_LOG = logging.getLogger("ghost")
_ORIGINAL_ONLY = {  # options of the original ghost that name models which the chosen backends do not use
    "sam2-checkpoint": "SAM 2 checkpoint",
    "model-cfg": "SAM 2 model configuration",
    "gdino-model-id": "Grounding DINO model",
    "box-threshold": "Grounding DINO box threshold",
    "sam3d-hf-repo": "SAM 3D Body repository",
}
_OWN = ("backend",)  # spelled by hand below because it can name a stage


@click.group(context_settings=dict(CONTEXT))
def ghost() -> None:
    """Who is where, in 3D, and when each camera started: for scenes recorded with several cameras."""


@ghost.command(context_settings=dict(CONTEXT))
@click.argument("data_root", required=False, metavar="DATA_ROOT")
@click.argument("output_dir", required=False, metavar="OUTPUT_DIR")
@click.option("--data-root", "data_option", metavar="DIR", help="The same as DATA_ROOT: DIR/<scene>/<camera>.mp4.")
@click.option(
    "--output-dir", "output_option", metavar="DIR", help="The same as OUTPUT_DIR: results go to DIR/<scene>/."
)
@click.option("--scene", "scenes", multiple=True, metavar="ID", help="Only this scene; can be given several times.")
@click.option("--slice", "first", type=click.IntRange(1), metavar="N", help="Only the first N scenes.")
@click.option(
    "--backend",
    "backends",
    multiple=True,
    metavar="[STAGE=]NAME",
    help="Models to use: embedded (CPU), fake (tests). For one stage: segment=fake.",
)
@click.option("--vis", is_flag=True, help="Also write <video>/segmentation.mp4 with masks, ids and skeletons.")
@click.option(
    "--jobs",
    type=click.IntRange(1),
    default=None,
    metavar="N",
    help="Processes at once. [default: one per core, as far as memory allows]",
)
@click.option("--force", is_flag=True, help="Run everything again, even what is up to date.")
@click.pass_context
def run(
    context: click.Context,
    /,
    data_root: str | None,
    output_dir: str | None,
    data_option: str | None,
    output_option: str | None,
    scenes: tuple[str, ...],
    first: int | None,
    backends: tuple[str, ...],
    vis: bool,
    jobs: int | None,
    force: bool,
    **values: Any,  # noqa: ANN401 - options of the stages, and the original's
) -> int:
    """Run every stage on the scenes in DATA_ROOT; results go to OUTPUT_DIR/<scene>/.

    DATA_ROOT holds one folder per scene, with one video per camera: DATA_ROOT/<scene>/<camera>.mp4.
    What is up to date is not run again, so the same command continues an interrupted run. One failed video
    or scene does not stop the others; the exit code is 1 if anything failed.

    \b
    ghost run recordings results
    ghost run recordings results --scene kitchen_03 --smooth --vis
    """  # noqa: D301 - click reads the \b that Python makes of it
    from workflows.display import Display, summary
    from workflows.local import LocalRun

    data = open_storage(_one_of(data_root, data_option, "DATA_ROOT"))
    output = open_storage(_one_of(output_dir, output_option, "OUTPUT_DIR"))
    options = _stage_options(context, values, backends)
    stages = _stages(vis, options)
    chosen = choose_scenes(data, wanted=scenes, first=first)
    check_writable(output)
    _share_scratch(data, output)
    request = Request(
        data,
        output,
        options,
        stages,
        chosen.accepted,
        jobs or default_jobs(usable_cores(), memory_gib()),
        gpu_count(),
        force,
    )
    local = LocalRun(request)
    try:
        with Display(local.units) as display:
            local.listener = display
            local.run()
    finally:
        sys.stdout.write(summary(local.units, output=output.uri, refused=chosen.refused) + "\n")
    return ExitCode.DONE if is_complete(local.units) and not chosen.refused else ExitCode.SOME_FAILED


@ghost.command(context_settings=dict(CONTEXT))
@click.option("--data-root", required=True, metavar="DIR", help="Where the recordings are: a folder, or s3://…")
@click.option("--output-root", required=True, metavar="DIR", help="Where the results are: a folder, or s3://…")
@click.option("--scene", required=True, metavar="ID", help="The scene.")
@click.option("--backend", "backends", multiple=True, metavar="[STAGE=]NAME", help="As in the run.")
@click.option("--vis/--no-vis", help="As in the run.")
@click.option("--engine-status", default="", metavar="TEXT", help="How the engine says that the run ended.")
@click.option("--engine-failures", default="", metavar="JSON", help="What Argo passes as {{workflow.failures}}.")
@click.pass_context
def close(
    context: click.Context,
    /,
    data_root: str,
    output_root: str,
    scene: str,
    backends: tuple[str, ...],
    vis: bool,
    engine_status: str,
    engine_failures: str,
    **values: Any,  # noqa: ANN401 - options of the stages
) -> int:
    """Say how a run on a cluster ended: judge every unit of a scene, write its report.

    Give it the options of the run. A result counts if it was made with them from what there is now; a unit that left
    neither a result nor a reason is recorded as killed. The exit code is 1 if anything is not done, so the engine that
    runs this as its last step knows that, too.
    """
    from workflows.closing import close as close_run
    from workflows.closing import engine_failures_of
    from workflows.display import summary

    options = _stage_options(context, values, backends)
    data, output, name = open_storage(data_root), open_storage(output_root), check_name(scene, kind="scene")
    failures = engine_failures_of(engine_failures)
    if engine_status:
        _LOG.info("the engine says: %s", engine_status)
    for failure in failures:
        _LOG.info("%s", failure.text)
    units = close_run(Asked(data, output, options, _stages(vis, options)), name, failures=failures)
    sys.stdout.write(summary(units, output=output.uri) + "\n")
    return ExitCode.DONE if is_complete(units) else ExitCode.SOME_FAILED


def _one_of(argument: str | None, option: str | None, name: str) -> str:
    if (argument is None) == (option is None):
        spelled = name.lower().replace("_", "-")
        raise click.UsageError(f"Give {name} once: as an argument or as --{spelled}. See 'ghost run --help'.")
    return argument or option or ""


def _stages(vis: bool, options: Mapping[str, Any]) -> tuple[Stage, ...]:
    """The stages that take part. Raises UsageError for an option that one of them cannot accept."""
    stages = tuple(stage for stage in pipeline.STAGES if vis or PREVIEW not in stage.writes)
    for stage in stages:
        stage.make_options(stage_options(stage, options))
    return stages


def _stage_options(context: click.Context, values: Mapping[str, Any], backends: tuple[str, ...]) -> dict[str, Any]:
    """The values for options of stages that were given; says so where one has no effect."""
    options: dict[str, Any] = {}
    for name, value in values.items():
        given = context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        spelled = name.replace("_", "-")
        if spelled in _ORIGINAL_ONLY:
            if given:
                _LOG.warning(
                    "--%s (%s) is accepted and has no effect: no chosen backend uses it.",
                    spelled,
                    _ORIGINAL_ONLY[spelled],
                )
        elif given:
            options[name] = value
    stages = pipeline.all_options()["backend"][1]
    for backend in backends:
        stage, mark, name = backend.rpartition("=")
        if mark and stage not in stages:
            raise UsageError(f"--backend {backend}: expected one of {', '.join(stages)} before '=', got {stage!r}.")
        options[f"{stage}.backend" if mark else "backend"] = name
    return options


@dataclass(frozen=True)
class Scenes:
    """The scenes of a run, and folders that cannot be scenes, each with the reason."""

    accepted: tuple[str, ...]
    refused: tuple[str, ...] = ()


def choose_scenes(data: Storage, *, wanted: tuple[str, ...], first: int | None) -> Scenes:
    """The scenes to run: those asked for, or all of the data root, in order.

    Folders found there whose names cannot be accepted, or differ only in the case of letters, are refused without
    stopping the others.

    Raises:
        UsageError: a name that was asked for cannot be accepted, or no folder's name can.
        BadInput: two names that were asked for differ only in the case of letters.
        InputMissing: there is no data root or no scene in it.
    """
    if wanted:
        names = [check_name(name, kind="scene") for name in dict.fromkeys(wanted)]
        check_distinct(names, kind="scene")
        refused: list[str] = []
    else:
        found = find_scenes(data)
        objections = {name: _objection(name, found) for name in found}
        names = [name for name in found if not objections[name]]
        refused = [objection for objection in objections.values() if objection]
        if not names:
            raise UsageError(f"{data.uri}: {refused[0]} Rename the folder, then run again.")
    return Scenes(tuple(names[:first]), tuple(refused))


def _objection(name: str, found: Sequence[str]) -> str:
    """Why a folder among those found cannot be a scene; empty if it can."""
    if not is_valid(name):
        return f"scene name {name!r} is not accepted: use {NAME_RULE}."
    twins = [other for other in found if other != name and other.lower() == name.lower()]
    if twins:  # they share a folder on some disks
        return f"scene name {name!r} is not accepted: it differs from {twins[0]!r} only in the case of letters."
    return ""


def check_writable(output: Storage) -> None:
    """Tries to write to the output root, now rather than after an hour of work.

    Raises:
        DiskError: nothing can be written there.
        TemporaryFailure: not now.
    """
    probe = ".ghost-write-test"
    try:
        output.write(probe, b"")
        output.remove(probe)
    except GhostError as error:
        raise type(error)(f"{output.uri} cannot be written to: {error}") from error


def _share_scratch(*places: Storage) -> None:
    """Lets the processes of a run share what they download: a recording is read by three stages and the report."""
    from common.storage.scratch import FOLDER, Scratch

    remote = [*(place.uri for place in places), os.environ.get(VARIABLE, "")]
    if any("://" in place for place in remote) and not os.environ.get(FOLDER):
        os.environ[FOLDER] = str(Scratch().folder)  # gone with this process


def usable_cores() -> int:
    """Cores that this process may use: a scheduler may have given it fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_gib() -> float:
    """Memory of this machine."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30)


def default_jobs(cores: int, gib: float) -> int:
    """Processes at once: one per core, unless the memory that stages declare does not suffice for that many."""
    return max(1, min(cores, int(gib / max(stage.resources.memory_gib for stage in pipeline.STAGES))))


def gpu_count() -> int:
    """GPUs that the driver shows, without importing a framework."""
    return len(list(Path("/proc/driver/nvidia/gpus").glob("*")))


def _add_declared_options() -> None:
    """Every option of every stage is an option of `ghost run` and `close`; of the first also the original's others."""
    for command in (run, close):
        for name, (spec, stages) in pipeline.all_options().items():
            if name not in _OWN:
                option = click_option(spec)
                option.help = f"{option.help} ({', '.join(stages)})"
                command.params.append(option)
    for command in (run, weights_fetch, weights_list):
        command.params.append(weights_option())
    for name in _ORIGINAL_ONLY:
        run.params.append(click.Option([f"--{name}"], hidden=True))


@ghost.group(context_settings=dict(CONTEXT))
def weights() -> None:
    """Model files: fetched once, verified, then used offline."""


@weights.command("fetch")
@click.option("--backend", metavar="NAME", help="Only the models of this backend. [default: all]")
def weights_fetch(backend: str | None) -> None:
    """Download, verify and store the model files that the lock file names."""
    from common.weights.commands import fetch

    for path in fetch(backend):
        _LOG.info("%s", path)


@weights.command("list")
def weights_list() -> None:
    """Show every model file: whether it is here, where it comes from, its licence."""
    from common.weights.commands import listing

    for row in listing():
        size = f"{row.size / 1e6:.1f} MB"
        sys.stdout.write(f"{row.name:<20} {row.state:<9} {size:>8}  {', '.join(row.backends):<10} {row.licence}\n")
        sys.stdout.write(f"{'':<20} {row.source}; {row.notice}\n{'':<20} {row.file}\n")


_add_declared_options()


def main() -> NoReturn:
    """The `ghost` command."""
    run_command(ghost)
