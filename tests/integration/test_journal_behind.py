"""A store that was away while the journal grew is behind; one that once had what it lacks has lost it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.command import Lantai
from tests.integration.test_journal import another_home, segments, set_access


@pytest.fixture
def id(lantai: Lantai, second: Path, records: Path) -> str:
    """A package in two stores, that were once proven to hold the same journal."""
    assert second
    package = str(lantai.stored(records)["package"])
    for word in ("open", "closed"):
        set_access(lantai, package, word)
    assert lantai("journal", "verify").code == 0
    return package


def decided_while_away(lantai: Lantai, second: Path, id: str) -> None:
    away = second.rename(second.with_name("away"))
    for word in ("open", "closed"):
        set_access(lantai, id, word)
    away.rename(second)


def names(store: Path) -> list[str]:
    return [one.name for one in segments(store)]


@pytest.mark.parametrize("words", [[], ["--no-repair"]])
def test_a_store_that_was_away_is_behind_and_is_brought_up(
    lantai: Lantai, second: Path, id: str, words: list[str]
) -> None:
    decided_while_away(lantai, second, id)
    lacking = names(lantai.folder / "store")[len(names(second))]
    done = lantai("audit", "--all", "--json", *words)
    (told,) = done.object["warnings"]
    assert (told["store"], told["code"], told["subject"].endswith(lacking)) == ("second", "journal-behind", True)
    assert (done.code, done.object["failed"], done.object["repairs"], done.object["lost"]) == (0, [], [], [])
    assert names(second) == names(lantai.folder / "store")
    done = lantai("audit", "--all", "--json")
    assert (done.code, done.object["warnings"]) == (0, [])


def test_what_is_behind_is_proven_as_far_as_it_goes_and_replicate_brings_the_rest(
    lantai: Lantai, second: Path, id: str
) -> None:
    decided_while_away(lantai, second, id)
    done = lantai("journal", "verify", "--json")
    told = {one["store"]: (one["valid"], [it["code"] for it in one["warnings"]]) for one in done.objects}
    assert (done.code, told["second"]) == (0, (True, ["journal-behind"]))
    assert lantai("replicate").code == 0
    assert names(second) == names(lantai.folder / "store")


def cut_known(lantai: Lantai, second: Path, _id: str) -> None:
    assert lantai
    segments(second)[-1].unlink()


def cut_since_it_was_proven(lantai: Lantai, second: Path, id: str) -> None:
    set_access(lantai, id, "open")
    segments(second)[-1].unlink()


def cut_while_away(lantai: Lantai, second: Path, id: str) -> None:
    decided_while_away(lantai, second, id)
    segments(second)[-1].unlink()


def cut_all(lantai: Lantai, second: Path, _id: str) -> None:
    assert lantai
    for one in segments(second):
        one.unlink()


def away_and_nothing_known(lantai: Lantai, second: Path, id: str) -> None:
    (lantai.folder / "held.json").unlink()
    decided_while_away(lantai, second, id)


CUTS = [cut_known, cut_since_it_was_proven, cut_while_away, cut_all, away_and_nothing_known]


@pytest.mark.parametrize("harm", CUTS, ids=lambda one: one.__name__)
def test_what_was_had_or_may_have_been_had_and_is_lacking_is_a_fault(
    lantai: Lantai, second: Path, id: str, harm: object
) -> None:
    assert callable(harm)
    harm(lantai, second, id)
    done = lantai("audit", "--all", "--json")
    assert (done.code, done.object["warnings"]) == (1, [])
    assert [(one["store"], one["code"]) for one in done.object["failed"]] == [("second", "journal-cut")]
    assert names(second) == names(lantai.folder / "store")
    assert lantai("audit", "--all", "--json").code == 0


def test_what_another_home_wrote_and_a_store_has_lost_is_a_fault_until_it_is_put_right(
    lantai: Lantai, second: Path, id: str
) -> None:
    """Though this home sees it for the first time."""
    other = another_home(lantai, "other")
    before = set(segments(second))
    set_access(other, id, "open")
    set_access(other, id, "closed")
    (lantai.folder / "held.json").unlink()
    max(set(segments(second)) - before).unlink()
    for words in (["--no-repair"], ["--no-repair"], []):
        done = lantai("audit", "--all", "--json", *words)
        assert [(one["store"], one["code"]) for one in done.object["failed"]] == [("second", "journal-cut")]
    assert lantai("audit", "--all", "--json").code == 0


def test_what_another_home_wrote_while_a_store_was_away_is_brought_there(lantai: Lantai, second: Path, id: str) -> None:
    other = another_home(lantai, "other")
    decided_while_away(other, second, id)
    done = lantai("audit", "--all", "--json")
    assert [(one["store"], one["code"]) for one in done.object["warnings"]] == [("second", "journal-behind")]
    assert (done.code, done.object["failed"], done.object["repairs"]) == (0, [], [])
    assert names(second) == names(lantai.folder / "store")
