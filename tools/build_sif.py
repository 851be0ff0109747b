"""Makes Apptainer images of the OCI images in the local docker: `python tools/build_sif.py sync`, or `--all`.

No registry is needed: what docker saves becomes a folder that apptainer reads. Build the OCI images first
(`make images`).
"""

from __future__ import annotations

import hashlib
import io
import json
import posixpath
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import click

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools.build_images import SUFFIXES, default_tag, image_name  # noqa: E402 - a script of the checkout, not installed
from tools.lock_requirements import FLAVOURS, images  # noqa: E402
from workflows.parameters import IMAGE_PREFIX  # noqa: E402

_OCI = "application/vnd.oci.image"
DEFINITION = ROOT / "apptainer" / "ghost.def"


def sif_name(image: str, flavour: str = "cpu") -> str:
    """`ghost-sync.sif`; for a GPU `ghost-segment-gpu.sif`: as the SLURM driver looks for them."""
    return f"{IMAGE_PREFIX}{image}{SUFFIXES[flavour]}.sif"


def save(image: str, folder: Path) -> None:
    """Writes an image of the local docker into a folder as an OCI layout, its layers as they are.

    Apptainer reads what `docker save` writes, too, but compresses every layer only to unpack it again: 12 of 15 s.

    Raises:
        CalledProcessError: docker failed.
    """
    command = ["docker", "save", image]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: S603
        if process.stdout is None:
            raise ValueError("docker save: expected a pipe")
        try:
            write_layout(process.stdout, folder)
        except tarfile.ReadError as error:
            raise subprocess.CalledProcessError(process.wait() or 1, command) from error
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)


def write_layout(archive: IO[bytes], folder: Path) -> None:
    """Turns a stream of `docker save`, of one image, into an OCI image layout.

    Args:
        archive: the stream, in the form of any docker: files that manifest.json names.
        folder: made here.
    """
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    digests: dict[str, str] = {}
    links: dict[str, str] = {}
    with tarfile.open(fileobj=archive, mode="r|") as members:
        for member in members:
            content = members.extractfile(member) if member.isfile() else None
            if content is not None:
                digests[member.name] = _store(content, blobs)
            elif member.issym():  # a layer that is the same as another's
                links[member.name] = posixpath.normpath(posixpath.join(posixpath.dirname(member.name), member.linkname))
    if "manifest.json" not in digests:
        raise tarfile.ReadError("no manifest.json in what docker saved")

    def blob(name: str, kind: str) -> dict[str, object]:
        digest = digests[links.get(name, name)]
        return {"mediaType": f"{_OCI}.{kind}", "digest": f"sha256:{digest}", "size": (blobs / digest).stat().st_size}

    (saved,) = json.loads((blobs / digests["manifest.json"]).read_bytes())
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{_OCI}.manifest.v1+json",
        "config": blob(saved["Config"], "config.v1+json"),
        "layers": [blob(layer, "layer.v1.tar") for layer in saved["Layers"]],
    }
    digests["manifest"] = _store(io.BytesIO(json.dumps(manifest).encode()), blobs)
    index = {"schemaVersion": 2, "manifests": [blob("manifest", "manifest.v1+json")]}
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")
    (folder / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}), encoding="utf-8")


def _store(content: IO[bytes], blobs: Path) -> str:
    """Writes a file under its own digest; returns that."""
    digest = hashlib.sha256()
    with tempfile.NamedTemporaryFile(dir=blobs, delete=False) as file:
        while block := content.read(1 << 20):
            digest.update(block)
            file.write(block)
    Path(file.name).rename(blobs / digest.hexdigest())
    return digest.hexdigest()


def build_command(layout: Path, sif: Path, *, compression: str, definition: Path = DEFINITION) -> list[str]:
    """The command that makes `sif` of a folder that `save` has written.

    Args:
        layout: the folder.
        sif: the image to write; an old one is replaced.
        compression: of the file system in it: gzip is small and works everywhere, lz4 is quick.
        definition: apptainer/ghost.def, or a copy of it where the builder can read it.
    """
    arguments = ("BOOTSTRAP=oci", f"FROM={layout}")
    command = ["apptainer", "--silent", "build", "--force", "--fakeroot"]
    command += ["--disable-cache"]  # of layers: they are at hand
    command += ["--mksquashfs-args", f"-comp {compression}"]
    command += [part for argument in arguments for part in ("--build-arg", argument)]
    return [*command, str(sif), str(definition)]


def build(image: str, folder: Path, *, tag: str, flavour: str, compression: str) -> Path:
    """Makes one image; returns its place.

    Raises:
        CalledProcessError: docker or apptainer failed; they have said why.
    """
    sif = folder / sif_name(image, flavour)
    with tempfile.TemporaryDirectory(prefix="ghost-sif-") as scratch:
        layout = Path(scratch) / "layout"
        save(image_name(image, tag=tag, flavour=flavour), layout)
        subprocess.run(build_command(layout, sif, compression=compression), check=True)  # noqa: S603
    return sif


def check(names: Sequence[str], known: Sequence[str], *, every: bool) -> Sequence[str]:
    """The images that were asked for. Raises UsageError."""
    wrong = [name for name in names if name not in known]
    if wrong or bool(names) is every:
        problem = f"no image {wrong[0]!r}" if wrong else "name images, or say --all"
        raise click.UsageError(f"{problem}: there are {', '.join(known)}.")
    return names or known


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All images of the flavour.")
@click.option("--flavour", type=click.Choice(FLAVOURS), default="cpu", show_default=True)
@click.option("--tag", default=default_tag, help="Default: the version of the project.")
@click.option("--output", type=click.Path(file_okay=False, path_type=Path), default=DEFINITION.parent, metavar="DIR",
              help="Where ghost-*.sif go. Default: apptainer/, where ghost.sbatch looks for them.")  # fmt: skip
@click.option("--compression", type=click.Choice(["gzip", "lz4", "zstd"]), default="gzip", show_default=True)
def main(names: tuple[str, ...], every: bool, flavour: str, tag: str, output: Path, compression: str) -> None:
    """Makes ghost-NAME.sif for the images NAMES: stages, or `cli` for the whole command; with --flavour gpu
    ghost-NAME-gpu.sif.
    """
    output.mkdir(parents=True, exist_ok=True)
    for name in check(names, images(flavour), every=every):
        start = time.monotonic()
        try:
            sif = build(name, output, tag=tag, flavour=flavour, compression=compression)
        except FileNotFoundError as error:
            raise click.ClickException(f"there is no {error.filename} here. It needs docker and apptainer.") from error
        except subprocess.CalledProcessError as error:
            raise click.ClickException(f"{error.cmd[0]} failed; the reason stands above.") from error
        click.echo(f"{sif}  {sif.stat().st_size / 1e6:.0f} MB, {time.monotonic() - start:.1f} s")


if __name__ == "__main__":
    main()
