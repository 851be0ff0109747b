import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from stages.segment.prompted.labels import exclusive_labels


def enlarged_by_hand(mask: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
    """Bilinear, pixels as areas: at a pixel's centre, from the four nearest centres, clamped at the border."""
    rows = np.clip((np.arange(height) + 0.5) * mask.shape[0] / height - 0.5, 0, mask.shape[0] - 1)
    columns = np.clip((np.arange(width) + 0.5) * mask.shape[1] / width - 0.5, 0, mask.shape[1] - 1)
    along = np.stack([np.interp(columns, np.arange(mask.shape[1]), row) for row in mask])
    return np.stack([np.interp(rows, np.arange(mask.shape[0]), column) for column in along.T], axis=1)


def test_each_pixel_is_the_surest_persons() -> None:
    logits = torch.randn((4, 12, 20), generator=torch.Generator().manual_seed(0))
    ids = [7, 3, 65535, 40000]
    labels = exclusive_labels(logits, ids, height=90, width=131).numpy()
    full = np.stack([enlarged_by_hand(mask, 90, 131) for mask in logits.double().numpy()])
    expected = np.where(full.max(axis=0) > 0, np.array(ids)[full.argmax(axis=0)], 0)
    close = np.sort(np.concatenate([full, np.zeros((1, 90, 131))]), axis=0)
    clear = close[-1] - close[-2] > 1e-4  # rounding decides the others
    assert labels.dtype == np.uint16
    assert clear.mean() > 0.99
    assert np.array_equal(labels[clear], expected[clear])


def test_at_equal_values_the_lower_id_has_the_pixel_whatever_the_order() -> None:
    logits = torch.ones((2, 4, 4))
    assert (exclusive_labels(logits, [9, 2], height=8, width=8) == 2).all()
    assert (exclusive_labels(logits, [2, 9], height=8, width=8) == 2).all()


def test_nobody_is_where_no_mask_is_above_zero() -> None:
    logits = torch.tensor([[[0.0, -1.0], [float("nan"), 3.0]]])
    assert exclusive_labels(logits, [1], height=2, width=2).tolist() == [[0, 0], [0, 1]]


def test_without_people_all_is_background() -> None:
    labels = exclusive_labels(torch.empty((0, 4, 4)), [], height=6, width=5)
    assert labels.shape == (6, 5)
    assert labels.dtype == torch.uint16
    assert (labels.numpy() == 0).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_enlarged_in_full_precision(dtype: torch.dtype) -> None:
    logits = torch.randn((2, 8, 8), generator=torch.Generator().manual_seed(1)).to(dtype)
    logits[1] = logits[0].flip(0, 1)
    expected = exclusive_labels(logits.float(), [1, 2], height=270, width=480)
    assert torch.equal(exclusive_labels(logits, [1, 2], height=270, width=480), expected)


def test_memory_does_not_grow_with_the_number_of_people() -> None:
    from torch.utils._python_dispatch import TorchDispatchMode

    class Largest(TorchDispatchMode):
        bytes = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor):
                self.bytes = max(self.bytes, result.untyped_storage().nbytes())
            return result

    with Largest() as largest:
        exclusive_labels(torch.zeros((50, 8, 8)), range(1, 51), height=200, width=300)
    assert largest.bytes <= 200 * 300 * 4, "no tensor is larger than one float32 image"


@pytest.mark.parametrize("ids", [[1], [1, 1], [0, 1], [1, 65536]])
def test_ids_that_a_label_image_cannot_hold_are_refused(ids: list[int]) -> None:
    with pytest.raises(ValueError, match=r"expected 2 different ones in 1\.\.65535"):
        exclusive_labels(torch.zeros((2, 4, 4)), ids, height=8, width=8)
