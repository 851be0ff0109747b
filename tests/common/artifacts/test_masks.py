import time
import tracemalloc

import numpy as np
import pytest

from common.artifacts import masks
from common.artifacts.masks import Masks, MaskWriter
from common.artifacts.npz import NpzWriter
from common.errors import BadInput

HEIGHT, WIDTH = 90, 160


def label_image(frame):
    rng = np.random.default_rng(frame)
    labels = np.zeros((HEIGHT, WIDTH), np.uint16)
    for person in (1, 2, 65_535):
        x, y = rng.integers(0, 120), rng.integers(0, 60)
        labels[y : y + 30, x : x + 40] = person
    return labels


@pytest.fixture
def written(tmp_path):
    """Frames 0, 2 and 5 with people in them, frame 3 without."""
    images = {frame: label_image(frame) for frame in (5, 0, 2)} | {3: np.zeros((HEIGHT, WIDTH), np.uint16)}
    path = tmp_path / "mask_data.npz"
    with MaskWriter(path, height=HEIGHT, width=WIDTH) as writer:
        for frame, labels in images.items():
            writer.write(frame, labels)
    return path, images


def test_plain_numpy_reads_the_file_by_the_names_of_the_original(written):
    path, images = written
    with np.load(path) as archive:
        assert sorted(archive.files) == ["mask_000000", "mask_000002", "mask_000003", "mask_000005"]
        for frame, labels in images.items():
            read = archive[f"mask_{frame:06d}"]
            assert read.dtype == np.uint16
            assert np.array_equal(read, labels)


def test_frames_come_back_in_order_and_at_random(written):
    path, images = written
    with Masks.open(path) as found:
        assert (found.frames, found.height, found.width, len(found)) == ((0, 2, 3, 5), HEIGHT, WIDTH, 4)
        assert [frame for frame, _ in found] == [0, 2, 3, 5]
        for frame in (5, 0, 5, 3):
            assert np.array_equal(found.labels(frame), images[frame])
        assert all(np.array_equal(labels, images[frame]) for frame, labels in found)
    masks.validate(path)


def test_files_that_numpy_wrote_are_read(tmp_path):
    np.savez_compressed(tmp_path / "mask_data.npz", mask_000000=label_image(0), mask_1000000=label_image(1))
    with Masks.open(tmp_path / "mask_data.npz") as found:
        assert found.frames == (0, 1_000_000)
        assert np.array_equal(found.labels(1_000_000), label_image(1))
    masks.validate(tmp_path / "mask_data.npz")


def test_empty_frames_cost_almost_nothing(tmp_path):
    def cpu_of_writing(labels):
        spent = []
        for attempt in range(3):
            with MaskWriter(tmp_path / f"{attempt}.npz", height=1080, width=1920) as writer:
                start = time.process_time()
                for frame in range(12):
                    writer.write(frame, labels)
                spent.append(time.process_time() - start)
        return min(spent)

    empty = np.zeros((1080, 1920), np.uint16)
    somebody = empty.copy()
    somebody[500, 900] = 1
    ratio = cpu_of_writing(empty) / cpu_of_writing(somebody)
    assert ratio < 0.5, f"an empty frame costs {ratio:.2f} of the cheapest other one"


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros((90, 90), np.uint16), r"masks: expected \(90, 160\) uint16, got \(90, 90\) uint16"),
        (np.zeros((90, 160), np.float32), r"masks: expected \(90, 160\) uint16, got \(90, 160\) float32"),
        (np.zeros((90, 160), np.int64), r"masks: expected \(90, 160\) uint16, got \(90, 160\) int64"),
        (np.full((90, 160), 70_000), r"masks: frame 4: person id expected in 1\.\.65535 .* got 70000"),
    ],
)
def test_what_is_no_label_image_is_refused(tmp_path, labels, message):
    with (
        MaskWriter(tmp_path / "m.npz", height=90, width=160) as writer,
        pytest.raises(BadInput, match=message),
    ):
        writer.write(4, labels)


def test_a_frame_is_written_once(tmp_path):
    with MaskWriter(tmp_path / "m.npz", height=90, width=160) as writer:
        writer.write(0, label_image(0))
        with pytest.raises(ValueError, match="mask_000000 was written already"):
            writer.write(0, label_image(0))
        with pytest.raises(ValueError, match="negative"):
            writer.write(-1, label_image(0))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "got none"),
        ({"depth": np.zeros((9, 9), np.uint16)}, "got 'depth'"),
        ({"mask_00001": np.zeros((9, 9), np.uint16)}, "got 'mask_00001'"),
        ({"mask_0000001": np.zeros((9, 9), np.uint16)}, "got 'mask_0000001'"),
        ({"mask_000000": np.zeros((9, 9), np.uint8)}, r"expected \(n, n\) uint16, got \(9, 9\) uint8"),
        (
            {"mask_000000": np.zeros((2, 9, 9), np.uint16)},
            r"expected \(n, n\) uint16, got \(2, 9, 9\) uint16",
        ),
        (
            {"mask_000000": np.zeros((9, 9), np.uint16), "mask_000001": np.zeros((9, 8), np.uint16)},
            r"mask_000001: expected \(9, 9\) uint16, got \(9, 8\) uint16",
        ),
        ({"mask_000000": np.zeros((9000, 9000), np.uint16)}, "the limit is 134217728"),
    ],
)
def test_validate_names_what_breaks_the_contract(tmp_path, arrays, message):
    with NpzWriter(tmp_path / "mask_data.npz") as writer:
        for name, array in arrays.items():
            writer.write(name, array)
    with pytest.raises(BadInput, match=message):
        masks.validate(tmp_path / "mask_data.npz")


def test_a_missing_frame_is_named(written):
    with Masks.open(written[0]) as found, pytest.raises(BadInput, match="mask_000001"):
        found.labels(1)


def test_memory_does_not_grow_with_the_video(tmp_path):
    labels = np.random.default_rng(0).integers(0, 3, (200, 300), dtype=np.uint16)
    path = tmp_path / "mask_data.npz"
    tracemalloc.start()
    with MaskWriter(path, height=200, width=300) as writer:
        for frame in range(200):
            writer.write(frame, labels)
    with Masks.open(path) as found:
        for _ in found:
            pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    written = path.stat().st_size
    assert written > 2_000_000
    assert peak < 1_000_000, f"{peak} bytes were held for {written} bytes of masks"
