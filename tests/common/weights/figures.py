"""Pictures of clothed figures, painted by arithmetic alone: the same everywhere, and people to a detector."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SKIN, _HAIR, _SHIRT, _TROUSERS, _SHOE = (
    (205, 160, 130),
    (60, 40, 25),
    (60, 90, 170),
    (50, 50, 60),
    (25, 20, 20),
)
_WHITE, _BLACK, _LIPS = (250, 250, 250), (20, 20, 20), (150, 60, 60)


def paint_scene(height: int, width: int, people: list[tuple[float, float, float]], *, seed: int) -> NDArray[np.uint8]:
    """An RGB picture (height, width, 3) of a wall, a floor and people, each (top, centre, size) in pixels."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    picture = np.stack([150 + 40 * y / height, 160 + 20 * x / width, 150 - 30 * y / height], axis=-1)
    picture[y > height * 0.8] = (120, 105, 90)
    for top, centre, size in people:
        _paint_person(picture, top, centre, size / 8)  # eight heads tall
    noise = np.random.default_rng(seed).integers(-6, 7, picture.shape)
    return np.clip(np.floor(picture) + noise, 0, 255).astype(np.uint8)


def _paint_person(picture: NDArray[np.float64], top: float, centre: float, head: float) -> None:
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(np.float64)

    def limb(colour, start, end, radius):
        (ay, ax), (by, bx) = ((top + v * head, centre + u * head) for v, u in (start, end))
        along = ((y - ay) * (by - ay) + (x - ax) * (bx - ax)) / ((by - ay) ** 2 + (bx - ax) ** 2)
        along = np.clip(along, 0, 1)
        distance = (y - ay - along * (by - ay)) ** 2 + (x - ax - along * (bx - ax)) ** 2
        picture[distance <= (radius * head) ** 2] = colour

    for side in (-1, 1):
        limb(_TROUSERS, (4.1, side * 0.38), (5.9, side * 0.45), 0.36)
        limb(_TROUSERS, (5.9, side * 0.45), (7.5, side * 0.48), 0.26)
        limb(_SHOE, (7.75, side * 0.48), (7.8, side * 0.7), 0.17)
    for v in np.linspace(1.6, 4.0, 30):
        half = 0.62 - 0.12 * (v - 1.6)
        limb(_SHIRT, (v, -half), (v, half), 0.3)
    for side in (-1, 1):
        limb(_SHIRT, (1.6, side * 0.85), (2.9, side * 1.2), 0.23)
        limb(_SKIN, (2.9, side * 1.2), (4.1, side * 1.4), 0.17)
        limb(_SKIN, (4.1, side * 1.4), (4.4, side * 1.4), 0.19)
    limb(_SKIN, (1.0, 0), (1.4, 0), 0.22)
    limb(_HAIR, (0.45, 0), (0.55, 0), 0.53)
    limb(_SKIN, (0.6, 0), (0.85, 0), 0.42)
    for side in (-1, 1):
        limb(_SKIN, (0.7, side * 0.47), (0.8, side * 0.47), 0.1)
        limb(_WHITE, (0.65, side * 0.16), (0.65, side * 0.18), 0.09)
        limb(_BLACK, (0.65, side * 0.16), (0.65, side * 0.18), 0.055)
    limb(_SKIN, (0.75, 0), (0.85, 0), 0.06)
    limb(_LIPS, (1.02, -0.12), (1.02, 0.12), 0.04)


_SCENES: dict[str, tuple[int, int, list[tuple[float, float, float]]]] = {
    "one person, 256x256": (256, 256, [(20, 128, 215)]),
    "two people, 288x512": (288, 512, [(30, 120, 230), (60, 360, 200)]),
    "portrait, 512x288": (512, 288, [(120, 144, 330)]),
    "three people, 512x512": (512, 512, [(150, 90, 300), (120, 250, 340), (200, 430, 250)]),
    "a small person, 448x768": (448, 768, [(200, 500, 150)]),
    "cut off by the edge, 256x320": (256, 320, [(40, 20, 300)]),
    "nobody, 256x256": (256, 256, []),
    "noise, 96x160": (96, 160, []),
}
SCENES = tuple(_SCENES)
"""Landscape, portrait, square and small pictures, with several people and with nobody."""


def paint(name: str) -> NDArray[np.uint8]:
    """One of SCENES as an RGB picture (height, width, 3)."""
    height, width, people = _SCENES[name]
    seed = 1 + SCENES.index(name)
    if name.startswith("noise"):
        return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return paint_scene(height, width, people, seed=seed)
