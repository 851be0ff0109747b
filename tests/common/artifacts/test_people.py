import json

import numpy as np
import pytest

from common.artifacts import people
from common.artifacts.label_geometry import people_in
from common.artifacts.people import FramePeople, PersonLabel, load_frame, load_tracks, save_frame
from common.errors import BadInput

FRAME = FramePeople(3, 90, 160, (PersonLabel(1, (0, 5, 20, 60), 700, 0.75), PersonLabel(2, (100, 0, 159, 89), 9, None)))


def test_a_frame_is_what_the_originals_users_expect(tmp_path):
    save_frame(tmp_path, FRAME)
    record = json.loads((tmp_path / "mask_000003.json").read_text())
    assert {key: record[key] for key in record if key != "labels"} == {
        "mask_name": "mask_000003.npy",
        "mask_height": 90,
        "mask_width": 160,
        "promote_type": "mask",
    }
    first = {"instance_id": 1, "class_name": "person", "x1": 0, "y1": 5, "x2": 20, "y2": 60, "logit": 0.75}
    assert record["labels"]["1"] == first | {"area": 700}
    assert record["labels"]["2"]["logit"] is None
    assert load_frame(tmp_path / "mask_000003.json") == FRAME


def test_a_label_image_describes_itself(tmp_path):
    labels = np.zeros((90, 160), np.uint16)
    labels[5:61, 0:21] = 4
    labels[70, 80] = 2
    described = people.from_geometry(0, people_in(labels), height=90, width=160, scores={4: 0.5})
    assert described.people == (
        PersonLabel(2, (80, 70, 80, 70), 1, None),
        PersonLabel(4, (0, 5, 20, 60), 1176, 0.5),
    )
    save_frame(tmp_path, described)
    assert load_frame(tmp_path / "mask_000000.json") == described


def test_tracks_hold_every_person_of_every_frame(tmp_path):
    save_frame(tmp_path, FRAME)
    save_frame(tmp_path, FramePeople(10, 90, 160, ()))
    save_frame(tmp_path, FramePeople(1, 90, 160, (PersonLabel(2, (1, 2, 3, 4), 5, 0.25),)))
    (tmp_path / "notes.txt").write_text("not ours")
    table = load_tracks(tmp_path)
    assert table.frames.tolist() == [1, 3, 10]
    assert (table.height, table.width, table.people) == (90, 160, (1, 2))
    assert list(zip(table.frame.tolist(), table.person.tolist(), strict=True)) == [(1, 2), (3, 1), (3, 2)]
    assert table.box.tolist() == [[1, 2, 3, 4], [0, 5, 20, 60], [100, 0, 159, 89]]
    np.testing.assert_array_equal(table.score, [0.25, 0.75, np.nan])
    assert table.area.tolist() == [5, 700, 9]
    assert table.of(2).frame.tolist() == [1, 3]
    assert table.of(2).frames.tolist() == [1, 3, 10]
    assert table.of(9).box.shape == (0, 4)
    people.validate(tmp_path)


def test_what_is_no_person_has_its_class_and_is_left_out_on_request(tmp_path):
    labels = np.zeros((90, 160), np.uint16)
    labels[10:20, 5:9], labels[40:50, 5:9] = 1, 7
    described = people.from_geometry(0, people_in(labels), height=90, width=160, class_names={7: "bicycle"})
    save_frame(tmp_path, described)
    assert json.loads((tmp_path / "mask_000000.json").read_text())["labels"]["7"]["class_name"] == "bicycle"
    table = load_tracks(tmp_path)
    assert (table.class_name(1), table.class_name(7)) == ("person", "bicycle")
    assert table.people == (1, 7)
    assert table.persons().people == (1,)
    assert table.persons().frames.tolist() == [0]


def test_an_id_that_changes_its_class_is_refused(tmp_path):
    for frame, name in enumerate(("person", "bicycle")):
        save_frame(tmp_path, FramePeople(frame, 90, 160, (PersonLabel(1, (0, 0, 1, 1), 4, 0.5, name),)))
    with pytest.raises(BadInput, match=r"mask_000001.*class_name: expected 'person' as before, got 'bicycle'"):
        load_tracks(tmp_path)


def test_files_of_the_original_have_no_areas(tmp_path):
    record = {
        "mask_name": "mask_000000.npy",
        "mask_height": 90,
        "mask_width": 160,
        "promote_type": "mask",
        "labels": {"7": {"instance_id": 7, "class_name": "person", "x1": 1, "y1": 2, "x2": 3, "y2": 4, "logit": 0.0}},
    }
    (tmp_path / "mask_000000.json").write_text(json.dumps(record))
    table = load_tracks(tmp_path)
    assert np.isnan(table.area).tolist() == [True]
    assert table.score.tolist() == [0.0]
    record["labels"]["7"]["score"] = record["labels"]["7"].pop("logit")  # its later version
    (tmp_path / "mask_000000.json").write_text(json.dumps(record))
    assert load_tracks(tmp_path).score.tolist() == [0.0]


def test_people_are_sorted_by_id_whatever_the_order_in_the_file(tmp_path):
    save_frame(tmp_path, FramePeople(3, 90, 160, FRAME.people[::-1]))
    assert '"2"' in (tmp_path / "mask_000003.json").read_text().partition('"1"')[0]
    assert load_frame(tmp_path / "mask_000003.json") == FRAME


def test_a_folder_with_nobody_in_any_frame_is_an_empty_table(tmp_path):
    save_frame(tmp_path, FramePeople(0, 90, 160, ()))
    table = load_tracks(tmp_path)
    assert (table.box.shape, table.score.shape, table.people) == ((0, 4), (0,), ())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.pop("mask_height"), "mask_height: expected a whole number >= 1, got None"),
        (lambda r: r.update(mask_width=0), "mask_width: expected a whole number >= 1, got 0"),
        (lambda r: r.update(labels=[]), r"labels: expected an object, got \[\]"),
        (lambda r: r["labels"].update({"1": 5}), r"labels\['1'\]: expected an object, got 5"),
        (lambda r: r["labels"]["1"].update(instance_id=2), r"labels\['1'\]: instance_id: expected 1, got 2"),
        (
            lambda r: r["labels"]["1"].update(instance_id=True),
            "instance_id: expected a whole number >= 0, got True",
        ),
        (lambda r: r["labels"].update({"70000": {"instance_id": 70000}}), r"1\.\.65535 .* got 70000"),
        (
            lambda r: r["labels"]["1"].update(x2=160),
            r"box: expected 0 <= x1 <= x2 < 160, .* got \(0, 5, 160, 60\)",
        ),
        (lambda r: r["labels"]["1"].update(y1=61), r"box: .* got \(0, 61, 20, 60\)"),
        (lambda r: r["labels"]["1"].update(x1=0.5), "x1: expected a whole number >= 0, got 0.5"),
        (lambda r: r["labels"]["1"].update(area=0), "area: expected a whole number >= 1, got 0"),
        (
            lambda r: r["labels"]["1"].update(logit="high"),
            "logit: expected a finite number or null, got 'high'",
        ),
    ],
)
def test_what_breaks_the_contract_is_named(tmp_path, change, message):
    save_frame(tmp_path, FRAME)
    path = tmp_path / "mask_000003.json"
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))
    with pytest.raises(BadInput, match=rf"people .*mask_000003\.json: .*{message}"):
        people.validate(tmp_path)


def test_frames_of_two_sizes_are_refused(tmp_path):
    save_frame(tmp_path, FRAME)
    save_frame(tmp_path, FramePeople(4, 90, 161, ()))
    with pytest.raises(
        BadInput, match=r"mask_000004\.json: mask_height, mask_width: expected \(90, 160\), got \(90, 161\)"
    ):
        people.validate(tmp_path)


def test_a_score_that_json_cannot_hold_is_not_written(tmp_path):
    broken = FramePeople(0, 90, 160, (PersonLabel(1, (0, 0, 1, 1), 4, float("nan")),))
    with pytest.raises(BadInput, match="logit: expected a finite number or null, got nan"):
        save_frame(tmp_path, broken)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_frames_and_a_file_by_another_name_are_refused(tmp_path):
    with pytest.raises(BadInput, match=r"expected mask_000000\.json"):
        load_tracks(tmp_path)
    with pytest.raises(BadInput, match="expected a name like"):
        load_frame(tmp_path / "frame.json")
