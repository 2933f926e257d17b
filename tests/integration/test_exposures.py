"""What harvesters see of records, and since when: by decisions, versions, withdrawals, and what was answered before."""

from __future__ import annotations

import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lantai.archive import Archive
from lantai.catalog import Catalog, Exposed, Selection
from lantai.errors import StoreUnavailable
from lantai.model import RecordId
from lantai.oai import Set
from lantai.oai.records import Harvest
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
        some = catalog.exposures.digests(part, at=at, after=(-1, ""), limit=1000, kept="")
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
        assert [catalog.exposures.sets_held(at) for at in (1, LATER)] == [1, 2]


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


# -- what is deleted: its sets are those that it had last while it was open

SHEET = "文件名,层级,档号,类型,题名\n"


def header(lantai: Lantai, record: str) -> tuple[int, bool, tuple[str, ...]]:
    """Datestamp, whether it is live, and its sets."""
    found = seen(lantai, RecordId(record))
    assert found is not None
    return found.since, found.live, found.sets


def updated(lantai: Lantai, package: str, rows: str, *words: str | Path) -> None:
    sheet = lantai.folder.parent / "corrected.csv"
    sheet.write_text(SHEET + rows, "utf-8")
    done = lantai("update", package, "--metadata", sheet, *words, "--reason", "更正")
    assert done.code == 0, done


def decided(lantai: Lantai, record: str, shown: str) -> None:
    """In another second than what was before it."""
    time.sleep(1.1)
    assert lantai("access", "set", record, shown, "--reason", "复核").code == 0


def titles(lantai: Lantai) -> dict[str, str | None]:
    """Of the sets of fonds, as far as they are told."""
    with Catalog.open(f"sqlite:///{lantai.folder / 'catalog.db'}") as catalog:
        return {spec: title for spec, title in catalog.exposures.sets(LATER, "", 100) if spec.startswith("fonds:")}


def a_fonds(lantai: Lantai, place: Path, access: str = "open") -> tuple[str, dict[str, str]]:
    """One of two folders with an item each: its package, and the records by their titles."""
    rows = (
        "金秋,全宗,Z109,,云岭县\n公开,系列,A,,公开\n密室,系列,B,,密室\n"
        "公开/甲.txt,件,A-1,图像,甲\n密室/乙.txt,件,B-1,图像,乙\n"
    )
    files = folder(place / "金秋", {"metadata.csv": SHEET + rows, "公开/甲.txt": "1", "密室/乙.txt": "2"})
    package = str(lantai.stored(files, "--access", access)["package"])
    with sqlite3.connect(lantai.folder / "catalog.db") as db:
        return package, {title: id for id, title in db.execute("SELECT id, title FROM records")}


def rebuild(lantai: Lantai) -> None:
    """From the store alone; all that it shows is as it was."""
    before = all_rows(lantai)
    for path in lantai.folder.glob("catalog.db*"):
        path.unlink()
    assert lantai("rebuild").code == 0
    assert all_rows(lantai) == before


@pytest.mark.parametrize("is_asked", [True, False])
def test_what_is_said_of_a_closed_record_is_not_to_be_seen(lantai: Lantai, keep: Keep, is_asked: bool) -> None:
    """Whether or not anybody harvested it meanwhile."""
    record = keep("--access", "open")
    decided(lantai, record, "closed")
    closed = header(lantai, record)
    assert closed[1:] == (False, ("level:file",))
    if is_asked:
        answer_after(lantai, closed[0])
    updated(lantai, record, ",件,Z109,图像,密件\n")
    assert header(lantai, record) == closed
    assert listed(lantai, spec="level:item") == []
    rebuild(lantai)
    assert header(lantai, record) == closed
    updated(lantai, record, ",系列,Z109,录音,密件\n")
    assert header(lantai, record) == closed


def test_a_record_that_is_opened_again_is_seen_as_it_is_and_closed_again_it_stays_so(
    lantai: Lantai, keep: Keep
) -> None:
    record = keep("--access", "open")
    decided(lantai, record, "closed")
    answer_after(lantai, header(lantai, record)[0])
    updated(lantai, record, ",件,,图像,\n")
    closed = header(lantai, record)
    decided(lantai, record, "open")
    opened = header(lantai, record)
    assert opened[0] > closed[0]
    assert opened[1:] == (True, ("level:item", "type", "type:image"))
    answer_after(lantai, opened[0])
    decided(lantai, record, "closed")
    again = header(lantai, record)
    assert again[0] > opened[0]
    answer_after(lantai, again[0])
    updated(lantai, record, ",案卷,,录音,\n")
    assert header(lantai, record) == again == (again[0], False, opened[2])
    rebuild(lantai)
    assert header(lantai, record) == again


def test_what_is_closed_by_the_version_that_describes_it_anew_keeps_what_was_shown(
    lantai: Lantai, tmp_path: Path
) -> None:
    """It is moved below a closed folder."""
    package, records = a_fonds(lantai, tmp_path)
    decided(lantai, records["密室"], "closed")
    shown = header(lantai, records["甲"])
    assert shown[1:] == (True, ("fonds:Z109", "fonds:Z109:A", "level:item", "type", "type:image"))
    answered = answer_after(lantai, shown[0])
    moved = folder(tmp_path / "moved" / "密室", {"甲.txt": "1"})
    updated(lantai, package, "密室/甲.txt,案卷,A-1,录音,甲\n", "--add", moved, "--remove", "公开/甲.txt")
    closed = header(lantai, records["甲"])
    assert closed[0] >= answered
    assert closed[1:] == (False, shown[2])
    rebuild(lantai)
    assert header(lantai, records["甲"]) == closed


def test_a_fonds_is_called_in_sets_what_it_was_called_when_it_was_seen_first(lantai: Lantai, tmp_path: Path) -> None:
    package, records = a_fonds(lantai, tmp_path)
    decided(lantai, records["密室"], "closed")
    closed = [header(lantai, records[one]) for one in ("密室", "乙")]
    answered = answer_after(lantai, max(one[0] for one in closed))
    updated(lantai, package, ",全宗,Z110,,云岭县\n")
    assert header(lantai, records["云岭县"])[0] >= answered
    assert header(lantai, records["甲"])[2][:2] == ("fonds:Z109", "fonds:Z109:A")
    assert [header(lantai, records[one]) for one in ("密室", "乙")] == closed
    assert titles(lantai) == {"fonds:Z109": "云岭县", "fonds:Z109:A": "公开", "fonds:Z109:B": None}
    *_earlier, told = [one for one in lantai("journal", "list", "--json").objects if one["kind"] == "exposure"]
    assert told["state"]["nodes"][records["云岭县"]][0] == "Z109"
    rebuild(lantai)
    updated(lantai, package, ",全宗,Z111,,云岭县\n")
    assert header(lantai, records["甲"])[2][:2] == ("fonds:Z109", "fonds:Z109:A")
    assert titles(lantai)["fonds:Z109"] == "云岭县"
    rebuild(lantai)


def test_a_part_of_a_fonds_that_nobody_has_seen_is_called_as_it_is_described(lantai: Lantai, tmp_path: Path) -> None:
    package, records = a_fonds(lantai, tmp_path, "closed")
    updated(lantai, package, ",全宗,Z110,,云岭县\n")
    assert titles(lantai) == {}
    decided(lantai, package, "open")
    assert header(lantai, records["甲"])[2][:2] == ("fonds:Z110", "fonds:Z110:A")
    rebuild(lantai)


def test_what_is_closed_is_in_the_name_of_no_set(lantai: Lantai, tmp_path: Path) -> None:
    """An item is in the set of what is above it as far as that is open, from the fonds down."""
    package, records = a_fonds(lantai, tmp_path, "closed")
    decided(lantai, records["乙"], "open")
    alone = ("level:item", "type", "type:image")
    assert header(lantai, records["乙"])[2] == alone
    decided(lantai, records["密室"], "open")
    assert header(lantai, records["乙"])[2] == alone  # the fonds itself is closed
    answered = answer_after(lantai, header(lantai, records["乙"])[0])
    decided(lantai, package, "open")
    within = header(lantai, records["乙"])
    assert within[0] >= answered
    assert within[2][:2] == ("fonds:Z109", "fonds:Z109:B")
    answer_after(lantai, within[0])
    decided(lantai, records["密室"], "closed")
    assert header(lantai, records["乙"])[2][:2] == ("fonds:Z109", "level:item")
    assert titles(lantai) == {"fonds:Z109": "云岭县", "fonds:Z109:A": "公开", "fonds:Z109:B": None}
    rebuild(lantai)


@pytest.mark.parametrize("is_asked", [True, False])
def test_a_part_that_left_its_package_keeps_its_sets(lantai: Lantai, tmp_path: Path, is_asked: bool) -> None:
    """is_asked: after it was described anew."""
    package, records = a_fonds(lantai, tmp_path)
    answer_after(lantai, header(lantai, records["乙"])[0])
    updated(lantai, package, "密室/乙.txt,件,,录音,乙\n")
    sets = header(lantai, records["乙"])[2]
    assert sets[-1] == "type:sound"
    if is_asked:
        answer_after(lantai, header(lantai, records["乙"])[0])
    assert lantai("update", package, "--remove", "密室/乙.txt", "--reason", "误收").code == 0
    gone = header(lantai, records["乙"])
    assert gone[1:] == (False, sets if is_asked else (*sets[:-1], "type:image"))
    rebuild(lantai)
    assert header(lantai, records["乙"]) == gone
    updated(lantai, package, ",全宗,Z110,,云岭县\n")
    assert header(lantai, records["乙"]) == gone


def test_the_journal_is_told_of_sets_that_an_older_catalogue_alone_knows(lantai: Lantai, tmp_path: Path) -> None:
    package, records = a_fonds(lantai, tmp_path)
    answer_after(lantai, header(lantai, records["乙"])[0])
    assert lantai("update", package, "--remove", "密室/乙.txt", "--reason", "误收").code == 0
    gone = header(lantai, records["乙"])
    with sqlite3.connect(lantai.folder / "catalog.db") as db:
        db.execute("ALTER TABLE applied DROP COLUMN sets")
        db.execute("DROP TABLE nodes")
        db.execute("ALTER TABLE remote_records DROP COLUMN digest")
        db.execute("UPDATE alembic_version SET version_num = '0010'")
    decided(lantai, records["甲"], "closed")
    assert header(lantai, records["乙"]) == gone
    *_earlier, told = [one for one in lantai("journal", "list", "--json").objects if one["kind"] == "exposure"]
    assert told["state"]["records"][records["乙"]] == gone[0]
    assert told["state"]["sets"][records["乙"]] == "fonds:Z109:B level:item type:image"


def test_the_journal_tells_of_sets(lantai: Lantai, keep: Keep) -> None:
    record = keep("--access", "open")
    decided(lantai, record, "closed")
    closed = header(lantai, record)
    answer_after(lantai, closed[0])
    updated(lantai, record, ",件,,图像,密件\n")
    told = [one["state"] for one in lantai("journal", "list", "--json").objects if one["kind"] == "exposure"]
    assert told == [{"records": {record: closed[0]}, "sets": {record: "level:file"}}]


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
    assert before["applied"]  # something was late
    rebuild(lantai)


@pytest.mark.parametrize("size", [1, 2, 500])
def test_sets_are_named_and_described_in_the_language_of_the_archive(lantai: Lantai, tmp_path: Path, size: int) -> None:
    """A part of a fonds by the titles that are open, whatever page it is on."""
    rows = (
        "金秋,全宗,Z109,,云岭县\n公开,系列,A,,公开\n公开/深,子系列,B,,密层\n公开/深/底,子系列,C,,底层\n"
        "公开/深/底/甲.txt,件,D,图像,甲\n"
    )
    files = folder(tmp_path / "金秋", {"metadata.csv": SHEET + rows, "公开/深/底/甲.txt": "1"})
    lantai.stored(files, "--access", "open")
    settings = lantai.folder / "lantai.toml"
    settings.write_text(re.sub('^language = "en"', 'language = "zh"', settings.read_text("utf-8"), flags=re.M), "utf-8")
    with Archive(lantai.folder, by="王芳") as archive:
        here = archive.repository("http://localhost/oai")
        records, found, after = Harvest(archive.catalog, here), list[Set](), ""
        while page := records.sets(LATER, after, size):
            found, after = [*found, *page], page[-1].spec
        assert records.sets_held(LATER) == len(found)
    names = {one.spec: one.name for one in found}
    assert names["fonds:Z109:A:B:C"] == "底层"
    assert (names["level:item"], names["level:fonds"], names["type:image"]) == ("件", "全宗", "图像")
    (told,) = [one.description for one in found if one.spec == "fonds:Z109:A:B:C"]
    assert "云岭县 / 公开 / 密层 / 底层" in told
    assert all(one.description for one in found)


def test_the_title_of_what_is_closed_is_in_no_description_of_a_set(lantai: Lantai, tmp_path: Path) -> None:
    """What was below it keeps its sets, which are then described by their setSpecs."""
    _package, records = a_fonds(lantai, tmp_path)
    answer_after(lantai, header(lantai, records["乙"])[0])
    decided(lantai, records["云岭县"], "closed")
    decided(lantai, records["密室"], "open")
    with Archive(lantai.folder, by="王芳") as archive:
        found = Harvest(archive.catalog, archive.repository("http://localhost/oai")).sets(LATER, "", 100)
    told = {one.spec: (one.name, one.description) for one in found}
    assert "云岭县" not in repr(told)
    assert told["fonds:Z109"] == ("Z109", "All open records in Z109.")
    assert told["fonds:Z109:A"] == ("A", "All open records in Z109 / A.")
