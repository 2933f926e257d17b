"""What harvesters see of records, and since when: by decisions, versions, withdrawals, and what was answered before."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lantai.catalog import Catalog, Exposed, Selection
from lantai.errors import StoreUnavailable
from lantai.model import RecordId
from tests.integration.command import Lantai, folder

LATER = 4_000_000_000
"""In the year 2096."""
Keep = Callable[..., RecordId]


@pytest.fixture
def keep(lantai: Lantai, tmp_path: Path) -> Keep:
    """A package of one file, with these words to ingest; its id."""
    made = iter(range(100))

    def keep(*words: str) -> RecordId:
        files = folder(tmp_path / f"submission-{next(made)}", {"活动方案.txt": f"{time.time_ns()}\n"})
        done = lantai("ingest", files, *words, "--json")
        assert done.code == 0, done
        return RecordId(done.object["package"])

    return keep


def seen(lantai: Lantai, record: RecordId, at: int = LATER) -> Exposed | None:
    with Catalog.open(f"sqlite:///{lantai.folder / 'catalog.db'}") as catalog:
        return catalog.exposures.one(record, at, described=True, files=True)


def listed(lantai: Lantai, *, spec: str | None = None, at: int = LATER) -> list[tuple[str, int, bool]]:
    with Catalog.open(f"sqlite:///{lantai.folder / 'catalog.db'}") as catalog:
        part = Selection(0, at, spec or "")
        some = catalog.exposures.digests(part, at=at, after=(-1, ""), limit=1000, prefix="")
        return [(record, since, bool(live)) for record, since, live, _digest in some]


def answer(lantai: Lantai) -> int:
    """As a server does: the responseDate of an answer given now."""
    with Catalog.open(f"sqlite:///{lantai.folder / 'catalog.db'}") as catalog:
        return catalog.exposures.served(int(time.time()))


def answer_after(lantai: Lantai, second: int) -> int:
    """The first that is later."""
    while (answered := answer(lantai)) <= second:
        time.sleep(0.1)
    return answered


def all_rows(lantai: Lantai) -> dict[str, list[tuple[object, ...]]]:
    with sqlite3.connect(lantai.folder / "catalog.db") as db:
        return {
            name: db.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall()
            for name in ("exposures", "exposure_sets", "applied")
        }


def test_what_was_never_open_is_as_if_it_were_not_there(lantai: Lantai, keep: Keep) -> None:
    closed, open_ = keep(), keep("--access", "open")
    assert seen(lantai, closed) is None
    assert seen(lantai, RecordId("urn:uuid:01890a5d-ac96-774b-bcce-b302099a8057")) is None
    assert [one[0] for one in listed(lantai)] == [open_]
    with Catalog.open(f"sqlite:///{lantai.folder / 'catalog.db'}") as catalog:
        assert catalog.exposures.sets(LATER, "", 10) == [("level:file", None), ("type", None)]
        assert catalog.exposures.sets(1, "", 10) == [("type", None)]


def test_what_is_open_by_description_is_seen(lantai: Lantai, keep: Keep) -> None:
    found = seen(lantai, keep("--access", "description"))
    assert found is not None
    assert found.live


def test_a_record_that_opens_on_a_day_is_seen_from_its_first_second_on(lantai: Lantai, keep: Keep) -> None:
    record = keep("--access", "2051-01-01")
    opens = int(datetime(2050, 12, 31, 16, tzinfo=UTC).timestamp())  # in Shanghai the day begins
    assert seen(lantai, record, opens) is None
    assert listed(lantai, at=opens) == []
    found = seen(lantai, record, opens + 1)
    assert found is not None
    assert (found.since, found.live) == (opens, True)
    assert listed(lantai, at=opens + 1) == [(record, opens, True)]


def test_what_is_closed_again_is_deleted_and_keeps_its_sets(lantai: Lantai, keep: Keep) -> None:
    record = keep("--access", "open")
    before = answer(lantai)
    time.sleep(1.1)
    answer(lantai)
    assert lantai("access", "set", record, "closed", "--reason", "误开").code == 0
    found = seen(lantai, record)
    assert found is not None
    assert (found.live, found.sets, found.record) == (False, ("level:file",), None)
    assert found.since > before
    assert listed(lantai, spec="level:file") == [(record, found.since, False)]


def test_what_is_withdrawn_is_deleted_until_it_is_shown_again(lantai: Lantai, keep: Keep) -> None:
    record = keep("--access", "open")
    time.sleep(1.1)
    assert lantai("withdraw", record, "--reason", "隐私").code == 0
    hidden = seen(lantai, record)
    assert hidden is not None
    assert not hidden.live
    time.sleep(1.1)
    assert lantai("withdraw", record, "--undo", "--reason", "查清").code == 0
    shown = seen(lantai, record)
    assert shown is not None
    assert shown.live
    assert shown.since > hidden.since


def test_a_datestamp_changes_when_what_is_seen_does_and_never_comes_before_an_answer(
    lantai: Lantai, keep: Keep
) -> None:
    record = keep("--access", "open")
    first = seen(lantai, record)
    assert first is not None
    answered = answer_after(lantai, first.since)
    more = folder(lantai.folder.parent / "more", {"总结.txt": "圆满\n"}) / "总结.txt"
    assert lantai("update", record, "--add", more, "--reason", "补交").code == 0
    added = seen(lantai, record)
    assert added is not None
    assert added.since >= answered > first.since  # its files are told of, too
    assert lantai("access", "set", record, "open", "--reason", "复核").code == 0
    same = seen(lantai, record)
    assert same is not None
    assert same.since == added.since
    answered = answer_after(lantai, added.since)
    assert lantai("update", record, "--title", "文化节", "--reason", "更正").code == 0
    now = seen(lantai, record)
    assert now is not None
    assert now.since >= answered > first.since
    told = [one for one in lantai("journal", "list", "--json").objects if one["kind"] == "exposure"]
    assert [one["state"]["records"] for one in told] == [{record: added.since}, {record: now.since}]


def test_a_decision_that_comes_late_is_seen_when_it_came(lantai: Lantai, keep: Keep) -> None:
    """The archive answered for a time that lies ahead: as if the decision had been under way so long."""
    record = keep()
    ahead = int(time.time()) + 1000
    with Catalog.open(f"sqlite:///{lantai.folder / 'catalog.db'}") as catalog:
        assert catalog.exposures.served(ahead) == ahead
    assert lantai("access", "set", record, "open", "--reason", "期满").code == 0
    found = seen(lantai, record)
    assert found is not None
    assert (found.since, found.live) == (ahead, True)


@contextmanager
def written(lantai: Lantai, seconds: float) -> Iterator[None]:
    """Another process writes to the catalogue meanwhile, for so long at most."""
    with closing(sqlite3.connect(lantai.folder / "catalog.db", isolation_level=None, check_same_thread=False)) as db:
        db.execute("BEGIN IMMEDIATE")
        ended = threading.Timer(seconds, db.execute, ["COMMIT"])
        ended.start()
        try:
            yield
        finally:
            ended.join()


def test_the_first_answer_waits_for_whoever_writes(lantai: Lantai, keep: Keep) -> None:
    """It would be as of 1970, and tell of nothing."""
    record, before = keep("--access", "open"), int(time.time())
    with written(lantai, 1):
        assert answer(lantai) >= before
    assert [id for id, _since, _live in listed(lantai)] == [record]


def test_while_another_process_writes_for_long_an_answer_may_be_a_little_old(
    lantai: Lantai, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lantai.catalog.exposed._PATIENCE", 0.1)
    with Catalog.open(f"sqlite:///{lantai.folder / 'catalog.db'}") as catalog:
        now = int(time.time())
        with written(lantai, 2), pytest.raises(StoreUnavailable):
            catalog.exposures.served(now)
        assert catalog.exposures.served(now) == now
        with written(lantai, 2):
            assert catalog.exposures.served(now + 1000) == now
            with pytest.raises(StoreUnavailable):
                catalog.exposures.served(now + 4000)


def test_a_rebuilt_catalogue_shows_the_same(lantai: Lantai, keep: Keep) -> None:
    records = [keep("--access", access) for access in ("open", "description", "closed", "2051-01-01", "open", "open")]
    time.sleep(1.1)
    answer(lantai)
    assert lantai("access", "set", records[1], "closed", "--reason", "误开").code == 0
    assert lantai("access", "set", records[2], "open", "--reason", "期满").code == 0
    assert lantai("update", records[0], "--title", "文化节", "--reason", "更正").code == 0
    assert lantai("withdraw", records[4], "--reason", "隐私").code == 0
    before = all_rows(lantai)
    assert len(before["exposures"]) > len(records)
    for path in lantai.folder.glob("catalog.db*"):
        path.unlink()
    assert lantai("rebuild").code == 0
    assert all_rows(lantai) == before
    assert before["applied"]  # something was late
