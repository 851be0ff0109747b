"""A per-frame model whose bodies are known: each person stands where its box is, further right as frames go on."""

from collections import Counter

import numpy as np

from stages.body.backends import BodyEstimate, FrameBodyModel
from stages.body.visibility import visible_share

POINTS = np.random.default_rng(3).uniform(-0.5, 0.5, (70, 3))


class StandIn(FrameBodyModel):
    """Reads the number of the frame from its first pixel and writes it into the body; counts what it sees."""

    name = "standin"

    def __init__(self, *, at_once=1, identity="one", vertices=False, spoil=None, refuse=()):
        self.identity = identity
        self.frames_at_once = at_once
        self.rejected = Counter()
        self.seen = []
        self.batches = []
        self.closed = 0
        self._vertices = vertices
        self._spoil = spoil or {}
        self._refuse = refuse

    def estimate_batch(self, frames):
        self.batches.append([int(frame.image[0, 0, 0]) for frame in frames])
        return super().estimate_batch(frames)

    def estimate(self, image, boxes, masks, camera):
        frame = int(image[0, 0, 0])
        self.seen.append(frame)
        assert masks.dtype == bool
        assert (masks.sum(axis=0) <= 1).all()
        assert image.flags.c_contiguous
        bodies = []
        for box, mask in zip(boxes, masks, strict=True):
            rows, columns = np.nonzero(mask)
            assert box.tolist() == [columns.min(), rows.min(), columns.max(), rows.max()]
            if frame in self._refuse:
                self.rejected["too small"] += 1
                bodies.append(None)
                continue
            place = np.array([box[0] / 100, 0.1, 4.0 + frame / 100])
            seen = (POINTS + place) @ camera.T
            pixels = seen[:, :2] / seen[:, 2:]
            share = visible_share(pixels[None], seen[None, :, 2], box[None], None, height=480, width=640)[0]
            body = {
                "keypoints3d": POINTS, "transl": place, "keypoints2d": pixels, "confidence": share,
                "params": {"global_rot": np.full(3, frame), "smpl_betas": np.full(10, box[0])},
                "vertices": np.full((6890, 3), frame / 64) if self._vertices else None,
                "feature": np.full(1280, box[0] / 512) if self._vertices else None,
            }  # fmt: skip
            bodies.append(BodyEstimate(**(body | self._spoil.get(frame, {}))))
        return bodies

    def close(self):
        self.closed += 1
