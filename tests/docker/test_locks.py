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
from tools.lock_requirements import CLASHES, CPU_WHEEL, CUDA, FLAVOURS, FOLDER, GPU_ONLY, REQUIREMENTS, TORCH, images
from workflows.parameters import CLI_IMAGE
from workflows.pipeline import STAGES

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ("run", "gpu", "dev", "torch-cpu")
LOCKS = [(flavour, image) for flavour in FLAVOURS for image in images(flavour)]
LINUX = {
    **default_environment(),
    **{
        "python_full_version": "3.11.2",
        "python_version": "3.11",
        "sys_platform": "linux",
        "platform_machine": "x86_64",
    },
}


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


def environment(name: str) -> Path:
    return ROOT / REQUIREMENTS / f"{name}.txt"


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
    modules = set(modules_of(stage)) & set(brought_by) - set(GPU_ONLY)
    direct = {canonicalize_name(brought_by[name][0]) for name in modules}
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


LINE = re.compile(r"\S+==\S+( ; [^\n]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+")


@pytest.mark.parametrize("path", [*map(environment, ENVIRONMENTS), *(lock(*names) for names in LOCKS)], ids=str)
def test_every_requirement_is_pinned_and_hashed(path: Path):
    text = path.read_text(encoding="utf-8")
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    entries = re.split(r"\n(?=[a-zA-Z0-9])", lines.strip())
    assert entries
    assert [entry for entry in entries if not LINE.fullmatch(entry)] == []
    assert "://" not in text, "no index is named"


def test_there_is_a_lock_for_every_environment_and_no_other():
    assert set((ROOT / REQUIREMENTS).glob("*.txt")) == set(map(environment, ENVIRONMENTS))


def test_environments_agree_on_every_version_they_share():
    run, gpu, dev = (pinned(environment(name)) for name in ("run", "gpu", "dev"))
    assert {name: gpu.get(name) for name in run} == run
    assert {name: dev.get(name) for name in run} == run
    assert {name: dev[name] for name in dev.keys() & gpu} == {name: gpu[name] for name in dev.keys() & gpu}


def test_the_tests_environment_has_what_the_gpus_has_but_torch_and_cuda_and_no_second_opencv():
    gpu, dev = pinned(environment("gpu")), pinned(environment("dev"))
    assert gpu["torch"] == TORCH.partition("==")[2]
    assert {name for name in gpu if not CUDA.match(name)} <= set(dev)
    assert [name for name in dev if CUDA.match(name) or name in CLASHES] == []


def test_torch_for_cpus_is_the_same_version_and_one_wheel():
    assert pinned(environment("torch-cpu")) == {"torch": f"{TORCH.partition('==')[2]}+cpu"}
    assert re.findall(r"sha256:([0-9a-f]+)", environment("torch-cpu").read_text(encoding="utf-8")) == [CPU_WHEEL]


@pytest.mark.parametrize("stage", [stage.name for stage in STAGES if stage.resources.gpu])
def test_torch_and_transformers_come_with_the_flavour_for_gpus_alone(stage: str):
    for_gpus = {"pillow", "safetensors", "tokenizers", "torch", "transformers"}
    assert for_gpus <= set(pinned(lock("gpu", stage)))
    assert (for_gpus | {"huggingface-hub"}) & set(pinned(lock("cpu", stage))) == set()


def test_an_image_for_gpus_has_the_versions_of_the_environment_for_gpus():
    gpu = pinned(environment("gpu"))
    for stage in images("gpu"):
        found = pinned(lock("gpu", stage))
        assert {name: version for name, version in found.items() if gpu.get(name, version) != version} == {}, stage


def test_the_command_can_fetch_models_of_gpu_backends_where_there_is_no_gpu():
    """Nodes that compute often have no network: weights are fetched where there is one, and perhaps no GPU."""
    assert "huggingface-hub" in pinned(lock("cpu", CLI_IMAGE))
    assert {"torch", "transformers"} & set(pinned(lock("cpu", CLI_IMAGE))) == set()


def test_sync_needs_no_decoder_and_no_pictures():
    assert {"av", "opencv-python-headless", "rich"} & set(pinned(lock("cpu", "sync"))) == set()
