"""transformers' SAM 3 runs without the network, whatever is installed."""

import ast
import inspect
import socket
from pathlib import Path
from typing import Any, NoReturn

import pytest
from transformers.models.sam3_video import modeling_sam3_video

from common.errors import ModelUnavailable
from stages.segment.prompted import sam3_offline
from stages.segment.prompted.sam3_cleaning import cleaned, distinct, overlaps
from stages.segment.prompted.sam3_follower import Sam3, Thresholds
from stages.segment.prompted.sam3_offline import stay_offline
from tests.stages.segment.prompted.sam3_reference import CPU, moving_pictures, save


def test_nothing_is_downloaded_even_where_the_package_that_would_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save(tmp_path / "sam3", det_nms_thresh=0.1, fill_hole_area=2)
    calls: list[object] = []

    def refuse(*what: object, **more: object) -> NoReturn:
        calls.append((what, more))
        raise AssertionError("a download was tried")

    monkeypatch.setattr(modeling_sam3_video, "is_kernels_available", lambda: True)
    monkeypatch.setattr(modeling_sam3_video, "get_kernel", refuse, raising=False)
    monkeypatch.setattr(modeling_sam3_video, "cv_utils_kernel", None)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    follower = Sam3(folder, prompt="person", device=CPU, thresholds=Thresholds(0.0, 0.0)).follower()
    for frame in moving_pictures(3):
        follower.follow(frame)
    assert follower.followed
    assert calls == []


def test_ours_are_called_with_what_theirs_would_be() -> None:
    """Names and order of the arguments, from transformers' source: the functions themselves are replaced by now."""
    tree = ast.parse(inspect.getsource(modeling_sam3_video))
    theirs = {node.name: node.args for node in tree.body if isinstance(node, ast.FunctionDef)}
    for name, ours in sam3_offline._OURS.items():
        if name == "cv_utils_kernel":
            continue
        assert callable(ours)
        wanted = [argument.arg for argument in theirs[name].args]
        given = list(inspect.signature(ours).parameters)
        assert len(given) == len(wanted), name
        if name != "mask_iou":  # called by position only
            assert given == wanted, name


def test_ours_are_there_once_a_model_is_loaded() -> None:
    stay_offline()
    module: Any = modeling_sam3_video
    assert module.nms_masks is distinct
    assert module.fill_holes_in_mask_scores is cleaned
    assert module.mask_iou is overlaps
    assert module.cv_utils_kernel is False
    module._load_cv_utils_kernel_once()
    assert module.cv_utils_kernel is False


def test_nothing_is_skipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of two detections of the same thing one begins a track; without suppression there would be two."""
    folder = save(tmp_path / "sam3", max_num_objects=10)
    sam3 = Sam3(folder, prompt="person", device=CPU, thresholds=Thresholds(0.0, 0.0))
    counts = {}
    for threshold in (0.0, 0.1):  # 0 switches it off
        monkeypatch.setattr(sam3.model, "det_nms_thresh", threshold)
        counts[threshold] = len(sam3.follower().follow(moving_pictures(1)[0]).outlines)
    assert counts[0.0] == 10
    assert counts[0.1] < 10


def test_another_version_of_transformers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transformers.__version__", "5.24.0")
    with pytest.raises(ModelUnavailable, match=r"SAM 3 needs transformers 5\.23\.0.*found 5\.24\.0"):
        stay_offline()
