from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from common.errors import UsageError
from common.stage import Resources, Stage, Unit, option
from workflows.machine import (
    GpuPlaces,
    Place,
    choose_gpus,
    default_jobs,
    may_use_gpus,
    model_threads,
    unit_memory_gib,
)


@dataclasses.dataclass(frozen=True)
class Options:
    backend: str = option("small", help="models", choices=("small", "large"))
    device: str = option("auto", help="where")


def stage(name: str, **more: Any) -> Stage:
    fields = {"summary": name, "unit": Unit.VIDEO, "reads": (), "writes": (), "run": lambda workspace, options: None}
    return Stage(name=name, **(fields | more))


def uses_gpu(options: Options) -> bool:
    return options.backend == "large" and options.device not in ("cpu", "mps")


PLAIN = stage("plain")
MODEL = stage(
    "model",
    options=Options,
    uses_gpu=uses_gpu,
    resources=Resources(memory_gib=1.0, gpu=True, gpu_cpus=3, gpu_memory_gib=12.0),
)
OTHER = dataclasses.replace(MODEL, name="other")
LARGE = {"backend": "large"}


def test_each_unit_on_a_gpu_has_one_for_itself_and_gives_it_back():
    places = GpuPlaces(("GPU-a", "GPU-b"))
    assert places.take(1, MODEL, LARGE) == Place("GPU-a", {"CUDA_VISIBLE_DEVICES": "GPU-a"})
    assert places.take(2, OTHER, LARGE) == Place("GPU-b", {"CUDA_VISIBLE_DEVICES": "GPU-b"})
    assert places.take(3, MODEL, LARGE) is None
    places.leave(1)
    assert places.take(3, MODEL, LARGE) == Place("GPU-a", {"CUDA_VISIBLE_DEVICES": "GPU-a"})


@pytest.mark.parametrize("options", [{}, {"backend": "large", "device": "cpu"}, {"other.backend": "large"}], ids=str)
def test_a_unit_that_works_on_the_cpu_takes_none_and_waits_for_none(options: dict[str, str]):
    places = GpuPlaces(("GPU-a",))
    assert [places.take(unit, MODEL, options) for unit in range(3)] == [Place()] * 3
    assert places.take(8, PLAIN, options) == Place()
    assert places.take(9, MODEL, LARGE) == Place("GPU-a", {"CUDA_VISIBLE_DEVICES": "GPU-a"})
    assert places.take(10, MODEL, options) == Place()


@pytest.mark.parametrize(
    ("device", "place"),
    [
        (
            "cuda:1",
            Place("GPU-b", {"CUDA_VISIBLE_DEVICES": "GPU-a,GPU-b"}),
        ),  # the second of these, whatever CUDA thinks
        ("cuda:5", Place("cuda:5", {"CUDA_VISIBLE_DEVICES": "GPU-a,GPU-b"})),  # the unit finds out that it is not there
        ("mps", Place("mps", {})),
    ],
)
def test_a_device_that_was_named_takes_all_units_in_turn(device: str, place: Place):
    places = GpuPlaces(("GPU-a", "GPU-b"))
    options = {"backend": "large", "device": device}
    assert places.take(1, MODEL, options) == place
    assert places.take(2, MODEL, options) is None
    places.leave(1)
    assert places.take(2, MODEL, options) == place


def test_a_gpu_that_one_stage_names_is_not_given_to_another():
    places = GpuPlaces(("GPU-a", "GPU-b"))
    options = {"backend": "large", "model.device": "auto", "other.device": "cuda:0"}
    assert places.take(1, MODEL, options) == Place("GPU-a", {"CUDA_VISIBLE_DEVICES": "GPU-a"})
    assert places.take(2, OTHER, options) is None, "two processes on one GPU"
    assert places.take(3, MODEL, options) == Place("GPU-b", {"CUDA_VISIBLE_DEVICES": "GPU-b"})
    places.leave(1)
    assert places.take(2, OTHER, options) == Place("GPU-a", {"CUDA_VISIBLE_DEVICES": "GPU-a,GPU-b"})
    assert places.take(4, MODEL, options) is None


def test_a_device_that_was_named_takes_units_in_turn_where_no_gpu_was_found():
    places = GpuPlaces(())
    options = {"backend": "large", "device": "cuda:0"}
    assert places.take(1, MODEL, options) == Place("cuda:0", {})
    assert places.take(2, OTHER, options) is None


def test_where_no_gpu_was_found_units_find_out_by_themselves():
    assert [GpuPlaces(()).take(unit, MODEL, LARGE) for unit in range(2)] == [Place()] * 2


@pytest.mark.parametrize(
    ("gpus", "options", "threads"),
    [
        ((), LARGE, "3"),
        (("GPU-a",), {**LARGE, "device": "cpu"}, "3"),
        (("GPU-a",), LARGE, None),
        ((), {}, None),  # a small model: as many processes as cores
    ],
    ids=str,
)
def test_a_large_model_on_the_cpu_has_the_cores_that_no_other_process_can_use(
    gpus: tuple[str, ...], options: dict[str, str], threads: str | None
):
    places = GpuPlaces(gpus, on_cpu={"OMP_NUM_THREADS": "3"})
    place = places.take(1, MODEL, options)
    assert place is not None
    assert place.environment.get("OMP_NUM_THREADS") == threads


def test_cores_are_shared_among_the_processes_unless_the_user_has_said_how(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    numbers = [model_threads(cores=32, jobs=jobs)["OMP_NUM_THREADS"] for jobs in (1, 5, 16, 32, 40)]
    assert numbers == ["32", "6", "2", "1", "1"]
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert model_threads(cores=32, jobs=5) == {}


@pytest.mark.parametrize(
    ("options", "may"),
    [({}, False), (LARGE, True), ({"other.backend": "large"}, True), ({**LARGE, "device": "cpu"}, False)],
    ids=str,
)
def test_a_run_needs_gpus_if_one_of_its_stages_does(options: dict[str, str], may: bool):
    assert may_use_gpus((PLAIN, MODEL, OTHER), options) is may


def test_one_stage_may_work_on_gpus_while_the_other_does_not():
    places = GpuPlaces(("GPU-a",))
    options = {"model.backend": "large", "other.backend": "small"}
    assert places.take(1, MODEL, options) == Place("GPU-a", {"CUDA_VISIBLE_DEVICES": "GPU-a"})
    assert places.take(2, OTHER, options) == Place()


def test_all_gpus_are_used_or_as_many_as_are_wanted():
    assert choose_gpus(None, ("a", "b", "c")) == ("a", "b", "c")
    assert choose_gpus(2, ("a", "b", "c")) == ("a", "b")
    assert choose_gpus(0, ("a", "b", "c")) == ()
    with pytest.raises(UsageError, match="--gpus 4: 3 can be seen here"):
        choose_gpus(4, ("a", "b", "c"))
    with pytest.raises(UsageError, match="--gpus 1: none can be seen here"):
        choose_gpus(1, ())


def test_memory_depends_on_the_backend_and_not_on_where_it_runs():
    amounts = [unit_memory_gib(MODEL, options) for options in ({}, LARGE, {**LARGE, "device": "cpu"})]
    assert amounts == [1.0, 12.0, 12.0]
    assert unit_memory_gib(PLAIN, LARGE) == 1.0


@pytest.mark.parametrize(
    ("options", "cores", "gib", "gpus", "jobs"),
    [
        ({}, 2, 24.0, 0, 2),
        ({}, 64, 8.0, 0, 8),
        ({}, 4, 0.5, 0, 1),
        ({}, 8, 64.0, 4, 8),  # GPUs are of no use to these backends
        (LARGE, 8, 64.0, 0, 5),  # 12 GiB each, on the CPU
        (LARGE, 16, 64.0, 4, 8),  # 4 on GPUs with 12 cores, and 4 beside
        (LARGE, 64, 64.0, 4, 20),  # 4 on GPUs with 48 GiB, and 16 of 1 GiB
        (LARGE, 4, 256.0, 8, 9),  # no GPU waits for what one process beside can make
        (LARGE, 4, 16.0, 8, 2),  # memory for one on a GPU
        (LARGE, 4, 12.0, 1, 1),  # memory for nothing beside
        (LARGE, 1, 4.0, 1, 1),
        ({**LARGE, "device": "cuda:1"}, 2, 64.0, 4, 2),  # one of the four
        ({**LARGE, "device": "cuda:1"}, 16, 20.0, 4, 9),  # 1 with 12 GiB, and 8 of 1 GiB
        ({**LARGE, "device": "cuda:9"}, 16, 20.0, 4, 1),  # none of them
    ],
)
def test_as_many_processes_as_cores_that_no_gpu_keeps_busy_unless_memory_is_short(
    options: dict[str, str], cores: int, gib: float, gpus: int, jobs: int
):
    names = tuple(f"GPU-{index}" for index in range(gpus))
    assert default_jobs((PLAIN, MODEL), options, cores=cores, gib=gib, gpus=names) == jobs
