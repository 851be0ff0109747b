"""A TorchScript archive that answers like NLF's, about a body that is known; and pictures of people for it.

It checks what it is given: pictures of another layout or channel order, boxes of another form or another camera make
it fail or answer something else than the truth, which `Scene` computes without it.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

WIDTH, HEIGHT = 320, 240
TALL = 1.75  # metres of the stand-in's body from head to toe
MIDDLE = 0.13  # metres that the middle of its box lies below the pelvis
BLUE = 180  # of every person's pixels; green is 10 times the frame, red 10 times the row of the answer's variant

_KEPT_ALIVE: list[torch.library.Library] = []
_LEFT = {1: (0.07, 0.09, 0), 4: (0.1, 0.48, 0), 7: (0.1, 0.9, 0.03), 10: (0.12, 0.96, -0.1)}
_LEFT |= {13: (0.08, -0.43, 0.02), 16: (0.18, -0.45, 0.02), 18: (0.42, -0.3, 0.03), 20: (0.6, -0.1, 0.02)}
_LEFT |= {22: (0.66, -0.04, 0.01)}
_MIDDLE = {0: (0, 0, 0), 3: (0, -0.11, 0.02), 6: (0, -0.25, 0.02), 9: (0, -0.3, 0.01), 12: (0, -0.52, 0.02)}
_MIDDLE |= {15: (0, -0.6, -0.02)}
PARENTS = (0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)

FACE = {332: (0, -0.6, -0.12), 2800: (0.03, -0.63, -0.1), 6260: (-0.03, -0.63, -0.1)}
FACE |= {583: (0.07, -0.6, 0), 4071: (-0.07, -0.6, 0)}
FEET = {3216: (0.13, 1.0, -0.2), 3226: (0.17, 1.0, -0.15), 3387: (0.1, 1.0, 0.09)}
FEET |= {6617: (-0.13, 1.0, -0.2), 6624: (-0.17, 1.0, -0.15), 6787: (-0.1, 1.0, 0.09)}


def joints() -> NDArray[np.float64]:
    """(24, 3) metres from the pelvis, camera axes: somebody who faces the camera, so that left is +x."""
    places = np.zeros((24, 3))
    for joint, place in _LEFT.items():
        places[joint] = place
        places[joint + 1] = np.multiply(place, (-1, 1, 1))
    for joint, place in _MIDDLE.items():
        places[joint] = place
    return places


def around_bones(count: int) -> NDArray[np.float64]:
    """(count, 3) points near the bones."""
    random = np.random.default_rng(0)
    child, along = random.integers(1, 24, count), random.uniform(0, 1, (count, 1))
    body = joints()
    return along * body[child] + (1 - along) * body[np.array(PARENTS)[child]] + random.normal(0, 0.02, (count, 3))


def vertices() -> NDArray[np.float64]:
    """(6890, 3) metres from the pelvis; those of face and feet where FACE and FEET say."""
    places = around_bones(6890)
    for vertex, place in (FACE | FEET).items():
        places[vertex] = place
    return places


@dataclass(frozen=True)
class Variant:
    """How the archive answers about a person.

    Attributes:
        uncertainty: metres, of all joints and points.
        shift: metres that the localised body lies off its place.
        scale: of the localised body.
        fit: metres that the fitted body lies off the localised one.
        nan: whether a coordinate is not a number.
    """

    uncertainty: float = 0.05
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: float = 1.0
    fit: tuple[float, float, float] = (0.0, 0.0, 0.0)
    nan: bool = False


class StandIn(torch.nn.Module):
    """What the archive holds. One row of each buffer per variant; `unit` is mm per unit of uncertainty."""

    def __init__(self, variants: tuple[Variant, ...], *, points: int, capacity: int, unit: float, off: float) -> None:
        super().__init__()
        self.capacity = capacity
        self.unit = unit
        self.off = off
        self.register_buffer("joints", _single(joints()))
        self.register_buffer("points", _single(around_bones(points)))
        self.register_buffer("vertices", _single(vertices()))
        self.register_buffer("uncertainty", _single([variant.uncertainty for variant in variants]))
        self.register_buffer("shift", _single([variant.shift for variant in variants]))
        self.register_buffer("scale", _single([variant.scale for variant in variants]))
        self.register_buffer("fit", _single([variant.fit for variant in variants]))
        self.register_buffer("nan", _single([float("nan") if variant.nan else 0.0 for variant in variants]))

    @torch.jit.export
    def detect_smpl_batched(self, images: torch.Tensor, detector_threshold: float = 0.3) -> torch.Tensor:
        """Never called; as in NLF's archives, its operator must be known for them to be opened."""
        return torch.ops.torchvision.nms(images, images, detector_threshold)

    @torch.jit.export
    def estimate_smpl_batched(
        self,
        images: torch.Tensor,
        boxes: list[torch.Tensor],
        intrinsic_matrix: Optional[torch.Tensor] = None,  # noqa: UP045
        distortion_coeffs: Optional[torch.Tensor] = None,  # noqa: UP045
        extrinsic_matrix: Optional[torch.Tensor] = None,  # noqa: UP045
        world_up_vector: Optional[torch.Tensor] = None,  # noqa: UP045
        default_fov_degrees: float = 55.0,
        internal_batch_size: int = 64,
        antialias_factor: int = 1,
        num_aug: int = 1,
        rot_aug_max_degrees: float = 25.0,
        beta_regularizer: float = 10.0,
        beta_regularizer2: float = 0.0,
        model_name: str = "smpl",
    ) -> dict[str, list[torch.Tensor]]:
        """The body so far away that it fills each box's height, in its middle."""
        assert images.dtype == torch.uint8, "images: uint8"
        assert list(images.shape[1:2]) == [3], "images: (B, 3, H, W)"
        assert intrinsic_matrix is not None, "intrinsic_matrix: not given"
        assert intrinsic_matrix.dtype == torch.float32, "intrinsic_matrix: float32"
        assert list(intrinsic_matrix.shape) == [len(images), 3, 3], "intrinsic_matrix: (B, 3, 3)"
        assert len(boxes) == len(images), "boxes: one tensor per image"
        total = 0
        for some in boxes:
            total += len(some)
        if total > self.capacity:
            wasted = torch.empty(1 << 60)  # fails in the allocator, as on a full GPU
            assert len(wasted) > 0, "used, or it would not be allocated"
        answer: dict[str, list[torch.Tensor]] = {}
        for key in (
            "joints3d",
            "joints3d_nonparam",
            "vertices3d",
            "vertices3d_nonparam",
            "joint_uncertainties",
            "vertex_uncertainties",
            "pose",
            "betas",
            "trans",
        ):
            answer[key] = []
        for i in range(len(images)):
            box = boxes[i]
            assert box.dtype == torch.float32, "boxes: float32"
            assert list(box.shape[1:]) == [4], "boxes: (n, 4)"
            centre = box[:, :2] + box[:, 2:] / 2
            at = centre.round().long()
            colour = images[i, :, at[:, 1], at[:, 0]].long()
            assert bool((colour[2] == 180).all()), "images: RGB"
            row = colour[0] // 10
            matrix = intrinsic_matrix[i]
            focal = torch.stack([matrix[0, 0], matrix[1, 1]])
            depth = focal[1] * 1.75 / box[:, 3:]
            middle = torch.cat([(centre - matrix[:2, 2]) / focal * depth, depth], dim=1)
            pelvis = middle - torch.tensor([0.0, 0.13, 0.0], device=box.device) + self.shift[row]
            scale = self.scale[row][:, None, None]
            found = self.joints * scale + pelvis[:, None]
            fitted = found + self.fit[row][:, None]
            answer["joints3d_nonparam"].append(1000 * found + self.nan[row][:, None, None])
            answer["vertices3d_nonparam"].append(1000 * (self.points * scale + pelvis[:, None]))
            answer["joints3d"].append(1000 * fitted)
            answer["vertices3d"].append(1000 * (self.vertices * scale + (pelvis + self.fit[row])[:, None]))
            unsure = self.uncertainty[row][:, None] * self.unit
            answer["joint_uncertainties"].append(unsure.repeat(1, 24))
            answer["vertex_uncertainties"].append(unsure.repeat(1, len(self.points)))
            answer["pose"].append(torch.zeros(len(box), 72) + 0.25)
            told = torch.tensor([float(num_aug), float(internal_batch_size), float(total)])
            answer["betas"].append(torch.cat([told, torch.zeros(7)])[None].repeat(len(box), 1))
            answer["trans"].append(fitted[:, 0] + torch.tensor([0.0, 0.24, self.off]))
        return answer


class NoModel(torch.nn.Module):
    """Some other archive."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images


def _single(values: object) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values, np.float32))


def save_archive(
    path: Path,
    variants: tuple[Variant, ...] = (Variant(),),
    *,
    points: int = 200,
    capacity: int = 10**6,
    unit: float = 1000.0,
    off: float = 0.0,
    module: torch.nn.Module | None = None,
) -> Path:
    """Writes the archive, scripted as NLF's are.

    Args:
        path: where to.
        variants: a person with red = 10 i gets the answer of variants[i].
        points: how many vertices are localised.
        capacity: boxes of one call that fit into memory.
        unit: 1000 for uncertainties in mm, 1 for metres.
        off: metres of depth that `trans` is wrong by.
        module: another module instead.
    """
    chosen = module or StandIn(variants, points=points, capacity=capacity, unit=unit, off=off)
    _operator()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit", category=DeprecationWarning)
        torch.jit.save(torch.jit.script(chosen.eval()), path)
    return path


def _operator() -> None:
    """Gives torchvision's suppression a name for as long as the process lives, as scripted modules hold on to it."""
    if not hasattr(torch.ops.torchvision, "nms"):
        library = torch.library.Library("torchvision", "FRAGMENT")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _KEPT_ALIVE.append(library)


@dataclass(frozen=True)
class Scene:
    """A picture of people.

    Attributes:
        image: (HEIGHT, WIDTH, 3) uint8 RGB.
        boxes: (n, 4) float32, first and last pixels.
        masks: (n, HEIGHT, WIDTH) bool.
        camera: (3, 3) float64.
        pelvis: (n, 3) metres, where the archive sees them.
    """

    image: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    masks: NDArray[np.bool_]
    camera: NDArray[np.float64]
    pelvis: NDArray[np.float64]

    def project(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., 2) pixels of points in camera axes."""
        image = points @ self.camera.T
        return np.asarray(image[..., :2] / image[..., 2:])


def scene(
    boxes: list[tuple[int, int, int, int]], *, variants: list[int] | None = None, frame: int = 0, focal: float = 300.0
) -> Scene:
    """People in these boxes (first and last pixels), each with the answer of a variant.

    Args:
        boxes: of one person each.
        variants: which answer each person gets; the first one.
        frame: number of the picture.
        focal: along x, pixels; 2 % more along y.
    """
    camera = np.array([[focal, 0, 161.5], [0, 1.02 * focal, 118.25], [0, 0, 1]])
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    masks = np.zeros((len(boxes), HEIGHT, WIDTH), bool)
    pelvis = np.zeros((len(boxes), 3))
    for i, (x1, y1, x2, y2) in enumerate(boxes):
        depth = camera[1, 1] * TALL / (y2 - y1 + 1)
        middle = np.linalg.solve(camera, [(x1 + x2) / 2, (y1 + y2) / 2, 1]) * depth
        pelvis[i] = middle - [0, MIDDLE, 0]
        masks[i] = _silhouette(camera, pelvis[i])
        masks[:i] &= ~masks[i]
        image[masks[i]] = (200, 100, 50)
    for i, (x1, y1, x2, y2) in enumerate(boxes):
        row, column = (y1 + y2) // 2, (x1 + x2) // 2
        colour = (10 * (variants[i] if variants else 0), 10 * frame, BLUE)
        image[row : row + 2, column : column + 2] = colour  # where the archive looks, whoever stands in front
    return Scene(image, np.array(boxes, np.float32).reshape(-1, 4), masks, camera, pelvis)


def _silhouette(camera: NDArray[np.float64], pelvis: NDArray[np.float64]) -> NDArray[np.bool_]:
    canvas = np.zeros((HEIGHT, WIDTH), np.uint8)
    points = (joints() + pelvis) @ camera.T
    pixels = np.rint(points[:, :2] / points[:, 2:]).astype(int)
    for child, parent in enumerate(PARENTS):
        start, stop = pixels[child].tolist(), pixels[parent].tolist()
        cv2.line(canvas, start, stop, 1, thickness=7)
    return canvas.astype(bool)
