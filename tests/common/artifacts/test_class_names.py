import pytest

from common.artifacts.class_names import is_person, no_bodies


@pytest.mark.parametrize(
    "phrase",
    ["person", "Person", "people", "man", "women", "red person", "person in white", "player with the ball", "dancers",
     "woman wearing a hat", "child riding a bicycle", "people dancing", "men dressed in black", "running man",
     "human being", "baby", "man_on_the_left", "tired man", "goalkeeper in yellow", "football player"],
)  # fmt: skip
def test_phrases_about_people_name_persons(phrase):
    assert is_person(phrase)


@pytest.mark.parametrize(
    "phrase",
    ["", "--", "bicycle", "dog of a woman", "baby carriage", "bicycle with a child", "snowman", "manhole", "bus",
     "red traffic light", "painting", "record player", "cd players on a shelf", "kid bed", "men clothing",
     "child drawing", "loud speaker", "group of people"],
)  # fmt: skip
def test_phrases_about_other_things_name_none(phrase):
    assert not is_person(phrase)


def test_things_without_a_person_among_them_have_no_bodies_and_that_is_said():
    assert no_bodies(["sledge", "dog", "sledge"]).startswith("1 x 'dog', 2 x 'sledge', and no person: ")
    assert no_bodies(["dog", "woman in white"]) == ""
    assert no_bodies([]) == "", "that nobody is there is said elsewhere"
