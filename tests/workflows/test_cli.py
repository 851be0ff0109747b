from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from common import gpus
from common.errors import BadInput, DiskError, InputMissing, ModelUnavailable, TemporaryFailure, UsageError
from common.storage.local import LocalStorage
from workflows import cli, local
from workflows.pipeline import STAGES


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
        "--box_threshold", "0.3", "--sam3d_hf_repo", "w", "--vis",
    )  # fmt: skip
    assert "far enough" in output
    assert seen == {"detection_step": 25, "sam3d_step": 2, "smooth": True, "box_threshold": 0.3}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["--backend", "fake"], {"segment.backend": "fake", "body.backend": "fake"}),
        (["--backend", "sam3"], {"segment.backend": "sam3"}),
        (["--backend", "fake", "--backend", "body=embedded"], {"segment.backend": "fake", "body.backend": "embedded"}),
        (["--backend", "body=embedded", "--backend", "fake"], {"segment.backend": "fake", "body.backend": "embedded"}),
        (["--body-backend", "embedded", "--backend", "fake"], {"segment.backend": "fake", "body.backend": "embedded"}),
        (["--segment_backend=gdino-sam2"], {"segment.backend": "gdino-sam2"}),
    ],
    ids=" ".join,
)
def test_a_backend_is_for_all_stages_that_have_it_and_what_names_a_stage_wins(
    monkeypatch: pytest.MonkeyPatch, given: list[str], expected: dict[str, str]
):
    assert parsed(monkeypatch, "in", "out", *given)[1] == expected


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("nothing", "expected one of embedded, gdino-sam2, sam3"),
        ("sync=fake", "expected one of segment, body before '=', got 'sync'"),
        ("body=sam3", "got 'sam3'"),
    ],
)
def test_a_backend_that_no_stage_has_is_a_usage_error(monkeypatch: pytest.MonkeyPatch, given: str, said: str):
    _, seen, output = parsed(monkeypatch, "in", "out", "--backend", given)
    assert seen == {}
    assert "UsageError" in output
    assert said in output


ON_GPU = {"segment.backend": "gdino-sam2"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry each time that somebody looks for GPUs; there are two."""
    calls: list[int] = []

    def look() -> tuple[str, ...]:
        calls.append(1)
        return ("GPU-a", "GPU-b")

    monkeypatch.setattr(gpus, "visible_gpus", look)
    for variable in ("CUDA_VISIBLE_DEVICES", "GHOST_REQUIRE_GPU"):
        monkeypatch.setenv(variable, "")  # so that it is put back, whatever it was
        monkeypatch.delenv(variable)
    return calls


@pytest.mark.parametrize(
    "options",
    [{}, {"segment.backend": "fake", "body.backend": "fake"}, {**ON_GPU, "device": "cpu"}],
    ids=str,
)
def test_nobody_looks_for_gpus_where_no_unit_would_use_one(asked: list[int], options: dict[str, str]):
    """A broken GPU makes nvidia-smi hang, which is no business of a run on the CPU."""
    assert cli._gpus(None, STAGES, options) == ()
    assert asked == []
    assert cli._gpus(2, STAGES, options) == ("GPU-a", "GPU-b"), "asked for"
    assert asked == [1]


def test_a_run_with_models_for_gpus_takes_those_that_there_are(asked: list[int]):
    assert cli._gpus(None, STAGES, ON_GPU) == ("GPU-a", "GPU-b")
    assert "GHOST_REQUIRE_GPU" not in os.environ, "without a GPU they run on the CPU, and say so"
    assert cli._gpus(1, STAGES, ON_GPU) == ("GPU-a",)
    assert os.environ["GHOST_REQUIRE_GPU"] == "1", "whoever asks for a GPU does not want the CPU"
    with pytest.raises(UsageError, match="--gpus 3: 2 can be seen here"):
        cli._gpus(3, STAGES, ON_GPU)
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_a_run_without_gpus_hides_those_that_torch_would_find(asked: list[int]):
    assert cli._gpus(0, STAGES, ON_GPU) == ()
    assert asked == []
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""
    assert os.environ["GHOST_REQUIRE_GPU"] == "0"


def test_a_run_whose_models_are_not_there_ends_before_its_first_unit(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("GHOST_WEIGHTS", str(tmp_path / "none"))
    monkeypatch.setattr(local.LocalRun, "run", lambda self: pytest.fail("started"))
    result = CliRunner().invoke(cli.ghost, ["run", str(recordings), str(tmp_path / "out"), "--body-backend=fake"])
    assert isinstance(result.exception, ModelUnavailable)
    assert result.exception.exit_code == 69
    assert "ghost weights fetch --backend embedded" in str(result.exception)
    assert not (tmp_path / "out" / "kitchen").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--segment-backend=gdino-sam2", "--prompt="), "names nothing to look for"),
        (("--body-backend=nlf", "--vertices=mhr"), "SMPL only"),
    ],
)
def test_options_that_no_unit_could_use_end_a_run_before_anything_else(
    recordings: Path, tmp_path: Path, given: tuple[str, ...], message: str
):
    out = ["run", str(recordings), str(tmp_path / "out"), *given]
    for command in (out, ["weights", "check", *given], ["weights", "for-run", *given]):
        result = CliRunner().invoke(cli.ghost, command)
        assert isinstance(result.exception, UsageError), command
        assert result.exception.exit_code == 64
        assert message in str(result.exception)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps"])
def test_a_device_that_no_backend_of_the_run_could_use_ends_it_before_anything_else(
    recordings: Path, tmp_path: Path, device: str, monkeypatch: pytest.MonkeyPatch
):
    out = ["run", str(recordings), str(tmp_path / "out"), "--backend=fake", f"--device={device}"]
    result = CliRunner().invoke(cli.ghost, out)
    assert isinstance(result.exception, UsageError)
    assert "--segment-backend gdino-sam2|sam3, --body-backend sam3d-body|nlf" in str(result.exception)
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(local.LocalRun, "run", lambda self: None)
    monkeypatch.setenv("GHOST_WEIGHTS", str(tmp_path / "none"))
    result = CliRunner().invoke(cli.ghost, [*out[:3], "--segment-backend=sam3", f"--device={device}"])
    assert not isinstance(result.exception, UsageError)  # body stays on the CPU, where its backend belongs


def test_the_weights_can_be_checked_for_the_options_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GHOST_WEIGHTS", "elsewhere")
    check = ["weights", "check", f"--weights={tmp_path}", "--body-backend=fake"]
    assert CliRunner().invoke(cli.ghost, [*check, "--segment-backend=fake"]).exit_code == 0
    result = CliRunner().invoke(cli.ghost, [*check, "--segment-backend=sam3"])
    assert isinstance(result.exception, ModelUnavailable)
    assert f"sam3 is not in {tmp_path}" in str(result.exception)


def test_a_data_root_given_twice_or_not_at_all_is_a_usage_error():
    for arguments in (["in", "out", "--data-root", "in"], ["--output-dir", "out"]):
        result = CliRunner().invoke(cli.ghost, ["run", *arguments])
        assert result.exit_code == 2, f"{arguments}: {result.output}"  # click's code; the harness turns it into 64
        assert "DATA_ROOT once" in result.output
