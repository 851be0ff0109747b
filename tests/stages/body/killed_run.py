"""One attempt at a unit that estimates bodies frame by frame, in a process that may kill itself on the way.

Arguments: a folder with a clip (see test_resume.py), and the frame at which SIGKILL strikes; -1: none. Every frame that
the model sees is noted in `seen.txt`, before anything is done with it.
"""

import dataclasses
import logging
import os
import signal
import sys
from pathlib import Path

import numpy as np

from common import harness
from common.artifacts import FRAMES
from common.artifacts import people as people_artifact
from common.artifacts.bodies import save_person
from common.artifacts.masks import Masks
from common.media.decode import Frame
from common.storage.local import LocalStorage
from stages.body import framewise
from stages.body.clip import make_clip
from stages.body.framewise import FramewiseEstimator, Progress
from tests.sample_stages import HEADS
from tests.stages.body.scenes import HEIGHT, MATRIX, WIDTH
from tests.stages.body.standin_model import StandIn

CHUNK = 10


class Mortal(StandIn):
    def __init__(self, folder, kill_at):
        super().__init__(vertices=True)
        self._diary = folder / "seen.txt"
        self._kill_at = kill_at

    def estimate(self, image, boxes, masks, camera):
        frame = int(image[0, 0, 0])
        with self._diary.open("a") as diary:
            diary.write(f"{frame}\n")
        if frame == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().estimate(image, boxes, masks, camera)


def pictures(wanted):
    for index in wanted.tolist():
        yield Frame(index, index / 30, np.full((HEIGHT, WIDTH, 3), index, np.uint8), corrupt=False)


def main(folder, kill_at):
    def work(workspace, options):
        tracks = people_artifact.load_tracks(folder / "clip" / "json_data")
        output = workspace.output(FRAMES)
        with Masks.open(folder / "clip" / "mask_data.npz") as masks:
            clip = make_clip(np.arange(len(tracks.frames)) / 30, tracks, masks, intrinsics=MATRIX)
            model = FramewiseEstimator(Mortal(folder, kill_at), progress=Progress(output, workspace.checkpoints))
            for body in model.estimate(clip, pictures).values():
                save_person(output, body)

    framewise.CHUNK_FRAMES = CHUNK
    stage = dataclasses.replace(HEADS, run=work, checkpoints=True)
    output, data = LocalStorage(folder / "out"), LocalStorage(folder / "data")
    harness.execute(harness.Task(stage, output, "take", "cam01", stage.make_options({}), data))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    main(Path(sys.argv[1]), int(sys.argv[2]))
