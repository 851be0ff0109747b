"""Builds container images: `python tools/build_images.py sync`, or `--all`.

Prints for each its size on top of the base image and the seconds it took. Settings of pip in the environment
(PIP_INDEX_URL and the like) are passed on to the build, where they name an address and no local folder.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools.lock_requirements import FLAVOURS, FOLDER, images, module_of  # noqa: E402 - a script of the checkout, not installed
from workflows.argo_parameters import project_version as default_tag  # noqa: E402
from workflows.parameters import GPU_SUFFIX, IMAGE_PREFIX  # noqa: E402

DOCKERFILE = Path("docker/Dockerfile")
SUFFIXES = {"cpu": "", "gpu": GPU_SUFFIX}
"""What the name of an image, or of the .sif made of it, ends with."""
CONTENT = "ghost.content"
"""Label of what an image was built from: equal digests need no second build."""

_COPIED = ("docker", "common", "stages", "workflows")
_PIP = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_TRUSTED_HOST", "PIP_DEFAULT_TIMEOUT")


@dataclass(frozen=True)
class Built:
    """An image and what it cost.

    Attributes:
        name: NAME:TAG.
        bytes: uncompressed.
        bytes_over_base: of them, what came on top of the base image; None if the base image is not at hand.
        seconds: that the build took.
    """

    name: str
    bytes: int
    bytes_over_base: int | None
    seconds: float

    def __str__(self) -> str:
        over = "" if self.bytes_over_base is None else f"{self.bytes_over_base / 1e6:6.0f} MB over its base, "
        return f"{self.name:<28} {over}{self.bytes / 1e6:6.0f} MB in all, {self.seconds:.1f} s"


def default_base() -> str:
    """The base image that the Dockerfile names, with its digest."""
    found = re.search(r"^ARG BASE_IMAGE=(\S+)", (ROOT / DOCKERFILE).read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise ValueError(f"{DOCKERFILE}: expected a line ARG BASE_IMAGE=…, found none")
    return found[1]


def image_name(image: str, *, tag: str, flavour: str = "cpu") -> str:
    """`ghost-sync:0.1.0`; for a GPU `ghost-segment:0.1.0-gpu`."""
    return f"{IMAGE_PREFIX}{image}:{tag}{SUFFIXES[flavour]}"


def content_of(image: str, *, flavour: str, base: str) -> str:
    """Digest of all that an image is made of: files, their places, and the name of the base image."""
    digest = hashlib.sha256(base.encode())
    for path in (ROOT / FOLDER / flavour / f"{image}.txt", ROOT / "tools/imported_modules.py", *_copied_files()):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(ROOT).as_posix()}\0{content}\0".encode())
    return digest.hexdigest()


def _copied_files() -> Iterator[Path]:
    for folder in _COPIED:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".md":
                yield path


def label(image: str, name: str) -> str:
    """A label of an image, "" if there is no such image or label."""
    form = f'{{{{index .Config.Labels "{name}"}}}}'
    return _inspect(image, form) or ""


def size(image: str) -> int | None:
    """Uncompressed bytes of an image; None if it is not at hand."""
    found = _inspect(image, "{{.Size}}")
    return None if found is None else int(found)


def _inspect(image: str, form: str) -> str | None:
    command = ["docker", "image", "inspect", "-f", form, image]
    done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603 - an argument list of our own
    return done.stdout.strip() if done.returncode == 0 else None


def build(image: str, *, flavour: str, tag: str, base: str, network: str | None, quiet: bool = True) -> Built:
    """Builds one image.

    Args:
        image: name of a stage, or `cli`.
        flavour: cpu or gpu.
        tag: its tag.
        base: what it starts from.
        network: network of the build; the builder's own by default.
        quiet: show what the builder says only if it fails.

    Raises:
        CalledProcessError: the builder failed.
    """
    name = image_name(image, tag=tag, flavour=flavour)
    arguments = {
        "BASE_IMAGE": base,
        "STAGE": image,
        "MODULE": module_of(image),
        "FLAVOUR": flavour,
        "VERSION": tag,
        "REVISION": _revision(),
        "SOURCE": public_address(_git("config", "--get", "remote.origin.url")),
        "CONTENT": content_of(image, flavour=flavour, base=base),
        **pip_settings(os.environ),
    }
    command = ["docker", "build", "--file", str(DOCKERFILE), "--tag", name]
    command += [] if network is None else ["--network", network]
    command += [part for key, value in arguments.items() for part in ("--build-arg", f"{key}={value}")]
    start = time.monotonic()
    done = subprocess.run(  # noqa: S603 - an argument list of our own
        [*command, "."],
        cwd=ROOT,
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT if quiet else None,
        text=True,
    )
    if done.returncode:
        sys.stderr.write(done.stdout or "")
        raise subprocess.CalledProcessError(done.returncode, f"docker build of {name}")
    seconds = time.monotonic() - start
    whole, below = size(name), size(base)
    if whole is None:
        raise ValueError(f"{name}: built, but not to be found. Has the builder an image store of its own?")
    return Built(name, whole, None if below is None else whole - below, seconds)


def pip_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Settings of pip that mean the same inside a build: no paths of this machine."""
    given = {name: environment[name] for name in _PIP if environment.get(name)}
    return {name: value for name, value in given.items() if not re.search(r"(^|\s)(/|file:)", value)}


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)  # noqa: S603, S607
    return done.stdout.strip() if done.returncode == 0 else ""


def _revision() -> str:
    """The commit, marked if the files that are copied differ from it."""
    changed = _git("status", "--porcelain", "--", *_COPIED, str(FOLDER))
    return (_git("rev-parse", "HEAD") or "unknown") + ("-changed" if changed else "")


def public_address(remote: str) -> str:
    """Where the code comes from, if that is an address that others can open; without names and passwords in it."""
    found = re.fullmatch(r"https://(?:[^@/]*@)?([^?#]+)", remote)
    return f"https://{found[1]}" if found else "unknown"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All images of the flavour.")
@click.option("--flavour", type=click.Choice(FLAVOURS), default="cpu", show_default=True)
@click.option("--tag", default=default_tag, help="Default: the version of the project.")
@click.option("--base-image", default=default_base, help="Default: the one that the Dockerfile names by digest.")
@click.option("--network", help="Network of the build, such as `host` behind a mirror on this machine.")
def main(names: tuple[str, ...], every: bool, flavour: str, tag: str, base_image: str, network: str | None) -> None:
    """Builds the images NAMES: stages, or `cli` for the whole command."""
    known = images(flavour)
    wrong = [name for name in names if name not in known]
    if wrong or bool(names) is every:
        problem = f"no {flavour} image {wrong[0]!r}" if wrong else "name images, or say --all"
        raise click.UsageError(f"{problem}: there are {', '.join(known)}.")
    for name in names or known:
        click.echo(f"building {image_name(name, tag=tag, flavour=flavour)} …", err=True)
        try:
            built = build(name, flavour=flavour, tag=tag, base=base_image, network=network)
        except subprocess.CalledProcessError as error:
            raise click.ClickException(f"{error.cmd} failed; the reason stands above.") from error
        click.echo(str(built))


if __name__ == "__main__":
    main()
