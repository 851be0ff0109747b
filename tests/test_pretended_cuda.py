"""The pretended GPU refuses what a real one refuses, so that what passes on it means something."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.pretended_cuda import PretendedCuda, Refused, pretended_cuda

ONE, OTHER = torch.device("cuda", 0), torch.device("cuda", 1)


@pytest.fixture
def gpu() -> Iterator[PretendedCuda]:
    with pretended_cuda() as gpu:
        yield gpu


def test_computes_the_true_values_and_says_where_they_are(gpu: PretendedCuda) -> None:
    there = torch.arange(6, device=OTHER).reshape(2, 3) + torch.ones(3, device=OTHER)
    assert there.device == OTHER
    assert there.is_cuda
    there[0] = 7
    there[:, 1] += 1
    assert there.cpu().tolist() == [[7, 8, 7], [4, 6, 6]]
    assert gpu.waits == ["(2, 3) float32 on cuda:1 to the CPU"]


def test_modules_go_there_with_all_that_they_hold(gpu: PretendedCuda) -> None:
    module = torch.nn.BatchNorm1d(3).requires_grad_(False).eval().to(ONE)
    assert {tensor.device for tensor in module.state_dict().values()} == {ONE}
    assert torch.allclose(module(torch.full((2, 3), 5.0, device=ONE)).cpu(), torch.tensor(5.0))


def linear(inputs: int, outputs: int, device: torch.device) -> torch.nn.Module:
    return torch.nn.Linear(inputs, outputs).requires_grad_(False).to(device)


MIXTURES: dict[str, Callable[[], object]] = {
    "a device and the CPU": lambda: torch.ones(3, device=ONE) + torch.ones(3),
    "two devices": lambda: torch.ones(3, device=ONE) + torch.ones(3, device=OTHER),
    "a number of another device": lambda: torch.ones(3, device=ONE) + torch.ones((), device=OTHER),
    "in a list": lambda: torch.stack([torch.ones((), device=ONE), torch.ones(())]),
    "a module's weights and its input": lambda: linear(3, 2, ONE)(torch.ones(3)),
    "in place": lambda: torch.ones(3, device=ONE).mul_(torch.ones(3)),
    "values put into another": lambda: torch.ones(3, device=ONE).__setitem__(slice(2), torch.ones(2)),
    "indices of another": lambda: torch.ones(3, device=ONE)[torch.zeros(1, dtype=torch.int64, device=OTHER)],
    "indices on a device of what is on the CPU": lambda: torch.ones(3)[torch.zeros(1, dtype=torch.int64, device=ONE)],
    "in inference mode": lambda: torch.inference_mode()(torch.add)(torch.ones(3, device=ONE), torch.ones(3)),
}


@pytest.mark.parametrize("mixture", MIXTURES.values(), ids=MIXTURES.keys())
def test_devices_are_not_mixed(gpu: PretendedCuda, mixture: Callable[[], object]) -> None:
    with pytest.raises(Refused):
        mixture()


def test_single_numbers_of_the_cpu_are_taken_where_cuda_takes_them(gpu: PretendedCuda) -> None:
    there = torch.ones(3, device=ONE)
    assert (there * torch.tensor(2.0)).cpu().tolist() == [2, 2, 2]
    assert torch.where(there > 0, torch.tensor(5.0), there).cpu().tolist() == [5, 5, 5]


TYPES: dict[str, Callable[[], object]] = {
    "two types of a product": lambda: linear(3, 2, ONE)(torch.ones(3, device=ONE, dtype=torch.bfloat16)),
    "a product of whole numbers": lambda: torch.ones((2, 2), dtype=torch.int64, device=ONE) @ torch.ones(
        (2, 2), dtype=torch.int64, device=ONE
    ),
    "bytes resized": lambda: F.interpolate(
        torch.ones((1, 1, 4, 4), dtype=torch.uint8, device=ONE), size=(2, 2), mode="bilinear", antialias=True
    ),
    "uint16 compared": lambda: torch.ones(3, dtype=torch.int16, device=ONE).view(torch.uint16) == 1,
}  # fmt: skip


@pytest.mark.parametrize("work", TYPES.values(), ids=TYPES.keys())
def test_types_are_not_computed_with_that_have_no_kernel(gpu: PretendedCuda, work: Callable[[], object]) -> None:
    with pytest.raises(RuntimeError, match=r"dtype|CUDA"):
        work()


def test_numpy_gets_nothing_of_it(gpu: PretendedCuda) -> None:
    for take in (torch.Tensor.numpy, np.asarray):
        with pytest.raises((TypeError, RuntimeError)):
            take(torch.ones(3, device=ONE))


def test_autocast_is_that_of_cuda(gpu: PretendedCuda) -> None:
    there = torch.ones((2, 4), device=OTHER)
    with torch.autocast("cuda", dtype=torch.bfloat16):
        product = linear(4, 4, OTHER)(there)
        assert product.dtype == torch.bfloat16
        assert F.layer_norm(product, (4,)).dtype == torch.float32, "on a CPU it would stay what it is"


WAITING: dict[str, Callable[[torch.Tensor], object]] = {
    "its value": lambda there: there[0].item(),
    "whether it is true": lambda there: bool(there.any()),
    "where it is true": lambda there: torch.nonzero(there),
    "chosen by truth values": lambda there: there[there > 1],
    "chosen by a list": lambda there: there[[0, 1]],
    "chosen by indices of the CPU": lambda there: there[torch.tensor([0])],
    "to the CPU": lambda there: there.cpu(),
    "from the CPU": lambda there: torch.ones(3).to(there.device, non_blocking=True),
    "made of a list": lambda there: torch.tensor([1, 2], device=there.device),
    "copied into it": lambda there: there.copy_(torch.ones(3), non_blocking=True),
    "copied out of it": lambda there: torch.empty(3).copy_(there, non_blocking=True),
}


@pytest.mark.parametrize("work", WAITING.values(), ids=WAITING.keys())
def test_waits_are_listed(gpu: PretendedCuda, work: Callable[[torch.Tensor], object]) -> None:
    work(torch.arange(3.0, device=ONE))
    assert len(gpu.waits) == 1


def test_what_goes_on_by_itself_is_no_wait(gpu: PretendedCuda) -> None:
    there = torch.zeros((3, 4), device=ONE)
    there[1:, 2] = 5
    there[there > 4] = 1
    torch.where(there > 0, there, -1.0).to(torch.bfloat16)[:, None].expand(-1, 2, -1).argmax(dim=1)
    torch.empty(3, pin_memory=True).to(ONE, non_blocking=True)
    assert gpu.waits == []


def test_a_copy_that_nobody_waits_for_is_late(gpu: PretendedCuda) -> None:
    there, here = torch.arange(3, dtype=torch.int32, device=OTHER), torch.empty(3, dtype=torch.int32, pin_memory=True)
    here.copy_(there, non_blocking=True)
    there += 1  # behind the copy, as it comes later
    early, late, elsewhere = (torch.cuda.Event() for _ in range(3))
    elsewhere.record(torch.cuda.current_stream(ONE))
    late.record(torch.cuda.current_stream(OTHER))
    elsewhere.synchronize()
    assert here.tolist() != [0, 1, 2], "the event of another device says nothing about it"
    assert not late.query()
    assert here.tolist() != [0, 1, 2]
    assert late.query()
    assert here.tolist() == [0, 1, 2]
    with pytest.raises(AssertionError, match="never recorded"):
        early.synchronize()


def test_memory_that_is_written_while_it_is_copied_spoils_the_copy(gpu: PretendedCuda) -> None:
    here = torch.ones(3, pin_memory=True)
    there = here.to(ONE, non_blocking=True)
    here.zero_()
    assert there.cpu().tolist() == [0, 0, 0]


def test_other_threads_do_not_compute_on_it(gpu: PretendedCuda) -> None:
    there, said = torch.ones(3, device=ONE), []

    def work() -> None:
        try:
            there.add(1)
        except Refused as error:
            said.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert "another thread" in said[0]


def test_everything_is_as_before_afterwards() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pretended_cuda():
        assert torch.cuda.is_available()
    assert not torch.cuda.is_available()
    with pytest.raises((AssertionError, RuntimeError)):
        torch.ones(3, device=ONE)
