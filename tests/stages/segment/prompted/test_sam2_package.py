"""The tracker around the authors' package: its bookkeeping with a stand-in, its results where the package is there."""

import importlib.util
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from common.errors import ModelUnavailable, UsageError
from stages.segment.prompted.protocols import Outlines
from stages.segment.prompted.sam2_package import Sam2PackageTracker
from tests.stages.segment.prompted.sam2_authors import SIDE, StandIn, tiny_predictor
from tests.stages.segment.prompted.sam2_reference import CPU, as_outlines, moving_pictures, normalised, rectangles

with_package = pytest.mark.skipif(
    importlib.util.find_spec("sam2") is None,
    reason="needs the authors' package sam2: facebookresearch/sam2 at commit 2b90b9f, hydra-core 1.3.2 and iopath",
)


@pytest.fixture(params=["stand-in", pytest.param("sam2", marks=with_package)])
def tracker(request: pytest.FixtureRequest) -> Sam2PackageTracker:
    predictor = StandIn() if request.param == "stand-in" else tiny_predictor()
    return Sam2PackageTracker.around(predictor, device=CPU)


def test_masks_that_are_given_are_followed_each_under_its_number(tracker: Sam2PackageTracker) -> None:
    memory = tracker.memory()
    for index, image in enumerate(moving_pictures(6)):
        picture = tracker.see(image)
        found = memory.follow(picture, index)
        if index == 0:
            memory.remember(picture, 0, as_outlines({4: rectangles(2)[0], 2: rectangles(2)[1]}))
        if index == 3:
            memory.remember(picture, 3, as_outlines({9: rectangles(3)[2]}))
    assert found.numbers == memory.numbers == (4, 2, 9)
    assert found.logits.shape == (3, SIDE // 4, SIDE // 4)
    assert found.presence.shape == (3,)
    assert not found.logits.is_inference(), "the driver may go on computing with it"
    memory.forget({2, 77})
    assert memory.numbers == (4, 9)


def test_boxes_are_outlined_one_by_one(tracker: Sam2PackageTracker) -> None:
    picture = tracker.see(moving_pictures(1)[0])
    outlines = tracker.outline(picture, np.array([[0, 0, 80, 90], [80, 0, 160, 45]], np.float32))
    assert outlines.numbers == (0, 1)
    assert outlines.logits.shape == (2, SIDE // 4, SIDE // 4)
    assert len(tracker.outline(picture, np.zeros((0, 4), np.float32))) == 0


def test_the_stand_in_finds_boxes_where_they_are() -> None:
    tracker = Sam2PackageTracker.around(StandIn(), device=CPU)
    box = np.array([[80, 0, 160, 45]], np.float32)
    inside = tracker.outline(tracker.see(moving_pictures(1)[0]), box).logits[0] > 0
    assert inside[: SIDE // 8, SIDE // 8 :].all()
    assert inside.sum() == SIDE**2 // 64


@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
def test_nothing_older_than_the_window_is_held(reverse: bool) -> None:
    predictor = StandIn()
    memory = Sam2PackageTracker.around(predictor, device=CPU).memory(reverse=reverse)
    tracker = Sam2PackageTracker.around(predictor, device=CPU)
    picture = tracker.see(moving_pictures(1)[0])
    held = []
    for index in range(80, -1, -1) if reverse else range(81):
        memory.follow(picture, index)
        if index in (0, 80):
            memory.remember(picture, index, as_outlines({1: rectangles(1)[0]}))
        held.append(sum(part.untyped_storage().nbytes() for part in memory.tensors()))
    assert held[-1 if not reverse else -2] == held[40], f"bytes after 40 and 80 frames: {held[40]}, {held[-1]}"
    assert max(max(ages, default=0) for ages in predictor.looked_at) == 15


def test_of_many_given_masks_the_first_and_the_last_ones_are_remembered() -> None:
    tracker = Sam2PackageTracker.around(StandIn(), device=CPU)
    memory = tracker.memory()
    for index, image in enumerate(moving_pictures(8)):
        picture = tracker.see(image)
        memory.follow(picture, index)
        memory.remember(picture, index, as_outlines({1: rectangles(1)[0]}))
    (state,) = memory._states.values()
    assert list(state["output_dict_per_obj"][0]["cond_frame_outputs"]) == [0, 5, 6, 7]
    assert state["mask_inputs_per_obj"][0] == {}
    assert state["cached_features"] == {}


def test_a_picture_is_encoded_once_however_many_people_look_at_it() -> None:
    predictor = StandIn()
    tracker = Sam2PackageTracker.around(predictor, device=CPU)
    memory = tracker.memory()
    for index, image in enumerate(moving_pictures(3)):
        picture = tracker.see(image)
        memory.follow(picture, index)
        if index == 0:
            tracker.outline(picture, np.array([[0, 0, 80, 90]], np.float32))
            memory.remember(picture, 0, as_outlines({1: rectangles(2)[0], 2: rectangles(2)[1]}))
    assert predictor.images == 3


def test_frames_come_one_after_the_other(tracker: Sam2PackageTracker) -> None:
    picture, mask = tracker.see(moving_pictures(1)[0]), as_outlines({1: rectangles(1)[0]})
    memory = tracker.memory(reverse=True)
    memory.remember(picture, 10, mask)
    memory.follow(picture, 9)
    with pytest.raises(ValueError, match="the frame after 9 is 8, got 7"):
        memory.follow(picture, 7)
    with pytest.raises(ValueError, match="the last frame was 9"):
        memory.remember(picture, 10, mask)
    with pytest.raises(ValueError, match="number of its own"):
        memory.remember(picture, 9, Outlines((3, 3), mask.logits.repeat(2, 1, 1), torch.ones(2)))


def test_without_the_package_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "sam2" else find(name))
    with pytest.raises(ModelUnavailable, match=r"sam2 is not installed here\. Use the GPU image.*2b90b9f"):
        Sam2PackageTracker("sam2.1-hiera-large", tmp_path / "weights.pt", device=CPU)


def test_a_model_that_the_package_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--tracker: the package sam2 knows sam2\.1-hiera-tiny, .*not 'sam3'"):
        Sam2PackageTracker("sam3", tmp_path / "weights.pt", device=CPU)


@with_package
@pytest.mark.parametrize("content", [None, b"a text", "no weights"])
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, content: object) -> None:
    file = tmp_path / "weights.pt"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        torch.save({"model": {"nothing": torch.zeros(1)}}, file)
    with pytest.raises(ModelUnavailable, match=r"weights\.pt: .*ghost weights fetch"):
        Sam2PackageTracker("sam2.1-hiera-tiny", file, device=CPU)


@with_package
@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
def test_equals_the_packages_own_loop(reverse: bool) -> None:
    predictor = tiny_predictor()
    tracker = Sam2PackageTracker.around(predictor, device=CPU)
    frames, masks = moving_pictures(30), rectangles(2)
    first = len(frames) - 1 if reverse else 0
    theirs = dict(authors_loop(predictor, frames, masks, start=first, reverse=reverse))
    memory = tracker.memory(reverse=reverse)
    memory.remember(tracker.see(frames[first]), first, as_outlines({1: masks[0], 2: masks[1]}))
    for index in range(first - 1, -1, -1) if reverse else range(1, len(frames)):
        ours = memory.follow(tracker.see(frames[index]), index).logits
        worst = (ours - theirs[index]).abs().max().item()
        assert worst <= 1e-3, f"frame {index}: logits differ by {worst:.1e}"
        assert ((ours > 0) == (theirs[index] > 0)).float().mean() >= 0.999
    assert 0.02 < (theirs[index] > 0).float().mean() < 0.98, "masks are dull"


def authors_loop(predictor: Any, frames: list[Any], masks: torch.Tensor, *, start: int, reverse: bool) -> Any:
    """The package's own propagation through a state with all frames; masks at their own size."""
    state: dict[str, Any] = {
        "images": [normalised(frame, SIDE) for frame in frames],
        "num_frames": len(frames),
        "offload_video_to_cpu": False,
        "offload_state_to_cpu": False,
        "video_height": SIDE // 4,
        "video_width": SIDE // 4,
        "device": CPU,
        "storage_device": CPU,
        "obj_id_to_idx": OrderedDict(),
        "obj_idx_to_id": OrderedDict(),
        "obj_ids": [],
    }
    for name in ("point_inputs_per_obj", "mask_inputs_per_obj", "cached_features", "constants"):
        state[name] = {}
    for name in ("output_dict_per_obj", "temp_output_dict_per_obj", "frames_tracked_per_obj"):
        state[name] = {}
    for number, mask in enumerate(masks, 1):
        predictor.add_new_mask(state, start, number, mask > 0)
    for index, _, found in predictor.propagate_in_video(state, start_frame_idx=start, reverse=reverse):
        yield index, found[:, 0]


@with_package
def test_half_precision_runs() -> None:
    tracker = Sam2PackageTracker.around(tiny_predictor(), device=CPU, dtype=torch.bfloat16)
    memory = tracker.memory()
    for index, image in enumerate(moving_pictures(3)):
        picture = tracker.see(image)
        found = memory.follow(picture, index)
        if index == 0:
            given = tracker.outline(picture, np.array([[0, 0, 80, 90]], np.float32))
            memory.remember(picture, 0, given)
    assert bool(torch.isfinite(found.logits).all())
