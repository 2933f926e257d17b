"""A new way of giving records to harvesters; what is kept of what was given; receipts of it."""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from lantai.archive import Archive
from lantai.oai import NotYet, Wanted, plugins, records
from lantai.oai.formats import FORMATS, Format, crosswalk
from lantai.oai.protocol import respond
from lantai.oai.receipt import BadReceipt, attested
from lantai.oai.records import Harvest
from tests.integration.command import Lantai, folder
from tests.integration.test_oai_formats import PLUGIN, by_title, install
from tests.unit.test_oai_protocol import OAI, texts

MINUTES = count(1)
ROWS = ("exposures", "exposure_sets", "applied", "crosswalks")


def later() -> datetime:
    """Each time a minute more: what changed since the last answer is seen in the next."""
    return datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=next(MINUTES))


@contextmanager
def harvest(lantai: Lantai) -> Iterator[tuple[Archive, Harvest]]:
    with Archive(lantai.folder, by="王芳") as archive:
        yield archive, Harvest(archive.catalog, archive.repository("http://localhost/oai"))


def answer(lantai: Lantai, now: datetime | None = None, size: int = 500, **arguments: Any) -> etree._Element:
    with harvest(lantai) as (archive, one):
        body = respond(
            list(arguments.items()), one, repository=archive.repository("http://localhost/oai"), now=now or later(),
            key=bytes(32), page_size=size, token_ttl=3600,
        )  # fmt: skip
        root = etree.fromstring(body)
        for date in root.iter(OAI + "responseDate"):
            date.text = ""
        return root


def rows(lantai: Lantai) -> dict[str, list[tuple[Any, ...]]]:
    with sqlite3.connect(lantai.folder / "catalog.db") as db:
        return {name: db.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in ROWS}


def some(lantai: Lantai, tmp_path: Path, number: int = 3) -> list[str]:
    made = [folder(tmp_path / f"s{at}", {"方案.txt": f"{tmp_path} {at}\n"}) for at in range(number)]
    return [str(lantai.stored(one, "--access", "open")["package"]) for one in made]


def stamps(lantai: Lantai, now: datetime) -> dict[str, str]:
    root = answer(lantai, now, verb="ListIdentifiers", metadataPrefix="oai_dc")
    found = list(root.iter(OAI + "header"))
    return {one.findtext(OAI + "identifier", ""): one.findtext(OAI + "datestamp", "") for one in found}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_another_way_of_giving_records_is_adopted_for_a_second_to_come(lantai: Lantai, tmp_path: Path) -> None:
    open_, _second, hidden = some(lantai, tmp_path)
    time.sleep(1.1)
    assert lantai("withdraw", hidden, "--reason", "核对").code == 0
    closed = str(lantai.stored(folder(tmp_path / "closed", {"a.txt": "x"}))["package"])
    time.sleep(2.1)
    now = datetime.now(UTC).replace(microsecond=0)
    before = stamps(lantai, now)
    told: list[int] = []
    with harvest(lantai) as (archive, _harvest):
        archive.cast("2", lambda records, _octets: told.append(records))
        archive.cast("2", lambda records, _octets: told.append(records))
        [(since, version)] = [(one["since"], one["version"]) for one in _crosswalks(lantai)]
    assert sum(told) == 3
    assert version.startswith("2 ")
    assert since > now.timestamp()
    assert stamps(lantai, now) == before
    adopted = datetime.fromtimestamp(since, UTC)
    assert stamps(lantai, adopted) == before  # what comes within a second is seen after it
    after = stamps(lantai, datetime.fromtimestamp(since + 1, UTC))
    live = {one for one in before if not one.endswith(hidden[9:])}
    assert {name for name, stamp in after.items() if at(stamp) == adopted} == live
    assert {name: stamp for name, stamp in after.items() if name not in live} == {
        name: stamp for name, stamp in before.items() if name not in live
    }
    assert not any(name.endswith(closed[9:]) for name in after)
    entries = [one for one in lantai("journal", "list", "--json").objects if one["kind"] == "exposure"]
    assert entries[-1]["state"]["crosswalk"] == {"version": version, "since": since}
    assert lantai("journal", "verify").code == 0
    as_it_was = rows(lantai)
    (lantai.folder / "catalog.db").unlink()
    assert lantai("rebuild").code == 0
    assert rows(lantai) == as_it_was
    assert open_


def _crosswalks(lantai: Lantai) -> list[dict[str, Any]]:
    with sqlite3.connect(lantai.folder / "catalog.db") as db:
        return [{"since": since, "version": version} for since, version in db.execute("SELECT * FROM crosswalks")]


def test_an_adoption_that_was_cut_short_is_gone_on_with(
    lantai: Lantai, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some(lantai, tmp_path)
    answer(lantai, verb="Identify")
    monkeypatch.setattr("lantai.archive._TOGETHER", 1)

    class Cut(BaseException): ...

    def cut(_count: int, _octets: int) -> None:
        raise Cut

    for _time in range(2):
        with harvest(lantai) as (archive, _harvest), pytest.raises(Cut):
            archive.cast("2", cut)
    told: list[int] = []
    with harvest(lantai) as (archive, _harvest):
        archive.cast("2", lambda records, _octets: told.append(records))
    assert told == [1]
    [one] = _crosswalks(lantai)
    after = stamps(lantai, datetime.fromtimestamp(one["since"] + 1, UTC))
    assert {at(stamp).timestamp() for stamp in after.values()} == {one["since"]}


def test_formats_that_others_bring_are_another_way(monkeypatch: pytest.MonkeyPatch) -> None:
    marc = Format("marc", "http://a/b.xsd", "http://a/", lambda _shown: "<a/>")
    ways = [crosswalk({**FORMATS, "marc": replace(marc, version=version)}) for version in ("", "1", "2", "1 a=b 关")]
    monkeypatch.setattr("lantai.oai.formats.CROSSWALK", 99)
    ways += [crosswalk(FORMATS), crosswalk({**FORMATS, "marc": marc})]
    assert len(set(ways)) == 6
    assert [len(one.split()) for one in ways] == [2, 2, 2, 2, 1, 2]


def test_only_what_was_not_given_so_is_adopted(lantai: Lantai, tmp_path: Path) -> None:
    """A format that is given no more changes nothing of what is seen; one that comes back otherwise does."""
    some(lantai, tmp_path)
    told: list[int] = []

    def cast(version: str) -> int:
        told.clear()
        with harvest(lantai) as (archive, _harvest):
            archive.cast(version, lambda records, _octets: told.append(records))
        return sum(told)

    assert cast("2 box=a/1 marc=b/1") == 0
    time.sleep(1.1)
    answer(lantai, datetime.now(UTC), verb="Identify")
    for version, expected in (
        ("2 box=a/1 marc=b/1", 0), ("2 marc=b/1", 0), ("2", 0), ("2 box=a/1", 0), ("2 box=a/2", 3), ("2 box=a/2", 0),
        ("3 box=a/2", 3), ("3", 0),
    ):  # fmt: skip
        assert cast(version) == expected, version


def test_records_get_new_datestamps_when_a_package_gives_them_otherwise_and_none_when_it_goes(
    lantai: Lantai, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As serve begins each time: with what is installed then."""
    monkeypatch.setattr("lantai.archive._AHEAD", timedelta(seconds=2))
    place, address = tmp_path / "site", "http://localhost/oai"
    monkeypatch.syspath_prepend(place)
    lantai.stored(folder(tmp_path / "s", {"a.txt": "x"}), "--title", "甲", "--access", "open")

    def served(prefix: str) -> tuple[str, ...]:
        """Of the one record its datestamp, and what is given of it; or the error."""
        sys.modules.pop("box_format", None)
        importlib.invalidate_caches()
        formats = plugins.formats()
        with Archive(lantai.folder, by="王芳") as archive:
            archive.cast(crosswalk(formats), lambda _records, _octets: None)
            one = Harvest(archive.catalog, archive.repository(address), formats)
            one.begin()
            time.sleep(max(0.0, _crosswalks(lantai)[-1]["since"] + 1.1 - time.time()))
            body = respond(
                [("verb", "ListRecords"), ("metadataPrefix", prefix)], one, repository=archive.repository(address),
                now=datetime.now(UTC).replace(microsecond=0), key=bytes(32), page_size=9, token_ttl=60, formats=formats,
            )  # fmt: skip
        root = etree.fromstring(body)
        codes = [one.get("code", "") for one in root.iter(OAI + "error")]
        told = ["".join(map(str, one.itertext())) for one in root.iter(OAI + "metadata")]
        return (*codes, *texts(root, "datestamp"), *told)

    install(place, "box")
    time.sleep(1.1)
    first, told = served("box")
    assert told == "甲a.txt"
    assert served("box") == (first, told)
    install(place, "box", "1.1", PLUGIN.replace("{names}", "{names}<new>新</new>"))
    second, told = served("box")
    assert (second > first, told) == (True, "甲a.txt新")
    assert served("oai_dc")[0] == second
    shutil.rmtree(place)
    assert served("oai_dc")[0] == second
    assert served("box") == ("cannotDisseminateFormat",)
    install(place, "box", "1.1", PLUGIN.replace("{names}", "{names}<new>新</new>"))
    assert served("box") == (second, told)


# What is kept of what was given.


def _kept(lantai: Lantai) -> int:
    with sqlite3.connect(lantai.folder / "catalog.db") as db:
        return int(db.execute("SELECT count(*) FROM renderings").fetchone()[0])


def test_what_was_given_is_given_again_until_it_changes(
    lantai: Lantai, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *_others = some(lantai, tmp_path)
    asked: dict[str, Any] = {"verb": "ListRecords", "metadataPrefix": "oai_dc"}
    once = etree.tostring(answer(lantai, **asked))
    assert _kept(lantai) == 3
    with monkeypatch.context() as patched:
        patched.setattr(Harvest, "_item", lambda *_any: pytest.fail("it is made again"))
        assert etree.tostring(answer(lantai, **asked)) == once
    assert lantai("update", first, "--title", "改过的题名", "--reason", "更正").code == 0
    assert _kept(lantai) == 2
    assert "改过的题名" in etree.tostring(answer(lantai, **asked), encoding="unicode")


def test_what_is_large_is_given_and_not_kept(lantai: Lantai, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some(lantai, tmp_path, 1)
    monkeypatch.setattr("lantai.catalog.exposed._LARGE", 100)
    for _time in range(2):
        assert len(list(answer(lantai, verb="ListRecords", metadataPrefix="mets").iter(OAI + "record"))) == 1
    assert _kept(lantai) == 0
    assert receipt(lantai, metadataPrefix="mets")["completeListSize"] == 1


def test_what_was_given_under_another_name_is_made_again(lantai: Lantai, tmp_path: Path) -> None:
    """Two servers under two addresses at once: neither gives what the other made."""
    some(lantai, tmp_path)
    with harvest(lantai) as (archive, one):
        other = Harvest(archive.catalog, archive.repository("http://elsewhere/oai"))

        def given(by: Harvest) -> str:
            found = by.items(Wanted(prefix="mets"), 2**33, None, 10, "mets", lambda item: item.metadata.encode())
            return found.rows.decode()

        one.begin()
        assert "http://localhost/oai" in given(one)
        other.begin()
        assert _kept(lantai) == 0
        for _time in range(2):
            assert "http://localhost/oai" not in given(other)
            assert "http://elsewhere/oai" not in given(one)
        assert _kept(lantai) == 6
        other.begin()
        assert _kept(lantai) == 6


def _named(lantai: Lantai, name: str, address: str) -> None:
    settings = lantai.folder / "lantai.toml"
    text = re.sub(r"(?m)^name = .*$", f'name = "{name}"', settings.read_text("utf-8"), count=1)
    settings.write_text(re.sub(r"(?m)^#? ?base_url = .*$", f'base_url = "{address}"', text), "utf-8")


def test_another_name_or_address_of_the_archive_is_another_way(
    lantai: Lantai, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was seen is seen with it, in ead3 for one; what was never given to anybody gets no datestamp from it."""
    monkeypatch.setattr("lantai.archive._AHEAD", timedelta(seconds=3))

    def cast() -> int:
        told: list[int] = []
        with harvest(lantai) as (archive, _harvest):
            archive.cast("2", lambda records, _octets: told.append(records))
        return sum(told)

    some(lantai, tmp_path)
    assert cast() == 0
    assert [one["since"] for one in _crosswalks(lantai)] == [0]
    time.sleep(2.1)
    before = stamps(lantai, datetime.now(UTC).replace(microsecond=0))
    assert cast() == 0
    for name, address in (("云岭市档案馆", "http://a.example.org/oai"), ("云岭市档案馆", "http://b.example.org/oai")):
        _named(lantai, name, address)
        assert cast() == 3
        assert cast() == 0
        since = _crosswalks(lantai)[-1]["since"]
        time.sleep(max(0, since + 1.1 - time.time()))
        after = stamps(lantai, datetime.fromtimestamp(since + 1, UTC))
        assert {at(stamp).timestamp() for stamp in after.values()} == {since}
        assert after.keys() == before.keys()
    as_it_was = rows(lantai)
    (lantai.folder / "catalog.db").unlink()
    assert lantai("rebuild").code == 0
    assert rows(lantai) == as_it_was


@pytest.mark.parametrize("change", ["description", "closed"])
def test_what_is_seen_of_others_has_its_datestamp_too(lantai: Lantai, tmp_path: Path, change: str) -> None:
    """Files that close, and the volume above a photograph that does."""
    rows = "文件名,层级,题名,档号\n,案卷,文化节案卷,Z109\n开幕.jpg,件,开幕,X1\n"
    package = str(lantai.stored(folder(tmp_path / "s", {"metadata.csv": rows, "开幕.jpg": "1"}))["package"])
    part = by_title(lantai)["开幕"]
    assert lantai("access", "set", part, "open", "--reason", "期满").code == 0
    assert lantai("access", "set", package, "open", "--reason", "期满").code == 0
    time.sleep(2.1)
    now = datetime.now(UTC).replace(microsecond=0)
    before = stamps(lantai, now)
    name = next(one for one in before if one.endswith(part[9:]))
    subject = part if change == "description" else package
    assert lantai("access", "set", subject, change, "--reason", "复核").code == 0
    after = stamps(lantai, later())
    assert at(after[name]) >= now > at(before[name])
    text = etree.tostring(answer(lantai, verb="GetRecord", metadataPrefix="ead3", identifier=name), encoding="unicode")
    assert ("文化节案卷" in text) == (change == "description")


# Receipts and sizes.


def receipt(lantai: Lantai, **arguments: str) -> dict[str, Any]:
    with harvest(lantai) as (_archive, one):
        at = one.now(later())
        told: dict[str, Any] = json.loads(attested(list(arguments.items()), one, at=at, formats=FORMATS))
        return told


def by_hand(root: etree._Element) -> dict[str, tuple[int, str]]:
    """A receipt made of a list, after docs/receipt.md and nothing else."""
    lines: dict[str, list[bytes]] = {}
    found = list(root.iter(OAI + "record"))
    keys = [
        (one.findtext(f"{OAI}header/{OAI}datestamp", ""), one.findtext(f"{OAI}header/{OAI}identifier", ""))
        for one in found
    ]
    for (stamp, name), one in sorted(zip(keys, found, strict=True), key=lambda pair: pair[0]):
        metadata = one.find(OAI + "metadata")
        digest = ""
        if metadata is not None:
            told = etree.tostring(metadata[0], method="c14n", exclusive=True, with_comments=False)
            digest = hashlib.sha256(told).hexdigest()
        line = json.dumps([name, stamp, "deleted" if metadata is None else "live", digest], separators=(",", ":"))
        lines.setdefault(stamp[:10], []).append(hashlib.sha256(b"\0" + line.encode()).digest())

    def tree(leaves: list[bytes]) -> bytes:
        if len(leaves) == 1:
            return leaves[0]
        half = 1 << (len(leaves) - 1).bit_length() - 1
        return hashlib.sha256(b"\1" + tree(leaves[:half]) + tree(leaves[half:])).digest()

    return {day: (len(some), tree(some).hex()) for day, some in lines.items()}


def told(one: dict[str, Any]) -> dict[str, tuple[int, str]]:
    return {day["day"]: (day["count"], day["root"]) for day in one["days"]}


def test_a_receipt_says_what_a_whole_harvest_holds(lantai: Lantai, tmp_path: Path) -> None:
    first, second, _third = some(lantai, tmp_path)
    time.sleep(1.1)
    assert lantai("withdraw", second, "--reason", "核对").code == 0
    for _change in range(2):
        for prefix in FORMATS:
            asked: dict[str, Any] = {"metadataPrefix": prefix}
            found = receipt(lantai, **asked)
            assert found["completeListSize"] == 3
            assert told(found) == by_hand(answer(lantai, verb="ListRecords", **asked))
            assert {**receipt(lantai, **asked), "responseDate": ""} == {**found, "responseDate": ""}
            assert told(receipt(lantai, set="level:file", **asked)) == told(found)
            assert receipt(lantai, set="level:none", **asked)["days"] == []
            assert receipt(lantai, until="2001-01-01", **asked)["days"] == []
        assert lantai("update", first, "--title", "改过的题名", "--reason", "更正").code == 0


def test_a_receipt_until_a_second_within_a_day_is_of_what_came_until_then(lantai: Lantai, tmp_path: Path) -> None:
    some(lantai, tmp_path, 1)
    time.sleep(1.1)
    until = max(stamps(lantai, later()).values())
    time.sleep(1.1)
    some(lantai, tmp_path / "more", 1)
    asked: dict[str, Any] = {"metadataPrefix": "oai_dc", "until": until}
    assert receipt(lantai, metadataPrefix="oai_dc")["completeListSize"] == 2
    assert receipt(lantai, **asked)["completeListSize"] == 1
    assert told(receipt(lantai, **asked)) == by_hand(answer(lantai, verb="ListRecords", **asked))


def test_a_receipt_for_which_much_has_to_be_made_comes_later(
    lantai: Lantai, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some(lantai, tmp_path)
    monkeypatch.setattr(records, "_MADE_AT_ONCE", 1)
    monkeypatch.setattr(records, "_ROWS", 1)
    waited = 0
    while True:
        try:
            found = receipt(lantai, metadataPrefix="oai_qdc")
            break
        except NotYet:
            waited += 1
            assert waited < 9
    assert waited
    assert told(found) == by_hand(answer(lantai, verb="ListRecords", metadataPrefix="oai_qdc"))


@pytest.mark.parametrize(
    "arguments",
    [
        [], [("metadataPrefix", "none")], [("metadataPrefix", "oai_dc"), ("metadataPrefix", "oai_dc")],
        [("metadataPrefix", "oai_dc"), ("until", "2026-13-01")], [("metadataPrefix", "oai_dc"), ("verb", "Identify")],
        *([("metadataPrefix", "oai_dc"), ("set", spec)] for spec in ("", "no pe", "level:", ":file", "级")),
    ],
)  # fmt: skip
def test_what_is_no_receipt_is_refused(lantai: Lantai, arguments: list[tuple[str, str]]) -> None:
    with harvest(lantai) as (_archive, one), pytest.raises(BadReceipt):
        attested(arguments, one, at=one.now(later()), formats=FORMATS)


def _size(root: etree._Element) -> str | None:
    token = next(root.iter(OAI + "resumptionToken"))
    return token.get("completeListSize")


def test_a_list_says_how_long_it_is(lantai: Lantai, tmp_path: Path) -> None:
    first, *_others = some(lantai, tmp_path)
    time.sleep(1.1)
    asked: Callable[..., etree._Element] = lambda **more: answer(
        lantai, size=2, verb="ListIdentifiers", metadataPrefix="oai_dc", **more
    )
    assert _size(asked()) == "3"
    assert _size(asked(set="level:file")) == "3"
    days = sorted({stamp[:10] for stamp in stamps(lantai, later()).values()})
    assert _size(asked(**{"from": days[0], "until": days[-1]})) == "3"
    assert _size(asked(**{"from": f"{days[0]}T00:00:01Z", "until": "2050-01-01T00:00:00Z"})) == "3"
    some(lantai, tmp_path / "more", 2)
    assert _size(asked()) == "5"
    assert lantai("withdraw", first, "--reason", "核对").code == 0
    assert _size(asked()) == "5"
    token = next(asked().iter(OAI + "resumptionToken")).text or ""
    assert _size(answer(lantai, size=2, verb="ListIdentifiers", resumptionToken=token)) == "5"
    assert texts(asked(), "identifier")
