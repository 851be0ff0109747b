"""A zoo of small videos: healthy, odd, damaged and hostile, made with an ffmpeg binary in seconds.

    zoo = make_zoo(tmp_path)                        # name -> path of every file
    zoo = make_zoo(tmp_path, "plain.mp4", "vfr.mp4")  # only these

Every frame carries its number in its pixels (`read_number`), so that a test can tell which frame it was
given, whatever happened to the time stamps. `VERDICTS` says what must become of each file.
"""

import random
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import imageio_ffmpeg
import numpy as np

WIDTH, HEIGHT, COUNT, RATE = 320, 180, 90, 30
KEY_INTERVAL = 30
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()

OK = "ok"  # every frame is delivered
DAMAGED = "damaged"  # opens; what is missing or wrong is counted and marked
REFUSED = "refused"  # BadInput

VERDICTS: dict[str, str] = {}
_MAKERS: dict[str, Callable[[Path], None]] = {}

_BITS, _CELL, _LEFT, _TOP = (
    10,
    24,
    16,
    78,
)  # squares of 24 pixels: a white one, ten binary digits, a black one


def draw(number: int) -> np.ndarray:
    """(180, 320, 3) uint8: a moving gradient with `number` written across it in black and white squares."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    image = np.stack([x + 2 * number, 2 * y + number, x + y + 3 * number], axis=-1) % 256 // 2 + 64
    image[_TOP - 8 : _TOP + _CELL + 8] = 128
    for place, digit in enumerate([1, *((number >> bit) & 1 for bit in range(_BITS)), 0]):
        left = _LEFT + place * _CELL
        image[_TOP : _TOP + _CELL, left : left + _CELL] = 255 * digit
    return image.astype(np.uint8)


def read_number(image: np.ndarray) -> int:
    """The number in an upright frame of any size, or -1 if it cannot be read (turned, mirrored, damaged)."""
    gray = image.mean(axis=-1) if image.ndim == 3 else image.astype(float)
    height, width = gray.shape
    middle = (np.arange(_BITS + 2) + 0.5) * _CELL + _LEFT
    columns, row = (middle * width / WIDTH).astype(int), round((_TOP + _CELL / 2) * height / HEIGHT)
    reach = max(1, round(4 * height / HEIGHT))
    patches = [gray[row - reach : row + reach, c - reach : c + reach] for c in columns]
    values = np.array([patch.mean() for patch in patches])
    if values[0] < 190 or values[-1] > 65 or ((values > 85) & (values < 170)).any():
        return -1
    return int(((values[1:-1] > 128) << np.arange(_BITS)).sum())


def make_zoo(folder: Path, *names: str) -> dict[str, Path]:
    """Makes the named files (all of them by default) and those that they are made from; name -> path."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or VERDICTS:
        _make(folder, name)
    return {name: folder / name for name in names or VERDICTS}


def run_ffmpeg(*arguments: object, stdin: bytes | None = None) -> bytes:
    """What ffmpeg writes to its standard output; its errors fail the test."""
    command = [FFMPEG, "-hide_banner", "-loglevel", "error", "-y", *map(str, arguments)]
    return subprocess.run(command, input=stdin or b"", stdout=subprocess.PIPE, check=True, timeout=60).stdout


@cache
def _pictures() -> bytes:
    return b"".join(draw(number).tobytes() for number in range(COUNT))


def _make(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.exists():
        _MAKERS[name](path)
    return path


def _file(name: str, verdict: str) -> Callable[[Callable[[Path], None]], Callable[[Path], None]]:
    def register(maker: Callable[[Path], None]) -> Callable[[Path], None]:
        VERDICTS[name], _MAKERS[name] = verdict, maker
        return maker

    return register


def _encoded(name: str, *arguments: str, rate: str = str(RATE), verdict: str = OK) -> None:
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}", "-r", rate, "-i", "-")

    @_file(name, verdict)
    def encode(path: Path) -> None:
        run_ffmpeg(*raw, "-pix_fmt", "yuv420p", *arguments, path, stdin=_pictures())


def _copied(name: str, source: str, *before: str, after: tuple[str, ...] = (), verdict: str = OK) -> None:
    @_file(name, verdict)
    def copy(path: Path) -> None:
        run_ffmpeg(*before, "-i", _make(path.parent, source), *after, "-c", "copy", path)


_GOP = ("-g", str(KEY_INTERVAL))
_X264 = ("-c:v", "libx264", "-preset", "ultrafast", *_GOP)
_X264_B = ("-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-b_strategy", "0", *_GOP)

# Healthy, each odd in its own way
_encoded("plain.mp4", *_X264, "-bf", "0", "-movflags", "+faststart")
_encoded("bframes.mp4", *_X264_B)
_encoded("open_gop.mp4", *_X264_B, "-x264opts", "open-gop=1")
_encoded("ntsc.mp4", *_X264_B, rate="30000/1001")
_encoded("vfr.mp4", *_X264_B, "-vf", r"select=not(mod(n\,3))+lt(n\,45)", "-fps_mode", "vfr")
_encoded("offset.mp4", *_X264, "-bf", "0", "-output_ts_offset", "1.5", "-avoid_negative_ts", "disabled")
_encoded("vp9.webm", "-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", *_GOP)
_encoded("mpeg4.avi", "-c:v", "mpeg4", "-q:v", "3", "-bf", "2", *_GOP)
_encoded(
    "hevc.mkv",
    "-c:v",
    "libx265",
    "-preset",
    "ultrafast",
    "-x265-params",
    f"log-level=none:keyint={KEY_INTERVAL}",
)
_encoded("odd.webm", "-vf", "scale=321:241", "-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", *_GOP)
_encoded(
    "hd_colours.mp4",
    *_X264,
    "-colorspace",
    "bt709",
    "-color_range",
    "tv",
    "-vf",
    "scale=out_color_matrix=bt709",
)
_encoded("one_frame.mp4", *_X264, "-frames:v", "1")
# -display_rotation counts counter-clockwise and is how ffmpeg 6 and newer write it; the pixels are turned the
# other way before, so that the upright frame is the drawing again.
for _clockwise, _turn in ((90, "transpose=cclock"), (180, "hflip,vflip"), (270, "transpose=clock")):
    _encoded(f"turned{_clockwise}.mp4", *_X264, "-bf", "0", "-vf", _turn)
    _copied(f"rot{_clockwise}.mp4", f"turned{_clockwise}.mp4", "-display_rotation", str(-_clockwise))
    VERDICTS.pop(f"turned{_clockwise}.mp4")
_copied("editlist.mp4", "bframes.mp4", "-ss", "1.23")  # cut between key frames: an edit list hides the lead-in


@_file("audio.mp4", OK)
def _with_audio(path: Path) -> None:
    tone = ("-f", "lavfi", "-i", "sine=440:duration=3")
    run_ffmpeg(*tone, "-i", _make(path.parent, "plain.mp4"), "-c:v", "copy", "-c:a", "aac", path)


def _cut(name: str, source: str, share: float, *, verdict: str = DAMAGED) -> None:
    @_file(name, verdict)
    def cut(path: Path) -> None:
        whole = _make(path.parent, source).read_bytes()
        path.write_bytes(whole[: int(len(whole) * share)])


# Damaged
_cut("truncated.mp4", "plain.mp4", 0.5)  # its index stands first
_cut("truncated.mkv", "hevc.mkv", 0.6)
_cut("truncated.avi", "mpeg4.avi", 0.5)
_cut("no_moov.mp4", "bframes.mp4", 0.5, verdict=REFUSED)  # its index would stand last


@_file("bitflip.mp4", DAMAGED)
def _flipped(path: Path) -> None:
    content, dice = bytearray(_make(path.parent, "plain.mp4").read_bytes()), random.Random(0)  # noqa: S311
    pictures = content.find(b"mdat") + 8
    for _ in range(20):
        content[dice.randrange(pictures + len(content) // 4, len(content))] ^= 0xFF
    path.write_bytes(content)


# H.264 with B-frames in a container that cannot say when they are shown
_copied("bframes.avi", "bframes.mp4", verdict=REFUSED)


@_file("audio_only.mp4", REFUSED)
def _audio_only(path: Path) -> None:
    run_ffmpeg("-f", "lavfi", "-i", "sine=440:duration=1", "-c:a", "aac", path)


def _written(name: str, content: bytes) -> None:
    @_file(name, REFUSED)
    def write(path: Path) -> None:
        path.write_bytes(content)


_written("empty.mp4", b"")
_written("garbage.mp4", random.Random(0).randbytes(20_000))  # noqa: S311
_written("text.mp4", b"This is a shopping list.\nmilk\nbread\n")
_written("image_as_video.mp4", b"\x89PNG\r\n\x1a\n" + bytes(500))


@_file("concat_trick.mp4", REFUSED)
def _concat_trick(path: Path) -> None:
    """Text that makes ffmpeg read another file."""
    _make(path.parent, "plain.mp4")
    path.write_text("ffconcat version 1.0\nfile plain.mp4\n")


@_file("hls_trick.mp4", REFUSED)
def _hls_trick(path: Path) -> None:
    segment = _make(path.parent, "plain.mp4").absolute()
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nfile://{segment}\n#EXT-X-ENDLIST\n")


HEALTHY = tuple(name for name, verdict in VERDICTS.items() if verdict == OK)
BAD = tuple(name for name, verdict in VERDICTS.items() if verdict == REFUSED)
