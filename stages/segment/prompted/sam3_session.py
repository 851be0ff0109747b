"""What transformers' SAM 3 remembers of a video, cut down to what it will look at again.

Its own session keeps every frame, every output of every object, and notes about every frame, which it copies in every
frame. Of all that, the next frame needs, for each object: the encoded masks of the last six frames, the pointers of the
last fifteen, and both of the four latest frames in which a detection confirmed it (with the published weights). The
notes matter for as long as an object may still be taken back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import torch
from transformers.models.sam3_video.modeling_sam3_video import Sam3VideoInferenceSession

from stages.segment.prompted.sam2_pictures import ENDLESS

_USUAL_GIVEN = 4
"""Confirmed frames to keep if the model would look at all there are; the published one looks at as many."""


@dataclass(frozen=True)
class Reach:
    """How far back a model looks.

    Attributes:
        masks: frames of which it looks at the encoded mask.
        pointers: frames of which it looks at the object pointer.
        given: confirmed frames that it looks at, at most.
        doubt: frames after its first in which an object may be taken back.
        unmatched: frames without a detection that it takes for that; more are not told apart.
        doubled: frames with another's detection that it takes for that; likewise.
    """

    masks: int
    pointers: int
    given: int
    doubt: int
    unmatched: int
    doubled: int

    @classmethod
    def of(cls, model: Any) -> Reach:  # noqa: ANN401 - a Sam3VideoModel, whose settings mypy does not see
        """How far a `Sam3VideoModel` looks."""
        tracker = model.config.tracker_config
        return cls(
            masks=tracker.num_maskmem - 1,
            pointers=tracker.max_object_pointers_in_encoder - 1,
            given=tracker.max_cond_frame_num if tracker.max_cond_frame_num > 0 else _USUAL_GIVEN,
            doubt=model.hotstart_delay,
            unmatched=model.hotstart_unmatch_thresh,
            doubled=model.hotstart_dup_thresh,
        )


class StreamSession(Sam3VideoInferenceSession):
    """A session for frames that come one by one, 0, 1, 2, …, and of which nobody knows how many there will be.

    Call `let_go` after every frame. Results are those of transformers' own loop over a whole video of at least 16
    frames, with one exception: there, object pointers of all confirmed frames are looked at, however many; here, and in
    SAM 3's own code, only those of the frames whose masks are looked at, too.
    """

    def __init__(self, *, device: torch.device, dtype: torch.dtype) -> None:
        """Nothing is remembered yet.

        Args:
            device: where the model computes.
            dtype: in what.
        """
        super().__init__(
            inference_device=device, inference_state_device=device, video_storage_device=device, dtype=dtype
        )
        self.obj_with_new_inputs: list[int] = []
        self._places: torch.Tensor | None = None

    @property
    def num_frames(self) -> int:
        """Without end: pointers' ages are measured against min(16, this), so it may not be the frames so far.

        In those of a session to which frames are added they would mean another time in each of the first 16 frames.
        """
        return ENDLESS

    def add_new_frame(self, pixel_values: torch.Tensor, frame_idx: int | None = None) -> int:
        """Takes the next frame, (3, side, side), in place of the one before."""
        self.processed_frames = {}
        return super().add_new_frame(pixel_values, frame_idx)

    def let_go(self, index: int, reach: Reach) -> None:
        """Forgets what no frame after this one will look at.

        Args:
            index: of the frame that is done.
            reach: of the model.
        """
        self.cache.clear_all()  # type: ignore[no-untyped-call]
        self.processed_frames = {}
        for outputs in self.output_dict_per_obj.values():
            found, given = outputs["non_cond_frame_outputs"], outputs["cond_frame_outputs"]
            outputs["non_cond_frame_outputs"] = {
                frame: self._rest(output, whole=frame > index - reach.masks)
                for frame, output in found.items()
                if frame > index - reach.pointers
            }
            latest = sorted(given, reverse=True)
            kept = [frame for row, frame in enumerate(latest) if row < reach.given or frame > index - reach.masks]
            # Where there are too many, the model takes the latest first: the order decides how sums are rounded.
            order = kept if len(given) > reach.given else list(given)
            outputs["cond_frame_outputs"] = {frame: self._own(given[frame]) for frame in order}
        for notes in (self.mask_inputs_per_obj, self.point_inputs_per_obj, self.frames_tracked_per_obj):
            for by_frame in notes.values():
                by_frame.clear()
        self._forget_notes(index, reach)

    def forget(self, objects: Collection[int]) -> None:
        """Follows these objects no longer."""
        for number in objects:
            self.remove_object(number)
        self._only_of(set(self.obj_ids))

    def _forget_notes(self, index: int, reach: Reach) -> None:
        """Cuts down what is noted about objects: of those that are followed, as much as can still change something."""
        alive = set(self.obj_ids)
        doubtful = {number for number in alive if self.obj_first_frame_idx.get(number, -1) > index + 1 - reach.doubt}
        self.obj_id_to_tracker_score_frame_wise = defaultdict(dict)
        self.suppressed_obj_ids = defaultdict(set)
        self.removed_obj_ids = set()
        self.unmatched_frame_inds = _last(self.unmatched_frame_inds, max(reach.unmatched, 1))
        pairs = {pair: frames for pair, frames in self.overlap_pair_to_frame_inds.items() if pair[1] in doubtful}
        self.overlap_pair_to_frame_inds = _last(pairs, max(reach.doubled, 1))
        self._only_of(alive)

    def _only_of(self, alive: set[int]) -> None:
        """Drops notes about all other objects. Numbers are never given again, so nobody will ask."""
        for name in (
            "obj_id_to_score",
            "obj_id_to_last_occluded",
            "obj_id_to_prompt_id",
            "obj_first_frame_idx",
            "trk_keep_alive",
            "unmatched_frame_inds",
        ):
            notes = getattr(self, name)
            for number in [number for number in notes if number not in alive]:
                del notes[number]
        for pair in [pair for pair in self.overlap_pair_to_frame_inds if pair[1] not in alive]:
            del self.overlap_pair_to_frame_inds[pair]

    def _rest(self, output: dict[str, Any], *, whole: bool) -> dict[str, Any]:
        """What is looked at again of an output: the encoded mask, if it is young enough, and the pointer."""
        rest = {"object_pointer": output["object_pointer"]}
        if whole:
            if self._places is None:
                self._places = output["maskmem_pos_enc"].clone()
            # Where a cell is does not depend on the frame or the object: one for all, or it would be two thirds.
            rest |= {"maskmem_features": output["maskmem_features"], "maskmem_pos_enc": self._places}
        return rest

    def _own(self, output: dict[str, Any]) -> dict[str, Any]:
        """The same of an output that stays for long: a slice would keep those of all objects."""
        rest = self._rest(output, whole=True)
        return {
            name: value if value is self._places or _is_all_of_its_memory(value) else value.clone()
            for name, value in rest.items()
        }


def _is_all_of_its_memory(part: torch.Tensor) -> bool:
    return part.untyped_storage().nbytes() == part.nbytes


def _last(frames: dict[Any, list[int]], most: int) -> defaultdict[Any, list[int]]:
    """The last frames of each list: only whether there are so many is ever asked."""
    return defaultdict(list, {key: indices[-most:] for key, indices in frames.items()})
