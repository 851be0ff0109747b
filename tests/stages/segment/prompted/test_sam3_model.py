"""Where transformers' SAM 3 is put right, and what it leaves alone."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from common.errors import ModelUnavailable
from stages.segment.prompted.sam3_follower import Sam3, Thresholds
from stages.segment.prompted.sam3_model import CorrectedSam3
from tests.stages.segment.prompted.sam3_reference import (
    CELLS,
    CPU,
    Detection,
    direct,
    moving_pictures,
    opened,
    save,
    unrounded_memories,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("sam3"), seed=1, assoc_iou_thresh=1e-9, max_num_objects=50)


@pytest.fixture
def model(folder: Path) -> CorrectedSam3:
    return opened(folder).model


def plan(*, new: list[int], removed: set[int]) -> dict[str, Any]:
    return {"new_det_out_inds": list(range(len(new))), "new_det_obj_ids": new, "obj_ids_newly_removed": removed}


@pytest.mark.parametrize("removed", [{0}, {3}, {7}, {0, 7}, {0, 3, 7}])
@pytest.mark.parametrize("new", [[], [8, 9]])
def test_in_the_frame_in_which_somebody_is_taken_back_everybody_has_their_own_mask(
    model: CorrectedSam3, removed: set[int], new: list[int]
) -> None:
    followed = {0: 1.0, 3: 2.0, 7: 3.0}
    masks = torch.stack([torch.full((CELLS, CELLS), value) for value in followed.values()])
    detected = torch.stack([torch.full((CELLS, CELLS), 10.0 + row) for row in range(2)])
    after = SimpleNamespace(obj_ids=[number for number in [*followed, *new] if number not in removed])
    found = model.build_outputs(after, {"mask": detected}, masks, plan(new=new, removed=removed))
    expected = followed | dict(zip(new, [10.0, 11.0], strict=False))
    assert {number: mask.mean().item() for number, mask in found.items()} == expected


def test_who_comes_does_not_change_those_who_are_there(folder: Path) -> None:
    """Unlike transformers, which remembers them anew, black and white."""

    def masks_of_the_first(*, another_comes: bool) -> list[torch.Tensor]:
        sam3 = opened(folder)
        extra = [Detection(1, (4, 2, 10, 14))] if another_comes else []
        direct(sam3.model, lambda frame: [Detection(0), *(extra if frame >= 2 else [])])
        follower = sam3.follower()
        found = [follower.follow(image) for image in moving_pictures(6)]
        assert found[-1].outlines.numbers == ((0, 1) if another_comes else (0,))
        return [one.outlines.logits[0] for one in found]

    with unrounded_memories():
        pairs = zip(masks_of_the_first(another_comes=True), masks_of_the_first(another_comes=False), strict=True)
        worst = max((ours - alone).abs().max().item() for ours, alone in pairs)
    assert worst < 1e-4, f"logits differ by {worst:.1e}"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_precision_is_the_models_own_and_nobody_elses(folder: Path, dtype: torch.dtype) -> None:
    sam3 = opened(folder, dtype=dtype)
    before = autocast()
    follower = sam3.follower()
    for image in moving_pictures(3):
        found = follower.follow(image)
    assert found.outlines.logits.dtype == dtype
    assert len(found.outlines)
    assert bool(torch.isfinite(found.outlines.logits).all())
    assert autocast() == before
    assert torch.get_default_dtype() == torch.float32
    assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_knows_exactly_where_things_are(folder: Path, model: CorrectedSam3, dtype: torch.dtype) -> None:
    half = opened(folder, dtype=dtype).model
    assert {parameter.dtype for parameter in half.parameters()} == {dtype}
    expected = dict(model.named_buffers())
    for name, buffer in half.named_buffers():
        if not name.endswith("positional_embedding"):
            assert torch.equal(buffer, expected[name]), name
    exact = model.tracker_model.get_image_wide_positional_embeddings()
    rounded = half.tracker_model.get_image_wide_positional_embeddings()
    worst = (rounded.float() - exact).abs().max().item()
    assert rounded.dtype == dtype
    assert worst <= torch.finfo(dtype).eps / 2, f"sines and cosines are off by {worst:.1e}"


def autocast() -> list[object]:
    return [(torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)) for kind in ("cpu", "cuda")] + [
        torch.is_autocast_cache_enabled()
    ]


def test_what_overflows_in_float16_is_said(folder: Path) -> None:
    sam3 = Sam3(folder, prompt="person", device=CPU, dtype=torch.float16, thresholds=Thresholds(0.0, 0.0))
    with torch.no_grad():
        for name, parameter in sam3.model.detector_model.vision_encoder.named_parameters():
            if "patch_embeddings" in name:
                parameter.fill_(60000.0)
    with pytest.raises(ModelUnavailable, match=r"float16.*--precision bfloat16"):
        sam3.follower().follow(moving_pictures(1)[0])
