"""The estimator, and what it insists on."""

# ruff: noqa: T201 - the official code prints, and that must do no harm

import os
import sys

import numpy as np
import torch

from sam_3d_body.utils import recursive_to

from .variant import VARIANT, note


class SAM3DBodyEstimator:
    def __init__(self, sam_3d_body_model, model_cfg, human_detector=None, human_segmentor=None, fov_estimator=None):
        self.model = sam_3d_body_model
        self.faces = np.stack([np.arange(36874) % 18439, (np.arange(36874) + 1) % 18439, np.arange(36874) // 3], axis=1)
        print("No human detector is used...")
        print("Mask-condition inference is not supported...")
        self.frames = 0
        self.process_one_image = self._with_masks if not VARIANT.get("old") else self._without_masks

    def _without_masks(self, img, bboxes=None, cam_int=None, inference_type="full"):
        return self._process(img, bboxes, None, cam_int, inference_type)

    def _with_masks(
        self, img, bboxes=None, masks=None, cam_int=None, det_cat_id=0, bbox_thr=0.5, nms_thr=0.3, use_mask=False,
        inference_type="full",
    ):  # fmt: skip
        return self._process(img, bboxes, masks, cam_int, inference_type)

    def _process(self, img, boxes, masks, cam_int, inference_type):
        print("####### Please make sure the input image is in RGB format")
        os.write(1, b"not every line comes from Python\n")
        height, width = img.shape[:2]
        self.frames += 1
        count = len(boxes)
        entry = {
            "image": [*img.shape, str(img.dtype)],
            "boxes": [*boxes.shape, str(boxes.dtype)],
            "camera": [*cam_int.shape, str(np.asarray(cam_int).dtype), np.asarray(cam_int).ravel().tolist()],
            "is_tensor": isinstance(cam_int, torch.Tensor),
            "mode": inference_type,
            "masks": None if masks is None else [*masks.shape, str(masks.dtype), int(masks.max())],
            "colours": [] if masks is None else [img[mask > 0].mean(axis=0).round().tolist() for mask in masks],
            "modules": sorted(name for name in sys.modules if name.partition(".")[0] in ("common", "stages")),
            "path": sys.path[:2],
            "PYTHONPATH": os.environ["PYTHONPATH"].split(os.pathsep),
        }
        note(**entry)
        if masks is not None and (masks.shape != (count, height, width) or masks.dtype != np.uint8):
            raise AssertionError(f"masks {masks.shape} {masks.dtype}")
        if self.frames == VARIANT.get("dies_at"):
            print("CUDA error: an illegal memory access" if VARIANT.get("of_gpu") else "Segmentation fault")
            sys.stdout.flush()
            os._exit(11)
        if self.frames == VARIANT.get("raises_at"):
            raise IndexError("something of the official code")
        if count > VARIANT.get("fits", 99):
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        batch = recursive_to(
            {"cam_int": cam_int, "bbox": np.asarray(boxes)[None], **self._crops(img, boxes, masks)}, "cuda"
        )
        out = recursive_to(self.model.run_inference(img, batch, inference_type=inference_type), "numpy")
        return [self._person(out, index, boxes[index]) for index in range(count)][: VARIANT.get("most", 99)]

    def _crops(self, img, boxes, masks):
        if not hasattr(torch, "nn"):
            return {}
        pictures = [img, *([] if masks is None else [mask[..., None] for mask in masks])]
        crops = []
        for index, (x1, y1, x2, y2) in enumerate(boxes):
            side, middle = 1.25 * max((x2 - x1) / 0.75, y2 - y1), ((x1 + x2) / 2, (y1 + y2) / 2)
            grid = (np.arange(64) / 63 - 0.5) * side
            columns = np.rint(middle[0] + grid).astype(int)
            rows = np.rint(middle[1] + grid).astype(int)
            inside = np.ix_((rows >= 0) & (rows < img.shape[0]), (columns >= 0) & (columns < img.shape[1]))
            both = []
            for picture in (pictures[0], *([] if masks is None else [pictures[1 + index]])):
                crop = np.zeros((64, 64, picture.shape[2]), np.float32)
                crop[inside] = picture[rows.clip(0, img.shape[0] - 1)][:, columns.clip(0, img.shape[1] - 1)][inside]
                both.append(torch.from_numpy(crop).permute(2, 0, 1))
            crops.append(both)
        batch = {"img": torch.stack([crop[0] for crop in crops])[None]}
        zeros = torch.zeros(len(boxes), 1, 64, 64)
        batch["mask"] = (zeros if masks is None else torch.stack([crop[1] for crop in crops]))[None]
        return batch

    def _person(self, out, index, box):
        person = {
            "bbox": box,
            "focal_length": np.float32(out["focal"]),
            "pred_keypoints_3d": out["pred_keypoints_3d"][index].copy(),
            "pred_keypoints_2d": out["pred_keypoints_2d"][index].copy(),
            "pred_cam_t": out["pred_cam_t"][index],
            "pred_vertices": np.linspace(-1, 1, 18439 * 3, dtype=np.float32).reshape(-1, 3) + np.float32(index / 8),
            "global_rot": np.full(3, 0.1, np.float32),
            "body_pose_params": np.full(133, 0.2, np.float32),
            "hand_pose_params": np.full(108, 0.3, np.float32),
            "scale_params": np.full(28, 0.4, np.float32),
            "shape_params": np.full(45, 0.5, np.float32),
            "mask": None,
        }
        if self.frames == VARIANT.get("wild_at"):
            person["pred_keypoints_3d"][7] = np.nan
            person["global_rot"] = np.full(3, np.nan, np.float32)
        if self.frames == VARIANT.get("crooked_at"):
            person["pred_keypoints_2d"] += np.float32(0.5)
        if VARIANT.get("lacks"):
            del person[VARIANT["lacks"]]
        if VARIANT.get("short"):
            person[VARIANT["short"]] = person[VARIANT["short"]][:-1]
        return person
