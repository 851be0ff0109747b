"""A stand-in for facebookresearch/sam-3d-body: its documented interface, its prints, and bodies that are known."""

from .build_models import load_sam_3d_body
from .sam_3d_body_estimator import SAM3DBodyEstimator

__all__ = ["SAM3DBodyEstimator", "load_sam_3d_body"]
