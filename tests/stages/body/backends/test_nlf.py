from __future__ import annotations

import hashlib
import logging
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from common.artifacts.bodies import load_person, save_person
from common.artifacts.body_projection import check_projection
from common.errors import ModelUnavailable, UsageError
from common.media.decode import Frame
from common.skeletons import INDEX
from stages.body.backends import BodyEstimate, PeopleInFrame
from stages.body.backends.nlf import NlfModel, corners_to_size, load_nlf
from stages.body.clip import make_clip
from stages.body.framewise import FramewiseEstimator, Progress
from stages.body.labels import labels_of
from stages.body.stage import STAGE, Options
from tests.stages.body.backends.nlf_stand_in import (
    FACE,
    FEET,
    NoModel,
    Scene,
    Variant,
    joints,
    save_archive,
    scene,
    vertices,
)
from tests.stages.body.scenes import write_masks

CPU = torch.device("cpu")
LEFT, RIGHT = (40, 30, 129, 219), (180, 40, 270, 210)

# SMPL's joint or vertex of each keypoint, written down apart from the code.
JOINT_OF = dict(zip(("left_hip", "left_knee", "left_ankle", "left_shoulder"), (1, 4, 7, 16), strict=True))
JOINT_OF |= dict(zip(("right_hip", "right_knee", "right_ankle", "right_shoulder"), (2, 5, 8, 17), strict=True))
JOINT_OF |= {"left_elbow": 18, "right_elbow": 19, "left_wrist": 20, "right_wrist": 21, "neck": 12}
VERTEX_OF = {"nose": 332, "left_eye": 2800, "right_eye": 6260, "left_ear": 583, "right_ear": 4071}
VERTEX_OF |= {"left_big_toe": 3216, "left_small_toe": 3226, "left_heel": 3387}
VERTEX_OF |= {"right_big_toe": 6617, "right_small_toe": 6624, "right_heel": 6787}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def asked(people: Scene) -> PeopleInFrame:
    return PeopleInFrame(people.image, people.boxes, labels_of(people.masks), people.camera)


def only(model: NlfModel, people: Scene) -> BodyEstimate:
    (body,) = model.estimate(people.image, people.boxes, people.masks, people.camera)
    assert body is not None, dict(model.rejected)
    return body


def in_camera(body: BodyEstimate) -> np.ndarray:
    return body.keypoints3d.astype(np.float64) + body.transl


def test_finds_every_keypoint_where_the_body_is(tmp_path: Path):
    people = scene([LEFT, RIGHT])
    model = NlfModel(save_archive(tmp_path / "nlf.pt"), device=CPU)
    bodies = model.estimate(people.image, people.boxes, people.masks, people.camera)
    for body, pelvis in zip(bodies, people.pelvis, strict=True):
        assert body is not None, dict(model.rejected)
        truth = np.full((70, 3), np.nan)
        for name, joint in JOINT_OF.items():
            truth[INDEX[name]] = joints()[joint] + pelvis
        for name, vertex in VERTEX_OF.items():
            truth[INDEX[name]] = (FACE | FEET)[vertex] + pelvis
        assert (np.isnan(body.keypoints3d) == np.isnan(truth)).all()
        worst = np.nanmax(np.abs(in_camera(body) - truth))
        assert worst <= 1e-5, f"worst keypoint is {worst:.1e} m off"
        mid_hip = truth[[INDEX["left_hip"], INDEX["right_hip"]]].mean(axis=0)
        assert np.abs(body.transl - mid_hip).max() <= 1e-5


def test_2d_keypoints_are_the_projection_with_the_given_camera(tmp_path: Path):
    people = scene([LEFT], focal=260.0)
    body = only(NlfModel(save_archive(tmp_path / "nlf.pt"), device=CPU), people)
    off = np.abs(people.project(in_camera(body)) - body.keypoints2d)
    assert np.isfinite(off).sum() == 2 * (len(JOINT_OF) + len(VERTEX_OF))
    assert np.nanmax(off) <= 0.01, f"worst coordinate is {np.nanmax(off):.1e} px off"
    camera = people.camera.astype(np.float32)
    check_projection(
        "nlf",
        np.asarray(body.keypoints2d, np.float32)[None],
        np.asarray(body.keypoints3d, np.float32)[None],
        np.asarray(body.transl, np.float32)[None],
        focal=camera[[0, 1], [0, 1]][None],
        principal_point=camera[:2, 2][None],
    )


def test_points_of_the_surface_follow_the_localised_joints_not_the_fit(tmp_path: Path):
    archive = save_archive(tmp_path / "nlf.pt", (Variant(fit=(0.03, -0.02, 0.1)),))
    people = scene([LEFT])
    body = only(NlfModel(archive, device=CPU), people)
    nose = np.array(FACE[332]) + people.pelvis[0]
    assert np.abs(in_camera(body)[INDEX["nose"]] - nose).max() <= 1e-5
    # The parameters are those of the fit: its pelvis, and SMPL's origin 0.24 m from it.
    assert np.abs(body.params["smpl_trans"] - people.pelvis[0] - [0.03, 0.22, 0.1]).max() <= 1e-5


def test_several_frames_in_one_call_give_what_they_give_alone(tmp_path: Path):
    archive = save_archive(tmp_path / "nlf.pt", (Variant(), Variant(uncertainty=0.1)))
    scenes = [
        scene([LEFT, RIGHT], variants=[1, 0], frame=0),
        scene([]),
        scene([(100, 20, 210, 230)], frame=2, focal=280.0),
        scene([RIGHT, (10, 20, 15, 28), (60, 60, 120, 200)], variants=[0, 0, 1], frame=3),
    ]
    together = NlfModel(archive, device=CPU).estimate_batch([asked(people) for people in scenes])
    alone = NlfModel(archive, device=CPU)
    assert [len(bodies) for bodies in together] == [2, 0, 1, 3]
    for people, bodies in zip(scenes, together, strict=True):
        singles = alone.estimate(people.image, people.boxes, people.masks, people.camera)
        for one, other in zip(bodies, singles, strict=True):
            assert (one is None) == (other is None)
            if one is not None and other is not None:
                assert np.array_equal(one.keypoints3d, other.keypoints3d, equal_nan=True)
                assert np.array_equal(one.confidence, other.confidence)
                assert np.array_equal(one.transl, other.transl)
    told = {float(body.params["smpl_betas"][2]) for bodies in together for body in bodies if body is not None}
    assert told == {5.0}, "the five people of more than 10 px share one call"
    assert alone.rejected["box under 10 px"] == 1


def test_frames_of_different_sizes_are_looked_at_apart(tmp_path: Path):
    large = scene([LEFT])
    small = replace(large, image=large.image[:230], masks=large.masks[:, :230])
    model = NlfModel(save_archive(tmp_path / "nlf.pt"), device=CPU)
    ((one,), (other,)) = model.estimate_batch([asked(large), asked(small)])
    assert one is not None
    assert other is not None
    assert np.array_equal(one.keypoints3d, other.keypoints3d, equal_nan=True)


def test_asks_for_augmentations_and_lets_a_batch_hold_fewer_people_then(tmp_path: Path):
    archive = save_archive(tmp_path / "nlf.pt", capacity=12)
    model = NlfModel(archive, device=CPU, augmentations=5)
    bodies = [body for (body,) in model.estimate_batch([asked(scene([LEFT], frame=i)) for i in range(14)])]
    assert all(body is not None for body in bodies)
    told = {tuple(body.params["smpl_betas"][:3].tolist()) for body in bodies if body}
    assert told == {(5.0, 64.0, 12.0), (5.0, 64.0, 2.0)}, "64 crops are 12 people"


def test_memory_that_runs_out_halves_the_batch_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    archive = save_archive(tmp_path / "nlf.pt", capacity=3)
    frames = [asked(scene([LEFT, RIGHT], frame=i)) for i in range(4)]
    with caplog.at_level(logging.WARNING, "ghost"):
        bodies = NlfModel(archive, device=CPU).estimate_batch(frames)
    assert [sum(body is not None for body in some) for some in bodies] == [2, 2, 2, 2]
    assert [record.getMessage().split(" (")[0] for record in caplog.records] == [
        "Memory ran out with 8 people at once; going on with 4",
        "Memory ran out with 4 people at once; going on with 2",
    ]


def test_people_who_do_not_even_fit_alone_are_counted(tmp_path: Path):
    model = NlfModel(save_archive(tmp_path / "nlf.pt", capacity=0), device=CPU)
    assert model.estimate_batch([asked(scene([LEFT, RIGHT])), asked(scene([LEFT]))]) == [[None, None], [None]]
    assert dict(model.rejected) == {"out of memory": 3}


def test_confidence_falls_with_uncertainty_outside_the_image_and_on_others(tmp_path: Path):
    archive = save_archive(tmp_path / "nlf.pt", (Variant(uncertainty=0.1), Variant(uncertainty=0.05)))
    model = NlfModel(archive, device=CPU)
    people = scene([(40, 70, 129, 239)])  # the feet are below the picture's edge or just above
    masks = np.concatenate([np.zeros_like(people.masks), people.masks])
    head = people.project(np.array(FACE[332]) + people.pelvis[0])
    masks[0, int(head[1]) - 3 : int(head[1]) + 4, int(head[0]) - 3 : int(head[0]) + 4] = True
    masks[1] &= ~masks[0]
    boxes = np.concatenate([[[0, 0, 5, 5]], people.boxes]).astype(np.float32)  # too small a box to look at
    nobody, body = model.estimate(people.image, boxes, masks, people.camera)
    assert body is not None
    assert nobody is None
    sure = np.exp(-((0.1 / 0.25) ** 2))
    below = np.asarray(body.keypoints2d)[:, 1] > 239.5
    assert below.sum() >= 4, "some of the feet are outside"
    assert np.allclose(np.asarray(body.confidence)[below], 0.25 * sure, atol=1e-6)
    assert np.isclose(body.confidence[INDEX["nose"]], 0.5 * sure, atol=1e-6)
    assert np.isclose(body.confidence[INDEX["left_hip"]], sure, atol=1e-6)
    assert np.asarray(body.confidence)[np.isnan(body.keypoints3d[:, 0])].max() == 0


@pytest.mark.parametrize(
    ("variant", "reason"),
    [
        pytest.param(Variant(uncertainty=0.3), "uncertain", id="uncertain"),
        pytest.param(Variant(shift=(1.5, 0, 0)), "outside its box", id="another place"),
        pytest.param(Variant(shift=(0, 0, -9)), "behind the camera", id="behind"),
        pytest.param(Variant(scale=1.8), "bones too short or too long", id="giant"),
        pytest.param(Variant(nan=True), "not finite", id="not finite"),
    ],
)
def test_implausible_poses_are_rejected_counted_and_named(tmp_path: Path, variant: Variant, reason: str):
    model = NlfModel(save_archive(tmp_path / "nlf.pt", (Variant(), variant)), device=CPU)
    people = scene([LEFT, RIGHT], variants=[0, 1])
    right, wrong = model.estimate(people.image, people.boxes, people.masks, people.camera)
    assert right is not None
    assert wrong is None
    assert dict(model.rejected) == {reason: 1}


def test_a_pose_beside_the_persons_own_mask_is_rejected(tmp_path: Path):
    people = scene([LEFT])
    model = NlfModel(save_archive(tmp_path / "nlf.pt"), device=CPU)
    corner = np.zeros_like(people.masks)
    corner[:, 200:220, 40:60] = True
    assert model.estimate(people.image, people.boxes, corner, people.camera) == [None]
    assert dict(model.rejected) == {"outside its mask": 1}
    (without_mask,) = model.estimate(people.image, people.boxes, None, people.camera)
    assert without_mask is not None


def test_a_person_of_whom_others_hide_most_is_not_rejected_for_it(tmp_path: Path):
    people = scene([LEFT])
    model = NlfModel(save_archive(tmp_path / "nlf.pt"), device=CPU)
    head, rest = people.masks.copy(), people.masks.copy()
    head[:, 70:], rest[:, :70] = False, False
    boxes = np.concatenate([people.boxes, [[0, 0, 5, 5]]]).astype(np.float32)
    body, _ = model.estimate(people.image, boxes, np.concatenate([head, rest]), people.camera)
    assert body is not None, dict(model.rejected)


def test_a_mask_of_half_the_person_is_enough(tmp_path: Path):
    people = scene([LEFT])
    model = NlfModel(save_archive(tmp_path / "nlf.pt"), device=CPU)
    masks = np.concatenate([np.zeros_like(people.masks), people.masks])
    masks[0, :5, :5], masks[1, 130:] = True, False
    boxes = np.concatenate([[[0, 0, 4, 4]], people.boxes]).astype(np.float32)
    _, body = model.estimate(people.image, boxes, masks, people.camera)
    assert body is not None, dict(model.rejected)


def test_of_two_people_with_one_pose_the_surer_one_keeps_it(tmp_path: Path):
    unsure = (Variant(uncertainty=0.1), Variant(uncertainty=0.05), Variant(uncertainty=0.9))
    model = NlfModel(save_archive(tmp_path / "nlf.pt", unsure), device=CPU)
    people = scene([RIGHT, LEFT, (44, 30, 133, 219)], variants=[2, 0, 1])
    *others, surest = model.estimate(people.image, people.boxes, None, people.camera)
    assert others == [None, None]
    assert surest is not None
    assert dict(model.rejected) == {"uncertain": 1, "the same pose as another person's": 1}


def test_a_video_of_two_people_becomes_two_bodies(tmp_path: Path):
    scenes = [scene([LEFT, RIGHT], frame=i) for i in range(3)]
    labels = np.zeros((3, *scenes[0].image.shape[:2]), np.uint16)
    for person, (x1, y1, x2, y2) in enumerate((LEFT, RIGHT), start=1):
        labels[:, y1 : y2 + 1, x1 : x2 + 1] = person
    masks, table = write_masks(tmp_path / "masks", labels)
    clip = make_clip(np.arange(3) / 30, table, masks, intrinsics=scenes[0].camera)

    def open_frames(wanted: np.ndarray) -> Iterator[Frame]:
        return (Frame(index, index / 30, scenes[index].image, corrupt=False) for index in wanted.tolist())

    model = NlfModel(save_archive(tmp_path / "nlf.pt"), device=CPU, vertices=True)
    said: list[str] = []
    (tmp_path / "work").mkdir()
    estimator = FramewiseEstimator(model, progress=Progress(tmp_path / "work"), warn=said.append)
    with masks:
        bodies = estimator.estimate(clip, open_frames)
    assert said == []
    assert list(bodies) == [1, 2]
    for person, body in bodies.items():
        again = load_person(save_person(tmp_path, body))
        assert again.person == person
        assert again.frame_indices.tolist() == [0, 1, 2]
        assert again.parametric["pred_vertices"].shape == (3, 6890, 3)


def test_the_mesh_comes_on_request_relative_to_the_body(tmp_path: Path):
    archive = save_archive(tmp_path / "nlf.pt")
    people = scene([LEFT])
    assert only(NlfModel(archive, device=CPU), people).vertices is None
    body = only(NlfModel(archive, device=CPU, vertices=True), people)
    assert body.vertices is not None
    assert (body.vertices.shape, body.vertices.dtype) == ((6890, 3), np.float16)
    worst = np.abs(body.vertices + body.transl - vertices() - people.pelvis[0]).max()
    assert worst <= 1e-3, f"worst vertex is {worst * 1000:.2f} mm off"


def test_boxes_cover_whole_pixels_from_the_first_to_the_last():
    assert corners_to_size(np.array([[3, 4, 3, 13]], np.float32)).tolist() == [[2.5, 3.5, 1, 10]]


def test_opens_where_torchvision_is_not_installed(tmp_path: Path):
    archive = save_archive(tmp_path / "nlf.pt")
    code = (
        "import sys, torch; from pathlib import Path\n"
        "sys.modules['torchvision'] = None  # importing it fails\n"
        "from stages.body.backends.nlf_archive import NlfArchive\n"
        "NlfArchive(Path(sys.argv[1]), device=torch.device('cpu'))"
    )
    command = [sys.executable, "-c", code, str(archive)]
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr


def test_is_opened_when_first_needed_and_identified_by_its_digest(tmp_path: Path):
    path = tmp_path / "nlf.pt"
    path.write_bytes(b"no archive")
    model = load_nlf(Options(backend="nlf", nlf_model=str(path), device="cpu"))
    assert model.identity == hashlib.sha256(b"no archive").hexdigest()
    people = scene([LEFT])
    with pytest.raises(ModelUnavailable, match="cannot be opened as a TorchScript archive"):
        model.estimate(people.image, people.boxes, people.masks, people.camera)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(Options(device="cpu"), "--nlf-model is not given.*isarandi/nlf", id="no path"),
        pytest.param(Options(device="cpu", nlf_model="no"), "no such file.*isarandi/nlf", id="wrong path"),
    ],
)
def test_options_that_cannot_work_say_so(options: Options, message: str):
    with pytest.raises(ModelUnavailable, match=message):
        load_nlf(options)


def test_a_mesh_that_nlf_does_not_have_is_refused_with_the_options():
    with pytest.raises(UsageError, match="SMPL only"):
        STAGE.make_options({"backend": "nlf", "nlf_model": "x", "vertices": "mhr"})


def test_an_archive_of_another_model_is_refused(tmp_path: Path):
    model = NlfModel(save_archive(tmp_path / "other.pt", module=NoModel()), device=CPU)
    with pytest.raises(ModelUnavailable, match="no multi-person model of NLF"):
        model.estimate_batch([asked(scene([LEFT]))])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"unit": 1.0}, "uncertainties in metres", id="uncertainties"),
        pytest.param({"off": 5.0}, r"5\.0 m from its own translation", id="translation"),
    ],
)
def test_versions_with_other_units_are_refused(tmp_path: Path, changes: dict[str, float], message: str):
    model = NlfModel(save_archive(tmp_path / "old.pt", **changes), device=CPU)
    with pytest.raises(ModelUnavailable, match=message):
        model.estimate_batch([asked(scene([LEFT]))])


def test_what_the_archive_complains_about_reaches_the_user(tmp_path: Path):
    people = scene([LEFT])
    bgr = replace(people, image=np.ascontiguousarray(people.image[..., ::-1]))
    model = NlfModel(save_archive(tmp_path / "nlf.pt"), device=CPU)
    with pytest.raises(ModelUnavailable, match="images: RGB"):
        model.estimate_batch([asked(bgr)])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_gives_the_same_on_a_gpu(tmp_path: Path):
    archive = save_archive(tmp_path / "nlf.pt")
    on_cpu = only(NlfModel(archive, device=CPU), scene([LEFT]))
    on_gpu = only(NlfModel(archive, device=torch.device("cuda", 0)), scene([LEFT]))
    assert np.nanmax(np.abs(on_cpu.keypoints3d - on_gpu.keypoints3d)) <= 1e-5
