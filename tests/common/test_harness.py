import json
import logging
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from common import fingerprint, harness
from common.artifacts import FRAMES, MASKS, PEOPLE, SCENE, SYNCHRONIZATION
from common.device_names import RanOn
from common.errors import (
    BadInput,
    DiskError,
    ExitCode,
    GhostError,
    InputMissing,
    ModelUnavailable,
    TemporaryFailure,
    Terminated,
    UsageError,
)
from common.harness import Status
from common.manifest import Failure, read_failure, read_manifest
from common.published import Published
from common.stage import NoOptions, Stage, Unit
from common.storage.local import LocalStorage
from common.workspace import Workspace
from tests.sample_stages import CHAIN, DIARY, HEADS, LISTING, MARKS, TOGETHER, Bench

ALL = {"listing", "heads/cam01", "heads/cam02", "marks/cam01", "marks/cam02", "together"}


@pytest.fixture(autouse=True)
def weights(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    digests = {"a-model": "first"}
    monkeypatch.setattr("common.weights.store.digest", digests.__getitem__)
    return digests


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    bench.record(cam01="one\nrest", cam02="two\nrest")
    return bench


@pytest.fixture
def finished(bench: Bench) -> Bench:
    """A bench on which everything is up to date."""
    assert bench.run() == ALL
    return bench


def failure(bench: Bench, stage: str, video: str | None) -> Failure | None:
    return read_failure(bench.output, "take", stage, video)


def test_the_second_run_executes_nothing_and_changes_nothing(finished: Bench) -> None:
    before = finished.files()
    assert finished.run() == set()
    assert finished.files() == before
    assert before["synchronization.json"] == b"cam01: one\ncam02: two"


def test_the_manifest_says_what_made_the_result_and_what_it_cost(finished: Bench) -> None:
    manifest = read_manifest(finished.output, "take", "marks", "cam01")
    assert manifest is not None
    assert [file.key for file in manifest.files] == [
        "cam01/json_data/000.json",
        "cam01/json_data/001.json",
        "cam01/mask_data.npz",
    ]
    assert manifest.options == {"times": 1, "parts": 2, "model": "", "colour": "red"}
    assert manifest.weights == {"a-model": "first"}
    assert manifest.packages == {"numpy": fingerprint.version("numpy"), "scipy": fingerprint.version("scipy")}
    assert list(manifest.inputs) == ["heads/cam01"]
    assert manifest.record.bytes_read == len("one")
    assert manifest.record.bytes_written == len("one") + 2 * len("0 one")
    assert manifest.record.peak_rss > 1e6


def test_the_manifest_names_the_gpu_that_was_used(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    use_two_gpus(monkeypatch)
    record = bench.execute(LISTING).manifest.record
    assert (record.gpu, record.gpu_peak) == ("Current GPU", 3 << 30)
    monkeypatch.delitem(sys.modules, "torch")
    record = bench.execute(LISTING, force=True).manifest.record
    assert (record.gpu, record.gpu_peak) == ("", 0)


def use_two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A torch that knows a current GPU and another one."""
    cuda = SimpleNamespace(
        is_initialized=lambda: True,
        get_device_name=lambda device=None: {None: "Current GPU", "cuda:1": "Second GPU"}[device],
        max_memory_allocated=lambda device=None: {None: 3, "cuda:1": 5}[device] << 30,
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))


@pytest.mark.parametrize(
    ("ran_on", "recorded"),
    [
        (RanOn("cuda:1", "bfloat16"), ("Second GPU", 5 << 30, "cuda", "bfloat16")),
        (RanOn("cpu", "float32"), ("", 0, "cpu", "float32")),
        (RanOn(), ("Current GPU", 3 << 30, "", "")),
    ],
)
def test_the_manifest_says_on_what_the_models_ran_and_in_which_precision(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, ran_on: RanOn, recorded: tuple[object, ...]
) -> None:
    def work(workspace: Workspace, options: NoOptions) -> None:
        workspace.ran_on = ran_on
        LISTING.run(workspace, options)

    use_two_gpus(monkeypatch)
    first = bench.execute(replace(LISTING, run=work)).manifest
    record = first.record
    assert (record.gpu, record.gpu_peak, record.device, record.precision) == recorded
    assert bench.execute(LISTING).manifest == first, "where it ran is no part of the key"
    written = json.loads(bench.output.read("take/_manifests/listing/scene.json") or b"")
    assert (written["record"]["device"], written["record"]["precision"]) == recorded[2:]


def test_manifests_of_ghosts_that_did_not_say_where_they_ran_still_count(bench: Bench) -> None:
    manifest = bench.execute(LISTING).manifest
    key = "take/_manifests/listing/scene.json"
    record = json.loads(bench.output.read(key) or b"")
    for name in ("gpu", "gpu_peak", "device", "precision"):
        del record["record"][name]
    bench.output.write(key, json.dumps(record).encode())
    assert bench.execute(LISTING).status is Status.UP_TO_DATE
    assert read_manifest(bench.output, "take", "listing", None) == manifest


def test_the_manifest_names_the_gpu_that_a_process_of_the_stages_own_has_used(bench: Bench) -> None:
    def work(workspace: Workspace, options: NoOptions) -> None:
        workspace.gpu = ("Another GPU", 2 << 30)
        LISTING.run(workspace, options)

    record = bench.execute(replace(LISTING, run=work)).manifest.record
    assert (record.gpu, record.gpu_peak) == ("Another GPU", 2 << 30)


def test_a_changed_option_runs_what_depends_on_it_again(finished: Bench) -> None:
    finished.options["marks"] = {"times": 2}
    assert finished.run() == {"marks/cam01", "marks/cam02", "together"}
    assert finished.files()["synchronization.json"] == b"cam01: oneone\ncam02: twotwo"


def test_a_changed_recording_runs_its_own_units_and_the_scene_again(finished: Bench) -> None:
    finished.record(cam02="zwei\nrest")
    assert finished.run() == {"listing", "heads/cam02", "marks/cam02", "together"}


def test_equal_outputs_of_a_unit_that_ran_again_wake_no_one_downstream(finished: Bench) -> None:
    finished.record(cam02="two\nanother rest")
    assert finished.run() == {"listing", "heads/cam02", "together"}, "`together` reads scene.json, `marks` does not"


def test_a_new_camera_does_not_run_the_others_again(finished: Bench) -> None:
    finished.record(cam03="three")
    assert finished.run() == {"listing", "heads/cam03", "marks/cam03", "together"}


def test_changed_weights_run_what_uses_them_again(finished: Bench, weights: dict[str, str]) -> None:
    weights["a-model"] = "second"
    assert finished.run() == {"marks/cam01", "marks/cam02"}, "the same masks came out, so `together` has nothing to do"


def test_changed_code_runs_its_stage_again(finished: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    known = fingerprint.of_code
    monkeypatch.setattr(fingerprint, "of_code", lambda stage: "new" if stage == "heads" else known(stage))
    assert finished.run() == {"heads/cam01", "heads/cam02"}


def test_another_version_of_a_package_runs_what_uses_it_again(finished: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    known = fingerprint.version
    monkeypatch.setattr(fingerprint, "version", lambda name: "99" if name == "scipy" else known(name))
    assert finished.run() == {"marks/cam01", "marks/cam02"}


def test_a_model_of_the_users_own_counts_by_its_content_and_not_by_its_place(finished: Bench, tmp_path: Path) -> None:
    first, second = tmp_path / "a" / "model.pt", tmp_path / "b" / "model.pt"
    for path in (first, second):
        path.parent.mkdir()
        path.write_text("weights")
    finished.options["marks"] = {"model": str(first)}
    assert finished.run() == {"marks/cam01", "marks/cam02"}
    manifest = read_manifest(finished.output, "take", "marks", "cam01")
    assert manifest is not None
    assert manifest.weights["model"] == fingerprint.of_file(first)
    assert manifest.options["model"] == "model.pt"
    finished.options["marks"] = {"model": str(second)}
    assert finished.run() == set()
    second.write_text("other weights")
    assert finished.run() == {"marks/cam01", "marks/cam02"}


def test_a_model_of_the_users_own_that_is_gone_is_named(finished: Bench, tmp_path: Path) -> None:
    finished.options["marks"] = {"model": str(tmp_path / "nowhere.pt")}
    with pytest.raises(
        ModelUnavailable, match=r"--model: .*nowhere\.pt' cannot be read: No such file.*\. Ask the lab\."
    ):
        finished.execute(MARKS, "cam01")


def test_a_model_of_the_users_own_that_is_not_named_is_asked_for(finished: Bench) -> None:
    finished.options["marks"] = {"times": 7}
    with pytest.raises(ModelUnavailable, match=r"^--model is not given\. Ask the lab\.$"):
        finished.execute(MARKS, "cam01")


def test_an_option_without_effect_runs_nothing_again(finished: Bench) -> None:
    finished.options["marks"] = {"colour": "blue"}
    assert finished.run() == set()


def test_packages_of_a_choice_count_for_that_choice_alone(finished: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    known = fingerprint.version
    monkeypatch.setattr(fingerprint, "version", lambda name: "99" if name == "torch" else known(name))
    assert finished.run() == set()


@pytest.mark.parametrize(
    "damage", [Path.unlink, lambda path: os.truncate(path, 1), lambda path: path.write_text("longer")]
)
def test_a_file_that_is_gone_or_has_another_size_is_made_again(finished: Bench, damage: object) -> None:
    before = finished.files()
    damage(finished.results / "cam01" / "json_data" / "001.json")  # type: ignore[operator]
    assert finished.run() == {"marks/cam01"}
    assert finished.files() == before


def test_a_folder_in_place_of_a_file_is_no_result(finished: Bench) -> None:
    (finished.results / "report.html").mkdir()
    assert finished.output.size("take/report.html") is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"7", b'{"schema": 1}', b"\xff\xfe", b"[" * 100_000])
def test_a_torn_manifest_means_not_done(finished: Bench, content: bytes) -> None:
    (finished.results / "_manifests" / "marks" / "cam02.json").write_bytes(content)
    assert finished.run() == {"marks/cam02"}


def test_in_a_copy_of_a_scene_under_another_name_nothing_is_done(finished: Bench) -> None:
    shutil.copytree(finished.results, finished.results.with_name("other"))
    assert Published(finished.output, "take").find(SCENE, None) is not None
    assert Published(finished.output, "other").find(SCENE, None) is None


def test_records_of_a_copied_unit_do_not_count_for_another(finished: Bench) -> None:
    manifests = finished.results / "_manifests" / "marks"
    (manifests / "cam02.json").write_bytes((manifests / "cam01.json").read_bytes())
    assert finished.run() == {"marks/cam02"}


def test_a_failure_is_recorded_hides_the_old_result_and_goes_with_the_next_success(finished: Bench) -> None:
    before = finished.files()
    finished.record(cam02="broken\nrest")
    finished.execute(LISTING)
    with pytest.raises(BadInput):
        finished.execute(HEADS, "cam02")
    noted = failure(finished, "heads", "cam02")
    assert noted is not None
    assert (noted.exit_code, noted.message) == (ExitCode.BAD_INPUT, "the recording is broken. Copy it again.")
    published = Published(finished.output, "take")
    assert published.find(FRAMES, "cam02") is None
    assert published.find(MASKS, "cam02") is None, "made from what has failed now"
    assert published.find(MASKS, "cam01") is not None
    assert finished.files()["cam02/mask_data.npz"] == before["cam02/mask_data.npz"], "hidden, not lost"
    finished.execute(TOGETHER)
    assert finished.files()["synchronization.json"] == b"cam01: one\ncam02: nothing"

    finished.record(cam02="two\nrest")
    assert finished.run() == {"listing", "together"}, "what was made from this recording before is still there"
    assert failure(finished, "heads", "cam02") is None
    assert finished.files() == before


def test_what_numpy_counted_can_be_reported(bench: Bench) -> None:
    def count(workspace: Workspace, options: NoOptions) -> None:
        LISTING.run(workspace, options)
        workspace.found["videos"] = np.int64(2)
        workspace.found["mean"] = np.float32(0.5)

    bench.execute(replace(LISTING, run=count))
    manifest = read_manifest(bench.output, "take", "listing", None)
    assert manifest is not None
    assert manifest.found == {"videos": 2, "mean": 0.5}


def test_a_failure_alone_hides_a_result_and_all_that_was_made_from_it(finished: Bench) -> None:
    def fail(workspace: Workspace, options: NoOptions) -> None:
        raise TemporaryFailure("not today")

    with pytest.raises(TemporaryFailure):
        finished.execute(replace(HEADS, run=fail), "cam02", force=True)
    published = Published(finished.output, "take")
    assert published.find(FRAMES, "cam02") is None
    assert published.find(MASKS, "cam02") is None
    assert finished.run() == set(), "the next success shows it again"
    assert Published(finished.output, "take").find(MASKS, "cam02") is not None


def test_a_result_that_was_made_from_something_else_is_not_current(finished: Bench) -> None:
    finished.record(cam02="zwei\nrest")
    finished.execute(LISTING)
    published = Published(finished.output, "take")
    assert published.find(FRAMES, "cam02") is None
    assert published.find(MASKS, "cam02") is None
    assert published.find(MASKS, "cam01") is not None


def test_any_exception_is_recorded_and_raised(bench: Bench) -> None:
    def fail(workspace: Workspace, options: NoOptions) -> None:
        raise ZeroDivisionError("no people")

    with pytest.raises(ZeroDivisionError):
        bench.execute(replace(LISTING, run=fail))
    noted = failure(bench, "listing", None)
    assert noted is not None
    assert (noted.exit_code, noted.message) == (ExitCode.BUG, "no people")
    assert bench.leftovers() == []


def test_being_stopped_is_no_failure(finished: Bench) -> None:
    def stop(workspace: Workspace, options: NoOptions) -> None:
        raise Terminated("stopped")

    with pytest.raises(Terminated):
        finished.execute(replace(LISTING, run=stop), force=True)
    assert failure(finished, "listing", None) is None
    assert finished.run() == set()


def test_an_upstream_result_that_is_missing_is_named(bench: Bench) -> None:
    bench.execute(LISTING)
    with pytest.raises(
        InputMissing, match=r"take/cam01: no current frames/\. Run the stage that writes `frames` first"
    ):
        bench.execute(MARKS, "cam01")


def test_a_mistyped_video_is_refused_with_the_names_there_are_and_leaves_no_trace(finished: Bench) -> None:
    records = sorted(finished.results.rglob("*"))
    with pytest.raises(InputMissing, match="no video 'cam1'; there are cam01, cam02"):
        finished.execute(HEADS, "cam1")
    assert sorted(finished.results.rglob("*")) == records


@pytest.mark.parametrize(("stage", "video"), [(LISTING, "cam01"), (HEADS, None)])
def test_a_video_is_named_exactly_where_a_stage_covers_one(bench: Bench, stage: Stage, video: str | None) -> None:
    with pytest.raises(UsageError, match="--video"):
        bench.task(stage, video)


@pytest.mark.parametrize("key", ["notes.txt", "cam01/notes.txt", "cam02/json_data/000.json", "json_data/000.json"])
def test_a_stage_that_writes_what_it_does_not_declare_is_refused(finished: Bench, key: str) -> None:
    def stray(workspace: Workspace, options: NoOptions) -> None:
        path = workspace.output(PEOPLE).parent.parent / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("stray")

    before = finished.files()
    with pytest.raises(GhostError, match=f"marks wrote {key}, which it does not declare"):
        finished.execute(replace(MARKS, run=stray), "cam01", force=True)
    assert finished.files() == before


def test_a_stage_that_writes_a_link_is_refused(bench: Bench) -> None:
    bench.execute(LISTING)

    def link(workspace: Workspace, options: NoOptions) -> None:
        (workspace.output(FRAMES) / "passwd").symlink_to("/etc/passwd")

    with pytest.raises(GhostError, match="no regular file"):
        bench.execute(replace(HEADS, run=link), "cam01")


def test_files_of_a_former_result_go(finished: Bench) -> None:
    finished.options["marks"] = {"parts": 1}
    finished.run()
    assert [key for key in finished.files() if "cam01/json_data" in key] == ["cam01/json_data/000.json"]


def test_files_that_an_attempt_killed_while_publishing_left_behind_go(finished: Bench) -> None:
    """Without a manifest only the note remembers them; a reader that lists the folder would take them for results."""
    finished.options["marks"] = {"parts": 9}
    finished.run()
    (finished.results / "_manifests" / "marks" / "cam01.json").unlink()
    finished.options["marks"] = {"parts": 1}
    finished.run()
    assert [key for key in finished.files() if key.startswith("cam01/json_data")] == ["cam01/json_data/000.json"]


@pytest.mark.parametrize("ledger", [b"", b"{", b"7", b'{"a": 1}', b"[1, []]", b"\xff"])
def test_a_torn_note_makes_nothing_worse_than_unknown(finished: Bench, ledger: bytes) -> None:
    (finished.results / "_manifests" / "marks" / "cam01.files").write_bytes(ledger)
    finished.options["marks"] = {"parts": 1}
    finished.run()
    assert [key for key in finished.files() if key.startswith("cam01/json_data")] == ["cam01/json_data/000.json"]


def test_results_of_another_program_are_kept_beside_and_mentioned(bench: Bench) -> None:
    """The original ghost used the same places."""
    theirs = {"cam01/json_data/000.json": b"theirs", "cam01/json_data/a/b": b"deep", "cam01/mask_data.npz": b"masks"}
    for key, content in theirs.items():
        (bench.results / key).parent.mkdir(parents=True, exist_ok=True)
        (bench.results / key).write_bytes(content)
    bench.run()
    files = bench.files()
    assert files["cam01/json_data/000.json"] == b"0 one"
    assert files["cam01/mask_data.npz"] == b"one"
    assert "cam01/json_data/a/b" not in files
    kept = {key: content for key, content in files.items() if "before-ghost" in key}
    assert kept == {
        "cam01/json_data.before-ghost/000.json": b"theirs",
        "cam01/json_data.before-ghost/a/b": b"deep",
        "cam01/mask_data.npz.before-ghost": b"masks",
    }
    manifest = read_manifest(bench.output, "take", "marks", "cam01")
    assert manifest is not None
    (warning,) = manifest.warnings
    assert "files that ghost did not write" in warning
    assert "3 of them, such as cam01/" in warning
    assert bench.run() == set()


def test_what_is_set_aside_twice_overwrites_nothing(finished: Bench) -> None:
    folder = finished.results / "cam01" / "json_data"
    for times in (2, 3):
        (folder / "notes.txt").write_text(f"{times}")
        finished.options["marks"] = {"times": times}
        finished.run()
    files = finished.files()
    assert files["cam01/json_data.before-ghost/notes.txt"] == b"2"
    assert files["cam01/json_data.before-ghost-2/notes.txt"] == b"3"


@pytest.mark.parametrize("link", ["cam01", "cam01/json_data", "cam01/json_data/below"])
def test_nothing_is_written_or_removed_through_a_linked_folder(finished: Bench, link: str) -> None:
    folder, elsewhere = finished.results / link, finished.folder / "elsewhere"
    if folder.exists():
        folder.rename(elsewhere)
    else:
        elsewhere.mkdir()
    (elsewhere / "mine.txt").write_text("mine")
    folder.symlink_to(elsewhere)
    before = {path: path.read_bytes() for path in elsewhere.rglob("*") if path.is_file()}
    finished.options["marks"] = {"times": 2}
    with pytest.raises(DiskError, match=f"{folder} is a link to another folder"):
        finished.execute(MARKS, "cam01")
    assert {path: path.read_bytes() for path in elsewhere.rglob("*") if path.is_file()} == before
    assert finished.execute(MARKS, "cam02").status is Status.DONE, "the other videos go on"


def test_a_linked_folder_is_refused_before_the_work(finished: Bench) -> None:
    def work(workspace: Workspace, options: NoOptions) -> None:
        raise AssertionError

    (finished.results / "cam01" / "frames" / "linked").symlink_to(finished.folder)
    with pytest.raises(DiskError, match="is a link"):
        finished.execute(replace(HEADS, run=work), "cam01", force=True)


def test_the_scene_itself_may_be_a_link(bench: Bench) -> None:
    (bench.folder / "large_disk").mkdir()
    bench.results.parent.mkdir()
    bench.results.symlink_to(bench.folder / "large_disk")
    assert bench.run() == ALL
    assert bench.run() == set()


def test_what_other_stages_and_the_user_put_beside_the_results_stays(finished: Bench) -> None:
    (finished.results / "cam01" / "notes.txt").write_text("mine")
    finished.options["marks"] = {"times": 3}
    finished.run()
    assert finished.files()["cam01/notes.txt"] == b"mine"
    assert finished.files()["cam01/frames/head.txt"] == b"one"


def test_force_runs_what_is_up_to_date(finished: Bench) -> None:
    assert finished.execute(LISTING, force=True).status is Status.DONE


def test_inputs_that_change_while_the_stage_runs_are_noticed(finished: Bench) -> None:
    def slow(workspace: Workspace, options: NoOptions) -> None:
        finished.record(cam01="changed meanwhile")
        finished.execute(LISTING)
        workspace.output(FRAMES)

    with pytest.raises(TemporaryFailure, match="its inputs changed while it ran"):
        finished.execute(replace(HEADS, run=slow), "cam01", force=True)


def test_an_input_that_looks_damaged_because_it_was_published_anew_is_worth_another_attempt(finished: Bench) -> None:
    def read_half(workspace: Workspace, options: NoOptions) -> None:
        finished.record(cam01="changed meanwhile")
        finished.execute(LISTING)
        raise BadInput("half of one, half of the other")

    with pytest.raises(TemporaryFailure, match="its inputs changed while it ran"):
        finished.execute(replace(HEADS, run=read_half), "cam01", force=True)


def test_an_input_that_is_damaged_stays_bad_input(finished: Bench) -> None:
    def read(workspace: Workspace, options: NoOptions) -> None:
        raise BadInput("damaged")

    with pytest.raises(BadInput, match="damaged"):
        finished.execute(replace(HEADS, run=read), "cam01", force=True)


def test_a_second_attempt_that_comes_late_leaves_the_first_result_alone(bench: Bench) -> None:
    def overtaken(workspace: Workspace, options: NoOptions) -> None:
        LISTING.run(workspace, options)
        assert bench.execute(LISTING).status is Status.DONE

    outcome = bench.execute(replace(LISTING, run=overtaken))
    assert outcome.status is Status.OTHER_WAS_FIRST
    assert outcome.manifest == read_manifest(bench.output, "take", "listing", None)


def test_scene_json_that_somebody_edited_is_not_relied_on(finished: Bench) -> None:
    path = finished.results / "scene.json"
    path.write_text(path.read_text().replace("30.0", "25.0"))
    with pytest.raises(InputMissing, match=r"no current scene\.json"):
        Published(finished.output, "take").load_scene()


def test_a_recording_that_was_replaced_after_listing_is_not_taken_for_the_old_one(finished: Bench) -> None:
    finished.record(cam01="eno\nrest")  # the same size
    finished.options["heads"] = {}
    with pytest.raises(BadInput, match=r"cam01\.mp4 is not the file that ingest saw\. Run ingest again"):
        finished.execute(HEADS, "cam01", force=True)


def test_history_makes_the_diary_depend_on_every_record(finished: Bench) -> None:
    assert finished.execute(DIARY).status is Status.DONE
    assert finished.execute(DIARY).status is Status.UP_TO_DATE
    finished.options["marks"] = {"times": 2}
    finished.execute(MARKS, "cam01")
    assert finished.execute(DIARY).status is Status.DONE


def test_the_diary_is_written_when_nothing_else_was(bench: Bench) -> None:
    (bench.data / "cam01.mp4").unlink()
    (bench.data / "cam02.mp4").unlink()
    with pytest.raises(InputMissing):
        bench.execute(LISTING)
    bench.execute(DIARY)
    assert b"no videos" in bench.files()["report.html"]


def test_a_stray_file_among_the_records_disturbs_no_one(finished: Bench) -> None:
    (finished.results / "_manifests" / ".DS_Store").write_text("")
    (finished.results / "_manifests" / "notes.json").write_text("")
    assert finished.execute(DIARY).status is Status.DONE


def test_videos_may_have_the_names_of_records(bench: Bench) -> None:
    bench.record(scene="a", failed="b", **{"cam01.lock": "c", "cam01.json": "d", "attempts": "e", "listing": "f"})
    assert len(bench.run()) == 2 + 2 * 8
    assert bench.run() == set()


def test_results_may_go_to_the_folder_of_the_recordings(bench: Bench) -> None:
    bench.output, bench.results = LocalStorage(bench.folder / "data"), bench.data
    assert bench.run() == ALL
    assert bench.run() == set()
    assert bench.files()["cam01.mp4"] == b"one\nrest"


def test_an_output_root_that_is_a_file_is_a_disk_error_in_one_line(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    (bench.folder / "out").write_text("I was here first")
    with caplog.at_level(logging.INFO, logger="ghost"), pytest.raises(DiskError, match=str(bench.folder / "out")):
        bench.execute(LISTING)
    assert caplog.messages == []
    assert (bench.folder / "out").read_text() == "I was here first"


def test_a_dangling_link_concerns_its_own_video_alone(bench: Bench) -> None:
    (bench.data / "cam03.mp4").symlink_to("gone.mp4")
    planned = harness.plan(bench.task(LISTING))
    assert planned.inputs["recordings"]["cam03.mp4"] == "unreadable: InputMissing"


def test_a_linked_recording_is_as_good_as_a_copied_one(bench: Bench) -> None:
    elsewhere = bench.folder / "elsewhere.mp4"
    (bench.data / "cam02.mp4").rename(elsewhere)
    (bench.data / "cam02.mp4").symlink_to(elsewhere)
    assert bench.run() == ALL


def test_keys_do_not_depend_on_where_the_data_lie_or_when_it_ran(finished: Bench, tmp_path: Path) -> None:
    other = Bench(tmp_path / "moved")
    other.record(cam01="one\nrest", cam02="two\nrest")
    other.run()
    for stage in CHAIN:
        video = None if stage.unit is Unit.SCENE else "cam01"
        here, there = (read_manifest(b.output, "take", stage.name, video) for b in (finished, other))
        assert here is not None
        assert there is not None
        assert here.key == there.key
        assert here.files == there.files


def test_no_record_names_a_place_of_this_machine(finished: Bench) -> None:
    for path in (finished.results / "_manifests").rglob("*.json"):
        assert str(finished.folder) not in path.read_text(), path


def test_a_manifest_that_names_itself_as_its_input_is_not_current(finished: Bench) -> None:
    path = finished.results / "_manifests" / "together" / "scene.json"
    fields = json.loads(path.read_text())
    fields["inputs"]["together/scene"] = {"synchronization.json": fields["files"][0]["sha256"]}
    path.write_text(json.dumps(fields))
    assert Published(finished.output, "take").find(SYNCHRONIZATION, None) is None


def test_one_view_reads_every_manifest_once(finished: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[str] = []
    read = LocalStorage.read

    def counted(self: LocalStorage, key: str) -> bytes | None:
        content = read(self, key)
        if content is not None:
            reads.append(key)
        return content

    monkeypatch.setattr(LocalStorage, "read", counted)
    view = Published(finished.output, "take")
    for stage, video in [
        (LISTING, None),
        (HEADS, "cam01"),
        (MARKS, "cam01"),
        (HEADS, "cam02"),
        (MARKS, "cam02"),
        (TOGETHER, None),
    ]:
        task = finished.task(stage, video)
        assert harness.finished(task, harness.plan(task, view)) is not None
    assert len(reads) == len(set(reads)) == 7, "six manifests and scene.json"
