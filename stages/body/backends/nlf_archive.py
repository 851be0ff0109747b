"""NLF's TorchScript archives: opening one, asking it for bodies in given boxes, and what its answer means.

NLF: Sarandi and Pons-Moll, "Neural Localizer Fields for Continuous 3D Human Pose and Shape Estimation", NeurIPS 2024,
github isarandi/nlf. Its multi-person models (nlf_l_multi_0.3.2.torchscript, 470 MB, and the smaller nlf_s_multi) are
releases there; the code is MIT, **the weights are for non-commercial research only**.

What is sure about 0.2.2 to 0.3.2, from the source of the exported module and from schemas that users printed; no
published archive was run here:

- Asked is `estimate_smpl_batched`, which looks in given boxes: no detector runs, and nothing is rejected. Used are the
  keywords that all versions share: `images` (B, 3, H, W) uint8 RGB (gamma and crops are its own), `boxes`: B tensors
  (n, 4) float32 **x, y, width, height**, `intrinsic_matrix` (B, 3, 3) float32, `internal_batch_size` in crops,
  `num_aug`. Pixel centres lie at integers; camera axes are OpenCV's.
- It answers a dictionary of lists with one tensor per image. `joints3d_nonparam` (n, 24, 3) are the localised SMPL
  joints and `vertices3d_nonparam` (n, 1024, 3) a subset of SMPL's vertices, both in **mm**; `joints3d` and `vertices3d`
  (n, 6890, 3) are those of an SMPL body that was fitted to them; `joint_uncertainties` (n, 24) and
  `vertex_uncertainties` (n, 1024) in **mm**; `pose` (n, 72) rotation vectors, `betas` (n, 10), `trans` (n, 3) in **m**.
- Backbone and image warping compute in float16, by calls inside the archive: no option changes that.
- The detector inside needs torchvision's non-maximum suppression to be known by name, and is bound to "cuda:0".

Not sure: that everything else in an archive follows `map_location` to a second GPU (choose it by CUDA_VISIBLE_DEVICES);
how fast float16 convolutions are on a CPU. An archive is a program: open only one that you trust.
"""

from __future__ import annotations

import contextlib
import importlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from common.errors import ModelUnavailable
from common.models.devices import is_out_of_memory
from stages.body.stage import GET_NLF

CROPS = 64
"""Crops in one forward pass of the network: the archive's own default."""

JOINTS = 24
VERTICES = 6890
_METHOD = "estimate_smpl_batched"
_METRES_FROM_MM = 1e-3
_LARGEST_UNCERTAINTY_M = 5.0  # read as mm, no localiser is as sure as 5 mm of its worst point: then they were metres
_PELVIS_FROM_ORIGIN_M = 1.0  # SMPL's pelvis lies 0.25 m from its origin; versions before 0.2.2 are off by the depth
_KEPT_ALIVE: list[torch.library.Library] = []  # an operator's name lives as long as the library that defines it


@dataclass(frozen=True)
class NlfPeople:
    """What NLF says about n people of one image: metres, camera axes.

    Attributes:
        joints: (n, 24, 3) float64, the joints of SMPL, localised one by one.
        points: (n, p, 3) float64, localised vertices, p about 1000.
        joint_uncertainty: (n, 24) float64.
        point_uncertainty: (n, p) float64.
        fitted_joints: (n, 24, 3) float64, of the SMPL body that fits joints and points best.
        fitted_vertices: (n, v, 3) float32, the vertices that were asked for.
        pose: (n, 72) float32 rotation vectors, radians: global orientation and 23 joints.
        betas: (n, 10) float32.
        trans: (n, 3) float32: with `pose` and `betas` SMPL gives `fitted_joints`.
    """

    joints: NDArray[np.float64]
    points: NDArray[np.float64]
    joint_uncertainty: NDArray[np.float64]
    point_uncertainty: NDArray[np.float64]
    fitted_joints: NDArray[np.float64]
    fitted_vertices: NDArray[np.float32]
    pose: NDArray[np.float32]
    betas: NDArray[np.float32]
    trans: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.joints)

    def __getitem__(self, people: slice | NDArray[np.bool_]) -> NlfPeople:
        return NlfPeople(**{name: values[people] for name, values in vars(self).items()})

    @classmethod
    def together(cls, parts: Sequence[NlfPeople]) -> NlfPeople:
        """All people of at least one part, in order."""
        return cls(**{name: np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])})


class NlfArchive:
    """An opened archive on a device."""

    def __init__(self, path: Path, *, device: torch.device) -> None:
        """Opens it.

        Args:
            path: a TorchScript file.
            device: where it computes.

        Raises:
            ModelUnavailable: it is not there, is no archive of an NLF multi-person model, or does not fit the device.
        """
        self._path, self._device = path, device
        if not path.is_file():
            raise ModelUnavailable(f"the NLF model {path} is no file. {GET_NLF}.")
        _know_suppression()
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".*torch.jit.load", category=DeprecationWarning)
                self._module = torch.jit.load(path, map_location=device).eval()  # type: ignore[no-untyped-call]
        except (RuntimeError, ValueError) as error:
            raise ModelUnavailable(
                f"{path} cannot be opened as a TorchScript archive ({_line(error)}). {GET_NLF}."
            ) from error
        if not hasattr(self._module, _METHOD):
            raise ModelUnavailable(f"{path} has no {_METHOD}: it is no multi-person model of NLF. {GET_NLF}.")

    def look(
        self,
        images: Sequence[NDArray[np.uint8]],
        boxes: Sequence[NDArray[np.float32]],
        cameras: Sequence[NDArray[np.float64]],
        *,
        augmentations: int,
        vertices: NDArray[np.int64],
    ) -> list[NlfPeople]:
        """Bodies in boxes of images, in one call.

        Args:
            images: B arrays (H, W, 3) uint8 RGB, all of one size.
            boxes: B arrays (n, 4), x, y, width, height in pixels; n may differ, and be 0.
            cameras: B arrays (3, 3), pixels.
            augmentations: how many variants of a crop (gamma, rotation, scale, every second one mirrored) are merged.
            vertices: (v,) which of SMPL's vertices are wanted of the fitted body.

        Returns:
            For each image its people, in the order of the boxes.

        Raises:
            ModelUnavailable: the archive does not answer as NLF does.
            RuntimeError: memory ran out; fewer boxes may fit.
        """
        # Rearranged on the device: on a CPU that takes 7 ms for a picture of 1080p.
        pixels = torch.from_numpy(np.stack(images)).to(self._device).permute(0, 3, 1, 2).contiguous()
        matrices = torch.from_numpy(np.stack(cameras).astype(np.float32))
        rectangles = [torch.from_numpy(some.astype(np.float32).reshape(-1, 4)) for some in boxes]
        try:
            with torch.inference_mode():
                answer = getattr(self._module, _METHOD)(
                    images=pixels,
                    boxes=[some.to(self._device) for some in rectangles],
                    intrinsic_matrix=matrices.to(self._device),
                    internal_batch_size=CROPS,
                    num_aug=augmentations,
                )
                return [self._people(answer, image, len(some), vertices) for image, some in enumerate(rectangles)]
        except (RuntimeError, torch.jit.Error) as error:
            if is_out_of_memory(error):
                raise
            raise ModelUnavailable(
                f"{self._path.name} fails on {self._device} ({_line(error)}). It is made for the first visible GPU: "
                "choose one by CUDA_VISIBLE_DEVICES and run with --device cuda."
            ) from error

    def _people(
        self, answer: Mapping[str, Sequence[torch.Tensor]], image: int, count: int, wanted: NDArray[np.int64]
    ) -> NlfPeople:
        """One image's part of the answer, in metres, without what is not wanted."""

        def get(key: str, *shape: int | None) -> torch.Tensor:
            values = answer[key][image] if key in answer and image < len(answer[key]) else None
            if values is None:
                raise self._wrong(f"has no {key}")
            full = (count, *shape)
            fits = values.ndim == len(full) and all(n in (None, m) for n, m in zip(full, values.shape, strict=True))
            if not fits:
                asked = ", ".join("any" if n is None else str(n) for n in full)
                raise self._wrong(f"gives {key} of shape {tuple(values.shape)} for {count} boxes, expected ({asked})")
            return values

        chosen = torch.from_numpy(wanted).to(self._device)
        fitted = get("vertices3d", VERTICES, 3).index_select(1, chosen) * _METRES_FROM_MM
        people = NlfPeople(
            joints=_metres(get("joints3d_nonparam", JOINTS, 3)),
            points=_metres(get("vertices3d_nonparam", None, 3)),
            joint_uncertainty=_metres(get("joint_uncertainties", JOINTS)),
            point_uncertainty=_metres(get("vertex_uncertainties", None)),
            fitted_joints=_metres(get("joints3d", JOINTS, 3)),
            fitted_vertices=_array(fitted),
            pose=_array(get("pose", 3 * JOINTS)),
            betas=_array(get("betas", 10)),
            trans=_array(get("trans", 3)),
        )
        if people.points.shape[1] != people.point_uncertainty.shape[1]:
            raise self._wrong("gives other numbers of vertices and of their uncertainties")
        self._check_units(people)
        return people

    def _check_units(self, people: NlfPeople) -> None:
        """Refuses versions whose numbers mean something else, rather than to believe them by a factor of 1000."""
        if not len(people):
            return
        worst = people.point_uncertainty.max(initial=0.0)
        if worst < _LARGEST_UNCERTAINTY_M * _METRES_FROM_MM:
            raise self._wrong("gives uncertainties in metres, expected mm as of 0.2.2")
        off = np.linalg.norm(people.trans - people.fitted_joints[:, 0], axis=1)
        if np.isfinite(off).any() and np.nanmin(off) > _PELVIS_FROM_ORIGIN_M:
            raise self._wrong(f"puts the body {np.nanmin(off):.1f} m from its own translation, as before 0.2.2")

    def _wrong(self, what: str) -> ModelUnavailable:
        return ModelUnavailable(f"{self._path.name} {what}. {GET_NLF}.")


def _array(values: torch.Tensor) -> NDArray[np.float32]:
    return values.float().cpu().numpy()


def _metres(values: torch.Tensor) -> NDArray[np.float64]:
    return _array(values).astype(np.float64) * _METRES_FROM_MM


def _line(error: Exception) -> str:
    """The one line that says something of an error of TorchScript: the last one, below the archive's own traceback."""
    return next(
        (line.strip(" .") for line in reversed(str(error).splitlines()) if line.strip(" .~<-H:E\t")), "no reason"
    )


def _know_suppression() -> None:
    """Makes `torchvision::nms` known, without which an archive cannot be opened.

    The detector that calls it is never asked, so where torchvision is missing or does not fit torch its name is enough.
    """
    with contextlib.suppress(ImportError, RuntimeError, OSError):  # RuntimeError: built for another torch
        importlib.import_module("torchvision")
    if not hasattr(torch.ops.torchvision, "nms"):
        library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
        library.define(  # type: ignore[no-untyped-call]
            "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        )
        _KEPT_ALIVE.append(library)
