"""lantai harvest: what other archives show comes in, changes and goes with them, and survives what happens on the way;
servers that mean harm do none.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from lantai.storage.remote import source_of
from tests.integration.command import ENVIRONMENT, Lantai, folder
from tests.integration.county import (
    NOW,
    Answer,
    County,
    Item,
    Reply,
    answering,
    errors,
    identify,
    listed,
    receipt,
    slowly,
)
from tests.integration.harvested import running

FIVE = [Item(number, f"第 {number} 件", f"2026-03-0{number}T00:00:00Z") for number in range(1, 6)]
LIMITS = {"LANTAI_HARVEST__ANSWER_SIZE": "1MB"}
HURRY = {"LANTAI_HARVEST__ANSWER_SECONDS": "1"}
"""For answers that do not end: others may take longer on a machine that has more to do."""


def harvested(lantai: Lantai, url: str, *more: str, **environment: str) -> dict[str, Any]:
    done = lantai("harvest", url, "--json", *more, **environment)
    assert done.code == 0, done
    return done.object


def held(lantai: Lantai) -> list[tuple[Any, ...]]:
    """What the catalogue has of other archives."""
    with sqlite3.connect(lantai.folder / "catalog.db") as catalog:
        tables = ("remote_sources", "remote_lists", "remote_records")
        rows = [row for table in tables for row in catalog.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3, 4")]
        rows += catalog.execute("SELECT rowid, title, body FROM remote_words ORDER BY rowid")
    catalog.close()
    return rows


def live(lantai: Lantai) -> dict[str, str]:
    """Titles of live records by identifier."""
    with sqlite3.connect(lantai.folder / "catalog.db") as catalog:
        found = dict(catalog.execute("SELECT identifier, title FROM remote_records WHERE live"))
    catalog.close()
    return found


def kept(store: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(store.glob("remote/*/*"))}


def test_what_is_new_changed_and_deleted_comes_in(lantai: Lantai) -> None:
    county = County(FIVE)
    with answering(county) as url:
        first = harvested(lantai, url)
        assert (first["received"], first["live"], first["held"], first["name"]) == (5, 5, 5, "云岭县")
        county.items = [*FIVE[:3], Item(4, "另一题名", "2026-05-02T00:00:00Z"), Item(5, "", "2026-05-02T00:00:00Z")]
        again = harvested(lantai, url)
        assert county.asked[-1]["from"] == again["from"] == NOW
        assert (again["live"], again["deleted"], again["held"]) == (1, 1, 4)
    assert live(lantai)["oai:county.example.org:4"] == "另一题名"
    assert "oai:county.example.org:5" not in live(lantai)
    assert all(agent.startswith("lantai/") for agent in county.agents)


def test_the_same_again_changes_nothing(lantai: Lantai) -> None:
    with answering(County(FIVE)) as url:
        harvested(lantai, url)
        before = live(lantai)
        again = harvested(lantai, url, "--from", "2026-01-01")
        assert (again["received"], again["unchanged"], again["live"]) == (5, 5, 0)
    assert live(lantai) == before


def test_from_leaves_no_gap(lantai: Lantai) -> None:
    county = County(FIVE)
    with answering(county) as url:
        harvested(lantai, url)
        assert harvested(lantai, url, "--from", "2026-12-31")["from"] == NOW


def test_a_server_that_knows_days_only_is_asked_for_days(lantai: Lantai) -> None:
    county = County(
        FIVE, odd=lambda asked: identify(granularity="YYYY-MM-DD") if asked.get("verb") == "Identify" else None
    )
    with answering(county) as url:
        harvested(lantai, url)
        assert harvested(lantai, url)["from"] == NOW[:10]


def test_search_and_list_tell_of_it(lantai: Lantai) -> None:
    with answering(County(FIVE)) as url:
        harvested(lantai, url)
        (hit,) = lantai("search", "第 3 件", "--json").objects
        assert (hit["record"], hit["source"]) == ("oai:county.example.org:3", source_of(url))
        (one,) = lantai("harvest", "--list", "--json").objects
        assert (one["source"], one["url"], one["live"]) == (source_of(url), url, 5)
        assert lantai("search", "说明").out.count("oai:county.example.org:") == 5
    assert source_of(url) in lantai("harvest", "--list").out


def test_a_set_is_asked_for(lantai: Lantai) -> None:
    county = County(FIVE)
    with answering(county) as url:
        harvested(lantai, url, "--set", "type:image")
    assert county.asked[1]["set"] == "type:image"


def test_a_set_in_which_there_is_nothing_is_named(lantai: Lantai) -> None:
    """At its first harvest: later there may be nothing new."""
    with answering(County()) as url:
        told = [harvested(lantai, url, *more)["warnings"] for more in (("--set", "nope"), ("--set", "nope"), ())]
    assert [[one["code"] for one in warnings] for warnings in told] == [["harvest-nothing"], [], []]
    assert "nope" in told[0][0]["message"]
    with answering(County(FIVE)) as url:
        assert harvested(lantai, url, "--set", "type:image")["warnings"] == []


def test_a_rebuild_needs_no_other_archive(lantai: Lantai, second: Path) -> None:
    county = County(FIVE)
    with answering(county) as url:
        harvested(lantai, url)
        county.items = [Item(1, "", "2026-05-02T00:00:00Z"), *FIVE[1:]]
        harvested(lantai, url)
    before = held(lantai)
    assert kept(lantai.folder / "store") == kept(second) != {}
    for store in ("local", "second"):
        done = lantai("rebuild", "--store", store, "--json")
        assert (done.code, done.object["remote"]) == (0, 5)
        assert held(lantai) == before
    assert len(lantai("search", "说明", "--json").objects) == 4


def test_each_line_in_the_store_is_of_its_schema(lantai: Lantai) -> None:
    with answering(County([*FIVE, Item(6, "", "2026-04-01T00:00:00Z")])) as url:
        harvested(lantai, url, "--from", "2026-01-01")
    schema = json.loads((lantai.folder / "store/schemas/remote-segment-1.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    (data,) = kept(lantai.folder / "store").values()
    lines = [json.loads(line) for line in data.splitlines()]
    for line in lines:
        jsonschema.validate(line, schema)
    assert (lines[0]["number"], lines[0]["url"], lines[-2]["status"], len(lines)) == (1, url, "deleted", 8)
    assert "<Identify" in lines[0]["identify"]


# -- broken off


@pytest.mark.parametrize("expired", [False, True])
def test_a_harvest_that_is_killed_is_gone_on_with(lantai: Lantai, expired: bool) -> None:
    many = [Item(number, f"第 {number} 件") for number in range(2500)]
    stuck = County(
        many,
        1000,
        odd=lambda asked: Reply(slowly(b" " * 600, 0.1)) if asked.get("resumptionToken") == "|2000" else None,
    )
    with answering(stuck) as url:
        program = [sys.executable, "-m", "lantai", "harvest", url]
        environment = {**ENVIRONMENT, "PYTHONPATH": os.pathsep.join(sys.path)}
        process = subprocess.Popen(program, cwd=lantai.folder, env=environment, stderr=subprocess.PIPE)
        until = time.monotonic() + 60
        while not (len(live(lantai)) == 2000 and stuck.asked[-1].get("resumptionToken") == "|2000"):
            assert time.monotonic() < until
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        stuck.asked.clear()
        stuck.odd = lambda asked: (
            errors("badResumptionToken")
            if expired and asked.get("resumptionToken") == "|2000" and len(stuck.asked) == 2
            else None
        )
        done = harvested(lantai, url)
        assert done["held"] == 2500
        assert stuck.asked[1]["resumptionToken"] == "|2000"
        assert (done["live"], done["received"]) == (500, 2500 if expired else 500)
        assert harvested(lantai, url)["from"] == NOW
    before = held(lantai)
    assert lantai("rebuild").code == 0
    assert held(lantai) == before


def test_what_was_stored_and_not_indexed_is_taken_in_by_the_next(lantai: Lantai) -> None:
    with answering(County(FIVE)) as url:
        shutil.copy(lantai.folder / "catalog.db", lantai.folder / "earlier.db")
        harvested(lantai, url)
        os.replace(lantai.folder / "earlier.db", lantai.folder / "catalog.db")
        done = harvested(lantai, url)
    assert (done["from"], done["held"], done["live"]) == (NOW, 5, 0)


def test_two_at_once_do_not_ask_one_server(lantai: Lantai) -> None:
    county, second = County(FIVE), list[Any]()

    def meanwhile(asked: Any) -> None:
        if asked.get("verb") == "ListRecords" and not second:
            second.append(None)
            second[0] = lantai.process("harvest", url, "--json", env={"PYTHONPATH": os.pathsep.join(sys.path)})

    county.odd = meanwhile
    with answering(county) as url:
        assert harvested(lantai, url)["held"] == 5
    assert second[0].code == 1
    assert second[0].error["kind"] == "StoreUnavailable"


def test_what_a_required_store_lacks_is_pending_until_it_is_replicated(lantai: Lantai, second: Path) -> None:
    away = second.rename(second.with_name("away"))
    with answering(County(FIVE)) as url:
        done = lantai("harvest", url, "--json")
        assert (done.code, done.object["status"], done.object["missing"]) == (1, "pending", ["second"])
    away.rename(second)
    assert lantai("replicate").code == 0
    assert kept(second) == kept(lantai.folder / "store") != {}


def test_a_byte_that_changed_is_found_and_not_taken_in(lantai: Lantai, second: Path) -> None:
    with answering(County(FIVE)) as url:
        harvested(lantai, url)
        (file,) = (lantai.folder / "store").glob("remote/*/*")
        file.write_bytes(file.read_bytes().replace("第 3 件".encode(), "第 8 件".encode()))
        done = lantai("validate", "--json")
        assert done.code == 1
        assert [one["code"] for line in done.objects for one in line["errors"]] == ["remote-damaged"]
        found = lantai("rebuild", "--json")
        assert found.code == 1
        assert found.object["errors"][0]["code"] == "rebuild-remote"
        file.unlink()
        assert lantai("replicate").code == 0
        assert lantai("rebuild", "--json").object["remote"] == 5


def test_an_audit_misses_what_a_store_lost(lantai: Lantai, second: Path) -> None:
    with answering(County(FIVE)) as url:
        harvested(lantai, url)
    assert lantai("audit", "--all", "--no-repair", "--json").code == 0
    shutil.rmtree(second / "remote")
    done = lantai("audit", "--all", "--no-repair", "--json")
    assert done.code == 1
    assert [(one["store"], one["code"]) for one in done.object["failed"]] == [("second", "remote-cut")]
    assert lantai("replicate").code == 0
    assert lantai("audit", "--all", "--no-repair", "--json").code == 0


def test_an_audit_takes_what_is_damaged_from_another_store(lantai: Lantai, second: Path) -> None:
    store = lantai.folder / "store"
    county = County(FIVE)
    with answering(county) as url:
        harvested(lantai, url)
        for number in (1, 2, 3):
            stamp = f"2026-04-0{number}T00:00:00Z"
            county.items = [
                *FIVE[number:],
                *(one._replace(title=f"第 {number} 次", stamp=stamp) for one in FIVE[:number]),
            ]
            harvested(lantai, url)
    whole = kept(store)
    assert len(whole) >= 4
    first, *_between, last = sorted(second.glob("remote/*/*"))
    third = sorted(store.glob("remote/*/*"))[2]
    damaged = first.read_bytes().replace("件".encode(), "侔".encode(), 1)
    first.write_bytes(damaged)
    last.unlink()
    third.unlink()
    done = lantai("audit", "--all", "--json")
    assert done.code == 1
    assert {(one["store"], one["code"]) for one in done.object["failed"]} == {
        ("second", "remote-damaged"), ("second", "remote-cut"), ("local", "remote-missing")
    }  # fmt: skip
    assert done.object["lost"] == []
    assert kept(store) == kept(second) == whole
    assert damaged in [one.read_bytes() for one in (lantai.folder / "damaged").rglob("*") if one.is_file()]
    told = [one["state"]["keys"] for one in lantai("journal", "list", "--json").objects if one["kind"] == "repair"]
    assert sorted(map(len, told)) == [1, 2]
    assert lantai("audit", "--all", "--json").code == 0
    assert lantai("rebuild", "--json").object["remote"] == 5


def test_what_no_store_has_whole_of_a_harvest_is_told(lantai: Lantai, second: Path) -> None:
    with answering(County(FIVE)) as url:
        harvested(lantai, url)
    for store in (lantai.folder / "store", second):
        (file,) = store.glob("remote/*/*")
        file.write_bytes(file.read_bytes()[:-9])
    before = kept(second)
    done = lantai("audit", "--all", "--json")
    assert done.code == 1
    assert {(one["store"], one["subject"].split("/")[0]) for one in done.object["lost"]} == {
        ("local", "remote"), ("second", "remote")
    }  # fmt: skip
    assert kept(second) == before


def test_what_its_source_deleted_is_deleted_in_all_formats(tmp_path: Path) -> None:
    """Whichever of them is harvested first afterwards."""
    county, ids = archive(tmp_path, "county", ["甲案", "乙案"])
    city, _ids = archive(tmp_path, "city", [])
    with running(county) as (_county, said):
        time.sleep(1.1)
        for prefix in ("oai_dc", "ead3"):
            assert city("harvest", said["url"], "--prefix", prefix, "--json").object["live"] == 2
        assert county("withdraw", ids[0], "--reason", "x").code == 0
        time.sleep(1.1)
        assert city("harvest", said["url"], "--json").object["deleted"] == 1
        assert "甲案" not in city("search", "甲案").out
        with sqlite3.connect(city.folder / "catalog.db") as catalog:
            asked = "SELECT prefix, live FROM remote_records WHERE identifier LIKE '%' || ? ORDER BY 1"
            assert catalog.execute(asked, (ids[0][9:],)).fetchall() == [("ead3", 0), ("oai_dc", 0)]
        before = held(city)
        assert city("rebuild").code == 0
        assert held(city) == before
        assert county("withdraw", ids[0], "--undo", "--reason", "x").code == 0
        time.sleep(1.1)
        assert city("harvest", said["url"], "--prefix", "ead3", "--verify", "--json").code == 0
        assert "甲案" in city("search", "甲案").out


# -- servers that mean harm, or are broken


@cache
def bomb() -> bytes:
    """200 MB in a thousandth of it."""
    return gzip.compress(bytes(200 << 20), 1)


def laughing(count: int = 9) -> str:
    entities = "".join(f'<!ENTITY l{at} "{f"&l{at - 1};" * 10}">' for at in range(1, count))
    return f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "ha">{entities}]>' + listed(["&l8;"]).partition("?>")[2]


ONE = FIVE[0].xml()
ODD: dict[str, tuple[Callable[[], Reply | str | bytes], str]] = {
    "no XML": (lambda: "<html>Welcome", "well-formed"),
    "another XML": (lambda: "<html/>", "no answer of OAI-PMH"),
    "an empty answer": (lambda: "", "well-formed"),
    "cut off": (lambda: listed([ONE])[:-40], "well-formed"),
    "cut off on the way": (lambda: Reply(listed([ONE]).encode(), length=100_000), "broke off"),
    "laughs": (laughing, "document type"),
    "laughs behind a comment": (
        lambda: laughing().replace("<!DOCTYPE", "<!-- x --> <?y z?>\n<!DOCTYPE"),
        "document type",
    ),
    "a file as an entity": (
        lambda: '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + listed([ONE.replace("第 1 件", "&e;")])[38:],
        "document type",
    ),
    "a parameter entity": (
        lambda: '<!DOCTYPE x [<!ENTITY % e SYSTEM "http://127.0.0.1:1/e"> %e;]>' + listed([ONE])[38:],
        "document type",
    ),
    "UTF-16": (lambda: laughing().replace("?>", ' encoding="UTF-16"?>', 1).encode("utf-16"), "UTF-8"),
    "no UTF-8": (lambda: listed([ONE]).encode().replace("第".encode(), b"\xff\xfe"), "UTF-8"),
    "said to be UTF-7": (lambda: listed([ONE]).replace("UTF-8", "UTF-7", 1), "UTF-8"),
    "control characters": (lambda: listed([ONE.replace("第", "\x01")]), "well-formed"),
    "control characters as references": (lambda: listed([ONE.replace("第", "&#1;")]), "well-formed"),
    "a deep tree": (lambda: listed(["<a>" * 10_000 + "</a>" * 10_000]), "well-formed"),
    "too much": (lambda: listed([ONE, " " * (2 << 20)]), "larger than"),
    "too much of an answer without an end": (lambda: Reply(iter(lambda: b" " * 65536, b"")), "larger than"),
    "a gzip bomb": (lambda: Reply(bomb(), headers={"Content-Encoding": "gzip"}), "larger than"),
    "no gzip": (lambda: Reply(b"x" * 100, headers={"Content-Encoding": "gzip"}), "damaged"),
    "gzip that is cut off": (
        lambda: Reply(gzip.compress(listed([ONE]).encode())[:-20], headers={"Content-Encoding": "gzip"}),
        "broke off",
    ),
    "another encoding": (lambda: Reply(b"x", headers={"Content-Encoding": "br"}), "encoded"),
    "slow bytes": (lambda: Reply(slowly(listed([ONE]).encode(), 0.05)), "after 1 seconds"),
    "a slow end": (lambda: Reply(slowly(b"<" * 600, 0.05), length=600), "after 1 seconds"),
    "to a file": (lambda: Reply(b"", 302, {"Location": "file:///etc/passwd"}), "sends to another"),
    "to another host": (lambda: Reply(b"", 302, {"Location": "http://127.0.0.2:9/oai"}), "sends to another"),
    "to another port": (lambda: Reply(b"", 301, {"Location": "http://127.0.0.1:9/oai"}), "sends to another"),
    "to nowhere": (lambda: Reply(b"", 302), "sends to another"),
    "round and round": (lambda: Reply(b"", 307, {"Location": "/oai?verb=ListRecords"}), "from one address"),
    "not now": (lambda: Reply(b"", 503, {"Retry-After": "999999"}), "left alone"),
    "a failure": (lambda: Reply(b"", 500), "answers 500"),
    "nothing there": (lambda: Reply(b"", 404), "nothing at this address"),
    "no identifier": (lambda: listed([ONE.replace("oai:county.example.org:1", "")]), "no identifier"),
    "no datestamp": (lambda: listed([ONE.replace(FIVE[0].stamp, "yesterday")]), "no datestamp: yesterday"),
    "no header": (lambda: listed(["<record><metadata/></record>"]), "no answer of OAI-PMH"),
    "no metadata": (lambda: listed([ONE.replace(FIVE[0].metadata, "")]), "no metadata"),
    "a long identifier": (lambda: listed([ONE.replace("county", "county" * 1000)]), "longer than"),
    "a long token": (lambda: listed([ONE], "x" * 100_000), "longer than"),
    "no responseDate": (lambda: listed([ONE], at="soon"), "no answer of OAI-PMH"),
    "an error that is none": (lambda: errors("madeUp"), "no answer of OAI-PMH"),
}


@pytest.fixture(scope="module")
def gathered(pristine: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lantai, County, str]]:
    """A home that has gathered five records, of a server that may do otherwise from now on."""
    home = Lantai(Path(shutil.copytree(pristine, tmp_path_factory.mktemp("gathered") / "home")), LIMITS)
    county = County(FIVE)
    with answering(county) as url:
        harvested(home, url)
        yield home, county, url


@pytest.mark.parametrize("case", ODD)
def test_a_server_that_is_broken_or_means_harm_does_none(gathered: tuple[Lantai, County, str], case: str) -> None:
    home, county, url = gathered
    reply, why = ODD[case]
    bomb()
    before, store = held(home), kept(home.folder / "store")
    county.odd = lambda asked: reply() if asked.get("verb") == "ListRecords" else None
    done = home("harvest", url, "--from", "2026-01-01", "--json", **HURRY if "slow" in case else {})
    assert done.code == 1, done
    assert why in done.error["what"]
    assert done.error["subject"].startswith(url)
    assert (held(home), kept(home.folder / "store")) == (before, store)
    county.odd = lambda _asked: None
    assert harvested(home, url, "--from", "2026-01-01")["unchanged"] == 5


@pytest.mark.parametrize("case", ["no XML", "another XML", "laughs", "slow bytes", "to a file", "nothing there"])
def test_a_server_that_does_not_say_who_it_is_is_asked_for_nothing(lantai: Lantai, case: str) -> None:
    county = County(FIVE, odd=lambda _asked: ODD[case][0]())
    with answering(county) as url:
        assert lantai("harvest", url, "--json", **LIMITS, **HURRY if "slow" in case else {}).code == 1
    assert {one["verb"] for one in county.asked if "verb" in one} == {"Identify"}
    assert kept(lantai.folder / "store") == {}


def endless(token: Callable[[int], str], records: Callable[[int], list[str]]) -> Answer:
    count = [0]

    def answer(asked: Any) -> str | None:
        if asked.get("verb") != "ListRecords":
            return None
        count[0] += 1
        return listed(records(count[0]), token(count[0]))

    return answer


@pytest.mark.parametrize(
    ("token", "records"),
    [
        (lambda _count: "same", lambda _count: [ONE]),
        (lambda count: f"new{count}", lambda _count: [ONE]),
        (lambda count: f"new{count}", lambda _count: []),
        (lambda count: "ab"[count % 2], lambda count: [FIVE[count % 2].xml()]),
    ],
)
def test_a_list_without_an_end_is_left(lantai: Lantai, token: Any, records: Any) -> None:
    county = County(odd=endless(token, records))
    with answering(county) as url:
        done = lantai("harvest", url, "--json")
    assert done.code == 1
    assert "does not end" in done.error["what"]
    assert len(county.asked) < 30


def test_a_list_that_ever_brings_something_new_ends_with_the_time_or_room_of_a_harvest(lantai: Lantai) -> None:
    county = County(odd=endless(lambda count: f"{count}", lambda count: [Item(count, "关" * 1000).xml()] * 300))
    with answering(county) as url:
        done = lantai("harvest", url, "--json", LANTAI_HARVEST__SIZE="5MB")
    assert done.code == 1
    assert "all the time or room" in done.error["what"] or "larger than" in done.error["what"]
    assert len(county.asked) < 20


def test_a_token_that_keeps_its_name_may_go_on_as_long_as_it_brings_something(lantai: Lantai) -> None:
    county = County(odd=endless(lambda count: "session" if count < 5 else "", lambda count: [FIVE[count - 1].xml()]))
    with answering(county) as url:
        assert harvested(lantai, url)["held"] == 5


def test_a_server_that_takes_none_of_its_tokens_is_left(lantai: Lantai) -> None:
    county = County(FIVE, odd=lambda asked: errors("badResumptionToken") if "resumptionToken" in asked else None)
    with answering(county) as url:
        done = lantai("harvest", url, "--json")
    assert (done.code, "its own resumption tokens" in done.error["what"]) == (1, True)
    assert len(county.asked) == 5


def test_a_busy_server_is_waited_for(lantai: Lantai) -> None:
    county = County(FIVE)
    county.odd = lambda _asked: (
        Reply(b"", (503, 429)[len(county.asked) % 2], {"Retry-After": "0"}) if len(county.asked) % 3 else None
    )
    with answering(county) as url:
        assert harvested(lantai, url)["held"] == 5


def test_the_deletion_of_everything_is_followed_and_told(lantai: Lantai) -> None:
    county = County(FIVE)
    with answering(county) as url:
        harvested(lantai, url)
        before = kept(lantai.folder / "store")
        county.items = [Item(one.number, "", "2026-06-01T00:00:00Z") for one in FIVE]
        done = harvested(lantai, url)
    assert (done["deleted"], done["held"]) == (5, 0)
    (warning,) = done["warnings"]
    assert (warning["code"], "5 of its 5" in warning["message"]) == ("harvest-deleted", True)
    assert before.items() <= kept(lantai.folder / "store").items()
    assert lantai("search", "说明", "--json").objects == []


def test_what_is_ours_is_left_out(lantai: Lantai, tmp_path: Path) -> None:
    city = Lantai(tmp_path)
    assert city("init", "city", "--identifier", "city.example.org").code == 0
    city = Lantai(tmp_path / "city")
    ours = Item(9, "我们的", "2026-03-01T00:00:00Z", "OAI:City.example.org:1")
    with answering(County([*FIVE, ours])) as url:
        done = harvested(city, url)
    assert (done["own"], done["held"]) == (1, 5)
    assert [one["code"] for one in done["warnings"]] == ["harvest-own"]
    assert "我们的" not in "".join(live(city).values())


def test_a_server_that_forgets_what_it_deleted_is_named(lantai: Lantai) -> None:
    county = County(FIVE, odd=lambda asked: identify("no") if asked.get("verb") == "Identify" else None)
    with answering(county) as url:
        assert [one["code"] for one in harvested(lantai, url)["warnings"]] == ["harvest-untold"]


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://x/oai", "http://", "oai", "http://a:b@x/oai", "http://x/oai?verb=Identify",
     "http://x:99999/oai", "http://[x/oai"],
)  # fmt: skip
def test_what_is_no_address_is_wrong_use(lantai: Lantai, url: str) -> None:
    done = lantai("harvest", url, "--json")
    assert (done.code, done.error["kind"], done.error["subject"]) == (2, "UsageError", url)


@pytest.mark.parametrize("arguments", [(), ("http://x/oai", "--list"), ("http://x/oai", "--from", "yesterday")])
def test_other_wrong_use(lantai: Lantai, arguments: tuple[str, ...]) -> None:
    assert lantai("harvest", *arguments, "--json").code == 2


def test_a_server_that_is_not_there_is_told(lantai: Lantai) -> None:
    done = lantai("harvest", "http://127.0.0.1:9/oai", "--json")
    assert (done.code, done.error["kind"]) == (1, "StoreUnavailable")
    assert done.error["subject"].startswith("http://127.0.0.1:9/oai")


def test_what_the_server_does_not_have_is_wrong_use(lantai: Lantai) -> None:
    county = County(odd=lambda asked: errors("cannotDisseminateFormat") if asked.get("verb") == "ListRecords" else None)
    with answering(county) as url:
        done = lantai("harvest", url, "--prefix", "marc", "--json")
    assert (done.code, "cannotDisseminateFormat" in done.error["what"]) == (2, True)


# -- held against a receipt


def test_a_harvest_is_the_same_as_its_receipt(lantai: Lantai) -> None:
    items = [*FIVE, Item(6, "", "2026-03-05T00:00:00Z")]
    county = County(items, receipt=lambda: receipt(items))
    with answering(county) as url:
        done = harvested(lantai, url, "--verify")
    assert (done["verified"], done["rounds"]) == (True, 0)
    assert county.asked[-1] == {"path": "/oai/receipt", "metadataPrefix": "oai_dc"}


def test_days_that_differ_are_gathered_again(lantai: Lantai) -> None:
    county = County(FIVE, receipt=lambda: receipt(FIVE), hidden={2, 3, 5})
    with answering(county) as url:
        assert harvested(lantai, url)["held"] == 2
        county.hidden.clear()
        county.asked.clear()
        done = harvested(lantai, url, "--verify")
        assert (done["verified"], done["rounds"], done["held"]) == (True, 1, 5)
        spans = [(one.get("from"), one.get("until")) for one in county.asked if "until" in one]
        assert spans == [("2026-03-02", "2026-03-03"), ("2026-03-05", "2026-03-05")]
        assert harvested(lantai, url)["from"] == NOW
    before = held(lantai)
    assert lantai("rebuild").code == 0
    assert held(lantai) == before


def test_days_that_three_rounds_do_not_settle_are_named(lantai: Lantai) -> None:
    county = County(FIVE, receipt=lambda: receipt(FIVE), hidden={2})
    with answering(county) as url:
        done = lantai("harvest", url, "--verify", "--json")
    assert (done.code, done.object["verified"], done.object["rounds"]) == (1, False, 3)
    (found,) = done.object["errors"]
    assert (found["code"], found["subject"]) == ("harvest-differs", "2026-03-02")
    assert sum("until" in one for one in county.asked) == 3


def test_a_server_without_receipts_is_told(lantai: Lantai) -> None:
    with answering(County(FIVE)) as url:
        done = lantai("harvest", url, "--verify", "--json")
    assert (done.code, done.error["kind"], "no receipt" in done.error["what"]) == (1, "NotFound", True)
    assert len(live(lantai)) == 5


@pytest.mark.parametrize(
    "odd",
    [b"", b"[]", b"null", b'{"receipt":2}', receipt(FIVE, metadataPrefix="ead3"), receipt(FIVE, days=None),
     receipt(FIVE, days=[{"day": "2026-99-01", "count": 1, "root": "0" * 64}]),
     receipt(FIVE, days=[{"day": "2026-03-01", "count": True, "root": "0" * 64}]), b"[" * 100_000],
)  # fmt: skip
def test_what_is_no_receipt_is_told(lantai: Lantai, odd: bytes) -> None:
    with answering(County(FIVE, receipt=lambda: odd)) as url:
        done = lantai("harvest", url, "--verify", "--json")
    assert (done.code, done.error["kind"]) == (1, "Damaged")
    assert done.error["subject"] == f"{url}/receipt"


# -- two archives of ours


def archive(place: Path, name: str, titles: list[str]) -> tuple[Lantai, list[str]]:
    home = Lantai(place)
    assert home("init", name, "--name", name, "--identifier", f"{name}.example.org").code == 0
    home = Lantai(place / name)
    settings = home.folder / "lantai.toml"
    settings.write_text(settings.read_text("utf-8").replace("page_size = 500", "page_size = 2"), "utf-8")
    stored = [
        home.stored(folder(place / f"{name}-{number}", {"a.txt": title}), "--title", title, "--access", "open")
        for number, title in enumerate(titles)
    ]
    return home, [one["package"] for one in stored]


def titles(lantai: Lantai) -> list[str]:
    return sorted(live(lantai).values())


def test_two_archives_harvest_each_other(tmp_path: Path) -> None:
    county, ids = archive(tmp_path, "county", ["甲", "乙", "丙"])
    city, _ids = archive(tmp_path, "city", ["市"])
    with running(county) as (_county, of_county), running(city) as (_city, of_city):
        time.sleep(1.1)  # a datestamp of this second is not shown in it
        assert harvested(city, of_county["url"])["live"] == 3
        assert harvested(county, of_city["url"])["live"] == 1
        assert county("withdraw", ids[0], "--reason", "x").code == 0
        assert county("access", "set", ids[1], "closed", "--reason", "x").code == 0
        later = folder(tmp_path / "later", {"a.txt": "丁"})
        county.stored(later, "--title", "丁", "--access", "open")
        time.sleep(1.1)
        done = harvested(city, of_county["url"])
        assert (done["live"], done["deleted"]) == (1, 2)
        assert titles(city) == ["丁", "丙"]
        assert county("withdraw", ids[0], "--undo", "--reason", "x").code == 0
        time.sleep(1.1)
        assert harvested(city, of_county["url"])["live"] == 1
        assert harvested(county, of_city["url"])["received"] == 0
    assert titles(city) == ["丁", "丙", "甲"]
    assert titles(county) == ["市"]
    before = held(city)
    assert city("rebuild").code == 0
    assert held(city) == before
