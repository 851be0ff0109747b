"""Writes a checkout of SAM 3D Body that needs neither weights nor a GPU, with faults as asked for."""

import json
import shutil
from pathlib import Path

import numpy as np

from stages.body.backends.sam3d_body import Sam3dBody
from stages.body.stage import Options

STANDIN = Path(__file__).parent / "standin"
HEIGHT, WIDTH = 120, 160
CAMERA = np.array([[200.0, 0, 78], [0, 190, 61], [0, 0, 1]])
COLOURS = {1: (200, 30, 10), 2: (10, 180, 60), 3: (20, 40, 220)}
BOXES = np.array([[20, 20, 49, 99], [60, 10, 99, 109], [110, 40, 139, 89]], np.float32)


def write_checkout(folder, *, real_torch=False, **variant):
    """A checkout in `folder`; in its own process torch is a stand-in too unless `real_torch`."""
    shutil.copytree(STANDIN / "checkout", folder, dirs_exist_ok=True)
    if not real_torch:
        shutil.copy(STANDIN / "torch" / "torch.py", folder)
    (folder / "variant.json").write_text(json.dumps(variant))
    return folder


def write_weights(folder):
    for name in ("model.ckpt", "model_config.yaml", "assets/mhr_model.pt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"weights")
    return folder


def settings(checkout, **changes):
    return Options(**{"backend": "sam3d-body", "sam3d_path": str(checkout), "device": "cuda", **changes})


def make_model(tmp_path, *, variant=None, real_torch=False, mapping=None, **changes):
    checkout = write_checkout(tmp_path / "checkout", real_torch=real_torch, **(variant or {}))
    return Sam3dBody(settings(checkout, **changes), write_weights(tmp_path / "weights"), mapping=mapping)


def diary(tmp_path):
    """What the checkout was given, call by call; loading it is the first."""
    return [json.loads(line) for line in (tmp_path / "checkout" / "calls.jsonl").read_text().splitlines()]


def people(count=3):
    """Image, boxes and masks of some people, each a rectangle of one colour on grey."""
    image, masks = np.full((HEIGHT, WIDTH, 3), 128, np.uint8), np.zeros((count, HEIGHT, WIDTH), bool)
    for index, (x1, y1, x2, y2) in enumerate(BOXES[:count].astype(int)):
        masks[index, y1 : y2 + 1, x1 : x2 + 1] = True
        image[masks[index]] = COLOURS[index + 1]
    return image, BOXES[:count], masks
