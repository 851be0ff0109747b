"""Bodies from SAM 3D Body: an adapter to a checkout of facebookresearch/sam-3d-body, whose code ghost does not bring.

Written against commit b5c765a and its documented interface. Unlike the original ghost it passes masks and intrinsics
in: without the masks people in contact are confused (Hi4D: MPJPE 76 -> 47 mm with them), without intrinsics the field
of view is guessed anew in each frame. Boxes are those of the masks and are not padded here: the checkout enlarges them
by 1.25 itself, which is what the model was trained with; the original's further 20 % only shrink the person.
"""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from common import fingerprint
from common.device_names import RanOn
from common.errors import ModelUnavailable
from common.models import calls
from common.skeletons import MHR70_COUNT
from common.weights import store
from stages.body.backends import OUT_OF_MEMORY, BodyEstimate, FrameBodyModel
from stages.body.backends.sam3d_cameras import Cameras
from stages.body.backends.sam3d_process import Worker
from stages.body.backends.sam3d_worker import VERTICES
from stages.body.boxes import SMALL, large_enough
from stages.body.labels import labels_of
from stages.body.mhr_to_smpl import FILE_NAME, HOW_TO_GET, MHR_VERTICES, SurfaceMap, load_surface_map
from stages.body.placement import Intrinsics
from stages.body.stage import GET_SAM3D
from stages.body.visibility import visible_share

if TYPE_CHECKING:
    from stages.body.stage import Options

WEIGHTS = "sam-3d-body-dinov3"
MAPPING = "mhr2smpl-mapping"

_LOG = logging.getLogger("ghost")
_FILES = ("model.ckpt", "model_config.yaml", "assets/mhr_model.pt")
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
        self._python = _python(options.sam3d_python)
        self._mapping = mapping if options.vertices == "smpl" else None
        if options.vertices == "smpl" and (mapping is None or not mapping.is_file()):
            raise ModelUnavailable(f"--vertices smpl: {FILE_NAME} is not among the weights. {HOW_TO_GET}.")
        self._options = options
        self._map: SurfaceMap | None = None
        self._worker: Worker | None = None
        self._code = self.identity = _identity(self._checkout, self._mapping)
        self.rejected = Counter()

    def estimate(
        self,
        image: NDArray[np.uint8],
        boxes: NDArray[np.float32],
        masks: NDArray[np.bool_] | None,
        camera: NDArray[np.float64],
    ) -> list[BodyEstimate | None]:
        """See FrameBodyModel."""
        is_large = large_enough(boxes)
        large = np.flatnonzero(is_large)
        self.rejected += Counter({SMALL: int((~is_large).sum())})  # which adds no zeros
        bodies: list[BodyEstimate | None] = [None] * len(boxes)
        if not large.size:
            return bodies
        worker, (height, width) = self._running(), image.shape[:2]
        cameras = Cameras.of(
            Intrinsics.from_matrix(camera),
            height=height,
            width=width,
            mode=self._options.sam3d_mode,
            uses_centre=worker.about["uses_centre"],
        )
        request: dict[str, NDArray[Any]] = {"image": image, "boxes": boxes[large], "camera": cameras.matrix}
        if masks is not None:
            request["labels"] = labels_of(masks[large])
        answer, found = worker.ask(request)
        calls.count(WEIGHTS)
        self.gpu = worker.about["gpu"], answer["gpu_peak"]
        if answer["halved_to"] is not None:
            _LOG.warning("sam3d-body: out of memory; from now on %d people at once.", answer["halved_to"])
        rows = large[np.array(answer["rows"], np.int64)]
        self.rejected += Counter({OUT_OF_MEMORY: len(large) - len(rows)})
        if len(rows):
            found["pred_cam_t"], found["pred_keypoints_2d"] = cameras.convert(
                found["pred_keypoints_3d"], found["pred_cam_t"], found["pred_keypoints_2d"]
            )
            seen, depth = np.full((len(boxes), MHR70_COUNT, 2), np.nan), np.full((len(boxes), MHR70_COUNT), np.nan)
            seen[rows] = found["pred_keypoints_2d"]
            depth[rows] = found["pred_keypoints_3d"][..., 2] + found["pred_cam_t"][:, None, 2]
            confidence = visible_share(seen, depth, boxes, masks, height=height, width=width)
            for i, row in enumerate(rows.tolist()):
                bodies[row] = self._body({name: array[i] for name, array in found.items()}, confidence[row])
        return bodies

    def open(self) -> None:
        """See FrameBodyModel: starts the process."""
        self._running()

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
            self._worker = Worker(self._checkout, config, python=self._python)
            about = self._worker.about
            parts = [self._code, *(str(about[name]) for name in ("python", "torch", "dinov3"))]
            self.identity = fingerprint.of_value(parts)
            self.ran_on = RanOn.of(about["device"])  # in what, the checkout's configuration decides
            self.about = {"environment": f"Python {about['python']}, torch {about['torch']}"}
            _LOG.info("models run on %s, in a process of their own", about["device"])
            if not about["masks"]:
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
            params["smpl_vertices"] = self._map.apply(vertices).astype(np.float16)
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


def _checkout(path: str) -> Path:
    if not path:
        raise ModelUnavailable(f"--sam3d-path is not given. {GET_SAM3D}.")
    folder = Path(path).expanduser().absolute()
    if not (folder / "sam_3d_body" / "__init__.py").is_file():
        raise ModelUnavailable(f"--sam3d-path: {folder} holds no sam_3d_body/__init__.py. {GET_SAM3D}.")
    return folder


def _weights(folder: Path | None) -> Path:
    how = "Run `ghost weights fetch --backend sam3d-body`"
    if folder is None:
        raise ModelUnavailable(f"sam3d-body needs the weights {WEIGHTS}. {how}.")
    missing = [name for name in _FILES if not (folder / name).is_file()]
    if missing:
        raise ModelUnavailable(f"sam3d-body: {folder} has no {missing[0]}. {how}.")
    return folder.absolute()


def _python(name: str) -> str:
    """Where the program lies, whatever folder it is started in; a link stays one: that makes a virtual environment."""
    if not name:
        return ""
    found = shutil.which(Path(name).expanduser())
    if found is None:
        raise ModelUnavailable(f"--sam3d-python: {name} is no program that can be started.")
    return str(Path(found).absolute())


def _identity(checkout: Path, mapping: Path | None) -> str:
    """A digest of the code that ghost did not bring, and of the map."""
    paths = sorted((checkout / "sam_3d_body").rglob("*.py"))
    code = [f"{path.relative_to(checkout)} {fingerprint.of_file(path)}" for path in paths]
    return fingerprint.of_value([*code, "" if mapping is None else fingerprint.of_file(mapping)])
