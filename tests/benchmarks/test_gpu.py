"""The GPU benchmark's own code, on a CPU with tiny models: that it measures what it says."""

import contextlib
import ctypes
import functools
import importlib.metadata
import importlib.util
import json
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import av
import numpy as np
import pytest
import torch
from torch._dynamo.exc import BackendCompilerFailed

from benchmarks.figures import Figure, information
from benchmarks.gpu import __main__ as command
from benchmarks.gpu import clip, end_to_end, isolated, loops, masks, speed, watch, worker
from benchmarks.gpu.masks import masks_of_transformers, same_on_cpu
from benchmarks.gpu.measure import steps
from benchmarks.gpu.parts import PARTS
from benchmarks.gpu.scale import FULL, QUICK, Bench, Scale
from benchmarks.gpu.stand_ins import CertainTracker, rectangles
from benchmarks.gpu.watch import Watch
from stages.segment.prompted.pretrained import TRANSFORMERS
from stages.segment.prompted.sam2 import Sam2Tracker
from tests import tiny_models

HEIGHT, WIDTH = 90, 160
CPU = torch.device("cpu")
SMALL = Scale(
    frames=10, timed=15, people=(2,), rivals=2, runs=1, lengths=(3, 6), compared=4, height=HEIGHT, width=WIDTH,
    detector=tiny_models.grounding_dino, tracker=tiny_models.save_sam2_video,
)  # fmt: skip


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Of a tiny tracker and a tiny detector."""
    folder = tmp_path_factory.mktemp("weights")
    return tiny_models.save_sam2_video(folder / "tracker"), tiny_models.grounding_dino(folder / "detector")


@pytest.fixture
def bench(tmp_path, weights):
    """A bench whose weights are there already."""
    for made in weights:
        (tmp_path / made.name).symlink_to(made)
    return Bench(CPU, SMALL, tmp_path)


@pytest.fixture
def tracker(weights):
    return Sam2Tracker(weights[0], device=CPU)


@pytest.fixture
def pretended(monkeypatch):
    """`isolated.figures` with the worker that does what it is told."""
    figures = functools.partial(isolated.figures, module="tests.benchmarks.pretended_worker", longest=20.0)
    monkeypatch.setattr(isolated, "figures", figures)
    return figures


# What whoever calls it sees.


def test_without_cuda_it_says_so_in_one_line_and_is_content(capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    request = {"device": "cuda", "quick": False, "parts": None, "people": None, "folder": "", "first": 0}
    assert worker.main([json.dumps(request)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["skipped"].startswith("no CUDA GPU that torch")


def test_why_nothing_can_be_measured_is_one_line(capsys, monkeypatch, pretended):
    monkeypatch.setattr(isolated, "figures", lambda request: pretended({"skipped": "no CUDA GPU"}))
    assert command.main([]) == 0
    assert capsys.readouterr().out == "SKIPPED: no CUDA GPU\n"


def test_a_gpu_that_is_lost_in_between_is_a_failure(capsys, monkeypatch, pretended, tmp_path):
    steps = [["a"], ["b", "lose the GPU"], ["c"]]
    monkeypatch.setattr(isolated, "figures", lambda request: pretended({"steps": steps, "folder": str(tmp_path)}))
    file = tmp_path / "figures.json"
    assert command.main(["--json", str(file)]) == 1
    table = capsys.readouterr().out.partition("\n\n")[2]
    assert [line.split(" | ")[0].strip() for line in table.splitlines()] == ["figure", "a", "b", "step 1", "rest"]
    rest = {"name": "rest", "asked": "to be measured", "measured": "skipped: no CUDA GPU", "ok": False}
    assert json.loads(file.read_text())[-1] == rest


def test_a_package_that_is_missing_is_named_in_one_line(capsys, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "av" else found(name))
    assert command.main([]) == 0
    assert capsys.readouterr().out == "SKIPPED: not installed: av; run `make setup GPU=1`\n"


def test_another_transformers_is_no_reason_to_fail_but_to_say_which_is_needed(capsys, monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "5.17.0")
    assert worker.main([json.dumps({"device": "cuda"})]) == 0
    said = json.loads(capsys.readouterr().out)["skipped"]
    assert said.startswith(f"needs transformers {TRANSFORMERS}, found 5.17.0")


@pytest.mark.parametrize(
    ("module", "named"), [("benchmarks.gpu.measure", None), ("stages.segment", None), ("jinja2", "jinja2"), ("x", None)]
)
def test_only_packages_of_others_may_be_missing(capsys, monkeypatch, module, named):
    def usable(name):
        raise ModuleNotFoundError(f"No module named {module!r}", name=None if module == "x" else module)

    monkeypatch.setattr(worker, "_usable", usable)
    if named is None:
        with pytest.raises(ModuleNotFoundError):
            worker.main([json.dumps({"device": "cuda"})])
    else:
        assert worker.main([json.dumps({"device": "cuda"})]) == 0
        assert f"No module named '{named}'" in json.loads(capsys.readouterr().out)["skipped"]


def test_only_torch_may_fail_to_load_its_libraries(capsys, monkeypatch):
    def unreadable(*arguments):
        raise OSError("libcudart.so.13: cannot open shared object file")

    monkeypatch.setattr(importlib.metadata, "version", unreadable)
    with pytest.raises(OSError, match="libcudart"):
        worker.main([json.dumps({"device": "cuda"})])
    finder = SimpleNamespace(find_spec=unreadable)
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(sys, "meta_path", [finder])
    assert worker.main([json.dumps({"device": "cuda"})]) == 0
    assert json.loads(capsys.readouterr().out)["skipped"].startswith("OSError: libcudart.so.13")


def test_each_figure_is_printed_and_saved_before_the_next_one_is_measured(capsys, monkeypatch, tmp_path):
    file, printed, saved = tmp_path / "figures.json", [], []

    def two(request):
        assert (request["parts"], request["people"]) == (("speed",), (2, 3))
        yield Figure("first", ">= 2 x", "1 x", ok=False)
        printed.append(capsys.readouterr().out)
        saved.extend(json.loads(file.read_text()))
        yield information("second", "7")

    monkeypatch.setattr(isolated, "figures", two)
    assert command.main(["--only", "speed", "--people", "2,3", "--json", str(file)]) == 1
    assert printed == ["first: 1 x (asked: >= 2 x, SHORT)\n"]
    assert saved == [{"name": "first", "asked": ">= 2 x", "measured": "1 x", "ok": False}]
    assert capsys.readouterr().out.startswith("second: 7\n\nfigure")
    assert len(json.loads(file.read_text())) == 2


@pytest.mark.parametrize(
    "arguments", [["--only", "speed,sped"], ["--people", "0"], ["--people", "1,x"], ["--device", "cpu"]]
)
def test_what_cannot_be_measured_is_refused(arguments, capsys):
    with pytest.raises(SystemExit):
        command.main(arguments)
    assert arguments[0] in capsys.readouterr().err


# When something fails.


def test_a_step_that_fails_is_a_figure_that_falls_short_and_the_others_are_measured(pretended, capfd):
    figures = list(pretended({"steps": [["a", "noise"], ["b", "crash", "c"], ["d", "die"], ["e"]]}))
    assert [(figure.name, figure.ok) for figure in figures] == [
        ("a", True), ("b", True), ("step 1", False), ("d", True), ("step 2", False), ("e", True),
    ]  # fmt: skip
    assert figures[2].measured == "failed: RuntimeError: CUDA error: an illegal memory access"
    assert figures[4].measured == "failed: ended by SIGKILL"
    assert "a library has something to say" in capfd.readouterr().err


def test_without_its_preparations_nothing_is_tried(pretended):
    (figure,) = pretended({"steps": [["crash"], ["a"]]})
    assert not figure.ok


def test_who_leaves_early_with_status_0_has_failed(pretended):
    figures = list(pretended({"steps": [["a"], ["b", "leave", "c"], ["d", "leave"]]}))
    assert [(figure.name, figure.measured) for figure in figures if not figure.ok] == [
        ("step 1", "failed: ended with status 0"), ("step 2", "failed: ended with status 0"),
    ]  # fmt: skip
    (figure,) = pretended({"steps": [["leave"], ["a"]]})
    assert not figure.ok


def test_a_step_that_hangs_is_ended(pretended):
    figures = list(pretended({"steps": [["a"], ["hang"], ["b"]]}, longest=1.0))
    assert [figure.measured for figure in figures] == ["2 x", "failed: stopped after 1 s", "2 x"]


def test_a_worker_says_what_ended_it(capsys):
    error = RuntimeError("CUDA error: an illegal memory access\nCUDA kernel errors might be reported later")
    worker._said_last(RuntimeError, error, None)
    assert json.loads(capsys.readouterr().out) == {"error": "RuntimeError: CUDA error: an illegal memory access"}


def test_what_was_left_half_done_is_made_anew(tmp_path):
    (tmp_path / "detector.unfinished").mkdir()
    (tmp_path / "detector.unfinished" / "config.json").write_text("{")
    Bench(CPU, SMALL, tmp_path).prepare()
    made = (tmp_path / "detector" / "config.json").stat()
    Bench(CPU, SMALL, tmp_path).prepare()
    assert made.st_size > 1
    assert (tmp_path / "detector" / "config.json").stat().st_mtime_ns == made.st_mtime_ns


# What is measured.


def test_every_figure_is_measured_from_a_file_to_masks(bench, capsys, monkeypatch):
    monkeypatch.setattr(end_to_end, "WARM", 5)
    parts = ("masks", "speed", "end-to-end", "memory")
    worker.run(CPU, replace(SMALL, parts=parts), bench.folder)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    figures = {line["figure"]["name"]: Figure(**line["figure"]) for line in lines if "figure" in line}
    assert [line["step"] for line in lines if "step" in line] == list(range(6))
    promised = [name for name, figure in figures.items() if figure.asked != "-"]
    assert len(promised) == 4, promised
    same = figures["tiny SAM 2, float32: pixels equal to the CPU's"]
    assert same.ok
    assert same.measured.startswith("100.000 % (")
    equal = figures["2 people, float32, 4 frames: pixels equal to transformers'"]
    assert equal.ok, equal
    assert figures["2 people: GPU busy"].measured == "not measured (not a CUDA device)"
    assert "SAM 2 alone, 4 people who come in at frames 0, 5, 9, 13" in figures


def test_on_a_gpu_all_parts_have_steps():
    names = [step.name for step in steps(PARTS, torch.device("cuda", 0))]
    assert {"waits", "memory", "compile"} <= set(names)
    assert len(names) == len(set(names)) == 9
    assert "compile" not in QUICK.parts
    assert FULL.parts == PARTS


@pytest.fixture
def cuda(monkeypatch):
    """The functions of torch.cuda that figures ask, without a GPU; what they answer can be changed."""
    answers = SimpleNamespace(allocated=[200, 208], mode=0, modes=[])
    monkeypatch.setattr(torch.cuda, "device", lambda device: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "synchronize", lambda *device: None)
    monkeypatch.setattr(torch.cuda, "get_sync_debug_mode", lambda: 0)
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", answers.modes.append)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: None)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: answers.allocated.pop(0) * 2**30)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda device: 400 * 2**30)
    return answers


def test_memory_of_two_videos_is_compared(bench, cuda):
    held, reserved = end_to_end.memory(bench)
    assert held == Figure(
        "2 people: GPU memory of 6 frames over 3", "<= 1.05 x", "1.040 x (208.00 of 200.00 GiB)", True
    )
    assert reserved.measured == "1.000 x (400.00 of 400.00 GiB)"


def test_a_wait_for_the_gpu_is_found(bench, cuda, monkeypatch):
    monkeypatch.setattr(speed, "WARM", 2)
    monkeypatch.setattr(speed, "_BETWEEN", 5)
    (figure,) = speed.waits(bench)
    assert (figure.measured, figure.ok) == ("0 waits in 5 frames", True)
    assert cuda.modes == ["error", 0]

    def waits(*args, **options):
        if cuda.modes[-1] == "error":
            raise RuntimeError("called a synchronizing CUDA operation")
        return None

    monkeypatch.setattr(speed, "exclusive_labels", waits)
    (figure,) = speed.waits(bench)
    assert (figure.measured, figure.ok) == ("a wait: called a synchronizing CUDA operation", False)
    assert cuda.modes[-1] == 0


def test_compiling_that_fails_costs_its_own_figure_only(bench, monkeypatch):
    def no_compiler(*args, **options):
        raise BackendCompilerFailed(no_compiler, RuntimeError("Failed to find C compiler."), None)

    monkeypatch.setattr(torch.nn.Module, "compile", no_compiler)
    (figure,) = speed.compiled(bench)
    assert "not measured: BackendCompilerFailed" in figure.measured
    assert figure.ok


def test_compiling_is_timed(bench, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, **options: compiled.append(type(module).__name__))
    (figure,) = speed.compiled(bench)
    assert "s with it, compiling included" in figure.measured
    assert compiled == ["Sam2VisionModel"]


def test_masks_that_show_nobody_are_not_right_because_they_are_equal(tmp_path, monkeypatch):
    def hidden(folder, **options):
        return tiny_models.sam2_video(presence=-1e6).save_pretrained(folder) or folder

    bench = Bench(CPU, replace(SMALL, tracker=hidden, compared=2), tmp_path)
    figure, people, _ = masks_of_transformers(bench)
    assert figure.measured == "100.000 % (0% to 0% of a frame are people's)"
    assert people.measured == "there are none"
    assert not figure.ok
    monkeypatch.setattr(tiny_models, "save_sam2_video", hidden)
    figure, _ = same_on_cpu(bench)
    assert not figure.ok


def test_pixels_of_people_are_compared_without_the_background():
    mine, other = torch.zeros(10, 10, dtype=torch.int16), torch.zeros(10, 10, dtype=torch.int16)
    mine[:2], other[1:3], other[9, 9] = 1, 1, 2  # one row of three is shared
    agreement = masks._agreement(mine, other)
    assert (agreement.equal, agreement.inside) == pytest.approx((0.79, 0.21))
    assert masks._of_people([agreement, agreement]).measured == "32.258 % (of 62)"


def test_a_video_without_all_of_its_people_has_no_speed(bench):
    models = bench.models(2)
    more = replace(models, people=3)
    with pytest.raises(RuntimeError, match="2 people were found and 2 are in the last frame, of 3"):
        loops.from_file(more, bench.video(10), frames=10)
    with pytest.raises(RuntimeError, match="10 of 11 frames have masks"):
        loops.from_file(models, bench.video(10), frames=11)


def test_runs_are_left_out_when_there_is_no_time_for_them(monkeypatch):
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    left = end_to_end._is_time_left
    assert left(8, (), 150.0, seconds=49.0)
    assert not left(8, (), 150.0, seconds=51.0)
    assert left(1, (8,), 191.0, seconds=30.0)  # 30 s for one person, 60 s for eight
    assert not left(1, (8,), 189.0, seconds=30.0)


def counting(method, calls):
    def counted(*arguments):
        calls.append(method.__name__)
        return method(*arguments)

    return counted


def test_the_bare_models_are_asked_for_what_the_driver_asks_them(bench, monkeypatch):
    models, calls = replace(bench.models(2), step=10), []
    for owner, name in ((models.detector, "detect"), (models.tracker, "outline")):
        monkeypatch.setattr(owner, name, counting(getattr(owner, name), calls))
    counts = []
    loops.from_file(models, bench.video(28), frames=28)
    counts.append((calls.count("detect"), calls.count("outline")))
    calls.clear()
    images = list(clip.images(4, height=HEIGHT, width=WIDTH))
    loops.bare(models, images, rectangles(2, height=HEIGHT, width=WIDTH), frames=28)
    counts.append((calls.count("detect"), calls.count("outline") - 1))  # one before the clock starts
    assert counts == [(5, 5), (2, 2)]  # frames 0, 4, 14, 24, 27; 10, 20


def test_people_who_come_in_one_after_the_other_are_followed_alike(tracker, weights):
    model = loops.rival(weights[0], device=CPU, dtype=torch.float32)
    pictures = [tracker.see(image) for image in clip.images(4, height=HEIGHT, width=WIDTH)]
    given = tracker.outline(pictures[0], rectangles(3, height=HEIGHT, width=WIDTH))
    entries = (0, 2, 3)
    ours = list(loops.ours(tracker, pictures, given, frames=6, entries=entries))
    theirs = list(loops.theirs(model, pictures, given, frames=6, dtype=torch.float32, entries=entries))
    assert [len(found) for found in ours] == [1, 1, 2, 3, 3, 3]
    # Until somebody else comes in: in that frame transformers remembers everybody's mask in black and white.
    for person, frames in {0: (1, 2), 1: (3,), 2: (4, 5, 6)}.items():
        for frame in frames:
            same = (ours[frame - 1].logits[person] > 0) == (theirs[frame - 1][person] > 0)
            assert same.float().mean() > 0.999, (person, frame)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_both_loops_run_in_half_precision(weights, dtype):
    tracker = Sam2Tracker(weights[0], device=CPU, dtype=dtype)
    pictures = [tracker.see(image) for image in clip.images(4, height=HEIGHT, width=WIDTH)]
    given = tracker.outline(pictures[0], rectangles(2, height=HEIGHT, width=WIDTH))
    *_, ours = loops.ours(tracker, pictures, given, frames=3, entries=(0, 2))
    model = loops.rival(weights[0], device=CPU, dtype=dtype)
    *_, theirs = loops.theirs(model, pictures, given, frames=3, dtype=dtype, entries=(0, 2))
    assert ours.logits.dtype == theirs.dtype == dtype


def test_the_rival_keeps_everything_on_its_device(tracker, weights, monkeypatch):
    made, session = [], loops.Sam2VideoInferenceSession

    def noting(**options):
        made.append(options)
        return session(**options)

    monkeypatch.setattr(loops, "Sam2VideoInferenceSession", noting)
    pictures = [tracker.see(image) for image in clip.images(2, height=HEIGHT, width=WIDTH)]
    given = tracker.outline(pictures[0], rectangles(1, height=HEIGHT, width=WIDTH))
    model = loops.rival(weights[0], device=CPU, dtype=torch.float32)
    next(loops.theirs(model, pictures, given, frames=1, dtype=torch.float32))
    devices = {name: value for name, value in made[0].items() if name.endswith("device")}
    assert devices == dict.fromkeys(("inference_device", "inference_state_device", "video_storage_device"), CPU)


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


def test_what_was_encoded_serves_the_next_clip(tmp_path):
    encoded = tmp_path / "encoded"
    encoded.mkdir()
    first = clip.write(tmp_path / "one", 67, height=32, width=48, encoded=encoded)
    made = {file.name: file.stat().st_mtime_ns for file in encoded.iterdir()}
    again = clip.write(tmp_path / "two", 67, height=32, width=48, encoded=encoded)
    assert sorted(made) == ["60.mp4", "7.mp4"]
    assert made == {file.name: file.stat().st_mtime_ns for file in encoded.iterdir()}
    assert first.read_bytes() == again.read_bytes()


class Nvml:
    """The driver's library, which says what it is told to."""

    def __init__(self, *busy):
        self.busy, self.uuids = list(busy), []
        self.nvmlInit_v2 = lambda: 0
        self.nvmlErrorString = lambda failure: b"Not Found" if failure == 6 else b"Not Supported"

    def nvmlDeviceGetHandleByUUID(self, uuid, handle):
        self.uuids.append(uuid)
        return 0 if uuid == b"GPU-12-ab" else 6

    def nvmlDeviceGetUtilizationRates(self, handle, rates):
        if not self.busy:
            return 3
        rates._obj.gpu = self.busy.pop(0)
        return 0


@pytest.mark.parametrize(
    ("busy", "uuid", "measured", "ok"),
    [
        ([100, 90] * 10, "12-ab", "95.0 % (of 2 s)", True),
        ([89] * 20, "12-ab", "89.0 % (of 2 s)", False),
        ([100] * 9, "12-ab", "not measured (NVML: nvmlDeviceGetUtilizationRates: Not Supported)", False),
        ([100] * 20, "no", "not measured (NVML: nvmlDeviceGetHandleByUUID: Not Found)", False),
    ],
)
def test_the_gpu_is_watched_by_its_uuid(monkeypatch, busy, uuid, measured, ok):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Nvml(*busy))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid=uuid))
    monkeypatch.setattr(watch, "_WINDOW_S", 0.0)
    monkeypatch.setattr(watch, "_EVERY_S", 0.001)
    seen = Watch(torch.device("cuda", 1))
    with seen:
        if seen._thread.is_alive():
            seen._thread.join(10)  # until it has nothing more to read
    monkeypatch.setattr(watch, "_EVERY_S", 0.1)
    figure = seen.figure("busy", at_least=0.9, needed=True)
    assert (figure.asked, figure.measured, figure.ok) == (">= 90 %", measured, ok)


def test_what_was_before_is_not_counted_as_idle(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Nvml(*[0] * 5, *[100] * 15))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid="12-ab"))
    monkeypatch.setattr(watch, "_EVERY_S", 0.001)
    now = iter(range(100))
    monkeypatch.setattr(watch, "_WINDOW_S", 6)
    monkeypatch.setattr(watch, "time", SimpleNamespace(monotonic=lambda: next(now)))
    with Watch(torch.device("cuda")) as seen:
        seen._thread.join(10)
    assert seen.samples == [100] * 15


def test_without_the_drivers_library_that_is_said(monkeypatch):
    def missing(name):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid="12-ab"))
    with Watch(torch.device("cuda")) as seen:
        pass
    said = "not measured (NVML: libnvidia-ml.so.1: cannot open shared object file)"
    assert seen.figure("busy", at_least=0.9, needed=False) == information("busy", said)
    assert seen.figure("busy", at_least=0.9, needed=True) == Figure("busy", ">= 90 %", said, ok=False)
    assert (FULL.watched, QUICK.watched) == (True, False)


def test_the_tracker_that_is_certain_answers_the_boxes_that_it_was_given(tracker):
    boxes = rectangles(3, height=HEIGHT, width=WIDTH)
    tracker = CertainTracker(tracker, height=HEIGHT, width=WIDTH)
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
