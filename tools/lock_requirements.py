"""Writes requirements/*.txt from pyproject.toml, and from what the code imports one lock per container image.

    python tools/lock_requirements.py            all locks
    python tools/lock_requirements.py images     those of the images alone, in the versions of requirements/run.txt

An image's packages are those whose modules its code imports, inside functions too: nobody keeps a list of them.
"""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools.imported_modules import OURS, code_of, imported  # noqa: E402 - a script of the checkout, not installed
from workflows.parameters import CLI_IMAGE  # noqa: E402
from workflows.pipeline import STAGES  # noqa: E402

LOCKS = {"run": (), "dev": ("--extra", "dev")}
FOLDER = Path("requirements/images")
FLAVOURS: Mapping[str, tuple[str, ...]] = {"cpu": (), "gpu": ("torch==2.13.0",)}
"""What a flavour adds to an image. torch comes with the CUDA that it was built for."""

_UV = (
    *(str(Path(sys.executable).parent / "uv"), "pip", "compile", "--quiet", "--generate-hashes", "--no-annotate"),
    *("--no-header", "--no-emit-index-url", "--no-emit-find-links"),
)
_PLATFORM = ("--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_36")  # Debian 12, as the base image


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

    Raises:
        ValueError: a module that no installed distribution brings.
    """
    brought_by = importlib.metadata.packages_distributions()
    found: dict[str, Path] = {}
    for path in paths:
        found.update((name.partition(".")[0], path) for name in imported(path))
    unknown = {name: path for name, path in found.items() if name not in (*sys.stdlib_module_names, *OURS)}
    distributions = set()
    for name, path in unknown.items():
        if name not in brought_by:
            raise ValueError(f"{path}: nothing that is installed brings the module {name!r}. Run `make setup`.")
        distributions.add(re.sub(r"[-_.]+", "-", brought_by[name][0]).lower())
    return distributions


def lock_image(image: str, flavour: str) -> None:
    """Writes the lock of one image."""
    special = {name for names in FLAVOURS.values() for name in names}
    wanted = sorted(
        {
            *third_party(code_of(ROOT, module_of(image))) - {name.partition("==")[0] for name in special},
            *FLAVOURS[flavour],
        }
    )
    target = ROOT / FOLDER / flavour / f"{image}.txt"
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", suffix=".in") as file:
        file.write("\n".join(wanted) + "\n")
        file.flush()
        _run(file.name, "--constraint", "requirements/run.txt", *_PLATFORM, "--output-file", str(target))


def _run(*arguments: str) -> None:
    subprocess.run([*_UV, *arguments], check=True, cwd=ROOT)  # noqa: S603 - an argument list of our own


def main() -> None:
    """Runs uv once per lock. No index is named in the result: whoever installs chooses theirs."""
    if sys.argv[1:] not in ([], ["images"]):
        sys.exit(f"usage: {sys.argv[0]} [images]")
    if not sys.argv[1:]:
        for name, extra in LOCKS.items():
            _run("--universal", "--python-version", "3.11", *extra, "pyproject.toml", "-o", f"requirements/{name}.txt")
    for flavour in FLAVOURS:
        for image in images(flavour):
            lock_image(image, flavour)


if __name__ == "__main__":
    main()
