"""The official SAM 2 is taken out of an archive only if it is what it has to be, and without running anything in it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "docker" / "unpack_sam2.py"
SOURCES = {
    "sam2/__init__.py": "",
    "sam2/modeling/sam/mask_decoder.py": "MASKS = 3\n",
    "sam2/configs/sam2.1/sam2.1_hiera_l.yaml": "model: large\n",
    "LICENSE": "Apache License\n",
}
OTHERS = {
    "setup.py": "raise SystemExit('run')\n",
    "sam2/csrc/connected_components.cu": "__global__\n",
    "sam2/sam2_hiera_l.yaml": "configs/sam2/sam2_hiera_l.yaml",
    "training/train.py": "",
    "sav_dataset/sam2/evil.py": "",
}


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("unpack_sam2", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The unpacked sources, and the two forms in which they are served."""
    tree = tmp_path / "sam2-2b90b9f"
    for path, text in {**SOURCES, **OTHERS}.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text, encoding="utf-8")
    pack(tree)
    return tree


def pack(tree: Path) -> None:
    files = [path for path in tree.rglob("*") if path.is_file()]
    with tarfile.open(f"{tree}.tar.gz", "w:gz") as tar:
        tar.add(tree, arcname=tree.name)
    with zipfile.ZipFile(f"{tree}.zip", "w") as opened:
        for path in reversed(files):
            opened.write(path, path.relative_to(tree.parent))


def expected(tree: Path) -> str:
    """The digest as the tools of a shell make it."""
    listed = subprocess.run(["sha256sum", *sorted(SOURCES)], cwd=tree, capture_output=True, check=True).stdout
    return subprocess.run(["sha256sum"], input=listed, capture_output=True, check=True).stdout.decode().split()[0]


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_the_package_its_licences_and_its_version_are_all_that_is_taken(
    tree: Path, script: ModuleType, kind: str, monkeypatch: pytest.MonkeyPatch
):
    target = tree.parent / "packages"
    monkeypatch.setattr(script, "DIGEST", expected(tree))
    monkeypatch.setattr(sys, "argv", ["unpack_sam2.py", f"file://{tree}.{kind}", str(target)])
    script.main()
    found = {path.relative_to(target).as_posix(): path.read_text() for path in target.rglob("*") if path.is_file()}
    record = "SAM_2-1.0.dist-info/"
    assert record in next(iter(sorted(found)))
    assert {path: text for path, text in found.items() if not path.startswith(record)} == {
        path: text for path, text in SOURCES.items() if path != "LICENSE"
    }
    assert found[f"{record}LICENSE"] == SOURCES["LICENSE"]
    (distribution,) = importlib.metadata.distributions(path=[str(target)])
    assert (distribution.metadata["Name"], distribution.version) == ("SAM-2", "1.0")


def change(tree: Path) -> None:
    (tree / "sam2" / "modeling" / "sam" / "mask_decoder.py").write_text("MASKS = 4\n")


def add(tree: Path) -> None:
    (tree / "sam2" / "more.py").touch()


def rename(tree: Path) -> None:
    (tree / "sam2" / "__init__.py").rename(tree / "sam2" / "init.py")


def remove(tree: Path) -> None:
    (tree / "sam2" / "configs" / "sam2.1" / "sam2.1_hiera_l.yaml").unlink()


@pytest.mark.parametrize("tamper", [change, add, rename, remove])
def test_an_archive_with_anything_else_in_it_is_refused_and_nothing_is_written(
    tree: Path, script: ModuleType, tamper: object, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(script, "DIGEST", expected(tree))
    assert callable(tamper)
    tamper(tree)
    pack(tree)
    monkeypatch.setattr(sys, "argv", ["unpack_sam2.py", f"file://{tree}.zip", str(tree.parent / "packages")])
    with pytest.raises(SystemExit, match=r"has the digest [0-9a-f]{64}, expected"):
        script.main()
    assert not (tree.parent / "packages").exists()


def test_the_command_fails_on_an_archive_that_is_not_sam_2(tree: Path):
    command = [sys.executable, str(SCRIPT), f"file://{tree}.zip", str(tree.parent / "packages")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "expected a880bf88" in done.stderr
