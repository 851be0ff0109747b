"""What the body stage promises of every backend: that 2D is the projection of 3D, and what a killed run repeats.

Of SAM 3D Body and NLF the adapters run; in the place of their code and weights are the tests' stand-ins.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import Figure, information
from common.artifacts.bodies import PersonBody, load_person, save_person
from common.media.decode import Frame
from stages.body.backends import BodyEstimator, create
from stages.body.clip import Clip, make_clip
from stages.body.framewise import FramewiseEstimator, Progress
from stages.body.stage import Options
from tests.stages.body.backends import nlf_stand_in

TOLERANCE_PX = 0.01
_FRAMES = 12
_PEOPLE = [(40, 30, 129, 219), (180, 40, 270, 210)]  # boxes, first and last pixels
_KILLED_AT = 27  # of 47 frames, with chunks of 10


def measure(demo: Path) -> list[Figure]:
    """All figures; half a minute.

    Args:
        demo: where `make demo` put its results.
    """
    return [*projections(demo), interrupted()]


def projections(demo: Path) -> list[Figure]:
    """How far `pred_keypoints_2d` of files is from the projection of what else they hold: the worst keypoint."""
    real = [load_person(path) for path in sorted(demo.glob("*/*/body_data/person_*.npz"))]
    figures = [_projection("embedded, the demo", real)] if real else [information("embedded", "no demo: make demo")]
    with tempfile.TemporaryDirectory(prefix="ghost-body-") as folder:
        for name, estimator, one in _backends(Path(folder)):
            with one as scene:
                bodies = estimator.estimate(scene, _pictures)
            (Path(folder) / name).mkdir()
            saved = [load_person(save_person(Path(folder) / name, body)) for body in bodies.values()]
            figures.append(_projection(name, saved))
    return figures


def _projection(name: str, bodies: Sequence[PersonBody]) -> Figure:
    worst = max((_error_px(body) for body in bodies), default=np.nan)
    return Figure(
        f"{name}: 2D keypoints off the projection of 3D ones, {sum(map(len, bodies))} bodies",
        f"<= {TOLERANCE_PX} px",
        f"{worst:.4f} px",
        ok=bool(worst <= TOLERANCE_PX),
    )


def _error_px(body: PersonBody) -> float:
    """The largest distance, pixels; computed here, apart from the code that made the file."""
    points = body.pred_keypoints_3d.astype(np.float64) + body.pred_cam_t.astype(np.float64)[:, None]
    pixels = points[..., :2] / points[..., 2:] * body.focal[:, None] + body.principal_point[:, None]
    return float(np.nanmax(np.abs(pixels - body.pred_keypoints_2d)))


def _backends(folder: Path) -> Iterator[tuple[str, BodyEstimator, AbstractContextManager[Clip]]]:
    from tests.stages.body.backends.sam3d_standin import write_checkout, write_weights

    yield "fake", create(Options(backend="fake")), _scene(folder / "scene-fake")
    os.environ["STANDIN_GPUS"] = "1"  # the stand-in's torch has one
    options = Options(backend="sam3d-body", sam3d_path=str(write_checkout(folder / "checkout")), device="cuda")
    weights, progress = write_weights(folder / "weights"), Progress(_made(folder / "sam3d"))
    yield "sam3d-body", create(options, model=weights, progress=progress), _scene(folder / "scene-sam3d")
    yield "nlf", _nlf(folder), _scene(folder / "scene-nlf")


def _nlf(folder: Path) -> BodyEstimator:
    import torch

    from stages.body.backends.nlf import NlfModel

    model = NlfModel(nlf_stand_in.save_archive(folder / "nlf.pt"), device=torch.device("cpu"))
    return FramewiseEstimator(model, progress=Progress(_made(folder / "nlf-work")))


@contextmanager
def _scene(folder: Path) -> Iterator[Clip]:
    """A clip of two people, who are rectangles."""
    from tests.stages.body.scenes import write_masks

    pictures = nlf_stand_in.scene(_PEOPLE)
    labels = np.zeros(pictures.image.shape[:2], np.uint16)
    for person, (x1, y1, x2, y2) in enumerate(_PEOPLE, start=1):
        labels[y1 : y2 + 1, x1 : x2 + 1] = person
    masks, people = write_masks(folder, [labels] * _FRAMES)
    with masks:
        yield make_clip(np.arange(_FRAMES) / 30, people, masks, intrinsics=pictures.camera)


def _pictures(wanted: NDArray[np.int64]) -> Iterator[Frame]:
    for index in wanted.tolist():
        yield Frame(index, index / 30, nlf_stand_in.scene(_PEOPLE, frame=index).image, corrupt=False)


def interrupted() -> Figure:
    """Frames that the model sees twice because a run was killed by SIGKILL, against a chunk."""
    from tests.stages.body.killed_run import CHUNK
    from tests.stages.body.test_resume import FRAMES, scene

    with tempfile.TemporaryDirectory(prefix="ghost-body-") as folder:
        scene(Path(folder))
        seen = []
        for kill_at in (_KILLED_AT, -1):
            (Path(folder) / "seen.txt").write_text("", encoding="ascii")
            command = [sys.executable, "-m", "tests.stages.body.killed_run", folder, str(kill_at)]
            subprocess.run(command, check=False, capture_output=True)
            seen += (Path(folder) / "seen.txt").read_text(encoding="ascii").split()
    repeated = len(seen) - FRAMES
    whole = len(set(seen)) == FRAMES
    return Figure(
        f"body run killed in frame {_KILLED_AT} of {FRAMES}: frames estimated twice",
        f"<= {CHUNK} (a chunk)",
        str(repeated) if whole else "it did not finish",
        ok=whole and repeated <= CHUNK,
    )


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
