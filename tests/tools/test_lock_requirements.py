"""From the modules that code imports to the distributions that bring them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.lock_requirements import images, third_party
from workflows.pipeline import STAGES


def test_modules_are_named_by_their_distributions_and_ours_and_pythons_own_are_left_out(tmp_path: Path):
    path = tmp_path / "a.py"
    path.write_text("import json\nimport common.errors\nimport cv2\nimport ai_edge_litert.interpreter\n")
    assert third_party([path]) == {"opencv-python-headless", "ai-edge-litert"}


def test_a_module_that_nothing_brings_is_named_with_its_file(tmp_path: Path):
    path = tmp_path / "a.py"
    path.write_text("import no_such_package")
    with pytest.raises(ValueError, match=r"a\.py: .*'no_such_package'"):
        third_party([path])


def test_there_is_an_image_per_stage_and_for_gpus_where_one_is_of_use():
    assert images("cpu") == (*(stage.name for stage in STAGES), "cli")
    assert images("gpu") == ("segment", "body")
