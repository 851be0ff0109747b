"""The command line of a stage, made from its declaration: `python -m stages.sync --help`."""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import click

from common import harness
from common.artifacts import SCENE, Artifact
from common.errors import ExitCode, GhostError, Terminated, from_os_error
from common.names import check_name
from common.published import Published
from common.signals import signals_as_errors
from common.stage import OptionSpec, Stage, Unit, option_specs
from common.storage.open import open_storage
from common.weights.store import VARIABLE

_LOG = logging.getLogger("ghost")


def underscores_too(token: str) -> str:
    """Lets `--sam3d_step` stand for `--sam3d-step`."""
    return token.replace("_", "-")


CONTEXT = {"token_normalize_func": underscores_too, "help_option_names": ["-h", "--help"], "max_content_width": 110}


def click_option(spec: OptionSpec) -> click.Option:
    """The click option for a declared one."""
    text = spec.help + (f" [{spec.unit}]" if spec.unit else "")
    if spec.type is bool:
        return click.Option([f"{spec.flag}/--no-{spec.flag[2:]}"], default=spec.default, help=text, show_default=True)
    kind: Any = click.Choice(spec.choices) if spec.choices else spec.type
    return click.Option([spec.flag], type=kind, default=spec.default, help=text, show_default=True)


def weights_option() -> click.Option:
    """--weights, which for this process and its children stands above the environment."""

    def choose(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
        if value:
            os.environ[VARIABLE] = value

    text = (
        f"Where the model files are: a folder, or s3://… [default: ${VARIABLE}, else ghost/weights in the user's cache]"
    )
    return click.Option(["--weights"], expose_value=False, callback=choose, help=text)


def stage_command(stage: Stage) -> click.Command:
    """A command that runs one unit of a stage."""

    def run(
        output_root: str, scene: str, data_root: str | None, video: str | None, force: bool, **values: object
    ) -> None:
        task = harness.Task(
            stage=stage,
            output=open_storage(output_root),
            scene=check_name(scene, kind="scene"),
            video=None if video is None else check_name(video, kind="video"),
            options=stage.make_options(values),
            data=None if data_root is None else open_storage(data_root),
        )
        outcome = harness.execute(task, force=force)
        found = ", ".join(f"{name} {value}" for name, value in outcome.manifest.found.items())
        _LOG.info("%s: %s%s", task.title, outcome.status.value, f" ({found})" if found else "")
        if SCENE in stage.writes:
            # Engines run the next stages once for each of them: Argo reads the list, and so does the SLURM driver.
            videos = Published(task.output, task.scene).load_scene().videos
            sys.stdout.write(json.dumps(sorted(videos)) + "\n")

    parameters: list[click.Parameter] = [
        click.Option(["--output-root", "--output-dir"], required=True, help="Where results go: OUTPUT_ROOT/<scene>/…"),
        click.Option(["--scene"], required=True, help="Name of the scene: its folder in the data root."),
    ]
    if stage.unit is Unit.VIDEO:
        parameters.append(
            click.Option(["--video"], required=True, help="Id of the video: its file name without extension.")
        )
    if stage.source:
        parameters.append(
            click.Option(
                ["--data-root"], required=True, help="Where the recordings are: DATA_ROOT/<scene>/<camera>.mp4"
            )
        )
    if stage.uses_models:
        parameters.append(weights_option())
    parameters += [click_option(spec) for spec in option_specs(stage.options)]
    parameters.append(click.Option(["--force"], is_flag=True, help="Run even if the result is up to date."))

    def callback(**values: Any) -> None:  # noqa: ANN401 - what click parsed
        values = {"data_root": None, "video": None, **values}
        run(**values)

    return click.Command(
        f"python -m stages.{stage.name}",
        callback=callback,
        params=parameters,
        help=_help(stage),
        epilog=_epilog(stage),
        context_settings=dict(CONTEXT),
    )


def _help(stage: Stage) -> str:
    def rows(artifacts: Sequence[Artifact]) -> str:
        return "\n".join(
            f"  {('<video>/' if a.unit is Unit.VIDEO else '') + a.path:<32} {a.summary}" for a in artifacts
        )

    parts = [stage.summary, f"Covers one {stage.unit.value}: does nothing if the result is up to date."]
    if SCENE in stage.writes:
        parts.append("Prints the ids of the scene's videos: one JSON list.")
    for title, artifacts in (("Reads", stage.reads), ("Uses, if there", stage.may_read), ("Writes", stage.writes)):
        if artifacts:
            parts.append(f"\b\n{title}:\n{rows(artifacts)}")
    return "\n\n".join(parts)


def _epilog(stage: Stage) -> str:
    example = f"python -m stages.{stage.name} --output-root=results --scene=kitchen"
    example += " --video=cam01" if stage.unit is Unit.VIDEO else ""
    example += " --data-root=recordings" if stage.source else ""
    codes = "\n".join(f"  {code.value:>3}  {code.meaning}" for code in ExitCode if code is not ExitCode.SOME_FAILED)
    return f"\b\nExample:\n  {example}\n\n\b\nExit codes:\n{codes}"


def main(stage: Stage) -> NoReturn:
    """The entrypoint of a stage. Ends the process with an ExitCode."""
    run_command(stage_command(stage))


def run_command(command: click.Command, arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs a click command the way all ghost processes run: logs on stderr, signals handled, errors as exit codes."""
    configure_logging()
    code = exit_code_of(lambda: _run_with_signals(command, arguments))
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # `ghost … | head`; without this Python complains once more when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _run_with_signals(command: click.Command, arguments: Sequence[str] | None) -> Any:  # noqa: ANN401 - what a command returns
    with signals_as_errors():
        return command.main(args=arguments, standalone_mode=False)


def exit_code_of(work: Callable[[], object]) -> int:
    """Does the work and turns how it ends into an exit code, with one line on stderr for errors that ghost knows."""
    try:
        result = work()
    except click.ClickException as error:
        error.show(sys.stderr)
        return ExitCode.USAGE
    except (KeyboardInterrupt, click.Abort, Terminated) as error:
        _LOG.error("%s", str(error) or "stopped")
        return ExitCode.TERMINATED
    except GhostError as error:
        _LOG.error("%s: %s", type(error).__name__, error)
        return error.exit_code
    except BrokenPipeError:
        return ExitCode.DONE  # whoever read our output has seen enough
    except OSError as error:
        known = from_os_error(error)
        _LOG.error("%s: %s", type(known).__name__, known)
        return known.exit_code
    except Exception:  # noqa: BLE001 - the one place where anything else becomes "a bug, please report"
        traceback.print_exc()
        _LOG.error("This is a bug in ghost. Please report the lines above, with the versions in _manifests/.")
        return ExitCode.BUG
    return result if isinstance(result, int) else ExitCode.DONE


def configure_logging() -> None:
    """Plain lines on stderr, one clock, no colours: what the log of a pod or a job should look like.

    The level is $GHOST_LOG, INFO by default.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname).1s %(message)s", datefmt="%H:%M:%S"))
    level = logging.getLevelNamesMapping().get(os.environ.get("GHOST_LOG", "INFO").upper())
    _LOG.handlers[:] = [handler]
    _LOG.setLevel(logging.INFO if level is None else level)
    _LOG.propagate = False
