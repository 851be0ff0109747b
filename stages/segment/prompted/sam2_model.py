"""The parts of transformers' SAM 2 video model, for several people at once.

transformers runs a video through a session that holds every frame and every output, one person after the other. Here
its modules are called directly, with people in the batch dimension and in the order in which its own loop calls them;
the methods between them are made for one person and are done again. All that touches names which transformers may
change is in this module, which therefore insists on one version. SAM 2: Ravi et al. 2024, "SAM 2: Segment Anything in
Images and Videos", section 4 and appendix D.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoModel, get_1d_sine_pe

from stages.segment.prompted.pretrained import load, require_transformers, round_parameters

_CORNERS = (2, 3)
"""The labels of points that are a box's top left and bottom right corner (SAM's prompt encoder)."""

_NOT_A_POINT = -1
"""The label of a point that stands for the lack of one."""

_HIDDEN = -1024.0
"""The mask's logits where nobody is in view (SAM 2's own constant)."""

_SURE = 10.0
"""Logits of a mask that is given (SAM 2's own constant)."""


@dataclass(frozen=True, eq=False)
class Features:
    """What the image encoder sees in one picture, on the model's device, in its floating-point type.

    Attributes:
        coarse: (cells, 1, channels), the level that the memory works on; cells = (side / 16) squared, row by row.
        fine: (1, channels / 8, side / 4, side / 4) and (1, channels / 4, side / 8, side / 8), for sharp edges.
    """

    coarse: torch.Tensor
    fine: tuple[torch.Tensor, ...]


@dataclass(frozen=True, eq=False)
class Decoded:
    """Masks of n people in one picture.

    Attributes:
        logits: (n, 1, side / 4, side / 4); -1024 everywhere for somebody who is not in view.
        full: (n, 1, side, side), the same at the picture's size; the memory encoder's input.
        presence: (n, 1, 1), above 0 if in view.
        pointers: (n, channels), one vector that describes each.
    """

    logits: torch.Tensor
    full: torch.Tensor
    presence: torch.Tensor
    pointers: torch.Tensor


class Sam2Model:
    """SAM 2 or 2.1 in the form of `facebook/sam2.1-hiera-*` for transformers, in evaluation mode, without gradients.

    In half precision only what was learned is rounded, and sines and cosines of where things are; not what they are of.
    bfloat16 has steps of 1/256 below 1, 4 of 1024 pixels: corners of boxes would move, and cells fall together.

    Attributes:
        device: where it computes.
        dtype: in what.
        side: of the square pictures that it works on, pixels.
        recent_masks: how many frames back it looks at masks (6 with the published weights).
        recent_pointers: how many frames back it looks at object pointers (15).
        places: (recent_masks + 1, cells, 64), the position encoding of a memory: [k - 1] of a frame k ago, [-1] of a
            frame whose mask was given.
    """

    def __init__(
        self, folder: Path, *, device: torch.device, dtype: torch.dtype = torch.float32, compile: bool = False
    ) -> None:
        """Loads the weights.

        Args:
            folder: in the layout of `save_pretrained`.
            device: where it computes.
            dtype: in what.
            compile: compiles the image encoder, nine tenths of the work with one person and of one shape always; it
                takes a minute or two at the first frame.

        Raises:
            ModelUnavailable: no such weights, another version of transformers, or too little memory on the device.
        """
        require_transformers("the SAM 2 tracker")
        self.device, self.dtype = device, dtype
        self._model: Sam2VideoModel = load(Sam2VideoModel, folder, device=device, prepare=self._prepare)
        if compile:
            self._model.vision_encoder.compile(dynamic=False)
        config = self._model.config
        self.side = int(config.image_size)
        self.recent_masks = int(config.num_maskmem) - 1
        self.recent_pointers = int(config.max_object_pointers_in_encoder) - 1

    @torch.no_grad()
    def _prepare(self, model: Sam2VideoModel) -> None:
        """Computes in float32 where things are, then rounds what was learned.

        Sets besides `places`: `_where`, (1, channels, rows, columns), of the mask decoder's cells; `_positions`,
        (cells, 1, channels), of the memory attention's.
        """
        self._grid: tuple[int, int] = tuple(model.backbone_feature_sizes[-1])
        times = model.memory_temporal_positional_encoding
        places = _sines(model.memory_encoder.position_encoding, model.mem_dim, self._grid) + times.flatten(1)[:, None]
        positions = _sines(model.vision_encoder.neck.position_encoding, model.hidden_dim, self._grid).transpose(0, 1)
        self.places = places.to(self.device, self.dtype)
        self._positions = positions.to(self.device, self.dtype)
        self._where: torch.Tensor = model.get_image_wide_positional_embeddings().to(self.device, self.dtype)
        round_parameters(model, self.dtype)

    @torch.no_grad()
    def features(self, picture: torch.Tensor) -> Features:
        """The image encoder's view of a normalised picture, (1, 3, side, side) in the model's type."""
        seen = self._model.get_image_features(picture, return_dict=True)
        *fine, coarse = seen.fpn_hidden_states
        sizes = self._model.backbone_feature_sizes
        maps = tuple(level.permute(1, 2, 0).reshape(1, -1, *size) for level, size in zip(fine, sizes, strict=False))
        return Features(coarse, maps)

    @torch.no_grad()
    def from_boxes(self, features: Features, boxes: torch.Tensor) -> Decoded:
        """What is in boxes, (n, 4) float32 xyxy in pixels of the model's picture, without any memory."""
        labels = torch.empty((len(boxes), 1, 2), dtype=torch.int32, device=self.device)
        labels[..., 0], labels[..., 1] = _CORNERS
        plain = self._as_map(features.coarse + self._model.no_memory_embedding)
        several = self._model._use_multimask(True, {"point_labels": labels})
        return self._decoded(
            features, plain.expand(len(boxes), -1, -1, -1), (boxes.reshape(-1, 1, 2, 2), labels), several=several
        )

    @torch.no_grad()
    def from_masks(self, features: Features, masks: torch.Tensor) -> Decoded:
        """Masks that are known, (n, 1, side, side) bool, as if it had found them."""
        known = masks.to(self.dtype)
        full = (2 * known - 1) * _SURE
        coarse = self._as_map(features.coarse).expand(len(masks), -1, -1, -1)
        found = self._decoded(features, coarse, self._no_points(len(masks)), self._model.mask_downsample(known))
        shown = masks.flatten(1).any(dim=1).to(self.dtype)[:, None]
        return Decoded(
            logits=enlarged(full[:, 0], *self._model.prompt_encoder.mask_input_size)[:, None].to(self.dtype),
            full=full,
            presence=((2 * shown - 1) * _SURE)[..., None],
            pointers=self._pointer_or_none(found.pointers, shown),
        )

    @torch.no_grad()
    def attended(
        self,
        features: Features,
        memories: torch.Tensor,
        places: torch.Tensor,
        pointers: torch.Tensor,
        ages: torch.Tensor,
    ) -> torch.Tensor:
        """(n, channels, rows, columns), the coarse level by what is remembered of n people, equally much of each.

        Args:
            features: of the picture.
            memories: (n, m * cells, 64), m encoded masks of each.
            places: (n, m * cells, 64), of `self.places`.
            pointers: (n, p, channels).
            ages: (n, p) float32, how many frames ago.
        """
        count = len(memories)
        tokens, token_places = self._pointer_tokens(pointers, ages)
        memory = torch.cat([memories.to(self.dtype), tokens.to(self.dtype)], dim=1)
        seen = self._model.memory_attention(
            current_vision_features=features.coarse.expand(-1, count, -1),
            current_vision_position_embeddings=self._positions.expand(-1, count, -1),
            memory=memory.transpose(0, 1),
            memory_posision_embeddings=torch.cat([places, token_places], dim=1).transpose(0, 1),  # their spelling
            num_object_pointer_tokens=tokens.shape[1],
        )
        # (1, n, cells, channels): the module puts its batch second, made for one person alone.
        maps: torch.Tensor = seen[0].transpose(1, 2).reshape(count, -1, *self._grid)
        return maps

    @torch.no_grad()
    def from_memory(self, features: Features, maps: torch.Tensor) -> Decoded:
        """Where n people are, by their `attended` maps of the picture."""
        several = self._model._use_multimask(False, None)
        return self._decoded(features, maps, self._no_points(len(maps)), several=several)

    @torch.no_grad()
    def encoded(self, features: Features, decoded: Decoded, *, given: bool) -> torch.Tensor:
        """(n, cells, 64) bfloat16, as the original stores them in any precision: what to remember of these masks.

        Args:
            features: of the picture.
            decoded: the masks in it.
            given: whether they were known; then they are remembered as black and white, not as grey as they are.
        """
        memory, _ = self._model._encode_new_memory(
            current_vision_feats=features.coarse.expand(-1, len(decoded.full), -1),
            pred_masks_high_res=decoded.full,
            object_score_logits=decoded.presence,
            is_mask_from_pts=given,
        )
        return memory.transpose(0, 1)

    def _pointer_tokens(self, pointers: torch.Tensor, ages: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Pointers cut into tokens of the memory's width, and their encodings of time; each (n, p * cuts, 64).

        Times are in units of the longest possible age, whether or not the video has so many frames: transformers takes
        the number of frames instead where that is known and smaller than 16, which a stream cannot know.
        """
        model = self._model
        count, number, channels = pointers.shape
        cuts = channels // model.mem_dim
        tokens = pointers.reshape(count, number * cuts, model.mem_dim)
        if not model.config.enable_temporal_pos_encoding_for_object_pointers:
            return tokens, torch.zeros_like(tokens)
        waves = get_1d_sine_pe(ages / float(self.recent_pointers), dim=channels).to(pointers.dtype)  # type: ignore[no-untyped-call]
        places: torch.Tensor = model.temporal_positional_encoding_projection_layer(waves)
        return tokens, places.repeat_interleave(cuts, dim=1)

    def _as_map(self, level: torch.Tensor) -> torch.Tensor:
        """(1, channels, rows, columns) of a level that is (cells, 1, channels)."""
        return level.permute(1, 2, 0).reshape(1, -1, *self._grid)

    def _decoded(
        self,
        features: Features,
        maps: torch.Tensor,
        points: tuple[torch.Tensor, torch.Tensor],
        masks: torch.Tensor | None = None,
        *,
        several: bool = True,
    ) -> Decoded:
        """The mask decoder for n people, of whose masks the one with the highest estimate of its IoU counts.

        Args:
            features: of the picture.
            maps: (n, channels, rows, columns), the coarse level as conditioned on each.
            points: (n, 1, k, 2) in pixels and (n, 1, k) labels.
            masks: (n, 1, side / 4, side / 4), prompts.
            several: whether it proposes three masks for each, or one.
        """
        model, count = self._model, len(maps)
        sparse, dense = model.prompt_encoder(
            input_points=points[0], input_labels=points[1], input_boxes=None, input_masks=masks
        )
        proposals, estimates, tokens, presence = model.mask_decoder(
            image_embeddings=maps,
            image_positional_embeddings=self._where.expand(count, -1, -1, -1),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=several,
            high_resolution_features=list(features.fine),
        )
        shown = presence > 0
        row, best = torch.arange(count, device=self.device), estimates[:, 0].argmax(dim=-1)
        logits = torch.where(shown[..., None], proposals[row, 0, best][:, None], _HIDDEN)
        full = F.interpolate(logits.float(), size=(self.side, self.side), mode="bilinear", align_corners=False)
        token = tokens[row, 0, best if tokens.shape[2] > 1 else torch.zeros_like(best)]
        pointers = self._pointer_or_none(model.object_pointer_proj(token), shown[:, 0].to(self.dtype))
        return Decoded(logits, full.to(self.dtype), presence, pointers)

    def _pointer_or_none(self, pointers: torch.Tensor, shown: torch.Tensor) -> torch.Tensor:
        """(n, channels), with the pointer that means "not in view" where `shown`, (n, 1), is 0 and not 1."""
        return shown * pointers + (1 - shown) * self._model.no_object_pointer

    def _no_points(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The prompt encoder's form of having no points, for so many people."""
        points = torch.zeros((count, 1, 1, 2), dtype=self.dtype, device=self.device)
        return points, torch.full((count, 1, 1), _NOT_A_POINT, dtype=torch.int32, device=self.device)


def _sines(encoding: torch.nn.Module, channels: int, grid: tuple[int, int]) -> torch.Tensor:
    """(1, cells, channels) float32, a sine encoding of where the cells of a grid are."""
    where: torch.Tensor = encoding(torch.Size((1, channels, *grid)), torch.device("cpu"), torch.float32)
    return where.flatten(2).transpose(1, 2)


def enlarged(logits: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Masks of one size, (n, h, w), at another, (n, height, width) float32: bilinear, averaging where it shrinks."""
    return F.interpolate(
        logits[:, None].float(), size=(height, width), mode="bilinear", align_corners=False, antialias=True
    )[:, 0]
