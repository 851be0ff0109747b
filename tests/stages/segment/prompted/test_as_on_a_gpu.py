"""The models of `gdino-sam2` and `sam3` on a GPU that is pretended, see `tests.pretended_cuda`.

What is asserted on results is what a GPU has to keep: float32 gives what the CPU gives, half precision gives numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from common.errors import ModelUnavailable
from common.media.decode import Frame
from stages.segment.backends import TrackFrame
from stages.segment.backends.gdino_sam2 import PromptedSegmenter
from stages.segment.backends.sam3 import ConceptSegmenter
from stages.segment.prompted import follower
from stages.segment.prompted.driver import DriverSettings
from stages.segment.prompted.grounding_dino import GroundingDinoDetector
from stages.segment.prompted.labels import exclusive_labels
from stages.segment.prompted.mask_statistics import fetch, measure
from stages.segment.prompted.protocols import Detections, Outlines
from stages.segment.prompted.sam2 import Sam2Tracker
from stages.segment.prompted.sam2_package import Sam2PackageTracker
from stages.segment.prompted.sam3_follower import Sam3, Thresholds
from stages.segment.prompted.sightings import look
from stages.segment.prompted.transfer import Downloads, upload
from tests import tiny_models
from tests.pretended_cuda import PretendedCuda, pretended_cuda
from tests.stages.segment.prompted import sam3_reference
from tests.stages.segment.prompted.sam2_authors import StandIn
from tests.stages.segment.prompted.sam2_reference import as_outlines, moving_pictures, rectangles
from tests.stages.segment.prompted.world import BLUE, GREEN, RED, WHITE, Board, World, walk
from tests.synth.truth_models import TruthDetector, TruthTracker, TruthVideo

CPU, GPU = torch.device("cpu"), torch.device("cuda", 1)  # the second one: the first is where torch goes by itself
BOXES = np.array([[10, 10, 60, 80], [50, 5, 150, 85]], np.float32)

each_precision = pytest.mark.parametrize(
    "dtype", [torch.float32, torch.bfloat16, torch.float16], ids=lambda dtype: str(dtype).removeprefix("torch.")
)


@pytest.fixture
def gpu() -> Iterator[PretendedCuda]:
    with pretended_cuda() as gpu:
        yield gpu


@pytest.fixture(scope="module")
def grounding_dino(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.grounding_dino(tmp_path_factory.mktemp("detector"))


@pytest.fixture(scope="module")
def sam3_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sam3_reference.save(tmp_path_factory.mktemp("sam3"))


def with_people(tracker: Sam2Tracker | Sam2PackageTracker, gpu: PretendedCuda | None = None) -> list[Outlines]:
    """Two people from the first frame on, one from the third on, one less from the fourth on."""
    memory, found = tracker.memory(), []
    for index, image in enumerate(moving_pictures(5)):
        if gpu is not None:
            gpu.waits.clear()
        picture = tracker.see(image)
        found.append(memory.follow(picture, index))
        assert gpu is None or gpu.waits == [], "nobody waits between key frames"
        if index == 0:
            memory.remember(picture, index, tracker.outline(picture, BOXES))
        if index == 2:
            given = as_outlines({7: rectangles(3)[2]})
            device = found[-1].logits.device
            memory.remember(picture, index, Outlines(given.numbers, given.logits.to(device), given.presence.to(device)))
        if index == 3:
            memory.forget([1])
    return found


@each_precision
def test_sam2_follows_people_who_come_and_go(gpu: PretendedCuda, sam2_folder: Path, dtype: torch.dtype) -> None:
    found = with_people(Sam2Tracker(sam2_folder, device=GPU, dtype=dtype), gpu)
    assert [outlines.numbers for outlines in found] == [(), (0, 1), (0, 1), (0, 1, 7), (0, 7)]
    for outlines in found:
        assert outlines.logits.device == outlines.presence.device == GPU
        assert outlines.logits.dtype == outlines.presence.dtype == dtype
    logits = torch.cat([outlines.logits.flatten().cpu() for outlines in found])
    assert logits.isfinite().all()
    if dtype == torch.float32:
        expected = with_people(Sam2Tracker(sam2_folder, device=CPU))
        worst = (logits - torch.cat([outlines.logits.flatten() for outlines in expected])).abs().max()
        assert worst < 1e-3, f"logits differ from the CPU's by {worst:.1e}"


@each_precision
def test_the_authors_package_is_asked_with_what_is_on_the_gpu(gpu: PretendedCuda, dtype: torch.dtype) -> None:
    predictor = StandIn()
    predictor.add_new_points_or_box = lambda state, frame, number, box, normalize_coords: (  # makes masks on the CPU
        predictor._prompted(state, frame, number, torch.ones((1, 1, 16, 16), device=state["device"]))
    )
    found = with_people(Sam2PackageTracker.around(predictor, device=GPU, dtype=dtype))
    assert [outlines.numbers for outlines in found] == [(), (0, 1), (0, 1), (0, 1, 7), (0, 7)]
    assert {outlines.logits.device for outlines in found} == {GPU}


@each_precision
def test_grounding_dino_finds_what_it_finds_on_the_cpu(
    gpu: PretendedCuda, grounding_dino: Path, dtype: torch.dtype
) -> None:
    def find(device: torch.device) -> Detections:
        detector = GroundingDinoDetector(
            grounding_dino, prompt="person. dog.", box_threshold=0.3, text_threshold=0.3, device=device, dtype=dtype
        )
        return detector.detect(moving_pictures(1)[0])

    found = find(GPU)
    assert len(found)
    assert np.isfinite(found.boxes).all()
    if dtype == torch.float32:
        expected = find(CPU)
        assert found.class_names == expected.class_names
        assert np.abs(found.boxes - expected.boxes).max() < 0.01


@each_precision
def test_sam3_runs_from_frames_to_labels(gpu: PretendedCuda, sam3_folder: Path, dtype: torch.dtype) -> None:
    def labels(device: torch.device) -> list[TrackFrame]:
        sam3 = Sam3(sam3_folder, prompt="person", device=device, dtype=dtype, thresholds=Thresholds(0.0, 0.0))
        return list(ConceptSegmenter(sam3).segment(frames_of(moving_pictures(2))))

    found = labels(GPU)
    assert [frame.index for frame in found] == [0, 1]
    assert all(frame.labels.shape == (90, 160) and frame.labels.any() for frame in found)
    if dtype == torch.float32:
        assert same_pixels(found, labels(CPU)) > 0.999


def overflowing(module: torch.nn.Module) -> None:
    """Makes a module give what half precision gives where it overflows."""
    module.register_forward_hook(lambda _module, _inputs, output: output * torch.inf)


def test_half_precision_that_overflows_is_said_and_not_taken_for_an_empty_picture(
    grounding_dino: Path, sam2_folder: Path
) -> None:
    image = moving_pictures(1)[0]
    detector = GroundingDinoDetector(
        grounding_dino, prompt="person", box_threshold=0.3, text_threshold=0.3, device=CPU, dtype=torch.float16
    )
    overflowing(detector._model.model.enc_output)
    with pytest.raises(ModelUnavailable, match=r"Grounding DINO leaves the range of float16\..*--precision"):
        detector.detect(image)
    tracker = Sam2Tracker(sam2_folder, device=CPU, dtype=torch.float16)
    overflowing(tracker._model._model.vision_encoder.backbone.patch_embed)
    with pytest.raises(ModelUnavailable, match=r"SAM 2 leaves the range of float16\..*--precision"):
        tracker.outline(tracker.see(image), BOXES)


def frames_of(images: list[NDArray[np.uint8]]) -> Iterator[Frame]:
    for index, image in enumerate(images):
        yield Frame(index, index / 30, image, corrupt=False)


def same_pixels(found: list[TrackFrame], expected: list[TrackFrame]) -> float:
    return float(np.mean([one.labels == other.labels for one, other in zip(found, expected, strict=True)]))


def test_both_models_run_from_frames_to_labels(gpu: PretendedCuda, grounding_dino: Path, sam2_folder: Path) -> None:
    dtype = torch.bfloat16  # what is chosen on a GPU
    detector = GroundingDinoDetector(
        grounding_dino, prompt="person", box_threshold=0.3, text_threshold=0.3, device=GPU, dtype=dtype
    )
    tracker = Sam2Tracker(sam2_folder, device=GPU, dtype=dtype)
    segmenter = PromptedSegmenter(detector, tracker, settings=DriverSettings(4), device=GPU)
    assert segmenter.runs_elsewhere
    found = list(segmenter.segment(frames_of(moving_pictures(6))))
    assert [frame.index for frame in found] == list(range(6))
    assert all(frame.labels.dtype == np.uint16 and frame.labels.shape == (90, 160) for frame in found)
    assert any(frame.labels.any() for frame in found)


class Carried:
    """A tracker of the CPU, or a memory of one, whose masks are on another device."""

    def __init__(self, one: Any, device: torch.device) -> None:
        self._one, self._device = one, device

    def __getattr__(self, name: str) -> Any:
        return getattr(self._one, name)

    def memory(self, *, reverse: bool = False) -> Carried:
        return Carried(self._one.memory(reverse=reverse), self._device)

    def outline(self, picture: int, boxes: NDArray[np.float32]) -> Outlines:
        return self._carried(self._one.outline(picture, boxes))

    def follow(self, picture: int, index: int) -> Outlines:
        return self._carried(self._one.follow(picture, index))

    def remember(self, picture: int, index: int, outlines: Outlines) -> None:
        self._one.remember(picture, index, Outlines(outlines.numbers, outlines.logits.cpu(), outlines.presence.cpu()))

    def _carried(self, found: Outlines) -> Outlines:
        logits, presence = (upload(part.numpy(), self._device) for part in (found.logits, found.presence))
        return Outlines(found.numbers, logits.to(torch.bfloat16), presence.to(torch.bfloat16))


def test_the_driver_decides_as_on_the_cpu_and_waits_when_it_looks_and_never_else(
    gpu: PretendedCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People cross, come late, leave and come back, so that masks are exchanged, traced back and known again."""
    world = World(
        [
            Board(walk(0, 110, 20, 220), RED),
            Board(walk(0, 110, 220, 20, y=64), BLUE, front=1),
            Board(walk(35, 110, -15, 90), GREEN),
            Board(walk(0, 30, 60, -20) | walk(75, 110, -20, 40), WHITE),
        ],
        frames=110,
    )
    looked: list[int] = []
    monkeypatch.setattr(
        follower, "look", lambda image, frame, **rest: looked.append(frame.order) or look(image, frame, **rest)
    )
    waited: list[int] = []

    def run(device: torch.device) -> list[TrackFrame]:
        video = TruthVideo(world)

        def frames() -> Iterator[Frame]:
            for frame in video.stream():
                gpu.waits.clear()
                yield frame
                if set(gpu.waits) - {"Event.synchronize"}:
                    waited.append(frame.index)

        detector, tracker = TruthDetector(video, missed=0.2), Carried(TruthTracker(video, cell=2), device)
        segmenter = PromptedSegmenter(detector, tracker, settings=DriverSettings(25), device=device)
        return list(segmenter.segment(frames()))

    found = run(GPU)
    assert waited == sorted(set(looked) - {world.frames - 1}), "the last look comes after the last frame"
    assert len(waited) < world.frames / 3
    expected = run(CPU)
    assert {tracked.id for frame in found for tracked in frame.tracked} >= {1, 2, 3}
    for one, other in zip(found, expected, strict=True):
        assert [vars(tracked) for tracked in one.tracked] == [vars(tracked) for tracked in other.tracked]
        assert np.array_equal(one.labels, other.labels)


def test_labels_and_statistics_are_those_of_the_cpu(gpu: PretendedCuda) -> None:
    logits = torch.randn((3, 8, 12), generator=torch.Generator().manual_seed(0), dtype=torch.bfloat16)
    there, presence = logits.to(GPU), torch.ones(3)
    gpu.waits.clear()
    labels = exclusive_labels(there, [40000, 2, 3], height=40, width=60)
    measured = measure(Outlines((1, 2, 3), there, presence.to(GPU)))
    assert gpu.waits == ["(3,) float32 on cpu to cuda:1"], "the test's own copy"
    downloads: Downloads[int] = Downloads()
    ((_, arrived),) = downloads.put(labels, 0) + downloads.rest()
    assert np.array_equal(arrived, exclusive_labels(logits, [40000, 2, 3], height=40, width=60).numpy())
    (found,) = fetch([measured], height=8, width=12)
    (expected,) = fetch([measure(Outlines((1, 2, 3), logits, presence))], height=8, width=12)
    assert np.array_equal(found.boxes, expected.boxes)
    assert np.array_equal(found.overlaps, expected.overlaps)


def test_images_are_not_read_before_they_have_arrived(gpu: PretendedCuda) -> None:
    downloads: Downloads[int] = Downloads(3)
    image, arrived = torch.zeros((5, 7), dtype=torch.int16, device=GPU), []
    for number in range(12):
        image.fill_(number)
        arrived += downloads.put(image.view(torch.uint16), number)
    assert len(downloads) <= 3
    arrived += downloads.rest()
    assert [number for number, _ in arrived] == list(range(12))
    assert all((array == number).all() for number, array in arrived)


def test_an_image_of_the_cpu_does_not_overtake_those_of_the_gpu(gpu: PretendedCuda) -> None:
    downloads: Downloads[int] = Downloads(3)
    arrived = downloads.put(torch.zeros((5, 7), device=GPU), 0)
    arrived += downloads.put(torch.ones((5, 7), device=GPU), 1)
    arrived += downloads.put(torch.full((5, 7), 2.0), 2)
    arrived += downloads.rest()
    assert [(number, array[0, 0]) for number, array in arrived] == [(0, 0), (1, 1), (2, 2)]


def test_an_upload_is_not_waited_for_and_its_source_may_change(gpu: PretendedCuda) -> None:
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)[:, ::2]
    there = upload(image, GPU)
    expected = image.copy()
    image[:] = 0
    assert gpu.waits == []
    assert there.device == GPU
    assert np.array_equal(there.cpu().numpy(), expected)
