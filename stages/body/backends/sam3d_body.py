"""Bodies from SAM 3D Body: an adapter to a checkout of facebookresearch/sam-3d-body, whose code ghost does not bring.

Written against commit b5c765a and its documented interface. Unlike the original ghost it passes masks and intrinsics
in: without the masks people in contact are confused (Hi4D: MPJPE 76 -> 47 mm with them), without intrinsics the field
of view is guessed anew in each frame. Boxes are those of the masks and are not padded here: the checkout enlarges them
by 1.25 itself, which is what the model was trained with; the original's further 20 % only shrink the person.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from common import fingerprint
from common.errors import ModelUnavailable
from common.models import calls
from common.skeletons import MHR70_COUNT
from common.weights import store
from stages.body.backends import BodyEstimate, FrameBodyModel
from stages.body.backends.sam3d_process import Worker
from stages.body.backends.sam3d_worker import VERTICES
from stages.body.mhr_to_smpl import FILE_NAME, HOW_TO_GET, MHR_VERTICES, SurfaceMap, load_surface_map
from stages.body.visibility import visible_share

if TYPE_CHECKING:
    from stages.body.stage import Options

WEIGHTS = "sam-3d-body-dinov3"
MAPPING = "mhr2smpl-mapping"

_LOG = logging.getLogger("ghost")
_FILES = ("model.ckpt", "model_config.yaml", "assets/mhr_model.pt")
_SMALLEST_PX = 10  # of a box's side, as in the original: below it there is nobody to be recognised
_OUT_OF_MEMORY = "out of memory"
_PARAMS = ("global_rot", "body_pose_params", "hand_pose_params", "scale_params", "shape_params")


def load_sam3d_body(options: Options, weights: Path | None) -> Sam3dBody:
    """The model that the options ask for; it is loaded when first needed. Errors as in Sam3dBody."""
    mapping = store.find(MAPPING) if options.vertices == "smpl" else None
    return Sam3dBody(options, weights, mapping=mapping)


class Sam3dBody(FrameBodyModel):
    """SAM 3D Body in a process of its own, which is started with the first frame."""

    name = "sam3d-body"
    frames_at_once = 1  # process_one_image takes one; its people are one batch

    def __init__(self, options: Options, weights: Path | None, *, mapping: Path | None = None) -> None:
        """Looks for everything that is needed, and loads nothing.

        Args:
            options: those of sam3d, device and vertices are used.
            weights: the verified folder of facebook/sam-3d-body-dinov3, or None.
            mapping: mhr2smpl_mapping.npz, for vertices="smpl", or None.

        Raises:
            ModelUnavailable: checkout, weights, interpreter or device are not there.
        """
        if options.device == "mps":
            raise ModelUnavailable("sam3d-body runs on a CUDA GPU only, not on mps. Use another --device or --backend.")
        self._checkout = _checkout(options.sam3d_path)
        self._weights = _weights(weights)
        if options.sam3d_python and shutil.which(options.sam3d_python) is None:
            raise ModelUnavailable(f"--sam3d-python: {options.sam3d_python} is no program that can be started.")
        self._mapping = mapping if options.vertices == "smpl" else None
        if options.vertices == "smpl" and (mapping is None or not mapping.is_file()):
            raise ModelUnavailable(f"--vertices smpl: {FILE_NAME} is not among the weights. {HOW_TO_GET}.")
        self._options = options
        self._map: SurfaceMap | None = None
        self._worker: Worker | None = None
        self.identity = _identity(self._checkout, self._mapping)
        self.rejected = Counter()

    def estimate(
        self,
        image: NDArray[np.uint8],
        boxes: NDArray[np.float32],
        masks: NDArray[np.bool_] | None,
        camera: NDArray[np.float64],
    ) -> list[BodyEstimate | None]:
        """See FrameBodyModel."""
        large = np.flatnonzero((boxes[:, 2:] - boxes[:, :2]).min(axis=1) >= _SMALLEST_PX)
        bodies: list[BodyEstimate | None] = [None] * len(boxes)
        if not large.size:
            return bodies
        request: dict[str, NDArray[Any]] = {"image": image, "boxes": boxes[large], "camera": camera.astype(np.float32)}
        if masks is not None:
            request["labels"] = _labels(masks, large)
        answer, found = self._running().ask(request)
        calls.count(WEIGHTS)
        if answer["halved_to"] is not None:
            _LOG.warning("sam3d-body: out of memory; from now on %d people at once.", answer["halved_to"])
        rows = large[np.array(answer["rows"], np.int64)]
        self.rejected[_OUT_OF_MEMORY] += len(large) - len(rows)
        if len(rows):
            seen, depth = np.full((len(boxes), MHR70_COUNT, 2), np.nan), np.full((len(boxes), MHR70_COUNT), np.nan)
            seen[rows] = found["pred_keypoints_2d"]
            depth[rows] = found["pred_keypoints_3d"][..., 2] + found["pred_cam_t"][:, None, 2]
            height, width = image.shape[:2]
            confidence = visible_share(seen, depth, boxes, masks, height=height, width=width)
            for i, row in enumerate(rows.tolist()):
                bodies[row] = self._body({name: array[i] for name, array in found.items()}, confidence[row])
        return bodies

    def close(self) -> None:
        """Ends the process."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def _running(self) -> Worker:
        if self._worker is None:
            options = self._options
            config = {
                "checkout": str(self._checkout),
                "checkpoint": str(self._weights / "model.ckpt"),
                "mhr": str(self._weights / "assets/mhr_model.pt"),
                "device": options.device,
                "mode": options.sam3d_mode,
                "vertices": options.vertices != "none",
            }
            self._worker = Worker(self._checkout, config, python=options.sam3d_python)
            _LOG.info("models run on %s, in a process of their own", self._worker.about["device"])
            if not self._worker.about["masks"]:
                self.remark = (
                    f"sam3d-body: process_one_image of {self._checkout} takes no masks: people who touch will be "
                    "confused. Update the checkout."
                )
                _LOG.warning("%s", self.remark)
            if self._mapping is not None:
                self._map = load_surface_map(self._mapping, self._worker.faces)
        return self._worker

    def _body(self, found: dict[str, NDArray[Any]], confidence: NDArray[np.float64]) -> BodyEstimate:
        params = {name: found[name] for name in _PARAMS}
        vertices = found.get(VERTICES)
        if vertices is not None and vertices.shape != (MHR_VERTICES, 3):
            raise ModelUnavailable(
                f"sam3d-body gave a mesh of {vertices.shape}, expected ({MHR_VERTICES}, 3). Use --vertices none."
            )
        if self._map is not None and vertices is not None:
            params["smpl_vertices"] = self._map.apply(vertices)
            vertices = None
        return BodyEstimate(
            keypoints3d=found["pred_keypoints_3d"],
            transl=found["pred_cam_t"],
            keypoints2d=found["pred_keypoints_2d"],
            confidence=confidence,
            params=params,
            vertices=vertices,
            feature=found.get("feature"),
        )


def _labels(masks: NDArray[np.bool_], chosen: NDArray[np.int64]) -> NDArray[np.uint16]:
    """(H, W) 1 + the number among the chosen; 0 elsewhere. Masks exclude each other, so that says the same."""
    labels = np.zeros(masks.shape[1:], np.uint16)
    for number, row in enumerate(chosen.tolist(), 1):
        labels[masks[row]] = number
    return labels


def _checkout(path: str) -> Path:
    how = "git clone github.com/facebookresearch/sam-3d-body, and name the folder with --sam3d-path"
    if not path:
        raise ModelUnavailable(f"sam3d-body runs the official code, which no registry has: {how}.")
    folder = Path(path).expanduser().absolute()
    if not (folder / "sam_3d_body" / "__init__.py").is_file():
        raise ModelUnavailable(f"--sam3d-path: {folder} holds no sam_3d_body/__init__.py; {how}.")
    return folder


def _weights(folder: Path | None) -> Path:
    how = "Run `ghost weights fetch --backend sam3d-body`"
    if folder is None:
        raise ModelUnavailable(f"sam3d-body needs the weights {WEIGHTS}. {how}.")
    missing = [name for name in _FILES if not (folder / name).is_file()]
    if missing:
        raise ModelUnavailable(f"sam3d-body: {folder} has no {missing[0]}. {how}.")
    return folder.absolute()


def _identity(checkout: Path, mapping: Path | None) -> str:
    """A digest of the code that ghost did not bring, and of the map."""
    digest = hashlib.sha256()
    for path in sorted((checkout / "sam_3d_body").rglob("*.py")):
        digest.update(f"{path.relative_to(checkout)} {fingerprint.of_file(path)}\n".encode())
    if mapping is not None:
        digest.update(fingerprint.of_file(mapping).encode())
    return digest.hexdigest()
