"""The stage from masks on disk to bodies on disk, with SAM 3D Body whose official code is a stand-in."""

import dataclasses
import platform

import numpy as np
import pytest

from common import harness
from common.artifacts import bodies as bodies_artifact
from common.artifacts.bodies import load_person
from common.errors import GhostError, ModelUnavailable
from common.harness import Status
from common.manifest import read_manifest
from common.storage.local import LocalStorage
from stages.body import framewise
from stages.body.stage import STAGE as BODY
from stages.body.stage import Options
from stages.frames.stage import STAGE as FRAMES
from stages.ingest.stage import STAGE as INGEST
from stages.segment.backends.fake import FakeSegmenter
from stages.segment.stage import STAGE as SEGMENT
from tests.media_zoo import run_ffmpeg
from tests.stages.body.backends.sam3d_standin import diary, write_checkout, write_weights

RATE = 30


class Unit:
    """A scene with one video of 20 frames, segmented by the fake backend, whose bodies are to be estimated."""

    def __init__(self, folder):
        self.folder = folder
        self.output, self.data = LocalStorage(folder / "out"), LocalStorage(folder / "data")
        (folder / "data" / "take").mkdir(parents=True)
        run_ffmpeg(
            "-f", "lavfi", "-i", f"testsrc=size=160x120:rate={RATE}:duration=0.66", "-c:v", "libx264",
            "-preset", "ultrafast", "-pix_fmt", "yuv420p", folder / "data" / "take" / "cam01.mp4",
        )  # fmt: skip
        for stage, video, values in (
            (INGEST, None, {}), (FRAMES, "cam01", {}), (SEGMENT, "cam01", {"backend": "fake"}),
        ):  # fmt: skip
            harness.execute(self.task(stage, video, stage.make_options(values)))

    def task(self, stage, video, options):
        return harness.Task(stage, self.output, "take", video, options, self.data)

    def estimate(self, *, step=1, force=False, **options):
        stage = dataclasses.replace(BODY, weights=lambda options: ())
        asked = Options(backend="sam3d-body", sam3d_step=step, **options)
        return harness.execute(self.task(stage, "cam01", asked), force=force)


@pytest.fixture
def unit(tmp_path, monkeypatch):
    monkeypatch.setenv("STANDIN_GPUS", "1")
    weights = write_weights(tmp_path / "weights")
    monkeypatch.setattr("common.weights.store.folder", lambda name: weights)
    return Unit(tmp_path)


def test_bodies_meshes_and_looks_are_published_under_the_names_of_the_original(unit, monkeypatch):
    monkeypatch.setattr(framewise, "CHUNK_FRAMES", 5)
    checkout = write_checkout(unit.folder / "checkout", crooked_at=3)
    outcome = unit.estimate(sam3d_path=str(checkout), vertices="mhr", step=2)
    assert outcome.status is Status.DONE
    folder = unit.folder / "out/take/cam01/body_data"
    bodies_artifact.validate(folder)
    people = bodies_artifact.load(folder)
    assert people
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["body_params_summary.json", *(f"person_{person}.npz" for person in people)]
    ), "nothing of what lay there in the meantime"
    for person in people:
        with np.load(folder / f"person_{person}.npz") as archive:
            shapes = {name: (archive[name].shape[1:], archive[name].dtype.name) for name in archive.files}
        assert shapes["pred_vertices"] == ((18439, 3), "float16")
        assert shapes["body_pose_params"] == ((133,), "float32")
        assert {"hand_pose_params", "shape_params", "scale_params", "global_rot", "focal_length", "bbox"} < set(shapes)
        frames = load_person(folder / f"person_{person}.npz").frame_indices
        assert (frames % 2 == 0).all()
        assert 4 not in frames, "the third frame's bodies contradict themselves"
    rejected = len(people)
    warning = f"cam01: sam3d-body: {rejected} bodies in single frames are left out: {rejected} 2D and 3D"
    assert any(text.startswith(warning) for text in outcome.manifest.warnings), outcome.manifest.warnings
    assert outcome.manifest.counts["sam-3d-body-dinov3"] >= 10
    assert outcome.manifest.found["reprojection_px"] == 0
    assert len(outcome.manifest.found["model"]) == 12
    assert outcome.manifest.found["environment"] == f"Python {platform.python_version()}, torch 0.0"
    assert (outcome.manifest.record.gpu, outcome.manifest.record.gpu_peak) == ("GPU 0 of the stand-in", 5 << 30)
    assert (outcome.manifest.record.device, outcome.manifest.record.precision) == ("cuda", "")
    assert not (unit.folder / "out/take/_partial").exists()
    assert not any("_partial" in file.key for file in outcome.manifest.files)


@pytest.mark.parametrize(
    ("names", "bodies", "said"),
    [
        ({1: "red person", 2: "dancer"}, {1, 2}, 0),
        ({1: "woman in white", 2: "bicycle"}, {1}, 0),
        ({1: "sledge", 2: "bicycle"}, set(), 1),
    ],
)
def test_whoever_segment_calls_a_person_in_any_words_has_a_body_and_that_nobody_has_is_said(
    tmp_path, monkeypatch, names, bodies, said
):
    segment = FakeSegmenter.segment

    def renamed(self, frames):
        for one in segment(self, frames):
            called = [dataclasses.replace(person, class_name=names[person.id]) for person in one.tracked]
            yield dataclasses.replace(one, tracked=tuple(called))

    monkeypatch.setattr(FakeSegmenter, "segment", renamed)
    unit = Unit(tmp_path)
    outcome = harness.execute(unit.task(BODY, "cam01", Options(backend="fake")))
    assert bodies_artifact.load(tmp_path / "out/take/cam01/body_data").keys() == bodies
    segmented = read_manifest(unit.output, "take", "segment", "cam01")
    assert segmented.found["people"] == len(bodies)
    for manifest in (segmented, outcome.manifest):
        assert sum("1 x 'bicycle', 1 x 'sledge', and no person" in text for text in manifest.warnings) == said


def test_a_process_that_dies_leaves_its_chunks_to_the_next_attempt(unit, monkeypatch):
    monkeypatch.setattr(framewise, "CHUNK_FRAMES", 5)
    checkout = write_checkout(unit.folder / "checkout", dies_at=13, of_gpu=True)
    with pytest.raises(ModelUnavailable, match="CUDA error"):
        unit.estimate(sam3d_path=str(checkout))
    assert len(unit.output.occupied("take/_partial/")) == 2
    first = len(diary(unit.folder)) - 1
    outcome = unit.estimate(sam3d_path=str(checkout))  # which dies at its 13th frame again, and does not get so far
    assert outcome.status is Status.DONE
    both = len(diary(unit.folder)) - 2
    assert (first, both) == (13, 20 + 3), f"{both - 20} of 20 frames were estimated twice, with chunks of 5"


def test_in_mode_full_bodies_are_published_too(unit):
    checkout = write_checkout(unit.folder / "checkout")
    outcome = unit.estimate(sam3d_path=str(checkout), sam3d_mode="full")
    assert outcome.manifest.found["bodies"] >= 20
    assert not [text for text in outcome.manifest.warnings if "left out" in text]


def test_what_is_forced_begins_from_the_beginning(unit, monkeypatch):
    monkeypatch.setattr(framewise, "CHUNK_FRAMES", 5)
    checkout = write_checkout(unit.folder / "checkout", dies_at=13)
    with pytest.raises(GhostError, match="Segmentation fault"):
        unit.estimate(sam3d_path=str(checkout))
    assert len(unit.output.occupied("take/_partial/")) == 2
    with pytest.raises(GhostError, match="Segmentation fault"):
        unit.estimate(sam3d_path=str(checkout), force=True)  # which dies at its 13th frame again, and gets so far


def test_smoothed_bodies_keep_the_contract(unit):
    checkout = write_checkout(unit.folder / "checkout")
    unit.estimate(sam3d_path=str(checkout), smooth=True)
    bodies_artifact.validate(unit.folder / "out/take/cam01/body_data")
