from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from common.errors import BadInput, DiskError, InputMissing, TemporaryFailure, UsageError
from common.storage.local import LocalStorage
from workflows import cli


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    root = tmp_path / "recordings"
    for scene in ("kitchen", "garden", "attic"):
        (root / scene).mkdir(parents=True)
        (root / scene / "cam01.mp4").write_bytes(b"not looked into here")
    (root / "notes").mkdir()
    return root


def test_without_a_choice_all_folders_with_videos_are_scenes_in_order(recordings: Path):
    chosen = cli.choose_scenes(LocalStorage(recordings), wanted=(), first=None)
    assert chosen.accepted == ("attic", "garden", "kitchen")


def test_slice_takes_the_first_scenes(recordings: Path):
    assert cli.choose_scenes(LocalStorage(recordings), wanted=(), first=2).accepted == ("attic", "garden")


def test_chosen_scenes_keep_their_order_and_come_once(recordings: Path):
    chosen = cli.choose_scenes(LocalStorage(recordings), wanted=("kitchen", "attic", "kitchen"), first=None)
    assert chosen.accepted == ("kitchen", "attic")


@pytest.mark.parametrize("name", ["..", "../up", "a b", "", "-x", "a/b", "$(id)", "x" * 64])
def test_a_scene_asked_for_by_a_name_that_is_not_accepted_is_a_usage_error(recordings: Path, name: str):
    with pytest.raises(UsageError, match="scene name"):
        cli.choose_scenes(LocalStorage(recordings), wanted=(name,), first=None)


def test_a_folder_with_a_bad_name_does_not_stop_the_other_scenes(recordings: Path):
    (recordings / "my scene").mkdir()
    (recordings / "my scene" / "cam01.mp4").write_bytes(b"")
    chosen = cli.choose_scenes(LocalStorage(recordings), wanted=(), first=None)
    assert chosen.accepted == ("attic", "garden", "kitchen")
    assert len(chosen.refused) == 1
    assert "'my scene'" in chosen.refused[0]


def test_scenes_that_differ_only_in_case_do_not_stop_the_other_scenes(recordings: Path):
    for name in ("Kit", "kit"):
        (recordings / name).mkdir()
        (recordings / name / "cam01.mp4").write_bytes(b"")
    chosen = cli.choose_scenes(LocalStorage(recordings), wanted=(), first=None)
    assert chosen.accepted == ("attic", "garden", "kitchen")
    assert len(chosen.refused) == 2
    for name, reason in zip(("Kit", "kit"), chosen.refused, strict=True):
        assert f"scene name '{name}' is not accepted" in reason
        assert "only in the case of letters" in reason
    assert cli.choose_scenes(LocalStorage(recordings), wanted=("kit",), first=None).accepted == ("kit",)
    with pytest.raises(BadInput, match="only in the case"):
        cli.choose_scenes(LocalStorage(recordings), wanted=("kit", "Kit"), first=None)


def test_videos_lying_directly_in_the_data_root_are_explained(recordings: Path):
    with pytest.raises(InputMissing, match="--scene kitchen"):
        cli.choose_scenes(LocalStorage(recordings / "kitchen"), wanted=(), first=None)


def test_an_empty_data_root_is_explained(tmp_path: Path):
    with pytest.raises(InputMissing, match="nothing in it"):
        cli.choose_scenes(LocalStorage(tmp_path), wanted=(), first=None)


def test_an_output_root_that_is_a_file_is_refused_before_any_work(tmp_path: Path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(DiskError, match="taken cannot be written to: ") as error:
        cli.check_writable(LocalStorage(tmp_path / "taken"))
    assert "\n" not in str(error.value)


def test_an_output_root_that_fails_for_the_moment_is_worth_another_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def stale(*_: object) -> None:
        raise TemporaryFailure("the server does not answer")

    monkeypatch.setattr(LocalStorage, "write", stale)
    with pytest.raises(TemporaryFailure, match="cannot be written to"):
        cli.check_writable(LocalStorage(tmp_path))


def test_help_names_every_option_of_the_original_and_of_the_stages():
    text = CliRunner().invoke(cli.ghost, ["run", "--help"]).output
    for option in (
        "--scene",
        "--slice",
        "--detection-step",
        "--sam3d-step",
        "--smooth",
        "--vis",
        "--device",
        "--jobs",
        "--backend",
    ):
        assert option in text, f"{option} is missing from ghost run --help"


def parsed(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, dict[str, object], str]:
    """Exit code, the values that reach the stages, and what was printed; nothing is run."""
    seen: dict[str, object] = {}

    def stop(_data: object, **_: object) -> cli.Scenes:
        raise UsageError("far enough")

    def note(*values: object) -> dict[str, object]:
        seen.update(original(*values))
        return dict(seen)

    original = cli._stage_options
    monkeypatch.setattr(cli, "_stage_options", note)
    monkeypatch.setattr(cli, "choose_scenes", stop)
    result = CliRunner().invoke(cli.ghost, ["run", *arguments])
    return result.exit_code, seen, result.output + repr(result.exception)


def test_the_originals_spelling_with_underscores_is_accepted(monkeypatch: pytest.MonkeyPatch):
    _, seen, output = parsed(
        monkeypatch, "--data_root", "in", "--output_dir", "out", "--detection_step", "25", "--sam3d_step", "2",
        "--smooth", "--sam2_checkpoint", "x.pt", "--model_cfg", "y.yaml", "--gdino_model_id", "z",
        "--box_threshold", "0.3", "--sam3d_hf_repo", "w", "--device", "cpu", "--vis",
    )  # fmt: skip
    assert "far enough" in output
    assert seen == {"detection_step": 25, "sam3d_step": 2, "smooth": True, "device": "cpu"}


def test_a_backend_can_be_given_for_one_stage(monkeypatch: pytest.MonkeyPatch):
    _, seen, _ = parsed(monkeypatch, "in", "out", "--backend", "fake", "--backend", "body=embedded")
    assert seen == {"backend": "fake", "body.backend": "embedded"}


def test_a_data_root_given_twice_or_not_at_all_is_a_usage_error():
    for arguments in (["in", "out", "--data-root", "in"], ["--output-dir", "out"]):
        result = CliRunner().invoke(cli.ghost, ["run", *arguments])
        assert result.exit_code == 2, f"{arguments}: {result.output}"  # click's code; the harness turns it into 64
        assert "DATA_ROOT once" in result.output


@pytest.mark.parametrize(("cores", "gib", "jobs"), [(2, 24.0, 2), (64, 8.0, 8), (4, 0.5, 1)])
def test_as_many_processes_as_cores_unless_memory_is_short(cores: int, gib: float, jobs: int):
    assert cli.default_jobs(cores, gib) == jobs
