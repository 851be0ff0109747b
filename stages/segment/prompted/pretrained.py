"""Loads models from folders in the layout of `save_pretrained`, and refuses what would run with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError

from common.errors import ModelUnavailable

TRANSFORMERS = "5.23.0"
"""The version whose models' insides the adapters were written for, and whose results theirs were compared with."""


def require_transformers(what: str) -> None:
    """Raises ModelUnavailable unless `transformers` is the one version that this adapter knows.

    Args:
        what: the adapter, for the message.
    """
    if transformers.__version__ != TRANSFORMERS:
        raise ModelUnavailable(
            f"{what} needs transformers {TRANSFORMERS}, whose insides it uses, and found {transformers.__version__}. "
            f"Install the locked packages: `make setup GPU=1`."
        )


def load(model_class: Any, folder: Path, *, device: torch.device, dtype: torch.dtype = torch.float32) -> Any:  # noqa: ANN401 - transformers' classes share no type that knows what they compute
    """A model in evaluation mode on a device, all of its weights read from a folder, without looking anywhere else.

    Args:
        model_class: of transformers.
        folder: with config.json and model.safetensors.
        device: where it goes.
        dtype: of the weights.

    Raises:
        ModelUnavailable: the folder is not there or no model of this class, or weights are missing or damaged.
    """
    # Loading takes seconds, and its bar would break through ours.
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        model, report = model_class.from_pretrained(
            folder, dtype=dtype, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelUnavailable(
            f"{folder}: cannot be loaded as a {model_class.__name__} ({reason}). Fetch it with `ghost weights fetch`."
        ) from error
    absent = sorted(report["missing_keys"]) + sorted(str(key) for key in report["mismatched_keys"])
    if absent:
        raise ModelUnavailable(
            f"{folder}: {len(absent)} weights of a {model_class.__name__} are missing or have another shape, "
            f"{absent[0]} among them. Fetch it again with `ghost weights fetch`."
        )
    return model.requires_grad_(False).eval().to(device)
