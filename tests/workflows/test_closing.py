from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from common import harness
from common.artifacts import Unit
from common.errors import BadInput, ExitCode, ModelUnavailable
from common.manifest import read_failure
from common.stage import Stage
from common.weights.hub_lock import HubFile, HubModel
from common.weights.lock import weights_lock
from common.weights.pins import PINS, Pin, render
from tests.sample_stages import CHAIN, DIARY, HEADS, LISTING, MARKS, TOGETHER, Bench
from workflows import cli
from workflows.closing import EngineFailure, close, engine_failures_of
from workflows.units import Asked, State, UnitRun


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr("common.plan._weight_digests", lambda names: dict.fromkeys(names, "digest"))
    bench = Bench(tmp_path)
    bench.record(cam01="one", cam02="two")
    return bench


def closed(
    bench: Bench, *, failures: Sequence[EngineFailure] = (), options: dict[str, object] | None = None
) -> dict[str, UnitRun]:
    task = bench.task(LISTING)
    assert task.data is not None
    asked = Asked(task.data, bench.output, options or {}, (*CHAIN, DIARY))
    return {
        f"{u.stage.name}/{u.video}" if u.video else u.stage.name: u for u in close(asked, "take", failures=failures)
    }


def states(units: dict[str, UnitRun]) -> dict[str, State]:
    return {name: unit.state for name, unit in units.items()}


def forget(bench: Bench, stage: Stage, video: str) -> None:
    """What a process that was killed leaves: no result, no reason."""
    bench.output.remove(f"take/_manifests/{stage.name}/{video}.json")


def test_a_run_in_which_everything_went_well_is_done_and_reported(bench: Bench):
    bench.run()
    units = closed(bench)
    assert set(states(units).values()) == {State.DONE}
    assert list(units)[-1] == "diary"
    assert (bench.results / "report.html").exists()


def test_a_unit_that_was_killed_gets_a_record_with_what_the_engine_says(bench: Bench):
    bench.run()
    forget(bench, MARKS, "cam02")
    said = '[{"displayName": "marks(1)", "templateName": "marks", "message": "OOMKilled (exit code 137)"},' + (
        '{"displayName": "heads(0)", "templateName": "heads", "message": "of somebody else"}]'
    )
    units = closed(bench, failures=engine_failures_of(said))
    assert {name for name, unit in units.items() if not unit.state.good} == {"marks/cam02", "together"}
    failure = read_failure(bench.output, "take", "marks", "cam02")
    assert failure is not None
    assert failure.exit_code == ExitCode.TEMPORARY
    assert "killed" in failure.message
    assert "marks(1): OOMKilled" in failure.message
    assert "somebody else" not in failure.message


def test_what_follows_a_failure_of_its_own_video_is_not_run_rather_than_failed(bench: Bench):
    bench.record(cam02="broken")
    bench.execute(LISTING)
    bench.execute(HEADS, "cam01")
    bench.execute(MARKS, "cam01")
    with pytest.raises(BadInput):
        bench.execute(HEADS, "cam02")
    bench.execute(TOGETHER)
    units = closed(bench)
    assert (units["heads/cam02"].state, units["heads/cam02"].exit_code) == (State.FAILED, ExitCode.BAD_INPUT)
    assert "broken" in units["heads/cam02"].message
    assert (units["marks/cam02"].state, units["marks/cam02"].message) == (State.BLOCKED, "heads failed")
    assert units["together"].state is State.DONE
    assert read_failure(bench.output, "take", "marks", "cam02") is None


def test_an_older_result_made_with_other_options_is_not_this_runs(bench: Bench):
    bench.run()
    units = closed(bench, options={"times": 2})
    assert units["marks/cam01"].state is State.FAILED
    assert "made with other options" in units["marks/cam01"].message
    assert read_failure(bench.output, "take", "marks", "cam01") is None, "it is a result all the same"
    assert set(states(closed(bench)).values()) == {State.DONE}, "asked for with its own options it counts"
    bench.options = {"marks": {"times": 2}}
    bench.run()
    assert set(states(closed(bench, options={"times": 2})).values()) == {State.DONE}


def test_versions_of_packages_that_this_image_does_not_have_do_not_matter(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    bench.run()
    monkeypatch.setattr("common.fingerprint.version", lambda name: "another")
    assert closed(bench)["marks/cam01"].state is State.DONE
    assert harness.finished(bench.task(MARKS, "cam01"), harness.plan(bench.task(MARKS, "cam01"))) is None


def unpinned_model() -> HubModel:
    """One of which the first fetch decides what it has to be."""
    return next(model for model in weights_lock().models if not model.is_pinned)


def test_models_that_were_pinned_by_the_first_fetch_are_known_to_the_close_where_it_is_told_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    model, weights = unpinned_model(), tmp_path / "weights"
    files = {path: file or HubFile(3, "0" * 64) for path, file in model.files.items()}
    weights.mkdir()
    pin = Pin(model.repository, model.revision or "1" * 40, "2026-11-21", files)
    (weights / PINS).write_bytes(render({model.name: pin}))
    marks = dataclasses.replace(MARKS, weights=lambda options: (model.name,))
    stages = tuple(marks if stage is MARKS else stage for stage in CHAIN)
    bench = Bench(tmp_path)
    bench.record(cam01="one")
    monkeypatch.setenv("GHOST_WEIGHTS", str(weights))
    for stage in stages:
        bench.execute(stage, "cam01" if stage.unit is Unit.VIDEO else None)
    monkeypatch.setenv("GHOST_WEIGHTS", str(tmp_path / "none"))
    monkeypatch.setattr(cli, "_stages", lambda vis, options: (*stages, DIARY))
    monkeypatch.setattr("workflows.display._STAGES", tuple(stage.name for stage in (*stages, DIARY)))
    command = ["close", f"--data-root={tmp_path / 'data'}", f"--output-root={tmp_path / 'out'}", "--scene=take"]
    there = CliRunner().invoke(cli.ghost, [*command, f"--weights={weights}"], standalone_mode=False)
    assert there.return_value == ExitCode.DONE, there.output
    monkeypatch.setenv("GHOST_WEIGHTS", str(tmp_path / "none"))
    elsewhere = CliRunner().invoke(cli.ghost, command, standalone_mode=False)
    assert elsewhere.return_value == ExitCode.SOME_FAILED
    assert "FAILED   marks take/cam01 (exit 69)" in elsewhere.output
    assert read_failure(bench.output, "take", "marks", "cam01") is None, "a result that is there is not to blame"


def test_a_unit_without_a_result_whose_model_is_not_there_failed_for_that(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    bench.run()
    forget(bench, MARKS, "cam02")

    def missing(names: tuple[str, ...]) -> dict[str, str]:
        raise ModelUnavailable("the model was not fetched yet")

    monkeypatch.setattr("common.plan._weight_digests", lambda names: missing(names) if names else {})
    closed(bench)
    failure = read_failure(bench.output, "take", "marks", "cam02")
    assert failure is not None
    assert (failure.exit_code, failure.message) == (ExitCode.MODEL_UNAVAILABLE, "the model was not fetched yet")
    assert read_failure(bench.output, "take", "marks", "cam01") is None


def test_a_scene_without_its_list_of_videos_is_reported_too(bench: Bench):
    units = closed(bench)
    assert states(units) == {"listing": State.FAILED, "together": State.BLOCKED, "diary": State.DONE}


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        (json.dumps("[]"), []),
        (
            json.dumps(json.dumps([{"displayName": "body(0:cam01)", "message": "OOMKilled"}])),
            ["body(0:cam01): OOMKilled"],
        ),
        (json.dumps([{"displayName": "a", "message": "b"}]), ["a: b"]),
        ("null", []),
        ("{{workflow.failures}}", ["{{workflow.failures}}"]),
        ('[{"x": 1}]', ['[{"x": 1}]']),
    ],
)
def test_what_argo_says_is_unpacked_as_far_as_it_can_be(text: str, lines: list[str]):
    assert [failure.text for failure in engine_failures_of(text)] == lines


def test_the_name_that_slurm_gives_a_job_says_stage_and_video():
    (failure,) = engine_failures_of('[{"displayName": "body cam01", "message": "OUT_OF_MEMORY"}]')
    assert (failure.step, failure.video) == ("body", "cam01")


def test_a_killed_unit_that_comes_back_is_done_at_the_next_close(bench: Bench):
    bench.run()
    forget(bench, MARKS, "cam02")
    closed(bench)
    bench.run()
    assert set(states(closed(bench)).values()) == {State.DONE}
    assert set(states(closed(bench)).values()) == {State.DONE}, "closing twice changes nothing"
