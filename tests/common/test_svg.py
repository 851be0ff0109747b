"""SVG text: well formed whatever it says, short, and drawn where asked."""

import xml.etree.ElementTree as ET

import pytest

from common import svg


def parse(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314 - our own text, made a moment ago


def test_texts_and_values_cannot_break_out_of_their_place():
    nasty = "</text><script>alert('1')</script>\"&\x00\x0b"
    drawn = svg.document(
        svg.element("text", text=nasty, x=1, font_family=nasty), width=10, height=5, title=nasty, description=nasty
    )
    root = parse(drawn)
    assert [child.tag.rpartition("}")[2] for child in root] == ["title", "desc", "rect", "text"]
    assert root[3].text.startswith("</text><script>")
    assert root[3].attrib["font-family"].startswith("</text>")
    assert root.attrib["viewBox"] == "0 0 10 5"


def test_attributes_that_are_none_are_left_out():
    assert svg.element("line", x1=0.0, stroke_width=1.5, stroke=None) == '<line x1="0" stroke-width="1.5"/>'


def test_a_gap_breaks_a_line():
    gap = float("nan")
    drawn = svg.polyline([(0, 0), (1, 2), (2, gap), (3, 1), (4, 1)], stroke="red")
    assert parse(drawn).attrib["d"] == "M0 0L1 2M3 1L4 1"
    assert svg.polyline([(gap, 1)]) == ""


@pytest.mark.parametrize(("value", "text"), [(0.0, "0"), (-0.001, "0"), (100, "100"), (1.256, "1.26"), (-2.5, "-2.5")])
def test_numbers_are_as_short_as_possible(value, text):
    assert svg.number(value) == text


def test_a_text_is_cut_only_where_it_does_not_fit():
    assert svg.shortened("cam01", width=100, size=12) == "cam01"
    cut = svg.shortened("a" * 60, width=100, size=12)
    assert cut.endswith("…")
    assert len(cut) < 20
