"""Removes from a folder of installed packages what no stage runs. Nothing is stripped: that broke binaries.

    python3 prune.py /opt/python

Each entry says what it is and, in MB, what it saves (measured in the locked versions, x86_64).
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

REMOVED = {
    "*/**/tests": "tests of numpy (7) and scipy (16)",
    "numpy/**/include": "C headers (0.4); those of torch and triton stay, torch.compile needs them",
    "**/*.pyi": "stubs for type checkers (2)",
    "**/*.pxd": "declarations for compilers (0.3)",
    "**/*.a": "static libraries of numpy (0.1)",
    "numpy/_core/_simd.*": "only numpy's own tests load it (2)",
    "numpy/distutils": "building C extensions (1)",
    "ai_edge_litert/libLiteRt.so": "for compiled models and phones; the interpreter has its own (8)",
    "ai_edge_litert/libLiteRtWebGpuAccelerator.so": "loaded on request only; the stages run on CPUs (19)",
    "ai_edge_litert/tools": "a compiler for phones (8)",
    "ai_edge_litert/vendors": "plug-ins for phones' chips (5)",
    "ai_edge_litert/aot": "compiling ahead of time, for the same chips (0.1)",
    "onnxruntime/capi/libonnxruntime.so*": "for C programs; Python's module has it all inside (29)",
    "onnxruntime/transformers": "converters of models (2)",
    "onnxruntime/quantization": "the same (1)",
    "onnxruntime/tools": "the same (0.5)",
    "bin": "commands of packages; ghost starts its own modules alone",
}
"""Pattern below the folder -> what it is. A pattern that finds nothing is fine: each image has other packages."""

SERVICES = ("s3", "sts", "sso", "sso-oidc", "signin")
"""What boto3 may call: storage, and the services that hand out credentials. The other 430 are 18 MB."""

KEPT_OF_SERVICES = ("_retry.json", "endpoints.json", "partitions.json", "sdk-default-configuration.json")


FFMPEG = ("libavcodec-", "libavformat-", "libavutil-", "libswscale-", "libswresample-")
LIBRARY = re.compile(rb"lib[\w.+-]+\.so[\w.]*")


def size(path: Path) -> int:
    """Bytes of a file, or of all below a folder."""
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size
    return sum(inner.lstat().st_size for inner in path.rglob("*") if not inner.is_dir())


def remove(path: Path) -> int:
    """Removes a file or folder; returns its size."""
    freed = size(path)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
    return freed


def unused_services(folder: Path) -> list[Path]:
    """Descriptions of services that are never called."""
    services = folder / "botocore" / "data"
    if not services.is_dir():
        return []
    return [path for path in services.iterdir() if path.name not in (*SERVICES, *KEPT_OF_SERVICES)]


def share_ffmpeg(folder: Path) -> None:
    """Lets OpenCV load PyAV's copy of FFmpeg in place of its own, which no stage uses (32 MB).

    OpenCV cannot be loaded without FFmpeg, though only PyAV opens videos here (`common.media`). Both wheels bring the
    same major versions; where they do not, nothing is done. The build loads both afterwards, and the loader insists
    on every symbol.
    """
    ours, theirs = folder / "av.libs", folder / "opencv_python_headless.libs"
    if not (ours.is_dir() and theirs.is_dir()):
        return
    twins = {path: _same_library(path, ours) for path in theirs.iterdir() if path.name.startswith(FFMPEG)}
    if not twins or None in twins.values():
        return
    for path, twin in twins.items():
        path.unlink()
        path.symlink_to(str(twin))
    # Libraries look for others beside the name that they were found by, so all of them have to lie in one folder.
    for path in list(theirs.iterdir()):
        path.replace(ours / path.name)
    theirs.rmdir()
    theirs.symlink_to(ours.name)
    _remove_orphans(ours, folder)


def _same_library(path: Path, folder: Path) -> str | None:
    """Name of another build of a library in a folder: libavcodec-1234abcd.so.62.28.101 has the same 62."""
    name, _, version = path.name.partition(".so.")
    stem, major = name.partition("-")[0], version.partition(".")[0]
    found = sorted(folder.glob(f"{stem}-*.so.{major}.*"))
    return found[0].name if found else None


def _remove_orphans(libraries: Path, folder: Path) -> None:
    """Removes libraries that no other binary names: nothing loads them any more."""
    binaries = [path for path in folder.rglob("*.so*") if path.is_file() and not path.is_symlink()]
    named = {path: {name.decode() for name in LIBRARY.findall(path.read_bytes())} - {path.name} for path in binaries}
    while True:
        linked = {path.resolve().name for path in libraries.iterdir() if path.is_symlink()}
        orphans = {path for path in libraries.iterdir() if path.name not in linked.union(*named.values())}
        if not orphans:
            return
        for path in orphans:
            path.unlink()
            named.pop(path, None)


def main() -> None:
    """Removes, and says how much."""
    folder = Path(sys.argv[1])
    before = size(folder)
    for pattern in REMOVED:
        for path in sorted(folder.glob(pattern)):
            if path.exists():  # else it lay in a folder that is gone
                remove(path)
    for path in unused_services(folder):
        remove(path)
    share_ffmpeg(folder)
    sys.stdout.write(f"{(before - size(folder)) / 1e6:.0f} of {before / 1e6:.0f} MB removed\n")


if __name__ == "__main__":
    main()
