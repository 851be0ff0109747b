"""The room: a tiled floor, walls whose pattern drifts, changing light and sensor noise."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.synth.raster import Lens

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Bytes = NDArray[np.uint8]

_HALF = 13.0  # m from the middle of the world to the walls
_SIDE = 512  # px of a texture
_METRES = 6.0  # that a texture spans before it repeats
_NOISE = 3.0  # standard deviation of the sensor's noise, of 255
_DRIFT = 0.35  # m/s by which the pattern on the walls drifts


@dataclass(frozen=True, eq=False)
class Room:
    """Textures and noise, drawn once.

    Attributes:
        wall: (512, 512, 3) uint8, repeats seamlessly.
        floor: likewise.
        noise: (height + 64, width + 64, 3) int16, of which every frame has its own piece.
        rate: frames per second.
        phases: (3,) radians of the light's changes.
    """

    wall: Bytes
    floor: Bytes
    noise: NDArray[np.int16]
    rate: float
    phases: Floats

    @staticmethod
    def draw(generator: np.random.Generator, *, height: int, width: int, rate: float) -> Room:
        """A room of chance colours."""
        noise = generator.standard_normal((height + 64, width + 64, 3), dtype=np.float32) * _NOISE
        return Room(
            wall=_wall(generator),
            floor=_floor(generator),
            noise=noise.round().astype(np.int16),
            rate=rate,
            phases=generator.uniform(0, 2 * np.pi, 3),
        )

    def floor_seen(self, directions: Directions) -> Bytes:
        """(height, width, 3) uint8: the floor, black above it; the same in all frames of a camera that stands still."""
        seen = np.zeros((*directions.above.shape, 3), np.uint8)
        first = directions.first_floor
        if first < len(seen):
            across, up = directions.across[first:], directions.up[first:]
            seen[first:] = cv2.remap(self.floor, across, up, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        return seen

    def paint(self, directions: Directions, floor: Bytes, frame: int) -> Bytes:
        """(height, width, 3) uint8 RGB: the empty room in a frame.

        Args:
            directions: of the camera.
            floor: what it sees of it.
            frame: number.
        """
        picture = floor.copy()
        last = directions.last_wall + 1
        if last > 0:
            across, up = directions.across[:last], directions.up[:last]
            wall = np.roll(self.wall, -round(self.drift(frame)), axis=1)
            drawn = cv2.remap(wall, across, up, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
            cv2.copyTo(drawn, directions.above[:last], picture[:last])
        return picture

    def drift(self, frame: int) -> float:
        """Texture pixels by which the pattern on the walls has moved."""
        seconds = frame / self.rate
        return float((_DRIFT * seconds + 0.4 * np.sin(0.9 * seconds + self.phases[2])) * _SIDE / _METRES)

    def expose(self, image: Bytes, frame: int) -> Bytes:
        """A frame as a sensor records it: slow changes of the light, a slightly soft lens, noise."""
        seconds = frame / self.rate
        gain = 1 + 0.06 * np.sin(0.8 * seconds + self.phases[0]) + 0.03 * np.sin(3.1 * seconds + self.phases[1])
        table = np.clip(np.arange(256) * gain, 0, 255).round().astype(np.uint8)
        soft = cv2.GaussianBlur(cv2.LUT(image, table), (3, 3), 0.6)
        height, width = image.shape[:2]
        x, y = (frame * 37) % 61, (frame * 23) % 59  # coprime: 3599 frames until a piece comes back
        return np.asarray(cv2.add(soft, self.noise[y : y + height, x : x + width], dtype=cv2.CV_8U))


@dataclass(frozen=True, eq=False)
class Directions:
    """Where on the room's textures the rays of a camera end.

    Attributes:
        across: (height, width) float32 texture pixels.
        up: likewise.
        above: (height, width) uint8, 255 on the walls, 0 on the floor.
        last_wall: last row that shows any of the walls, -1 for none.
        first_floor: first row that shows any of the floor, height for none.
    """

    across: Singles
    up: Singles
    above: Bytes
    last_wall: int
    first_floor: int

    @staticmethod
    def of(lens: Lens, world_T_camera: Floats, *, coarse: bool) -> Directions:
        """Of a camera within the room.

        Args:
            lens: rays of its pixels.
            world_T_camera: (4, 4) where it stands.
            coarse: half as fine, in between by interpolation: three times as fast.
        """
        height, width = lens.norms.shape
        u, v = (_every_other(lens.u), _every_other(lens.v)) if coarse else (lens.u, lens.v)
        place, turn = world_T_camera[:3, 3].astype(np.float32), world_T_camera[:3, :3].astype(np.float32)
        x, y, z = (u * turn[axis, 0] + (v[:, None] * turn[axis, 1] + turn[axis, 2]) for axis in range(3))
        with np.errstate(divide="ignore"):
            to_x = (np.copysign(np.float32(_HALF), x) - place[0]) / x
            to_z = (np.copysign(np.float32(_HALF), z) - place[2]) / z
            to_floor = np.where(y < 0, -place[1] / y, np.float32(np.inf))
        side = to_x < to_z
        to_wall = np.where(side, to_x, to_z)
        below = to_floor < to_wall
        reach = np.minimum(to_floor, to_wall)
        end_x, end_z = place[0] + reach * x, place[2] + reach * z
        scale = np.float32(_SIDE / _METRES)
        across = np.where(below | ~side, end_x, end_z) * scale
        up = np.where(below, end_z, -(place[1] + reach * y)) * scale
        above = np.where(below, np.uint8(0), np.uint8(255))
        if coarse:
            across, up = (np.asarray(cv2.resize(part, (width, height))) for part in (across, up))
            above = np.asarray(cv2.resize(above, (width, height), interpolation=cv2.INTER_NEAREST))
        wall, floor = (above > 0).any(axis=1), (above == 0).any(axis=1)
        return Directions(
            across=across,
            up=up,
            above=above,
            last_wall=int(np.flatnonzero(wall).max(initial=-1)),
            first_floor=int(floor.argmax()) if floor.any() else height,
        )


def _every_other(rays: Singles) -> Singles:
    """Half as many rays, as `cv2.resize` understands them: each in the middle of two."""
    count = (len(rays) + 1) // 2
    places = (np.arange(count) + 0.5) * len(rays) / count - 0.5
    return np.interp(places, np.arange(len(rays)), rays).astype(np.float32)


def _cloud(generator: np.random.Generator, blur: float) -> Singles:
    """(512, 512) smooth noise between 0 and 1 that repeats seamlessly."""
    tiled = np.tile(generator.random((_SIDE, _SIDE), dtype=np.float32), (3, 3))
    soft = cv2.GaussianBlur(tiled, (0, 0), blur)[_SIDE : 2 * _SIDE, _SIDE : 2 * _SIDE]
    return np.asarray((soft - soft.min()) / (soft.max() - soft.min()))


def _wall(generator: np.random.Generator) -> Bytes:
    """Plaster with posters."""
    base = generator.uniform(120, 190, 3)
    texture = base * (0.75 + 0.5 * _cloud(generator, 14)[..., None]) + 25 * (_cloud(generator, 2)[..., None] - 0.5)
    for _ in range(10):
        x, y = generator.integers(8, _SIDE - 90, 2)
        wide, high = generator.integers(30, 80, 2)
        texture[y : y + high, x : x + wide] = generator.uniform(40, 220, 3)
        texture[y + 5 : y + high - 5, x + 5 : x + wide - 5] = generator.uniform(40, 220, 3)
    return np.asarray(np.clip(texture, 0, 255).astype(np.uint8))


def _floor(generator: np.random.Generator) -> Bytes:
    """Tiles of half a metre."""
    tile = int(_SIDE / _METRES / 2)
    colours = generator.uniform(70, 110, 3) * generator.uniform(0.8, 1.2, (12, 12, 1))
    texture = np.repeat(np.repeat(colours, tile + 1, axis=0), tile + 1, axis=1)[:_SIDE, :_SIDE]
    texture = texture + 30 * (_cloud(generator, 5)[..., None] - 0.5)
    texture[:: tile + 1] *= 0.6
    texture[:, :: tile + 1] *= 0.6
    return np.asarray(np.clip(texture, 0, 255).astype(np.uint8))
