"""Bodies from NLF: SMPL joints localised one by one in the boxes of our masks, with their uncertainties.

People of several frames share one call. What becomes of its answer: implausible poses and poses that repeat a
neighbour's are rejected (`nlf_plausibility`), the rest is mapped to the 70 keypoints (`nlf_keypoints`).
"""

from __future__ import annotations

import itertools
import logging
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from common import fingerprint
from common.artifacts.body_projection import project_keypoints
from common.device_names import RanOn
from common.errors import ModelUnavailable
from common.models.devices import Batches, announce, deterministic, empty_cache, is_out_of_memory, resolve
from common.skeletons import HIPS
from stages.body.backends import OUT_OF_MEMORY, BodyEstimate, FrameBodyModel, PeopleInFrame
from stages.body.backends.nlf_archive import CROPS, VERTICES, NlfArchive, NlfPeople
from stages.body.backends.nlf_keypoints import VERTICES as KEYPOINT_VERTICES
from stages.body.backends.nlf_keypoints import confidence, keypoints, uncertainties
from stages.body.backends.nlf_plausibility import on_masks, reject
from stages.body.boxes import SMALL, large_enough
from stages.body.keypoints import landmark_confidence
from stages.body.labels import labels_of
from stages.body.placement import Intrinsics
from stages.body.stage import GET_NLF

if TYPE_CHECKING:
    from stages.body.stage import Options

_LOG = logging.getLogger("ghost")
_FRAMES = 16  # 1080p takes the archive 25-75 MB a frame, by float16 or float32; chosen by hand


def load_nlf(options: Options) -> NlfModel:
    """The model that the options ask for; it is opened when first needed.

    Raises:
        ModelUnavailable: no archive, or no such device.
    """
    if not options.nlf_model:
        raise ModelUnavailable(f"--nlf-model is not given. {GET_NLF}.")
    device = resolve(options.device)
    remark = announce(options.device, device)
    deterministic()
    model = NlfModel(
        Path(options.nlf_model),
        device=device,
        augmentations=options.nlf_augmentations,
        vertices=options.vertices == "smpl",
    )
    model.remark = remark
    return model


class NlfModel(FrameBodyModel):
    """An NLF multi-person archive as a FrameBodyModel.

    Parameters of the estimates: smpl_pose (72,), smpl_betas (10,) and smpl_trans (3,) of SMPL, camera axes, metres.
    They and the mesh are those of the fitted body; the keypoints are localised, and differ from it by what the fit
    could not follow.
    """

    name = "nlf"
    frames_at_once = _FRAMES

    def __init__(self, path: Path, *, device: torch.device, augmentations: int = 1, vertices: bool = False) -> None:
        """Looks for the archive and takes its digest.

        Args:
            path: a TorchScript file.
            device: where it computes.
            augmentations: how many variants of a crop are merged, see NlfArchive.look; NLF's own video pipeline uses 5.
            vertices: whether to give SMPL's mesh too, (6890, 3) float16.

        Raises:
            ModelUnavailable: there is no such file.
        """
        if not path.is_file():
            raise ModelUnavailable(f"--nlf-model {path}: no such file. {GET_NLF}.")
        self.identity = fingerprint.of_file(path)
        self.rejected: Counter[str] = Counter()
        self.ran_on = RanOn.of(device)  # in float16 and float32, as the archive decides
        self._path, self._device, self._augmentations, self._mesh = path, device, augmentations, vertices
        self._wanted = np.concatenate([KEYPOINT_VERTICES, np.arange(VERTICES)]) if vertices else KEYPOINT_VERTICES
        self._batches = Batches("people", limit=max(CROPS // augmentations, 1), has_precision=False)

    @cached_property
    def _archive(self) -> NlfArchive:
        archive = NlfArchive(self._path, device=self._device)
        _LOG.info("NLF: %s, sha256 %s, on %s", self._path.name, self.identity, self._device)
        return archive

    def close(self) -> None:
        """Lets go of the archive."""
        self.__dict__.pop("_archive", None)

    def estimate(
        self,
        image: NDArray[np.uint8],
        boxes: NDArray[np.float32],
        masks: NDArray[np.bool_] | None,
        camera: NDArray[np.float64],
    ) -> list[BodyEstimate | None]:
        """See FrameBodyModel."""
        labels = None if masks is None else labels_of(masks)
        return self.estimate_batch([PeopleInFrame(image, boxes, labels, camera)])[0]

    def estimate_batch(self, frames: Sequence[PeopleInFrame]) -> list[list[BodyEstimate | None]]:
        """See FrameBodyModel. A box of less than 10 px is not looked at."""
        rectangles = [corners_to_size(frame.boxes) for frame in frames]
        large = [large_enough(frame.boxes) for frame in frames]
        self.rejected += Counter({SMALL: sum(int((~these).sum()) for these in large)})
        asked = [(frame, int(person)) for frame, these in enumerate(large) for person in np.flatnonzero(these)]

        def look(batch: Sequence[tuple[int, int]]) -> Sequence[NlfPeople | None]:
            try:
                return self._look(batch, frames, rectangles)
            except (RuntimeError, MemoryError) as error:
                if len(batch) > 1 or not is_out_of_memory(error):
                    raise
            # Out of the except clause, as the error holds what the archive had in memory.
            empty_cache()
            self.rejected[OUT_OF_MEMORY] += 1
            return [None]

        found = dict(zip(asked, self._batches.run(look, asked), strict=True))
        results: list[list[BodyEstimate | None]] = []
        for i, (frame, boxes) in enumerate(zip(frames, rectangles, strict=True)):
            seen = {row: one for row in np.flatnonzero(large[i]).tolist() if (one := found[i, row]) is not None}
            bodies: list[BodyEstimate | None] = [None] * len(boxes)
            if seen:
                people, rows = NlfPeople.together(list(seen.values())), np.array(list(seen))
                for row, body in zip(rows.tolist(), self._bodies(people, frame, boxes, rows), strict=True):
                    bodies[row] = body
            results.append(bodies)
        return results

    def _look(
        self,
        batch: Sequence[tuple[int, int]],
        frames: Sequence[PeopleInFrame],
        rectangles: Sequence[NDArray[np.float32]],
    ) -> list[NlfPeople]:
        """What NLF says about these (frame, person), one by one, in their order; they come sorted by frame."""
        by_frame = {i: [person for _, person in group] for i, group in itertools.groupby(batch, lambda pair: pair[0])}
        said: list[NlfPeople] = []
        for _, alike in itertools.groupby(by_frame, lambda i: frames[i].image.shape):
            chosen = list(alike)
            for start in range(0, len(chosen), _FRAMES):
                some = chosen[start : start + _FRAMES]
                said += self._archive.look(
                    [frames[i].image for i in some],
                    [rectangles[i][by_frame[i]] for i in some],
                    [frames[i].camera for i in some],
                    augmentations=self._augmentations,
                    vertices=self._wanted,
                )
        return [people[row : row + 1] for people in said for row in range(len(people))]

    def _bodies(
        self, people: NlfPeople, frame: PeopleInFrame, boxes: NDArray[np.float32], rows: NDArray[np.int64]
    ) -> list[BodyEstimate | None]:
        """The estimates of one frame's people, who are these rows of its boxes and masks."""
        camera, masks = Intrinsics.from_matrix(frame.camera), frame.masks
        reasons = reject(people, boxes[rows].astype(np.float64), masks, own=rows, camera=camera)
        self.rejected.update(reason.value for reason in reasons if reason is not None)
        return [
            None
            if reason is not None
            else self._body(people[i : i + 1], int(rows[i]), frame.image.shape[:2], masks, camera)
            for i, reason in enumerate(reasons)
        ]

    def _body(
        self,
        person: NlfPeople,
        own: int,
        size: tuple[int, ...],
        masks: NDArray[np.bool_] | None,
        camera: Intrinsics,
    ) -> BodyEstimate:
        """The estimate of one person, whose mask has this index, in an image of this height and width."""
        places, unsure = keypoints(person)[0], uncertainties(person)[0]
        transl = places[list(HIPS)].mean(axis=0).astype(np.float32)
        relative = (places - transl).astype(np.float32)
        image = project_keypoints(
            relative[None],
            transl[None],
            focal=camera.focal.astype(np.float32)[None],
            principal_point=camera.centre.astype(np.float32)[None],
        )[0]
        height, width = size
        hidden = None
        if masks is not None:
            hidden = np.asarray(np.delete(on_masks(masks, image), own, axis=0).any(axis=0))
        trust = confidence(unsure) * np.isfinite(image).all(axis=1)
        trust = landmark_confidence(trust, np.ones(1), image, height=height, width=width, hidden=hidden)
        mesh = person.fitted_vertices[0, len(KEYPOINT_VERTICES) :]
        return BodyEstimate(
            relative,
            transl,
            image,
            trust.astype(np.float32),
            params={"smpl_pose": person.pose[0], "smpl_betas": person.betas[0], "smpl_trans": person.trans[0]},
            vertices=(mesh - transl).astype(np.float16) if self._mesh else None,
        )


def corners_to_size(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Boxes as NLF takes them: x, y, width, height of the whole pixels, without a margin.

    NLF's own detector gives tight boxes, and the crop's longer side is the box's; its video pipeline takes the boxes
    of masks as they are, too.

    Args:
        boxes: (n, 4) first and last pixels x1, y1, x2, y2.
    """
    start, stop = boxes[:, :2] - 0.5, boxes[:, 2:] + 0.5
    return np.concatenate([start, stop - start], axis=1).astype(np.float32)
