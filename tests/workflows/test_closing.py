from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from common import harness
from common.errors import BadInput, ExitCode
from common.manifest import read_failure
from common.stage import Stage
from tests.sample_stages import CHAIN, DIARY, HEADS, LISTING, MARKS, TOGETHER, Bench
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
