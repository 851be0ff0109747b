"""Models of the real architectures, a thousand times smaller, with random weights, saved like the real ones.

Every adapter loads them from a folder by the code that loads the real weights. Odd sizes have reasons: SAM 2's width
must exceed 64, because that of a memory's keys is fixed in its code, and a block of global attention must not be the
first of its stage; Grounding DINO needs at least 256 positions of text, and finds the token ids 101, 102, 1012 and 1029
(start, end, full stop, question mark) by number.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import (
    BertConfig,
    BertTokenizerFast,
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
from transformers.models.sam2_video.configuration_sam2_video import (
    Sam2VideoMaskDecoderConfig,
    Sam2VideoPromptEncoderConfig,
)

if TYPE_CHECKING:
    from transformers.models.sam3_video.modeling_sam3_video import Sam3VideoModel

WORDS = ("person", "a", "bicycle", "dog", "red", "traffic", "light")
"""All that the small Grounding DINO can read; everything else is unknown to its tokenizer."""

_SPECIAL = {100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]", 1012: ".", 1029: "?"}
_FIRST_WORD = 1050
_VOCABULARY = 1100

_TRACKER: dict[str, Any] = {
    "memory_attention_hidden_size": 128,
    "memory_attention_num_layers": 1,
    "memory_attention_feed_forward_hidden_size": 32,
    "memory_encoder_hidden_size": 128,
    "memory_encoder_output_channels": 64,
    "mask_downsampler_embed_dim": 128,
    "memory_fuser_embed_dim": 128,
    "memory_fuser_intermediate_dim": 32,
    "memory_fuser_num_layers": 1,
}
_DECODER: dict[str, Any] = {
    "hidden_size": 128,
    "mlp_dim": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "iou_head_hidden_dim": 32,
}


def grounding_dino(folder: Path, *, seed: int = 0, shortest_edge: int = 160, longest_edge: int = 256) -> Path:
    """Saves a Grounding DINO of 0.5 M parameters with its processor; 2 MB.

    Scores of random weights are near 0.5 for every box and word: thresholds around it decide what is found.
    """
    config = GroundingDinoConfig(
        backbone_config=SwinConfig(
            image_size=64,
            patch_size=4,
            embed_dim=16,
            depths=[1, 1, 1, 1],
            num_heads=[1, 2, 2, 2],
            window_size=4,
            out_features=["stage2", "stage3", "stage4"],
        ),
        text_config=BertConfig(
            vocab_size=_VOCABULARY,
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=256,
        ),
        d_model=32,
        encoder_layers=1,
        decoder_layers=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_n_points=2,
        decoder_n_points=2,
        num_queries=20,
        num_feature_levels=4,
        max_text_len=256,
        text_enhancer_dropout=0.0,
    )
    torch.manual_seed(seed)
    GroundingDinoForObjectDetection(config).save_pretrained(folder)
    size = {"shortest_edge": shortest_edge, "longest_edge": longest_edge}
    GroundingDinoProcessor(GroundingDinoImageProcessorPil(size=size), tokenizer()).save_pretrained(folder)
    return folder


def tokenizer(vocabulary: int = _VOCABULARY) -> BertTokenizerFast:
    """Reads WORDS, with the ids that Grounding DINO counts on, and so many entries in all."""
    words = ["[PAD]"] + [f"[unused{index}]" for index in range(1, vocabulary)]
    for index, word in {**_SPECIAL, **dict(enumerate(WORDS, _FIRST_WORD))}.items():
        words[index] = word
    return BertTokenizerFast(vocab={word: index for index, word in enumerate(words)}, do_lower_case=True)


def sam2_video(*, seed: int = 1, side: int = 64, presence: float = 2.0) -> Sam2VideoModel:
    """A SAM 2.1 video model of 1.3 M parameters.

    Args:
        seed: of the weights. With 1, masks fill 20 to 50 % of the picture, change from frame to frame and
            differ between people; other seeds may give dull ones.
        side: of the pictures that it works on, pixels, a multiple of 32; masks have a quarter of it.
        presence: about what is added to how surely it sees somebody; below -1 everybody is hidden.
    """
    backbone = Sam2HieraDetConfig(
        hidden_size=16,
        num_attention_heads=1,
        image_size=[side, side],
        blocks_per_stage=[1, 2, 2, 1],
        embed_dim_per_stage=[16, 32, 64, 128],
        num_attention_heads_per_stage=[1, 2, 4, 8],
        window_size_per_stage=[8, 4, 8, 4],
        window_positional_embedding_background_size=[7, 7],
        global_attention_blocks=[4],
    )
    vision = Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[128, 64, 32, 16],
        fpn_hidden_size=128,
        backbone_feature_sizes=[[side // 4] * 2, [side // 8] * 2, [side // 16] * 2],
    )
    config = Sam2VideoConfig(
        vision_config=vision,
        image_size=side,
        memory_attention_rope_feat_sizes=[side // 16] * 2,
        prompt_encoder_config=Sam2VideoPromptEncoderConfig(hidden_size=128, image_size=side, patch_size=16),
        mask_decoder_config=Sam2VideoMaskDecoderConfig(**_DECODER),
        enable_temporal_pos_encoding_for_object_pointers=True,
        enable_occlusion_spatial_embedding=True,
        **_TRACKER,
    )
    torch.manual_seed(seed)
    model = Sam2VideoModel(config).eval()
    wake(model, presence=presence)
    return model


def save_sam2_video(folder: Path, *, seed: int = 1, side: int = 64, presence: float = 2.0) -> Path:
    """Saves `sam2_video`; 5 MB."""
    sam2_video(seed=seed, side=side, presence=presence).save_pretrained(folder)
    return folder


def sam3_video(*, seed: int = 0, side: int = 224, patch: int = 14, **thresholds: float) -> Sam3VideoModel:
    """A SAM 3 video model of 4.6 M parameters.

    Scores of random weights are near 0.25; with thresholds of 0, which are the default here, there are objects.
    """
    from transformers.models.sam3_video.configuration_sam3_video import Sam3VideoConfig
    from transformers.models.sam3_video.modeling_sam3_video import Sam3VideoModel  # the top level wants torchvision

    grid = side // patch
    small: dict[str, Any] = {"hidden_size": 128, "intermediate_size": 64, "num_attention_heads": 2}
    detector = {
        "model_type": "sam3",
        "vision_config": {
            "model_type": "sam3_vision_model",
            "fpn_hidden_size": 128,
            "backbone_feature_sizes": [[4 * grid] * 2, [2 * grid] * 2, [grid] * 2],
            "backbone_config": {
                "model_type": "sam3_vit_model",
                "hidden_size": 32,
                "intermediate_size": 64,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "image_size": side,
                "patch_size": patch,
                "window_size": 8,
                "global_attn_indexes": [1],
                "pretrain_image_size": 112,
            },
        },
        "text_config": {
            "model_type": "clip_text_model",
            "vocab_size": 1000,
            "hidden_size": 32,
            "intermediate_size": 64,
            "projection_dim": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "max_position_embeddings": 32,
            "hidden_act": "gelu",
        },
        "geometry_encoder_config": {"num_layers": 1, **small},
        "detr_encoder_config": {"num_layers": 1, **small},
        "detr_decoder_config": {"num_layers": 2, "num_queries": 10, **small},
        "mask_decoder_config": {"hidden_size": 128, "num_attention_heads": 2},
    }
    tracker = {
        "model_type": "sam3_tracker_video",
        "vision_config": detector["vision_config"],
        "image_size": side,
        "memory_attention_rope_feat_sizes": [grid, grid],
        "prompt_encoder_config": {"hidden_size": 128, "image_size": side, "patch_size": patch},
        "mask_decoder_config": _DECODER,
        **_TRACKER,
    }
    defaults: dict[str, Any] = {
        "score_threshold_detection": 0.0,
        "new_det_thresh": 0.0,
        "hotstart_delay": 0,
        "hotstart_unmatch_thresh": 0,
        "hotstart_dup_thresh": 0,
        "max_num_objects": 3,
    }
    config = Sam3VideoConfig(
        detector_config=detector,
        tracker_config=tracker,
        low_res_mask_size=4 * grid,
        **{**defaults, **thresholds},
    )
    torch.manual_seed(seed)
    return Sam3VideoModel(config).eval()


def wake(model: Sam2VideoModel, *, presence: float, memory: float = 2.0) -> None:
    """Weights that pass on what they get: with the usual ones (deviation 0.02, or 0) every mask is the same constant.

    Matrices and convolutions get a deviation of 1 / sqrt(number of inputs), those that make object pointers twice
    that, or those would not matter beside the memory's masks; what starts at zero gets 0.1.

    Args:
        model: is changed.
        presence: about what is added to how surely it sees somebody.
        memory: by what the memory attention's weights are larger; with 1 all people who are followed by a small model
            look much the same, with 3 rounding alone makes masks drift apart (found by trying).
    """
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim >= 2 and parameter[0].numel() > 1:
                gain = memory if "memory_attention" in name else 2 if "object_pointer" in name else 1
                parameter.normal_(std=gain / parameter[0].numel() ** 0.5)
            elif not parameter.any():
                parameter.normal_(std=0.1)
        model.mask_decoder.pred_obj_score_head.proj_out.bias.fill_(presence)
