"""The stage from bodies on disk to its four results: what they say agrees, and the options do what they say."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.simulation.cameras import LEVELS, observe
from benchmarks.simulation.motion import simulate_motion
from common.artifacts import BODIES, clock_table, identities, synchronization
from common.artifacts import bodies as bodies_artifact
from common.artifacts.bodies import PersonBody
from common.errors import ExitCode, InputMissing, UsageError
from common.published import Published
from common.workspace import Workspace
from stages.sync.publish import slowest_frame
from stages.sync.stage import STAGE
from tests.stages.report.scenes import RATE, SceneMaker

FRAMES = 480
STARTS = {"early": 0.0, "late": 0.5, "same": 0.0}


def body_of(track) -> PersonBody:
    """What the body stage would publish of a simulated track; without 2D keypoints."""
    n = len(track.times)
    points = track.keypoints.astype(np.float32)
    seen = np.isfinite(points).all(axis=-1)
    return PersonBody(
        person=1,
        frame_indices=np.arange(n, dtype=np.int32),
        pred_keypoints_3d=points,
        pred_keypoints_2d=np.full((n, 70, 2), np.nan, np.float32),
        pred_cam_t=np.tile(np.array([0, 0, 4], np.float32), (n, 1)),
        focal_length=np.full(n, 160, np.float32),
        bbox=np.zeros((n, 4), np.float32),
        times=track.times,
        confidence=np.where(seen, track.confidence, 0).astype(np.float32),
        principal_point=np.tile(np.array([80, 48], np.float32), (n, 1)),
    )


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> SceneMaker:
    """Three recordings of one person, one of which began half a second later; a fourth has no bodies."""
    maker = SceneMaker(tmp_path_factory.mktemp("scene"))
    pts = np.arange(FRAMES) / RATE
    motion = simulate_motion(20, np.random.default_rng(0))
    for video in (*STARTS, "without"):
        maker.add_video(video, times=pts if video != "without" else pts[:10])
    maker.ingest()
    for number, (video, start) in enumerate(STARTS.items()):
        maker.frames(video)
        track = observe(motion, 1.0 + start + pts, pts, LEVELS["easy"], np.random.default_rng(number))
        folder = maker.root / BODIES.key(video)
        folder.mkdir(parents=True)
        bodies_artifact.save_person(folder, body_of(track))
        bodies_artifact.save_summary(folder, video, {1: body_of(track)})
        maker.publish("body", video, [BODIES.key(video)])
    return maker


def run(maker: SceneMaker, folder: Path, **options: object) -> Workspace:
    folder.mkdir()
    workspace = Workspace(Published(maker.output, maker.name), folder, stage="sync", video=None, data=None)
    STAGE.run(workspace, STAGE.make_options(options))
    return workspace


def test_the_results_agree_with_each_other_and_with_the_truth(scene, tmp_path):
    workspace = run(scene, tmp_path / "out")
    found = synchronization.load(tmp_path / "out" / "synchronization.json")
    for video, start in STARTS.items():
        camera = found.cameras[video]
        assert camera.start_time == pytest.approx(start, abs=0.02)
        assert camera.first_frame == pytest.approx(camera.start_time)
        assert camera.component == 0
    assert found.cameras["without"].start_time is None
    assert found.options["max_offset"] == 60.0
    assert found.expectation is None
    table = clock_table.load(tmp_path / "out" / "synchronization.csv")
    assert sorted(table.frames) == sorted(found.cameras)
    row = int(np.searchsorted(table.scene_time, 5.01))
    for video, camera in found.cameras.items():
        if camera.start_time is None:
            assert set(table.frames[video].tolist()) == {clock_table.NOT_RECORDING}
            continue
        shown = table.frames[video][row]
        assert shown == int((table.scene_time[row] - camera.start_time + 1e-6) * RATE), video
    svg = (tmp_path / "out" / "synchronization.svg").read_text(encoding="utf-8")
    assert svg.startswith("<svg")
    assert all(video in svg for video in found.cameras)
    assert len(set(identities.load(tmp_path / "out" / "cross_video_id_mapping.json")["early"].values())) == 1
    assert any("no bodies: without" in warning for warning in workspace.warnings)
    assert workspace.found["ok"] == 3


def test_the_same_input_gives_the_same_bytes(scene, tmp_path):
    run(scene, tmp_path / "one")
    run(scene, tmp_path / "two")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_a_camera_that_is_not_aligned_is_found_told_and_no_failure(scene, tmp_path):
    workspace = run(scene, tmp_path / "out", expect="aligned")
    checked = synchronization.load(tmp_path / "out" / "synchronization.json").expectation
    assert {v: c.verdict for v, c in checked.cameras.items()} == {
        "early": "aligned", "same": "aligned", "late": "off", "without": "cannot tell",
    }  # fmt: skip
    assert checked.cameras["late"].off == pytest.approx(0.5, abs=0.02)
    assert checked.tolerance == pytest.approx(1 / RATE, rel=1e-3)
    assert (workspace.found["aligned"], workspace.found["off"], workspace.found["cannot tell"]) == (2, 1, 1)
    assert [w for w in workspace.warnings if w.startswith("late: expected aligned, but off by +0.5")], (
        workspace.warnings
    )
    assert "Expected all cameras to be aligned" in (tmp_path / "out" / "synchronization.svg").read_text()


def test_a_tolerance_of_ones_own_decides(scene, tmp_path):
    run(scene, tmp_path / "out", expect="aligned", expected_tolerance=0.7)
    checked = synchronization.load(tmp_path / "out" / "synchronization.json").expectation
    assert checked.tolerance == 0.7
    assert checked.cameras["late"].verdict == "aligned"


def test_the_first_method_can_be_asked_for_and_is_named(scene, tmp_path):
    run(scene, tmp_path / "out", method="dtw", max_offset=2.0)
    found = synchronization.load(tmp_path / "out" / "synchronization.json")
    assert "warping" in found.method
    assert "ok" not in {camera.verdict for camera in found.cameras.values()}


def test_all_cameras_can_be_asked_for(scene, tmp_path):
    with pytest.raises(InputMissing, match="without: no bodies"):
        run(scene, tmp_path / "out", cameras="all")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("motion,audio,calibration", "motion,audio,calibration"),
        ("audio, motion", "motion,audio"),
        ("calibration,motion,motion", "motion,calibration"),
        ("motion", "motion"),
    ],
)
def test_evidence_is_a_list_whose_order_does_not_matter(given, kept):
    assert STAGE.make_options({"evidence": given}).evidence == kept


@pytest.mark.parametrize("given", ["", "motion,", "smell", "motion;audio", "Motion"])
def test_a_list_of_evidence_that_cannot_be_meant_is_a_usage_error(given):
    with pytest.raises(UsageError, match="--evidence: expected a comma list of motion, audio, calibration") as caught:
        STAGE.make_options({"evidence": given})
    assert caught.value.exit_code == ExitCode.USAGE


def test_the_first_method_without_motion_is_a_usage_error():
    with pytest.raises(UsageError, match="dtw looks at motion alone"):
        STAGE.make_options({"method": "dtw", "evidence": "audio"})


def test_without_a_time_table_the_tolerance_is_a_frame_of_30_fps():
    assert slowest_frame({}) == pytest.approx(1 / 30)


def test_the_document_explains_its_numbers(scene, tmp_path):
    run(scene, tmp_path / "out")
    document = json.loads((tmp_path / "out" / "synchronization.json").read_text())
    assert document["meaning"]["clock"].startswith("scene time = start_time + rate * pts")
    assert document["components"][0].keys() == STARTS.keys()
