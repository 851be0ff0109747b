"""What a truth scene says in pixels agrees with what it says in metres, by other arithmetic than its own."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import pytest

from common.skeletons import COCO17, INDEX, MHR70
from tests.synth.scene import TruthScene
from tests.synth.scripts import crowd_scene, late_arrivals

FRAMES = 330  # the first 11 s of a crowd: crossing, pillar, late arrival, embrace, a leave


@cache
def crowd():
    return crowd_scene(1, frames=FRAMES, things=("ball", "box"))


def opencv_projection(scene, camera, frame, points):
    """Pixels by OpenCV, and depth, of (n, 3) points in the world."""
    eye = scene.cameras[camera]
    camera_T_world = np.linalg.inv(eye.world_T_camera(frame))
    turn, _ = cv2.Rodrigues(camera_T_world[:3, :3])
    pixels, _ = cv2.projectPoints(points, turn, camera_T_world[:3, 3], eye.intrinsics, None)
    return pixels[:, 0], (points - eye.world_T_camera(frame)[:3, 3]) @ eye.world_T_camera(frame)[:3, 2]


def inside(part, points):
    """Whether (..., 3) points in the axes of the part's joint lie within it: membership, without any ray."""
    if part.box:
        return (np.abs(points - part.start) <= part.radii).all(-1)
    if not part.along.any():
        return (((points - part.start) / part.radii) ** 2).sum(-1) <= 1
    share = np.clip((points - part.start) @ part.along / (part.along @ part.along), 0, 1)
    return np.linalg.norm(points - part.start - share[..., None] * part.along, axis=-1) <= part.radii[0]


@pytest.mark.parametrize("camera", range(3))
@pytest.mark.parametrize("frame", [10, 72, 200, 320])
def test_every_joint_that_nobody_else_covers_lies_on_its_person(camera, frame):
    scene = crowd()
    labels, joints = scene.labels(camera, frame), scene.joints(frame)
    height, width = labels.shape
    checked = 0
    for person in scene.people:
        if np.isnan(joints[person - 1]).any():
            continue
        pixels, _ = opencv_projection(scene, camera, frame, joints[person - 1])
        near = cv2.dilate((labels == person).astype(np.uint8), np.ones((3, 3)))  # fingers are thinner than a pixel
        alone = scene.silhouette(camera, frame, person)
        for name, (x, y) in zip(MHR70, pixels.round().astype(int), strict=True):
            if not (0 <= x < width and 0 <= y < height):
                continue
            if name in {MHR70[index] for index in COCO17}:
                assert alone[y, x], f"{name} of person {person} at {x}, {y} is not on the silhouette"
            owner = labels[y, x]
            if owner == 0 and not alone[y, x]:
                assert near[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].any(), f"{name} of {person} at {x}, {y}"
            checked += owner == person
    assert checked > 40, f"only {checked} joints are visible"


@pytest.mark.parametrize("camera", range(3))
def test_a_pixel_belongs_to_the_first_solid_on_its_ray(camera):
    """Against marching along rays in steps of 1 cm, asking every solid whether the point is inside."""
    scene, generator, wrong, looked = crowd(), np.random.default_rng(camera), 0, 0
    for frame in (75, 318):
        labels = scene.labels(camera, frame)
        eye, pose = scene.cameras[camera], scene.cameras[camera].world_T_camera(frame)
        edges = cv2.dilate((labels > 0).astype(np.uint8), np.ones((9, 9))) > 0
        rows, columns = np.nonzero(edges)
        chosen = generator.choice(len(rows), 50, replace=False)
        rows, columns = rows[chosen], columns[chosen]
        rays = np.stack([columns, rows, np.ones(len(rows))], axis=1) @ np.linalg.inv(eye.intrinsics).T
        depths = np.arange(1.0, 16.0, 0.01)
        points = (rays[:, None] * depths[:, None]) @ pose[:3, :3].T + pose[:3, 3]
        first, owner = np.full(len(rows), np.inf), np.zeros(len(rows), int)
        for identity, parts, place, turn in solids(scene, frame):
            for part in parts:
                hit = inside(part, (points - place[part.node]) @ turn[part.node])
                entry = np.where(hit.any(1), depths[hit.argmax(1)], np.inf)
                owner[entry < first] = identity
                first = np.minimum(first, entry)
        wrong += int((owner != labels[rows, columns]).sum())
        looked += len(rows)
    assert wrong <= 0.02 * looked, f"{wrong} of {looked} pixels differ; grazing rays may"


def solids(scene, frame):
    """Id, parts, positions and rotations in the world of everything in the scene; 0 for scenery."""
    position, rotation = scene._bodies(frame)
    for index, person in enumerate(scene.persons):
        yield index + 1, person.figure.parts, position[index], rotation[index]
    following = iter(range(len(scene.persons) + 1, 99))
    for thing in scene.things:
        about_y, _ = cv2.Rodrigues(np.array([0, thing.yaw, 0]))
        about_x, _ = cv2.Rodrigues(np.array([thing.turn[frame], 0, 0]))
        identity = 0 if thing.kind is None else next(following)
        yield identity, thing.parts, thing.place[frame][None], (about_y @ about_x)[None]


def test_two_cameras_agree_on_where_the_joints_are():
    scene = crowd()
    for frame in (0, 150, 300):
        joints = scene.joints(frame)
        matrices, pixels = [], []
        for camera in (0, 1):
            eye = scene.cameras[camera]
            matrices.append(eye.intrinsics @ np.linalg.inv(eye.world_T_camera(frame))[:3])
            pixels.append(scene.keypoints(camera, frame)[0].reshape(-1, 2))
        there = np.isfinite(pixels[0]).all(1) & np.isfinite(pixels[1]).all(1)
        found = cv2.triangulatePoints(*matrices, *(part[there].T for part in pixels))
        worst = np.abs((found[:3] / found[3]).T - joints.reshape(-1, 3)[there]).max()
        assert worst < 1e-6, f"{worst:.1e} m off"
        assert there.sum() >= 3 * 70


def test_keypoints_are_where_opencv_projects_the_joints():
    scene = crowd()
    for camera in range(3):
        pixels, depth = scene.keypoints(camera, 120)
        for person in range(2):
            expected, metres = opencv_projection(scene, camera, 120, scene.joints(120)[person])
            assert np.abs(pixels[person] - expected).max() < 1e-6
            assert np.abs(depth[person] - metres).max() < 1e-9


def test_labels_are_the_visible_part_of_silhouettes():
    scene = crowd()
    for camera in range(3):
        labels, fraction = scene.labels(camera, 318), scene.visible_fraction(camera, 318)
        assert labels.dtype == np.uint16
        for identity in scene.classes:
            alone = scene.silhouette(camera, 318, identity)
            assert not ((labels == identity) & ~alone).any()
            assert fraction[identity - 1] == pytest.approx((labels == identity).sum() / max(1, alone.sum()))


def test_feet_stand_on_the_ground():
    soles = [INDEX[f"{side}_{point}"] for side in ("left", "right") for point in ("heel", "big_toe", "small_toe")]
    lowest = np.array([crowd().joints(frame)[:, soles, 1].min(axis=1) for frame in range(0, FRAMES, 10)])
    assert np.nanmin(lowest) > 0.0
    assert np.nanmax(lowest) < 0.06, f"the lower sole is {np.nanmax(lowest):.3f} m above the ground"


def test_the_foot_that_stands_hardly_slides():
    scene = crowd_scene(2, people=1, frames=60)
    ankles = np.array([scene.joints(frame)[0, [INDEX["left_ankle"], INDEX["right_ankle"]]] for frame in range(20, 60)])
    travelled = np.linalg.norm(np.diff(ankles[:, :, [0, 2]], axis=0), axis=-1)  # (frames, feet) metres
    body = np.linalg.norm(np.diff(ankles[:, :, [0, 2]].mean(1), axis=0), axis=-1)
    assert np.median(travelled.min(1)) < 0.45 * np.median(body)


def test_bones_keep_their_lengths():
    scene = crowd()
    bones = [
        (INDEX[f"left_{a}"], INDEX[f"left_{b}"])
        for a, b in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))
    ]
    one, other = zip(*bones, strict=True)
    lengths = np.array(
        [
            np.linalg.norm(joints[0, list(one)] - joints[0, list(other)], axis=1)
            for joints in map(scene.joints, range(0, FRAMES, 20))
        ]
    )
    assert np.ptp(lengths, axis=0).max() < 1e-9
    assert (lengths[0] > 0.2).all()


def test_knees_bend_back_and_elbows_forward():
    """Seen in the body's own axes, from its shoulders and hips."""
    scene = crowd()
    for frame in range(0, FRAMES, 15):
        for joints in scene.joints(frame):
            if np.isnan(joints).any():
                continue
            across = joints[INDEX["left_hip"]] - joints[INDEX["right_hip"]]
            up = joints[INDEX["neck"]] - (joints[INDEX["left_hip"]] + joints[INDEX["right_hip"]]) / 2
            forward = np.cross(across, up) / np.linalg.norm(np.cross(across, up))
            for side in ("left", "right"):
                hip, knee, ankle = (joints[INDEX[f"{side}_{name}"]] for name in ("hip", "knee", "ankle"))
                thigh, shank = knee - hip, ankle - knee
                bend = (thigh / np.linalg.norm(thigh) - shank / np.linalg.norm(shank)) @ forward
                assert bend > -0.05, f"frame {frame}: {side} knee"


def test_no_two_moments_look_alike():
    """The body's shape, about the neck and turned back, differs between any two frames that lie 0.5 s apart or more."""
    scene = crowd()
    poses = np.array([scene.joints(frame)[0][list(COCO17)] for frame in range(0, FRAMES, 5)])
    distances = np.linalg.norm(poses[:, :, None] - poses[:, None], axis=-1).reshape(len(poses), -1)
    apart = np.abs(distances[:, None] - distances[None]).max(-1)
    apart[np.abs(np.subtract.outer(np.arange(len(poses)), np.arange(len(poses)))) < 3] = np.inf
    assert apart.min() > 0.01, f"two poses differ by {1000 * apart.min():.1f} mm"


def shirt(scene, camera, frame, person):
    """(3,) mean colour from shoulders to hips, without its brightness."""
    labels = scene.labels(camera, frame)
    rows = np.flatnonzero((labels == person).any(axis=1))
    top, height = rows[0], rows[-1] - rows[0]
    part = slice(int(top + 0.22 * height), int(top + 0.42 * height))
    mean = scene.image(camera, frame)[part][labels[part] == person].mean(axis=0)
    return mean / mean.sum()


def test_an_id_is_the_same_person_in_all_cameras():
    """Shirts have one colour, whoever looks."""
    scene = crowd_scene(4, people=2, frames=60)
    seen = np.array([[shirt(scene, camera, 30, person) for person in scene.people] for camera in range(3)])
    same = np.linalg.norm(seen - seen[:1], axis=-1).max()
    different = np.linalg.norm(seen[:, 0] - seen[:, 1], axis=-1).min()
    assert same < 0.8 * different, f"{same:.3f} apart in other cameras, {different:.3f} from the other person"


def test_two_people_wear_nearly_the_same_on_request():
    def difference(*, alike):
        scene = late_arrivals(3, people=2, frames=240, alike=alike)
        return np.linalg.norm(shirt(scene, 0, 200, 1) - shirt(scene, 0, 200, 2))

    assert 3 * difference(alike=True) < difference(alike=False)


def test_the_same_seed_gives_the_same_scene_whatever_is_asked_first():
    one, other = crowd_scene(7, frames=100), crowd_scene(7, frames=100)
    for frame in (90, 3):
        one.image(2, frame)
    for camera in range(3):
        assert np.array_equal(one.image(camera, 50), other.image(camera, 50))
        assert np.array_equal(one.labels(camera, 50), other.labels(camera, 50))
    assert np.array_equal(one.joints(50), other.joints(50), equal_nan=True)
    assert one.events == other.events
    assert not np.array_equal(one.image(0, 50), crowd_scene(8, frames=100).image(0, 50))


def test_a_caller_may_write_into_what_it_is_given():
    scene = crowd_scene(1, people=1, frames=40)
    before = scene.image(0, 5).copy(), scene.labels(0, 5).copy()
    for given in (scene.image(0, 5), scene.labels(0, 5)):
        given[:] = 0
    assert np.array_equal(scene.image(0, 5), before[0])
    assert np.array_equal(scene.labels(0, 5), before[1])


def test_a_frame_is_rendered_once(monkeypatch):
    calls = []
    look = TruthScene._look
    monkeypatch.setattr(TruthScene, "_look", lambda self, *args: calls.append(args) or look(self, *args))
    scene = crowd_scene(1, people=2, frames=40)
    for ask in (scene.image, scene.labels, scene.visible_fraction, scene.image):
        ask(0, 7)
    scene.silhouette(0, 7, 1)
    assert calls == [(0, 7)]


def test_backgrounds_move_and_flicker_where_nobody_walks():
    scene = crowd_scene(5, people=1, frames=120)
    for camera in range(3):
        first, second = (scene.image(camera, frame).astype(int) for frame in (0, 60))
        empty = (scene.labels(camera, 0) == 0) & (scene.labels(camera, 60) == 0)
        empty[scene.cameras[camera].height // 3 :] = False  # the wall
        assert np.abs(first - second)[empty].mean() > 8, f"camera {camera}"
        assert np.abs(first - scene.image(camera, 1)).max() > 5


def test_the_second_camera_moves_unless_asked_to_stand():
    moving, still = crowd_scene(1, people=1, frames=60), crowd_scene(1, people=1, frames=60, moving=False)
    shift = np.linalg.norm(np.diff([moving.cameras[1].world_T_camera(frame)[:3, 3] for frame in (0, 59)], axis=0))
    assert 0.05 < shift < 1.0
    for eye in (moving.cameras[0], *still.cameras):
        assert np.array_equal(eye.world_T_camera(0), eye.world_T_camera(59))
    for frame in (0, 30):
        rotation = moving.cameras[1].world_T_camera(frame)[:3, :3]
        assert rotation @ rotation.T == pytest.approx(np.eye(3))
        assert np.linalg.det(rotation) == pytest.approx(1)


def test_frames_and_ids_that_are_not_there_are_refused():
    scene = crowd_scene(1, people=2, frames=40)
    with pytest.raises(ValueError, match="expected 0 to 39"):
        scene.labels(0, 40)
    with pytest.raises(ValueError, match=r"expected one of \[1, 2\]"):
        scene.silhouette(0, 0, 3)
