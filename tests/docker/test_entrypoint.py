"""What a container starts, and what its image compiles, tried without a container."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("module", ["stages.sync", "workflows"])
def test_the_entrypoint_does_what_python_m_does(module: str):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "GHOST_MODULE": module}
    started = [sys.executable, str(ROOT / "docker" / "entrypoint.py"), "--help"]
    expected = [sys.executable, "-m", module, "--help"]
    found = subprocess.run(started, env=environment, capture_output=True, text=True, timeout=60)
    wanted = subprocess.run(expected, env=environment, capture_output=True, text=True, timeout=60)
    assert found.returncode == wanted.returncode == 0
    assert found.stdout == wanted.stdout


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """An image's /app with a stage of two modules."""
    for file in ("docker/compile_imports.py", "tools/imported_modules.py"):
        shutil.copy(ROOT / file, tmp_path)
    files = {
        "common/__init__.py": "",
        "common/clock.py": "",
        "common/unused.py": "",
        "stages/__init__.py": "",
        "stages/demo/__init__.py": "",
        "stages/demo/__main__.py": "raise SystemExit('the stage was started')",
        "stages/demo/stage.py": "def run():\n    from common.clock import __name__\n    from os import path",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def compile_imports(tree: Path, flavour: str = "cpu") -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    # Without site-packages: torch is missing here, as it is in an image for CPUs.
    command = [sys.executable, "-P", "-S", str(tree / "compile_imports.py"), "stages.demo", flavour]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_byte_code_is_written_for_what_a_stage_imports_also_inside_functions_and_for_nothing_else(tree: Path):
    done = compile_imports(tree)
    assert done.returncode == 0, done.stderr
    compiled = {path.name.partition(".")[0] for path in (tree / "common").rglob("*.pyc")}
    assert compiled == {"__init__", "clock"}
    assert list((tree / "stages" / "demo" / "__pycache__").glob("stage.*"))


@pytest.mark.parametrize("line", ["import no_such_package", "from os import no_such_name", "from common import gone"])
def test_an_image_that_lacks_a_module_is_not_built(tree: Path, line: str):
    (tree / "stages" / "demo" / "stage.py").write_text(f"def run():\n    {line}")
    done = compile_imports(tree)
    assert done.returncode == 1
    assert "ModuleNotFoundError" in done.stderr


@pytest.mark.parametrize("line", ["import torch", "from transformers.models import sam2", "import sam_3d_body"])
def test_code_that_needs_what_an_image_for_cpus_lacks_is_passed_over(tree: Path, line: str):
    (tree / "stages" / "demo" / "on_gpu.py").write_text(f"import json\n{line}\nclass Tracker: ...")
    (tree / "stages" / "demo" / "stage.py").write_text(
        "def run():\n    from common.clock import __name__\n    from stages.demo.on_gpu import Tracker\n"
    )
    done = compile_imports(tree)
    assert done.returncode == 0, done.stderr
    assert list((tree / "common" / "__pycache__").glob("clock.*"))


def test_an_image_for_gpus_that_lacks_torch_is_not_built_and_one_without_a_users_checkout_is(tree: Path):
    (tree / "stages" / "demo" / "stage.py").write_text("def run():\n    import sam_3d_body")
    assert compile_imports(tree, "gpu").returncode == 0
    (tree / "stages" / "demo" / "stage.py").write_text("def run():\n    import torch")
    done = compile_imports(tree, "gpu")
    assert done.returncode == 1
    assert "No module named 'torch'" in done.stderr
