"""From the modules that code imports to the distributions that bring them."""

from __future__ import annotations

import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tools.imported_modules import GPU_ONLY
from tools.lock_requirements import CUDA, flavour_adds, images, third_party
from workflows.pipeline import STAGES

ROOT = Path(__file__).parents[2]


def test_modules_are_named_by_their_distributions_and_ours_and_pythons_own_are_left_out(tmp_path: Path):
    path = tmp_path / "a.py"
    path.write_text("import json\nimport common.errors\nimport cv2\nimport ai_edge_litert.interpreter\n")
    assert third_party([path]) == {"opencv-python-headless", "ai-edge-litert"}


def test_a_module_that_nothing_brings_is_named_with_its_file(tmp_path: Path):
    path = tmp_path / "a.py"
    path.write_text("import no_such_package")
    with pytest.raises(ValueError, match=r"a\.py: .*'no_such_package'"):
        third_party([path])


def test_what_is_for_gpus_or_of_a_users_checkout_is_left_to_the_flavour_and_the_user(tmp_path: Path):
    path = tmp_path / "a.py"
    path.write_text("import torch.nn\nfrom transformers import Sam2VideoModel\nimport sam2, sam_3d_body, numpy\n")
    assert third_party([path]) == {"numpy"}


def test_for_gpus_alone_are_the_extra_torch_and_the_official_sam_2():
    brought_by = packages_distributions()
    distributions = {brought_by[module][0] if module in brought_by else module for module in GPU_ONLY}
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert distributions == {Requirement(text).name for text in declared["gpu"]} | {"torch", "sam2"}


@pytest.mark.parametrize("image", images("gpu"))
def test_images_for_gpus_have_the_extra_and_torch_and_those_for_cpus_nothing_of_it(image: str):
    names = {Requirement(text).name for text in flavour_adds("gpu", image)}
    assert {"pillow", "safetensors", "torch", "transformers"} <= names
    assert ("hydra-core" in names) is (image == "segment"), "what the official SAM 2 needs"
    assert flavour_adds("cpu", image) == ()


@pytest.mark.parametrize(
    ("name", "big"),
    [("torch", True), ("nvidia-cublas", True), ("cuda-toolkit", True), ("triton", True), ("torchvision", False)],
)
def test_torch_and_its_cuda_are_told_from_other_packages_by_name(name: str, big: bool):
    assert bool(CUDA.match(name)) is big


def test_there_is_an_image_per_stage_and_for_gpus_where_one_is_of_use():
    assert images("cpu") == (*(stage.name for stage in STAGES), "cli")
    assert images("gpu") == ("segment", "body")
