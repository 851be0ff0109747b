"""The embedded backend looks at pixels only where it must, at the right person, and with the others painted over."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from common.artifacts.landmarks import Landmarks
from common.errors import ModelUnavailable
from common.media.decode import Frame
from common.models.blazepose_landmarks import SIDE, Landmarks33
from common.models.regions import Region, region_from_points
from stages.body.backends.embedded import EmbeddedEstimator, region_of_box
from stages.body.clip import make_clip
from tests.stages.body.scenes import HEIGHT, WIDTH, project, standing, write_masks

FRAMES = 6
STAND = {1: np.array([-0.55, -0.05, 4.0]), 2: np.array([0.55, -0.05, 4.0])}


class StandIn:
    """Answers like the model: the standing person whose hips are nearest to the crop's centre."""

    def __init__(self, score=0.99):
        self.score = score
        self.calls = []

    def run(self, image, region, *, suppress=None):
        self.calls.append((region, suppress))
        hips = {person: project(stand) for person, stand in STAND.items()}
        person = min(hips, key=lambda p: np.hypot(*(hips[p] - [region.x, region.y])))
        points = project(standing() + STAND[person])
        return Landmarks33(
            image=points, world=standing(), depth=np.zeros(33), visibility=np.full(33, 0.9), presence=np.ones(33),
            score=self.score, mask=np.zeros((SIDE, SIDE), np.float32), region=region,
            next_region=region_from_points(hips[person], hips[person] - [0, 190.0]),
        )  # fmt: skip


def label_image(*, touching):
    labels = np.zeros((HEIGHT, WIDTH), np.uint16)
    labels[100:400, 150:250] = 1
    labels[100:400, (250 if touching else 360) : 470] = 2
    return labels


def published(frames, people=(1, 2)):
    rows = [(person, frame) for person in people for frame in frames]
    person, frame = np.array(rows).T
    hips = {p: project(stand) for p, stand in STAND.items()}
    return Landmarks(
        frame=frame.astype(np.int32),
        person=person.astype(np.uint16),
        image=np.array([project(standing() + STAND[p]) for p in person], np.float32),
        world=np.tile(standing().astype(np.float32), (len(rows), 1, 1)),
        visibility=np.full((len(rows), 33), 0.8, np.float32),
        presence=np.ones((len(rows), 33), np.float32),
        score=np.full(len(rows), 0.9, np.float32),
        region=np.array([[*hips[p], 475, 0.0] for p in person], np.float32),
    )


@pytest.fixture
def estimate(tmp_path):
    """Runs the backend; returns the bodies and the frames that were opened."""
    opened, closing = [], []

    def open_frames(wanted):
        opened.extend(wanted.tolist())
        for index in wanted.tolist():
            yield Frame(index, index / 30, np.full((HEIGHT, WIDTH, 3), 100, np.uint8), corrupt=False)

    def run(model, touching_frames=(), *, landmarks=None, step=1):
        images = [label_image(touching=frame in touching_frames) for frame in range(FRAMES)]
        masks, people = write_masks(tmp_path / "clip", images)
        closing.append(masks)
        clip = make_clip(np.arange(FRAMES) / 30, people, masks, landmarks=landmarks, step=step)
        return EmbeddedEstimator(model).estimate(clip, open_frames), opened

    yield run
    for masks in closing:
        masks.close()


def test_published_landmarks_need_no_frame_and_no_model(estimate):
    bodies, opened = estimate(Path("there is no such model"), landmarks=published(range(FRAMES)))
    assert opened == []
    assert {person: len(body) for person, body in bodies.items()} == {1: FRAMES, 2: FRAMES}
    assert bodies[1].confidence.max() == pytest.approx(0.8)


def test_where_people_touch_it_looks_again_without_the_other(estimate):
    model = StandIn()
    bodies, opened = estimate(model, touching_frames=(2, 4), landmarks=published(range(FRAMES)))
    assert opened == [2, 4]
    assert len(model.calls) == 4, "two people in two frames"
    assert all(suppress is not None and suppress.any() for _, suppress in model.calls)
    assert bodies[1].confidence.max(axis=1) == pytest.approx([0.8, 0.8, 0.9, 0.8, 0.9, 0.8])


def test_the_model_is_missed_only_when_it_is_needed(estimate):
    with pytest.raises(ModelUnavailable, match="no such model"):
        estimate(Path("there is no such model"), touching_frames=(2,), landmarks=published(range(FRAMES)))


def test_who_disappears_without_the_other_was_the_other(estimate):
    bodies, _ = estimate(StandIn(score=0.2), touching_frames=(2,), landmarks=published(range(FRAMES)))
    assert bodies[1].frame_indices.tolist() == [0, 1, 3, 4, 5]


def test_with_masks_alone_it_looks_at_everybody_in_every_frame(estimate):
    model = StandIn()
    bodies, opened = estimate(model)
    assert opened == list(range(FRAMES))
    assert {person: len(body) for person, body in bodies.items()} == {1: FRAMES, 2: FRAMES}
    left, right = (np.nanmedian(bodies[person].pred_keypoints_2d[..., 0]) for person in (1, 2))
    assert left < 250 < 400 < right, f"{left:.0f}, {right:.0f}"
    assert len(model.calls) <= 2 * (FRAMES + 1), "the second look is for the first frame only"


def test_a_step_leaves_frames_out(estimate):
    bodies, opened = estimate(StandIn(), step=4)
    assert opened == [0, 4]
    assert bodies[1].frame_indices.tolist() == [0, 4]
    assert bodies[1].times.tolist() == [0, 4 / 30]


def test_somebody_without_published_landmarks_is_looked_at(estimate):
    bodies, opened = estimate(StandIn(), landmarks=published(range(FRAMES), people=(1,)))
    assert opened == list(range(FRAMES))
    assert len(bodies[2]) == FRAMES


def test_frames_that_cannot_be_decoded_have_no_rows(tmp_path):
    masks, people = write_masks(tmp_path / "clip", [label_image(touching=False)] * FRAMES)
    with masks:
        clip = make_clip(np.arange(FRAMES) / 30, people, masks)
        assert EmbeddedEstimator(StandIn()).estimate(clip, lambda wanted: iter(())) == {}


def test_nobody_is_nobody(tmp_path):
    masks, people = write_masks(tmp_path / "clip", [np.zeros((HEIGHT, WIDTH), np.uint16)] * 2)
    with masks:
        clip = make_clip(np.arange(2) / 30, people, masks)
        assert EmbeddedEstimator(StandIn()).estimate(clip, lambda wanted: iter(())) == {}


def test_the_first_crop_holds_the_whole_mask():
    region = region_of_box(np.array([100.0, 50, 180, 450]))
    assert region == Region(140.0, 250.0, 500.0, 0.0)


def test_a_body_whose_next_crop_would_have_no_extent_is_kept_as_it_was_seen(estimate):
    class Collapsed(StandIn):
        def run(self, image, region, *, suppress=None):
            found = super().run(image, region, suppress=suppress)
            return dataclasses.replace(found, next_region=Region(found.next_region.x, found.next_region.y, 0.0, 0.0))

    model = Collapsed()
    bodies, _ = estimate(model)
    assert [len(body) for body in bodies.values()] == [FRAMES, FRAMES]
    assert all(region.usable for region, _ in model.calls)
