import errno
import logging
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest

from common import command
from common.artifacts import MASKS, REPORT, SCENE
from common.errors import BadInput, ExitCode, GhostError, TemporaryFailure
from common.stage import Stage, Unit, option
from common.workspace import Workspace
from tests.faults.unit import ROOT, SlowUnit
from tests.sample_stages import LISTING, Bench

CHEAP = {  # what `--help` may load besides the standard library and ghost's own `common` and `stages`
    "click",
    "typing_extensions",
}
STAGES = sorted(path.parent.name for path in (ROOT / "stages").glob("*/stage.py"))


@dataclass(frozen=True)
class Options:
    max_offset: float = option(60.0, help="Largest difference.", unit="s", minimum=0.1)
    backend: str = option("fake", help="Models.", choices=("fake", "sam3d-body"))
    smooth: bool = option(False, help="Smooth.")
    note: str = option("", help="Anything.")


def make(seen: list[Any], unit: Unit = Unit.SCENE) -> Stage:
    def run(workspace: Workspace, options: Options) -> None:
        seen.append(options)
        workspace.output(REPORT).write_text("x")
        workspace.found["people"] = 2

    writes = (REPORT,) if unit is Unit.SCENE else (MASKS,)
    return Stage("sample", "Does a thing.", unit, reads=(), may_read=(SCENE,), writes=writes, run=run, options=Options)


def invoke(stage: Stage, tmp_path: Path, *arguments: str, scene: str = "take") -> int:
    arguments = (f"--output-root={tmp_path / 'out'}", f"--scene={scene}", *arguments)
    return command.exit_code_of(lambda: command.stage_command(stage).main(args=list(arguments), standalone_mode=False))


def test_options_reach_the_stage_and_the_result_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[Any] = []
    with caplog.at_level(logging.INFO, logger="ghost"):
        assert invoke(make(seen), tmp_path, "--max-offset=5", "--smooth", "--backend=sam3d-body") == 0
        assert invoke(make(seen), tmp_path, "--max-offset=5", "--smooth", "--backend=sam3d-body") == 0
    assert seen == [Options(max_offset=5.0, smooth=True, backend="sam3d-body")]
    assert caplog.messages == ["sample take: done (people 2)", "sample take: up to date (people 2)"]


def test_the_stage_that_lists_the_videos_prints_them_as_one_json_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = Bench(tmp_path)
    bench.record(cam02="b", cam01="a")
    arguments = [f"--output-root={tmp_path}/out", f"--data-root={tmp_path}/data", "--scene=take"]
    for _ in ("when it runs", "when it is up to date"):
        command.stage_command(LISTING).main(arguments, standalone_mode=False)
        assert capsys.readouterr().out == '["cam01", "cam02"]\n'


def test_underscores_are_accepted_in_option_names_and_left_alone_in_values(tmp_path: Path) -> None:
    seen: list[Any] = []
    assert invoke(make(seen), tmp_path, "--max_offset", "5", "--no_smooth", "--note=a_b", scene="my_take") == 0
    assert seen == [Options(max_offset=5.0, note="a_b")]
    assert (tmp_path / "out" / "my_take" / "report.html").exists()


@pytest.mark.parametrize(
    "note", ["$(touch PWNED)", "`touch PWNED`", "; touch PWNED", "'\"\n", "--output-root=/etc", "{{x}}"]
)
def test_values_are_never_interpreted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, note: str) -> None:
    monkeypatch.chdir(tmp_path)
    seen: list[Any] = []
    assert invoke(make(seen), tmp_path, "--note", note) == 0
    assert seen[0].note == note
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--unknown",),
        ("--max-offset=near",),
        ("--max-offset=0",),
        ("--max-offset=nan",),
        ("--max-offset=inf",),
        ("--backend=other",),
        ("--video=cam01",),
        ("surplus",),
        ("--scene",),
    ],
)
def test_usage_errors_end_with_64_and_run_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    seen: list[Any] = []
    assert invoke(make(seen), tmp_path, *arguments) == ExitCode.USAGE
    assert seen == []
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "name", ["..", "a b", "'x'", '"x"', "$(x)", "a\nb", "x" * 300, "", "-x", "--force", "a/b", "/etc"]
)
def test_names_that_do_harm_end_with_64(tmp_path: Path, name: str) -> None:
    seen: list[Any] = []
    assert invoke(make(seen), tmp_path, scene=name) == ExitCode.USAGE
    video = make(seen, Unit.VIDEO)
    assert invoke(video, tmp_path, "--video", name) == ExitCode.USAGE
    assert seen == []
    assert not (tmp_path / "out").exists()


def test_an_empty_output_root_does_not_mean_the_current_folder(tmp_path: Path) -> None:
    assert invoke(make([]), tmp_path, "--output-root=") == ExitCode.USAGE


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (BadInput("cam01.mp4: cut short."), 65, "BadInput: cam01.mp4: cut short."),
        (TemporaryFailure("again"), 75, "TemporaryFailure: again"),
        (GhostError("a bug that we know"), 70, "GhostError: a bug that we know"),
        (OSError(errno.ENOSPC, "No space left on device", "/x"), 74, "DiskError: /x: No space left on device"),
        (KeyboardInterrupt(), 143, "stopped"),
    ],
)
def test_an_error_that_ghost_knows_is_one_line_and_a_code(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, line: str
) -> None:
    def fail() -> None:
        raise error

    with caplog.at_level(logging.INFO, logger="ghost"):
        assert command.exit_code_of(fail) == code
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(line)
    assert capsys.readouterr() == ("", "")


def test_any_other_exception_is_a_bug_with_its_traceback(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert command.exit_code_of(lambda: {}["people"]) == ExitCode.BUG
    assert "KeyError: 'people'" in capsys.readouterr().err
    assert "Please report" in caplog.text


def test_a_click_error_shows_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise click.UsageError("no such thing")

    assert command.exit_code_of(fail) == ExitCode.USAGE
    assert "no such thing" in capsys.readouterr().err


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    def fail() -> None:
        raise BrokenPipeError

    assert command.exit_code_of(fail) == ExitCode.DONE


@pytest.mark.parametrize(
    ("level", "expected"), [("debug", logging.DEBUG), ("nonsense", logging.INFO), ("", logging.INFO)]
)
def test_the_level_of_the_log_comes_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, level: str, expected: int
) -> None:
    logger = logging.getLogger("ghost")
    for name, value in (("handlers", []), ("level", logging.NOTSET), ("propagate", True)):
        monkeypatch.setattr(logger, name, value)
    monkeypatch.setenv("GHOST_LOG", level)
    command.configure_logging()
    assert logger.level == expected


def help_of(stage: str) -> str:
    done = subprocess.run([sys.executable, "-m", f"stages.{stage}", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("stage", STAGES)
def test_help_teaches(stage: str) -> None:
    text = help_of(stage)
    for expected in (
        "Covers one",
        "Writes:",
        "Example:",
        f"python -m stages.{stage} --output-root=",
        "--force",
        "Exit codes:",
        "75  temporary",
    ):
        assert expected in text, f"{stage} --help lacks {expected!r}"
    assert max(map(len, text.splitlines())) <= 130


@pytest.mark.parametrize("stage", STAGES)
def test_help_loads_nothing_heavy(stage: str) -> None:
    """Half a second of numpy, OpenCV or boto3 is what makes a command line feel slow, and a pod start late."""
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['x', '--help']\n"
        "try:\n"
        f"    runpy.run_module('stages.{stage}', run_name='__main__')\n"
        "except SystemExit:\n"
        "    pass\n"
        "sys.stderr.write(' '.join(sorted({name.partition('.')[0] for name in sys.modules})))\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}"],
        capture_output=True,
        text=True,
    )
    loaded = {name for name in done.stderr.split() if not name.startswith("_")}
    assert "click" in loaded, done.stderr
    ours = {"common", "stages"}
    baseline = subprocess.run(
        [sys.executable, "-I", "-c", "import sys; print(*sys.modules)"], capture_output=True, text=True
    )
    already = {name.partition(".")[0] for name in baseline.stdout.split()}
    assert loaded - already - set(sys.stdlib_module_names) - ours <= CHEAP


def test_a_whole_process_reports_in_plain_lines_on_stderr(tmp_path: Path) -> None:
    unit = SlowUnit(tmp_path)
    code, errors = unit.run()
    assert code == 0
    assert len(errors.splitlines()) == 1
    assert errors.rstrip().endswith(" I slow take/cam01: done")
    code, errors = unit.run(files="many")
    assert code == 64
    assert "Invalid value for '--files': 'many' is not a valid integer" in errors
