"""A disk that refuses: exit 74, one line that names the place, and the earlier result as it was."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.faults.slow_stage import LIMIT
from tests.faults.unit import SlowUnit

KILOBYTES = 20


def check_refused(unit: SlowUnit, code: int, errors: str) -> None:
    assert code == 74, errors
    lines = errors.splitlines()
    assert len(lines) == 1, errors
    assert "DiskError: " in lines[0]
    assert str(unit.root) in lines[0]


@pytest.mark.parametrize("limit", [10, 1000, 1000 * KILOBYTES - 1])
def test_a_limit_on_file_size_is_reported_and_the_earlier_result_stays(tmp_path: Path, limit: int) -> None:
    unit = SlowUnit(tmp_path)
    assert unit.run(content="one", kilobytes=KILOBYTES)[0] == 0
    before = unit.files()
    code, errors = unit.run(content="two", kilobytes=KILOBYTES, environment={LIMIT: str(limit)})
    check_refused(unit, code, errors)
    assert "File too large" in errors
    assert "GB free" in errors
    assert unit.promised() == unit.files() == before
    assert unit.leftovers() in ([], ["slow/failed/cam01.json"])


def test_a_manifest_that_does_not_fit_leaves_the_earlier_result(tmp_path: Path) -> None:
    """Small files and many of them: only the manifest is larger than the limit."""
    unit = SlowUnit(tmp_path)
    assert unit.run(content="one", files=60, kilobytes=1)[0] == 0
    before = unit.files()
    code, errors = unit.run(content="two", files=60, kilobytes=1, environment={LIMIT: "5000"})
    check_refused(unit, code, errors)
    assert unit.promised() == unit.files() == before


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("mount") is None, reason="mounting a small disk needs root")
def test_a_full_disk_is_reported_and_the_earlier_result_stays(tmp_path: Path) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(tmp_path)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.decode().strip()}")
    try:
        unit = SlowUnit(tmp_path)
        assert unit.run(content="one")[0] == 0
        before = unit.files()
        code, errors = unit.run(content="two", files=40)
        check_refused(unit, code, errors)
        assert "No space left on device (0.0 GB free)" in errors
        assert unit.promised() == unit.files() == before
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.parametrize("place", ["a_file", "a_file/below", "/proc/ghost"])
def test_an_output_root_that_cannot_be_made_is_reported_in_one_line(tmp_path: Path, place: str) -> None:
    (tmp_path / "a_file").write_text("mine")
    unit = SlowUnit(tmp_path / place)
    code, errors = unit.run()
    check_refused(unit, code, errors)
    assert (tmp_path / "a_file").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_output_root_without_permission_is_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    unit = SlowUnit(tmp_path / "closed")
    check_refused(unit, *unit.run())
