"""The published architectures at their full size, with random weights: what they cost, without a download.

Speed and memory do not depend on the values of weights. The numbers of parameters are the published ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import (
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    GroundingDinoImageProcessorPil,
    GroundingDinoProcessor,
    Sam2HieraDetConfig,
    Sam2VideoConfig,
    Sam2VideoModel,
    Sam2VisionConfig,
    SwinConfig,
)

from tests import tiny_models

if TYPE_CHECKING:
    from transformers.models.sam3_video.modeling_sam3_video import Sam3VideoModel

SAM2: dict[str, dict[str, Any]] = {
    "tiny": {  # 39.0 M parameters
        "hidden_size": 96,
        "num_attention_heads": 1,
        "blocks_per_stage": [1, 2, 7, 2],
        "embed_dim_per_stage": [96, 192, 384, 768],
        "num_attention_heads_per_stage": [1, 2, 4, 8],
        "window_size_per_stage": [8, 4, 14, 7],
        "window_positional_embedding_background_size": [7, 7],
        "global_attention_blocks": [5, 7, 9],
    },
    "small": {  # 46.1 M
        "hidden_size": 96,
        "num_attention_heads": 1,
        "blocks_per_stage": [1, 2, 11, 2],
        "embed_dim_per_stage": [96, 192, 384, 768],
        "num_attention_heads_per_stage": [1, 2, 4, 8],
        "window_size_per_stage": [8, 4, 14, 7],
        "window_positional_embedding_background_size": [7, 7],
        "global_attention_blocks": [7, 10, 13],
    },
    "base-plus": {  # 80.9 M
        "hidden_size": 112,
        "num_attention_heads": 2,
        "blocks_per_stage": [2, 3, 16, 3],
        "embed_dim_per_stage": [112, 224, 448, 896],
        "num_attention_heads_per_stage": [2, 4, 8, 16],
        "window_size_per_stage": [8, 4, 14, 7],
        "window_positional_embedding_background_size": [14, 14],
        "global_attention_blocks": [12, 16, 20],
    },
    "large": {  # 224.4 M
        "hidden_size": 144,
        "num_attention_heads": 2,
        "blocks_per_stage": [2, 6, 36, 4],
        "embed_dim_per_stage": [144, 288, 576, 1152],
        "num_attention_heads_per_stage": [2, 4, 8, 16],
        "window_size_per_stage": [8, 4, 16, 8],
        "window_positional_embedding_background_size": [7, 7],
        "global_attention_blocks": [23, 33, 43],
    },
}
"""The image encoders of SAM 2.1, as in its configuration files."""

GROUNDING_DINO: dict[str, dict[str, Any]] = {
    "tiny": {  # 172 M parameters in all
        "image_size": 224,
        "embed_dim": 96,
        "depths": [2, 2, 6, 2],
        "num_heads": [3, 6, 12, 24],
        "window_size": 7,
    },
    "base": {  # 232 M
        "image_size": 384,
        "embed_dim": 128,
        "depths": [2, 2, 18, 2],
        "num_heads": [4, 8, 16, 32],
        "window_size": 12,
    },
}
"""The Swin transformers in Grounding DINO."""

_SWIN: dict[str, Any] = {"patch_size": 4, "out_features": ["stage2", "stage3", "stage4"]}
_VOCABULARY = 30522  # of BERT, which reads Grounding DINO's prompts


def sam2(size: str = "large") -> Sam2VideoModel:
    """A SAM 2.1 video model as transformers initialises it; `size` is one of SAM2."""
    backbone = Sam2HieraDetConfig(**SAM2[size])
    vision = Sam2VisionConfig(
        backbone_config=backbone, backbone_channel_list=list(reversed(SAM2[size]["embed_dim_per_stage"]))
    )
    config = Sam2VideoConfig(
        vision_config=vision,
        enable_temporal_pos_encoding_for_object_pointers=True,
        enable_occlusion_spatial_embedding=True,
    )
    torch.manual_seed(0)
    model: Sam2VideoModel = Sam2VideoModel(config).eval()
    return model


def save_sam2(folder: Path, size: str = "large") -> Path:
    """Saves a SAM 2.1 video model in the layout of facebook/sam2.1-hiera-*; large is 0.9 GB.

    Unlike with usual random weights, its masks are neither empty nor full, and change from frame to frame.
    """
    model = sam2(size)
    tiny_models.wake(model, presence=2.0, memory=1.0)
    model.save_pretrained(folder)
    return folder


def grounding_dino(size: str = "tiny") -> GroundingDinoForObjectDetection:
    """A Grounding DINO; `size` is one of GROUNDING_DINO."""
    backbone = SwinConfig(**GROUNDING_DINO[size], **_SWIN)
    torch.manual_seed(0)
    config = GroundingDinoConfig(backbone_config=backbone)
    model: GroundingDinoForObjectDetection = GroundingDinoForObjectDetection(config).eval()
    return model


def save_grounding_dino(folder: Path, size: str = "tiny") -> Path:
    """Saves `grounding_dino` with its processor in the layout of IDEA-Research/grounding-dino-*; tiny is 0.7 GB.

    It reads the words of `tests.tiny_models.WORDS`.
    """
    grounding_dino(size).save_pretrained(folder)
    image_processor = GroundingDinoImageProcessorPil(size={"shortest_edge": 800, "longest_edge": 1333})
    processor: Any = GroundingDinoProcessor
    processor(image_processor, tiny_models.tokenizer(_VOCABULARY)).save_pretrained(folder)
    return folder


def sam3() -> Sam3VideoModel:
    """The SAM 3 video model, 860 M parameters."""
    from transformers.models.sam3_video.configuration_sam3_video import Sam3VideoConfig
    from transformers.models.sam3_video.modeling_sam3_video import Sam3VideoModel  # the top level wants torchvision

    torch.manual_seed(0)
    model: Sam3VideoModel = Sam3VideoModel(Sam3VideoConfig()).eval()
    return model
