"""A session that forgets, against transformers' own loop, which remembers everything."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from transformers.models.sam3_tracker_video.modeling_sam3_tracker_video import Sam3TrackerVideoModel

from stages.segment.prompted.sam3_follower import Sam3, Sam3Follower
from tests.stages.segment.prompted.sam3_reference import (
    CELLS,
    Detection,
    direct,
    moving_pictures,
    opened,
    save,
    unchanged,
    unrounded_memories,
    whole_session,
)

Script = Callable[[int], Sequence[Detection]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(
        tmp_path_factory.mktemp("sam3"),
        seed=1,
        # Any overlap is a match, and every match confirms: random masks have no better ones.
        assoc_iou_thresh=1e-9, trk_assoc_iou_thresh=1e-9, high_conf_thresh=0.0, high_iou_thresh=0.0,
        fill_hole_area=2, max_num_objects=100,
    )  # fmt: skip


def loaded(folder: Path, **settings: Any) -> Sam3:
    return opened(folder, prompt="person. bicycle. dog", **settings)


def streamed(sam3: Sam3, frames: Sequence[np.ndarray], script: Script) -> Iterator[tuple[Sam3Follower, Any]]:
    direct(sam3.model, script)
    follower = sam3.follower()
    for frame in frames:
        yield follower, follower.follow(frame)


def by_number(found: Any) -> dict[int, torch.Tensor]:
    return dict(zip(found.outlines.numbers, found.outlines.logits, strict=True))


def whole(model: Any, frames: Sequence[np.ndarray], sam3: Sam3, script: Script) -> list[Any]:
    """transformers' results, of all frames at once."""
    direct(model, script)
    return list(model.propagate_in_video_iterator(whole_session(frames, sam3.phrases)))


def assert_equal(ours: Mapping[int, torch.Tensor], theirs: Mapping[int, torch.Tensor], *, frame: int) -> None:
    assert set(ours) == set(theirs), f"frame {frame}"
    for number, logits in ours.items():
        worst = (logits - theirs[number][0]).abs().max().item()
        assert worst == 0, f"frame {frame}, object {number}: logits differ by {worst:.1e}"


def two(frame: int) -> list[Detection]:
    return [Detection(0), Detection(1, (4, 2, 10, 14))]


def test_masks_are_bit_for_bit_those_of_the_loop_that_forgets_nothing(folder: Path) -> None:
    frames, sam3 = moving_pictures(28), loaded(folder, recondition_every_nth_frame=8)
    stock = unchanged(folder, recondition_every_nth_frame=8)
    theirs = whole(stock, frames, sam3, two)
    given = set()
    for frame, (follower, found) in enumerate(streamed(sam3, frames, two)):
        assert_equal(by_number(found), theirs[frame].obj_id_to_mask, frame=frame)
        assert {n: follower.session.obj_id_to_score[n] for n in found.scores} == theirs[frame].obj_id_to_score
        given = set(follower.session.output_dict_per_obj[0]["cond_frame_outputs"])
    assert given == {0, 8, 16, 24}, "detections confirmed it"
    changes = [(theirs[t].obj_id_to_mask[0] != theirs[t + 1].obj_id_to_mask[0]).float().mean() for t in range(27)]
    assert min(changes) > 0.5, "masks that stay the same would compare nothing"


def test_of_confirmed_frames_that_the_model_does_not_look_at_the_pointers_go_too_as_in_sam_3s_own_code(
    folder: Path,
) -> None:
    frames, sam3 = moving_pictures(18), loaded(folder, recondition_every_nth_frame=3)
    stock = unchanged(folder, recondition_every_nth_frame=3)
    plain = whole(stock, frames, sam3, two)
    with looking_at_the_same_pointers_as_masks():
        theirs = whole(stock, frames, sam3, two)
    differ = []
    for frame, (_, found) in enumerate(streamed(sam3, frames, two)):
        ours = by_number(found)
        assert_equal(ours, theirs[frame].obj_id_to_mask, frame=frame)
        if any(bool((logits != plain[frame].obj_id_to_mask[number][0]).any()) for number, logits in ours.items()):
            differ.append(frame)
    assert differ
    assert min(differ) > 12, "frames 0, 3, 6, 9 and 12 are the first five"


def looking_at_the_same_pointers_as_masks() -> Any:
    original = Sam3TrackerVideoModel._get_object_pointers

    def limited(self: Any, session: Any, obj_idx: int, frame_idx: int, *rest: Any) -> Any:
        outputs = session.output_dict_per_obj[obj_idx]
        chosen, _ = self._select_closest_cond_frames(
            frame_idx, outputs["cond_frame_outputs"], max_cond_frame_num=self.config.max_cond_frame_num
        )
        with mock.patch.dict(outputs, {"cond_frame_outputs": chosen}):
            return original(self, session, obj_idx, frame_idx, *rest)

    return mock.patch.object(Sam3TrackerVideoModel, "_get_object_pointers", limited)


def eventful(frame: int) -> list[Detection]:
    """Somebody stays, another comes in frame 5 and is taken for two; a third is seen now and then only."""
    found = [Detection(0)]
    if frame >= 5:
        found.append(Detection(1, (4, 2, 10, 14)))
    if frame == 5:
        found.append(Detection(1, (10, 2, 14, 14)))
    if frame in (3, 4, 11):
        found.append(Detection(2, (2, 2, 12, 12)))
    return found


def test_who_comes_and_who_is_taken_back_changes_nothing_about_that(folder: Path) -> None:
    doubt: dict[str, float] = {
        "hotstart_delay": 6, "hotstart_unmatch_thresh": 3, "hotstart_dup_thresh": 4, "recondition_every_nth_frame": 4
    }  # fmt: skip
    frames, sam3 = moving_pictures(20), loaded(folder, **doubt)
    with looking_at_the_same_pointers_as_masks():
        theirs = {output.frame_idx: output for output in whole(sam3.model, frames, sam3, eventful)}
    removed: dict[int, int] = {}
    for frame, (follower, found) in enumerate(streamed(sam3, frames, eventful)):
        removed |= dict.fromkeys(found.taken_back, frame)
        shown = {n: m for n, m in theirs[frame].obj_id_to_mask.items() if n not in removed}
        assert_equal(by_number(found), shown, frame=frame)
        assert set(follower.followed) == set(theirs[frame].object_ids)
    assert set(removed) == theirs[19].removed_obj_ids
    assert removed == {1: 7, 3: 9, 4: 14}, "of the third, once it is not seen; of the second's two, the later"


def test_pointers_have_the_same_age_in_the_first_frames_as_later(folder: Path) -> None:
    """transformers measures ages against the frames so far if they are added one by one: that is another time."""
    sam3 = loaded(folder)
    assert sam3.follower().session.num_frames > 16


def test_it_holds_no_more_after_90_frames_than_after_50(folder: Path) -> None:
    """Somebody stays; others come, are doubted and taken back, or stay away and are forgotten, all the time."""

    def coming_and_going(frame: int) -> list[Detection]:
        return [Detection(0)] + [Detection(2, (2, 2, 12, 12))] * (frame % 10 == 3)

    sam3 = loaded(
        folder, hotstart_delay=6, hotstart_unmatch_thresh=2, hotstart_dup_thresh=2, recondition_every_nth_frame=4
    )
    (frame,) = moving_pictures(1)
    held, came = {}, set()
    with blind_to_change(sam3):
        for index, (follower, found) in enumerate(streamed(sam3, [frame] * 90, coming_and_going)):
            came |= set(found.outlines.numbers)
            held[index] = contents(follower.session)
    early, late = [held[index] for index in range(40, 50)], [held[index] for index in range(80, 90)]
    assert len(came) > 8, f"{len(came)} came"
    assert [size for size, _ in early] == [size for size, _ in late], "bytes"
    assert [entries for _, entries in early] == [entries for _, entries in late], "entries"


def blind_to_change(sam3: Sam3) -> Any:
    """While this lasts only the first picture is encoded, to save time."""
    detector: Any = sam3.model.detector_model
    encode = detector.get_vision_features
    first: list[Any] = []

    def once(pixel_values: torch.Tensor) -> Any:
        if not first:
            first.append(encode(pixel_values=pixel_values))
        return first[0]

    return mock.patch.object(detector, "get_vision_features", once)


def contents(session: Any) -> tuple[int, int]:
    """Bytes of all memory that tensors in an object hold, and how many entries all containers in it have."""
    memory: dict[int, int] = {}
    entries, seen, waiting = 0, set(), [vars(session)]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, torch.Tensor):
            memory[one.untyped_storage().data_ptr()] = one.untyped_storage().nbytes()
        elif isinstance(one, dict):
            entries += len(one)
            waiting += [*one.values()]
        elif isinstance(one, list | tuple | set):
            entries += len(one)
            waiting += [*one]
        elif hasattr(one, "__dict__"):
            waiting.append(vars(one))
    return sum(memory.values()), entries


def test_of_a_frame_nothing_stays_but_what_is_remembered_of_objects(folder: Path) -> None:
    sam3 = loaded(folder)
    frames = moving_pictures(24)
    *_, (follower, _) = streamed(sam3, frames, two)
    session, cells = follower.session, 4 * 4
    assert session.processed_frames == {}
    for outputs in session.output_dict_per_obj.values():
        whole = {t: output for t, output in outputs["non_cond_frame_outputs"].items() if "maskmem_features" in output}
        assert sorted(whole) == [18, 19, 20, 21, 22, 23]
        assert sorted(outputs["non_cond_frame_outputs"]) == [t for t in range(9, 24) if t != 16]
        assert sorted(outputs["cond_frame_outputs"]) == [0, 16]
        for output in (*outputs["cond_frame_outputs"].values(), *whole.values()):
            assert set(output) == {"object_pointer", "maskmem_features", "maskmem_pos_enc"}
            assert output["maskmem_features"].shape == (cells, 1, 64)
            assert output["maskmem_pos_enc"] is session._places
        for output in outputs["cond_frame_outputs"].values():
            features = output["maskmem_features"]
            assert features.untyped_storage().nbytes() == features.nbytes, "a slice of what all objects have"


def test_who_is_forgotten_is_new_on_return_and_others_go_on_as_before(folder: Path) -> None:
    frames = moving_pictures(14)
    script: Script = lambda frame: two(frame) if frame < 6 or frame > 10 else [Detection(0)]  # noqa: E731
    with unrounded_memories():
        alone = [by_number(found) for _, found in streamed(loaded(folder), frames, lambda frame: [Detection(0)])]
        seen = []
        for frame, (follower, found) in enumerate(streamed(loaded(folder), frames, script)):
            seen.append(found.outlines.numbers)
            worst = (by_number(found)[0] - alone[frame][0]).abs().max().item()
            assert worst < 1e-4, f"frame {frame}: logits differ by {worst:.1e}"
            if frame == 6:
                follower.forget([1])
                assert follower.followed == (0,)
                assert 1 not in follower.session.obj_id_to_score
    assert seen[5:8] == [(0, 1), (0, 1), (0,)]
    assert seen[12] == (0, 2)


def test_who_was_last_can_be_forgotten_too(folder: Path) -> None:
    script: Script = lambda frame: [Detection(0)] if frame in (0, 4) else []  # noqa: E731
    seen = []
    for frame, (follower, found) in enumerate(streamed(loaded(folder), moving_pictures(6), script)):
        seen.append(found.outlines.numbers)
        if frame == 1:
            follower.forget(follower.followed)
    assert seen == [(0,), (0,), (), (), (1,), (1,)]
    assert CELLS == 16
