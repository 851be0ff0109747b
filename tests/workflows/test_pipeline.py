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


def test_options_are_listed_with_the_stages_that_have_them():
    options = pipeline.all_options()
    assert options["detection_step"][0].default == 50
    assert options["detection_step"][1] == ("segment",)
    assert options["sam3d_step"][0].default == 1


def test_every_stage_has_a_backend_of_its_own():
    options = pipeline.all_options()
    assert "backend" not in options
    assert options["segment.backend"][1] == ("segment",)
    assert options["segment.backend"][0].flag == "--segment-backend"
    assert options["body.backend"][0].flag == "--body-backend"


@dataclasses.dataclass(frozen=True)
class Low:
    level: int = option(1, help="level")
    device: str = option("auto", help="where")


@dataclasses.dataclass(frozen=True)
class High:
    level: int = option(2, help="level")
    device: str = option("auto", help="where")


def test_what_stages_declare_alike_is_one_option_and_what_they_declare_differently_is_one_for_each():
    found = pipeline.all_options((stage("a", options=Low), stage("b", options=High), stage("c", options=NoOptions)))
    told = {key: (spec.flag, spec.default, stages) for key, (spec, stages) in found.items()}
    assert told == {
        "a.level": ("--a-level", 1, ("a",)),
        "device": ("--device", "auto", ("a", "b")),
        "b.level": ("--b-level", 2, ("b",)),
    }


def test_another_help_is_another_declaration():
    @dataclasses.dataclass(frozen=True)
    class Other:
        device: str = option("auto", help="on which machine")

    found = pipeline.all_options((stage("a", options=Low), stage("b", options=Other)))
    assert set(found) == {"level", "a.device", "b.device"}


def test_two_options_with_one_flag_are_refused():
    @dataclasses.dataclass(frozen=True)
    class Clash:
        a_level: int = option(3, help="of a?")
        level: int = option(4, help="another level")

    with pytest.raises(ValueError, match="two different options are called --a-level"):
        pipeline.all_options((stage("a", options=Low), stage("b", options=Clash)))


def test_backends_made_for_a_gpu_are_those_whose_stage_says_so():
    @dataclasses.dataclass(frozen=True)
    class Options:
        backend: str = option("small", help="models", choices=("small", "large"))
        device: str = option("auto", help="where")

    uses_gpu = stage("a", options=Options, uses_gpu=lambda o: o.backend == "large" and o.device != "cpu")
    assert pipeline.gpu_backends(uses_gpu) == ("large",)
    assert pipeline.gpu_backends(stage("b", options=Options)) == ()
    assert pipeline.gpu_backends(stage("c", options=Low)) == ()


def test_stages_with_backends_for_a_gpu_declare_that_they_can_use_one():
    assert {s.name for s in pipeline.STAGES if pipeline.gpu_backends(s)} <= {
        s.name for s in pipeline.STAGES if s.resources.gpu
    }


def test_decoding_and_models_never_share_a_core_beside_a_gpu_and_fit_beside_a_kubelet_on_four():
    for s in pipeline.STAGES:
        assert not pipeline.gpu_backends(s) or s.resources.cpus < s.resources.gpu_cpus < 4, s.name
