"""What people wear: colours far apart, patterns, and on request twins who are hard to tell apart."""

from __future__ import annotations

import colorsys

import numpy as np

from tests.synth.shading import Cloth, Clothes

_PATTERNS = (  # radians per metre along the axes of a part
    ((0, 0, 0), (0, 0, 0)),
    ((0, 55, 0), (0, 0, 0)),
    ((60, 0, 0), (0, 0, 0)),
    ((50, 0, 0), (0, 50, 0)),
)
_SKINS = ((236, 196, 168), (205, 155, 118), (158, 108, 76), (104, 70, 52))
_HAIRS = ((40, 28, 20), (92, 60, 32), (176, 140, 80), (24, 22, 24), (120, 116, 112))


def outfits(people: int, generator: np.random.Generator, *, alike: tuple[int, int] | None = None) -> list[Clothes]:
    """Clothes of everybody.

    Args:
        people: number of them.
        generator: of the colours.
        alike: ids of two people who wear nearly the same.
    """
    hues = (generator.uniform() + np.arange(people) / max(1, people)) % 1
    order = generator.permutation(people)
    found = [_outfit(float(hues[order[k]]), k, generator) for k in range(people)]
    if alike is not None:
        one, other = alike
        found[other - 1] = {name: _nearly(cloth, generator) for name, cloth in found[one - 1].items()}
    return found


def _outfit(hue: float, number: int, generator: np.random.Generator) -> Clothes:
    shirt = _rgb(hue, generator.uniform(0.65, 0.9), generator.uniform(0.6, 0.95))
    second = _rgb(hue + 0.45, generator.uniform(0.1, 0.5), generator.uniform(0.75, 0.95))
    trousers = _rgb(hue + generator.uniform(0.3, 0.7), generator.uniform(0.2, 0.6), generator.uniform(0.2, 0.5))
    coat = _rgb(hue, 0.5, 0.4)
    skin = _SKINS[int(generator.integers(len(_SKINS)))]
    hair = _HAIRS[int(generator.integers(len(_HAIRS)))]
    waves = _PATTERNS[(number + int(generator.integers(2))) % len(_PATTERNS)]
    return {
        "skin": Cloth((skin, skin)),
        "head": Cloth((skin, hair)),
        "shirt": Cloth((shirt, second), waves),
        "sleeve": Cloth((shirt, second), waves) if generator.random() < 0.6 else Cloth((skin, skin)),
        "trousers": Cloth((trousers, trousers)),
        "coat": Cloth((coat, coat)),
        "backpack": Cloth((second, coat), ((0, 40, 0), (0, 0, 0))),
        "shoes": Cloth(((40, 36, 34), (40, 36, 34))),
    }


def _rgb(hue: float, saturation: float, value: float) -> tuple[int, int, int]:
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue % 1, saturation, value))
    return red, green, blue


def _nearly(cloth: Cloth, generator: np.random.Generator) -> Cloth:
    """The same a shade off."""
    first, second = (
        tuple(int(np.clip(part + generator.integers(-10, 11), 0, 255)) for part in rgb) for rgb in cloth.colours
    )
    return Cloth(((first[0], first[1], first[2]), (second[0], second[1], second[2])), cloth.waves)
