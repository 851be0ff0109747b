import numpy as np
import pytest
import torch
from PIL import Image

from stages.segment.prompted.sam2_pictures import Normalisation, PictureFeatures, squeezed
from tests.stages.segment.prompted.sam2_reference import CPU, moving_pictures


@pytest.mark.parametrize(("height", "width", "side"), [(270, 480, 128), (90, 160, 256), (64, 64, 64)])
def test_frames_are_squeezed_as_pillow_squeezes_them(height: int, width: int, side: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
    image.flags.writeable = False
    picture = squeezed(image, side, CPU)
    assert (picture.height, picture.width) == (height, width)
    assert picture.pixels.dtype == torch.uint8
    expected = np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    worst = np.abs(picture.pixels.numpy().astype(int) - expected).max()
    assert worst <= 1, f"{worst} grey levels apart"


def test_pixels_are_normalised_as_for_imagenet() -> None:
    picture = squeezed(np.full((10, 10, 3), (124, 116, 104), np.uint8), 32, CPU)
    values = Normalisation(CPU, torch.bfloat16)(picture)
    assert values.shape == (1, 3, 32, 32)
    assert values.dtype == torch.bfloat16
    assert values.abs().max() < 0.02


def test_only_the_latest_pictures_features_are_held() -> None:
    encoded: list[float] = []

    def encode(image: torch.Tensor) -> float:
        encoded.append(float(image.mean()))
        return encoded[-1]

    first, second = (squeezed(image, 32, CPU) for image in moving_pictures(2))
    features = PictureFeatures(encode, device=CPU, dtype=torch.float32)
    assert features.of(first) == features.of(first)
    features.of(second)
    features.of(first)
    assert len(encoded) == 3
    assert encoded[0] == encoded[2] != encoded[1]
