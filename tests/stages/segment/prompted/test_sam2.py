"""The tracker against transformers' own loop: the same masks, from less memory and in fewer passes."""

import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from common.errors import ModelUnavailable
from stages.segment.prompted.protocols import Outlines
from stages.segment.prompted.sam2 import Sam2Tracker
from stages.segment.prompted.sam2_memory import MOST_GIVEN, Sam2Memory
from stages.segment.prompted.sam2_model import Sam2Model
from tests.stages.segment.prompted.sam2_reference import (
    CPU,
    SIDE,
    Result,
    as_outlines,
    boxed,
    moving_pictures,
    propagated,
    rectangles,
)

FRAMES = 24
"""More than the memory's 16, by so many that it forgets of somebody who comes in frame 5, too."""


@pytest.fixture(scope="module")
def tracker(sam2_folder: Path) -> Sam2Tracker:
    """For all tests that change nothing about it; one whose memory runs out does fewer people at once from then on."""
    return Sam2Tracker(sam2_folder, device=CPU)


def tracked(
    tracker: Sam2Tracker,
    frames: list[np.ndarray],
    prompts: Mapping[int, Mapping[int, torch.Tensor]],
    *,
    start: int = 0,
    reverse: bool = False,
) -> dict[int, Outlines]:
    """The tracker's results by frame, of those whom it follows there; on the frames of prompts, before them."""
    memory = tracker.memory(reverse=reverse)
    results = {}
    for index in range(start, -1, -1) if reverse else range(start, len(frames)):
        picture = tracker.see(frames[index])
        results[index] = memory.follow(picture, index)
        given = {number: masks[index] for number, masks in prompts.items() if index in masks}
        if given:
            memory.remember(picture, index, as_outlines(given))
    return results


def assert_equal(ours: Outlines, theirs: Result, *, frame: int, tolerance: float = 1e-3) -> None:
    worst = (ours.logits - theirs.logits).abs().max().item()
    assert worst <= tolerance, f"frame {frame}: logits differ by {worst:.1e}"
    presence = (ours.presence - theirs.presence).abs().max().item()
    assert presence <= tolerance, f"frame {frame}: presence differs by {presence:.1e}"


def equal_pixels(ours: Mapping[int, Outlines], theirs: Mapping[int, Result]) -> float:
    """The share of all pixels of all frames that both see inside, or both outside."""
    same = [((ours[index].logits > 0) == (theirs[index].logits > 0)).float().mean().item() for index in ours]
    return float(np.mean(same))


@pytest.mark.usefixtures("unrounded")
@pytest.mark.parametrize(
    ("folder", "people", "reverse"),
    [("sam2_folder", 3, False), ("flickering_sam2_folder", 2, True), ("flickering_sam2_folder", 1, False)],
)
def test_equals_the_loop_of_transformers(
    folder: str, people: int, reverse: bool, request: pytest.FixtureRequest
) -> None:
    model = request.getfixturevalue(folder)
    frames = moving_pictures(FRAMES)
    first = FRAMES - 1 if reverse else 0
    prompts = {number: {first: mask} for number, mask in enumerate(rectangles(people), 1)}
    theirs = propagated(model, frames, prompts, start=first, reverse=reverse)
    ours = tracked(Sam2Tracker(model, device=CPU), frames, prompts, start=first, reverse=reverse)
    del theirs[first], ours[first]
    hidden = np.mean([result.presence.numpy() < 0 for result in theirs.values()])
    assert (0.2 < hidden < 0.9) if folder.startswith("flickering") else hidden == 0, f"{hidden:.0%} are hidden"
    for index, outlines in ours.items():
        assert_equal(outlines, theirs[index], frame=index)
    assert equal_pixels(ours, theirs) >= 0.999


def test_rounded_memories_let_masks_drift_apart_slowly(sam2_folder: Path, tracker: Sam2Tracker) -> None:
    frames = moving_pictures(9)
    prompts = {number: {0: mask} for number, mask in enumerate(rectangles(3), 1)}
    theirs = propagated(sam2_folder, frames, prompts)
    ours = tracked(tracker, frames, prompts)
    del theirs[0], ours[0]
    assert_equal(ours[1], theirs[1], frame=1)
    same = equal_pixels(ours, theirs)
    assert same >= 0.99, f"{same:.2%} of the pixels are equal"


@pytest.mark.usefixtures("unrounded")
def test_somebody_who_comes_later_is_followed_as_if_alone_and_changes_nobody(
    sam2_folder: Path, tracker: Sam2Tracker
) -> None:
    frames = moving_pictures(FRAMES)
    first, second, late = rectangles(3)
    prompts = {1: {0: first}, 2: {0: second}, 7: {5: late}}
    ours = tracked(tracker, frames, prompts)
    for number, masks in prompts.items():
        (begin,) = masks
        alone = propagated(sam2_folder, frames, {number: masks}, start=begin)
        for index in range(begin + 1, FRAMES):
            assert_equal(ours[index].of({number}), alone[index], frame=index)
    assert ours[5].numbers == (1, 2)
    assert ours[6].numbers == (1, 2, 7)


@pytest.mark.usefixtures("unrounded")
def test_a_mask_that_is_given_again_counts_as_given(sam2_folder: Path, tracker: Sam2Tracker) -> None:
    frames = moving_pictures(24)
    prompts = {1: {0: rectangles(3)[0], 9: rectangles(3)[1], 10: rectangles(3)[2]}}
    ours = tracked(tracker, frames, prompts)
    theirs = propagated(sam2_folder, frames, prompts)
    for index in set(range(1, 24)) - {9, 10}:  # there it tells what it found by itself, before the mask was given
        assert_equal(ours[index], theirs[index], frame=index)


@pytest.mark.usefixtures("unrounded")
def test_everybody_keeps_their_place_however_people_are_grouped(sam2_folder: Path, tracker: Sam2Tracker) -> None:
    frames = moving_pictures(13)
    first, second, third = rectangles(3)
    prompts = {1: {0: first}, 2: {0: second, 3: third}, 3: {0: third}}  # more is remembered of 2 from frame 10 on
    ours = tracked(tracker, frames, prompts)
    for number, masks in prompts.items():
        alone = propagated(sam2_folder, frames, {number: masks})
        for index in (1, 2, *range(4, 13)):
            assert ours[index].numbers == (1, 2, 3)
            assert_equal(ours[index].of({number}), alone[index], frame=index)


def test_of_many_given_masks_the_first_and_the_last_ones_are_remembered(tracker: Sam2Tracker) -> None:
    memory = tracker.memory()
    given = []
    for index, image in enumerate(moving_pictures(MOST_GIVEN + 3)):
        picture = tracker.see(image)
        memory.follow(picture, index)
        memory.remember(picture, index, as_outlines({1: rectangles(3)[index % 3]}))
        given.append(pointers(memory)[-1])
    kept = pointers(memory)
    assert len(kept) == MOST_GIVEN
    for mine, chosen in zip(kept, [given[0], *given[-MOST_GIVEN + 1 :]], strict=True):
        assert torch.equal(mine, chosen)


def test_who_is_forgotten_takes_no_memory_any_more(tracker: Sam2Tracker) -> None:
    memory = tracker.memory()
    memory.remember(tracker.see(moving_pictures(1)[0]), 0, as_outlines(dict(enumerate(rectangles(3)))))
    before = held_bytes(memory)
    memory.forget((0, 2))
    assert held_bytes(memory) == before // 3


def held_bytes(memory: Sam2Memory) -> int:
    """Of all that the memory's tensors are parts of."""
    return sum(
        {part.untyped_storage().data_ptr(): part.untyped_storage().nbytes() for part in memory.tensors()}.values()
    )


def pointers(memory: Sam2Memory) -> list[torch.Tensor]:
    return [part for part in memory.tensors() if part.ndim == 1]


@pytest.mark.parametrize("size", [(64, 64), (16, 16), (90, 160)])
@pytest.mark.usefixtures("unrounded")
def test_masks_are_taken_at_any_resolution(sam2_folder: Path, tracker: Sam2Tracker, size: tuple[int, int]) -> None:
    frames = moving_pictures(2)
    coarse = torch.zeros(size)
    coarse[size[0] // 4 : size[0] // 2, size[1] // 4 : -size[1] // 4] = 1
    logits = torch.nn.functional.interpolate((20 * coarse - 10)[None, None], size=(64, 64), mode="bilinear")
    theirs = propagated(sam2_folder, frames, {1: {0: (logits[0, 0] > 0).float()}})
    assert_equal(tracked(tracker, frames, {1: {0: coarse}})[1], theirs[1], frame=1)


def test_boxes_are_outlined_as_by_transformers(sam2_folder: Path, tracker: Sam2Tracker) -> None:
    frame = moving_pictures(1)[0]
    boxes = np.array([[10, 5, 60, 80], [100, 20, 159, 70], [0, 0, 160, 90]], np.float32)
    ours = tracker.outline(tracker.see(frame), boxes)
    assert ours.numbers == (0, 1, 2)
    for row, box in enumerate(boxes):
        assert_equal(ours.of({row}), boxed(sam2_folder, frame, box.tolist()), frame=0, tolerance=1e-5)
    differing = ((ours.logits[0] > 0) != (ours.logits[1] > 0)).float().mean()
    assert differing > 0.01, f"boxes do not matter: only {differing:.1%} of the pixels differ"


def test_without_boxes_there_is_nothing_to_outline(tracker: Sam2Tracker) -> None:
    outlines = tracker.outline(tracker.see(moving_pictures(1)[0]), np.zeros((0, 4), np.float32))
    assert len(outlines) == 0
    assert outlines.logits.shape == (0, 16, 16)


def test_with_nobody_to_follow_there_is_nobody_and_nothing_is_computed(
    sam2_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sam2Model, "features", lambda *_: pytest.fail("a picture was encoded"))
    tracker = Sam2Tracker(sam2_folder, device=CPU)
    outlines = tracker.memory().follow(tracker.see(moving_pictures(1)[0]), 17)
    assert len(outlines) == 0
    assert outlines.logits.shape == (0, 16, 16)


@pytest.mark.usefixtures("unrounded")
def test_who_is_forgotten_leaves_the_others_as_they_are(tracker: Sam2Tracker) -> None:
    frames = moving_pictures(14)
    prompts = {number: {0: mask} for number, mask in enumerate(rectangles(3), 1)}
    together = tracked(tracker, frames, prompts)
    memory = tracker.memory()
    for index, frame in enumerate(frames):
        picture = tracker.see(frame)
        left = memory.follow(picture, index)
        if index == 0:
            memory.remember(picture, 0, as_outlines({number: masks[0] for number, masks in prompts.items()}))
        if index == 8:
            memory.forget({2, 99})
        if index > 8:
            assert left.numbers == (1, 3)
            others = together[index].of({1, 3})
            assert_equal(left, Result(others.logits, others.presence), frame=index)
    assert memory.numbers == (1, 3)


def test_the_memory_of_80_frames_is_that_of_50(tracker: Sam2Tracker) -> None:
    memory = tracker.memory()
    held: dict[int, tuple[int, int]] = {}
    picture = tracker.see(moving_pictures(1)[0])
    for index in range(81):
        memory.follow(picture, index)
        if index in (0, 20, 30):
            memory.remember(picture, index, as_outlines({1: rectangles(2)[0], 2: rectangles(2)[1]}))
        held[index] = len(memory.tensors()), held_bytes(memory)
    # 3 given and 6 found masks, 3 given and 15 found pointers, of two people
    assert held[80][0] == 2 * (3 + 6 + 3 + 15)
    assert held[80] == held[50], f"(tensors, bytes) after 50 and 80 frames: {held[50]}, {held[80]}"
    most = max(size for _, size in held.values())
    assert most <= held[80][1] * 1.01, f"up to {most} bytes on the way, {held[80][1]} at the end"


def count_passes(monkeypatch: pytest.MonkeyPatch, name: str) -> list[int]:
    """How many people come into each call of one of the model's methods, the second argument of which is of them."""
    passes: list[int] = []
    original = getattr(Sam2Model, name)

    def counting(self: Sam2Model, features: object, people: torch.Tensor, *rest: object) -> object:
        passes.append(len(people))
        return original(self, features, people, *rest)

    monkeypatch.setattr(Sam2Model, name, counting)
    return passes


def test_people_of_whom_equally_much_is_remembered_share_attention_and_all_share_the_rest(
    tracker: Sam2Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes, decoded = count_passes(monkeypatch, "attended"), count_passes(monkeypatch, "from_memory")
    memory, masks = tracker.memory(), rectangles(4)
    picture = tracker.see(moving_pictures(1)[0])
    by_frame = []
    for index in range(30):
        passes.clear()
        memory.follow(picture, index)
        by_frame.append(sorted(passes))
        if index == 0:
            memory.remember(picture, 0, as_outlines({number: masks[number] for number in range(3)}))
        if index == 4:
            memory.remember(picture, 4, as_outlines({3: masks[3]}))
    assert by_frame[1:5] == [[3]] * 4
    assert by_frame[5:20] == [[1, 3]] * 15, "until the newcomer's memory is as long as theirs"
    assert by_frame[20:] == [[4]] * 10
    assert decoded == [3] * 4 + [4] * 25, "one pass for everybody in each frame, newcomer or not"


def test_a_picture_is_encoded_once_however_many_look_at_it(sam2_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    original = Sam2Model.features

    def counting(self: Sam2Model, picture: torch.Tensor) -> object:
        calls.append(1)
        return original(self, picture)

    monkeypatch.setattr(Sam2Model, "features", counting)
    tracker = Sam2Tracker(sam2_folder, device=CPU)
    pictures = [tracker.see(image) for image in moving_pictures(3)]
    memory, other = tracker.memory(), tracker.memory()
    for index, picture in enumerate(pictures):
        memory.follow(picture, index)
        outlines = tracker.outline(picture, np.array([[0, 0, 80, 80]], np.float32))
        other.follow(picture, index)
        memory.remember(picture, index, outlines)
        other.remember(picture, index, outlines)
    assert len(calls) == 3


@pytest.mark.parametrize("step", ["attended", "from_memory"])
def test_memory_that_runs_out_makes_the_passes_smaller(
    step: str,
    sam2_folder: Path,
    tracker: Sam2Tracker,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    frames = moving_pictures(3)
    prompts = {number: {0: mask} for number, mask in enumerate(rectangles(4), 1)}
    whole = tracked(tracker, frames, prompts)
    original = getattr(Sam2Model, step)

    def narrow(self: Sam2Model, features: object, people: torch.Tensor, *rest: object) -> object:
        if len(people) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(self, features, people, *rest)

    monkeypatch.setattr(Sam2Model, step, narrow)
    halves = tracked(Sam2Tracker(sam2_folder, device=CPU), frames, prompts)
    for index in (1, 2):
        assert_equal(halves[index], Result(whole[index].logits, whole[index].presence), frame=index, tolerance=3e-2)
    assert "2 (CUDA out of memory" in caplog.text


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_finds_about_the_same_at_first(
    sam2_folder: Path, tracker: Sam2Tracker, dtype: torch.dtype
) -> None:
    frames = moving_pictures(4)
    prompts = {number: {0: mask} for number, mask in enumerate(rectangles(2), 1)}
    precise = tracked(tracker, frames, prompts)
    half = tracked(Sam2Tracker(sam2_folder, device=CPU, dtype=dtype), frames, prompts)
    assert half[1].logits.dtype == dtype
    alike = ((half[1].logits > 0) == (precise[1].logits > 0)).float().mean().item()
    assert alike > 0.95, f"{alike:.1%} of the pixels are equal"
    assert bool(torch.isfinite(half[3].logits).all())


def test_half_precision_does_not_move_boxes(sam2_folder: Path) -> None:
    encoding = Sam2Model(sam2_folder, device=CPU, dtype=torch.bfloat16)._model.prompt_encoder.shared_embedding
    corners = torch.tensor([[[[10.3, 50.7], [61.15, 63.9]]]])
    waves = 2 * np.pi * (2 * corners.double() / SIDE - 1) @ saved(sam2_folder, "prompt_encoder.shared_embedding")
    worst = (encoding(corners, (SIDE, SIDE)) - torch.cat([waves.sin(), waves.cos()], dim=-1)).abs().max().item()
    assert worst < 1e-4, f"corners are encoded wrongly by {worst:.1e}"


def saved(folder: Path, encoding: str) -> torch.Tensor:
    """(2, n) float64, the frequencies of an encoding, as they are in the file."""
    return load_file(folder / "model.safetensors")[f"{encoding}.positional_embedding"].double()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_does_not_move_cells(sam2_folder: Path, dtype: torch.dtype) -> None:
    model = Sam2Model(sam2_folder, device=CPU, dtype=dtype)
    assert {parameter.dtype for parameter in model._model.parameters()} == {dtype}
    cells = SIDE // 16
    rows, columns = np.meshgrid(np.arange(cells), np.arange(cells), indexing="ij")
    centres = torch.from_numpy(np.stack([columns, rows], axis=-1) + 0.5) / cells
    waves = 2 * np.pi * (2 * centres - 1) @ saved(sam2_folder, "shared_image_embedding")
    assert_rounded_once(model._where[0].permute(1, 2, 0), torch.cat([waves.sin(), waves.cos()], dim=-1))
    assert_rounded_once(model._positions[:, 0], sines(rows, columns, 128))
    times = load_file(sam2_folder / "model.safetensors")["memory_temporal_positional_encoding"].double().flatten(1)
    assert_rounded_once(model.places, sines(rows, columns, 64) + times[:, None])


def sines(rows: np.ndarray, columns: np.ndarray, channels: int) -> torch.Tensor:
    """(cells, channels) float64: DETR's sine encoding (Carion et al. 2020), of 1 to n as fractions of a turn."""
    frequencies = 10000.0 ** (-np.arange(0, channels // 2, 2) / (channels // 2))
    parts = []
    for places in (rows, columns):
        angles = 2 * np.pi * (places.reshape(-1, 1) + 1) / len(rows) * frequencies
        parts.append(np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(len(angles), -1))
    return torch.from_numpy(np.concatenate(parts, axis=1))


def assert_rounded_once(half: torch.Tensor, exact: torch.Tensor) -> None:
    allowed = torch.finfo(half.dtype).eps / 2 * exact.abs() + 1e-5
    excess = ((half.double() - exact).abs() - allowed).max().item()
    assert excess <= 0, f"off by {excess:.1e} more than by rounding"


def test_frames_come_one_after_the_other(tracker: Sam2Tracker) -> None:
    picture, mask = tracker.see(moving_pictures(1)[0]), as_outlines({1: rectangles(1)[0]})
    memory = tracker.memory(reverse=True)
    memory.remember(picture, 10, mask)
    memory.follow(picture, 9)
    with pytest.raises(ValueError, match="the frame after 9 is 8, got 10"):
        memory.follow(picture, 10)
    with pytest.raises(ValueError, match="the last frame was 9"):
        memory.remember(picture, 10, mask)
    with pytest.raises(ValueError, match="number of its own"):
        memory.remember(picture, 9, Outlines((3, 3), mask.logits.repeat(2, 1, 1), torch.ones(2)))


def test_the_image_encoder_is_compiled_if_asked_for(sam2_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **options: compiled.append(type(self).__name__))
    Sam2Tracker(sam2_folder, device=CPU)
    assert compiled == []
    Sam2Tracker(sam2_folder, device=CPU, compile=True)
    assert compiled == ["Sam2VisionModel"]


def test_another_version_of_transformers_is_refused(sam2_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transformers.__version__", "5.24.0")
    with pytest.raises(ModelUnavailable, match=r"needs transformers 5\.23\.0.*found 5\.24\.0.*make setup"):
        Sam2Tracker(sam2_folder, device=CPU)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU and torch with CUDA")
def test_between_key_frames_nobody_waits_for_the_gpu_and_masks_are_those_of_the_cpu(sam2_folder: Path) -> None:
    frames = moving_pictures(12)
    prompts = {number: {0: mask} for number, mask in enumerate(rectangles(3), 1)}
    on_cpu = tracked(Sam2Tracker(sam2_folder, device=CPU), frames, prompts)
    tracker = Sam2Tracker(sam2_folder, device=torch.device("cuda", 0))
    memory = tracker.memory()
    memory.remember(tracker.see(frames[0]), 0, as_outlines({number: masks[0] for number, masks in prompts.items()}))
    memory.follow(tracker.see(frames[1]), 1)
    found = {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Synchronization debug mode is a prototype")
        torch.cuda.set_sync_debug_mode("error")
        try:
            for index in range(2, 12):
                found[index] = memory.follow(tracker.see(frames[index]), index)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    alike = ((found[4].logits.cpu() > 0) == (on_cpu[4].logits > 0)).float().mean().item()
    assert alike >= 0.999, f"{alike:.2%} of the pixels are equal"
