"""One frame after the other through the real model code, with random weights."""

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

from common.errors import ModelUnavailable, UsageError
from stages.segment.prompted.sam3_follower import Sam3, Thresholds
from tests.stages.segment.prompted.sam3_reference import (
    CELLS,
    CPU,
    SIDE,
    Detection,
    direct,
    moving_pictures,
    opened,
    save,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(
        tmp_path_factory.mktemp("sam3"), seed=1, det_nms_thresh=0.5, fill_hole_area=2, assoc_iou_thresh=1e-9,
        trk_assoc_iou_thresh=1e-9,
    )  # fmt: skip


def test_frames_become_masks_with_numbers_and_the_same_ones_each_time(folder: Path) -> None:
    runs = []
    for sam3 in (opened(folder), Sam3(folder, prompt="person. bicycle", device=CPU, thresholds=Thresholds(0.0, 0.0))):
        follower = sam3.follower()
        runs.append([follower.follow(image) for image in moving_pictures(3)])
    for first, second in zip(*runs, strict=True):
        assert first.outlines.numbers == second.outlines.numbers
        assert torch.equal(first.outlines.logits, second.outlines.logits)
        assert first.outlines.logits.shape == (len(first.outlines), CELLS, CELLS)
        assert set(first.scores) == set(first.class_names) == set(first.outlines.numbers)
        assert all(0 <= score <= 1 for score in first.scores.values())
        assert not first.outlines.logits.requires_grad
    assert runs[0][0].outlines.numbers[0] == 0


def test_two_videos_of_one_model_know_nothing_of_each_other(folder: Path) -> None:
    sam3, frames = opened(folder), moving_pictures(3)
    first, second = sam3.follower(), sam3.follower()
    alone = first.follow(frames[0])
    for frame in frames[1:]:
        first.follow(frame)
    assert torch.equal(second.follow(frames[0]).outlines.logits, alone.outlines.logits)


def test_each_is_what_the_phrase_that_found_it_says(folder: Path) -> None:
    sam3 = opened(folder, prompt="A Person, traffic light; dog.")
    assert [phrase.text for phrase in sam3.phrases] == ["person", "traffic light", "dog"]
    seen = [Detection(2, (0, 0, 5, 5), 0.5), Detection(0, (5, 5, 9, 9), 0.75), Detection(2, (9, 9, 15, 15), 0.25)]
    direct(sam3.model, lambda frame: seen)
    found = sam3.follower().follow(moving_pictures(1)[0])
    assert found.class_names == {0: "person", 1: "dog", 2: "dog"}
    assert found.scores == {0: 0.75, 1: 0.5, 2: 0.25}


def test_the_real_detector_looks_for_each_phrase(folder: Path) -> None:
    sam3 = opened(folder)
    sam3.model.max_num_objects = 50
    sam3.model.det_nms_thresh = 0.0
    found = sam3.follower().follow(moving_pictures(1)[0])
    assert set(found.class_names.values()) == {"person", "bicycle"}


def test_pictures_are_made_as_the_models_own_processor_makes_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sam3 = opened(folder)
    follower = sam3.follower()
    given: list[torch.Tensor] = []
    original = follower.session.add_new_frame

    def noted(pixels: torch.Tensor, index: int | None = None) -> int:
        given.append(pixels)
        return original(pixels, index)

    monkeypatch.setattr(follower.session, "add_new_frame", noted)
    (image,) = moving_pictures(1)
    follower.follow(image)
    resized = PIL.Image.fromarray(image).resize((SIDE, SIDE), PIL.Image.Resampling.BILINEAR)
    expected = (np.asarray(resized, np.float32) / 255 - 0.5) / 0.5
    worst = np.abs(given[0].permute(1, 2, 0).numpy() - expected).max()
    assert worst <= 1.01 / 127.5, f"{worst * 127.5:.2f} grey levels off"


def test_thresholds_are_those_of_the_originals_author_unless_others_are_given(folder: Path) -> None:
    sam3 = Sam3(folder, prompt="person", device=CPU)
    assert (sam3.model.score_threshold_detection, sam3.model.new_det_thresh) == (0.3, 0.4)
    other = Sam3(folder, prompt="person", device=CPU, thresholds=Thresholds(seen=0.5, new=0.7))
    assert (other.model.score_threshold_detection, other.model.new_det_thresh) == (0.5, 0.7)


def test_whoever_is_suppressed_in_a_frame_has_no_mask_in_it(folder: Path) -> None:
    """With these settings the model hides in each frame whom no detection confirms, and only there."""
    sam3 = opened(folder)
    model: Any = sam3.model
    model.suppress_unmatched_only_within_hotstart, model.hotstart_unmatch_thresh = False, 99
    model.init_trk_keep_alive = 1
    direct(model, lambda frame: [Detection(0)] if frame in (0, 1, 4) else [])
    follower = sam3.follower()
    numbers = [follower.follow(image).outlines.numbers for image in moving_pictures(5)]
    assert numbers == [(0,), (0,), (0,), (), (0,)], "confirmed 1, 2, 1, 0 and 1 times more than not"
    assert follower.followed == (0,)


@pytest.mark.parametrize("text", ["CUDA out of memory. Tried to allocate 2.00 GiB", "MPS backend out of memory"])
def test_memory_that_runs_out_is_said_with_what_may_help(
    folder: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    sam3 = opened(folder)
    follower = sam3.follower()
    follower.follow(moving_pictures(1)[0])
    count = len(follower.followed)

    def full(**_: object) -> None:
        raise torch.OutOfMemoryError(text) if "CUDA" in text else RuntimeError(text)

    monkeypatch.setattr(sam3.model, "run_detection", full)
    with pytest.raises(ModelUnavailable, match=rf"SAM 3's frame 1 with {count} people.*--precision.*gdino-sam2"):
        follower.follow(moving_pictures(1)[0])


def test_other_errors_are_not_taken_for_that(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sam3 = opened(folder)

    def broken(**_: object) -> None:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(sam3.model, "run_detection", broken)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        sam3.follower().follow(moving_pictures(1)[0])


def test_a_prompt_that_names_nothing_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="names nothing"):
        Sam3(tmp_path, prompt=" . ", device=CPU)


def test_a_folder_without_a_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"no config.json.*weights fetch"):
        Sam3(tmp_path, prompt="person", device=CPU)
