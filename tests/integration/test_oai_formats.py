"""Every format over a real home: what is told of a record, its files and its place, and what of closed ones is not."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from lxml import etree

from lantai.catalog import Catalog, exposed
from lantai.catalog.shown import LISTED, holdings
from lantai.model import RecordId
from lantai.oai import Item, Repository, Wanted, records
from lantai.oai.formats import FORMATS
from tests.integration.command import Lantai, folder
from tests.integration.harvested import running
from tests.unit.test_oai_formats import METS, PREMIS, judge, texts
from tests.unit.test_oai_protocol import ENVELOPE, OAI

PHOTOS = [f"照片/{number:02}-开幕式.jpg" for number in range(1, 13)]


def content(name: str) -> bytes:
    return f"not a picture: {name}\n".encode()


def digest(name: str) -> str:
    return hashlib.sha256(content(name)).hexdigest()


def submission(place: Path) -> Path:
    """A volume of twelve photographs described row by row, and a file without a row."""
    rows = ["文件名,层级,题名,日期,档号", ",案卷,金秋文化节,2021,Z109"]
    rows += [f"{name},件,题名之{at:02},2021-08-{at:02},Z109-{at:03}" for at, name in enumerate(PHOTOS, 1)]
    return folder(place, {"metadata.csv": "\n".join(rows), "说明.txt": content("说明.txt"),
                          **{name: content(name) for name in PHOTOS}})  # fmt: skip


def by_title(lantai: Lantai) -> dict[str, str]:
    with sqlite3.connect(lantai.folder / "catalog.db") as db:
        return {title: id for id, title in db.execute("SELECT id, title FROM records")}


def fetched(url: str, query: str) -> etree._Element:
    with urlopen(f"{url}?{query}") as answer:
        root = etree.fromstring(answer.read())
    ENVELOPE.assertValid(root)
    return root


def harvested(url: str, prefix: str) -> dict[str, etree._Element | None]:
    """The metadata of each record, judged; None: it is deleted. And the same of each alone."""
    found: dict[str, etree._Element | None] = {}
    query = f"verb=ListRecords&metadataPrefix={prefix}"
    while query:
        root = fetched(url, query)
        for one in root.iter(f"{OAI}record"):
            name, metadata = one.findtext(f"{OAI}header/{OAI}identifier") or "", one.find(f"{OAI}metadata")
            found[name] = None if metadata is None else metadata[0]
            if metadata is not None:
                judge(prefix, metadata[0])
            alone = fetched(url, f"verb=GetRecord&metadataPrefix={prefix}&identifier={name}")
            (same,) = alone.iter(f"{OAI}record")
            assert etree.tostring(same, method="c14n", with_tail=False) == etree.tostring(
                one, method="c14n", with_tail=False
            )
        token = root.findtext(f".//{OAI}resumptionToken")
        query = f"verb=ListRecords&resumptionToken={token}" if token else ""
    return found


@contextmanager
def serving(lantai: Lantai) -> Iterator[str]:
    time.sleep(1.1)
    with running(lantai) as (_process, said):
        yield said["url"]


def all_told(lantai: Lantai) -> Mapping[str, dict[str, str]]:
    """Whatever is said of each record, by format: the element as text, "" of a deleted one."""
    with serving(lantai) as url:
        told = {
            prefix: {
                f"urn:uuid:{name[-36:]}": "" if one is None else etree.tostring(one, encoding="unicode")
                for name, one in harvested(url, prefix).items()
            }
            for prefix in FORMATS
        }
        others = "verb=ListIdentifiers&metadataPrefix=mets", "verb=ListSets", "verb=Identify"
        return {**told, "": {query: etree.tostring(fetched(url, query), encoding="unicode") for query in others}}


def whole(told: Mapping[str, Mapping[str, str]]) -> str:
    return "\n".join(text for each in told.values() for text in (*each, *each.values()))


def test_twelve_photographs_are_thirteen_items_joined_to_their_volume(lantai: Lantai, tmp_path: Path) -> None:
    package = lantai.stored(submission(tmp_path / "s"), "--access", "open")["package"]
    told = all_told(lantai)
    ids = by_title(lantai)
    for prefix in FORMATS:
        assert told[prefix].keys() == set(ids.values())
        for id, text in told[prefix].items():
            assert (package in text) == (prefix in ("oai_dc", "oai_qdc", "ead3", "mets", "premis"))
            assert id in text
    for prefix in ("mets", "premis"):
        for at, name in enumerate(PHOTOS, 1):
            own = told[prefix][ids[f"题名之{at:02}"]]
            assert digest(name) in own
            assert name.rpartition("/")[2] in own
            assert sum(digest(other) in own for other in PHOTOS) == 1
        assert digest("说明.txt") in told[prefix][package]
        assert not any(digest(name) in told[prefix][package] for name in PHOTOS)
    assert "王芳" not in whole(told)


@pytest.mark.parametrize("closed", ["closed", "withdrawn", "2051-01-01"])
def test_nothing_of_a_closed_part_is_in_any_answer(lantai: Lantai, tmp_path: Path, closed: str) -> None:
    package = lantai.stored(submission(tmp_path / "s"), "--access", "closed")["package"]
    ids = by_title(lantai)
    if closed == "withdrawn":
        assert lantai("withdraw", ids["题名之07"], "--reason", "隐私").code == 0
    else:
        assert lantai("access", "set", ids["题名之07"], closed, "--reason", "未满").code == 0
    assert lantai("access", "set", package, "open", "--reason", "期满").code == 0
    told = all_told(lantai)
    assert {len(told[prefix]) for prefix in FORMATS} == {12}
    text = whole(told)
    for word in ("题名之07", "07-开幕式", digest(PHOTOS[6]), "Z109-007", ids["题名之07"][9:]):
        assert word not in text
    for word in ("题名之08", "08-开幕式", digest(PHOTOS[7]), "Z109-008", package[9:]):
        assert word in text


def test_of_what_was_closed_again_only_the_header_is_left(lantai: Lantai, tmp_path: Path) -> None:
    lantai.stored(submission(tmp_path / "s"), "--access", "open")
    id = by_title(lantai)["题名之07"]
    time.sleep(1.1)
    with running(lantai) as (_process, said):
        fetched(said["url"], "verb=Identify")
    assert lantai("access", "set", id, "closed", "--reason", "误开").code == 0
    told = all_told(lantai)
    assert {told[prefix][id] for prefix in FORMATS} == {""}
    text = whole(told)
    for word in ("题名之07", "07-开幕式", digest(PHOTOS[6])):
        assert word not in text
    with serving(lantai) as url:
        root = fetched(url, f"verb=ListMetadataFormats&identifier=oai:{lantai.namespace}:{id[9:]}")
    assert [one.text for one in root.iter(f"{OAI}metadataPrefix")] == [*FORMATS]


def test_of_what_is_open_by_description_no_file_is_told(lantai: Lantai, tmp_path: Path) -> None:
    lantai.stored(submission(tmp_path / "s"), "--access", "description")
    id = by_title(lantai)["题名之07"]
    assert lantai("access", "set", id, "open", "--reason", "期满").code == 0
    told = all_told(lantai)
    assert {len(told[prefix]) for prefix in FORMATS} == {13}
    text = whole(told)
    for name in (*PHOTOS, "说明.txt"):
        assert (digest(name) in text) == (name == PHOTOS[6])
        assert (name.rpartition("/")[2] in text) == (name == PHOTOS[6])
    assert "题名之08" in text


def test_nothing_is_told_of_nodes_above_that_are_closed(lantai: Lantai, tmp_path: Path) -> None:
    """A closed volume, in it a closed folder, in that an open photograph; then the volume opens."""
    rows = "文件名,层级,题名,档号\n,案卷,机密案卷,Z109\n密室,件,机密文件夹,Z109-1\n密室/开幕.jpg,件,开幕,X1\n"
    files = folder(tmp_path / "s", {"metadata.csv": rows, "密室/开幕.jpg": "1", "密室/内情.jpg": "2"})
    package = lantai.stored(files)["package"]
    ids = by_title(lantai)
    assert lantai("access", "set", ids["开幕"], "open", "--reason", "期满").code == 0
    told = all_told(lantai)
    assert [[*told[prefix]] for prefix in FORMATS] == [[ids["开幕"]]] * len(FORMATS)
    text = whole(told)
    for word in ("机密", "密室", "内情", "Z109", package[9:], ids["机密文件夹"][9:]):
        assert word not in text
    assert "开幕.jpg" in text
    time.sleep(1.1)
    assert lantai("access", "set", ids["机密文件夹"], "closed", "--reason", "未满").code == 0
    assert lantai("access", "set", package, "open", "--reason", "期满").code == 0
    told = all_told(lantai)
    for prefix in FORMATS:
        assert package in told[prefix][ids["开幕"]]
    assert "机密案卷" in told["ead3"][ids["开幕"]]
    text = whole(told)
    for word in ("机密文件夹", "密室", "内情", "Z109-1", ids["机密文件夹"][9:]):
        assert word not in text


def test_up_to_a_thousand_files_are_listed_and_more_are_counted(lantai: Lantai, tmp_path: Path) -> None:
    """Alone in a package, and beside a part with a file of its own."""
    many: dict[str, str | bytes] = {f"{number}.txt": f"{number}\n" for number in range(LISTED)}
    listed = lantai.stored(folder(tmp_path / "a", many), "--access", "open")["package"]
    alone = lantai.stored(folder(tmp_path / "b", {**many, "x.zzz": b"\0\xff\1"}), "--access", "open")["package"]
    row = "文件名,题名\n部分.zzz,部分\n"
    beside = lantai.stored(
        folder(tmp_path / "c", {**many, "x.zzz": b"\0\xff\2", "部分.zzz": "z", "metadata.csv": row}), "--access", "open"
    )["package"]
    size = sum(len(one) for one in many.values())
    with Catalog.open(f"sqlite:///{lantai.folder / 'catalog.db'}") as catalog, catalog._database.reading() as known:
        held = dict(holdings(known, [RecordId(one) for one in (listed, alone, beside)]))
    assert [one.files for one in held.values()] == [LISTED, LISTED + 1, LISTED + 1]
    assert [one.bytes for one in held.values()] == [size, size + 3, size + 3]
    assert [dict(one.formats) for one in held.values()] == [
        {"x-fmt/111": LISTED}, {"unknown": 1, "x-fmt/111": LISTED}, {"unknown": 1, "x-fmt/111": LISTED},
    ]  # fmt: skip
    assert [len(one.listed) for one in held.values()] == [LISTED, 0, 0]
    with serving(lantai) as url:
        for prefix, each in (("mets", METS + "file"), ("premis", PREMIS + "originalName")):
            found = harvested(url, prefix)
            counts = {f"urn:uuid:{name[-36:]}": len(texts(one, each)) for name, one in found.items() if one is not None}
            assert counts == {listed: LISTED, alone: 0, beside: 0, by_title(lantai)["部分"]: 1}


def test_a_page_ends_where_its_records_hold_many_files(
    lantai: Lantai, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        files = {f"{at}.txt": f"{number}-{at}\n" for at in range(3)}
        lantai.stored(folder(tmp_path / f"s{number}", files), "--access", "open")
    monkeypatch.setattr(exposed, "_ENOUGH", 5)
    with Catalog.open(f"sqlite:///{lantai.folder / 'catalog.db'}") as catalog:
        now = catalog.exposures.served(int(time.time()) + 10)
        one = Repository("", "", (), "example.org", "", None)  # type: ignore[arg-type]
        harvest, pages, after = records.Harvest(catalog, one), list[int](), None

        def row(item: Item) -> bytes:
            return item.metadata.encode()

        while True:
            page = harvest.items(Wanted(), now, after, 500, "mets", row)
            pages.append(page.count)
            after = page.last
            if not page.more:
                break
        assert pages == [2, 1]
        assert not harvest.items(Wanted(), now, None, 500, "ead3", row).more
        assert harvest.items(Wanted(), now, None, 2, None, row).more


# Formats that others bring.

PLUGIN = """
from xml.sax.saxutils import escape
from lantai.oai.formats import Format

def box():
    return Format("box", "https://example.org/box.xsd", "urn:example:box", render, files=True)

def clash():
    return Format("mets", "https://example.org/box.xsd", "urn:example:box", render)

def render(shown):
    title = shown.record.description.title
    if title == "内情之二":
        raise LookupError(f"a secret of {title}")
    names = "".join(f"<name>{escape(one.original_name)}</name>" for one in shown.holdings.listed)
    return f'<box xmlns="urn:example:box"><title>{escape(title)}</title>{names}</box>'
"""


def install(place: Path, function: str, version: str = "1.0", plugin: str = PLUGIN) -> None:
    """In the place of what is installed there."""
    if place.exists():
        shutil.rmtree(place)
    folder(place, {
        "box_format.py": plugin,
        f"box_format-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: box-format\nVersion: {version}\n",
        f"box_format-{version}.dist-info/entry_points.txt": f"[lantai.oai.formats]\nbox = box_format:{function}\n",
    })  # fmt: skip


def test_a_package_brings_a_format(lantai: Lantai, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "site", "box")
    monkeypatch.syspath_prepend(tmp_path / "site")
    ids = [
        lantai.stored(folder(tmp_path / title, {f"{title}.txt": title}), "--title", title, "--access", "open")[
            "package"
        ]
        for title in ("甲 <&>", "内情之二")
    ]
    time.sleep(1.1)
    with running(lantai) as (process, said):
        url = said["url"]
        root = fetched(url, "verb=ListMetadataFormats")
        assert [one.text for one in root.iter(f"{OAI}metadataPrefix")] == [*FORMATS, "box"]
        ask = f"verb=GetRecord&metadataPrefix=box&identifier=oai:{lantai.namespace}:{ids[0][9:]}"
        with urlopen(f"{url}?{ask}") as answer:
            (box,) = etree.fromstring(answer.read()).iter("{urn:example:box}box")
        assert [one.text for one in box] == ["甲 <&>", "甲 <&>.txt"]
        for query in (ask.replace(ids[0][9:], ids[1][9:]), "verb=ListRecords&metadataPrefix=box"):
            with pytest.raises(HTTPError) as failed:
                urlopen(f"{url}?{query}")
            assert (failed.value.code, failed.value.read()) == (500, b"The server failed.\n")
        assert len(fetched(url, "verb=ListIdentifiers&metadataPrefix=box").findall(f".//{OAI}header")) == 2
        assert len(fetched(url, "verb=ListRecords&metadataPrefix=mets").findall(f".//{OAI}record")) == 2
        process.terminate()
        _out, logged = process.communicate()
    assert f"{ids[1]} cannot be given as box" in logged
    assert "LookupError" in logged


def test_serve_refuses_a_format_that_clashes(lantai: Lantai, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "site", "clash")
    monkeypatch.syspath_prepend(tmp_path / "site")
    done = lantai("serve", "--port", "0", "--json")
    assert done.code == 2
    assert done.error["kind"] == "UsageError"
    assert done.error["subject"] == "box = box_format:clash"
    assert "mets" in done.error["what"]
