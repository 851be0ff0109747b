"""The picture: well formed whatever there is to show, at the right place, and honest about what it leaves out."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest

from stages.sync.picture import draw
from stages.sync.picture_curves import chosen_pairs
from stages.sync.picture_graph import draw_graph
from stages.sync.picture_speeds import guides, speed_rows
from stages.sync.picture_style import RED, contradicts
from stages.sync.result import (
    Component,
    IdentifiedTrack,
    OffsetCurve,
    PairOffset,
    Synchronization,
    Verdict,
    VideoStart,
)
from stages.sync.tracks import PersonTrack, VideoTracks

STARTS = (0.0, 1.5, 0.7, 3.2, 2.2, 0.4, 5.0, 4.1, 1.1, 2.9, 0.2, 3.3, 4.4, 0.9, 1.9, 2.6)


def parse(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 - our own text, made a moment ago


def texts(svg: str) -> list[str]:
    return [node.text or "" for node in parse(svg).iter() if node.tag.endswith("}text")]


def bursts(start: float, *, seconds: float = 12.0, persons: int = 1) -> VideoTracks:
    """People who stand still but for a movement at scene times 6 and 9 s, seen by a camera that began at `start`."""
    times = np.arange(0, seconds, 1 / 30)
    tracks = []
    for person in range(1, persons + 1):
        points = np.tile(np.random.default_rng(person).normal(0, 0.4, (70, 3)), (len(times), 1, 1))
        reach = sum(np.tanh((times + start - moment) * 12) for moment in (6.0, 9.0))
        points += 0.4 * reach[:, None, None] * np.random.default_rng(9).normal(size=(70, 3))
        tracks.append(PersonTrack(person, times, points, np.ones((len(times), 70))))
    return VideoTracks(f"cam{start}", tuple(tracks))


def curve(peak: float) -> OffsetCurve:
    offsets = np.arange(-600, 601) / 30
    return OffsetCurve(offsets, (0.7 * np.exp(-((offsets - peak) ** 2))).astype(np.float32))


def scene(count: int, *, persons: int = 1) -> tuple[Synchronization, list[VideoTracks]]:
    videos = [bursts(start, persons=persons) for start in STARTS[:count]]
    pairs = []
    for i in range(count):
        for j in range(i + 1, count):
            offset = STARTS[j] - STARTS[i]
            pairs.append(
                PairOffset(
                    videos[i].video, videos[j].video, offset, 0.01, 0.7, 9.0 + 0.01 * (i + j), 8.0, 0.002,
                    ((1, 1),), curve=curve(offset),
                )
            )  # fmt: skip
    starts = tuple(
        VideoStart(v.video, s, 0.012, Verdict.OK, component=0, z=9.0) for v, s in zip(videos, STARTS, strict=False)
    )
    identities = tuple(
        IdentifiedTrack(v.video, person, person, 9.0, 5.0, Verdict.OK)
        for v in videos
        for person in range(1, persons + 1)
    )
    names = tuple(v.video for v in videos)
    return Synchronization(starts, tuple(pairs), (Component(names, STARTS[:count]),), identities), videos


@pytest.mark.parametrize("count", [2, 5, 16])
def test_a_picture_shows_every_camera_stays_within_its_borders_and_needs_nothing_else(count):
    answer, videos = scene(count)
    svg = draw(answer, videos, scene="kitchen")
    root = parse(svg)
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    assert {f"cam{s}" for s in STARTS[:count]} <= set(texts(svg))
    for node in root.iter():
        for name, low, high in (
            ("x", 0, width),
            ("x1", 0, width),
            ("cx", 0, width),
            ("y", 0, height),
            ("cy", 0, height),
        ):
            if name in node.attrib:
                assert low <= float(node.attrib[name]) <= high, f"{node.tag} {node.attrib}"
        if node.tag.endswith("}text"):
            assert float(node.attrib["font-size"]) >= 12, f"too small to read: {node.text}"
    assert not re.search(r"href|<style|<script|url\(|NaN|nan|inf", svg)
    assert len(svg) < 400_000, f"{len(svg)} bytes"
    title = next(node for node in root if node.tag.endswith("}title"))
    assert title.text == "Synchronisation of kitchen"
    description = next(node for node in root if node.tag.endswith("}desc")).text
    assert f"cam1.5 starts at 1.500 s ± 12 ms ({Verdict.OK})" in description


def test_the_same_answer_gives_the_same_bytes():
    answer, videos = scene(4)
    assert draw(answer, videos, scene="a") == draw(answer, videos, scene="a")


def test_movements_line_up_on_the_scene_clock():
    answer, videos = scene(6)
    rows = speed_rows(answer, videos, bins=400)
    moments = rows.low + (np.arange(400) + 0.5) / 400 * (rows.high - rows.low)
    for video, own in rows.curves.items():
        (values,) = own.values()
        highest = moments[: len(values)][np.nanargmax(values)]
        off = min(abs(highest - moment) for moment in (6.0, 9.0))
        assert off < 0.1, f"{video}: top of its speed {off:.2f} s from the movement"
    found = guides(rows)
    assert any(abs(t - 6) < 0.1 for t in found), found


def test_a_clock_that_runs_slow_is_drawn_on_the_scene_clock():
    answer, videos = scene(3)
    slow = replace(videos[1], persons=tuple(replace(t, times=t.times / 1.1) for t in videos[1].persons))
    starts = [answer.videos[0], replace(answer.videos[1], rate=1.1), answer.videos[2]]
    rows = speed_rows(replace(answer, videos=tuple(starts)), [videos[0], slow, videos[2]], bins=400)
    (values,) = rows.curves[videos[1].video].values()
    middle = rows.low + (np.nanargmax(values) + 0.5) / len(values) * (rows.high - rows.low)
    assert min(abs(middle - 6), abs(middle - 9)) < 0.1, middle
    assert "+100000 ppm" in texts(draw(replace(answer, videos=tuple(starts)), [videos[0], slow, videos[2]], scene="x"))


def test_of_an_hour_the_liveliest_part_is_drawn():
    answer, _ = scene(2)
    long = [bursts(start, seconds=200.0) for start in STARTS[:2]]
    rows = speed_rows(answer, long, bins=400)
    assert rows.high - rows.low == pytest.approx(20.0)
    assert rows.low <= 6.0 <= rows.high
    assert any("(20 of 20" in text for text in texts(draw(answer, long, scene="x")))


def test_one_curve_per_person_whom_several_cameras_see():
    answer, videos = scene(3, persons=2)
    rows = speed_rows(answer, videos, bins=200)
    assert {video: sorted(own) for video, own in rows.curves.items()} == {v.video: [1, 2] for v in videos}


def test_all_pairs_of_few_cameras_and_of_many_those_that_connect_them():
    assert len(chosen_pairs(scene(5)[0])) == 10
    answer, videos = scene(16)
    chosen = chosen_pairs(answer)
    assert len(chosen) == 15
    reached = {chosen[0].a}
    for _ in chosen:
        reached |= {end for pair in chosen if {pair.a, pair.b} & reached for end in (pair.a, pair.b)}
    assert len(reached) == 16
    assert any("105 more pairs are left out" in text for text in texts(draw(answer, videos, scene="x")))


def test_a_pair_that_contradicts_is_red_and_the_last_to_connect_cameras():
    answer, _ = scene(8)
    odd = replace(answer.pairs[0], offset=9.9, residual=8.4, half_width=None, z=50.0)
    answer = replace(answer, pairs=(odd, *answer.pairs[1:]))
    assert contradicts(odd)
    assert not contradicts(replace(odd, residual=0.3, half_width=0.5)), "within its own interval"
    assert odd not in chosen_pairs(answer)
    graph = parse(draw_graph(answer, x=0, y=0, width=330, height=370))
    red = [n for n in graph.iter("line") if n.attrib["stroke"] == RED and len(n)]
    assert len(red) == 1
    assert "from the consensus" in red[0][0].text


def test_what_is_unknown_is_said_and_drawn_grey():
    answer, videos = scene(3)
    lost = VideoStart(videos[2].video, None, None, Verdict.UNKNOWN, reasons=("nobody agrees with anybody",))
    pairs = tuple(
        replace(p, offset=None, half_width=None, residual=None) if lost.video in (p.a, p.b) else p for p in answer.pairs
    )
    said = texts(draw(replace(answer, videos=(*answer.videos[:2], lost), pairs=pairs), videos, scene="x"))
    assert "start unknown: nobody agrees with anybody" in said
    assert said.count("no common offset") == 2
    assert any("2 ok, 1 unknown" in text for text in said)


def test_a_mirrored_camera_is_named():
    answer, videos = scene(3)
    answer = replace(answer, videos=(replace(answer.videos[0], mirrored=True), *answer.videos[1:]))
    assert "mirrored" in texts(draw(answer, videos, scene="x"))


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_nothing_to_show_is_a_picture_too(frames):
    times = np.arange(frames) / 30
    track = PersonTrack(1, times, np.full((frames, 70, 3), np.nan), np.zeros((frames, 70)))
    videos = [VideoTracks("a", (track,)), VideoTracks("<b>&", ())]
    starts = (
        VideoStart("a", 0.0, None, Verdict.UNCERTAIN, component=0),
        VideoStart("<b>&", None, None, Verdict.UNKNOWN),
    )
    pair = PairOffset("a", "<b>&", None, None, 0.0, 0.0, 0.0, None, ())
    flat = replace(pair, curve=OffsetCurve(np.array([0.0]), np.array([0.5], np.float32)), offset=0.0, residual=0.0)
    for pairs in ((), (pair,), (flat,)):
        said = texts(draw(Synchronization(starts, pairs, (), ()), videos, scene="x & <y>"))
        assert "<b>&" in said
    draw(Synchronization((), (), (), ()), [], scene="empty")
    draw(Synchronization(starts[1:], (), (), ()), videos[1:], scene="alone")
