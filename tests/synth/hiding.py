"""How somebody has to walk to hide somebody else from the first camera for so many frames: found by trying."""

from __future__ import annotations

from collections.abc import Callable

from tests.synth.scene import TruthScene
from tests.synth.ways import Pass

_TRIES = 12  # speeds that are tried until somebody is hidden for as many frames as asked, per shift
_SHIFTS = (0.0, 0.15, -0.15, 0.3, -0.3, 0.45, -0.45)  # s
_SPEEDS = (0.15, 2.5)  # m/s, the slowest and fastest


def hide(crossing: Callable[[Pass], TruthScene], hidden: int, seconds: float) -> tuple[Pass, tuple[int, int]]:
    """How the first person has to pass the second to hide them from the first camera for so many frames, and which.

    The slower, the longer; where the count jumps over the number asked for, because of a foot that shows, another
    moment is tried, at which the legs stand differently.

    Raises:
        ValueError: nobody who walks does that.
    """
    for shift in _SHIFTS:
        low, high = _SPEEDS
        speed = min(max(8.0 / max(hidden, 1), low), high)
        for _ in range(_TRIES):
            passing = Pass(seconds + shift, speed)
            scene = crossing(passing)
            span = _hidden_run(scene, round(passing.seconds * scene.rate))
            count = span[1] - span[0] + 1
            if count == hidden:
                return passing, span
            low, high = (speed, high) if count > hidden else (low, speed)
            guess = speed * count / hidden
            speed = guess if low < guess < high else (low + high) / 2
            if high < 1.01 * low:
                break
    raise ValueError(f"hidden: no walk hides somebody for exactly {hidden} frames, try another number or seed")


def _hidden_run(scene: TruthScene, centre: int) -> tuple[int, int]:
    """First and last frame around the centre in which the second person is invisible to the first camera."""

    def invisible(frame: int) -> bool:
        return 0 <= frame < scene.frames and not (scene.labels(0, frame) == 2).any()

    around = [
        frame for frame in sorted(range(centre - 6, centre + 7), key=lambda f: abs(f - centre)) if invisible(frame)
    ]
    if not around:
        return centre, centre - 1
    first = last = around[0]
    while invisible(first - 1):
        first -= 1
    while invisible(last + 1):
        last += 1
    return first, last
