"""The small pieces that the page is made of."""

import numpy as np
import pytest

from common.manifest import Manifest, RunRecord
from common.published import Published
from stages.report import wording
from stages.report.axis import make_axis
from stages.report.history import WITHOUT_RECORDINGS, read_history
from stages.report.instants import best_window, choose_instants
from stages.report.page import prose
from stages.report.redact import make_redact
from stages.report.sections.reproduce import differing_options, run_command, stage_command
from stages.report.stage import STAGE
from stages.report.tracks import LEVELS, reduce_body, reprojection_residuals, strip
from tests.stages.report.scenes import SceneMaker, a_body
from workflows import pipeline


def a_manifest(stage, video=None, **options):
    record = RunRecord("2026-01-01", 1, 1, 1, 1, 1)
    return Manifest(stage, "take", video, "k", (), {}, options, {}, "c", {}, record)


def test_stages_are_shown_after_those_that_they_read_from(tmp_path):
    maker = SceneMaker(tmp_path)
    shown = [stage for stage in pipeline.STAGES if stage is not STAGE]
    for stage in shown:
        producers = [f"{other.name}/scene" for other in pipeline.upstream(stage)]
        maker.publish(stage.name, None, [], inputs={"recordings": {}, **{producer: {} for producer in producers}})
    order = [m.stage for m in read_history(Published(maker.output, "take"), leave_out=STAGE.name).manifests]
    assert sorted(order) == sorted(stage.name for stage in shown)
    for stage in shown:
        assert {other.name for other in pipeline.upstream(stage)} <= {*order[: order.index(stage.name)]}, stage.name


def test_a_stage_that_never_succeeded_comes_last_and_a_circle_of_records_does_no_harm(tmp_path):
    maker = SceneMaker(tmp_path)
    maker.publish("frames", "a", [], inputs={"frames/b": {}})
    for stage, video in (("body", "a"), ("frames", "b")):
        maker.fail(stage, video, "broken")
    history = read_history(Published(maker.output, "take"), leave_out=STAGE.name)
    assert [(f.stage, f.video) for f in history.failures] == [("frames", "b"), ("body", "a")]


def test_single_commands_name_the_recordings_exactly_where_a_stage_opens_them():
    assert set(WITHOUT_RECORDINGS) == {stage.name for stage in pipeline.STAGES if not stage.source}


def test_backends_that_differ_between_stages_are_given_per_stage():
    manifests = (a_manifest("segment", "a", backend="fake"), a_manifest("body", "a", backend="embedded"))
    command = run_command("take", manifests)
    assert "--backend segment=fake" in command
    assert "--backend body=embedded" in command


def test_options_with_which_units_differ_are_named_and_not_in_the_command():
    manifests = (a_manifest("segment", "a", detection_step=50), a_manifest("segment", "b", detection_step=10))
    assert differing_options(manifests) == {"detection_step"}
    assert "--detection-step" not in run_command("take", manifests)


def test_values_of_options_are_quoted_for_the_shell():
    assert "--name 'a b; rm -rf c'" in stage_command("take", a_manifest("sync", name="a b; rm -rf c"))


def test_a_preview_is_reproduced_with_vis():
    assert run_command("take", (a_manifest("preview", "a", height=720),)).endswith("--height 720 --vis")


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1.7), (-0.061, 0.071), (0, 3600), (12, 12.0004), (0, 1e-5), (100, 100.0), (0, 0.3)]
)
def test_an_axis_has_a_handful_of_round_ticks_inside_it(low, high):
    axis = make_axis(low, high)
    ticks = axis.ticks
    assert 2 <= len(ticks) <= 7, ticks
    positions = [float(at[:-1]) for at, _ in ticks]
    assert positions == sorted(positions)
    assert 0 <= positions[0] <= positions[-1] <= 100
    values = [float(text.removesuffix(" s").replace("−", "-")) for _, text in ticks]
    for (at, _), value in zip(ticks, values, strict=True):
        shown = (value - axis.low) / (axis.high - axis.low) * 100
        assert float(at[:-1]) == pytest.approx(shown, abs=0.5), "a tick does not lie where its text says"


def test_a_strip_shows_gaps_and_shades_confidence():
    begin = np.concatenate([np.arange(0, 2, 0.1), np.arange(3, 4, 0.1)])
    confidence = np.concatenate([np.full(20, 0.95), np.full(10, 0.3)])
    runs = strip(begin, begin + 0.1, confidence, low=0, high=5, bins=50)
    assert [(round(run.begin * 5, 6), round(run.end * 5, 6), run.level) for run in runs] == [(0, 2, LEVELS), (3, 4, 2)]


def test_a_strip_of_frames_without_a_body_has_the_lightest_shade():
    begin = np.arange(0, 1, 0.1)
    (run,) = strip(begin, begin + 0.1, np.full(10, np.nan), low=0, high=1)
    assert (run.begin, run.end, run.level) == (0, 1, 1)


def test_bodies_in_every_other_frame_do_not_pale_the_strip():
    begin = np.arange(0, 1, 0.1)
    confidence = np.where(np.arange(10) % 2, np.nan, 0.9)
    runs = strip(begin, begin + 0.1, confidence, low=0, high=1, bins=5)
    assert [run.level for run in runs] == [LEVELS]


def test_a_single_frame_of_a_long_video_is_still_visible():
    (run,) = strip(np.array([500.0]), np.array([500.03]), np.array([0.9]), low=0, high=1000, bins=240)
    assert run.end - run.begin == pytest.approx(1 / 240)


def test_nobody_has_no_strip():
    assert strip(np.zeros(0), np.zeros(0), np.zeros(0), low=0, high=1) == ()


def test_the_residual_is_the_distance_to_the_projection_in_pixels():
    body = a_body(2, range(5))
    residuals = reprojection_residuals(body)
    worst = np.abs(residuals[:, :40] - 3).max()
    assert worst < 1e-4, f"expected 3 px everywhere, got {worst:.1e} px off"
    assert np.isnan(residuals[:, 40:]).all()
    assert reduce_body(body).residual_px == pytest.approx(3, abs=1e-4)


def test_confidence_of_a_body_is_that_of_its_observed_keypoints():
    assert reduce_body(a_body(1, range(4), confidence=0.75)).confidence == pytest.approx([0.75] * 4)


def test_instants_lie_where_most_cameras_record_and_are_spread():
    spans = [(0.0, 10.0), (2.0, 12.0), (4.0, 14.0)]
    assert best_window(spans) == (4.0, 10.0)
    assert choose_instants(spans, count=3, seen=lambda _: 1) == pytest.approx([5, 7, 9])


def test_an_instant_with_people_is_preferred_to_the_middle():
    (instant,) = choose_instants([(0.0, 8.0)], count=1, seen=lambda t: int(t > 6))
    assert 6 < instant < 8


def test_recordings_that_never_overlap_still_give_instants():
    assert choose_instants([(0.0, 1.0), (5.0, 9.0)], count=1, seen=lambda _: 0) == [7.0]
    assert choose_instants([], count=3, seen=lambda _: 0) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/data/in/take/cam.mp4: torn", "DATA_ROOT/take/cam.mp4: torn"),
        ("/data/in2/x", "…/x"),
        ("/home/jo/secret/folder/file.npz is gone", "…/file.npz is gone"),
        ("expected 1/30 or 3/4, and/or nothing", "expected 1/30 or 3/4, and/or nothing"),
        ("left/json_data/mask_000003.json: torn", "left/json_data/mask_000003.json: torn"),
        ("s3://bucket/prefix/take/a.npz", "OUTPUT_DIR/take/a.npz"),
        ("see https://user:pw@host/x", "see https://host/x"),
        ("token=abc def", "token=… def"),
        ("AWS_SECRET_ACCESS_KEY: abc", "AWS_SECRET_ACCESS_KEY: …"),
    ],
)
def test_redaction_keeps_what_is_useful(text, expected):
    redact = make_redact({"/data/in": "DATA_ROOT", "s3://bucket/prefix": "OUTPUT_DIR"})
    assert redact(text) == expected


def test_backticks_become_code_and_nothing_else_gets_through():
    assert str(prose("run `ghost <b>` & wait")) == "run <code>ghost &lt;b&gt;</code> &amp; wait"
    assert str(prose("one ` alone <i>")) == "one ` alone &lt;i&gt;"


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (wording.plus_minus(0.0123), "± 12 ms"),
        (wording.plus_minus(1.25), "± 1.2 s"),
        (wording.plus_minus(None), "–"),
        (wording.signed(-0.00001), "+0.000 s"),
        (wording.signed(-0.5), "−0.500 s"),
        (wording.duration(59.94), "59.9 s"),
        (wording.duration(245), "4 min 05 s"),
        (wording.duration(7380), "2 h 03 min"),
        (wording.percent(0.9999), "99 %"),
        (wording.percent(1.0), "100 %"),
        (wording.percent(0.0001), "1 %"),
        (wording.number(float("nan")), "–"),
        (wording.size(870), "870 B"),
        (wording.size(2_500_000), "2.5 MB"),
        (wording.listing(["a", "b", "c"]), "a, b and c"),
        (wording.listing([]), ""),
    ],
)
def test_numbers_read_well(got, expected):
    assert got.replace("\N{NO-BREAK SPACE}", " ") == expected
