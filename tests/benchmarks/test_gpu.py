"""The GPU benchmark's own code, on a CPU with tiny models: that it measures what it says."""

import importlib.metadata
import importlib.util
import shutil
import subprocess
import time
from types import SimpleNamespace

import av
import numpy as np
import pytest
import torch
from torch._dynamo.exc import BackendCompilerFailed

from benchmarks.figures import Figure, information
from benchmarks.gpu import __main__ as command
from benchmarks.gpu import clip, loops
from benchmarks.gpu.measure import measure
from benchmarks.gpu.scale import Scale
from benchmarks.gpu.stand_ins import CertainTracker, rectangles
from benchmarks.gpu.watch import Watch
from stages.segment.prompted.pretrained import TRANSFORMERS
from stages.segment.prompted.sam2 import Sam2Tracker
from tests import tiny_models

HEIGHT, WIDTH = 90, 160
CPU = torch.device("cpu")


def test_without_cuda_it_says_so_in_one_line_and_is_content(capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert command.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("SKIPPED: no CUDA GPU")


def test_a_package_that_is_missing_is_named_in_one_line(capsys, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "zlib_ng" else found(name))
    assert command.main([]) == 0
    assert capsys.readouterr().out == "SKIPPED: not installed: zlib_ng; run `make setup GPU=1`\n"


def test_another_transformers_is_no_reason_to_fail_but_to_say_which_is_needed(capsys, monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "4.57.1")
    assert command.main([]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"SKIPPED: needs transformers {TRANSFORMERS}, found 4.57.1")


def test_each_figure_is_printed_before_the_next_one_is_measured(capsys, monkeypatch):
    printed = []

    def two(device, scale, folder):
        assert (scale.parts, scale.people) == (("speed",), (2, 3))
        yield Figure("first", ">= 2 x", "1 x", ok=False)
        printed.append(capsys.readouterr().out)
        yield information("second", "7")

    monkeypatch.setattr(command, "_missing", lambda: None)
    monkeypatch.setattr("benchmarks.gpu.measure.measure", two)
    assert command.main(["--device", "cpu", "--only", "speed", "--people", "2,3"]) == 1
    assert printed == ["first: 1 x (asked: >= 2 x, SHORT)\n"]
    assert capsys.readouterr().out.startswith("second: 7\n\nfigure")


@pytest.mark.parametrize("arguments", [["--only", "speed,sped"], ["--people", "0"], ["--people", "1,x"]])
def test_what_cannot_be_measured_is_refused(arguments, capsys):
    with pytest.raises(SystemExit):
        command.main(arguments)
    assert arguments[0] in capsys.readouterr().err


def test_every_figure_is_measured_from_a_file_to_masks(tmp_path):
    scale = Scale(
        frames=16, people=(2,), rivals=2, runs=1, compared=6, height=HEIGHT, width=WIDTH,
        parts=("masks", "speed", "end-to-end", "memory"),
        detector=tiny_models.grounding_dino, tracker=tiny_models.save_sam2_video,
    )  # fmt: skip
    figures = {figure.name: figure for figure in measure(CPU, scale, tmp_path)}
    promised = [name for name, figure in figures.items() if figure.asked != "-"]
    assert len(promised) == 4, promised
    assert figures["tiny SAM 2, float32: pixels equal to the CPU's"].measured == "100.000%"
    equal = figures["2 people, float32, 6 frames: pixels equal to transformers'"]
    assert equal.ok, equal
    assert figures["2 people: GPU busy"].measured == "not measured (not a CUDA device)"
    assert "the same, 4 people who come in at frames 0, 5, 9, 13" in figures


def test_compiling_that_fails_costs_its_own_figure_only(tmp_path, monkeypatch):
    def no_compiler(*args, **options):
        raise BackendCompilerFailed(no_compiler, RuntimeError("Failed to find C compiler."), None)

    monkeypatch.setattr(torch.nn.Module, "compile", no_compiler)
    scale = Scale(
        frames=4, height=HEIGHT, width=WIDTH, parts=("compile",),
        detector=lambda folder: folder, tracker=tiny_models.save_sam2_video,
    )  # fmt: skip
    *_, figure = measure(CPU, scale, tmp_path)
    assert "not measured: BackendCompilerFailed" in figure.measured
    assert figure.ok


def test_people_who_come_in_one_after_the_other_are_followed_alike(tmp_path):
    weights = tiny_models.save_sam2_video(tmp_path)
    tracker = Sam2Tracker(weights, device=CPU)
    pictures = [tracker.see(image) for image in clip.images(4, height=HEIGHT, width=WIDTH)]
    given = tracker.outline(pictures[0], rectangles(3, height=HEIGHT, width=WIDTH))
    entries = (0, 2, 3)
    ours = list(loops.ours(tracker, pictures, given, frames=6, entries=entries))
    theirs = list(loops.theirs(weights, pictures, given, frames=6, dtype=torch.float32, entries=entries))
    assert [len(found) for found in ours] == [1, 1, 2, 3, 3, 3]
    # Until somebody else comes in: in that frame transformers remembers everybody's mask in black and white.
    for person, frames in {0: (1, 2), 1: (3,), 2: (4, 5, 6)}.items():
        for frame in frames:
            same = (ours[frame - 1].logits[person] > 0) == (theirs[frame - 1][person] > 0)
            assert same.float().mean() > 0.999, (person, frame)


@pytest.mark.parametrize("count", [7, 60, 145])
def test_a_clip_repeats_two_seconds_and_has_every_frame_at_its_time(tmp_path, count):
    path = clip.write(tmp_path, count, height=32, width=48)
    with av.open(str(path)) as container:
        frames = [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    assert [time for time, _ in frames] == pytest.approx([index / 30 for index in range(count)], abs=1e-4)
    for index, (_, image) in enumerate(frames[60:], start=60):
        assert np.abs(image.astype(int) - frames[index % 60][1]).mean() < 4  # the rest is encoded by itself
    if count > 60:
        assert np.array_equal(frames[60][1], frames[0][1])


class Driver:
    """An nvidia-smi that says what it is told to."""

    def __init__(self, lines):
        self.stdout, self.command = [f"{line}\n" for line in lines], []

    def terminate(self):
        pass

    wait = terminate


@pytest.mark.parametrize(
    ("lines", "measured"),
    [
        ([100, 90] * 10, "95%"),
        ([100] * 9, "not measured (9 samples only)"),
        (["[N/A]"] * 20, "not measured (nvidia-smi: [N/A])"),
    ],
)
def test_the_gpu_is_watched_by_its_uuid(monkeypatch, lines, measured):
    driver = Driver(lines)
    monkeypatch.setattr(subprocess, "Popen", lambda command, **options: driver.command.extend(command) or driver)
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid="12-ab"))
    watch = Watch(torch.device("cuda", 1))
    with watch:
        pass
    figure = watch.figure("busy", at_least=0.9)
    assert (figure.measured, figure.ok) == (measured, True)
    assert "--id=GPU-12-ab" in driver.command


def test_without_nvidia_smi_that_is_said(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with Watch(torch.device("cuda")) as watch:
        pass
    assert watch.figure("busy", at_least=0.9) == information("busy", "not measured (no nvidia-smi)")


def test_the_tracker_that_is_certain_answers_the_boxes_that_it_was_given(tmp_path):
    boxes = rectangles(3, height=HEIGHT, width=WIDTH)
    inner = Sam2Tracker(tiny_models.save_sam2_video(tmp_path), device=CPU)
    tracker = CertainTracker(inner, height=HEIGHT, width=WIDTH)
    pictures = [tracker.see(image) for image in clip.images(3, height=HEIGHT, width=WIDTH)]
    given = tracker.outline(pictures[0], boxes)
    for found in loops.ours(tracker, pictures, given, frames=5):
        assert found.numbers == (0, 1, 2)
        for logits, (x1, y1, x2, y2) in zip(found.logits, boxes, strict=True):
            rows, columns = torch.nonzero(logits > 0, as_tuple=True)
            side = logits.shape[0]
            assert abs(columns.min() - x1 * side / WIDTH) <= 1
            assert abs(columns.max() + 1 - x2 * side / WIDTH) <= 1
            assert abs(rows.min() - y1 * side / HEIGHT) <= 1
            assert abs(rows.max() + 1 - y2 * side / HEIGHT) <= 1


def test_rates_do_not_count_what_comes_before_the_clock(monkeypatch):
    now = iter([100.0, 102.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(now))
    assert loops.rate(iter(range(10)), CPU, frames=10, warm=4) == 3.0
