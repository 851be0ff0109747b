"""Truth scenes as files: videos, and masks, joints and cameras beside them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace

from tests.synth.scene import TruthScene

_CRF = "12"  # x264: differences one has to look for


def write_video(scene: TruthScene, camera: int, path: Path, *, crf: str = _CRF, first: int = 0) -> None:
    """Writes what a camera sees as H.264 in MP4 at the scene's rate, nearly without loss.

    Args:
        scene: which.
        camera: index of it.
        path: ends in .mp4.
        crf: x264's quality, "0" for the least loss that 4:2:0 permits.
        first: frame of the scene with which the video begins.
    """
    with av.open(str(path), "w", format="mp4") as container:
        rate = Fraction(scene.rate).limit_denominator(1001)
        options = {
            "crf": crf,
            "preset": "veryfast",
            "threads": "1",
            "x264-params": "mbtree=0",
        }  # see common.media.encode
        stream = container.add_stream("libx264", rate=rate, options=options)
        seen = scene.cameras[camera]
        stream.width, stream.height, stream.pix_fmt = seen.width, seen.height, "yuv420p"
        stream.codec_context.colorspace, stream.codec_context.color_range = Colorspace.ITU709, ColorRange.MPEG
        for number in range(first, scene.frames):
            picture = VideoFrame.from_ndarray(scene.image(camera, number), format="rgb24")
            picture = picture.reformat(
                format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
            )
            picture.pts = number - first
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def write_scene(scene: TruthScene, folder: Path) -> None:
    """Writes the videos of all cameras, and the truth beside them: FOLDER/cam01.mp4 and cam01.npz and so on.

    Each npz holds `labels` (frames, height, width) uint16, `joints` (frames, P, 70, 3) metres in the world,
    `intrinsics` (3, 3) pixels and `world_T_camera` (frames, 4, 4).
    """
    folder.mkdir(parents=True, exist_ok=True)
    for index, camera in enumerate(scene.cameras):
        write_video(scene, index, folder / f"{camera.name}.mp4")
        numbers = range(scene.frames)
        np.savez_compressed(
            folder / f"{camera.name}.npz",
            labels=np.stack([scene.labels(index, frame) for frame in numbers]),
            joints=np.stack([scene.joints(frame) for frame in numbers]),
            intrinsics=camera.intrinsics,
            world_T_camera=np.stack([camera.world_T_camera(frame) for frame in numbers]),
        )
