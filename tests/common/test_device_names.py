from __future__ import annotations

import re
import subprocess
import sys

import pytest

from common.device_names import DEVICE_PATTERN, cuda_index, may_use_cuda, require
from common.errors import ModelUnavailable


@pytest.mark.parametrize("name", ["auto", "cpu", "cuda", "cuda:0", "cuda:1", "cuda:15", "mps"])
def test_names_of_devices_are_accepted(name: str):
    assert re.fullmatch(DEVICE_PATTERN, name)


@pytest.mark.parametrize(
    "name", ["", "gpu", "CUDA", "cuda:", "cuda:-1", "cuda:01", "cuda:x", "cuda:1 ", "cpu:0", "mps:0"]
)
def test_other_words_are_not(name: str):
    assert not re.fullmatch(DEVICE_PATTERN, name)
    with pytest.raises(ValueError, match="expected auto, cpu, cuda, cuda:N or mps"):
        may_use_cuda(name)


def test_only_a_named_gpu_has_an_index():
    names = ("auto", "cpu", "cuda", "cuda:0", "cuda:12", "mps")
    assert [cuda_index(name) for name in names] == [None, None, None, 0, 12, None]
    assert [may_use_cuda(name) for name in names] == [True, False, True, True, True, False]


def test_packages_that_are_missing_are_all_named_with_the_way_to_get_them():
    require("json", "numpy", backend="sam3")
    with pytest.raises(ModelUnavailable) as error:
        require("json", "no_torch_here", "no_transformers_here", backend="sam3")
    assert "backend sam3 needs no_torch_here and no_transformers_here" in str(error.value)
    assert "make setup GPU=1" in str(error.value)


def test_what_can_be_said_about_devices_needs_no_torch():
    code = "import sys, common.device_names; print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
