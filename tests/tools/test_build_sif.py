"""From what docker saves to an OCI layout, in both forms that dockers save in."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path

import click
import pytest

from tools.build_images import image_name
from tools.build_sif import build_command, check, sif_name, write_layout

CONFIG = b'{"architecture": "amd64", "os": "linux", "config": {"Env": ["GHOST_MODULE=stages.sync"]}}'


def archive(files: dict[str, bytes], links: dict[str, str] | None = None) -> io.BytesIO:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as members:
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            members.addfile(member)
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            members.addfile(member, io.BytesIO(content))
    stream.seek(0)
    return stream


def saved(config: str, layers: list[str]) -> bytes:
    return json.dumps([{"Config": config, "RepoTags": ["ghost-sync:0.1.0"], "Layers": layers}]).encode()


def read_blob(layout: Path, described: dict[str, object]) -> bytes:
    """As a strict reader does: by digest, and only if digest and size are right."""
    algorithm, _, digest = str(described["digest"]).partition(":")
    content = (layout / "blobs" / algorithm / digest).read_bytes()
    assert hashlib.sha256(content).hexdigest() == digest
    assert len(content) == described["size"]
    return content


def contents(layout: Path) -> tuple[bytes, list[bytes]]:
    assert json.loads((layout / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    (described,) = json.loads((layout / "index.json").read_text())["manifests"]
    manifest = json.loads(read_blob(layout, described))
    assert {layer["mediaType"] for layer in manifest["layers"]} == {"application/vnd.oci.image.layer.v1.tar"}
    return read_blob(layout, manifest["config"]), [read_blob(layout, layer) for layer in manifest["layers"]]


def test_an_image_saved_by_an_older_docker_becomes_a_layout(tmp_path: Path):
    stream = archive(
        {
            "c1.json": CONFIG,
            "a/layer.tar": b"base",
            "b/layer.tar": b"packages",
            "manifest.json": saved("c1.json", ["a/layer.tar", "b/layer.tar", "c/layer.tar"]),
        },
        links={"c/layer.tar": "../a/layer.tar"},
    )
    write_layout(stream, tmp_path / "layout")
    assert contents(tmp_path / "layout") == (CONFIG, [b"base", b"packages", b"base"])


def test_an_image_saved_by_a_newer_docker_becomes_a_layout(tmp_path: Path):
    blobs = {f"blobs/sha256/{hashlib.sha256(content).hexdigest()}": content for content in (CONFIG, b"base", b"code")}
    config, *layers = blobs
    stream = archive({**blobs, "index.json": b"{}", "oci-layout": b"{}", "manifest.json": saved(config, layers)})
    write_layout(stream, tmp_path / "layout")
    assert contents(tmp_path / "layout") == (CONFIG, [b"base", b"code"])


def test_names_in_an_archive_lead_nowhere_outside(tmp_path: Path):
    manifest = saved("../../config", ["/etc/passwd"])
    write_layout(
        archive({"../../config": CONFIG, "/etc/passwd": b"x", "manifest.json": manifest}), tmp_path / "deep" / "er"
    )
    assert {path.name for path in tmp_path.iterdir()} == {"deep"}
    assert contents(tmp_path / "deep" / "er") == (CONFIG, [b"x"])


def test_a_stream_that_is_cut_off_is_refused(tmp_path: Path):
    whole = archive(
        {"c1.json": CONFIG, "a/layer.tar": b"x" * 100_000, "manifest.json": saved("c1.json", ["a/layer.tar"])}
    )
    with pytest.raises(tarfile.ReadError):
        write_layout(io.BytesIO(whole.getvalue()[:50_000]), tmp_path / "layout")
    with pytest.raises(tarfile.ReadError):
        write_layout(io.BytesIO(b""), tmp_path / "empty")


def test_the_command_names_the_layout_the_image_and_the_definition(tmp_path: Path):
    command = build_command(tmp_path / "layout", tmp_path / sif_name("sync"), compression="lz4")
    assert f"FROM={tmp_path / 'layout'}" in command
    assert command[-2:] == [
        str(tmp_path / "ghost-sync.sif"),
        str(Path(__file__).parents[2] / "apptainer" / "ghost.def"),
    ]
    assert command[command.index("--mksquashfs-args") + 1] == "-comp lz4"


def test_images_for_cpu_and_gpu_lie_beside_each_other_named_as_their_tags():
    assert sif_name("segment") == "ghost-segment.sif"
    assert sif_name("segment", "gpu") == "ghost-segment-gpu.sif"
    assert image_name("segment", tag="1", flavour="gpu") == "ghost-segment:1-gpu"


@pytest.mark.parametrize(("goal", "names"), [("sif", "segment"), ("sifs", "--all")])
def test_make_passes_the_flavour_on(goal: str, names: str):
    command = ["make", "--dry-run", "--assume-old=.venv/.ready-run", goal, "STAGE=segment", "FLAVOUR=gpu"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    assert f"tools/build_sif.py {names} --flavour gpu" in done.stdout


@pytest.mark.parametrize(("names", "every"), [((), False), (("sync",), True), (("nothing",), False)])
def test_images_are_named_or_all_of_them_asked_for(names: tuple[str, ...], every: bool):
    with pytest.raises(click.UsageError, match="there are sync, cli"):
        check(names, ("sync", "cli"), every=every)
