"""Every image's packages are those that its code imports, in the versions of all other installations, with hashes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from common import fingerprint
from tools.lock_requirements import FLAVOURS, FOLDER, images
from workflows.parameters import CLI_IMAGE
from workflows.pipeline import STAGES

ROOT = Path(__file__).parents[2]
LOCKS = [(flavour, image) for flavour in FLAVOURS for image in images(flavour)]
LINUX = {**default_environment(), "python_full_version": "3.11.2", "python_version": "3.11", "sys_platform": "linux"}


def pinned(path: Path) -> dict[str, str]:
    """Distribution -> version of a requirements file, for the images' Python."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if re.match(r"[a-zA-Z0-9]", line):
            requirement = Requirement(line.rstrip(" \\"))
            if requirement.marker is None or requirement.marker.evaluate(LINUX):
                found[canonicalize_name(requirement.name)] = str(requirement.specifier).removeprefix("==")
    return found


def lock(flavour: str, image: str) -> Path:
    return ROOT / FOLDER / flavour / f"{image}.txt"


def modules_of(stage: str) -> Iterator[str]:
    """Top-level modules that the files behind a stage's key import: found without the code that writes the locks."""
    for path in fingerprint.code_of(stage):
        if path.suffix == ".py":
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    yield from (alias.name.partition(".")[0] for alias in node.names)
                elif isinstance(node, ast.ImportFrom):
                    yield str(node.module).partition(".")[0]


def closure(names: set[str]) -> set[str]:
    """What the distributions need themselves, according to what is installed here."""
    found: set[str] = set()
    fresh = set(names)
    while fresh:
        name = fresh.pop()
        found.add(name)
        try:
            needed = [Requirement(text) for text in requires(name) or ()]
        except PackageNotFoundError:
            continue
        wanted = (r for r in needed if r.marker is None or r.marker.evaluate({**LINUX, "extra": ""}))
        fresh |= {canonicalize_name(requirement.name) for requirement in wanted} - found
    return found


def test_there_is_a_lock_for_every_image_and_no_other():
    expected = {lock(flavour, image) for flavour, image in LOCKS}
    assert set((ROOT / FOLDER).rglob("*.txt")) == expected


@pytest.mark.parametrize("stage", [stage.name for stage in STAGES])
def test_an_image_holds_what_its_code_imports_and_nothing_else(stage: str):
    brought_by = packages_distributions()
    direct = {canonicalize_name(brought_by[name][0]) for name in modules_of(stage) if name in brought_by}
    assert set(pinned(lock("cpu", stage))) == closure(direct - {"ghost-mocap"}), "run `make lock`"


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_an_image_holds_the_packages_whose_versions_are_part_of_its_stages_keys(stage):
    """Otherwise a result of a container would never be up to date for a local run, and the other way round."""
    assert set(stage.packages) <= set(pinned(lock("cpu", stage.name)))


def test_the_command_holds_whatever_a_stage_holds():
    every = set().union(*(pinned(lock("cpu", stage.name)) for stage in STAGES))
    assert every <= set(pinned(lock("cpu", CLI_IMAGE)))


@pytest.mark.parametrize(("flavour", "image"), LOCKS, ids=lambda value: value)
def test_versions_are_those_of_every_other_installation(flavour: str, image: str):
    everywhere = pinned(ROOT / "requirements" / "run.txt")
    found = pinned(lock(flavour, image))
    assert {name: version for name, version in found.items() if everywhere.get(name, version) != version} == {}
    if flavour == "cpu":
        assert found.keys() <= everywhere.keys()


@pytest.mark.parametrize(("flavour", "image"), LOCKS, ids=lambda value: value)
def test_every_requirement_is_pinned_and_hashed(flavour: str, image: str):
    text = lock(flavour, image).read_text(encoding="utf-8")
    entries = re.split(r"\n(?=[a-zA-Z0-9])", text.strip())
    assert len(entries) >= 2
    bare = [
        entry
        for entry in entries
        if not re.fullmatch(r"\S+==\S+( ; [^\n]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+", entry)
    ]
    assert bare == []
    assert "://" not in text, "no index is named"


@pytest.mark.parametrize("stage", [stage.name for stage in STAGES if stage.resources.gpu])
def test_torch_comes_with_the_flavour_for_gpus_alone(stage: str):
    assert "torch" in pinned(lock("gpu", stage))
    assert "torch" not in pinned(lock("cpu", stage))


def test_sync_needs_no_decoder_and_no_pictures():
    assert {"av", "opencv-python-headless", "rich"} & set(pinned(lock("cpu", "sync"))) == set()
