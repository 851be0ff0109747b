import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from common.artifacts import frames
from common.errors import BadInput, InputMissing
from common.media.properties import VideoProperties
from common.media.time_table import TimeTable

PROPERTIES = VideoProperties(
    width=1080,
    height=1920,
    coded_width=1920,
    coded_height=1088,
    rotation=90,
    codec="h264",
    pixel_format="yuv420p",
    time_base=Fraction(1, 15360),
    average_rate=30000 / 1001,
    duration_s=None,
    has_audio=False,
    container="mov,mp4,m4a,3gp,3g2,mj2",
)
TABLE = TimeTable(
    pts=np.array([23040, 23552, 24064, 26000], np.int64),
    keyframe=np.array([True, False, False, True]),
    corrupt=np.array([False, False, True, False]),
    time_base=Fraction(1, 15360),
    truncated=True,
    declared=9,
)


@pytest.fixture
def folder(tmp_path):
    frames.save(tmp_path / "frames", TABLE, PROPERTIES)
    return tmp_path / "frames"


def rewrite(folder, **arrays):
    with np.load(folder / "time_table.npz") as archive:
        content = dict(archive)
    np.savez(folder / "time_table.npz", **{k: v for k, v in (content | arrays).items() if v is not None})


def edit(folder, change):
    path = folder / "video.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_what_is_saved_is_loaded(folder):
    loaded = frames.load(folder)
    assert loaded.properties == PROPERTIES
    for name in ("pts", "seconds", "keyframe", "corrupt"):
        got, expected = getattr(loaded.table, name), getattr(TABLE, name)
        assert got.dtype == expected.dtype
        assert np.array_equal(got, expected), name
    assert (loaded.table.time_base, loaded.table.truncated, loaded.table.declared) == (Fraction(1, 15360), True, 9)
    frames.validate(folder)


def test_plain_numpy_and_json_read_it(folder):
    with np.load(folder / "time_table.npz", allow_pickle=False) as archive:
        assert archive["seconds"].tolist() == [1.5, 23552 / 15360, 24064 / 15360, 26000 / 15360]
    document = json.loads((folder / "video.json").read_text())
    assert document["properties"]["time_base"] == "1/15360"
    assert (document["frames"], document["declared_frames"]) == (4, 9)


def test_equal_content_gives_equal_bytes(folder, tmp_path):
    frames.save(tmp_path / "again", TABLE, PROPERTIES)
    for name in ("time_table.npz", "video.json"):
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pts": TABLE.pts.astype(np.int32)}, r"pts: expected \(n,\) int64, got \(4,\) int32"),
        ({"pts": TABLE.pts[[0, 2, 1, 3]]}, "pts: expected increasing values, got 24064 before 23552"),
        ({"keyframe": TABLE.keyframe[:3]}, r"keyframe: expected \(4,\) bool, got \(3,\) bool"),
        ({"corrupt": TABLE.corrupt.astype(np.uint8)}, r"corrupt: expected \(4,\) bool, got \(4,\) uint8"),
        ({"corrupt": None}, "corrupt: .*missing"),
        ({"seconds": TABLE.seconds + 1e-3}, r"seconds: expected pts x time base = .*1\.5.* at 0, got .*1\.501"),
        ({"seconds": TABLE.seconds + np.array([0, 0, 3e-9, 0])}, r"seconds: expected pts x time base = .* at 2, got"),
        ({"seconds": np.full(4, np.nan)}, "seconds: expected pts x time base"),
    ],
)
def test_a_broken_table_is_refused_by_field_expected_and_actual(folder, arrays, message):
    rewrite(folder, **arrays)
    with pytest.raises(BadInput, match=f"^frames .*time_table.npz: {message}"):
        frames.validate(folder)


def test_seconds_may_be_rounded_otherwise_than_here(folder):
    rewrite(folder, seconds=np.nextafter(TABLE.seconds, np.inf))
    frames.validate(folder)


def test_an_empty_table_is_refused(tmp_path):
    empty = replace(TABLE, pts=TABLE.pts[:0], keyframe=TABLE.keyframe[:0], corrupt=TABLE.corrupt[:0])
    frames.save(tmp_path, empty, PROPERTIES)
    with pytest.raises(BadInput, match="pts: expected at least one frame"):
        frames.validate(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(schema=2), "schema: expected 1, got 2"),
        (lambda d: d.update(frames=5), "frames: expected 4, got 5"),
        (lambda d: d.update(truncated="no"), "truncated: expected true or false, got 'no'"),
        (lambda d: d.update(declared_frames=0), "declared_frames: expected null or a positive integer, got 0"),
        (lambda d: d["properties"].update(width=-3), "properties.width: expected a positive integer, got -3"),
        (lambda d: d["properties"].update(rotation=45), "properties.rotation: expected 0, 90, 180 or 270, got 45"),
        (lambda d: d["properties"].update(rotation="90"), "properties.rotation: .*, got '90'"),
        (lambda d: d["properties"].update(time_base="1/0"), "properties.time_base: expected a positive fraction"),
        (
            lambda d: d["properties"].update(average_rate=0),
            "properties.average_rate: expected a positive number, got 0",
        ),
        (lambda d: d["properties"].update(average_rate=None), "properties.average_rate: .*, got None"),
        (lambda d: d["properties"].pop("codec"), "properties: expected .*'codec'.*, got "),
        (lambda d: d.update(properties=[]), "properties: expected"),
    ],
)
def test_a_broken_description_is_refused_by_field_expected_and_actual(folder, change, message):
    edit(folder, change)
    with pytest.raises(BadInput, match=f"^frames .*video.json: {message}"):
        frames.validate(folder)


def test_files_that_are_missing_or_no_json_say_so(folder):
    (folder / "video.json").write_text("{")
    with pytest.raises(BadInput, match=r"video\.json: not a JSON file"):
        frames.validate(folder)
    (folder / "video.json").unlink()
    with pytest.raises(InputMissing, match=r"video\.json"):
        frames.validate(folder)
