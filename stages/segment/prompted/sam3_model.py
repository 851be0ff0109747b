"""transformers' SAM 3 video model, put right where it departs from SAM 3's own code.

Carion et al. 2025, "SAM 3: Segment Anything with Concepts", arXiv 2511.16719. What is overridden here are private
methods of one version of transformers.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from transformers.models.sam3_video.modeling_sam3_video import Sam3VideoInferenceSession, Sam3VideoModel

from common.errors import ModelUnavailable
from stages.segment.prompted.pretrained import load, round_parameters
from stages.segment.prompted.sam3_offline import stay_offline


class CorrectedSam3(Sam3VideoModel):  # type: ignore[no-untyped-call]
    """A `Sam3VideoModel` in which objects neither take each other's masks nor change each other when they come.

    Its name must be that of no class of transformers, which looks up by name how weights are converted when read.
    """

    @classmethod
    def load(cls, folder: Path, *, device: torch.device, dtype: torch.dtype) -> CorrectedSam3:
        """The model, on a device, which from now on needs no network.

        Args:
            folder: in the layout of `save_pretrained`, such as facebook/sam3.
            device: where it computes.
            dtype: in what: weights and everything that is computed, but for positions. SAM 3's own code rounds
                products to bfloat16 instead, by a switch (autocast) that it leaves on for whoever comes after; this
                one changes nothing outside.

        Raises:
            ModelUnavailable: no such weights, another version of transformers, or too little memory on the device.
        """
        stay_offline()
        model: CorrectedSam3 = load(cls, folder, device=device, prepare=lambda loaded: loaded._round(dtype, device))
        return model

    def _round(self, dtype: torch.dtype, device: torch.device) -> None:
        """Makes a float32 model one of another type, except that it knows as exactly as before where things are.

        bfloat16 has steps of 1/8 at 20: positions in the image encoder, which go up to 24 in steps of 1/3, would be off
        by a fifth of a cell, and the angles that they become in the mask decoder by 1 degree on average, 11 at worst.
        """
        if dtype == torch.float32:
            return
        tracker: Any = self.tracker_model
        with torch.no_grad():
            where = tracker.get_image_wide_positional_embeddings().to(device, dtype)
        tracker.get_image_wide_positional_embeddings = lambda: where
        for embedding in (tracker.shared_image_embedding, tracker.prompt_encoder.shared_embedding):
            embedding.positional_embedding = embedding.positional_embedding.to(dtype)  # of prompts that are not given
        round_parameters(self, dtype)

    def get_vision_features_for_tracker(self, vision_embeds: Any) -> Any:  # noqa: ANN401 - transformers' own
        """As it is there, unless half precision has overflowed: then all masks would silently be empty.

        Raises:
            ModelUnavailable: what the image encoder sees is not finite.
        """
        if self.dtype == torch.float16 and not bool(torch.isfinite(vision_embeds.last_hidden_state).all()):
            raise ModelUnavailable(
                "SAM 3 leaves the range of float16, for which it was not made. "
                "Choose --precision bfloat16, if the GPU has it, or float32."
            )
        return super().get_vision_features_for_tracker(vision_embeds)

    def build_outputs(
        self,
        inference_session: Any,  # noqa: ANN401 - transformers', which has attributes that it does not declare
        det_out: dict[str, torch.Tensor],
        tracker_low_res_masks_global: torch.Tensor,
        tracker_update_plan: dict[str, Any],
        reconditioned_obj_ids: set[int] | None = None,
    ) -> dict[int, torch.Tensor]:
        """Masks of a frame by object, those that are taken back in it among them.

        transformers pairs masks, made before objects were taken back, with the objects that are there afterwards, so
        that for one frame each has the mask of the one before it.
        """
        removed, new = tracker_update_plan["obj_ids_newly_removed"], tracker_update_plan["new_det_obj_ids"]
        # Numbers are given in ascending order, and objects stay in the order in which they came.
        before = sorted((set(inference_session.obj_ids) - set(new)) | set(removed))
        earlier: Any = SimpleNamespace(obj_ids=before)  # all that is read of it
        return super().build_outputs(
            earlier,
            det_out,
            tracker_low_res_masks_global,
            tracker_update_plan,
            reconditioned_obj_ids,
        )

    def _tracker_add_new_objects(
        self,
        inference_session: Any,  # noqa: ANN401 - transformers', which has attributes that it does not declare
        frame_idx: int,
        new_obj_ids: list[int],
        new_obj_masks: torch.Tensor,
        reverse: bool = False,
    ) -> None:
        """Begins to follow objects, by themselves.

        transformers runs all others through the frame again and overwrites what it has just remembered of them by
        masks that may overlap, black and white like those of the new ones.
        """
        inference_session.obj_with_new_inputs = []
        alone = Sam3VideoInferenceSession(
            inference_device=inference_session.inference_device,
            inference_state_device=inference_session.inference_state_device,
            dtype=inference_session.dtype,
        )
        alone.cache, alone.processed_frames = inference_session.cache, inference_session.processed_frames
        super()._tracker_add_new_objects(alone, frame_idx, new_obj_ids, new_obj_masks, reverse)
        for number in new_obj_ids:
            index = inference_session.obj_id_to_idx(number)
            inference_session.output_dict_per_obj[index] = alone.output_dict_per_obj[alone.obj_id_to_idx(number)]
