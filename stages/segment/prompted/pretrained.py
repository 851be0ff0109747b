"""Loads models from folders in the layout of `save_pretrained`, and refuses what would run with random weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError

from common.errors import ModelUnavailable
from common.models.devices import memory_explained

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


def load(
    model_class: Any,  # noqa: ANN401 - transformers' classes share no type that knows what they compute
    folder: Path,
    *,
    device: torch.device,
    prepare: Callable[[Any], object] | None = None,
) -> Any:  # noqa: ANN401
    """A float32 model in evaluation mode on a device, all of its weights read from a folder and from nowhere else.

    Args:
        model_class: of transformers.
        folder: with config.json and model.safetensors.
        device: where it goes.
        prepare: what is done to the model while it is on the CPU still, such as `round_parameters`: a device that has
            room for half precision only need not hold more.

    Raises:
        ModelUnavailable: the folder is not there or no model of this class, weights are missing or damaged, or the
            device has too little memory for them.
    """
    if not (folder / "config.json").is_file():  # transformers would build its default model first, gigabytes of it
        raise ModelUnavailable(f"{folder}: there is no config.json. Fetch the model with `ghost weights fetch`.")
    # Loading takes seconds, and its bar would break through ours.
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with memory_explained(f"while loading {folder.name}"):
            model, report = model_class.from_pretrained(
                folder, dtype=torch.float32, local_files_only=True, use_safetensors=True, output_loading_info=True
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
    with memory_explained(f"while loading {folder.name} on {device}"):
        model.requires_grad_(False).eval()
        if prepare is not None:
            prepare(model)
        return model.to(device)


def round_parameters(model: torch.nn.Module, dtype: torch.dtype) -> None:
    """Makes what a model has learned another type, and leaves its buffers, which say where things are, as they are."""
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)
