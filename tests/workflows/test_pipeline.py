from __future__ import annotations

import dataclasses

import pytest

from common.artifacts import BODIES, MASKS, SCENE, Artifact
from common.stage import NoOptions, Stage, Unit, option
from workflows import pipeline


def stage(name: str, reads: tuple[Artifact, ...] = (), writes: tuple[Artifact, ...] = (), **more: object) -> Stage:
    return Stage(name=name, summary=name, unit=Unit.SCENE, reads=reads, writes=writes, run=lambda w, o: None, **more)


def names(stages: tuple[Stage, ...]) -> list[str]:
    return [s.name for s in stages]


def test_the_core_dag_follows_from_what_stages_read_and_write():
    by_name = {s.name: s for s in pipeline.STAGES}
    assert names(pipeline.upstream(by_name["ingest"])) == []
    assert names(pipeline.upstream(by_name["segment"])) == ["ingest", "frames"]
    assert names(pipeline.upstream(by_name["body"])) == ["ingest", "frames", "segment"]
    assert names(pipeline.upstream(by_name["sync"])) == ["ingest", "frames", "body"]


def test_a_stage_that_shows_history_comes_after_all_others():
    assert names(pipeline.upstream(pipeline.STAGES[-1])) == names(pipeline.STAGES[:-1])


def test_the_declared_order_is_sound():
    pipeline.check_order(pipeline.STAGES)


def test_a_reader_before_its_writer_is_refused():
    writer, reader = stage("writer", writes=(MASKS,)), stage("reader", reads=(MASKS,))
    pipeline.check_order((writer, reader))
    with pytest.raises(ValueError, match="reader reads what writer writes"):
        pipeline.check_order((reader, writer))


def test_two_writers_of_one_artifact_are_refused():
    with pytest.raises(ValueError, match="more than one stage: masks"):
        pipeline.check_order((stage("a", writes=(MASKS,)), stage("b", writes=(MASKS,))))


def test_what_may_be_read_is_waited_for_but_not_required():
    first = stage("first", writes=(SCENE,))
    second = stage("second", writes=(BODIES,))
    third = stage("third", reads=(SCENE,), may_read=(BODIES,))
    assert names(pipeline.upstream(third, (first, second, third))) == ["first", "second"]
    assert names(pipeline.required(third, (first, second, third))) == ["first"]


def test_options_that_stages_share_are_listed_once_with_their_stages():
    options = pipeline.all_options()
    assert options["backend"][1] == ("segment", "body")
    assert options["detection_step"][0].default == 50
    assert options["sam3d_step"][0].default == 1


def test_one_option_declared_in_two_ways_is_refused():
    @dataclasses.dataclass(frozen=True)
    class Low:
        level: int = option(1, help="low")

    @dataclasses.dataclass(frozen=True)
    class High:
        level: int = option(2, help="high")

    with pytest.raises(ValueError, match="--level differently"):
        pipeline.all_options((stage("low", options=Low), stage("high", options=High), stage("none", options=NoOptions)))
