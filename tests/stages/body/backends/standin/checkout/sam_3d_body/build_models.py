"""The model: a backbone that averages colours, and bodies that stand in their boxes."""

# ruff: noqa: T201 - the official code prints, and that must do no harm

import os

import numpy as np
import torch

from .variant import VARIANT, note

if hasattr(torch, "nn"):

    class Backbone(torch.nn.Module):
        def forward(self, x, extra_embed=None):
            """(N, 4, 8, 8): red, green and blue of each patch, and one."""
            patches = torch.nn.functional.adaptive_avg_pool2d(x, (8, 8))
            return torch.cat([patches, torch.ones_like(patches[:, :1])], dim=1)

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = Backbone()
            self.device = torch.device("cpu")

        def run_inference(self, img, batch, inference_type="full", transform_hand=None, thresh_wrist_angle=1.4):
            torch.arange(4).cuda()  # as the official code does, whatever the device
            crops = batch["img"]
            self.backbone(crops.reshape(-1, *crops.shape[2:]))
            if inference_type == "full":
                self.backbone(torch.zeros(len(crops[0]), 3, 64, 64))  # left hands
                self.backbone(torch.zeros(len(crops[0]), 3, 64, 64))  # and right ones
            return bodies(batch)

else:

    class Model:
        device = "cuda"

        def run_inference(self, img, batch, inference_type="full", transform_hand=None, thresh_wrist_angle=1.4):
            return bodies(batch)


def load_sam_3d_body(checkpoint_path="", device="cuda", mhr_path=""):
    print("Loading SAM 3D Body model...")
    note(loaded=checkpoint_path, mhr=mhr_path, device=str(device), cublas=os.environ.get("CUBLAS_WORKSPACE_CONFIG"))
    if VARIANT.get("load") == "crash":
        raise FileNotFoundError("no dinov3 in the cache")
    if VARIANT.get("load") == "hub":
        raise OSError("<urlopen error [Errno -3] Temporary failure in name resolution>")
    if VARIANT.get("load") == "memory":
        raise RuntimeError("CUDA out of memory. Tried to allocate 3 GiB")
    return Model(), {"MODEL": {}}


def template():
    """(70, 3) metres, y down: a figure on its ground point, from head to feet."""
    points = np.random.default_rng(0).uniform(-0.3, 0.3, (70, 3))
    points[:, 1] = -np.linspace(1.7, 0.0, 70)
    return points


def bodies(batch):
    """What `pose_output["mhr"]` holds: for each box a figure as tall as the box, on its lower edge."""
    camera, found = np.asarray(batch["cam_int"], np.float32)[0], []
    for x1, y1, x2, y2 in np.asarray(batch["bbox"], np.float32)[0]:
        depth = camera[1, 1] * 1.7 / (y2 - y1)
        foot = [(x1 + x2) / 2, y2]
        place = np.array([*((foot - camera[:2, 2]) / camera[[0, 1], [0, 1]] * depth), depth], np.float32)
        points = template().astype(np.float32)
        seen = (points + place) @ camera.T
        found.append((points, place, (seen[:, :2] / seen[:, 2:]).astype(np.float32)))
    points, place, pixels = (np.stack(parts).astype(np.float32) for parts in zip(*found, strict=True))
    return {"pred_keypoints_3d": points, "pred_cam_t": place, "pred_keypoints_2d": pixels, "focal": camera[0, 0]}
