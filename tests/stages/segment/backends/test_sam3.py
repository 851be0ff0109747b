"""The whole backend with random weights: from saved files to label images."""

from pathlib import Path

import numpy as np
import pytest
import torch

from common.errors import ModelUnavailable, UsageError
from common.media.decode import Frame
from common.weights import store
from stages.segment.backends import TrackFrame, VideoSegmenter, create
from stages.segment.backends.sam3 import ConceptSegmenter
from stages.segment.prompted.sam3_follower import Sam3, Thresholds
from stages.segment.publish import describe
from stages.segment.stage import Options
from tests.stages.segment.prompted.sam3_reference import CPU, Detection, direct, moving_pictures, opened, save


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(
        tmp_path_factory.mktemp("sam3"), seed=1, assoc_iou_thresh=1e-9, trk_assoc_iou_thresh=1e-9, fill_hole_area=2,
        hotstart_delay=4, hotstart_unmatch_thresh=2, hotstart_dup_thresh=2, det_nms_thresh=0.3, max_num_objects=6,
    )  # fmt: skip


def video(count: int) -> list[Frame]:
    return [Frame(index + 10, index / 25, image, False) for index, image in enumerate(moving_pictures(count))]


def segmented(sam3: Sam3, count: int) -> list[TrackFrame]:
    segmenter: VideoSegmenter = ConceptSegmenter(sam3)
    assert not segmenter.runs_elsewhere
    assert not segmenter.gives_landmarks
    return list(segmenter.segment(video(count)))


def test_a_video_becomes_label_images_with_constant_ids_from_1(folder: Path) -> None:
    results = segmented(opened(folder), 8)
    assert [(result.index, result.seconds) for result in results] == [(one.index, one.seconds) for one in video(8)]
    classes: dict[int, str] = {}
    for result in results:
        assert result.labels.shape == (90, 160)
        assert result.labels.dtype == np.uint16
        ids = [one.id for one in result.tracked]
        assert ids == sorted(set(ids))
        assert set(np.unique(result.labels).tolist()) <= {0, *ids}
        for one in result.tracked:
            assert classes.setdefault(one.id, one.class_name) == one.class_name
            assert one.score is not None
            assert 0 <= one.score <= 1
        described = describe(result)
        assert {one.person for one in described.people} == set(np.unique(result.labels).tolist()) - {0}
    assert sorted(classes) == list(range(1, len(classes) + 1)), "no gaps, although some are taken back"
    assert len(classes) > 1


def test_the_same_video_gives_the_same_result(folder: Path) -> None:
    again = Sam3(folder, prompt="person. bicycle", device=CPU, thresholds=Thresholds(0.0, 0.0))
    results = segmented(opened(folder), 5)
    assert any(result.labels.any() for result in results), "label images without anybody would be equal anyhow"
    for first, second in zip(results, segmented(again, 5), strict=True):
        assert np.array_equal(first.labels, second.labels)
        assert first.tracked == second.tracked or [vars(a) for a in first.tracked] == [vars(b) for b in second.tracked]


def test_half_precision_runs_through(folder: Path) -> None:
    results = segmented(opened(folder, dtype=torch.bfloat16), 5)
    assert len(results) == 5
    assert any(result.tracked for result in results)


def test_a_person_and_a_bicycle_are_told_apart_and_lie_where_they_were_detected(folder: Path) -> None:
    sam3 = opened(folder)
    direct(sam3.model, lambda frame: [Detection(0, (1, 1, 7, 15), 0.75), Detection(1, (9, 4, 15, 12), 0.5)])
    (first, *_) = ConceptSegmenter(sam3).segment(video(5))
    assert [(one.id, one.class_name, one.score) for one in first.tracked] == [(1, "person", 0.75), (2, "bicycle", 0.5)]
    for number, (left, top, right, bottom) in ((1, (1, 1, 7, 15)), (2, (9, 4, 15, 12))):
        rows, columns = np.nonzero(first.labels == number)
        got = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        expected = np.array([left * 10, top * 90 / 16, right * 10, bottom * 90 / 16])
        worst = np.abs(got - expected).max()
        assert worst <= 1, f"the box of {number} is {worst:.1f} px off"


def test_the_backend_is_made_from_the_options(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "folder", lambda name: {"sam3": folder}[name])
    segmenter = create(Options(backend="sam3", prompt="A bicycle, dog", device="cpu", precision="bfloat16"))
    assert isinstance(segmenter, ConceptSegmenter)
    sam3 = segmenter._sam3
    assert [phrase.text for phrase in sam3.phrases] == ["bicycle", "dog"]
    assert (sam3.device, sam3.dtype) == (CPU, torch.bfloat16)
    assert sam3.model.dtype == torch.bfloat16
    assert len(list(segmenter.segment(video(2)))) == 2
    with pytest.raises(UsageError, match="is no word"):
        create(Options(backend="sam3", prompt="123", device="cpu"))


def test_weights_that_were_never_fetched_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GHOST_WEIGHTS", str(tmp_path))
    with pytest.raises(ModelUnavailable, match=r"sam3.*weights fetch"):
        create(Options(backend="sam3", device="cpu"))
