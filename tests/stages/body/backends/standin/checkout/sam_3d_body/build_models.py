"""The model: a backbone that averages colours, and bodies that stand in their boxes."""

# ruff: noqa: T201 - the official code prints, and that must do no harm

import importlib
import os
import threading
import time

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
            return bodies(img, batch, inference_type)

else:

    class Model:
        device = "cuda"

        def run_inference(self, img, batch, inference_type="full", transform_hand=None, thresh_wrist_angle=1.4):
            return bodies(img, batch, inference_type)


def load_sam_3d_body(checkpoint_path="", device="cuda", mhr_path=""):
    print("Loading SAM 3D Body model...")
    note(
        loaded=checkpoint_path,
        mhr=mhr_path,
        device=str(device),
        cublas=os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
        visible=os.environ.get("CUDA_VISIBLE_DEVICES"),
    )
    if VARIANT.get("dinov3"):
        importlib.import_module("dinov3.hub")  # as torch.hub does, from the folder that it has fetched
    if VARIANT.get("lingers"):
        threading.Thread(target=time.sleep, args=(60,)).start()
    if VARIANT.get("load") == "crash":
        raise FileNotFoundError("no dinov3 in the cache")
    if VARIANT.get("load") == "hub":
        raise OSError("<urlopen error [Errno -3] Temporary failure in name resolution>")
    if VARIANT.get("load") == "memory":
        raise RuntimeError("CUDA out of memory. Tried to allocate 3 GiB")
    return Model(), {"MODEL": {"DECODER": {"USE_INTRIN_CENTER": True} if VARIANT.get("uses_centre") else {}}}


def template():
    """(70, 3) metres, y down: a figure on its ground point, from head to feet."""
    points = np.random.default_rng(0).uniform(-0.3, 0.3, (70, 3))
    points[:, 1] = -np.linspace(1.7, 0.0, 70)
    return points


def bodies(img, batch, mode):
    """What `pose_output["mhr"]` holds: for each box a figure as tall as the box, on its lower edge.

    As in the official code a person is placed as seen from the middle of the image, unless the configuration says from
    the principal point; and "full" projects once more, from the middle and with one focal length.
    """
    camera, found = np.asarray(batch["cam_int"], np.float32)[0], []
    height, width = img.shape[:2]
    middle = np.array([width / 2, height / 2], np.float32)
    centre = camera[:2, 2] if VARIANT.get("uses_centre") else middle
    full = np.array([[camera[0, 0], 0, middle[0]], [0, camera[0, 0], middle[1]], [0, 0, 1]], np.float32)
    for x1, y1, x2, y2 in np.asarray(batch["bbox"], np.float32)[0]:
        depth = camera[1, 1] * 1.7 / (y2 - y1)
        foot = [(x1 + x2) / 2, y2]
        place = np.array([*((foot - centre) / camera[[0, 1], [0, 1]] * depth), depth], np.float32)
        points = template().astype(np.float32)
        seen = (points + place) @ (full if mode == "full" else camera).T
        found.append((points, place, (seen[:, :2] / seen[:, 2:]).astype(np.float32)))
    points, place, pixels = (np.stack(parts).astype(np.float32) for parts in zip(*found, strict=True))
    return {"pred_keypoints_3d": points, "pred_cam_t": place, "pred_keypoints_2d": pixels, "focal": camera[0, 0]}
