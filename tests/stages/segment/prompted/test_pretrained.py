import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Sam2VideoModel

from common.errors import ModelUnavailable
from stages.segment.prompted.pretrained import load, round_parameters

CPU = torch.device("cpu")


@pytest.fixture
def folder(sam2_folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(sam2_folder, tmp_path / "weights")


def test_models_come_ready_for_inference(folder: Path) -> None:
    model = load(Sam2VideoModel, folder, device=CPU)
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_models_are_prepared_on_the_cpu_and_only_what_they_learned_is_rounded(folder: Path) -> None:
    devices = []

    def prepare(model: Sam2VideoModel) -> None:
        devices.append({part.device.type for part in (*model.parameters(), *model.buffers())})
        round_parameters(model, torch.bfloat16)

    model = load(Sam2VideoModel, folder, device=torch.device("meta"), prepare=prepare)
    assert devices == [{"cpu"}]
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert not any(buffer.dtype == torch.bfloat16 for buffer in model.buffers())
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}


@pytest.mark.parametrize("step", ["from_pretrained", "to"])
def test_memory_that_runs_out_while_loading_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(Sam2VideoModel, step, full)
    with pytest.raises(ModelUnavailable, match=r"memory runs out while loading weights.*smaller model") as error:
        load(Sam2VideoModel, folder, device=CPU)
    assert "weights fetch" not in str(error.value), "nothing is wrong with the file"


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"nowhere: there is no config.json.*ghost weights fetch"):
        load(Sam2VideoModel, tmp_path / "nowhere", device=CPU)


@pytest.mark.parametrize("keep", [0, 100, 200_000])
def test_a_file_that_was_cut_off_is_refused(folder: Path, keep: int) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(ModelUnavailable, match="cannot be loaded"):
        load(Sam2VideoModel, folder, device=CPU)


def test_missing_weights_are_not_made_up(folder: Path) -> None:
    file = folder / "model.safetensors"
    weights = load_file(file)
    weights.pop("no_memory_embedding")
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(ModelUnavailable, match=r"1 weights of a Sam2VideoModel are missing.*no_memory_embedding"):
        load(Sam2VideoModel, folder, device=CPU)


def test_weights_of_another_shape_are_refused(folder: Path) -> None:
    file = folder / "model.safetensors"
    weights = load_file(file)
    weights["no_memory_embedding"] = torch.zeros(1, 1, 3)
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(ModelUnavailable):
        load(Sam2VideoModel, folder, device=CPU)
