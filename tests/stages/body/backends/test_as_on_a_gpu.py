"""The body backends' own lines on a GPU that is pretended, see `tests.pretended_cuda`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from stages.body.backends import PeopleInFrame
from stages.body.backends.nlf import NlfModel
from stages.body.backends.sam3d_worker import _Looks
from tests.pretended_cuda import PretendedCuda, Refused, pretended_cuda

GPU = torch.device("cuda", 1)
CAMERA = np.array([[300.0, 0, 160], [0, 300, 120], [0, 0, 1]])
BOXES = np.array([[40, 30, 129, 219], [180, 40, 270, 210]], np.float32)


@pytest.fixture
def gpu() -> Iterator[PretendedCuda]:
    with pretended_cuda() as gpu:
        yield gpu


class Archive:
    """Answers like NLF's, in half precision, from a device of its own. TorchScript itself cannot be pretended."""

    def __init__(self, device: torch.device) -> None:
        self.weight = torch.ones((), device=device)
        self.pelvis = torch.tensor([0.0, 0.0, 4000.0], device=device)

    def eval(self) -> Archive:
        return self

    def estimate_smpl_batched(
        self,
        *,
        images: torch.Tensor,
        boxes: list[torch.Tensor],
        intrinsic_matrix: torch.Tensor,
        internal_batch_size: int,
        num_aug: int,
    ) -> dict[str, list[torch.Tensor]]:
        assert images.is_contiguous()
        whole = (images.float().mean() * intrinsic_matrix.sum() * self.weight).isfinite().half()
        shapes = {
            "joints3d": (24, 3), "joints3d_nonparam": (24, 3), "vertices3d": (6890, 3), "vertices3d_nonparam": (50, 3),
            "joint_uncertainties": (24,), "vertex_uncertainties": (50,), "pose": (72,), "betas": (10,), "trans": (3,),
        }  # fmt: skip
        answer: dict[str, list[torch.Tensor]] = {name: [] for name in shapes}
        for some in boxes:
            ones = (some[:, :1] * 0 + 1).half() * whole
            for name, shape in shapes.items():
                part = ones.reshape(-1, *[1] * len(shape)).expand(-1, *shape)
                if name.startswith(("joints3d", "vertices3d")):
                    part = part * self.pelvis.half()
                elif name == "trans":
                    part = part * (self.pelvis / 1000).half()
                else:
                    part = part * (30 if "uncertainties" in name else 0)
                answer[name].append(part)
        return answer


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpu: PretendedCuda) -> NlfModel:
    monkeypatch.setattr(torch.jit, "load", lambda path, map_location: Archive(map_location))
    path = tmp_path / "nlf.torchscript"
    path.write_bytes(b"nlf")
    return NlfModel(path, device=GPU, vertices=True)


def frame(*, people: int) -> PeopleInFrame:
    return PeopleInFrame(np.full((240, 320, 3), 90, np.uint8), BOXES[:people], None, CAMERA)


def test_nlf_is_asked_and_answers_on_the_gpu(model: NlfModel) -> None:
    people = model._look([(0, 0), (1, 0), (1, 1)], [frame(people=1), frame(people=2)], [BOXES[:1], BOXES])
    assert [len(one) for one in people] == [1, 1, 1]
    for one in people:
        assert np.allclose(one.joints, [0, 0, 4])
        assert np.allclose(one.joint_uncertainty, 0.03, atol=1e-4)
        assert one.fitted_vertices.dtype == np.float32


def test_an_archive_that_stays_on_another_gpu_is_noticed(model: NlfModel) -> None:
    """So the test above would fail, too."""
    model._archive._module = Archive(torch.device("cuda", 0))
    with pytest.raises(Exception, match="made for the first visible GPU") as caught:
        model._look([(0, 0)], [frame(people=1)], [BOXES[:1]])
    assert isinstance(caught.value.__cause__, Refused)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_looks_for_sam_3d_body_come_from_the_gpu(gpu: PretendedCuda, dtype: torch.dtype) -> None:
    backbone = torch.nn.Conv2d(3, 8, 4, stride=4).requires_grad_(False).to(GPU, dtype)
    model = SimpleNamespace(
        backbone=backbone, run_inference=lambda img, batch: backbone(batch["img"].flatten(0, 1).to(dtype))
    )
    looks = _Looks(torch, model)
    batch = {"img": torch.rand((1, 2, 3, 16, 12)).to(GPU), "mask": torch.ones((1, 2, 1, 16, 12), device=GPU)}
    model.run_inference(None, batch)
    found = looks.of(2)
    assert found is not None
    assert found.shape == (2, 8)
    assert np.allclose(np.linalg.norm(found.astype(np.float32), axis=1), 1, atol=1e-2)
