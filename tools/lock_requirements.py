"""Writes requirements/*.txt from pyproject.toml, and from what the code imports one lock per container image.

    python tools/lock_requirements.py            all locks
    python tools/lock_requirements.py images     those of the images alone, in the versions of the other locks

An image's packages are those whose modules its code imports, inside functions too: nobody keeps a list of them.
"""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools.imported_modules import GPU_ONLY, OURS, USERS_OWN, code_of, imported  # noqa: E402 - a script of the checkout
from workflows.parameters import CLI_IMAGE  # noqa: E402
from workflows.pipeline import STAGES  # noqa: E402

REQUIREMENTS = Path("requirements")
FOLDER = REQUIREMENTS / "images"
FLAVOURS = ("cpu", "gpu")

TORCH = "torch==2.13.0"
"""The version that the GPU backends were written and measured with."""

CPU_WHEEL = "6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b"
"""sha256 of the same version in the build for CPUs, from PyTorch's own index: PyPI does not carry it."""

CPU_WHEEL_FITS = 'python_version == "3.11" and sys_platform == "linux" and platform_machine == "x86_64"'

CUDA = re.compile(r"torch$|triton$|cuda-|nvidia-")
"""Distributions that are torch as PyPI has it, for CUDA, and what that build needs beside ordinary Python: 3 GB."""

CLASHES = ("opencv-python",)
"""What trackeval asks for. It has the modules of opencv-python-headless, which is there, and needs libraries of a
graphical desktop: tests would fail where those are missing. Setting up installs what a lock names and nothing else."""

SAM2_IMAGE = "segment"  # as the Dockerfile has it
SAM2_NEEDS = ("hydra-core>=1.3.2", "iopath>=0.1.10", "tqdm>=4.66")
"""What the official SAM 2 declares, less what is there anyway and torchvision. Only its predictor for pictures imports
that, ours is the one for videos; and where it is installed transformers takes other image processors than here."""

_UV = (
    *(str(Path(sys.executable).parent / "uv"), "pip", "compile", "--quiet", "--generate-hashes", "--no-annotate"),
    *("--no-header", "--no-emit-index-url", "--no-emit-find-links"),
)
_UNIVERSAL = ("--universal", "--python-version", "3.11")
_PLATFORM = ("--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_36")  # Debian 12, as the base image
_RUN, _GPU, _DEV, _TORCH = (str(REQUIREMENTS / f"{name}.txt") for name in ("run", "gpu", "dev", "torch-cpu"))


def images(flavour: str) -> tuple[str, ...]:
    """Names of the images of a flavour: every stage and the command; for a GPU those that have a use for one."""
    if flavour == "gpu":
        return tuple(stage.name for stage in STAGES if stage.resources.gpu)
    return (*(stage.name for stage in STAGES), CLI_IMAGE)


def module_of(image: str) -> str:
    """What an image runs: `python -m MODULE`."""
    return "workflows" if image == CLI_IMAGE else f"stages.{image}"


def third_party(paths: Iterable[Path]) -> set[str]:
    """Names of the distributions whose modules the files import, as package indexes spell them.

    What is for GPUs alone is left out, see `flavour_adds`.

    Raises:
        ValueError: a module that no installed distribution brings.
    """
    brought_by = importlib.metadata.packages_distributions()
    found: dict[str, Path] = {}
    for path in paths:
        found.update((name.partition(".")[0], path) for name in imported(path))
    known = {*sys.stdlib_module_names, *OURS, *GPU_ONLY, *USERS_OWN}
    distributions = set()
    for name, path in found.items():
        if name in known:
            continue
        if name not in brought_by:
            raise ValueError(f"{path}: nothing that is installed brings the module {name!r}. Run `make lint`.")
        distribution = next(bringer for bringer in brought_by[name] if bringer not in CLASHES)
        distributions.add(re.sub(r"[-_.]+", "-", distribution).lower())
    return distributions


def flavour_adds(flavour: str, image: str) -> tuple[str, ...]:
    """Requirements that come on top of what `third_party` finds. SAM 2 itself is no package of an index."""
    if flavour == "cpu":
        return ()
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return (*declared["optional-dependencies"]["gpu"], TORCH, *(SAM2_NEEDS if image == SAM2_IMAGE else ()))


def lock_environments() -> None:
    """Writes the locks of the environments that `tools/setup_environment.py` makes, for all systems and Pythons."""
    same_versions = ("--constraint", _RUN)
    _compile(*_UNIVERSAL, "pyproject.toml", to=_RUN)
    _compile(*_UNIVERSAL, *same_versions, "--extra", "gpu", "pyproject.toml", also=[TORCH], to=_GPU)
    left_out = sorted({*CLASHES, *filter(CUDA.match, _names(_GPU))})
    options = [part for name in left_out for part in ("--no-emit-package", name)]
    _compile(
        *(*_UNIVERSAL, *same_versions, "--constraint", _GPU, *options, "--extra", "dev", "pyproject.toml"),
        also=[TORCH],  # its other needs are of ordinary size: they are kept
        to=_DEV,
    )
    _lock_torch()


def _lock_torch() -> None:
    """Writes torch for CPUs alone: no index that uv is told of needs to have it."""
    text = f"{TORCH}+cpu ; {CPU_WHEEL_FITS} \\\n    --hash=sha256:{CPU_WHEEL}\n"
    (ROOT / _TORCH).write_text(text, encoding="utf-8")


def lock_image(image: str, flavour: str) -> None:
    """Writes the lock of one image."""
    path = FOLDER / flavour / f"{image}.txt"
    (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
    wanted = {*third_party(code_of(ROOT, module_of(image))), *flavour_adds(flavour, image)}
    versions = ("--constraint", _RUN if flavour == "cpu" else _GPU)
    _compile(*_PLATFORM, *versions, also=sorted(wanted), to=str(path))


def _names(lock: str) -> Iterator[str]:
    for line in (ROOT / lock).read_text(encoding="utf-8").splitlines():
        name, is_pin, _ = line.partition("==")
        if is_pin and not name.startswith((" ", "#")):
            yield name


def _compile(*arguments: str, also: Iterable[str] = (), to: str) -> None:
    """Runs uv. It keeps the versions that the lock names already, as far as they are allowed."""
    with tempfile.NamedTemporaryFile("w", suffix=".in") as file:
        file.write("\n".join(also) + "\n")
        file.flush()
        command = [*_UV, *arguments, file.name, "--output-file", to]
        subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)  # noqa: S603 - arguments of our own


def main() -> None:
    """Runs uv once per lock. No index is named in the result: whoever installs chooses theirs."""
    if sys.argv[1:] not in ([], ["images"]):
        sys.exit(f"usage: {sys.argv[0]} [images]")
    if not sys.argv[1:]:
        lock_environments()
    for flavour in FLAVOURS:
        for image in images(flavour):
            lock_image(image, flavour)


if __name__ == "__main__":
    main()
