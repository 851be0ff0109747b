import io
from pathlib import Path

import pytest

from common.storage.file_part import FilePart


@pytest.mark.parametrize(("start", "size"), [(0, 10), (3, 4), (8, 10), (10, 5), (12, 5), (0, 0)])
def test_a_part_reads_like_a_file_of_its_bytes(tmp_path: Path, start: int, size: int) -> None:
    content = bytes(range(10))
    (tmp_path / "file").write_bytes(content)
    expected = io.BytesIO(content[start : start + size])
    with FilePart(tmp_path / "file", start, size) as part:
        for _ in range(2):
            assert part.seek(0, io.SEEK_END) == expected.seek(0, io.SEEK_END)
            assert part.seek(0) == expected.seek(0)
            assert [part.read(3), part.tell(), part.read(), part.read(1)] == [
                expected.read(3),
                expected.tell(),
                expected.read(),
                expected.read(1),
            ]


def test_a_closed_part_can_be_closed_again(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    part = FilePart(tmp_path / "file", 0, 1)
    part.close()
    part.close()
