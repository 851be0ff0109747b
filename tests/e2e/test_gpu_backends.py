"""The GPU backends from a video file to artifacts, on a CPU, with tiny models of random weights saved and loaded.

What such models find means nothing; that it comes out whole, valid, the same twice, and is used by the next stage does.
"""

import numpy as np
import pytest
import torch

from common import harness
from common.artifacts import people
from common.artifacts.masks import Masks
from common.errors import ModelUnavailable
from common.storage.local import LocalStorage
from common.weights import store
from stages.body.stage import STAGE as BODY
from stages.frames.stage import STAGE as FRAMES
from stages.ingest.stage import STAGE as INGEST
from stages.segment.stage import STAGE as SEGMENT
from tests import tiny_models
from tests.synth.files import write_video
from tests.synth.scripts import two_cross

FRAMES_SHOWN = 24
ASKED = {
    "backend": "gdino-sam2",
    "device": "cpu",
    "detection_step": 10,
    "box_threshold": 0.05,  # random weights are not sure of anything
    "text_threshold": 0.05,
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    return {
        "grounding-dino-tiny": tiny_models.grounding_dino(folder / "detector"),
        "sam2.1-hiera-large": tiny_models.save_sam2_video(folder / "tracker"),
    }


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    (folder / "take").mkdir()
    scene = two_cross(0, height=120, width=160)
    write_video(scene, 0, folder / "take" / "cam01.mp4", first=scene.frames - FRAMES_SHOWN)
    return folder


class Unit:
    """The stages of one video, run through the harness."""

    def __init__(self, data, output):
        self.data, self.output, self.folder = LocalStorage(data), LocalStorage(output), output / "take" / "cam01"
        for stage, video in ((INGEST, None), (FRAMES, "cam01")):
            self.run(stage, video)

    def run(self, stage, video="cam01", **values):
        options = stage.make_options(values)
        return harness.execute(harness.Task(stage, self.output, "take", video, options, self.data))


@pytest.fixture
def stored(weights, monkeypatch):
    """The small models lie where the real ones would."""
    lay(weights, monkeypatch)


def lay(weights, monkeypatch):
    monkeypatch.setattr(store, "folder", weights.__getitem__)
    monkeypatch.setattr(store, "digest", lambda name: f"digest of {name}")


@pytest.fixture
def unit(recordings, tmp_path, stored):
    return Unit(recordings, tmp_path)


@pytest.fixture(scope="module")
def segmented(recordings, tmp_path_factory, weights):
    """A video that has masks, and the manifest that came with them."""
    unit = Unit(recordings, tmp_path_factory.mktemp("output"))
    with pytest.MonkeyPatch.context() as monkeypatch:
        lay(weights, monkeypatch)
        return unit, unit.run(SEGMENT, **ASKED).manifest


def test_grounding_dino_and_sam_2_make_masks_that_the_body_stage_takes(segmented):
    unit, manifest = segmented
    assert manifest.weights == {
        "grounding-dino-tiny": "digest of grounding-dino-tiny",
        "sam2.1-hiera-large": "digest of sam2.1-hiera-large",
    }
    assert manifest.packages["torch"] == torch.__version__
    assert (manifest.record.device, manifest.record.precision) == ("cpu", "float32")
    with Masks.open(unit.folder / "mask_data.npz") as masks:
        assert masks.frames == tuple(range(FRAMES_SHOWN))
        assert (masks.height, masks.width) == (120, 160)
        in_masks = {person for _, labels in masks for person in np.unique(labels).tolist()} - {0}
    table = people.load_tracks(unit.folder / "json_data")
    assert set(table.people) == in_masks == set(range(1, len(in_masks) + 1))
    assert in_masks, "random weights that find nothing would test nothing"
    assert not (unit.folder / "landmarks.npz").exists()
    bodies = unit.run(BODY, backend="fake").manifest
    assert bodies.found["bodies"] > 0


@pytest.mark.usefixtures("stored")
def test_the_same_models_make_the_same_masks_twice_and_then_are_up_to_date(segmented):
    unit, first = segmented
    options = SEGMENT.make_options(ASKED)
    task = harness.Task(SEGMENT, unit.output, "take", "cam01", options, unit.data)
    again = harness.execute(task, force=True).manifest
    assert again.files == first.files
    assert harness.execute(task).status is harness.Status.UP_TO_DATE


def test_a_prompt_for_other_things_makes_no_people_of_them(unit):
    segmented = unit.run(SEGMENT, prompt="bicycle.", **ASKED).manifest
    assert segmented.found["people"] == 0
    assert [text for text in segmented.warnings if "x 'bicycle', and no person" in text]
    table = people.load_tracks(unit.folder / "json_data")
    assert {table.class_name(number) for number in table.people} == {"bicycle"}
    assert table.persons().people == ()
    assert unit.run(BODY, backend="fake").manifest.found["bodies"] == 0


def test_weights_that_are_not_there_are_named_with_the_way_to_get_them(recordings, monkeypatch, tmp_path):
    monkeypatch.setenv(store.VARIABLE, str(tmp_path / "none"))
    with pytest.raises(ModelUnavailable, match="ghost weights fetch"):
        Unit(recordings, tmp_path).run(SEGMENT, backend="gdino-sam2", device="cpu")
