"""SAM 2 as a mask tracker, by the authors' own package `sam2`: the second implementation of the same interface.

One inference state for each person, made by hand: nothing is loaded in advance, people come and go at any time, and
what the predictor would not look at again is dropped. It runs one person after the other, as the package does, so it is
slower than `sam2.Sam2Tracker`; it is there for who wants the authors' code, or has only their checkpoints.
Written for facebookresearch/sam2 at commit 2b90b9f.
"""

from __future__ import annotations

import importlib
import importlib.util
import zipfile
from collections.abc import Collection
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from common.errors import ModelUnavailable, UsageError
from common.models.devices import memory_explained
from stages.segment.prompted.protocols import Outlines
from stages.segment.prompted.sam2_memory import MOST_GIVEN
from stages.segment.prompted.sam2_model import enlarged
from stages.segment.prompted.sam2_pictures import ENDLESS, Picture, PictureFeatures, squeezed

CONFIGURATIONS = {
    "sam2.1-hiera-tiny": "configs/sam2.1/sam2.1_hiera_t.yaml",
    "sam2.1-hiera-small": "configs/sam2.1/sam2.1_hiera_s.yaml",
    "sam2.1-hiera-base-plus": "configs/sam2.1/sam2.1_hiera_b+.yaml",
    "sam2.1-hiera-large": "configs/sam2.1/sam2.1_hiera_l.yaml",
}
"""The package's configuration file of each model."""


class Sam2PackageTracker:
    """Follows masks with the authors' `SAM2VideoPredictor`; a `protocols.MaskTracker`.

    In half precision weights stay float32 and only matrix products and convolutions are rounded (autocast), as in the
    authors' examples.
    """

    def __init__(
        self, name: str, checkpoint: Path, *, device: torch.device, dtype: torch.dtype = torch.float32
    ) -> None:
        """Loads the model.

        Args:
            name: one of CONFIGURATIONS.
            checkpoint: the authors' file, such as sam2.1_hiera_large.pt; read as weights only, no code in it runs.
            device: where it computes.
            dtype: of matrix products and convolutions.

        Raises:
            UsageError: the package has no such model.
            ModelUnavailable: the package is not installed, the file is none of its checkpoints, or the device has too
                little memory.
        """
        self._use(_predictor(name, checkpoint, device), device, dtype)

    @classmethod
    def around(cls, predictor: Any, *, device: torch.device, dtype: torch.dtype = torch.float32) -> Sam2PackageTracker:  # noqa: ANN401 - of a package that need not be there
        """A tracker with a predictor that is loaded already, on the device."""
        tracker = cls.__new__(cls)
        tracker._use(predictor, device, dtype)
        return tracker

    def _use(self, predictor: Any, device: torch.device, dtype: torch.dtype) -> None:  # noqa: ANN401
        # Filling holes needs a CUDA extension that the images are built without: every frame would warn of it.
        predictor.fill_hole_area = 0
        # A mask of somebody who is followed already counts as given, as in training.
        predictor.add_all_frames_to_correct_as_cond = True
        self.predictor = predictor.requires_grad_(False).eval()
        self.device, self.dtype, self.side = device, dtype, int(predictor.image_size)
        self.features = PictureFeatures(self._encoded, device=device, dtype=torch.float32)
        self._constants: dict[str, Any] = {}  # the same position encoding for everybody

    def see(self, image: NDArray[np.uint8]) -> Picture:
        """A frame, (H, W, 3) uint8 RGB, on the model's device; see `protocols.MaskTracker.see`."""
        return squeezed(image, self.side, self.device)

    def outline(self, picture: Picture, boxes: NDArray[np.float32]) -> Outlines:
        """The instances in boxes; see `protocols.MaskTracker.outline`."""
        outputs = []
        for box in boxes:
            state = self.state()
            self.show(state, picture, 0)
            relative = torch.from_numpy(box / np.array([picture.width, picture.height] * 2, np.float32))
            with self.precision():
                self.predictor.add_new_points_or_box(state, 0, 0, box=relative, normalize_coords=False)
            outputs.append(state["temp_output_dict_per_obj"][0]["cond_frame_outputs"][0])
        return self.outlines(tuple(range(len(boxes))), outputs)

    def memory(self, *, reverse: bool = False) -> Sam2PackageMemory:
        """An empty memory, for a pass forwards or backwards."""
        return Sam2PackageMemory(self, reverse=reverse)

    def state(self) -> dict[str, Any]:
        """A fresh inference state of the predictor, for one person."""
        return {
            "images": {},
            "num_frames": ENDLESS,
            "offload_video_to_cpu": False,
            "offload_state_to_cpu": False,
            "video_height": self.side // 4,  # the masks' own size: they are enlarged elsewhere
            "video_width": self.side // 4,
            "device": self.device,
            "storage_device": self.device,
            "point_inputs_per_obj": {},
            "mask_inputs_per_obj": {},
            "cached_features": {},
            "constants": self._constants,
            "obj_id_to_idx": {},
            "obj_idx_to_id": {},
            "obj_ids": [],
            "output_dict_per_obj": {},
            "temp_output_dict_per_obj": {},
            "frames_tracked_per_obj": {},
        }

    def show(self, state: dict[str, Any], picture: Picture, index: int) -> None:
        """Lets a state look at a frame; `hide` ends it."""
        state["cached_features"] = {index: self.features.of(picture)}

    @staticmethod
    def hide(state: dict[str, Any]) -> None:
        """Lets a state hold on to no frame: features are larger than all that is remembered."""
        state["cached_features"] = {}

    def outlines(self, numbers: tuple[int, ...], outputs: list[dict[str, torch.Tensor]]) -> Outlines:
        """The predictor's outputs, one for each person."""
        if not outputs:
            nothing = torch.empty((0, self.side // 4, self.side // 4), device=self.device)
            return Outlines((), nothing, nothing.new_empty(0))
        return Outlines(
            numbers,
            torch.stack([output["pred_masks"][0, 0] for output in outputs]),
            torch.stack([output["object_score_logits"].reshape(()) for output in outputs]),
        )

    def precision(self) -> AbstractContextManager[object]:
        """Within it, the model computes in the tracker's type."""
        return torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32)

    @torch.no_grad()
    def _encoded(self, image: torch.Tensor) -> tuple[torch.Tensor, Any]:
        """The picture and what the image encoder sees in it, as the predictor keeps them."""
        with self.precision():
            return image, self.predictor.forward_image(image)


class Sam2PackageMemory:
    """Follows people through pictures, one after the other; see `protocols.Memory`."""

    def __init__(self, tracker: Sam2PackageTracker, *, reverse: bool = False) -> None:
        """An empty memory.

        Args:
            tracker: whose predictor is used.
            reverse: whether frames come backwards.
        """
        self._tracker = tracker
        self._reverse = reverse
        self._states: dict[int, dict[str, Any]] = {}
        self._index: int | None = None

    @property
    def numbers(self) -> tuple[int, ...]:
        """The tracks that it follows, in the order in which they came."""
        return tuple(self._states)

    def follow(self, picture: Picture, index: int) -> Outlines:
        """Where everybody is in the next frame; see `protocols.Memory.follow`.

        Raises:
            ValueError: a frame was left out.
        """
        step = -1 if self._reverse else 1
        if self._states and self._index is not None and index != self._index + step:
            raise ValueError(f"the frame after {self._index} is {self._index + step}, got {index}")
        self._index = index
        found = [self._found(state, picture, index) for state in self._states.values()]
        outlines = self._tracker.outlines(self.numbers, found)
        for state in self._states.values():
            self._drop(state, index)
        return outlines

    def remember(self, picture: Picture, index: int, outlines: Outlines) -> None:
        """From this frame on, follows instances whose masks are known here; see `protocols.Memory.remember`.

        Raises:
            ValueError: not the frame that was followed last, or a number twice.
        """
        if self._states and index != self._index:
            raise ValueError(f"masks of frame {index} come too late or too early: the last frame was {self._index}")
        if len(set(outlines.numbers)) < len(outlines):
            raise ValueError(f"every mask needs a number of its own, got {outlines.numbers}")
        self._index = index
        tracker, side = self._tracker, self._tracker.side
        for row, number in enumerate(outlines.numbers):
            if number not in self._states:
                self._states[number] = tracker.state()
            state = self._states[number]
            tracker.show(state, picture, index)
            mask = enlarged(outlines.logits[row : row + 1], side, side)[0] > 0
            with tracker.precision():
                tracker.predictor.add_new_mask(state, index, number, mask)
                tracker.predictor.propagate_in_video_preflight(state)
            tracker.hide(state)
            state["mask_inputs_per_obj"][0].clear()
            given = state["output_dict_per_obj"][0]["cond_frame_outputs"]
            given[index] = {**given.pop(index), "pred_masks": None}  # last, also if it was there
            if len(given) > MOST_GIVEN:
                given.pop(list(given)[1])

    def forget(self, numbers: Collection[int]) -> None:
        """Follows these no longer; numbers that it does not know are no mistake."""
        for number in numbers:
            self._states.pop(number, None)

    def tensors(self) -> list[torch.Tensor]:
        """All that it holds of people on the device, for who wants to count it."""
        outputs = [
            output
            for state in self._states.values()
            for kind in state["output_dict_per_obj"][0].values()
            for output in kind.values()
        ]
        names = ("maskmem_features", "pred_masks", "obj_ptr", "object_score_logits")
        return [output[name] for output in outputs for name in names if output[name] is not None]

    def _found(self, state: dict[str, Any], picture: Picture, index: int) -> dict[str, Any]:
        """The predictor's output for one person in the next frame, which is added to their state."""
        tracker = self._tracker
        tracker.show(state, picture, index)
        outputs = state["output_dict_per_obj"][0]
        with torch.inference_mode(), tracker.precision():
            output, _ = tracker.predictor._run_single_frame_inference(
                inference_state=state,
                output_dict=outputs,
                frame_idx=index,
                batch_size=1,
                is_init_cond_frame=False,
                point_inputs=None,
                mask_inputs=None,
                reverse=self._reverse,
                run_mem_encoder=True,
            )
        tracker.hide(state)
        outputs["non_cond_frame_outputs"][index] = output
        state["frames_tracked_per_obj"][0] = {index: {"reverse": self._reverse}}
        found: dict[str, Any] = output
        return found

    def _drop(self, state: dict[str, Any], index: int) -> None:
        """Lets go of what the predictor does not look at in the next frame."""
        predictor = self._tracker.predictor
        found = state["output_dict_per_obj"][0]["non_cond_frame_outputs"]
        for earlier in list(found):
            age = abs(index - earlier)
            if age >= predictor.max_obj_ptrs_in_encoder - 1:
                del found[earlier]
                continue
            found[earlier]["pred_masks"] = None
            if age >= predictor.num_maskmem - 1:
                found[earlier]["maskmem_features"] = None


def _predictor(name: str, checkpoint: Path, device: torch.device) -> Any:  # noqa: ANN401
    """The package's predictor with weights, by its own configuration."""
    if name not in CONFIGURATIONS:
        raise UsageError(f"--tracker: the package sam2 knows {', '.join(CONFIGURATIONS)}, not {name!r}.")
    if importlib.util.find_spec("sam2") is None:
        raise ModelUnavailable(
            "the authors' package sam2 is not installed here. Use the GPU image of the stage segment, which has it; or "
            "install github.com/facebookresearch/sam2 at commit 2b90b9f (SAM2_BUILD_CUDA=0 pip install --no-deps, with "
            "hydra-core and iopath); or choose --sam2-implementation transformers."
        )
    if not zipfile.is_zipfile(checkpoint):
        raise ModelUnavailable(f"{checkpoint}: no checkpoint of SAM 2. Fetch it with `ghost weights fetch`.")
    try:
        build = importlib.import_module("sam2.build_sam").build_sam2_video_predictor
        with memory_explained(f"while loading {name}"):
            return build(CONFIGURATIONS[name], str(checkpoint), device=str(device))
    except ImportError as error:
        raise ModelUnavailable(f"the package sam2 cannot be imported: {error}. Install what it needs.") from error
    except (OSError, RuntimeError, KeyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelUnavailable(
            f"{checkpoint}: cannot be loaded as {name} ({reason}). Fetch it with `ghost weights fetch`."
        ) from error
