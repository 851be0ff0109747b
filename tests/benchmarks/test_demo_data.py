"""The demo scenes: where they end up, and what a failure to get them looks like."""

import sys

import pytest

from benchmarks import demo_data
from common.errors import TemporaryFailure


@pytest.fixture
def fetched(monkeypatch):
    """Files that were asked for, in place of a download."""
    asked = []

    def fetch_files(lock, files, folder):
        asked.extend(file.file for file in files)
        return [folder / file.file for file in files]

    monkeypatch.setattr(demo_data, "fetch_files", fetch_files)
    return asked


def test_the_scenes_have_the_layout_of_a_data_root(fetched, tmp_path):
    assert demo_data.scenes(tmp_path) == [tmp_path / "single", tmp_path / "multi"]
    assert fetched == [f"{scene}/cam0{i}.mp4" for scene in ("single", "multi") for i in (1, 2, 3, 4)]


def test_the_reference_comes_only_when_asked_for(fetched, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["demo_data", "--out", str(tmp_path)])
    assert demo_data.main() == 0
    assert not any(file.startswith("reference") for file in fetched)
    assert capsys.readouterr().out.split() == [str(tmp_path / "single"), str(tmp_path / "multi")]
    assert demo_data.reference(tmp_path) == tmp_path / "reference"
    assert {"reference/Calib_qualisys.toml", "reference/Balancing_for_IK.trc"} <= set(fetched)


def test_a_failure_is_one_line_and_an_exit_code(monkeypatch, tmp_path, capsys):
    def fail(*_):
        raise TemporaryFailure("the network is gone")

    monkeypatch.setattr(demo_data, "fetch_files", fail)
    monkeypatch.setattr(sys, "argv", ["demo_data", "--out", str(tmp_path)])
    assert demo_data.main() == 75
    assert capsys.readouterr().err == "TemporaryFailure: the network is gone\n"
