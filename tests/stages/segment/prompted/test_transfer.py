import numpy as np
import pytest
import torch

from stages.segment.prompted.transfer import Downloads, upload

DEVICES = [
    torch.device("cpu"),
    pytest.param(
        torch.device("cuda", 0),
        marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU and torch with CUDA"),
    ),
]


@pytest.fixture(params=DEVICES, ids=lambda device: device.type)
def device(request: pytest.FixtureRequest) -> torch.device:
    return request.param


@pytest.mark.parametrize("step", [1, -1], ids=["contiguous", "flipped"])
def test_what_is_uploaded_is_a_copy(device: torch.device, step: int) -> None:
    image = np.arange(24, dtype=np.uint8).reshape(4, 3, 2)[:, ::step]
    image.flags.writeable = False  # as frames from a decoder may be; torch would warn
    there = upload(image, device)
    assert there.device == device
    assert np.array_equal(there.cpu().numpy(), image)
    before = image.copy()
    there += 1
    assert np.array_equal(image, before)


def test_only_a_gpu_of_cuda_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """On others the copy's source might be gone, or overwritten, before it is made."""
    waited: list[bool] = []
    original = torch.Tensor.to

    def to(self: torch.Tensor, device: torch.device, *, non_blocking: bool = False) -> torch.Tensor:
        waited.append(not non_blocking)
        return original(self, device, non_blocking=non_blocking)

    monkeypatch.setattr(torch.Tensor, "to", to)
    for device in ("cpu", "meta"):
        upload(np.zeros(3, np.uint8), torch.device(device))
    assert waited == [True, True]


def test_images_come_back_in_order_with_what_belongs_to_them(device: torch.device) -> None:
    downloads: Downloads[str] = Downloads(3)
    arrived = []
    image = torch.zeros((50, 70), dtype=torch.int16, device=device)
    for number in range(20):
        image.fill_(number)  # overwritten while earlier ones may be on their way
        arrived += downloads.put(image.view(torch.uint16), f"frame {number}")
        assert len(downloads) <= 3
    arrived += downloads.rest()
    assert len(downloads) == 0
    assert [note for note, _ in arrived] == [f"frame {number}" for number in range(20)]
    assert all(array.dtype == np.uint16 and (array == number).all() for number, (_, array) in enumerate(arrived))


def test_arrays_that_have_arrived_stay_as_they_are(device: torch.device) -> None:
    downloads: Downloads[int] = Downloads(1)
    image = torch.ones((4, 4), dtype=torch.int32, device=device)
    first = downloads.put(image, 0) + downloads.rest()
    image.fill_(2)
    downloads.put(image, 1)
    downloads.rest()
    assert (first[0][1] == 1).all()


def test_on_a_cpu_images_are_there_at_once() -> None:
    downloads: Downloads[int] = Downloads()
    assert [note for note, _ in downloads.put(torch.zeros((2, 2)), 5)] == [5]
    assert len(downloads) == 0


def test_images_may_change_their_size(device: torch.device) -> None:
    downloads: Downloads[int] = Downloads(2)
    arrived = []
    for number in range(6):
        arrived += downloads.put(torch.full((number + 1, 3), number, device=device), number)
    arrived += downloads.rest()
    assert [array.shape for _, array in arrived] == [(number + 1, 3) for number in range(6)]


def test_a_depth_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="got 0"):
        Downloads(0)
