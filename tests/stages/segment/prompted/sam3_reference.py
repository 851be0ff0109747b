"""A small SAM 3 to run, and transformers' own session and loop over a whole video, which ours are compared with."""

from __future__ import annotations

import copy
import functools
import itertools
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
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
from transformers import CLIPTokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode
from transformers.models.sam3_tracker_video import modeling_sam3_tracker_video
from transformers.models.sam3_video.modeling_sam3_video import Sam3VideoInferenceSession, Sam3VideoModel

from stages.segment.prompted.sam3_follower import Sam3, Thresholds
from stages.segment.prompted.sam3_words import Phrase
from tests import tiny_models

SIDE = 56
CELLS = 16
CPU = torch.device("cpu")


def save(folder: Path, *, seed: int = 0, **settings: Any) -> Path:
    """Saves a SAM 3 in which masks differ between objects and change from frame to frame, with a tokenizer; 18 MB.

    Settings are those of `Sam3VideoConfig`. Its tokenizer has a piece for every letter and no longer ones.
    """
    if seed not in _saved or not _saved[seed][0].exists():
        _save_weights(folder, seed=seed)
        _saved[seed] = folder, json.loads((folder / "config.json").read_text(encoding="utf-8"))
    elsewhere, usual = _saved[seed]
    if elsewhere != folder:
        shutil.copytree(elsewhere, folder, dirs_exist_ok=True)
    (folder / "config.json").write_text(json.dumps(usual | settings), encoding="utf-8")
    return folder


_saved: dict[int, tuple[Path, dict[str, Any]]] = {}
"""Where the weights of a seed are already, and their configuration before any settings: to save takes a third of a
second, to copy a hundredth."""


def _save_weights(folder: Path, *, seed: int) -> None:
    model: Any = tiny_models.sam3_video(seed=seed, side=SIDE)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim >= 2 and parameter[0].numel() > 1:  # as in tiny_models: the usual ones give constants
                parameter.normal_(std=(3 if "memory_attention" in name else 1) / parameter[0].numel() ** 0.5)
            elif not parameter.any():
                parameter.normal_(std=0.1)
        model.tracker_model.mask_decoder.pred_obj_score_head.proj_out.bias.fill_(2)
    model.save_pretrained(folder)
    save_words(folder)


def opened(
    folder: Path, *, prompt: str = "person. bicycle", dtype: torch.dtype = torch.float32, **settings: float
) -> Sam3:
    """A SAM 3 that finds all that it can, whose attributes may be changed; those of its parts and weights may not.

    These are read once and shared by all that are opened from a folder in the same way.
    """
    first = _opened(folder, prompt, dtype)
    sam3 = copy.copy(first)
    sam3.model = copy.copy(first.model)
    return adjusted(sam3, **settings)


@functools.cache
def _opened(folder: Path, prompt: str, dtype: torch.dtype) -> Sam3:
    return Sam3(folder, prompt=prompt, device=CPU, dtype=dtype, thresholds=Thresholds(0.0, 0.0))


def unchanged(folder: Path, **settings: float) -> Any:
    """transformers' own model, of which the same is true."""
    return adjusted(copy.copy(_unchanged(folder)), **settings)


@functools.cache
def _unchanged(folder: Path) -> Any:
    stock: Any = Sam3VideoModel.from_pretrained(folder)
    return stock.eval()


def adjusted(sam3: Any, **settings: float) -> Any:
    """Changes settings of a model, named as in `Sam3VideoConfig`."""
    for name, value in settings.items():
        setattr(getattr(sam3, "model", sam3), name, value)
    return sam3


def save_words(folder: Path) -> Path:
    """Saves a tokenizer like CLIP's that has never seen two letters together."""
    letters = list(bytes_to_unicode().values())  # type: ignore[no-untyped-call]
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    CLIPTokenizer(vocab={word: index for index, word in enumerate(words)}, merges=[]).save_pretrained(folder)
    return folder


def moving_pictures(count: int, *, seed: int = 0) -> list[NDArray[np.uint8]]:
    """Coloured blocks that move to the right, with noise; (90, 160, 3)."""
    rng = np.random.default_rng(seed)
    blocks = np.kron(rng.integers(0, 256, (9, 16, 3)), np.ones((10, 10, 1), int))
    frames = [np.roll(blocks, 3 * index, axis=1) // 2 + rng.integers(0, 60, blocks.shape) for index in range(count)]
    return [frame.astype(np.uint8) for frame in frames]


def normalised(image: NDArray[np.uint8]) -> torch.Tensor:
    """(3, SIDE, SIDE), as the video processor makes it."""
    planes = torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[None]
    square = F.interpolate(planes, size=(SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False)
    return (square[0].round().clamp(0, 255) - 127.5) / 127.5


@dataclass(frozen=True)
class Detection:
    """What a script says that the detector sees.

    Attributes:
        phrase: the number of the phrase that finds it.
        box: xyxy, cells of the masks.
        score: in [0, 1].
    """

    phrase: int
    box: tuple[int, int, int, int] = (1, 1, CELLS - 1, CELLS - 1)
    score: float = 0.9


def direct(model: Any, detections: Callable[[int], Sequence[Detection]]) -> None:
    """Replaces a model's detector by a script; how it associates, follows and remembers stays its own.

    Args:
        model: a Sam3VideoModel.
        detections: in each frame, from 0 on.
    """
    frame = itertools.count()

    def run_detection(inference_session: Any, vision_embeds: Any) -> dict[int, dict[str, torch.Tensor]]:
        seen = detections(next(frame))
        found = {}
        for phrase in inference_session.prompts:
            mine = [one for one in seen if one.phrase == phrase]
            masks = torch.full((len(mine), CELLS, CELLS), -5.0)
            for row, one in enumerate(mine):
                left, top, right, bottom = one.box
                masks[row, top:bottom, left:right] = 5.0
            scores = torch.tensor([one.score for one in mine])
            found[phrase] = {"bbox": torch.zeros(len(mine), 4), "mask": masks.to(model.dtype), "scores": scores}
        return found

    model.run_detection = run_detection


def whole_session(frames: Sequence[NDArray[np.uint8]], phrases: Sequence[Phrase]) -> Sam3VideoInferenceSession:
    """transformers' session of a whole video."""
    video = torch.stack([normalised(frame) for frame in frames])
    session = Sam3VideoInferenceSession(video=video, video_height=SIDE, video_width=SIDE, dtype=torch.float32)
    for phrase in phrases:
        key = session.add_prompt(phrase.text)
        session.prompt_input_ids[key], session.prompt_attention_masks[key] = phrase.pieces, phrase.mask
    return session


class _Unrounded(ModuleType):
    """torch for one module, in which bfloat16 is float32."""

    bfloat16 = torch.float32

    def __getattr__(self, name: str) -> object:
        return getattr(torch, name)


@contextmanager
def unrounded_memories() -> Iterator[None]:
    """Memories are float32 here: rounding to bfloat16 makes differences of 1e-7 ones of 4e-3, now and then."""
    with mock.patch.object(modeling_sam3_tracker_video, "torch", _Unrounded("torch")):
        yield
