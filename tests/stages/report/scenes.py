"""Scenes of known content for the report: recordings, artifacts and manifests, made without running a stage."""

import hashlib
import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from common.artifacts import BODIES, FRAMES, IDENTITIES, MASKS, PEOPLE, SCENE, SYNC_PICTURE, SYNCHRONIZATION
from common.artifacts import bodies as bodies_artifact
from common.artifacts import frames as frames_artifact
from common.artifacts import identities as identities_artifact
from common.artifacts import people as people_artifact
from common.artifacts import scene as scene_artifact
from common.artifacts import synchronization as synchronization_artifact
from common.artifacts.bodies import PersonBody
from common.artifacts.label_geometry import people_in
from common.artifacts.masks import MaskWriter
from common.artifacts.scene import Scene, SceneVideo
from common.artifacts.synchronization import CameraStart, PairOffset, Synchronization
from common.fingerprint import of_recording
from common.manifest import Failure, Manifest, RunRecord, encode, failure_key, manifest_key, unit_name
from common.media.encode import VideoWriter
from common.media.packet_times import read_time_table
from common.media.properties import VideoProperties
from common.published import Published
from common.storage.interface import StoredFile
from common.storage.local import LocalStorage
from common.workspace import Workspace
from stages.report.stage import STAGE

WIDTH, HEIGHT, RATE = 160, 96, 30.0
START = "2026-01-02T03:04:05+00:00"


class SceneMaker:
    """Builds `data/take/*.mp4` and `out/take/…` under a folder, as finished stages would leave them."""

    def __init__(self, folder: Path, name: str = "take") -> None:
        self.folder, self.name = folder, name
        self.data, self.output = LocalStorage(folder / "data"), LocalStorage(folder / "out")
        self.videos: dict[str, SceneVideo] = {}
        self.published: dict[tuple[str, str | None], None] = {}  # in the order of the first time
        (folder / "data" / name).mkdir(parents=True)
        (folder / "out" / name).mkdir(parents=True)

    @property
    def root(self) -> Path:
        return self.folder / "out" / self.name

    def add_video(self, video: str, *, times: np.ndarray | None = None, problem: str | None = None) -> None:
        """A recording that gets brighter, 30 frames unless times are given; unreadable if it has a problem."""
        path = self.folder / "data" / self.name / f"{video}.mp4"
        times = np.arange(30) / RATE if times is None else times
        if problem is None:
            with VideoWriter(path, rate=RATE) as writer:
                for frame, seconds in enumerate(times):
                    writer.write(np.full((HEIGHT, WIDTH, 3), min(255, 40 + 2 * frame), np.uint8), seconds=seconds)
        else:
            path.write_bytes(b"not a video")
        readable = {"width": WIDTH, "height": HEIGHT, "rate": RATE, "duration": 1.0, "codec": "h264"}
        self.videos[video] = SceneVideo(
            path.name,
            path.stat().st_size,
            of_recording(path),
            **(readable if problem is None else {}),
            problem=problem,
        )

    def ingest(self) -> None:
        scene_artifact.save(self.root / SCENE.path, Scene(self.name, self.videos))
        self.publish("ingest", None, [SCENE.path], found={"videos": len(self.videos)})

    def frames(self, video: str) -> None:
        folder = self.root / FRAMES.key(video)
        table = read_time_table(self.folder / "data" / self.name / f"{video}.mp4")
        properties = VideoProperties(
            WIDTH, HEIGHT, WIDTH, HEIGHT, 0, "h264", "yuv420p", table.time_base, RATE, 1.0, False, "mov,mp4"
        )
        assert isinstance(table.time_base, Fraction)
        frames_artifact.save(folder, table, properties)
        self.publish("frames", video, [FRAMES.key(video)], options={"jpeg": False})

    def segment(
        self,
        video: str,
        people: dict[int, range],
        *,
        frames: int = 30,
        class_names: dict[int, str] | None = None,
        **manifest: object,
    ) -> None:
        """Everybody is a box 20 wide and 60 high at x = 40 * id - 20, in the frames of a range."""
        folder = self.root / PEOPLE.key(video)
        folder.mkdir(parents=True)
        with MaskWriter(self.root / MASKS.key(video), height=HEIGHT, width=WIDTH) as writer:
            for frame in range(frames):
                labels = np.zeros((HEIGHT, WIDTH), np.uint16)
                for person, seen in people.items():
                    if frame in seen:
                        labels[20:80, 40 * person - 30 : 40 * person - 10] = person
                writer.write(frame, labels)
                found = people_artifact.from_geometry(
                    frame, people_in(labels), height=HEIGHT, width=WIDTH, class_names=class_names
                )
                people_artifact.save_frame(folder, found)
        manifest = {
            "options": {"backend": "embedded", "detection_step": 50},
            "found": {"people": len(people)},
        } | manifest
        self.publish("segment", video, [MASKS.key(video), PEOPLE.key(video)], **manifest)

    def body(self, video: str, people: dict[int, range], *, confidence: float = 0.9, **manifest: object) -> None:
        folder = self.root / BODIES.key(video)
        folder.mkdir(parents=True)
        made = {person: a_body(person, seen, confidence=confidence) for person, seen in people.items()}
        for body in made.values():
            bodies_artifact.save_person(folder, body)
        bodies_artifact.save_summary(folder, video, made)
        manifest = {"options": {"backend": "embedded", "sam3d_step": 1, "smooth": False}} | manifest
        self.publish("body", video, [BODIES.key(video)], **manifest)

    def sync(
        self,
        cameras: dict[str, CameraStart],
        identities: dict[str, dict[int, int]],
        pairs: tuple[PairOffset, ...] = (),
        *,
        facts: dict[str, object] | None = None,
        **manifest: object,
    ) -> None:
        """Start times with further facts of the scene, identities, and a picture of nothing."""
        answer = Synchronization(self.name, cameras, pairs, "a method", **(facts or {}))
        synchronization_artifact.save(self.root / SYNCHRONIZATION.path, answer)
        (self.root / SYNC_PICTURE.path).write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')
        identities_artifact.save(self.root / IDENTITIES.path, identities)
        manifest = {"options": {"max_offset": 60.0}} | manifest
        self.publish("sync", None, [SYNCHRONIZATION.path, SYNC_PICTURE.path, IDENTITIES.path], **manifest)

    def publish(self, stage: str, video: str | None, keys: list[str], **fields: object) -> None:
        """The manifest of files that are already in their place, made from all that was published before them."""
        inputs = {f"{made}/{unit_name(of)}": {} for made, of in self._before(stage, video)}
        self.published[stage, video] = None
        files = []
        for key in keys:
            path = self.root / key
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                content = file.read_bytes()
                relative = file.relative_to(self.root).as_posix()
                files.append(StoredFile(relative, len(content), hashlib.sha256(content).hexdigest()))
        values = {
            "options": {},
            "weights": {},
            "packages": {"numpy": "2.0"},
            "record": RunRecord(START, 12.5, 8.25, 300 * 2**20, 1000, 2_500_000),
            "inputs": inputs,
            "code": "c0de" * 16,
        } | fields
        manifest = Manifest(stage=stage, scene=self.name, video=video, key="k", files=tuple(files), **values)
        self.output.write(manifest_key(self.name, stage, video), encode(manifest))

    def _before(self, stage: str, video: str | None) -> Iterator[tuple[str, str | None]]:
        """What was published before a unit, as far as it concerns it."""
        for other, of in self.published:
            if other == stage and of == video:
                return
            if other != stage and (of is None or (of in self.videos and video in (None, of))):
                yield other, of

    def fail(self, stage: str, video: str | None, message: str, code: int = 65) -> None:
        failure = Failure(stage, self.name, video, code, message, START)
        self.output.write(failure_key(self.name, stage, video), encode(failure))

    def workspace(self, attempt: str = "attempt") -> Workspace:
        folder = self.folder / attempt
        folder.mkdir(exist_ok=True)
        return Workspace(Published(self.output, self.name), folder, stage=STAGE.name, video=None, data=self.data)

    def report(self, attempt: str = "attempt") -> str:
        """Runs the stage and returns the page."""
        workspace = self.workspace(attempt)
        STAGE.run(workspace, STAGE.make_options({}))
        return (self.folder / attempt / "report.html").read_text(encoding="utf-8")


def a_body(person: int, seen: range, *, confidence: float = 0.9) -> PersonBody:
    """Stands still 4 m away; seen in the image 3 px to the right of the projection."""
    rows = len(seen)
    local = np.zeros((rows, 70, 3), np.float32)
    local[..., 1] = np.linspace(-0.8, 0.8, 70)
    local[..., 0] = np.where(np.arange(70) % 2, 0.2, -0.2)
    at = np.tile(np.array([(40 * person - 20 - 80) / 160 * 4, 0, 4], np.float32), (rows, 1))
    points = local + at[:, None]
    flat = points[..., :2] / points[..., 2:] * 160 + np.array([80, 48], np.float32)
    trust = np.full((rows, 70), confidence, np.float32)
    local[:, 40:], trust[:, 40:], flat[:, 40:] = np.nan, 0, np.nan
    return PersonBody(
        person=person,
        frame_indices=np.array(seen, np.int32),
        pred_keypoints_3d=local,
        pred_keypoints_2d=flat,
        pred_cam_t=at,
        focal_length=np.full(rows, 160, np.float32),
        bbox=np.zeros((rows, 4), np.float32),
        times=np.array(seen) / RATE,
        confidence=trust,
        principal_point=np.tile(np.array([80, 48], np.float32), (rows, 1)),
        observed_keypoints_2d=flat + np.array([3, 0], np.float32),
    )


def full_scene(folder: Path) -> SceneMaker:
    """Three cameras, two people in the first two of them, one in the third, which starts half a second later."""
    maker = SceneMaker(folder)
    everybody = {
        "left": {1: range(30), 2: range(10, 30)},
        "middle": {1: range(30), 2: range(30)},
        "right": {1: range(30)},
    }
    for video in everybody:
        maker.add_video(video)
    maker.ingest()
    for video, people in everybody.items():
        maker.frames(video)
        maker.segment(video, people)
        maker.body(video, people)
    maker.sync(
        {
            "left": CameraStart(0.0, 0.012, "ok", 9.0),
            "middle": CameraStart(0.1, 0.02, "ok", 8.0),
            "right": CameraStart(0.5, 0.3, "uncertain", 3.0, ("little motion",), ("Move more.",)),
        },
        {"left": {1: 1, 2: 2}, "middle": {1: 2, 2: 1}, "right": {1: 1}},
        (PairOffset("left", "middle", 0.1, 0.02, 0.8, 7.5, 0.9, -0.001, ((1, 2), (2, 1))),),
    )
    return maker


def damage(path: Path) -> None:
    """Replaces a file's content by as many other bytes, so that only reading it finds out."""
    path.write_bytes(b"\x07" * path.stat().st_size)


def edit_json(path: Path, change: object) -> None:
    """Applies a function to a JSON file."""
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
