"""The Dockerfile keeps to what every builder takes, pins what it starts from, and gives no shell and no root."""

from __future__ import annotations

import itertools
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import build_images

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
LINES = [line for line in TEXT.replace("\\\n", " ").splitlines() if line.strip() and not line.startswith("#")]


def arguments_of(instruction: str) -> list[str]:
    return [line.split(maxsplit=1)[1] for line in LINES if line.split()[0] == instruction]


def test_every_image_that_is_built_upon_is_named_by_its_digest():
    defaults = dict(argument.split("=", 1) for argument in arguments_of("ARG") if "=" in argument)
    sources = [re.sub(r"\$\{(\w+)\}", lambda found: defaults[found[1]], source) for source in arguments_of("FROM")]
    assert sources
    assert [source for source in sources if not re.search(r"@sha256:[0-9a-f]{64}$", source)] == []


def test_it_uses_only_what_all_builders_take():
    assert not re.search(r"^#\s*syntax", TEXT, re.MULTILINE)
    assert [line for line in LINES if "<<" in line or "--mount" in line] == []
    known = {"ARG", "FROM", "COPY", "RUN", "ENV", "WORKDIR", "LABEL", "USER", "ENTRYPOINT"}
    assert {line.split()[0] for line in LINES} <= known


def test_it_starts_a_program_and_no_shell_as_an_ordinary_user():
    (entrypoint,) = arguments_of("ENTRYPOINT")
    assert json.loads(entrypoint) == ["python3", "/app/entrypoint.py"]
    assert arguments_of("USER") == ["1000:1000"]
    assert [line.split()[0] for line in LINES][-2:] == ["USER", "ENTRYPOINT"]


def test_packages_are_checked_against_their_hashes_before_any_code_is_copied():
    install = next(i for i, line in enumerate(LINES) if "pip install" in line)
    code = next(i for i, line in enumerate(LINES) if line.startswith("COPY common"))
    assert install < code
    assert "--require-hashes" in LINES[install]
    assert "--no-deps" in LINES[install]


def test_the_context_holds_what_is_copied_and_nothing_else():
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {source for argument in arguments_of("COPY") for source in argument.split()[:-1]}
    roots = {re.sub(r"/\$\{.*", "", source) for source in copied}
    assert {root for root in roots if root not in allowed and root.split("/")[0] not in allowed} == set()
    assert all((ROOT / path).exists() for path in allowed)


def test_hadolint_has_nothing_to_say():
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists() and shutil.which("hadolint") is None:
        pytest.skip("hadolint is not installed: `make check` installs it")
    command = [str(hadolint) if hadolint.exists() else "hadolint", str(ROOT / "docker" / "Dockerfile")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


# What its instructions do, with programs that only note what they are told


def installed(tmp_path: Path, *, stage: str, flavour: str, unpacks: bool = True) -> tuple[int, list[list[str]]]:
    """Exit code of the instruction that installs packages, and the arguments of every python3 that it runs."""
    (command,) = (argument for argument in arguments_of("RUN") if "pip install" in argument)
    (source,) = (argument.split("=", 1)[1] for argument in arguments_of("ARG") if argument.startswith("SAM2="))
    (tmp_path / "bin").mkdir()
    (tmp_path / "build").mkdir()
    script = tmp_path / "bin" / "python3"
    fails = "" if unpacks else 'case "$*" in *unpack_sam2*) exit 1;; esac\n'
    script.write_text(f'#!/bin/sh\nprintf "%s\\t" "$@" >>"$CALLS"; echo >>"$CALLS"\n{fails}', encoding="utf-8")
    script.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "CALLS": str(tmp_path / "calls"), "STAGE": stage,
        "FLAVOUR": flavour, "SAM2": source,
    }  # fmt: skip
    shell = ["sh", "-c", command.replace("/tmp/build", str(tmp_path / "build"))]  # noqa: S108 - in the container
    done = subprocess.run(shell, env=environment, capture_output=True, timeout=30)
    calls = (tmp_path / "calls").read_text(encoding="utf-8").splitlines()
    return done.returncode, [line.split("\t")[:-1] for line in calls]


@pytest.mark.parametrize(
    ("stage", "flavour", "has_sam2"),
    [("segment", "gpu", True), ("segment", "cpu", False), ("body", "gpu", False), ("cli", "cpu", False)],
)
def test_sam_2_is_unpacked_by_the_script_that_checks_it_and_in_one_image_alone(
    tmp_path: Path, stage: str, flavour: str, has_sam2: bool
):
    code, calls = installed(tmp_path, stage=stage, flavour=flavour)
    assert code == 0
    programs = [Path(words[0]).name for words in calls]
    assert programs == ["-m", *(["unpack_sam2.py"] if has_sam2 else []), "prune.py"]
    if has_sam2:
        _, source, target = calls[1]
        assert re.fullmatch(r"https://github\.com/facebookresearch/sam2/archive/[0-9a-f]{40}\.zip", source)
        assert target == "/opt/python"


def test_an_image_is_not_built_with_a_sam_2_that_was_refused(tmp_path: Path):
    code, _ = installed(tmp_path, stage="segment", flavour="gpu", unpacks=False)
    assert code != 0


@pytest.mark.parametrize("flavour", ["cpu", "gpu"])
def test_no_image_asks_for_a_gpu_however_it_is_built(flavour: str, monkeypatch: pytest.MonkeyPatch):
    """Where NVIDIA's runtime is the default, it would give all GPUs to pods that asked for none."""
    told: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        told.append(command)
        return subprocess.CompletedProcess(command, 0, stdout="1")

    monkeypatch.setattr(build_images.subprocess, "run", run)
    build_images.build("segment", flavour=flavour, tag="1", base="base", network=None)
    (command,) = (words for words in told if words[:2] == ["docker", "build"])
    given = dict(word.split("=", 1) for flag, word in itertools.pairwise(command) if flag == "--build-arg")
    environment = environment_of_image(given)
    assert environment["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert environment["NVIDIA_DRIVER_CAPABILITIES"] == "compute,utility,video"
    assert environment["GHOST_MODULE"] == "stages.segment", "the test reads what a builder would"


def environment_of_image(given: dict[str, str]) -> dict[str, str]:
    """The environment that the Dockerfile sets with these build arguments: ARG and ENV in order, as a builder does."""
    known: dict[str, str] = {}
    environment: dict[str, str] = {}
    for line in LINES:
        instruction, _, rest = line.partition(" ")
        for name, _, value in (word.partition("=") for word in shlex.split(rest) if instruction in ("ARG", "ENV")):
            text = re.sub(r"\$\{(\w+)\}", lambda found: known.get(found[1], ""), value)
            known[name] = given.get(name, text) if instruction == "ARG" else text
            if instruction == "ENV":
                environment[name] = text
    return environment
