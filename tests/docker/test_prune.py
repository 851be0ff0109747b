"""What is removed from an image's packages, shown on folders that look like them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PRUNE = Path(__file__).parents[2] / "docker" / "prune.py"


def make(folder: Path, *files: str, content: bytes = b"x") -> None:
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(content)


def prune(folder: Path) -> str:
    done = subprocess.run([sys.executable, str(PRUNE), str(folder)], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


def left(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def test_tests_headers_and_tools_go_and_code_stays(tmp_path: Path):
    kept = ("numpy/__init__.py", "numpy/testing/__init__.py", "onnxruntime/capi/onnxruntime_pybind11_state.so",
            "torch/include/ATen/a.h", "triton/backends/nvidia/bin/ptxas")  # fmt: skip
    gone = ("numpy/tests/test_a.py", "scipy/fft/_pocketfft/tests/b.py", "numpy/_core/include/numpy/a.h", "bin/f2py")
    make(tmp_path, *kept, *gone, "onnxruntime/capi/libonnxruntime.so.1.31.1", "ai_edge_litert/tools/a/b.so")
    assert "MB removed" in prune(tmp_path)
    assert left(tmp_path) == set(kept)


def test_of_the_services_of_aws_storage_and_sign_in_stay(tmp_path: Path):
    kept = ("s3/2006-03-01/service-2.json", "sts/2011-06-15/service-2.json", "endpoints.json", "partitions.json")
    make(tmp_path, *(f"botocore/data/{name}" for name in (*kept, "ec2/2016/service-2.json", "rds/x.json")))
    prune(tmp_path)
    assert left(tmp_path) == {f"botocore/data/{name}" for name in kept}


def libraries(folder: Path, *, theirs: str = "62") -> None:
    make(folder, "av.libs/libavcodec-aaaa.so.62.1.2", content=b"\0libx265-cccc.so.216\0")
    make(folder, "av.libs/libx265-cccc.so.216")
    make(folder, "av/codec.so", content=b"\0libavcodec-aaaa.so.62.1.2\0")
    codec = f"libavcodec-bbbb.so.{theirs}.1.1"
    make(folder, f"opencv_python_headless.libs/{codec}", content=b"\0libvpx-dddd.so.11\0" + codec.encode())
    make(folder, "opencv_python_headless.libs/libvpx-dddd.so.11", "opencv_python_headless.libs/libblas-eeee.so.3")
    make(folder, "cv2/cv2.abi3.so", content=f"\0{codec}\0libblas-eeee.so.3\0".encode())


def test_opencv_shares_the_decoder_of_pyav_and_what_only_its_own_needed_goes(tmp_path: Path):
    libraries(tmp_path)
    prune(tmp_path)
    shared = tmp_path / "opencv_python_headless.libs"
    assert shared.resolve() == tmp_path / "av.libs"
    assert {path.name for path in shared.iterdir()} == {
        *("libavcodec-aaaa.so.62.1.2", "libavcodec-bbbb.so.62.1.1", "libx265-cccc.so.216", "libblas-eeee.so.3"),
    }
    assert (shared / "libavcodec-bbbb.so.62.1.1").resolve().name == "libavcodec-aaaa.so.62.1.2"


@pytest.mark.parametrize("case", ["other version", "no PyAV"])
def test_opencv_keeps_its_own_decoder_where_there_is_no_equal_one(tmp_path: Path, case: str):
    libraries(tmp_path, theirs="61" if case == "other version" else "62")
    if case == "no PyAV":
        for path in (tmp_path / "av.libs").iterdir():
            path.unlink()
        (tmp_path / "av.libs").rmdir()
    before = left(tmp_path)
    prune(tmp_path)
    assert left(tmp_path) == before
