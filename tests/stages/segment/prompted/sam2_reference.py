"""SAM 2 by transformers' own session and loop, which the tracker is compared with; and pictures to run both on."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from transformers import Sam2VideoModel
from transformers.models.sam2_video import modeling_sam2_video
from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

from stages.segment.prompted.protocols import Outlines

SIDE = 64
CPU = torch.device("cpu")


def moving_pictures(count: int, *, seed: int = 0) -> list[NDArray[np.uint8]]:
    """Coloured blocks that move to the right, with noise; (90, 160, 3)."""
    rng = np.random.default_rng(seed)
    blocks = np.kron(rng.integers(0, 256, (9, 16, 3)), np.ones((10, 10, 1), int))
    frames = [np.roll(blocks, 3 * index, axis=1) // 2 + rng.integers(0, 60, blocks.shape) for index in range(count)]
    return [frame.astype(np.uint8) for frame in frames]


def rectangles(count: int) -> torch.Tensor:
    """(count, SIDE, SIDE) float32 in {0, 1}, each with another rectangle."""
    masks = torch.zeros(count, SIDE, SIDE)
    for row, (y, x) in enumerate([(5, 5), (30, 30), (10, 35), (35, 2)][:count]):
        masks[row, y : y + 25, x : x + 20] = 1
    return masks


def as_outlines(masks: Mapping[int, torch.Tensor]) -> Outlines:
    """Masks of {0, 1} by number, as what a memory is given."""
    logits = torch.stack([20 * mask - 10 for mask in masks.values()])
    return Outlines(tuple(masks), logits, torch.ones(len(logits)))


@dataclass(frozen=True)
class Result:
    """Of one frame, (n, h, w) and (n,)."""

    logits: torch.Tensor
    presence: torch.Tensor


def normalised(image: NDArray[np.uint8], side: int = SIDE) -> torch.Tensor:
    """(3, side, side), as the video processor makes it."""
    planes = torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[None]
    square = F.interpolate(planes, size=(side, side), mode="bilinear", antialias=True, align_corners=False)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return ((square[0].round().clamp(0, 255) / 255) - mean[:, None, None]) / deviation[:, None, None]


@functools.cache
def _loaded(folder: Path) -> Any:
    """Read once: neither its weights nor anything else of it changes."""
    model: Any = Sam2VideoModel.from_pretrained(folder)
    return model.eval()


def session(frames: Sequence[NDArray[np.uint8]]) -> Sam2VideoInferenceSession:
    started = Sam2VideoInferenceSession(video=None, video_height=SIDE, video_width=SIDE, dtype=torch.float32)
    for index, frame in enumerate(frames):
        started.add_new_frame(normalised(frame), index)
    return started


def propagated(
    folder: Path,
    frames: Sequence[NDArray[np.uint8]],
    prompts: Mapping[int, Mapping[int, torch.Tensor]],
    *,
    start: int = 0,
    reverse: bool = False,
) -> dict[int, Result]:
    """transformers' results by frame, as in a video of at least 16 frames.

    Args:
        folder: of the model.
        frames: the whole video.
        prompts: for each person {frame: mask}.
        start: the first frame.
        reverse: backwards from it.
    """
    model = _loaded(folder)
    video = session(frames)
    assert video.processed_frames is not None
    for index in range(len(frames), 16):  # in a shorter video it would count time in units of the video's length
        video.processed_frames[index] = None
    for number, masks in prompts.items():
        for index, mask in masks.items():
            video.add_mask_inputs(video.obj_id_to_idx(number), index, mask[None, None])
    results = {}
    order = range(start, -1, -1) if reverse else range(start, len(frames))
    for index in order:
        # The loop calls this for every frame; a second prompt has to be announced when its frame comes.
        video.obj_with_new_inputs = [number for number, masks in prompts.items() if index in masks]
        output = model(inference_session=video, frame_idx=index, reverse=reverse)
        results[index] = Result(output.pred_masks[:, 0], output.object_score_logits.flatten())
    return results


def boxed(folder: Path, frame: NDArray[np.uint8], box: Sequence[float]) -> Result:
    """What transformers finds in a box, xyxy in pixels of the frame, by its two corners."""
    model = _loaded(folder)
    video = session([frame])
    height, width = frame.shape[:2]
    corners = torch.tensor(box).reshape(1, 1, 2, 2) * torch.tensor([SIDE / width, SIDE / height])
    inputs = {"point_coords": corners, "point_labels": torch.tensor([[[2, 3]]], dtype=torch.int32)}
    video.add_point_inputs(video.obj_id_to_idx(1), 0, inputs)
    video.obj_with_new_inputs = [1]
    output = model(inference_session=video, frame_idx=0)
    return Result(output.pred_masks[:, 0], output.object_score_logits.flatten())


class _Unrounded(ModuleType):
    """torch for one module, in which bfloat16 is float32."""

    bfloat16 = torch.float32

    def __getattr__(self, name: str) -> object:
        return getattr(torch, name)


@contextmanager
def unrounded_memories() -> Iterator[None]:
    """Memories are float32 here, for both: rounding to bfloat16 makes some differences of 1e-7 into 4e-3."""
    with mock.patch.object(modeling_sam2_video, "torch", _Unrounded("torch")):
        yield
