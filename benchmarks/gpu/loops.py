"""The loops that are timed: ours without anything around it, ours from file to file, and transformers' own."""

from __future__ import annotations

import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession, Sam2VideoModel

from benchmarks.gpu.clip import workspace
from common.artifacts import MASKS
from common.artifacts.masks import entry_name
from common.workspace import Workspace
from stages.segment.backends.gdino_sam2 import PromptedSegmenter
from stages.segment.prompted.driver import DriverSettings
from stages.segment.prompted.protocols import InstanceDetector, MaskTracker, Outlines
from stages.segment.prompted.sam2_pictures import Normalisation, Picture
from stages.segment.publish import publish

PICTURES = 16
"""Different frames that lie on the device for the bare loops, which take them in turn."""

_KEPT = 16  # frames of outputs that SAM 2 looks back at; what is older is dropped from transformers' session


class Pictures(Protocol):
    """Frames on the device, or on their way there."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Picture: ...


@dataclass(frozen=True)
class Models:
    """What is measured.

    Attributes:
        detector: finds a given number of people.
        tracker: follows them.
        device: where both compute.
        step: frames between two detections.
        people: how many the detector finds in every frame; None if that is not known.
    """

    detector: InstanceDetector
    tracker: MaskTracker[Any]
    device: torch.device
    step: int
    people: int | None = None


def bare(models: Models, images: Sequence[NDArray[np.uint8]], boxes: NDArray[np.float32], *, frames: int) -> float:
    """Frames per second of the models alone, on frames that lie on the device already: nothing read, nothing kept.

    The models are asked for what the driver asks them while the same people stay in view: everybody is followed in
    every frame, and every `step` frames a detection is made and outlined.
    """
    pictures = [models.tracker.see(image) for image in images]
    memory = models.tracker.memory()
    found = models.tracker.outline(pictures[0], boxes)
    memory.remember(pictures[0], 0, found)
    with _timed(models.device) as seconds:
        for index in range(1, frames + 1):
            memory.follow(pictures[index % len(pictures)], index)
            if index % models.step == 0:
                models.detector.detect(images[index % len(images)])
                models.tracker.outline(pictures[index % len(pictures)], boxes)
    return frames / seconds()


def from_file(
    models: Models, data: Path, *, frames: int, during: AbstractContextManager[object] | None = None
) -> float:
    """Frames per second from a video file to mask_data.npz and json_data.

    Args:
        models: what is measured.
        data: with the video.
        frames: of the video.
        during: is entered while the clock runs.

    Raises:
        RuntimeError: not every frame has its masks, or other people than there are.
    """
    segmenter = PromptedSegmenter(
        models.detector, models.tracker, settings=DriverSettings(models.step), device=models.device
    )
    with tempfile.TemporaryDirectory(prefix="ghost-gpu-") as output, workspace(data, Path(output)) as unit:
        with during or nullcontext(), _timed(models.device) as seconds:
            publish(unit, segmenter)
        _check(unit, models, frames)
        return frames / seconds()


def _check(unit: Workspace, models: Models, frames: int) -> None:
    """Raises unless there is what was to be made: its speed would say nothing."""
    path = unit.output(MASKS)
    with zipfile.ZipFile(path) as archive:
        written = len(archive.namelist())
    if written != frames:
        raise RuntimeError(f"{written} of {frames} frames have masks")
    with np.load(path) as masks:
        shown = len(np.unique(masks[entry_name(frames - 1)])) - 1
    if models.people is not None and not unit.found["people"] == shown == models.people:
        raise RuntimeError(
            f"{unit.found['people']} people were found and {shown} are in the last frame, of {models.people}"
        )


def ours(
    tracker: MaskTracker[Any],
    pictures: Pictures,
    given: Outlines,
    *,
    frames: int,
    entries: Sequence[int] | None = None,
) -> Iterator[Outlines]:
    """What the tracker finds in each frame after the first.

    Args:
        tracker: ours.
        pictures: frames, taken in turn.
        given: masks of everybody, wherever they come in.
        frames: how many come after the first.
        entries: the frame in which each comes in, one of them in the first, 0; None: all of them.
    """
    coming = _coming(given, entries)
    memory = tracker.memory()
    memory.remember(pictures[0], 0, coming[0])
    for index in range(1, frames + 1):
        picture = pictures[index % len(pictures)]
        found = memory.follow(picture, index)
        if index in coming:
            memory.remember(picture, index, coming[index])
        yield found


def rival(folder: Path, *, device: torch.device, dtype: torch.dtype) -> Any:  # noqa: ANN401 - typed as immovable
    """Transformers' own model of SAM 2 from a folder in the layout of `save_pretrained`."""
    loader: Any = Sam2VideoModel
    return loader.from_pretrained(folder, dtype=dtype, local_files_only=True).to(device).eval()


def theirs(
    model: Any,  # noqa: ANN401 - as above
    pictures: Sequence[Picture],
    given: Outlines,
    *,
    frames: int,
    dtype: torch.dtype,
    entries: Sequence[int] | None = None,
) -> Iterator[torch.Tensor]:
    """The same by transformers' model and session, (n, h, w) logits; outputs too old to be looked at are dropped.

    Who comes in is among the results of that frame already, unlike in ours. Everything stays on the device, as with
    the sessions that transformers' processor makes; by itself a session would keep its state in the CPU's memory.

    Args:
        model: a `rival`.
        pictures: frames, taken in turn.
        given: masks of everybody.
        frames: how many come after the first.
        dtype: of its weights.
        entries: see `ours`.
    """
    device = pictures[0].pixels.device
    side, normalised = pictures[0].pixels.shape[-1], Normalisation(device, dtype)
    session = Sam2VideoInferenceSession(
        video=None,
        video_height=side,
        video_width=side,
        inference_device=device,
        inference_state_device=device,
        video_storage_device=device,
        dtype=dtype,
    )
    coming = _coming(given, entries)

    def enter(index: int) -> None:
        masks = torch.nn.functional.interpolate(
            coming[index].logits[:, None].float(), size=(side, side), mode="bilinear", align_corners=False
        )
        for row, number in enumerate(coming[index].numbers):
            session.add_mask_inputs(session.obj_id_to_idx(number), index, (masks[row : row + 1] > 0).to(dtype))
        session.obj_with_new_inputs = list(coming[index].numbers)

    session.add_new_frame(normalised(pictures[0])[0], frame_idx=0)
    enter(0)
    model(inference_session=session, frame_idx=0)
    frames_seen: dict[int, Any] = session.processed_frames or {}
    for index in range(1, frames + 1):
        if index in coming:
            enter(index)
        output = model(inference_session=session, frame=normalised(pictures[index % len(pictures)])[0], frame_idx=index)
        for outputs in session.output_dict_per_obj.values():
            outputs["non_cond_frame_outputs"].pop(index - _KEPT, None)
        frames_seen[index] = None
        yield output.pred_masks[:, 0]


def _coming(given: Outlines, entries: Sequence[int] | None) -> dict[int, Outlines]:
    """Who comes in, by frame."""
    numbers: dict[int, list[int]] = {}
    for number, entry in zip(given.numbers, entries or [0] * len(given), strict=True):
        numbers.setdefault(entry, []).append(number)
    return {entry: given.of(some) for entry, some in numbers.items()}


def rate(results: Iterator[object], device: torch.device, *, frames: int, warm: int) -> float:
    """Frames per second of an iterator, after its first `warm` items."""
    for _ in range(warm):
        next(results)
    with _timed(device) as seconds:
        for _ in results:
            pass
    return (frames - warm) / seconds()


@contextmanager
def _timed(device: torch.device) -> Iterator[Any]:
    """Wall-clock seconds of a block, the device's work included, as a function to be called after it."""
    took = [0.0]
    _wait(device)
    start = time.perf_counter()
    yield lambda: took[0]
    _wait(device)
    took[0] = time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
