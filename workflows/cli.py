"""The `ghost` command: run the pipeline on this machine, close a run on a cluster, look after the weights."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
_ORIGINAL_ONLY = {  # options of the original ghost that say where models are, and what says so here
    "sam2-checkpoint": "SAM 2 is chosen by --tracker",
    "model-cfg": "SAM 2 is chosen by --tracker",
    "gdino-model-id": "Grounding DINO is chosen by --detector",
    "sam3d-hf-repo": "SAM 3D Body is fetched by `ghost weights fetch --backend sam3d-body`",
}


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
    help="Models to use, in every stage that has them under that name: embedded (CPU), fake (tests), gdino-sam2 … "
    "For one stage: --segment-backend=NAME, or --backend segment=NAME.",
)
@click.option("--vis", is_flag=True, help="Also write <video>/segmentation.mp4 with masks, ids and skeletons.")
@click.option(
    "--jobs",
    type=click.IntRange(1),
    default=None,
    metavar="N",
    help="Processes at once. [default: one per core that no GPU keeps busy, as far as memory allows]",
)
@click.option(
    "--gpus",
    type=click.IntRange(0),
    default=None,
    metavar="N",
    help="GPUs to spread videos over, one process on each; 0: none. [default: all that can be seen]",
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
    gpus: int | None,
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
    from workflows.machine import default_jobs, memory_gib, usable_cores
    from workflows.run_needs import check_run

    data = open_storage(_one_of(data_root, data_option, "DATA_ROOT"))
    output = open_storage(_one_of(output_dir, output_option, "OUTPUT_DIR"))
    options = _stage_options(context, values, backends)
    stages = _stages(vis, options)
    _check_device(stages, options)
    chosen = choose_scenes(data, wanted=scenes, first=first)
    check_writable(output)
    check_run(Asked(data, output, options, stages), chosen.accepted, force=force)
    _share_scratch(data, output)
    found = _gpus(gpus, stages, options)
    most = jobs or default_jobs(stages, options, cores=usable_cores(), gib=memory_gib(), gpus=found)
    request = Request(data, output, options, stages, chosen.accepted, most, found, force)
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


def _check_device(stages: Sequence[Stage], options: Mapping[str, Any]) -> None:
    """Raises UsageError for a device that no backend of the run could use. If one could, the others stay on the CPU."""
    from workflows.machine import made_for_gpu

    device = options.get("device", "auto")
    if device in ("auto", "cpu") or any(made_for_gpu(stage, options) for stage in stages):
        return
    backends = {stage.name: pipeline.gpu_backends(stage) for stage in stages}
    others = ", ".join(f"--{name}-backend {'|'.join(on_gpu)}" for name, on_gpu in backends.items() if on_gpu)
    raise UsageError(f"--device {device}: the chosen backends run on the CPU only. Others are: {others}.")


def _stage_options(context: click.Context, values: Mapping[str, Any], backends: tuple[str, ...]) -> dict[str, Any]:
    """The values for options of stages that were given, by the options' keys; says so where one has no effect."""
    options: dict[str, Any] = {}
    keys = {spec.name: key for key, (spec, _) in pipeline.all_options().items()}
    for name, value in values.items():
        given = context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        spelled = name.replace("_", "-")
        if spelled in _ORIGINAL_ONLY:
            if given:
                _LOG.warning("--%s is accepted and has no effect: %s.", spelled, _ORIGINAL_ONLY[spelled])
        elif given:
            options[keys[name]] = value
    return {**_backends(backends), **options}


def _backends(given: tuple[str, ...]) -> dict[str, str]:
    """What --backend stands for: STAGE=NAME for that stage, NAME for every stage that has a backend of that name.

    Raises:
        UsageError: no stage has it.
    """
    choices = {
        stages[0]: spec.choices for key, (spec, stages) in pipeline.all_options().items() if key.endswith(".backend")
    }
    known = ", ".join(dict.fromkeys(choice for names in choices.values() for choice in names))
    plain: dict[str, str] = {}
    by_stage: dict[str, str] = {}
    for backend in given:
        stage, mark, name = backend.rpartition("=")
        if mark and stage not in choices:
            raise UsageError(f"--backend {backend}: expected one of {', '.join(choices)} before '=', got {stage!r}.")
        having = [one for one, names in choices.items() if name in names and stage in ("", one)]
        if not having:
            there = ", ".join(choices[stage]) if mark else known
            raise UsageError(f"--backend {backend}: expected one of {there}, got {name!r}.")
        (by_stage if mark else plain).update({f"{one}.backend": name for one in having})
    return {**plain, **by_stage}


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


def _gpus(wanted: int | None, stages: Sequence[Stage], options: Mapping[str, Any]) -> tuple[str, ...]:
    """The GPUs that the run uses; nobody looks for any if no unit would use one.

    Raises:
        UsageError: there are not as many as wanted.
    """
    from common.device_names import REQUIRE_GPU
    from common.gpus import VARIABLE, visible_gpus
    from workflows.machine import choose_gpus, may_use_gpus

    if wanted == 0:
        os.environ |= {VARIABLE: "", REQUIRE_GPU: "0"}  # for the processes of units, where torch would find one
    if not wanted and (wanted == 0 or not may_use_gpus(stages, options)):
        return ()
    chosen = choose_gpus(wanted, visible_gpus())
    if wanted:
        os.environ[REQUIRE_GPU] = "1"  # for the same: whoever asks for GPUs does not want the CPU instead
    return chosen


def _share_scratch(*places: Storage) -> None:
    """Lets the processes of a run share what they download: a recording is read by three stages and the report."""
    from common.storage.scratch import FOLDER, Scratch

    remote = [*(place.uri for place in places), os.environ.get(VARIABLE, "")]
    if any("://" in place for place in remote) and not os.environ.get(FOLDER):
        os.environ[FOLDER] = str(Scratch().folder)  # gone with this process


def _add_declared_options() -> None:
    """Gives the options of all stages to every command that concerns a run, and the original's others to `run`."""
    for command in (run, close, weights_for_run, weights_check):
        for spec, stages in pipeline.all_options().values():
            option = click_option(spec)
            option.help = f"{option.help} ({', '.join(stages)})"
            command.params.append(option)
    for command in (run, close, weights_fetch, weights_for_run, weights_check, weights_list, weights_pin):
        command.params.append(weights_option())
    for name in _ORIGINAL_ONLY:
        run.params.append(click.Option([f"--{name}"], hidden=True))


@ghost.group(context_settings=dict(CONTEXT))
def weights() -> None:
    """Model files: fetched once, verified, then used offline."""


@weights.command("fetch")
@click.option("--backend", metavar="NAME", help="Only what this backend uses. [default: all that registries have]")
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME",
    help="A model of the Hugging Face Hub, instead of those that the backend uses by default; can be given several "
    "times. See 'ghost weights list'.",
)
def weights_fetch(backend: str | None, models: tuple[str, ...]) -> None:
    """Download, verify and store the model files that the lock file names.

    Models of the Hugging Face Hub are gigabytes, and are fetched only for a --backend or a --model that is named. What
    the lock file leaves open of them is recorded at the first fetch, in pins.json, and has to stay as it was. For
    gated models export HF_TOKEN.

    \b
    ghost weights fetch
    ghost weights fetch --backend gdino-sam2
    ghost weights fetch --backend gdino-sam2 --model sam2.1-hiera-small
    """  # noqa: D301 - click reads the \b that Python makes of it
    from common.weights.commands import fetch

    for path in fetch(backend, models):
        _LOG.info("%s", path)


@weights.command("for-run")
@click.option("--backend", "backends", multiple=True, metavar="[STAGE=]NAME", help="As in the run.")
@click.pass_context
def weights_for_run(
    context: click.Context,
    /,
    backends: tuple[str, ...],
    **values: Any,  # noqa: ANN401 - options of the stages
) -> None:
    """Fetch what a run with these options needs, and nothing else: give it the options of the run.

    The first step of a run on a cluster, before many processes ask for the same files.
    """
    from workflows.run_weights import fetch_for

    for place in fetch_for(pipeline.STAGES, _stage_options(context, values, backends)):
        _LOG.info("%s", place)


@weights.command("check")
@click.option("--backend", "backends", multiple=True, metavar="[STAGE=]NAME", help="As in the run.")
@click.option("--quick", is_flag=True, help="Names and sizes alone, without reading the files.")
@click.pass_context
def weights_check(
    context: click.Context,
    /,
    backends: tuple[str, ...],
    quick: bool,
    **values: Any,  # noqa: ANN401 - options of the stages
) -> None:
    """Look whether all that a run with these options needs is there, without the Hub; exit code 69 if not.

    Every file is read, and compared with what it is pinned to: gigabytes, a second for each on a local disk. Give it
    the options of the run.
    """
    from workflows.run_needs import check_models

    check_models(pipeline.STAGES, _stage_options(context, values, backends), quick=quick)


@weights.command("list")
def weights_list() -> None:
    """Show every model: whether it is here, where it comes from, who pinned it, its licence."""
    from common.weights.commands import listing

    for row in listing():
        size = f"{row.size / 1e6:.1f} MB" if row.size else ""
        gated = "; gated" if row.is_gated else ""
        sys.stdout.write(f"{row.name:<22} {row.state:<9} {size:>9}  {', '.join(row.backends):<10} {row.licence}\n")
        sys.stdout.write(f"{'':<22} {row.pinned}{gated}; {row.source}\n{'':<22} {row.notice}\n{'':<22} {row.file}\n")


@weights.command("pin")
@click.option("--backend", metavar="NAME", help="Only the models of this backend.")
@click.option("--model", "models", multiple=True, metavar="NAME", help="Only this model; can be given several times.")
def weights_pin(backend: str | None, models: tuple[str, ...]) -> None:
    """Print models with all that was pinned here, as JSON for "models" in common/weights/lock.json.

    For maintainers: what is there is pinned for everybody, and needs no pins.json.
    """
    from common.weights.commands import pin

    sys.stdout.write(json.dumps(pin(backend, models), indent=2) + "\n")


_add_declared_options()


def main() -> NoReturn:
    """The `ghost` command."""
    run_command(ghost)
