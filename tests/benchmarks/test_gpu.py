"""The GPU benchmark's own code, on a CPU with tiny models: that it measures what it says."""

import time

import pytest
import torch

from benchmarks.gpu import __main__ as command
from benchmarks.gpu import clip, loops
from benchmarks.gpu.measure import Scale, measure
from benchmarks.gpu.stand_ins import CertainTracker, rectangles
from stages.segment.prompted.sam2 import Sam2Tracker
from tests import tiny_models

HEIGHT, WIDTH = 90, 160
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_without_cuda_it_says_so_in_one_line_and_is_content(capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert command.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("SKIPPED: no CUDA GPU")


def test_every_figure_is_measured_from_a_file_to_masks(tmp_path):
    scale = Scale(
        frames=24, people=(2,), rivals=2, runs=1, compared=6, height=HEIGHT, width=WIDTH, compile=False,
        detector=tiny_models.grounding_dino, tracker=tiny_models.save_sam2_video,
    )  # fmt: skip
    figures = {figure.name: figure for figure in measure(CPU, scale, tmp_path)}
    promised = [name for name, figure in figures.items() if figure.asked != "-"]
    assert len(promised) == 4, promised
    assert figures["tiny SAM 2, float32: pixels equal to the CPU's"].measured == "100.000%"
    equal = figures["2 people, float32, 6 frames: pixels equal to transformers'"]
    assert equal.ok, equal


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
