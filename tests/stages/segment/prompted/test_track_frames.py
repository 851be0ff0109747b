from collections.abc import Iterator

import pytest
import torch

from common.errors import ModelUnavailable
from stages.segment.prompted import track_frames as module
from stages.segment.prompted.driver import FollowedFrame
from stages.segment.prompted.protocols import Outlines
from stages.segment.prompted.track_frames import track_frames


def followed(count: int) -> Iterator[FollowedFrame]:
    """Frames in which person 5 has the left half, by logits of half the frame's size."""
    for index in range(count):
        logits = torch.tensor([[[9.0, 9.0, -9.0, -9.0]] * 2])
        yield FollowedFrame(index, index / 10, 4, 8, Outlines((5,), logits, torch.ones(1)), {5: 0.7}, {5: "person"})


def full(*_: object, **__: object) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def test_frames_keep_their_order_and_who_is_in_them() -> None:
    frames = list(track_frames(followed(7)))
    assert [(frame.index, frame.seconds) for frame in frames] == [(index, index / 10) for index in range(7)]
    for frame in frames:
        assert frame.labels.shape == (4, 8)
        assert (frame.labels[:, :3] == 5).all()
        assert (frame.labels[:, 5:] == 0).all()
        ((number, score, name),) = ((one.id, one.score, one.class_name) for one in frame.tracked)
        assert (number, score, name) == (5, 0.7, "person")


def test_memory_that_runs_out_in_any_step_of_the_models_is_said_after_the_frames_before_it() -> None:
    def steps() -> Iterator[FollowedFrame]:
        yield from followed(2)
        full()

    frames = track_frames(steps())
    assert [next(frames).index, next(frames).index] == [0, 1]
    with pytest.raises(ModelUnavailable, match=r"memory runs out .*after 2 frames.*smaller model"):
        next(frames)


def test_memory_that_runs_out_for_label_images_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "exclusive_labels", full)
    with pytest.raises(ModelUnavailable, match="memory runs out"):
        next(track_frames(followed(1)))


def test_memory_that_somebody_else_lacks_is_not_taken_for_the_models() -> None:
    frames = track_frames(followed(2))
    next(frames)
    with pytest.raises(MemoryError):
        frames.throw(MemoryError())  # type: ignore[attr-defined]


def test_without_frames_there_is_nothing() -> None:
    assert list(track_frames(())) == []
