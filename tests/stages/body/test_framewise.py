"""Frames go through a per-frame model once, in order; what was done is kept in chunks and taken up again."""

import logging

import numpy as np
import pytest

from common.ahead import Ahead
from common.artifacts import bodies as bodies_artifact
from common.artifacts.bodies import load_person
from common.checkpoints import Checkpoints
from common.errors import BadInput, GhostError, ModelUnavailable
from common.media.decode import Frame
from common.storage.local import LocalStorage
from stages.body import framewise
from stages.body.clip import make_clip
from stages.body.framewise import FramewiseEstimator, Progress
from tests.stages.body.scenes import HEIGHT, MATRIX, WIDTH, write_masks
from tests.stages.body.standin_model import POINTS, StandIn

FRAMES = 23
EMPTY = 5  # a frame without people


def label_image(frame):
    labels = np.zeros((HEIGHT, WIDTH), np.uint16)
    if frame != EMPTY:
        labels[100:400, 100 + frame : 180 + frame] = 1
        if frame >= 3:
            labels[150:300, 400:450] = 4
    return labels


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    masks, people = write_masks(tmp_path_factory.mktemp("clip"), [label_image(frame) for frame in range(FRAMES)])
    with masks:
        yield masks, people


class Bench:
    """Runs models over the clip with one store, as attempts at the same unit do."""

    def __init__(self, folder, written):
        self.folder = folder
        self.storage = LocalStorage(folder / "out")
        self.clip = make_clip(np.arange(FRAMES) / 30, written[1], written[0], intrinsics=MATRIX)
        self.opened = []
        self.lost = ()
        self.breaks_at = None

    def open_frames(self, wanted):
        self.opened.append(wanted.tolist())
        for index in wanted.tolist():
            if index == self.breaks_at:
                raise BadInput("the video breaks off.")
            if index not in self.lost:
                image = np.full((HEIGHT, WIDTH + 8, 3), index, np.uint8)[:, :WIDTH]
                yield Frame(index, index / 30, image, corrupt=False)

    def run(self, model, *, warn=None, store=True):
        spool = self.folder / "body_data"
        spool.mkdir(exist_ok=True)
        checkpoints = Checkpoints(self.storage, "take", "body", "cam01", "f" * 64) if store else None
        return FramewiseEstimator(model, progress=Progress(spool, checkpoints), warn=warn).estimate(
            self.clip, self.open_frames
        )

    def kept(self):
        return self.storage.occupied("take/_partial/")


@pytest.fixture
def bench(tmp_path, written):
    return Bench(tmp_path, written)


def test_every_frame_with_people_is_seen_once_and_everybody_has_a_body(bench):
    model = StandIn()
    bodies = bench.run(model)
    wanted = [frame for frame in range(FRAMES) if frame != EMPTY]
    assert model.seen == wanted
    assert bench.opened == [wanted], "opened once, with those frames"
    assert model.closed == 1
    assert bodies[1].frame_indices.tolist() == wanted
    assert bodies[4].frame_indices.tolist() == [frame for frame in wanted if frame >= 3]
    assert bodies[1].times[:2].tolist() == [0, 1 / 30]
    assert bodies[1].parametric["global_rot"][:, 1].tolist() == wanted
    assert np.allclose(bodies[1].pred_cam_t[:, 2], 4 + np.array(wanted) / 100)
    assert bodies[1].bbox[2].tolist() == [102, 100, 181, 399]
    exact = MATRIX @ (POINTS[7] + np.array([1.02, 0.1, 4.02]))
    assert np.abs(bodies[1].pred_keypoints_2d[2, 7] - exact[:2] / exact[2]).max() < 0.01
    assert bodies[1].focal_xy[0].tolist() == [800, 790]
    assert bench.kept() == (), "a video of one chunk leaves nothing on the way"


def test_bodies_are_saved_and_keep_the_contract_with_meshes_that_were_never_held(bench, tmp_path):
    bodies = bench.run(StandIn(vertices=True))
    for body in bodies.values():
        assert isinstance(body.parametric["pred_vertices"], np.memmap)
        bodies_artifact.save_person(tmp_path / "body_data", body)
    bodies_artifact.save_summary(tmp_path / "body_data", "cam01", bodies)
    bodies_artifact.validate(tmp_path / "body_data")
    loaded = load_person(tmp_path / "body_data" / "person_4.npz")
    assert loaded.parametric["pred_vertices"].shape == (19, 6890, 3)
    assert np.array_equal(loaded.parametric["pred_vertices"][:, 5, 1], loaded.frame_indices / 64)
    assert loaded.parametric["pred_vertices"].dtype == np.float16
    assert loaded.parametric["feature"][0, 0] == np.float16(400 / 512)


def test_a_step_leaves_frames_out(bench, written):
    bench.clip = make_clip(np.arange(FRAMES) / 30, written[1], written[0], intrinsics=MATRIX, step=4)
    model = StandIn()
    bench.run(model)
    assert model.seen == [0, 4, 8, 12, 16, 20]


def test_frames_that_cannot_be_decoded_have_no_rows(bench):
    bench.lost = (0, 7, 22)
    bodies = bench.run(StandIn())
    assert not {0, 7, 22} & set(bodies[1].frame_indices.tolist())
    assert len(bodies[1]) == FRAMES - 4


def test_nobody_is_nobody(bench, tmp_path):
    masks, people = write_masks(tmp_path / "empty", [np.zeros((HEIGHT, WIDTH), np.uint16)] * 2)
    with masks:
        bench.clip = make_clip(np.arange(2) / 30, people, masks)
        model = StandIn()
        assert bench.run(model) == {}
    assert (bench.opened, model.closed) == ([], 1)


@pytest.mark.parametrize("at_once", [1, 3, 4])
def test_after_an_interruption_at_most_a_chunk_is_repeated_and_nothing_differs(bench, monkeypatch, caplog, at_once):
    whole = bench.run(StandIn(at_once=at_once, vertices=True), store=False)
    monkeypatch.setattr(framewise, "CHUNK_FRAMES", 5)
    bench.breaks_at = 18
    first = StandIn(at_once=at_once, vertices=True)
    with pytest.raises(BadInput, match="breaks off"):
        bench.run(first)
    assert first.closed == 1
    bench.breaks_at = None
    caplog.set_level(logging.INFO, "ghost")
    second = StandIn(at_once=at_once, vertices=True)
    bodies = bench.run(second)
    repeated = set(first.seen) & set(second.seen)
    assert len(repeated) <= 5 + at_once, f"{sorted(repeated)} were estimated twice"
    assert sorted({*first.seen, *second.seen}) == [frame for frame in range(FRAMES) if frame != EMPTY]
    done = len(first.seen) - len(repeated)
    assert done > 0
    assert f"standin: resumed at frame {done} of 22" in caplog.text
    assert bench.opened[-1] == second.seen, "frames that are done are not decoded again"
    for person, body in whole.items():
        for name, array in body.arrays.items():
            np.testing.assert_array_equal(bodies[person].arrays[name], array, err_msg=name)


def test_the_same_frames_are_estimated_together_wherever_work_is_taken_up(bench, monkeypatch):
    monkeypatch.setattr(framewise, "CHUNK_FRAMES", 5)
    whole, first, second = StandIn(at_once=3), StandIn(at_once=3), StandIn(at_once=3)
    bench.run(whole, store=False)
    bench.breaks_at = 14
    with pytest.raises(BadInput):
        bench.run(first)
    bench.breaks_at = None
    bench.run(second)
    assert second.batches == whole.batches[-len(second.batches) :]
    assert {len(batch) for batch in whole.batches} == {3, 1}


def test_a_damaged_chunk_and_those_after_it_are_done_again(bench, monkeypatch):
    monkeypatch.setattr(framewise, "CHUNK_FRAMES", 5)
    whole = bench.run(StandIn())
    assert len(bench.kept()) == 4
    path = bench.storage.root / bench.kept()[1]
    path.write_bytes(path.read_bytes()[:-1])
    model = StandIn()
    bodies = bench.run(model)
    assert len(model.seen) == 22 - 5
    assert np.array_equal(bodies[1].pred_cam_t, whole[1].pred_cam_t)


def test_chunks_of_another_version_of_the_models_code_are_not_continued(bench, monkeypatch):
    monkeypatch.setattr(framewise, "CHUNK_FRAMES", 5)
    bench.run(StandIn())
    other = StandIn(identity="two")
    bench.run(other)
    assert len(other.seen) == 22
    again = StandIn(identity="two")
    bench.run(again)
    assert len(again.seen) == 2, "those of the last chunk, which is kept as the result only"


def test_a_chunk_ends_after_a_minute_however_few_its_frames_are(bench, monkeypatch):
    monkeypatch.setattr(framewise, "CHUNK_SECONDS", 0.0)
    bench.run(StandIn())
    assert len(bench.kept()) == 21


SPOILT = {
    "not finite": {"transl": np.array([np.nan, 0, 4])},
    "nor are parameters": {"params": {"global_rot": np.full(3, np.inf), "smpl_betas": np.zeros(10)}},
    "behind": {"transl": np.array([0.0, 0, -4])},
    "crooked": {"keypoints2d": np.full((70, 2), 300.0)},
}
REASONS = {
    "not finite": "not finite",
    "nor are parameters": "not finite",
    "behind": "behind the camera",
    "crooked": "2D and 3D keypoints contradict each other",
}


@pytest.mark.parametrize("kind", SPOILT)
def test_what_cannot_be_has_no_row_and_is_counted_also_across_attempts(bench, monkeypatch, kind):
    monkeypatch.setattr(framewise, "CHUNK_FRAMES", 5)
    said = []
    model = StandIn(spoil={2: SPOILT[kind], 20: SPOILT[kind]}, refuse=(1, 4))
    bench.breaks_at = 12
    with pytest.raises(BadInput):
        bench.run(model, warn=said.append)
    assert said == []
    bench.breaks_at = None
    bodies = bench.run(StandIn(spoil={20: SPOILT[kind]}, refuse=(1, 4)), warn=said.append)
    assert not {1, 2, 4, 20} & set(bodies[1].frame_indices.tolist())
    assert said == [f"standin: 6 bodies in single frames are left out: 3 {REASONS[kind]}, 3 too small."]


def test_a_model_whose_bodies_mostly_contradict_themselves_is_not_what_it_should_be(bench, monkeypatch):
    monkeypatch.setattr(framewise, "CHUNK_FRAMES", 5)
    pixels = {frame: half_a_pixel_off(frame) for frame in range(FRAMES)}
    with pytest.raises(ModelUnavailable, match=r"in 7 of 7 bodies the 2D .* 0\.5 px off in the median"):
        bench.run(StandIn(spoil=pixels))
    assert bench.kept() == ()
    few = bench.run(StandIn(spoil={frame: pixels[frame] for frame in (0, 1, 22)}))
    assert len(few[1]) == 22 - 3


def half_a_pixel_off(frame):
    """2D keypoints half a pixel beside those of the first person in a frame, and a body that stands there."""
    place = np.array([1.0, 0.1, 4.0 + frame / 100])
    seen = (POINTS + place) @ MATRIX.T
    return {"transl": place, "keypoints2d": seen[:, :2] / seen[:, 2:] + [0.5, 0.25]}


def test_a_gpu_that_holds_nobody_is_an_error_that_helps(bench):
    class Full(StandIn):
        def estimate(self, image, boxes, masks, camera):
            if len(self.seen) >= self.fits:
                self.rejected["out of memory"] += len(boxes)
                return [None] * len(boxes)
            return super().estimate(image, boxes, masks, camera)

    model = Full()
    model.fits = 0
    with pytest.raises(ModelUnavailable, match=r"memory runs out with a single person\. Choose a GPU with more memory"):
        bench.run(model)
    model, said = Full(), []
    model.fits = 20
    bodies = bench.run(model, warn=said.append)
    assert len(bodies[1]) == 20
    assert said == ["standin: 4 bodies in single frames are left out: 4 out of memory."]


def test_a_chunk_ends_when_its_large_arrays_fill_the_memory_whatever_their_names(bench, monkeypatch):
    mesh = {"smpl_vertices": np.zeros((6890, 3), np.float16), "smpl_betas": np.zeros(10)}
    monkeypatch.setattr(framewise, "_CHUNK_BYTES", 5 * mesh["smpl_vertices"].nbytes)
    bench.run(StandIn(spoil={frame: {"params": mesh} for frame in range(FRAMES)}))
    assert len(bench.kept()) > 5


@pytest.mark.parametrize(("size", "expected"), [(1, 4), (16, 16), (64, 24)])
def test_frames_that_wait_do_not_fill_the_memory(bench, monkeypatch, size, expected):
    depths = []

    class Watched(Ahead):
        def __init__(self, items, depth):
            depths.append(depth)
            super().__init__(items, depth)

    monkeypatch.setattr(framewise, "Ahead", Watched)
    monkeypatch.setattr(framewise, "_AHEAD_BYTES", 24 * 5 * HEIGHT * WIDTH)
    bench.run(StandIn(at_once=size))
    assert depths == [expected]


def test_the_model_is_loaded_before_chunks_are_taken_up_as_its_identity_is_known_only_then(bench, monkeypatch):
    class Late(StandIn):
        def open(self):
            self.identity = f"in {self.environment}"

    monkeypatch.setattr(framewise, "CHUNK_FRAMES", 5)
    for environment, count in (("one", 22), ("two", 22), ("two", 2)):
        model = Late()
        model.environment = environment
        bench.run(model)
        assert len(model.seen) == count


BUGS = {
    "other skeleton": ({"keypoints3d": np.zeros((24, 3))}, r"keypoints3d of shape \(24, 3\), expected \(70, 3\)"),
    "other mesh": ({"vertices": np.zeros((10475, 3))}, r"pred_vertices: expected \(n, 18439, 3\)"),
    "unknown parameter": ({"params": {"mood": np.zeros(3)}}, "mood"),
    "parameters that come and go": ({"params": {}}, "arrays for some"),
}


@pytest.mark.parametrize(("spoil", "message"), BUGS.values(), ids=BUGS.keys())
def test_what_no_model_should_give_is_a_bug(bench, spoil, message):
    with pytest.raises(GhostError, match=message):
        bench.run(StandIn(spoil=dict.fromkeys((3, 4) if "params" in spoil else range(FRAMES), spoil)))


def test_confidence_is_none_where_there_is_no_keypoint(bench):
    points = POINTS.copy()
    points[20:41] = np.nan
    seen = (points + np.array([1.0, 0.1, 4])) @ MATRIX.T
    pixels = seen[:, :2] / seen[:, 2:]
    spoil = {"keypoints3d": points, "keypoints2d": pixels, "transl": np.array([1.0, 0.1, 4]), "confidence": np.ones(70)}
    bodies = bench.run(StandIn(spoil=dict.fromkeys(range(FRAMES), spoil)))
    assert (bodies[1].confidence == 0).sum(axis=1).tolist() == [21] * 22
    assert np.isnan(bodies[1].pred_keypoints_2d[:, 20:41]).all()
