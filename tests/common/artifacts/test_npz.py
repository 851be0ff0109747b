import io
import os
import shutil
import struct
import subprocess
import sys
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest

from common.artifacts import npz
from common.artifacts.npy import Entry, pack
from common.artifacts.npz import NpzReader, NpzWriter
from common.errors import BadInput

ARRAYS = {
    "labels": np.arange(600, dtype=np.uint16).reshape(20, 30),
    "floats": np.linspace(0, 1, 24, dtype=np.float32).reshape(2, 3, 4),
    "scalar": np.array(3.5),
    "nothing": np.zeros((0, 70, 3), np.float32),
    "flags": np.array([True, False, True]),
    "words": np.array(["left", "right"]),
    "columns": np.asfortranarray(np.arange(12, dtype=np.int64).reshape(3, 4)),
    "part": np.arange(100, dtype=np.int32)[10:60:5],
}


def write(path, arrays, **options):
    with NpzWriter(path, **options) as writer:
        for name, array in arrays.items():
            writer.write(name, array)
    return path


@pytest.mark.parametrize("level", [0, 1, 6, 9])
def test_numpy_reads_what_we_write(tmp_path, level):
    path = write(tmp_path / "a.npz", ARRAYS, level=level)
    with np.load(path) as archive:
        assert archive.files == list(ARRAYS)
        for name, array in ARRAYS.items():
            read = archive[name]
            assert (read.shape, read.dtype) == (array.shape, array.dtype)
            assert np.array_equal(read, array), name
    assert zipfile.ZipFile(path).testzip() is None


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_we_read_what_numpy_writes(tmp_path, save):
    save(tmp_path / "a.npz", **ARRAYS)
    with NpzReader(tmp_path / "a.npz") as reader:
        assert set(reader.names) == set(ARRAYS)
        for name, array in ARRAYS.items():
            assert reader.header(name) == (array.shape, array.dtype)
            assert np.array_equal(reader.read(name), array), name


def test_equal_arrays_give_equal_bytes(tmp_path):
    first = write(tmp_path / "a.npz", ARRAYS).read_bytes()
    os.utime(tmp_path, (0, 0))
    assert write(tmp_path / "b.npz", ARRAYS).read_bytes() == first


def test_deflate_is_as_small_as_numpys(tmp_path):
    blobs = np.kron(np.random.default_rng(0).integers(0, 4, (40, 40)), np.ones((25, 25))).astype(np.uint16)
    ours = write(tmp_path / "a.npz", {"x": blobs}).stat().st_size
    np.savez_compressed(tmp_path / "b.npz", x=blobs)
    numpys = (tmp_path / "b.npz").stat().st_size
    assert ours <= 1.1 * numpys, f"{ours} bytes against {numpys}"


def test_more_entries_than_a_plain_zip_can_count(tmp_path):
    count = 66_000
    entry = pack(np.zeros(1, np.uint8))
    with NpzWriter(tmp_path / "many.npz") as writer:
        for index in range(count):
            writer.write_entry(f"mask_{index:06d}", entry)
        writer.write("last", np.arange(5))
    # The last 98 bytes: zip64 end of directory, its locator, end of directory (APPNOTE 4.3.14 to 4.3.16).
    end = (tmp_path / "many.npz").read_bytes()[-98:]
    assert (end[:4], end[56:60], end[76:80]) == (b"PK\6\6", b"PK\6\7", b"PK\5\6")
    assert struct.unpack("<QQ", end[24:40]) == (count + 1, count + 1)
    with np.load(tmp_path / "many.npz") as archive:
        assert len(archive.files) == count + 1
        assert archive["last"].tolist() == [0, 1, 2, 3, 4]
    with NpzReader(tmp_path / "many.npz") as reader:
        assert len(reader.names) == count + 1
        assert reader.read("mask_065999").tolist() == [0]


def test_offsets_beyond_4_gib(tmp_path):
    path = tmp_path / "far.npz"
    with NpzWriter(path) as writer:
        writer.write("near", np.arange(3))
        writer._file.seek(2**32 + 10)  # a hole in a sparse file stands for 4 GiB of entries
        writer.write("far", np.arange(4))
    with np.load(path) as archive:
        assert archive["near"].tolist() == [0, 1, 2]
        assert archive["far"].tolist() == [0, 1, 2, 3]
    with NpzReader(path) as reader:
        assert reader.read("far").tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("level", [0, 6])
def test_sizes_that_need_zip64(tmp_path, monkeypatch, level):
    values = np.random.default_rng(0).random(20_000)
    entry = pack(values, level=level)
    monkeypatch.setattr(npz, "_ZIP64_FROM", 1000)  # the writer switches early, so that 4 GiB need not be written
    with NpzWriter(tmp_path / "wide.npz") as writer:
        writer.write_entry("x", entry)
        writer.write_entry("y", entry)
    with zipfile.ZipFile(tmp_path / "wide.npz") as archive:
        assert archive.getinfo("x.npy").file_size == entry.size
        assert archive.testzip() is None
        assert [len(archive.getinfo(name).extra) for name in ("x.npy", "y.npy")] == [20, 28]
    with np.load(tmp_path / "wide.npz") as archive:
        assert np.array_equal(archive["y"], values)
    with NpzReader(tmp_path / "wide.npz") as reader:
        assert np.array_equal(reader.read("y"), values)
    if unzip := shutil.which("unzip"):
        subprocess.run([unzip, "-tqq", tmp_path / "wide.npz"], check=True, timeout=20)


def test_an_exception_leaves_nothing_that_can_be_read(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.raises(ValueError, match="Python objects"), NpzWriter(path) as writer:
        _ = [writer.write(name, array) for name, array in (("x", np.arange(10)), ("y", np.array([{}])))]
    with pytest.raises(BadInput, match="not an npz archive, or torn"):
        NpzReader(path)


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits: run on Linux or macOS")
def test_a_full_disk_is_an_os_error_and_leaves_nothing_that_can_be_read(tmp_path):
    path = tmp_path / "a.npz"
    code = f"""if True:
        import pathlib, resource, numpy as np
        from common.artifacts.npz import NpzWriter
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        rng = np.random.default_rng(0)
        try:
            with NpzWriter(pathlib.Path({str(path)!r})) as writer:
                for name in "abcdef":
                    writer.write(name, rng.random(3000))
        except OSError as error:
            raise SystemExit(error.errno)
    """
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 27  # EFBIG
    assert 0 < path.stat().st_size <= 100_000
    with pytest.raises(BadInput):
        NpzReader(path)


def test_a_torn_archive_is_bad_input_wherever_it_tears(tmp_path):
    whole = write(tmp_path / "a.npz", ARRAYS).read_bytes()
    for length in range(0, len(whole), 7):
        (tmp_path / "torn.npz").write_bytes(whole[:length])
        with pytest.raises(BadInput, match=r"torn\.npz"):
            NpzReader(tmp_path / "torn.npz")


@pytest.mark.parametrize("level", [0, 6])
def test_damage_is_bad_input_or_harmless_but_never_another_number(tmp_path, level):
    whole = write(
        tmp_path / "a.npz", {"labels": ARRAYS["labels"], "floats": ARRAYS["floats"]}, level=level
    ).read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(400):
        broken = bytearray(whole)
        broken[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        (tmp_path / "broken.npz").write_bytes(broken)
        try:
            with NpzReader(tmp_path / "broken.npz") as reader:
                for name in reader.names:
                    read = reader.read(name)
                    assert name not in ARRAYS or np.array_equal(read, ARRAYS[name])
        except BadInput:
            refused += 1
    assert refused > 200, f"only {refused} of 400 flipped bits were seen"


def npy(header, payload=b""):
    text = header.encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + payload


def archive_of(path, content):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", content)
    return path


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            npy("{'descr': '<f8', 'fortran_order': False, 'shape': (9000000000, 99), }"),
            "7128000000000 bytes; the limit",
        ),
        (
            npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", b"cos\nsystem\n"),
            "not that of an array of numbers or text",
        ),
        (npy("{'descr': '<u2', 'fortran_order': False, 'shape': (-1, 4), }"), "not that of"),
        (
            npy("{'descr': '<u2', 'fortran_order': False, 'shape': (4, 4), }", bytes(31)),
            "not the size of the array",
        ),
        (
            npy("{'descr': '<u2', 'fortran_order': False, 'shape': (4, 4), }", bytes(33)),
            "not the size of the array",
        ),
        (npy("__import__('os').abort()"), "not that of"),
        (b"\x93NUMPY\1\0\xff\xff" + b" " * 70_000, "its header claims 65535 bytes"),
        (b"\x93NUMPY\3\0\x10\0\0\0" + b" " * 70, "format 1.0 or 2.0"),
        (npy("{'descr': '<f3', 'fortran_order': False, 'shape': (4, 4), }"), "the dtype <f3"),
        (b"no npy at all", "format 1.0 or 2.0"),
        (b"", "ends early"),
    ],
    ids=[
        "bomb",
        "pickle",
        "negative",
        "short",
        "long",
        "code",
        "long header",
        "version",
        "dtype",
        "text",
        "empty",
    ],
)
def test_an_entry_that_lies_is_refused(tmp_path, content, reason):
    with NpzReader(archive_of(tmp_path / "x.npz", content)) as reader, pytest.raises(BadInput, match=reason):
        reader.read("x")


def test_a_bomb_is_refused_before_it_is_inflated(tmp_path):
    np.savez_compressed(tmp_path / "bomb.npz", x=np.zeros(1 << 25, np.uint8))
    with NpzReader(tmp_path / "bomb.npz", max_bytes=1 << 20) as reader:
        tracemalloc.start()
        with pytest.raises(BadInput, match="33554432 bytes; the limit is 1048576"):
            reader.read("x")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 1 << 20, f"{peak} bytes were held"


def test_an_entry_that_inflates_to_more_than_it_declares_stays_within_its_size(tmp_path):
    content = npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1000,), }", bytes(1000))
    bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
    payload = bomb.compress(content + bytes(1 << 26)) + bomb.flush()
    entry = Entry((payload,), len(content), zlib.crc32(content), 8)
    with NpzWriter(tmp_path / "x.npz") as writer:
        writer.write_entry("x", entry)
    with NpzReader(tmp_path / "x.npz") as reader:
        tracemalloc.start()
        assert not reader.read("x").any()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 1 << 20, f"{peak} bytes were held"


def test_a_header_is_read_without_its_numbers(tmp_path):
    path = write(tmp_path / "a.npz", {"x": np.random.default_rng(0).random((1000, 50))}, level=0)
    content = bytearray(path.read_bytes())
    content[5000:6000] = bytes(1000)
    path.write_bytes(content)
    with NpzReader(path) as reader:
        assert reader.header("x") == ((1000, 50), np.dtype(np.float64))
        with pytest.raises(BadInput, match="checksum"):
            reader.read("x")


def test_what_is_missing_is_named(tmp_path):
    with (
        NpzReader(write(tmp_path / "a.npz", ARRAYS)) as reader,
        pytest.raises(BadInput, match="holds no array 'y'"),
    ):
        reader.read("y")
    with pytest.raises(FileNotFoundError):
        NpzReader(tmp_path / "b.npz")


def test_an_encrypted_entry_is_refused(tmp_path):
    content = bytearray(write(tmp_path / "a.npz", {"x": np.arange(3)}).read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1
    (tmp_path / "a.npz").write_bytes(content)
    with NpzReader(tmp_path / "a.npz") as reader, pytest.raises(BadInput, match="encrypted"):
        reader.read("x")


def test_objects_and_repeated_names_are_not_written(tmp_path):
    with NpzWriter(tmp_path / "a.npz") as writer:
        writer.write("x", np.arange(3))
        with pytest.raises(ValueError, match="written already"):
            writer.write("x", np.arange(3))
        with pytest.raises(ValueError, match="Python objects"):
            writer.write("y", np.array([{}]))
    assert np.load(io.BytesIO((tmp_path / "a.npz").read_bytes())).files == ["x"]
