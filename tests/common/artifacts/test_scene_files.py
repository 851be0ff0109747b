"""scene.json, synchronization.json, cross_video_id_mapping.json: read as written, or refused by field."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from common.artifacts import identities, scene, synchronization
from common.artifacts.expectation import CameraCheck, Expectation
from common.artifacts.synchronization import CameraStart, Contribution, PairOffset, Synchronization
from common.errors import BadInput

MATRIX = ((1680.0, 0.0, 540.0), (0.0, 1680.0, 960.0), (0.0, 0.0, 1.0))
SCENE = scene.Scene(
    "take",
    {
        "cam01": scene.SceneVideo("cam01.mp4", 10, "abc", 1920, 1080, 29.97, 3.0, "h264", "exo", MATRIX),
        "cam02": scene.SceneVideo("sub/cam02.mp4", 0, "", problem="cam02.mp4: the file is empty."),
    },
)
PARTS = (Contribution("motion", 0.8, None, 0.02, 9.5, 0.001), Contribution("audio", 0.0, None, None, used=False))
POSE = ((0.0, -1.0, 0.0, 0.1), (1.0, 0.0, 0.0, 0.2), (0.0, 0.0, 1.0, 3.0), (0.0, 0.0, 0.0, 1.0))
CALIBRATED = replace(SCENE.videos["cam01"], distortion=(0.1, 0.2, 0.0, 0.0), camera_T_world=POSE)
STARTS = Synchronization(
    scene="take",
    cameras={
        "cam01": CameraStart(0.0, 0.01, "ok", 9.5, first_frame=-0.02, component=0, evidence=PARTS, cycle_residual=0.01),
        "cam02": CameraStart(
            1.25, None, "uncertain", 3.0, ("little motion",), ("record longer",), 1.0001, 2e-5, 1.25, None, 0, True
        ),
        "cam03": CameraStart(None, None, "unknown", reasons=("nobody in view",)),
        "cam04": CameraStart(None, None, "unknown", component=1),
        "cam05": CameraStart(None, None, "unknown", component=1),
    },
    pairs=(PairOffset("cam01", "cam02", 1.25, 0.02, 0.8, 9.5, 4.0, 0.0, ((1, 2),), PARTS),),
    method="correlation",
    evidence=("motion", "audio"),
    components=({"cam01": 0.0, "cam02": 1.25}, {"cam04": 0.5, "cam05": 0.0}),
    expectation=Expectation(
        "aligned",
        0.03,
        "off",
        "cam02 off",
        {
            "cam01": CameraCheck("aligned", 0.0, 0.01, 0.0, "in time"),
            "cam02": CameraCheck("off", 1.25, 0.01, 100.0, "off by 1.25 s"),
            **{video: CameraCheck("cannot tell", None, None, 0.0, "?") for video in ("cam03", "cam04", "cam05")},
        },
    ),
    options={"max_offset": 60.0, "evidence": "motion,audio"},
)
PEOPLE = {"cam01": {1: 1, 2: 2}, "cam02": {1: 2}, "cam03": {}}


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    scene.save(tmp_path / "scene.json", SCENE)
    assert scene.load(tmp_path / "scene.json") == SCENE
    synchronization.save(tmp_path / "synchronization.json", STARTS)
    assert synchronization.load(tmp_path / "synchronization.json") == STARTS
    identities.save(tmp_path / "cross_video_id_mapping.json", PEOPLE)
    assert identities.load(tmp_path / "cross_video_id_mapping.json") == PEOPLE


def test_a_calibrated_camera_is_saved_and_loaded(tmp_path: Path) -> None:
    scene.save(tmp_path / "scene.json", scene.Scene("take", {"cam01": CALIBRATED}))
    loaded = scene.load(tmp_path / "scene.json").videos["cam01"]
    assert loaded == CALIBRATED
    camera = loaded.static_camera()
    assert camera is not None
    assert camera.intrinsics.tolist() == [list(row) for row in MATRIX]
    assert camera.camera_T_world.tolist() == [list(row) for row in POSE]
    assert camera.distortion == (0.1, 0.2, 0.0, 0.0)
    assert replace(loaded, camera_T_world=None).static_camera() is None, "nobody knows where it stands"


def test_a_scene_of_before_cameras_had_poses_is_loaded(tmp_path: Path) -> None:
    scene.save(tmp_path / "scene.json", SCENE)
    document = json.loads((tmp_path / "scene.json").read_text())
    for video in document["videos"].values():
        del video["distortion"], video["camera_T_world"]
    (tmp_path / "scene.json").write_text(json.dumps(document))
    assert scene.load(tmp_path / "scene.json") == SCENE


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("videos.cam01.role", "ego", r"videos\.cam01\.camera_T_world: expected none for an ego camera"),
        ("videos.cam01.distortion", [1, 2], r"videos\.cam01\.distortion: expected 4, 5 or 8 numbers"),
        ("videos.cam01.camera_T_world", 1, r"videos\.cam01\.camera_T_world: expected 3x4 or 4x4 numbers, got 1"),
        ("videos.cam01.camera_T_world.0.1", 1, r"videos\.cam01\.camera_T_world: .* a mirror image"),
        ("videos.cam01.camera_T_world.0.0", 0.5, r"videos\.cam01\.camera_T_world: .* off orthonormal"),
    ],
)
def test_a_calibration_that_breaks_its_contract_is_refused(tmp_path: Path, path: str, value: Any, message: str) -> None:
    calibrated = scene.Scene("take", {"cam01": CALIBRATED})
    check(scene.validate, lambda file: scene.save(file, calibrated), tmp_path, path, value, message)


def test_identities_have_the_form_that_the_original_wrote(tmp_path: Path) -> None:
    identities.save(tmp_path / "m.json", PEOPLE)
    assert json.loads((tmp_path / "m.json").read_text()) == {"cam01": {"1": 1, "2": 2}, "cam02": {"1": 2}, "cam03": {}}


def change(path: str, value: Any) -> Callable[[Any], Any]:
    """Sets (or, given `...`, deletes) what lies at a path like "cameras.cam01.start_time"; "" is the whole."""

    def changed(document: Any) -> Any:
        if not path:
            return value
        place, parts = document, [int(part) if part.isdecimal() else part for part in path.split(".")]
        for part in parts[:-1]:
            place = place[part]
        if value is ...:
            del place[parts[-1]]
        else:
            place[parts[-1]] = value
        return document

    return changed


def check(
    load: Callable[[Path], object], save: Callable[[Path], None], tmp_path: Path, path: str, value: Any, message: str
) -> None:
    file = tmp_path / "file.json"
    save(file)
    document = json.loads(file.read_text())
    load(file)
    file.write_text(json.dumps(change(path, value)(copy.deepcopy(document))))
    with pytest.raises(BadInput, match=message) as caught:
        load(file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("", [], "schema: expected 1"),
        ("schema", 2, "schema: expected 1, got 2"),
        ("videos", [], "expected a string `scene` and an object `videos`"),
        ("videos", {"../x": {}}, r"videos: expected ids that can be file names, got '\.\./x'"),
        ("videos.cam01", 7, "videos.cam01: expected an object, got int"),
        ("videos.cam01.source", ..., r"videos\.cam01: .*source"),
        ("videos.cam01.colour", 1, r"videos\.cam01: .*colour"),
        ("videos.cam01.source", "../../etc/passwd", r"videos\.cam01\.source: expected a path below"),
        ("videos.cam01.source", "/etc/passwd", r"videos\.cam01\.source: expected a path below"),
        ("videos.cam01.source", None, r"videos\.cam01\.source: expected str, got None"),
        ("videos.cam01.bytes", "10", r"videos\.cam01\.bytes: expected int, got '10'"),
        ("videos.cam01.role", "drone", r"videos\.cam01\.role: expected one of .*, got 'drone'"),
        ("videos.cam01.width", 0, r"videos\.cam01\.width: expected a positive number, got 0"),
        ("videos.cam01.rate", None, r"videos\.cam01\.rate: expected a positive number, got None"),
        ("videos.cam01.rate", float("nan"), r"videos\.cam01\.rate: expected a positive number, got nan"),
        ("videos.cam01.height", True, r"videos\.cam01\.height: expected a positive number, got True"),
        ("videos.cam01.intrinsics", 5, r"videos\.cam01\.intrinsics: expected 3x3 numbers, got 5"),
        ("videos.cam01.intrinsics.0", [1, 2], r"videos\.cam01\.intrinsics: expected 3x3 numbers"),
        ("videos.cam01.intrinsics.0.0", None, r"videos\.cam01\.intrinsics: expected 3x3 numbers"),
    ],
)
def test_a_scene_that_breaks_its_contract_is_refused(tmp_path: Path, path: str, value: Any, message: str) -> None:
    check(scene.validate, lambda file: scene.save(file, SCENE), tmp_path, path, value, message)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    for load in (scene.load, synchronization.load, identities.load):
        with pytest.raises(BadInput, match="JSON"):
            load(tmp_path / "x.json")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("", [], "expected an object, got list"),
        ("schema", None, "schema: expected 2, got None"),
        ("schema", 1, "schema: expected 2, got 1. Run the sync stage again"),
        ("evidence", ["smell"], r"evidence: expected one of .*, got 'smell'"),
        ("components", {}, "components: expected list"),
        ("options", None, "options: expected dict, got None"),
        ("components.0", [], r"components\.0: expected an object, got \[\]"),
        ("components.0.cam01", 0.1, r"components\.0\.cam01: expected its start_time 0\.0, got 0\.1"),
        ("components.1.cam05", 0.1, r"components\.1: expected the earliest start to be 0, got 0\.1"),
        ("components.1.cam01", 0.0, r"components\.1: expected cameras of the scene, each once, got 'cam01'"),
        (
            "components.1.cam05",
            ...,
            r"components\.1: expected the earliest start|expected cam05 in component 1, got None",
        ),
        ("cameras.cam01.component", 1, r"components: expected cam01 in component 1, got 0"),
        ("cameras.cam01.rate", 7, r"cameras\.cam01\.rate: expected a number from 0\.5 to 2, got 7"),
        ("cameras.cam01.rate", None, r"cameras\.cam01\.rate: expected a number"),
        ("cameras.cam01.mirrored", 1, r"cameras\.cam01\.mirrored: expected true or false, got 1"),
        ("cameras.cam01.rate_interval", -1, r"cameras\.cam01\.rate_interval: expected a number from 0"),
        ("cameras.cam01.first_frame", "x", r"cameras\.cam01\.first_frame: expected a number"),
        ("cameras.cam01.evidence", 3, r"cameras\.cam01\.evidence: expected a list, got 3"),
        ("cameras.cam01.evidence.0.kind", "luck", r"cameras\.cam01\.evidence\.0\.kind: expected one of"),
        ("cameras.cam01.evidence.1.weight", 1.5, r"cameras\.cam01\.evidence\.1\.weight: expected a number from 0 to 1"),
        ("pairs.0.evidence.0.offset", "x", r"pairs\.0\.evidence\.0\.offset: expected a number or null"),
        ("pairs.0.interval", -1, r"pairs\.0\.interval: expected a number from 0"),
        ("expectation", 1, r"expectation: expected an object, got 1"),
        ("expectation.verdict", "fine", r"expectation\.verdict: expected one of .*, got 'fine'"),
        ("expectation.tolerance", None, r"expectation\.tolerance: expected a number from 0, got None"),
        ("expectation.cameras.cam01.verdict", "good", r"expectation\.cameras\.cam01\.verdict: expected one of"),
        ("expectation.cameras.cam01", ..., r"expectation\.cameras: expected \['cam01'"),
        ("cameras", [], r"cameras: expected dict, got \[\]"),
        ("pairs", ..., "pairs: expected list, got None"),
        ("method", 1, "method: expected str, got 1"),
        ("cameras.cam01", 1, r"cameras\.cam01: "),
        ("cameras.cam01.verdict", ..., r"cameras\.cam01: .*verdict"),
        ("cameras.cam01.verdict", "sure", r"cameras\.cam01\.verdict: expected one of .*, got 'sure'"),
        ("cameras.cam01.verdict", "unknown", r"cameras\.cam01\.start_time: 0\.0 does not go with verdict 'unknown'"),
        ("cameras.cam03.verdict", "ok", r"cameras\.cam03\.start_time: None does not go with verdict 'ok'"),
        ("cameras.cam02.start_time", -1, r"cameras\.cam02\.start_time: expected a number from 0 or null, got -1"),
        ("cameras.cam02.start_time", "1", r"cameras\.cam02\.start_time: expected a number"),
        ("cameras.cam01.start_time", 0.5, "expected the earliest start_time to be 0, got 0.5"),
        ("cameras.cam01.interval", -0.1, r"cameras\.cam01\.interval: expected a number from 0"),
        ("cameras.cam02.reasons", "text", r"cameras\.cam02\.reasons: expected a list of texts"),
        ("cameras.cam02.advice", [1], r"cameras\.cam02\.advice: expected a list of texts"),
        ("pairs.0.first", "cam09", r"pairs\.0\.first: expected one of cam01, .*, cam05, got 'cam09'"),
        ("pairs.0.peak", 1.5, r"pairs\.0\.peak: expected a number from -1\.001 to 1\.001, got 1\.5"),
        ("pairs.0.peak", None, r"pairs\.0\.peak: expected a number"),
        ("pairs.0.overlap", -1, r"pairs\.0\.overlap: expected a number from 0"),
        ("pairs.0.residual", "x", r"pairs\.0\.residual: expected a number or null, got 'x'"),
        ("pairs.0.people", [[1]], r"pairs\.0\.people: expected pairs of local ids"),
        ("pairs.0.extra", 1, r"pairs\.0: .*extra"),
    ],
)
def test_start_times_that_break_their_contract_are_refused(tmp_path: Path, path: str, value: Any, message: str) -> None:
    check(synchronization.validate, lambda file: synchronization.save(file, STARTS), tmp_path, path, value, message)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("", [], "expected an object, got list"),
        ("cam01", [], "cam01: expected an object, got list"),
        ("cam01", {"one": 1}, "cam01: expected {local id: id from 1}, got {'one': 1}"),
        ("cam01", {"01": 1}, "cam01: expected {local id"),
        ("cam01", {"0": 1}, "cam01: expected {local id"),
        ("cam01", {"٣": 1}, "cam01: expected {local id"),
        ("cam01", {"1": 0}, "cam01: expected {local id"),
        ("cam01", {"1": True}, "cam01: expected {local id"),
    ],
)
def test_identities_that_break_their_contract_are_refused(tmp_path: Path, path: str, value: Any, message: str) -> None:
    check(identities.validate, lambda file: identities.save(file, PEOPLE), tmp_path, path, value, message)


def test_numbers_that_json_does_not_know_are_not_written(tmp_path: Path) -> None:
    videos = {"cam01": replace(SCENE.videos["cam01"], rate=float("nan"))}
    with pytest.raises(ValueError, match="Out of range"):
        scene.save(tmp_path / "scene.json", scene.Scene("take", videos))
