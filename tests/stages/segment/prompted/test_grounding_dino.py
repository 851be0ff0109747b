"""The detector against transformers' own processor: the same pixels in, the same boxes out."""

import functools
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import GroundingDinoForObjectDetection, GroundingDinoProcessor

from common.errors import ModelUnavailable, UsageError
from stages.segment.prompted.grounding_dino import GroundingDinoDetector, distinct, fitting
from tests import tiny_models

CPU = torch.device("cpu")
HEIGHT, WIDTH = 120, 213


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.grounding_dino(tmp_path_factory.mktemp("dino"))


@functools.cache
def detector(
    folder: Path, prompt: str = "person. bicycle", *, box: float = 0.0, text: float = 0.0, dtype: Any = torch.float32
) -> GroundingDinoDetector:
    """The same one whenever the same is asked for."""
    return GroundingDinoDetector(folder, prompt=prompt, box_threshold=box, text_threshold=text, device=CPU, dtype=dtype)


def picture(seed: int = 0, height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3))
    return np.kron(coarse, np.ones((8, 8, 1), int))[:height, :width].astype(np.uint8)


@functools.cache
def processor_of(folder: Path) -> Any:
    return GroundingDinoProcessor.from_pretrained(folder)


def transformers_results(folder: Path, image: NDArray[np.uint8], caption: str, threshold: float) -> Any:
    """Inputs, then per box score, xyxy and words, and all probabilities, by transformers alone."""
    processor = processor_of(folder)
    inputs = processor(images=image, text=caption, return_tensors="pt")
    with torch.no_grad():
        output = GroundingDinoForObjectDetection.from_pretrained(folder).eval()(**inputs)
    (found,) = processor.post_process_grounded_object_detection(
        output, inputs.input_ids, threshold=threshold, text_threshold=0.5, target_sizes=[image.shape[:2]]
    )
    return inputs, found, output.logits[0].sigmoid().numpy()


@pytest.mark.parametrize(("height", "width"), [(120, 213), (333, 100), (160, 200), (97, 97)])
def test_pixels_are_those_of_the_processor(folder: Path, height: int, width: int) -> None:
    image = picture(height=height, width=width)
    theirs = processor_of(folder)(images=image, text="person.", return_tensors="pt")
    ours = detector(folder)._prepared(image)
    assert ours.shape == theirs["pixel_values"].shape
    deviation = torch.tensor([0.229, 0.224, 0.225])[:, None, None]  # ImageNet's, by which both divide
    grey_levels = ((ours - theirs["pixel_values"]) * deviation).abs().max().item() * 255
    assert grey_levels <= 1.01, f"{grey_levels:.2f} grey levels apart"


@pytest.mark.parametrize(
    "shape", [(1080, 1920), (1920, 1080), (480, 640), (1408, 1408), (800, 1000), (100, 2000), (7, 9)]
)
def test_the_size_is_rounded_as_the_processor_rounds(shape: tuple[int, int]) -> None:
    from transformers.image_transforms import get_size_with_aspect_ratio

    assert fitting(*shape, 800, 1333) == get_size_with_aspect_ratio(shape, 800, 1333)


def test_boxes_and_scores_are_those_of_the_processor(folder: Path) -> None:
    height, width = 160, 200  # is not resized: with random weights one grey level may choose other boxes
    image = picture(height=height, width=width)
    inputs, theirs, probabilities = transformers_results(folder, image, "person. bicycle.", 0.3)
    ours = detector(folder, "a Person. bicycle", box=0.3).detect(image)
    boxes = np.clip(theirs["boxes"].numpy(), 0, [width, height, width, height])
    tokens = inputs.input_ids[0].tolist()
    person, bicycle = (tokens.index(1050 + tiny_models.WORDS.index(word)) for word in ("person", "bicycle"))
    chosen = probabilities[probabilities.max(axis=1) > 0.3]
    rows = []
    for box, score, name in zip(ours.boxes, ours.scores, ours.class_names, strict=True):
        (row,) = np.flatnonzero(np.isclose(theirs["scores"].numpy(), score, rtol=0, atol=1e-6))
        assert np.allclose(boxes[row], box, rtol=0, atol=1e-3)
        assert name == ("person" if chosen[row, person] > chosen[row, bicycle] else "bicycle")
        rows.append(row)
    assert np.all(np.diff(ours.scores) <= 0)
    assert {"person", "bicycle"} == set(ours.class_names)
    assert ours.boxes.dtype == ours.scores.dtype == np.float32
    left_out = sorted(set(range(len(boxes))) - set(rows))
    assert len(left_out) < len(rows)
    for row in left_out:  # is no box, or the same as a better one
        thin = (boxes[row, 2:] - boxes[row, :2]).min() < 1
        assert thin or max(overlap(boxes[row], boxes[other]) for other in rows) > 0.8


def overlap(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """IoU of two boxes, by counting points of a fine grid."""
    x, y = np.meshgrid(np.linspace(0, 200, 801), np.linspace(0, 160, 641))
    inside = [(x >= x1) & (x < x2) & (y >= y1) & (y < y2) for x1, y1, x2, y2 in (one, other)]
    return float((inside[0] & inside[1]).sum() / max((inside[0] | inside[1]).sum(), 1))


def test_boxes_lie_in_the_frame_and_are_no_lines(folder: Path) -> None:
    for seed in range(3):
        boxes = detector(folder).detect(picture(seed)).boxes
        assert len(boxes) > 0
        assert (boxes[:, 2:] - boxes[:, :2] >= 1).all()
        assert (boxes >= 0).all()
        assert (boxes <= [WIDTH, HEIGHT, WIDTH, HEIGHT]).all()


def test_slivers_and_what_lies_outside_are_left_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = detector(folder, box=0.3, text=0.3)
    centres_and_sizes = [[0.5, 0.5, 0.2, 0.4], [0.5, 0.5, 0.001, 0.4], [1.5, 0.5, 0.2, 0.2], [0.95, 0.1, 0.2, 0.4]]
    boxes = torch.tensor([centres_and_sizes])
    logits = torch.full((1, 4, 256), -9.0)
    logits[0, :, 1] = torch.tensor([1.0, 4.0, 3.0, 2.0])  # token 1 is "person"
    monkeypatch.setattr(seen._model, "forward", lambda **_: SimpleNamespace(logits=logits, pred_boxes=boxes))
    found = seen.detect(picture())
    np.testing.assert_allclose(
        found.boxes, [[0.85 * WIDTH, 0, WIDTH, 36], [0.4 * WIDTH, 36, 0.6 * WIDTH, 84]], rtol=1e-5
    )
    np.testing.assert_allclose(found.scores, 1 / (1 + np.exp([-2.0, -1.0])), rtol=1e-5)
    assert found.class_names == ("person", "person")


def test_thresholds_leave_out_what_is_below(folder: Path) -> None:
    every = detector(folder).detect(picture())
    middle = float(np.median(every.scores))
    some = detector(folder, box=middle).detect(picture())
    assert 0 < len(some) < len(every)
    assert (some.scores > middle).all()
    assert len(detector(folder, text=1.0).detect(picture())) == 0
    nothing = detector(folder, box=1.0).detect(picture())
    assert nothing.boxes.shape == (0, 4)
    assert nothing.class_names == ()


def test_names_are_phrases_of_several_words(folder: Path) -> None:
    found = detector(folder, "the red traffic light, dog")
    assert found.phrases == ("red traffic light", "dog")
    assert set(found.detect(picture()).class_names) <= {"red traffic light", "dog"}


def test_the_same_image_gives_the_same_result_and_is_not_changed(folder: Path) -> None:
    image = picture()
    image.flags.writeable = False
    seen = detector(folder)
    first, second = seen.detect(image), seen.detect(image)
    assert np.array_equal(first.boxes, second.boxes)
    assert np.array_equal(image, picture())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_moves_boxes_by_less_than_a_pixel(folder: Path, dtype: torch.dtype) -> None:
    full, half = detector(folder).detect(picture()), detector(folder, dtype=dtype).detect(picture())
    for box in full.boxes:
        nearest = np.abs(half.boxes - box).max(axis=1).min()
        assert nearest < 1, f"the nearest box is {nearest:.2f} px away"


@pytest.mark.parametrize("prompt", ["", ".", "42", "zebra"])
def test_prompts_that_it_cannot_look_for_are_refused(folder: Path, prompt: str) -> None:
    with pytest.raises(UsageError, match="--prompt"):
        detector(folder, prompt)


def test_a_prompt_that_is_too_long_is_refused(folder: Path) -> None:
    letters = "abcdefghijklmnop"
    with pytest.raises(UsageError, match="reads 256 word pieces, got"):
        detector(folder, ". ".join(f"{a}{b}" for a in letters for b in letters))


def test_folders_in_the_layout_of_the_hub_are_read(folder: Path, tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    shutil.copytree(folder, hub)
    image_processor = json.loads((hub / "processor_config.json").read_text(encoding="utf-8"))["image_processor"]
    (hub / "processor_config.json").unlink()
    image_processor["image_processor_type"] = "GroundingDinoImageProcessor"
    (hub / "preprocessor_config.json").write_text(json.dumps(image_processor), encoding="utf-8")
    assert np.array_equal(detector(hub).detect(picture()).boxes, detector(folder).detect(picture()).boxes)


@pytest.mark.parametrize("missing", ["model.safetensors", "tokenizer.json", "config.json", "processor_config.json"])
def test_a_folder_that_lacks_a_file_is_refused(folder: Path, tmp_path: Path, missing: str) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    (broken / missing).unlink()
    with pytest.raises(ModelUnavailable, match="ghost weights fetch"):
        detector(broken)


def test_memory_that_does_not_hold_a_frame_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = detector(folder)

    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(seen._model, "forward", full)
    with pytest.raises(ModelUnavailable, match="memory runs out"):
        seen.detect(picture())


def test_what_is_there_twice_is_kept_once_in_each_class() -> None:
    boxes = np.array([[0, 0, 100, 100], [2, 0, 100, 100], [0, 0, 100, 100], [0, 0, 70, 100], [200, 0, 210, 9.0]])
    classes = np.array([0, 0, 1, 0, 0])
    assert distinct(boxes, classes) == [0, 2, 3, 4]
    assert distinct(boxes[:0], classes[:0]) == []
