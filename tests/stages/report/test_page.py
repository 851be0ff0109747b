"""The page as a whole: what a reader finds on it, and what must never be on it."""

import base64
import hashlib
import re
from dataclasses import replace

import cv2
import numpy as np
import pytest

from common.artifacts.expectation import CameraCheck, Expectation
from common.artifacts.synchronization import CameraStart, Contribution
from common.drawing import person_colour
from common.manifest import RunRecord
from stages.report.page import SECTIONS
from stages.report.publish import MAX_BYTES
from stages.report.stage import STAGE
from tests.stages.report.html_page import parse
from tests.stages.report.scenes import SceneMaker, damage, full_scene


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return full_scene(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def source(whole):
    return whole.report()


@pytest.fixture(scope="module")
def page(source):
    return parse(source)


def section(page, anchor):
    return page.one("section", id=anchor)


def picture(node):
    content = base64.b64decode(node.attributes["src"].removeprefix("data:image/jpeg;base64,"))
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def test_the_verdict_comes_first_and_says_how_every_camera_stands(page):
    first = page.all("section")[0]
    assert first.attributes["id"] == "verdict"
    sentence = first.one("p", class_="sentence").text
    assert sentence == "2 of 3 cameras are synchronised within ± 20 ms; right uncertain."
    cards = {card.one("p", class_="camera").all("b")[0].text: card.text for card in first.all("li") if card.all("p")}
    assert set(cards) == {"left", "middle", "right"}
    assert "synchronised" in cards["left"]
    assert "0.100 s ± 20 ms" in cards["middle"]
    assert "uncertain" in cards["right"]
    assert "little motion" in cards["right"]
    assert "Move more." in first.text
    assert first.one("ul", class_="facts").text == "2 people 3 cameras 1.5 s of scene"


def test_every_section_is_there_in_order(page):
    titles = [node.attributes["id"] for node in page.all("section")]
    assert titles == [module.ANCHOR for module in SECTIONS]
    assert titles == ["verdict", "start-times", "contact-sheet", "people", "cost", "problems", "reproduce"]


def test_bars_lie_where_the_recordings_lie_on_the_scenes_clock(page):
    bars = {
        track.attributes["aria-label"].partition(":")[0]: track.all("rect", class_="bar")[0].attributes
        for track in section(page, "start-times").all("svg", class_="track")
        if track.all("rect", class_="bar")
    }
    percent = {video: (float(bar["x"][:-1]), float(bar["width"][:-1])) for video, bar in bars.items()}
    # The axis goes from 0 - 0.012 to 1.5 s; "right" starts at 0.5 +- 0.3, every recording lasts 1 s.
    for video, start in {"left": 0.0, "middle": 0.1, "right": 0.5}.items():
        expected = ((start + 0.012) / 1.512 * 100, 1 / 1.512 * 100)
        assert percent[video] == pytest.approx(expected, abs=0.01), video
    assert bars["right"]["class"] == "bar uncertain"


def test_start_times_intervals_reasons_and_pairs_stand_in_tables(page):
    cameras, pairs = (
        [[cell.text for cell in row.children if not isinstance(cell, str)] for row in table.one("tbody").all("tr")]
        for table in section(page, "start-times").all("table")
    )
    assert cameras[2][:5] == ["right", "uncertain", "0.500 s", "± 300 ms", "3.0"]
    assert cameras[2][7] == "little motion Move more."
    expected = ["left", "middle", "+0.100 s", "± 20 ms", "−0.001 s", "0.80", "7.5", "0.9 s", "#1=#2, #2=#1"]
    assert pairs == [expected]


def test_the_contact_sheet_shows_the_frames_of_one_instant(page):
    sheet = section(page, "contact-sheet")
    headings = [heading.text for heading in sheet.all("h3")]
    assert len(headings) == 3
    for heading, row in zip(headings, sheet.all("div", class_="sheet"), strict=True):
        scene_time = float(re.search(r"([\d.]+)", heading)[1])
        for figure, start in zip(row.all("figure"), (0.0, 0.1, 0.5), strict=True):
            shown = float(re.search(r"PTS ([\d.]+)", figure.one("figcaption").text)[1])
            assert abs(start + shown - scene_time) <= 0.5 / 30 + 1e-3, f"{heading}: {figure.text}"


def test_a_person_has_the_colour_of_the_identity_in_every_camera(page):
    """Local person 2 of `middle` is identity 1, as is local person 1 of `left`: the same tint, where each stands."""
    row = section(page, "contact-sheet").all("div", class_="sheet")[-1]
    left, middle, _ = (picture(figure.one("img")) for figure in row.all("figure"))
    assert left.shape == (96, 160, 3)
    for image, person, identity in ((left, 1, 1), (left, 2, 2), (middle, 2, 1), (middle, 1, 2)):
        column = 40 * person - 20
        inside = image[64:76, column - 7 : column + 7].reshape(-1, 3).mean(axis=0)
        background = image[64:76, column - 19 : column - 13].reshape(-1, 3).mean(axis=0)
        expected = np.array(person_colour(identity)) - background
        change = inside - background
        cosine = float(change @ expected / (np.linalg.norm(change) * np.linalg.norm(expected)))
        assert cosine > 0.9, f"person {person} has changed by {change}, expected towards {expected}: {cosine:.2f}"


def test_tracks_say_in_which_frames_a_person_was_seen(page):
    people = section(page, "people")
    names = [heading.text for heading in people.all("h3")]
    assert names == ["P1", "P2"]
    rows = [node.text for node in people.all("span", class_="value")]
    assert rows[0].startswith("100 % 30 of 30 frames · confidence 0.90 · reprojection 3.0 px"), rows[0]
    assert rows[3].startswith("67 % 20 of 30 frames"), rows[3]  # identity 2 enters `left` at frame 10
    strip = people.all("svg", class_="track")[3]
    (run,) = [rect.attributes for rect in strip.all("rect") if "fill" in rect.attributes]
    assert float(run["x"][:-1]) == pytest.approx(100 * (10 / 30) / 1.5, abs=0.5)  # axis 0 to 1.5 s


def test_cost_and_files_come_from_the_manifests(page):
    cost = section(page, "cost").text
    assert "300 MiB" in cost
    assert "2.5 MB" in cost
    assert "12.5 s" in cost
    files = section(page, "reproduce").all("table")[-1].text
    for path in ("scene.json", "<video>/mask_data.npz", "<video>/body_data/", "synchronization.json", "report.html"):
        assert path in files


def test_commands_spell_out_the_effective_options(page):
    commands = [node.text for node in section(page, "reproduce").all("pre")]
    assert commands[0].replace(" \\ ", " ") == (
        "ghost run DATA_ROOT OUTPUT_DIR --scene take --backend embedded --no-jpeg --detection-step 50 "
        "--sam3d-step 1 --no-smooth --max-offset 60.0"
    )
    assert "python -m stages.sync --output-root OUTPUT_DIR --scene take --max-offset 60.0" in commands[1]
    assert "stages.segment --output-root OUTPUT_DIR --scene take --video left --data-root DATA_ROOT" in commands[
        1
    ].replace(" \\ ", " ")


def test_the_page_holds_no_script_and_nothing_remote(source, page):
    assert page.all("script") == []
    handlers = [n.tag for n in page.all() for name in n.attributes if name.startswith("on")]
    assert handlers == []
    assert page.all("link") == page.all("iframe") == page.all("object") == page.all("base") == []
    for node in page.all():
        assert "style" not in node.attributes, f"<{node.tag}> has a style that the policy would not let pass"
        for name in ("src", "href", "srcset", "action", "data", "poster", "xlink:href"):
            value = node.attributes.get(name, "")
            inside = ("data:image/jpeg;base64,", "data:image/svg+xml;base64,", "#")
            assert value.startswith(inside) or value == "", f"{name}={value[:60]}"
    assert re.findall(r"url\((?!#)", source) == []
    assert "@import" not in source
    assert "http" not in source.replace("http-equiv", "")


def test_the_policy_lets_pass_this_style_sheet_and_pictures_and_nothing_else(page):
    policy = next(n for n in page.all("meta") if n.attributes.get("http-equiv") == "Content-Security-Policy")
    style = "".join(page.one("style").children)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.attributes["content"] == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def test_ids_are_unique_and_links_lead_somewhere(page):
    ids = [node.attributes["id"] for node in page.all() if "id" in node.attributes]
    assert len(ids) == len(set(ids))
    for link in page.all("a"):
        assert link.attributes["href"].removeprefix("#") in ids


def test_pictures_say_what_they_show_to_those_who_cannot_see_them(page):
    for image in section(page, "contact-sheet").all("img"):
        assert re.fullmatch(r"\w+, frame \d+: .+", image.attributes["alt"])
    assert "left, frame" in section(page, "contact-sheet").all("img")[0].attributes["alt"]


def test_two_runs_give_the_same_bytes(whole, source):
    assert whole.report("again") == source


def test_no_path_of_this_machine_is_on_the_page(whole, tmp_path):
    maker = full_scene(tmp_path)
    maker.fail(
        "preview", "left", f"{tmp_path}/data/take/left.mp4: gone; see {tmp_path}/out/take/_logs and /home/jo/x/y.npz"
    )
    source = maker.report()
    assert str(tmp_path) not in source
    assert "DATA_ROOT/take/left.mp4: gone; see OUTPUT_DIR/take/_logs and …/y.npz" in source
    assert str(whole.folder) not in whole.report("third")


def test_hostile_messages_are_text(tmp_path):
    maker = full_scene(tmp_path)
    attack = "<script>alert(1)</script> <img src=x onerror=alert(2)> \"'> {{ 7*7 }} `</code><b>` </style>"
    maker.fail("body", "right", attack)
    maker.sync(
        {
            "left": CameraStart(0.0, 0.01, "ok"),
            "middle": CameraStart(None, None, "unknown", None, (attack,), (attack,)),
        },
        {},
        warnings=(attack,),
        found={attack: attack},
        options={"max_offset": attack},
        weights={attack: "0" * 64},
        packages={attack: attack},
    )
    source = maker.report()
    page = parse(source)
    assert page.all("script") == []
    sources = [node.attributes["src"] for node in page.all("img")]
    assert all(source.startswith(("data:image/jpeg;base64,", "data:image/svg+xml;base64,")) for source in sources)
    assert "<script>alert(1)</script>" in section(page, "problems").text
    assert "{{ 7*7 }}" in section(page, "problems").text


def test_credentials_in_messages_do_not_reach_the_page(tmp_path):
    maker = full_scene(tmp_path)
    maker.fail(
        "body", "right", "GET https://jo:hunter2@host/a?X-Amz-Signature=abc123 aws_secret_access_key=wJalr failed"
    )
    source = maker.report()
    for secret in ("hunter2", "abc123", "wJalr"):
        assert secret not in source
    assert "failed" in source


def test_a_failed_camera_shows_stage_message_and_what_to_do(tmp_path):
    maker = full_scene(tmp_path)
    maker.fail("segment", "right", "right.mp4: 3 of 30 frames cannot be decoded.", 65)
    page = parse(maker.report())
    verdict = section(page, "verdict")
    assert "right failed" in verdict.one("p", class_="sentence").text
    assert "segment failed" in verdict.text
    assert "3 of 30 frames cannot be decoded." in verdict.text
    assert "Repair it or leave it out" in verdict.text
    assert "exit 65" in section(page, "problems").text


def test_a_removed_camera_is_mentioned_once_and_counts_no_more(tmp_path):
    maker = full_scene(tmp_path)
    maker.fail("segment", "right", "right.mp4 is gone.", 66)
    assert "right failed" in section(parse(maker.report("before")), "verdict").text
    del maker.videos["right"]
    (tmp_path / "data" / "take" / "right.mp4").unlink()
    maker.ingest()
    maker.publish("sync", None, ["synchronization.json", "cross_video_id_mapping.json"])
    workspace = maker.workspace("again")
    STAGE.run(workspace, STAGE.make_options({}))
    page = parse((tmp_path / "again" / "report.html").read_text(encoding="utf-8"))
    verdict = section(page, "verdict")
    assert verdict.one("p", class_="sentence").text == "All 2 cameras are synchronised within ± 20 ms."
    for anchor in ("verdict", "start-times", "contact-sheet", "people", "cost"):
        assert "right" not in section(page, anchor).text, anchor
    problems = section(page, "problems").text
    assert problems.count("right") == 1
    assert "the scene does not have them any more: right" in problems
    assert workspace.warnings == []


def test_warnings_of_every_unit_are_listed(tmp_path):
    maker = full_scene(tmp_path)
    maker.publish("frames", "left", ["left/frames/"], warnings=("2 of 30 frames are damaged",))
    assert "frames left 2 of 30 frames are damaged" in section(parse(maker.report()), "problems").text


def test_a_scene_of_which_nothing_is_known_gets_a_page_with_the_failure(tmp_path):
    maker = SceneMaker(tmp_path)
    maker.fail("ingest", None, "take: no videos. Put the recordings there.", 66)
    page = parse(maker.report())
    verdict = section(page, "verdict")
    assert verdict.one("p", class_="sentence").text == "Nothing was computed: ingest failed."
    assert "take: no videos." in verdict.text
    assert page.all("img") == []


def test_a_scene_without_any_record_gets_a_page(tmp_path):
    page = parse(SceneMaker(tmp_path).report())
    assert section(page, "verdict").one("p", class_="sentence").text == "Nothing has been computed yet."


def test_one_unreadable_video_does_not_hide_the_others(tmp_path):
    maker = SceneMaker(tmp_path)
    maker.add_video("good")
    maker.add_video("torn", problem="torn.mp4: not a video.")
    maker.ingest()
    maker.frames("good")
    maker.segment("good", {1: range(30)})
    page = parse(maker.report())
    assert "torn.mp4: not a video." in section(page, "verdict").text
    assert len(page.all("img")) == 3
    assert "#1" in section(page, "people").text


def test_it_says_on_what_models_ran_and_in_which_precision(tmp_path):
    maker = SceneMaker(tmp_path)
    for video in ("left", "right"):
        maker.add_video(video)
    maker.ingest()
    cost = RunRecord("2026-11-22T00:00:00+00:00", 1.0, 1.0, 1, 1, 1)
    for video in ("left", "right"):
        maker.frames(video)
        on_gpu = replace(cost, gpu="NVIDIA H100", gpu_peak=1, device="cuda", precision="bfloat16")
        maker.segment(video, {1: range(30)}, record=on_gpu)
    maker.body("left", {1: range(30)}, record=replace(cost, device="cpu"))
    tables = section(parse(maker.report()), "reproduce").all("table")
    (table,) = [one for one in tables if "ran on" in one.one("thead").text]
    rows = [[cell.text for cell in row.children if not isinstance(cell, str)] for row in table.one("tbody").all("tr")]
    assert rows == [["body", "cpu"], ["segment", "NVIDIA H100 (cuda), bfloat16"]]


def test_only_people_are_counted_as_people_whatever_they_are_called(tmp_path):
    maker = SceneMaker(tmp_path)
    maker.add_video("cam01")
    maker.ingest()
    maker.frames("cam01")
    maker.segment("cam01", {1: range(30), 2: range(30)}, class_names={1: "bicycle", 2: "woman in white"})
    page = parse(maker.report())
    assert "One camera, 1 person found" in section(page, "verdict").text
    assert "#2" in section(page, "people").text
    assert "#1" not in section(page, "people").text


def test_without_start_times_pictures_have_the_same_pts_and_say_so(tmp_path):
    maker = SceneMaker(tmp_path)
    for video in ("left", "right"):
        maker.add_video(video)
    maker.ingest()
    for video in ("left", "right"):
        maker.frames(video)
        maker.segment(video, {1: range(30)})
    page = parse(maker.report())
    sheet = section(page, "contact-sheet")
    assert "the same PTS in all cameras, which need not be the same instant" in sheet.text
    assert "Identities across cameras are unknown" in sheet.text
    for row in sheet.all("div", class_="sheet"):
        shown = {re.search(r"PTS ([\d.]+)", figure.text)[1] for figure in row.all("figure")}
        assert len(shown) == 1
    assert section(page, "verdict").one("p", class_="sentence").text == "Start times have not been computed."


def test_a_camera_whose_start_is_unknown_is_drawn_apart_without_a_position(tmp_path):
    maker = full_scene(tmp_path)
    maker.sync(
        {
            "left": CameraStart(0.0, 0.012, "ok"),
            "middle": CameraStart(0.1, 0.02, "ok"),
            "right": CameraStart(None, None, "unknown", None, ("nobody moved",), ("Move.",)),
        },
        {"left": {1: 1, 2: 2}, "middle": {1: 2, 2: 1}, "right": {}},
    )
    page = parse(maker.report())
    starts = section(page, "start-times")
    assert "right" in starts.one("div", class_="apart").text
    assert len(starts.all("rect", class_="bar")) == 2
    row = next(r for r in starts.all("table")[0].all("tr") if r.text.startswith("right"))
    assert row.text.startswith("right unknown – –")
    assert "Start unknown: some other instant" in section(page, "contact-sheet").text
    assert "right #1" in [heading.text for heading in section(page, "people").all("h3")]


def test_what_start_times_rest_on_is_told_and_shown(tmp_path):
    maker = full_scene(tmp_path)
    both = (Contribution("motion", 0.75), Contribution("audio", 0.25))
    odd = (Contribution("motion", 1.0), Contribution("audio", 0.0, used=False))
    maker.sync(
        {
            "left": CameraStart(0.0, 0.01, "ok", first_frame=0.0, component=0, evidence=both),
            "middle": CameraStart(
                0.1,
                0.02,
                "ok",
                first_frame=0.1,
                rate=1.00013,
                rate_interval=2e-5,
                component=0,
                evidence=odd,
                mirrored=True,
            ),
            "right": CameraStart(None, None, "unknown", None, ("known relative to others alone",), component=1),
        },
        {"left": {1: 1, 2: 2}, "middle": {1: 2, 2: 1}, "right": {1: 1}},
        facts={"components": ({"left": 0.0, "middle": 0.1}, {"right": 0.0})},
    )
    starts = section(parse(maker.report()), "start-times")
    rows = {row.text.split()[0]: row.text for row in starts.all("table")[0].one("tbody").all("tr")}
    assert "motion 75 %, audio 25 %" in rows["left"].replace("\N{NO-BREAK SPACE}", " ")
    assert "audio not used" in rows["middle"]
    assert "+130 ± 20 ppm" in rows["middle"]
    assert "mirror image" in rows["middle"]
    assert "related to each other alone" in starts.text
    lines = starts.one("pre").text
    assert "left frame 0 is at scene time 0.000000 s" in " ".join(lines.split())
    assert "a second of it takes 1.000130000 s" in lines
    (image,) = starts.all("img")
    assert base64.b64decode(image.attributes["src"].partition(",")[2]).startswith(b"<svg")
    assert "correlation" in image.attributes["alt"]


def test_frames_of_a_camera_whose_clock_runs_off_are_taken_where_its_clock_says(tmp_path):
    maker = full_scene(tmp_path)
    cameras = {"left": CameraStart(0.0, 0.01, "ok"), "middle": CameraStart(0.0, 0.01, "ok", rate=1.5)}
    maker.sync(cameras | {"right": CameraStart(0.0, 0.01, "ok")}, {})
    sheet = section(parse(maker.report()), "contact-sheet")
    shown = [(f.text.split()[0], float(re.search(r"PTS ([\d.]+)", f.text)[1])) for f in sheet.all("figure")]
    left = [pts for video, pts in shown if video == "left"]
    middle = [pts for video, pts in shown if video == "middle"]
    assert len(left) == len(middle) > 0
    for one, other in zip(left, middle, strict=True):
        assert other * 1.5 == pytest.approx(one, abs=0.03), "not the same instant"


@pytest.mark.parametrize(("verdict", "level"), [("aligned", "ok"), ("off", "failed"), ("cannot tell", "unknown")])
def test_the_outcome_of_the_check_stands_in_the_first_lines(tmp_path, verdict, level):
    maker = full_scene(tmp_path)
    cameras = {video: CameraStart(0.0, 0.01, "ok") for video in ("left", "middle", "right")}
    checks = {video: CameraCheck("aligned", 0.0, 0.01, 0.0, "in time") for video in cameras}
    checks |= {"left": CameraCheck(verdict, 0.5, 0.01, 0.0, "off by half a second")}
    checks |= {"right": CameraCheck(verdict, 0.7, 0.01, 0.0, "off by <b>more</b>")}
    expectation = Expectation("aligned", 0.03, verdict, "As it turned out.", checks)
    maker.sync(cameras, {}, facts={"expectation": expectation})
    first = section(parse(maker.report()), "verdict")
    told = first.one("div", class_="expectation")
    assert level in told.attributes["class"].split()
    assert f"expected aligned: {verdict} As it turned out." in told.text
    assert ("off by <b>more</b>" in told.text) is (verdict == "cannot tell"), "a suspicion is told, with its reason"
    assert "middle" not in told.text


def test_the_first_method_is_not_described_as_ours(tmp_path):
    maker = full_scene(tmp_path)
    cameras = {video: CameraStart(0.0, None, "uncertain") for video in ("left", "middle", "right")}
    maker.sync(cameras, {}, facts={"options": {"method": "dtw"}})
    text = section(parse(maker.report()), "reproduce").text
    assert "a method" in text
    assert "Padfield" not in text


def test_one_camera_has_nothing_to_be_compared_with(tmp_path):
    maker = SceneMaker(tmp_path)
    maker.add_video("alone")
    maker.ingest()
    maker.frames("alone")
    maker.segment("alone", {1: range(30)})
    page = parse(maker.report())
    sentence = section(page, "verdict").one("p", class_="sentence").text
    assert sentence == "One camera, 1 person found; nothing to synchronise it with."


def test_nobody_in_any_camera_is_said(tmp_path):
    maker = SceneMaker(tmp_path)
    for video in ("left", "right"):
        maker.add_video(video)
    maker.ingest()
    for video in ("left", "right"):
        maker.frames(video)
        maker.segment(video, {})
    unknown = CameraStart(None, None, "unknown", None, ("nobody was seen",), ())
    maker.sync({"left": unknown, "right": unknown}, {"left": {}, "right": {}})
    page = parse(maker.report())
    sentence = section(page, "verdict").one("p", class_="sentence").text
    assert sentence == "No person was found in any camera, so start times are unknown."
    assert "Nobody was found." in section(page, "people").text
    assert len(section(page, "contact-sheet").all("img")) == 6


def test_results_of_the_fake_backend_are_called_fake(tmp_path):
    maker = SceneMaker(tmp_path)
    maker.add_video("left")
    maker.ingest()
    maker.frames("left")
    maker.segment("left", {1: range(30)}, options={"backend": "fake"})
    page = parse(maker.report())
    assert "Not a real result." in section(page, "verdict").text
    assert "made up" in section(page, "reproduce").text


def test_without_the_recordings_there_are_no_pictures_and_the_page_says_why(tmp_path):
    maker = full_scene(tmp_path)
    for path in (tmp_path / "data" / "take").iterdir():
        path.unlink()
    page = parse(maker.report())
    assert [image for image in page.all("img") if image.attributes["src"].startswith("data:image/jpeg")] == []
    assert "the recordings cannot be opened" in section(page, "contact-sheet").text
    assert "2 of 3 cameras are synchronised" in section(page, "verdict").text


@pytest.mark.parametrize(
    "file",
    [
        "left/mask_data.npz",
        "left/json_data/mask_000003.json",
        "left/body_data/person_1.npz",
        "left/frames/time_table.npz",
        "synchronization.json",
        "cross_video_id_mapping.json",
        "scene.json",
    ],
)
def test_a_damaged_file_costs_its_part_of_the_page_and_no_more(tmp_path, file):
    maker = full_scene(tmp_path)
    damage(maker.root / file)
    page = parse(maker.report())
    assert len(page.all("section")) == len(SECTIONS)
    where = section(page, "contact-sheet") if file == "left/mask_data.npz" else section(page, "problems")
    assert file.rpartition("/")[2] in where.text, where.text


def test_a_recording_that_was_replaced_is_not_drawn_on(tmp_path):
    maker = full_scene(tmp_path)
    (tmp_path / "data" / "take" / "left.mp4").write_bytes(
        (tmp_path / "data" / "take" / "right.mp4").read_bytes() + b"0"
    )
    page = parse(maker.report())
    assert "left: the recording is not the file that ingest saw" in section(page, "problems").text
    assert not [image for image in page.all("img") if image.attributes["alt"].startswith("left")]
    assert [image for image in page.all("img") if image.attributes["alt"].startswith("right")]


def test_a_damaged_manifest_counts_as_not_done(tmp_path):
    maker = full_scene(tmp_path)
    damage(maker.root / "_manifests" / "sync" / "scene.json")
    page = parse(maker.report())
    assert section(page, "verdict").one("p", class_="sentence").text == "Start times have not been computed."


def test_noise_in_many_cameras_still_fits_into_five_megabytes(tmp_path, monkeypatch):
    """Noise is the worst that a JPEG can be given; pictures give up quality before the page grows too large."""
    maker = full_scene(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (360, 640, 3), np.uint8)
    from stages.report import pictures
    from stages.report.sections import contact_sheet

    jpegs = pictures.encode_all([noise] * 36, budget=contact_sheet._BUDGET)
    total = sum(len(jpeg.uri) for jpeg in jpegs)
    assert total <= contact_sheet._BUDGET < MAX_BYTES, f"{total / 1e6:.2f} MB"
    assert len(maker.report().encode()) < MAX_BYTES


def test_the_stage_counts_nothing_that_others_have_counted(whole):
    workspace = whole.workspace("counted")
    STAGE.run(workspace, STAGE.make_options({}))
    assert workspace.found == {}
