"""The Dockerfile keeps to what every builder takes, pins what it starts from, and gives no shell and no root."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_sam_2_comes_from_its_authors_at_one_commit_and_without_anything_else():
    (source,) = (argument.split("=", 1)[1] for argument in arguments_of("ARG") if argument.startswith("SAM2="))
    assert re.fullmatch(r"https://github\.com/facebookresearch/sam2/archive/[0-9a-f]{40}\.zip", source)
    (install,) = (line for line in LINES if '"${SAM2}"' in line)
    command = install[install.index("SAM2_BUILD_CUDA=0") :]
    assert "--no-deps" in command
    assert "--no-build-isolation" in command
    assert 'if [ "${FLAVOUR}-${STAGE}" = gpu-segment ]' in install


def test_an_image_asks_for_no_gpu_unless_it_was_built_for_one():
    assert "VISIBLE_GPUS=void" in arguments_of("ARG")
    settings = " ".join(arguments_of("ENV"))
    assert "NVIDIA_VISIBLE_DEVICES=${VISIBLE_GPUS}" in settings
    assert "NVIDIA_DRIVER_CAPABILITIES=compute,utility,video" in settings
