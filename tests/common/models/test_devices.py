from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import pytest
import torch

from common.errors import ModelUnavailable, UsageError
from common.models import devices
from common.models.cuda_checks import Objection
from common.models.devices import (
    Batches,
    announce,
    deterministic,
    is_out_of_memory,
    memory_explained,
    resolve,
    resolve_dtype,
)


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("ghost"), "propagate", True)
    caplog.set_level(logging.INFO, logger="ghost")
    return caplog


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process that has not looked for a GPU yet, has said nothing, and was not given any."""
    monkeypatch.delenv("GHOST_REQUIRE_GPU", raising=False)
    remembered = (devices._objection_to_auto, devices._say)
    for cache in remembered:
        cache.cache_clear()
    yield
    for cache in remembered:
        cache.cache_clear()


def refuse(monkeypatch: pytest.MonkeyPatch, objection: Objection | None) -> None:
    monkeypatch.setattr(devices, "objection_to", lambda index: objection)


# Where


def test_auto_is_the_first_gpu_where_models_can_run_on_one(monkeypatch: pytest.MonkeyPatch):
    refuse(monkeypatch, None)
    assert resolve("auto") == resolve("cuda") == torch.device("cuda", 0)
    assert resolve("cuda:3") == torch.device("cuda", 3)
    assert resolve("cpu") == torch.device("cpu")


def said(heard: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    return [(record.levelno, record.getMessage()) for record in heard.records]


def test_where_models_run_is_said_once_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, heard: pytest.LogCaptureFixture
):
    refuse(monkeypatch, Objection("there is none", "Buy one", surprising=False))
    for _ in range(3):
        device = resolve("auto")
        assert device == torch.device("cpu")
        assert announce("auto", device, torch.float32) == ""
    assert said(heard) == [(logging.INFO, "models run on CPU, float32: there is none")]


def test_a_gpu_is_called_by_its_name(monkeypatch: pytest.MonkeyPatch, heard: pytest.LogCaptureFixture):
    refuse(monkeypatch, None)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"NVIDIA H{100 + device.index}")
    assert announce("cuda:1", resolve("cuda:1"), torch.bfloat16) == ""
    assert announce("auto", resolve("auto")) == ""
    assert said(heard) == [
        (logging.INFO, "models run on NVIDIA H101 (cuda:1), bfloat16"),
        (logging.INFO, "models run on NVIDIA H100 (cuda:0)"),
    ]


def test_a_gpu_that_stays_idle_is_a_warning_for_the_result_too(
    monkeypatch: pytest.MonkeyPatch, heard: pytest.LogCaptureFixture
):
    refuse(monkeypatch, Objection("the driver is too old", "Update it"))
    expected = "models run on CPU, float32: the driver is too old. Update it."
    for _ in range(2):
        assert announce("auto", resolve("auto"), torch.float32) == expected
    assert said(heard) == [(logging.WARNING, expected)]


def test_the_cpu_that_was_asked_for_needs_no_reason(monkeypatch: pytest.MonkeyPatch, heard: pytest.LogCaptureFixture):
    refuse(monkeypatch, Objection("the driver is too old", "Update it"))
    assert announce("cpu", resolve("cpu"), torch.float32) == ""
    assert said(heard) == [(logging.INFO, "models run on CPU, float32")]


def test_the_reason_is_that_of_the_first_look(monkeypatch: pytest.MonkeyPatch, heard: pytest.LogCaptureFixture):
    """torch says what is wrong with a driver once, and nothing when it is asked again."""
    answers = iter([Objection("the driver is too old", "Update it"), Objection("no GPU", "Buy one")])
    monkeypatch.setattr(devices, "objection_to", lambda index: next(answers))
    announce("auto", resolve("auto"))
    assert said(heard) == [(logging.WARNING, "models run on CPU: the driver is too old. Update it.")]


@pytest.mark.parametrize(("value", "required"), [("1", True), ("yes", True), ("0", False), ("", False)])
def test_where_a_gpu_was_given_auto_does_not_replace_it(monkeypatch: pytest.MonkeyPatch, value: str, required: bool):
    refuse(monkeypatch, Objection("the driver is too old", "Update it", surprising=False))
    monkeypatch.setenv("GHOST_REQUIRE_GPU", value)
    if required:
        with pytest.raises(ModelUnavailable, match=r"--device auto: .*GHOST_REQUIRE_GPU.* too old. Update it.$"):
            resolve("auto")
    else:
        assert resolve("auto") == torch.device("cpu")
    assert resolve("cpu") == torch.device("cpu"), "asked for"


@pytest.mark.parametrize("name", ["cuda", "cuda:1"])
def test_a_gpu_that_was_asked_for_is_not_replaced(monkeypatch: pytest.MonkeyPatch, name: str):
    refuse(monkeypatch, Objection("the driver is too old", "Update it"))
    with pytest.raises(ModelUnavailable, match=f"^--device {name}: the driver is too old. Update it.$"):
        resolve(name)


def test_the_gpu_of_another_computer_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ModelUnavailable, match="Apple"):
        resolve("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve("mps") == torch.device("mps")


def test_this_machine_gets_a_device_that_holds_tensors():
    device = resolve("auto")
    assert torch.zeros(1, device=device).device == device


@pytest.mark.parametrize("name", ["gpu", "cuda:", "", "cpu:0"])
def test_a_word_that_is_no_device_is_a_usage_error(name: str):
    with pytest.raises(UsageError, match="--device: expected auto, cpu, cuda, cuda:N or mps, got"):
        resolve(name)


# In which precision


@pytest.mark.parametrize(
    ("precision", "device", "capability", "expected"),
    [
        ("auto", "cuda:0", (9, 0), torch.bfloat16),
        ("auto", "cuda:0", (8, 0), torch.bfloat16),
        ("auto", "cuda:0", (7, 5), torch.float16),
        ("auto", "cpu", (0, 0), torch.float32),
        ("auto", "mps", (0, 0), torch.float32),
        ("float32", "cuda:0", (9, 0), torch.float32),
        ("float16", "cpu", (0, 0), torch.float16),
        ("bfloat16", "cuda:0", (7, 5), torch.bfloat16),
    ],
)
def test_half_precision_is_for_gpus_in_the_form_that_they_have(
    monkeypatch: pytest.MonkeyPatch, precision: str, device: str, capability: tuple[int, int], expected: torch.dtype
):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert resolve_dtype(precision, torch.device(device)) is expected


def test_a_word_that_is_no_precision_is_a_usage_error():
    with pytest.raises(UsageError, match="expected one of auto, float32, bfloat16, float16, got 'int8'"):
        resolve_dtype("int8", torch.device("cpu"))


@pytest.fixture
def torch_settings() -> Iterator[None]:
    """Puts back what `deterministic` changes for the whole process."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32, matmul.allow_tf32
    yield
    cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32, matmul.allow_tf32 = before


@pytest.mark.usefixtures("torch_settings")
def test_the_switches_that_make_equal_results_are_set_and_a_users_own_is_kept(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")  # so that it is put back, whatever it was
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    deterministic()
    assert devices.os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert torch.backends.cudnn.deterministic
    assert not torch.backends.cudnn.benchmark
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    deterministic()
    assert devices.os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


# When memory runs out


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (torch.AcceleratorError("CUDA error: out of memory"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB, max allowed: 9.07 GB)"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory"), True),
        (MemoryError(), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_want_of_memory_is_told_from_other_errors(error: BaseException, expected: bool):
    assert is_out_of_memory(error) is expected


class Device:
    """A device with room for so many items at once; what it was given, and who asked for memory in vain."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.batches: list[list[int]] = []

    def double(self, batch: Sequence[int]) -> list[int]:
        self.batches.append(list(batch))
        if len(batch) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 is full.")
        return [2 * item for item in batch]

    @property
    def sizes(self) -> list[int]:
        return [len(batch) for batch in self.batches]


def test_all_items_go_at_once_where_they_fit(heard: pytest.LogCaptureFixture):
    device = Device(room=100)
    assert Batches("items").run(device.double, range(7)) == [0, 2, 4, 6, 8, 10, 12]
    assert device.sizes == [7]
    assert Batches("items").run(device.double, []) == []
    assert device.sizes == [7]
    assert heard.messages == []


def test_batches_are_halved_until_they_fit_and_results_keep_their_order(heard: pytest.LogCaptureFixture):
    device = Device(room=3)
    assert Batches("people").run(device.double, range(13)) == list(range(0, 26, 2))
    assert device.sizes == [13, 6, 3, 3, 3, 3, 1]
    assert len(heard.messages) == 2
    assert heard.messages[0] == (
        "Memory ran out with 13 people at once; going on with 6 (CUDA out of memory. Tried to allocate 2.00 GiB)."
    )


def test_the_size_that_fitted_is_remembered_and_said_once(heard: pytest.LogCaptureFixture):
    device, batches = Device(room=2), Batches("people")
    for _ in range(3):
        assert batches.run(device.double, range(4)) == [0, 2, 4, 6]
    assert device.sizes == [4, 2, 2, 2, 2, 2, 2]
    assert len(heard.messages) == 1
    assert batches.limit == 2


def test_a_limit_that_was_given_holds_from_the_start():
    device = Device(room=100)
    Batches("people", limit=4).run(device.double, range(10))
    assert device.sizes == [4, 4, 2]


def test_an_item_that_does_not_fit_alone_ends_with_what_to_try():
    with pytest.raises(ModelUnavailable, match="a single one of the people") as error:
        Batches("people").run(Device(room=0).double, range(5))
    for advice in ("smaller model", "--precision", "more memory", "--device cpu"):
        assert advice in str(error.value)
    assert isinstance(error.value.__cause__, torch.OutOfMemoryError)
    with pytest.raises(ModelUnavailable, match="a single one of the people") as error:
        Batches("people", has_precision=False).run(Device(room=0).double, range(5))
    assert "--precision" not in str(error.value), "there is no such option"


def test_other_errors_are_not_tried_again():
    calls = 0

    def work(batch: Sequence[int]) -> list[int]:
        nonlocal calls
        calls += 1
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        Batches("items").run(work, range(4))
    assert calls == 1


def test_memory_of_the_failed_attempt_is_free_before_the_next():
    """What an exception holds on to would be missing: the half that would fit might not."""
    alive: list[int] = []

    class Tensor:
        def __init__(self) -> None:
            alive.append(id(self))

        def __del__(self) -> None:
            alive.remove(id(self))

    def work(batch: Sequence[int]) -> list[int]:
        assert alive == []
        tensor = Tensor()
        if len(batch) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        del tensor
        return list(batch)

    assert Batches("items").run(work, range(3)) == [0, 1, 2]


def test_work_that_loses_an_item_is_noticed():
    with pytest.raises(ValueError, match="expected 3 results, one for each item of the batch, got 2"):
        Batches("items").run(lambda batch: batch[1:], range(3))


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), MemoryError("no room")]
)
def test_memory_that_runs_out_elsewhere_is_explained(error: Exception):
    with (
        pytest.raises(ModelUnavailable, match=r"^memory runs out in frame 7 .*Choose a smaller model") as explained,
        memory_explained("in frame 7", "fewer people"),
    ):
        raise error
    for advice in (str(error).rstrip("."), "--precision", "fewer people", "more memory", "--device cpu"):
        assert advice in str(explained.value)
    assert explained.value.__cause__ is error


@pytest.mark.parametrize("error", [RuntimeError("shapes cannot be multiplied"), OSError("out of memory")])
def test_errors_that_are_not_of_memory_are_not_explained_as_such(error: Exception):
    with pytest.raises(type(error)) as same, memory_explained("in frame 7"):
        raise error
    assert same.value is error
