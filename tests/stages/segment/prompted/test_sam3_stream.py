"""What is published of what SAM 3 says, and when."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from common.media.decode import Frame
from stages.segment.prompted import sam3_stream
from stages.segment.prompted.driver import FollowedFrame
from stages.segment.prompted.filters import Plausible
from stages.segment.prompted.protocols import Outlines
from stages.segment.prompted.sam3_follower import Found, Sam3
from stages.segment.prompted.sam3_stream import delay, follow
from tests.stages.segment.prompted.sam3_reference import (
    Detection,
    direct,
    moving_pictures,
    opened,
    save,
    whole_session,
)

SIZE = 20
ANYTHING = Plausible(largest=1.0, emptiest=0.0, shortest=1)
Box = tuple[int, int, int, int]
SOMEBODY: Box = (2, 2, 8, 12)


def pictures(count: int) -> list[Frame]:
    """Frames of a video in which every third could not be decoded."""
    image = np.zeros((40, 60, 3), np.uint8)
    places = [place for place in range(2 * count) if place % 3 != 1][:count]
    return [Frame(place, place / 25 + 0.5, image, False) for place in places]


@dataclass
class Scripted:
    """Stands for the model: in each frame {number: box of the mask, in cells}."""

    frames: Sequence[Mapping[int, Box]]
    taken_back: Mapping[int, Collection[int]] = field(default_factory=dict)
    doubt: int = 0
    forgotten: list[tuple[int, int]] = field(default_factory=list)
    looked_at: int = 0
    followed: tuple[int, ...] = ()

    def follower(self) -> "Scripted":
        return self

    def follow(self, image: np.ndarray) -> Found:
        boxes = dict(sorted(self.frames[self.looked_at].items()))
        gone = frozenset(self.taken_back.get(self.looked_at, ()))
        self.looked_at += 1
        self.followed = tuple(sorted({*self.followed, *boxes} - gone - {number for _, number in self.forgotten}))
        logits = torch.full((len(boxes), SIZE, SIZE), -1.0)
        for row, (left, top, right, bottom) in enumerate(boxes.values()):
            logits[row, top:bottom, left:right] = 1.0
        numbers = tuple(boxes)
        outlines = Outlines(numbers, logits, torch.ones(len(boxes)))
        return Found(outlines, {n: n / 10 for n in numbers}, {n: f"kind {n}" for n in numbers}, gone)

    def forget(self, numbers: Collection[int]) -> None:
        self.forgotten += [(self.looked_at - 1, number) for number in numbers]
        self.followed = tuple(number for number in self.followed if number not in numbers)


def published(script: Scripted, plausible: Plausible | None = None) -> list[FollowedFrame]:
    return list(follow(pictures(len(script.frames)), cast("Sam3", script), plausible=plausible))


def shown(frames: Sequence[FollowedFrame]) -> list[list[str]]:
    """Who is in each frame, by the class, which here says the number."""
    return [[frame.class_names[number].removeprefix("kind ") for number in frame.outlines.numbers] for frame in frames]


@pytest.mark.parametrize("count", [0, 1, 2, 5, 30])
@pytest.mark.parametrize("doubt", [0, 4, 15])
def test_every_frame_comes_out_once_in_order_and_none_is_lost_at_the_end(count: int, doubt: int) -> None:
    script = Scripted([{0: SOMEBODY}] * count, doubt=doubt)
    given, got = pictures(count), published(script)
    assert [(one.index, one.seconds) for one in got] == [(one.index, one.seconds) for one in given]
    assert all((one.height, one.width) == (40, 60) for one in got)
    assert shown(got) == [["0"]] * count, "also in a video that is shorter than the shortest track"


@pytest.mark.parametrize(("doubt", "late"), [(0, 2), (2, 2), (15, 14)])
def test_results_come_so_many_frames_late(doubt: int, late: int) -> None:
    script = Scripted([{0: SOMEBODY}] * 40, doubt=doubt)
    assert delay(cast("Sam3", script), Plausible()) == late
    for place, _ in enumerate(follow(pictures(40), cast("Sam3", script))):
        assert script.looked_at == min(place + 1 + late, 40)


def test_who_is_taken_back_was_never_there_and_leaves_no_gap_among_the_ids() -> None:
    frames = (
        [{0: SOMEBODY, 4: SOMEBODY}] + [{0: SOMEBODY, 4: SOMEBODY, 7: SOMEBODY}] * 5 + [{0: SOMEBODY, 7: SOMEBODY}] * 9
    )
    got = published(Scripted(frames, taken_back={4: [4]}, doubt=5))
    assert shown(got) == [["0"]] + [["0", "7"]] * 14
    assert got[-1].outlines.numbers == (1, 2)
    assert got[-1].scores == {1: 0.0, 2: 0.7}


def test_ids_count_from_1_in_the_order_in_which_they_are_published_and_stay() -> None:
    frames: list[dict[int, Box]] = [{3: SOMEBODY}] * 4 + [{1: SOMEBODY, 3: SOMEBODY}] * 4 + [{1: SOMEBODY}] * 4
    got = published(Scripted(frames))
    assert [one.class_names for one in got] == [{1: "kind 3"}] * 4 + [{1: "kind 3", 2: "kind 1"}] * 4 + [
        {2: "kind 1"}
    ] * 4
    boxes: list[dict[int, Box]] = [{3: (0, 0, 4, 4)}] * 3 + [{3: (0, 0, 4, 4), 1: (8, 8, 20, 20)}] * 3
    (*_, last) = published(Scripted(boxes))
    assert [(mask > 0).sum().item() for mask in last.outlines.logits] == [16, 144], "each id has its own mask"


@pytest.mark.parametrize(
    ("seen", "visible"),
    [
        ({5, 6}, set()),
        ({5, 6, 7}, {5, 6, 7}),
        ({5, 7, 9}, {5, 7, 9}),
        ({5, 6, 25}, {25}),  # the third mask comes when the first two are long published
        ({5, 6, 25, 26}, {25, 26}),
        ({28, 29}, set()),
        ({27, 28, 29}, {27, 28, 29}),
    ],
)
def test_a_track_needs_three_masks(seen: set[int], visible: set[int]) -> None:
    frames: list[dict[int, Box]] = [{0: SOMEBODY} if frame in seen else {} for frame in range(30)]
    got = published(Scripted(frames, doubt=6))
    assert {place for place, one in enumerate(got) if one.outlines.numbers} == visible


@pytest.mark.parametrize(
    ("box", "fine"),
    [((0, 0, 20, 16), True), ((0, 0, 20, 17), False), (SOMEBODY, True)],
    ids=["four fifths of the frame", "more", "somebody"],
)
def test_a_mask_of_nearly_the_whole_frame_is_none(box: Box, fine: bool) -> None:
    got = published(Scripted([{0: SOMEBODY}] * 4 + [{0: box}] * 4))
    assert [len(one.outlines) for one in got] == [1] * 4 + [int(fine)] * 4


def test_crumbs_all_over_the_frame_are_no_mask() -> None:
    script = Scripted([{0: SOMEBODY}] * 6)
    original = script.follow

    def crumbs(image: np.ndarray) -> Found:
        found = original(image)
        found.outlines.logits[0] = -1.0
        found.outlines.logits[0, 0, 0] = found.outlines.logits[0, -1, -1] = 1.0
        return found

    script.follow = crumbs  # type: ignore[method-assign]
    assert shown(published(script)) == [[]] * 6


def test_who_has_been_gone_longest_is_given_up_when_too_many_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sam3_stream, "MOST_ABSENT", 2)
    frames: list[dict[int, Box]] = [dict.fromkeys(range(5), SOMEBODY)] * 3
    frames += [dict.fromkeys(there, SOMEBODY) for there in ([0, 2, 3, 4], [0, 2, 4], [0, 2], [0, 2], [0], [0], [0])]
    script = Scripted(frames)
    got = published(script)
    assert script.forgotten == [(5, 1), (7, 3)]
    assert shown(got)[:5] == [["0", "1", "2", "3", "4"]] * 3 + [["0", "2", "3", "4"], ["0", "2", "4"]]


def test_many_who_are_there_are_all_followed() -> None:
    script = Scripted([dict.fromkeys(range(40), SOMEBODY)] * 5)
    assert len(published(script)[-1].outlines) == 40
    assert script.forgotten == []


def test_who_finds_no_id_any_more_has_no_mask(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sam3_stream, "MOST_IDS", 2)
    frames: list[dict[int, Box]] = [dict.fromkeys(range(2 + frame // 3), SOMEBODY) for frame in range(12)]
    assert shown(published(Scripted(frames))) == [["0", "1"]] * 12
    assert [record.getMessage() for record in caplog.records] == [
        "more than 2 people or things: those found from here on have no mask."
    ]


def test_numbers_of_the_session_are_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sam3_stream, "MOST_ABSENT", 1)
    frames: list[dict[int, Box]] = [{frame // 4: SOMEBODY} for frame in range(80)]
    stream = sam3_stream._Stream(cast("Any", Scripted(frames)), Plausible())
    for frame in pictures(80):
        stream.take(frame)
        while len(stream.held) > 3:
            stream.publish(3)
    assert len(stream._tracks) == 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(
        tmp_path_factory.mktemp("sam3"), seed=1, assoc_iou_thresh=1e-9, trk_assoc_iou_thresh=1e-9, fill_hole_area=2,
        hotstart_delay=5, hotstart_unmatch_thresh=3, hotstart_dup_thresh=3, max_num_objects=100,
    )  # fmt: skip


def test_shows_what_transformers_own_loop_shows(folder: Path) -> None:
    """Published as that loop yields: by then it knows whom to hide."""

    def busy(frame: int) -> list[Detection]:
        found = [Detection(0)] if frame < 8 else []
        if frame >= 2:
            found += [Detection(1, (4, 2, 10, 14))] + [Detection(1, (11, 2, 14, 14))] * (frame == 2)
        return found + [Detection(2, (2, 2, 12, 12))] * (frame in (4, 9, 10))

    sam3 = opened(folder, prompt="person. bicycle. dog")
    images = moving_pictures(16)
    direct(sam3.model, busy)
    theirs = list(yielded(sam3, images))
    hidden = {n for masks in theirs for n in masks} ^ {0, 1, 2, 3, 4}
    assert hidden, "somebody is taken back"
    direct(sam3.model, busy)
    frames = [Frame(place, place / 25, image, False) for place, image in enumerate(images)]
    ids: dict[int, int] = {}
    for frame, masks in zip(follow(frames, sam3, plausible=ANYTHING), theirs, strict=True):
        visible = {n: mask[0] for n, mask in masks.items() if bool((mask > 0).any())}
        for number in sorted(visible):
            ids.setdefault(number, len(ids) + 1)
        assert frame.outlines.numbers == tuple(sorted(ids[n] for n in visible)), f"frame {frame.index}"
        for number, mask in visible.items():
            row = frame.outlines.numbers.index(ids[number])
            assert torch.equal(frame.outlines.logits[row], mask), f"frame {frame.index}, object {number}"


def yielded(sam3: Sam3, images: Sequence[np.ndarray]) -> Iterator[dict[int, torch.Tensor]]:
    """Masks of those whom the loop does not hide, as its processor decides it when a frame is yielded."""
    session: Any = whole_session(images, sam3.phrases)
    model: Any = sam3.model
    for output in model.propagate_in_video_iterator(session):
        hide = session.hotstart_removed_obj_ids | output.suppressed_obj_ids
        yield {number: mask for number, mask in output.obj_id_to_mask.items() if number not in hide}
