"""The words of a prompt as SAM 3's text encoder takes them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import CLIPTokenizer

from common.errors import ModelUnavailable, UsageError

LENGTH = 32
"""Word pieces that the text encoder takes, start and end among them; shorter phrases are filled up."""


@dataclass(frozen=True, eq=False)
class Phrase:
    """One thing to look for.

    Attributes:
        text: in words.
        pieces: (1, 32) int64, word pieces.
        mask: (1, 32) int64, 1 where there is one.
    """

    text: str
    pieces: torch.Tensor
    mask: torch.Tensor


def read(folder: Path, phrases: tuple[str, ...], *, device: torch.device) -> tuple[Phrase, ...]:
    """Phrases in the pieces of a model's own vocabulary.

    Args:
        folder: of the model, with its CLIP tokenizer.
        phrases: as from `prompts.phrases_of`.
        device: where they will be needed.

    Raises:
        ModelUnavailable: the folder has no tokenizer.
        UsageError: a phrase is too long.
    """
    if not any((folder / name).is_file() for name in ("tokenizer.json", "vocab.json")):
        # Without, transformers would make one that knows no word.
        raise ModelUnavailable(f"{folder}: the tokenizer is missing. Fetch the model with `ghost weights fetch`.")
    try:
        tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, json.JSONDecodeError) as error:
        raise ModelUnavailable(
            f"{folder}: the tokenizer cannot be read ({str(error).splitlines()[0]}). "
            "Fetch the model with `ghost weights fetch`."
        ) from error
    found = []
    for phrase in phrases:
        text = tokenizer(phrase, return_tensors="pt", padding="max_length", max_length=LENGTH)
        count = int(text["attention_mask"].sum())
        if count > LENGTH:
            raise UsageError(f"--prompt: SAM 3 reads {LENGTH} word pieces, {phrase!r} has {count}. Name it shorter.")
        found.append(Phrase(phrase, text["input_ids"].to(device), text["attention_mask"].to(device)))
    return tuple(found)
