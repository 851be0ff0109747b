from dataclasses import dataclass

import pytest

from common.artifacts import SCENE
from common.errors import UsageError
from common.stage import Stage, Unit, option, option_specs


@dataclass(frozen=True)
class Options:
    detection_step: int = option(50, help="Look for people every so often.", unit="frames", minimum=1)
    device: str = option("auto", help="Where.", choices=("auto", "cpu"))
    offset: float = option(1.5, help="How far.", minimum=0, maximum=90)
    place: str = option("auto", help="Where exactly.", pattern=r"auto|cuda:[0-9]", form="auto or cuda:N")


STAGE = Stage("sample", "Does.", Unit.SCENE, (), (SCENE,), run=lambda workspace, options: None, options=Options)


def test_an_options_class_declares_its_options_in_order() -> None:
    specs = option_specs(Options)
    assert [(spec.flag, spec.type, spec.default, spec.unit) for spec in specs] == [
        ("--detection-step", int, 50, "frames"),
        ("--device", str, "auto", ""),
        ("--offset", float, 1.5, ""),
        ("--place", str, "auto", ""),
    ]
    assert specs[1].choices == ("auto", "cpu")


def test_a_stage_that_says_nothing_of_gpus_uses_none() -> None:
    assert not STAGE.uses_gpu(STAGE.make_options({}))


def test_values_take_the_place_of_defaults() -> None:
    assert STAGE.make_options({"detection_step": 1}) == Options(detection_step=1)
    assert STAGE.make_options({}) == Options()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"step": 1}, "sample has no option 'step'"),
        ({"detection_step": 0}, "--detection-step: expected at least 1, got 0"),
        ({"device": "tpu"}, "--device: expected one of auto, cpu, got 'tpu'"),
        ({"offset": -0.1}, "--offset: expected at least 0, got -0.1"),
        ({"offset": 90.5}, "--offset: expected at most 90, got 90.5"),
        ({"place": "cuda:12"}, "--place: expected auto or cuda:N, got 'cuda:12'"),
        ({"offset": float("nan")}, "--offset: expected a number, got nan"),
        ({"offset": float("inf")}, "--offset: expected a number, got inf"),
    ],
)
def test_values_that_an_option_does_not_take_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        STAGE.make_options(values)
