"""Models of the Hub: fetched once, pinned, verified, whole or not at all, also by several at once."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub.errors import OfflineModeIsEnabled

from common.errors import BadInput, ConfigurationError, DiskError, ModelUnavailable, TemporaryFailure
from common.weights import hub as client
from common.weights import lock
from common.weights.hub_fetch import fetch_models
from common.weights.hub_lock import HubFile, write_model
from tests.common.weights.hub_server import TOKEN, Hub, hub, sha256

__all__ = ["hub"]

LION = {"config.json": b'{"mane": true}', "model.safetensors": b"roar" * 5000, "parts/tail.json": b'{"tuft": 1}'}
OLD_LION = {**LION, "model.safetensors": b"purr" * 5000}


def files_in(folder: Path) -> dict[str, bytes]:
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: content for name, content in found.items() if name != ".lock"}


def models_in(root: Path) -> dict[str, bytes]:
    return files_in(root / "models") if (root / "models").exists() else {}


def pins_in(root: Path) -> dict[str, dict[str, object]]:
    return json.loads((root / "pins.json").read_text())["models"]


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client waits a second before it continues a download, and continues it at whole pieces of 10 MB."""
    monkeypatch.setattr("huggingface_hub.file_download.time", SimpleNamespace(sleep=lambda seconds: None))
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)


def test_a_pinned_model_arrives_in_the_layout_of_its_repository_and_nothing_else_does(hub: Hub, tmp_path: Path) -> None:
    hub.add("lion", LION)
    lion = hub.model("lion")
    hub.add("lion", {**LION, "pytorch_model.bin": b"pickle", "modeling.py": b"print()"})
    hub.repositories["owner/lion"].commits[str(lion.revision)].update({"pytorch_model.bin": b"pickle"})
    (folder,) = fetch_models([lion], tmp_path)
    assert folder == tmp_path / "models" / "lion"
    assert files_in(tmp_path) == {f"models/lion/{path}": content for path, content in LION.items()}


def test_what_is_there_is_not_asked_for_again(hub: Hub, tmp_path: Path) -> None:
    hub.add("lion", LION)
    fetch_models([hub.model("lion")], tmp_path)
    hub.requests.clear()
    fetch_models([hub.model("lion")], tmp_path)
    assert hub.requests == []


def test_only_what_is_missing_or_damaged_is_downloaded_again(hub: Hub, tmp_path: Path) -> None:
    hub.add("lion", LION)
    (folder,) = fetch_models([hub.model("lion")], tmp_path)
    (folder / "model.safetensors").write_bytes(LION["model.safetensors"].replace(b"r", b"R"))
    (folder / "parts/tail.json").unlink()
    hub.requests.clear()
    fetch_models([hub.model("lion")], tmp_path)
    assert {path.rpartition("/")[2] for path in hub.downloads()} == {"model.safetensors", "tail.json"}
    assert models_in(tmp_path) == {f"lion/{path}": content for path, content in LION.items()}


def test_the_first_fetch_records_what_the_lock_leaves_open(hub: Hub, tmp_path: Path) -> None:
    repository = hub.add("lion", LION)
    fetch_models([hub.model("lion", pinned=False, revision=False)], tmp_path)
    pin = pins_in(tmp_path)["lion"]
    assert (pin["repository"], pin["revision"]) == ("owner/lion", repository.head)
    assert pin["files"] == {path: {"bytes": len(content), "sha256": sha256(content)} for path, content in LION.items()}
    assert len(str(pin["recorded"])) == len("2026-11-21")


def test_a_recorded_version_stays_when_the_repository_moves_on(hub: Hub, tmp_path: Path) -> None:
    hub.add("lion", OLD_LION)
    model = hub.model("lion", pinned=False, revision=False)
    fetch_models([model], tmp_path / "one")
    hub.add("lion", LION)
    (tmp_path / "two").mkdir()
    (tmp_path / "two/pins.json").write_bytes((tmp_path / "one/pins.json").read_bytes())
    fetch_models([model], tmp_path / "two")
    fetch_models([model], tmp_path / "three")
    assert models_in(tmp_path / "two") == {f"lion/{path}": content for path, content in OLD_LION.items()}
    assert models_in(tmp_path / "three") == {f"lion/{path}": content for path, content in LION.items()}
    assert pins_in(tmp_path / "one") == pins_in(tmp_path / "two")


@pytest.mark.parametrize("path", ["model.safetensors", "config.json"])
def test_content_that_changed_under_a_recorded_revision_is_refused(hub: Hub, tmp_path: Path, path: str) -> None:
    repository = hub.add("lion", LION)
    model = hub.model("lion", pinned=False, revision=False)
    fetch_models([model], tmp_path)
    (tmp_path / "models/lion" / path).unlink()
    repository.commits[repository.head][path] = LION[path].swapcase()  # of the same size
    with pytest.raises(ModelUnavailable, match=rf"{path} has sha256 .*pinned here on 20.*remove lion from pins\.json"):
        fetch_models([model], tmp_path)
    assert f"lion/{path}" not in models_in(tmp_path)


@pytest.mark.parametrize("path", ["model.safetensors", "config.json"])
def test_content_that_differs_from_the_lock_is_refused(hub: Hub, tmp_path: Path, path: str) -> None:
    hub.add("lion", LION)
    model = hub.model("lion")
    model = replace(model, files={**model.files, path: HubFile(len(LION[path]), "0" * 64)})
    with pytest.raises(ModelUnavailable, match=rf"{path} has sha256 .* not 0000.*\(pinned by ghost\).*Report it"):
        fetch_models([model], tmp_path)
    assert f"lion/{path}" not in models_in(tmp_path)
    if path == "model.safetensors":  # of large files the Hub states the digest
        assert hub.downloads() == []


def test_another_size_than_the_locks_is_refused_before_anything_is_downloaded(hub: Hub, tmp_path: Path) -> None:
    hub.add("lion", LION)
    model = hub.model("lion")
    model = replace(model, files={**model.files, "config.json": HubFile(5, "0" * 64)})
    with pytest.raises(ModelUnavailable, match=r"config\.json has 14 bytes at the Hub, not 5"):
        fetch_models([model], tmp_path)
    assert hub.downloads() == []


def test_the_lock_stands_above_the_record(hub: Hub, tmp_path: Path) -> None:
    hub.add("lion", OLD_LION)
    fetch_models([hub.model("lion", pinned=False, revision=False)], tmp_path)
    old = pins_in(tmp_path)["lion"]["revision"]
    hub.add("lion", LION)
    fetch_models([hub.model("lion", pinned=False)], tmp_path)  # the lock has the new revision, and no digests
    assert models_in(tmp_path) == {f"lion/{path}": content for path, content in LION.items()}
    assert pins_in(tmp_path)["lion"]["revision"] != old


@pytest.mark.parametrize("path", ["model.safetensors", "config.json"])
def test_a_file_that_comes_damaged_is_not_used(hub: Hub, tmp_path: Path, path: str) -> None:
    repository = hub.add("lion", LION)
    repository.served[path] = LION[path].swapcase()
    for pinned in (True, False):
        with pytest.raises(TemporaryFailure, match=rf"{path} came damaged.*Nothing of it was used\. Run again"):
            fetch_models([hub.model("lion", pinned=pinned)], tmp_path)
    assert f"lion/{path}" not in models_in(tmp_path)
    assert not (tmp_path / "pins.json").exists()
    assert not list(tmp_path.glob(".fetch-*"))
    repository.served.clear()
    fetch_models([hub.model("lion")], tmp_path)


def test_a_file_that_the_repository_lacks_is_named(hub: Hub, tmp_path: Path) -> None:
    hub.add("lion", LION)
    model = hub.model("lion", pinned=False)
    with pytest.raises(ModelUnavailable, match=r"owner/lion at .*: wings\.json is not there at the Hub"):
        fetch_models([replace(model, files={**model.files, "wings.json": None})], tmp_path)


def test_a_download_whose_connection_is_cut_is_continued(hub: Hub, tmp_path: Path, no_pauses: None) -> None:
    repository = hub.add("lion", LION)
    repository.cuts["model.safetensors"] = 7000
    fetch_models([hub.model("lion")], tmp_path)
    assert models_in(tmp_path)["lion/model.safetensors"] == LION["model.safetensors"]
    ranges = [headers.get("Range") for _, path, headers in hub.requests if "/cdn/" in path and "safetensors" in path]
    assert ranges == [None, "bytes=7000-"], f"asked for {ranges}"


def test_files_that_came_before_a_failure_are_kept(hub: Hub, tmp_path: Path) -> None:
    repository = hub.add("lion", LION)
    repository.served["parts/tail.json"] = b'{"tuft": 2}'
    with pytest.raises(TemporaryFailure):
        fetch_models([hub.model("lion", pinned=False)], tmp_path)
    repository.served.clear()
    hub.requests.clear()
    fetch_models([hub.model("lion", pinned=False)], tmp_path)
    assert [path.rpartition("/")[2] for path in hub.downloads()] == ["tail.json"]
    assert set(pins_in(tmp_path)["lion"]["files"]) == set(LION)


def test_a_folder_that_the_user_has_copied_is_taken_without_a_network(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add("lion", LION)
    for path, content in LION.items():
        (tmp_path / "models/lion" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "models/lion" / path).write_bytes(content)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    fetch_models([hub.model("lion")], tmp_path)
    assert hub.requests == []


def test_offline_nothing_is_asked_and_what_is_missing_is_said(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add("lion", LION)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelUnavailable, match=r"missing: config\.json, .*HF_HUB_OFFLINE.*copy models/lion and pins"):
        fetch_models([hub.model("lion")], tmp_path)
    with pytest.raises(ModelUnavailable, match=r"not all of its files are pinned.*copy models/lion and pins\.json"):
        fetch_models([hub.model("lion", pinned=False)], tmp_path)
    assert hub.requests == []
    assert models_in(tmp_path) == {}


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"TRANSFORMERS_OFFLINE": "1"}, "unset TRANSFORMERS_OFFLINE and run again"),
        ({"HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "true"}, "unset TRANSFORMERS_OFFLINE and run again"),
        ({"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}, "unset HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE and run"),
    ],
)
def test_the_variables_that_forbid_to_ask_are_the_ones_that_are_named(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], named: str
) -> None:
    hub.add("lion", LION)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ModelUnavailable, match=named) as error:
        fetch_models([hub.model("lion")], tmp_path)
    assert "weights fetch" not in str(error.value), "which is what was just run"
    refused = client._explain(OfflineModeIsEnabled("offline"), hub.model("lion"))
    assert str(refused).endswith(f"Unset {client.forbidden_by()}.")


def test_a_gated_model_says_how_to_get_access(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add("lion", LION, tokens=(TOKEN,))
    with pytest.raises(ModelUnavailable, match=r"is gated.*\(401\).*licence: Zoo License.*export HF_TOKEN"):
        fetch_models([hub.model("lion")], tmp_path)
    monkeypatch.setenv("HF_TOKEN", "hf_somebody-else")
    with pytest.raises(ModelUnavailable, match=r"token in HF_TOKEN has no access yet \(403\)"):
        fetch_models([hub.model("lion")], tmp_path)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    fetch_models([hub.model("lion")], tmp_path)
    assert models_in(tmp_path) == {f"lion/{path}": content for path, content in LION.items()}


def test_the_token_is_sent_to_the_hub_and_told_to_nobody(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    repository = hub.add("lion", LION, tokens=(TOKEN,))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    told = []
    with caplog.at_level(logging.DEBUG):
        fetch_models([hub.model("lion", pinned=False)], tmp_path)
        repository.tokens = ("hf_another",)
        (tmp_path / "models/lion/config.json").unlink()
        with pytest.raises(ModelUnavailable) as refused:
            fetch_models([hub.model("lion", pinned=False)], tmp_path)
        told.append(str(refused.value))
    trusted = ["/cdn/" not in path for _, path, headers in hub.requests if TOKEN in str(headers)]
    assert trusted, "it was sent"
    assert all(trusted), "it was sent to the storage, which is another host"
    told += [record.getMessage() for record in caplog.records]
    told += [content.decode("latin-1") for content in files_in(tmp_path).values()]
    assert not [text for text in told if TOKEN in text]


def test_no_token_of_a_file_is_used(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add("lion", LION)
    (tmp_path / "token").write_text("hf_from-a-file")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    fetch_models([hub.model("lion")], tmp_path / "out")
    assert not [headers for *_, headers in hub.requests if "authorization" in {name.lower() for name in headers}]


def test_a_repository_or_a_revision_that_is_gone_is_named(hub: Hub, tmp_path: Path) -> None:
    hub.add("lion", LION)
    lion = hub.model("lion")
    with pytest.raises(ModelUnavailable, match=r"owner/lion at 0000.*not found at the Hub"):
        fetch_models([replace(lion, revision="0" * 40)], tmp_path)
    hub.repositories.clear()
    with pytest.raises(ModelUnavailable, match=r"owner/lion at .*not found at the Hub.*Copy its folder"):
        fetch_models([lion], tmp_path)


@pytest.mark.parametrize(
    ("status", "error"),
    [(503, TemporaryFailure), (429, TemporaryFailure), (401, ModelUnavailable), (418, ModelUnavailable)],
)
def test_what_the_hub_answers_decides_whether_to_try_again(
    hub: Hub, tmp_path: Path, status: int, error: type[Exception]
) -> None:
    hub.add("lion", LION)
    hub.status = status
    with pytest.raises(error, match=str(status)):
        fetch_models([hub.model("lion")], tmp_path)


def test_no_connection_is_a_temporary_failure(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add("lion", LION)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(TemporaryFailure, match=r"owner/lion at .*Check the network, then run again"):
        fetch_models([hub.model("lion")], tmp_path)


def test_an_endpoint_that_is_no_address_is_a_configuration_error(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add("lion", LION)
    monkeypatch.setenv("HF_ENDPOINT", "nowhere")
    with pytest.raises(ConfigurationError, match="Check HF_ENDPOINT"):
        fetch_models([hub.model("lion")], tmp_path)


def test_too_little_room_is_said_before_the_download(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add("lion", LION)
    monkeypatch.setattr("common.weights.hub_version.shutil.disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(DiskError, match=r"lion needs 0\.00 GB, and 0\.00 GB are free"):
        fetch_models([hub.model("lion")], tmp_path)
    assert hub.downloads() == []


def test_a_disk_that_fills_up_meanwhile_is_a_disk_error(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add("lion", LION)

    def fill(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("huggingface_hub.file_download.http_get", fill)
    with pytest.raises(DiskError, match="No space left"):
        fetch_models([hub.model("lion")], tmp_path)
    assert not list(tmp_path.glob(".fetch-*"))


def test_a_file_that_would_change_what_is_loaded_has_to_be_moved_away(hub: Hub, tmp_path: Path) -> None:
    hub.add("lion", LION)
    (tmp_path / "models/lion").mkdir(parents=True)
    (tmp_path / "models/lion/adapter_config.json").write_text("{}")
    (tmp_path / "models/lion/README.md").write_text("A lion.")
    with pytest.raises(ModelUnavailable, match=r"not of this model, move away: adapter_config\.json\."):
        fetch_models([hub.model("lion")], tmp_path)


def test_a_record_that_cannot_be_read_is_named_and_left_alone(hub: Hub, tmp_path: Path) -> None:
    hub.add("lion", LION)
    (tmp_path / "pins.json").write_text("{")
    with pytest.raises(BadInput, match=r"pins\.json: not a record of pinned models"):
        fetch_models([hub.model("lion", pinned=False)], tmp_path)
    assert (tmp_path / "pins.json").read_text() == "{"


def test_the_records_of_two_models_stand_side_by_side(hub: Hub, tmp_path: Path) -> None:
    hub.add("lion", LION)
    hub.add("bear", OLD_LION)
    fetch_models([hub.model("lion", pinned=False)], tmp_path)
    fetch_models([hub.model("bear", pinned=False)], tmp_path)
    assert set(pins_in(tmp_path)) == {"bear", "lion"}


def test_of_two_processes_that_fetch_at_once_one_downloads_and_both_get_all(hub: Hub, tmp_path: Path) -> None:
    hub.add("lion", LION)
    entry = write_model(hub.model("lion", pinned=False, revision=False))
    (tmp_path / "lock.json").write_text(json.dumps({"format": 1, "archives": {}, "files": [], "models": [entry]}))
    program = (
        "import sys; from pathlib import Path\n"
        "from common.weights.hub_fetch import fetch_models; from common.weights.lock import load\n"
        "(folder,) = fetch_models(load(Path(sys.argv[1])).models, Path(sys.argv[2]))\n"
        "print((folder / 'model.safetensors').stat().st_size)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "lock.json"), str(tmp_path / "out")]
    checkout = Path(lock.__file__).parents[2]
    both = [
        subprocess.Popen(command, cwd=checkout, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    ends = [(*process.communicate(), process.returncode) for process in both]
    assert [(out, code) for out, _, code in ends] == [("20000\n", 0)] * 2, ends
    assert len(hub.downloads()) == len(LION)


def test_progress_is_logged(hub: Hub, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    hub.add("lion", LION)
    with caplog.at_level(logging.INFO, logger="ghost.weights"):
        fetch_models([hub.model("lion", pinned=False)], tmp_path)
    assert "fetching owner/lion at" in caplog.text
    assert f"{tmp_path / 'models/lion/model.safetensors'}: verified" in caplog.text
    assert f"recorded in {tmp_path / 'pins.json'}" in caplog.text
