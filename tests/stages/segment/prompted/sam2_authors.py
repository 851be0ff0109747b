"""A tiny predictor of the authors' package, built from its classes; and one that only looks like theirs."""

from __future__ import annotations

from typing import Any

import torch

SIDE = 64


def tiny_predictor(*, seed: int = 0) -> Any:
    """SAM 2.1 of the package `sam2`, of 2 M parameters."""
    from sam2.modeling.backbones.hieradet import Hiera
    from sam2.modeling.backbones.image_encoder import FpnNeck, ImageEncoder
    from sam2.modeling.memory_attention import MemoryAttention, MemoryAttentionLayer
    from sam2.modeling.memory_encoder import CXBlock, Fuser, MaskDownSampler, MemoryEncoder
    from sam2.modeling.position_encoding import PositionEmbeddingSine
    from sam2.modeling.sam.transformer import RoPEAttention
    from sam2.sam2_video_predictor import SAM2VideoPredictor

    width, grid = 256, SIDE // 16
    torch.manual_seed(seed)
    trunk = Hiera(
        embed_dim=16,
        num_heads=1,
        stages=(1, 2, 2, 1),
        global_att_blocks=(4,),
        window_pos_embed_bkg_spatial_size=(7, 7),
        window_spec=(8, 4, 8, 4),
    )
    neck = FpnNeck(
        position_encoding=PositionEmbeddingSine(width),
        d_model=width,
        backbone_channel_list=[128, 64, 32, 16],
        fpn_top_down_levels=[2, 3],
        fpn_interp_model="nearest",
    )
    rope = {"rope_theta": 10000.0, "feat_sizes": (grid, grid), "embedding_dim": width, "num_heads": 1}
    layer = MemoryAttentionLayer(
        activation="relu",
        dim_feedforward=32,
        dropout=0.0,
        pos_enc_at_attn=False,
        self_attention=RoPEAttention(**rope),
        d_model=width,
        pos_enc_at_cross_attn_keys=True,
        pos_enc_at_cross_attn_queries=False,
        cross_attention=RoPEAttention(**rope, rope_k_repeat=True, kv_in_dim=64),
    )
    encoder = MemoryEncoder(
        out_dim=64,
        mask_downsampler=MaskDownSampler(kernel_size=3, stride=2, padding=1),
        fuser=Fuser(CXBlock(dim=width, kernel_size=7, padding=3), num_layers=1),
        position_encoding=PositionEmbeddingSine(64),
    )
    predictor = SAM2VideoPredictor(
        image_encoder=ImageEncoder(trunk=trunk, neck=neck, scalp=1),
        memory_attention=MemoryAttention(d_model=width, pos_enc_at_input=True, layer=layer, num_layers=1),
        memory_encoder=encoder,
        num_maskmem=7,
        image_size=SIDE,
        sigmoid_scale_for_mem_enc=20.0,
        sigmoid_bias_for_mem_enc=-10.0,
        use_mask_input_as_output_without_sam=True,
        directly_add_no_mem_embed=True,
        no_obj_embed_spatial=True,
        use_high_res_features_in_sam=True,
        multimask_output_in_sam=True,
        iou_prediction_use_sigmoid=True,
        use_obj_ptrs_in_encoder=True,
        add_tpos_enc_to_obj_ptrs=True,
        proj_tpos_enc_in_obj_ptrs=True,
        use_signed_tpos_enc_to_obj_ptrs=True,
        only_obj_ptrs_in_the_past_for_eval=True,
        pred_obj_scores=True,
        pred_obj_scores_mlp=True,
        fixed_no_obj_ptr=True,
        multimask_output_for_tracking=True,
        use_multimask_token_for_obj_ptr=True,
        multimask_min_pt_num=0,
        multimask_max_pt_num=1,
        use_mlp_for_obj_ptr_proj=True,
        binarize_mask_from_pts_for_mem_enc=True,
        sam_mask_decoder_extra_args={
            "dynamic_multimask_via_stability": True,
            "dynamic_multimask_stability_delta": 0.05,
            "dynamic_multimask_stability_thresh": 0.98,
        },
    ).eval()
    with torch.no_grad():  # the same as for transformers' model, see tiny_models.wake
        for parameter in predictor.parameters():
            if parameter.ndim >= 2 and parameter[0].numel() > 1:
                parameter.normal_(std=1 / parameter[0].numel() ** 0.5)
            elif not parameter.any():
                parameter.normal_(std=0.1)
        predictor.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.fill_(2.0)
    return predictor


class StandIn(torch.nn.Module):
    """Has the methods of SAM2VideoPredictor that the tracker calls, with the same bookkeeping and no network.

    A person's mask is the last given one, moved to the right by one cell for each frame since; memories are empty.
    """

    image_size = SIDE
    num_maskmem = 7
    max_obj_ptrs_in_encoder = 16
    fill_hole_area = 8
    add_all_frames_to_correct_as_cond = False

    def __init__(self) -> None:
        super().__init__()
        self.images = 0
        self.looked_at: list[set[int]] = []

    def forward_image(self, image: torch.Tensor) -> dict[str, Any]:
        assert image.shape == (1, 3, SIDE, SIDE)
        assert image.dtype == torch.float32
        self.images += 1
        return {"backbone_fpn": [image], "vision_pos_enc": [image]}

    def add_new_points_or_box(
        self, state: dict[str, Any], frame_idx: int, obj_id: int, *, box: torch.Tensor, normalize_coords: bool
    ) -> None:
        assert not normalize_coords
        x1, y1, x2, y2 = (box * SIDE // 4).round().int().tolist()
        mask = torch.full((1, 1, SIDE // 4, SIDE // 4), -10.0)
        mask[..., y1:y2, x1:x2] = 10.0
        self._prompted(state, frame_idx, obj_id, mask)

    def add_new_mask(self, state: dict[str, Any], frame_idx: int, obj_id: int, mask: torch.Tensor) -> None:
        assert mask.shape == (SIDE, SIDE)
        assert mask.dtype == torch.bool
        assert self.add_all_frames_to_correct_as_cond
        coarse = torch.nn.functional.avg_pool2d(mask[None, None].float(), 4)
        state["mask_inputs_per_obj"].setdefault(0, {})[frame_idx] = mask
        self._prompted(state, frame_idx, obj_id, 20 * coarse - 10)

    def _prompted(self, state: dict[str, Any], frame_idx: int, obj_id: int, mask: torch.Tensor) -> None:
        assert frame_idx in state["cached_features"]
        if obj_id not in state["obj_id_to_idx"]:
            assert not state["obj_id_to_idx"], "a state is for one person"
            state["obj_id_to_idx"][obj_id] = 0
            state["output_dict_per_obj"][0] = {"cond_frame_outputs": {}, "non_cond_frame_outputs": {}}
            state["temp_output_dict_per_obj"][0] = {"cond_frame_outputs": {}, "non_cond_frame_outputs": {}}
            state["frames_tracked_per_obj"][0] = {}
        state["temp_output_dict_per_obj"][0]["cond_frame_outputs"][frame_idx] = self._output(mask)

    def propagate_in_video_preflight(self, state: dict[str, Any]) -> None:
        outputs, new = state["output_dict_per_obj"][0], state["temp_output_dict_per_obj"][0]
        outputs["cond_frame_outputs"].update(new["cond_frame_outputs"])
        new["cond_frame_outputs"].clear()
        for index in outputs["cond_frame_outputs"]:
            outputs["non_cond_frame_outputs"].pop(index, None)

    def _run_single_frame_inference(
        self, *, inference_state: dict[str, Any], output_dict: Any, frame_idx: int, reverse: bool, **rest: Any
    ) -> tuple[dict[str, Any], torch.Tensor]:
        assert frame_idx in inference_state["cached_features"]
        assert rest["run_mem_encoder"]
        assert not rest["is_init_cond_frame"]
        sign = -1 if reverse else 1
        found = output_dict["non_cond_frame_outputs"]
        for age in range(1, self.num_maskmem):
            earlier = found.get(frame_idx - sign * age)
            assert earlier is None or earlier["maskmem_features"] is not None
        self.looked_at.append({sign * (frame_idx - earlier) for earlier in found})
        last = list(output_dict["cond_frame_outputs"])[-1]
        mask = output_dict["cond_frame_outputs"][last]["maskmem_features"].roll(abs(frame_idx - last), -1)
        output = self._output(mask)
        return output, output["pred_masks"]

    @staticmethod
    def _output(mask: torch.Tensor) -> dict[str, Any]:
        return {
            "maskmem_features": mask.clone(),
            "maskmem_pos_enc": None,
            "pred_masks": mask.clone(),
            "obj_ptr": torch.zeros(1, 8),
            "object_score_logits": torch.full((1, 1), 3.0),
        }
