"""What sets are called."""

from __future__ import annotations

import pytest

from lantai.messages import said, speaking
from lantai.model import LEVELS
from lantai.oai.sets import named

TYPES = (
    "collection", "dataset", "event", "image", "interactiveresource", "movingimage", "physicalobject", "service",
    "software", "sound", "stillimage", "text",
)  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "en", "zh"),
    [
        ("level:fonds", "Fonds", "全宗"), ("level:series", "Series", "系列"), ("level:file", "File", "案卷"),
        ("level:item", "Item", "件"), ("type:image", "Image", "图像"), ("type:movingimage", "Moving image", "动态图像"),
    ],
)  # fmt: skip
def test_a_set_is_named_in_the_language_that_is_wanted(spec: str, en: str, zh: str) -> None:
    for spoken in ("en", "zh"):
        with speaking(spoken):
            assert (named(spec, (), "en").name, named(spec, (), "zh").name) == (en, zh)


def test_each_level_and_each_type_of_dcmis_has_a_name() -> None:
    for spec in (*(f"level:{one}" for one in LEVELS), *(f"type:{one}" for one in TYPES)):
        name = spec.partition(":")[2]
        assert named(spec, (), "en").name.replace(" ", "").lower() == name
        assert named(spec, (), "zh").name.isascii() is False


def test_what_is_in_a_set_is_described() -> None:
    assert named("level:item", (), "en").description == "All open records at the level item."
    assert named("type:stillimage", (), "en").description == "All open records of the type Still image."
    assert named("type", (), "en").name == "Resource type"
    assert "DCMI" in named("type", (), "en").description
    part = named("fonds:Z109:A", ("云岭 {县}", "A"), "en")
    assert (part.spec, part.name, part.description) == ("fonds:Z109:A", "A", "All open records in 云岭 {县} / A.")


def test_what_is_said_in_a_language_is_not_in_the_one_in_use() -> None:
    with speaking("en"):
        assert said("there is no such time zone", "zh") != "there is no such time zone"
    with speaking("zh"):
        assert said("there is no such time zone", "en") == "there is no such time zone"
