"""[oai] union: what was harvested from other archives is shown on, with where it came from; and is not, where it is
not wanted.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote
from urllib.request import urlopen

import jsonschema  # type: ignore[import-untyped]
import pytest
import sickle  # type: ignore[import-untyped]
from lxml import etree

from lantai.catalog import Catalog
from lantai.storage.remote import source_of
from tests.integration.command import Lantai
from tests.integration.county import County, Item, answering, listed
from tests.integration.harvested import running
from tests.integration.test_harvest import archive, harvested
from tests.integration.test_harvesters import title_of
from tests.unit.test_oai_protocol import ENVELOPE

OAI = "{http://www.openarchives.org/OAI/2.0/}"
PROVENANCE = "{http://www.openarchives.org/OAI/2.0/provenance}"
SHOWN = {"LANTAI_OAI__UNION": "true"}
FIVE = [Item(number, f"第 {number} 件", f"2026-03-0{number}T00:00:00Z") for number in range(1, 6)]


class Seen(NamedTuple):
    """title "": it is deleted; origin: what its provenance says, or None."""

    stamp: str
    title: str
    origin: dict[str, str] | None


def judged(url: str, **arguments: str) -> Any:
    """The answer, of its schema."""
    query = "&".join(f"{name}={quote(value)}" for name, value in arguments.items())
    with urlopen(f"{url}?{query}") as answer:
        root = etree.fromstring(answer.read())
    ENVELOPE.assertValid(root)
    return root


def origin_of(record: Any) -> dict[str, str] | None:
    """As http://www.openarchives.org/OAI/2.0/provenance.xsd has it."""
    found = record.findall(f"{OAI}about/{PROVENANCE}provenance")
    if not found:
        return None
    ((one,),) = found
    assert one.tag == f"{PROVENANCE}originDescription"
    names = ["baseURL", "identifier", "datestamp", "metadataNamespace"]
    assert [etree.QName(each).localname for each in one][:4] == names
    assert all(etree.QName(each).namespace == PROVENANCE[1:-1] and each.text for each in one[:4])
    assert set(one.attrib) == {"harvestDate", "altered"}
    datetime.strptime(one.get("harvestDate"), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert one.get("altered") == "false"
    earlier = [each.find(f"{PROVENANCE}baseURL").text for each in one.iter(f"{PROVENANCE}originDescription")][1:]
    told = {etree.QName(each).localname: each.text for each in one[:4]}
    return {**told, **({"earlier": " ".join(earlier)} if earlier else {})}


def harvest(url: str, since: str | None = None, prefix: str = "oai_dc") -> dict[str, Seen]:
    """By another's harvester: each once, in the order of (datestamp, id)."""
    asked = {"metadataPrefix": prefix, **({"from": since} if since else {})}
    found: dict[str, Seen] = {}
    for one in sickle.Sickle(url).ListRecords(**asked):
        assert one.header.identifier not in found
        title = "" if one.deleted else title_of(one.xml, prefix)
        found[one.header.identifier] = Seen(one.header.datestamp, title, origin_of(one.xml))
    stamps = [one.stamp for one in found.values()]
    assert stamps == sorted(stamps)
    return found


def titles(found: dict[str, Seen]) -> dict[str, str]:
    return {identifier: one.title for identifier, one in found.items()}


def settle() -> str:
    """What was done is in answers from now on. The moment, as a harvester would ask from it the next time."""
    time.sleep(2.1)
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def gathered(lantai: Lantai) -> dict[str, int]:
    """What the journal says of parts."""
    told = [one for one in lantai("journal", "list", "--json").objects if one["kind"] == "exposure"]
    return {name: at for one in told for name, at in one["state"].get("gathered", {}).items()}


def stamps(lantai: Lantai) -> dict[tuple[str, str], int]:
    with sqlite3.connect(lantai.folder / "catalog.db") as catalog:
        rows = catalog.execute("SELECT prefix, identifier, since FROM remote_records").fetchall()
    catalog.close()
    return {(prefix, identifier): since for prefix, identifier, since in rows}


def test_what_a_county_shows_is_shown_on_and_followed(tmp_path: Path) -> None:
    county, ids = archive(tmp_path, "county", ["甲 & <乙>", "乙", "丙"])
    city, (own,) = archive(tmp_path, "city", ["市"])
    names = [f"oai:county.example.org:{id.removeprefix('urn:uuid:')}" for id in ids]
    ours = f"oai:city.example.org:{own.removeprefix('urn:uuid:')}"
    with running(county) as (_county, of_county), running(city, **SHOWN) as (_city, of_city):
        here, there = of_city["url"], of_county["url"]
        settle()
        for prefix in ("oai_dc", "ead3"):
            harvested(city, there, "--prefix", prefix)
        since = settle()
        first = harvest(here)
        assert titles(first) == {ours: "市", **dict(zip(names, ["甲 & <乙>", "乙", "丙"], strict=True))}
        assert first[ours].origin is None
        original = {
            one.header.identifier: one.header.datestamp
            for one in sickle.Sickle(there).ListRecords(metadataPrefix="oai_dc")
        }
        for name in names:
            assert first[name].origin == {
                "baseURL": there, "identifier": name, "datestamp": original[name],
                "metadataNamespace": "http://www.openarchives.org/OAI/2.0/oai_dc/",
            }  # fmt: skip
        assert titles(harvest(here, prefix="ead3")) == titles(first)
        assert titles(harvest(here, prefix="mets")) == {ours: "市"}
        assert [one.identifier for one in sickle.Sickle(here).ListIdentifiers(metadataPrefix="oai_dc")] == list(first)
        one = judged(here, verb="GetRecord", metadataPrefix="oai_dc", identifier=names[0])
        assert title_of(one, "oai_dc") == "甲 & <乙>"
        assert origin_of(one.find(f".//{OAI}record")) == first[names[0]].origin
        formats = judged(here, verb="ListMetadataFormats", identifier=names[0])
        assert formats.xpath("//*[local-name()='metadataPrefix']/text()") == ["oai_dc", "ead3"]
        for prefix, code in (("mets", "cannotDisseminateFormat"), ("none", "cannotDisseminateFormat")):
            error = judged(here, verb="GetRecord", metadataPrefix=prefix, identifier=names[0])
            assert [one.get("code") for one in error.iter(f"{OAI}error")] == [code]
        absent = judged(here, verb="GetRecord", metadataPrefix="oai_dc", identifier="oai:county.example.org:x")
        assert [one.get("code") for one in absent.iter(f"{OAI}error")] == ["idDoesNotExist"]
        assert city("harvest", there, "--verify").code == 0
        # Across changes, from the moment of the last harvest on.
        assert county("withdraw", ids[0], "--reason", "x").code == 0
        assert county("update", ids[1], "--title", "新题名", "--reason", "x").code == 0
        settle()
        assert harvested(city, there)["deleted"] == 1
        settle()
        later = harvest(here, since)
        assert titles(later) == {names[0]: "", names[1]: "新题名"}
        assert titles(harvest(here)) == {**titles(first), **titles(later)}
        assert (
            judged(here, verb="GetRecord", metadataPrefix="oai_dc", identifier=names[0])[-1][0][0].get("status")
            == "deleted"
        )
        before = harvest(here), stamps(city)
        (city.folder / "catalog.db").unlink()
        assert city("rebuild").code == 0
    assert stamps(city) == before[1]
    with running(city, **SHOWN) as (_city, of_city):
        assert titles(harvest(of_city["url"])) == titles(before[0])
        assert {name: one.stamp for name, one in harvest(of_city["url"]).items()} == {
            name: one.stamp for name, one in before[0].items()
        }


def test_unless_it_is_wanted_nothing_of_it_is_shown(tmp_path: Path) -> None:
    city, (own,) = archive(tmp_path, "city", ["市"])
    with answering(County(FIVE)) as url:
        harvested(city, url)
    with running(city) as (_city, told):
        here = told["url"]
        settle()
        assert titles(harvest(here)) == {f"oai:city.example.org:{own.removeprefix('urn:uuid:')}": "市"}
        assert len(list(sickle.Sickle(here).ListIdentifiers(metadataPrefix="oai_dc"))) == 1
        for verb, more in (("GetRecord", {"metadataPrefix": "oai_dc"}), ("ListMetadataFormats", {})):
            answers = [
                judged(here, verb=verb, identifier=one, **more) for one in ("oai:county.example.org:1", "oai:none:1")
            ]
            assert [[one.get("code") for one in each.iter(f"{OAI}error")] for each in answers] == [
                ["idDoesNotExist"]
            ] * 2
        with urlopen(f"{here}/receipt?metadataPrefix=oai_dc") as receipt:
            assert json.load(receipt)["completeListSize"] == 1
    assert gathered(city) == {}


def test_what_came_before_it_was_shown_on_is_not_missed(tmp_path: Path) -> None:
    city, _ids = archive(tmp_path, "city", ["市"])
    with answering(County(FIVE)) as url:
        harvested(city, url)
    with running(city) as (_city, told):
        since = settle()
        assert len(harvest(told["url"])) == 1
    with running(city, **SHOWN) as (_city, told):
        settle()
        found = harvest(told["url"], since)
        assert len(found) == 5
    assert list(gathered(city)) == [""]
    before = stamps(city)
    with running(city, **SHOWN) as (_city, told):
        assert harvest(told["url"], since) == found
    with running(city) as (_city, told):
        assert len(harvest(told["url"])) == 1
        since = settle()
    (city.folder / "catalog.db").unlink()
    assert city("rebuild").code == 0
    assert stamps(city) == before
    with running(city) as (_city, told):
        pass
    with running(city, **SHOWN) as (_city, told):
        settle()
        assert len(harvest(told["url"], since)) == 5


def test_what_is_told_after_an_answer_is_not_missed(tmp_path: Path) -> None:
    """A part that was written long before it is told the catalogue, as one of another home."""
    city, _ids = archive(tmp_path, "city", ["市"])
    url = f"sqlite:///{city.folder / 'catalog.db'}"
    with running(city, **SHOWN), answering(County(FIVE)) as there:
        with Catalog.open(url) as catalog:
            answered = catalog.exposures.served(int(time.time()) + 30)
        harvested(city, there)
    (name,) = set(gathered(city)) - {""}
    assert name == f"{source_of(there)}/1"
    assert set(stamps(city).values()) == {gathered(city)[name]}
    assert gathered(city)[name] >= answered
    schema = json.loads((city.folder / "store/schemas/journal-entry-3.json").read_text())
    for one in city("journal", "list", "--json").objects:
        if one["kind"] == "exposure":
            state = schema["allOf"][-1]["then"]["properties"]["state"]
            jsonschema.validate(one["state"], state)
    before = stamps(city)
    (city.folder / "catalog.db").unlink()
    assert city("rebuild").code == 0
    assert stamps(city) == before


def test_a_rebuild_keeps_what_the_journal_was_not_told_of(tmp_path: Path) -> None:
    city, _ids = archive(tmp_path, "city", ["市"])
    url = f"sqlite:///{city.folder / 'catalog.db'}"
    with answering(County(FIVE)) as there:
        harvested(city, there)
    with Catalog.open(url) as catalog:
        answered = catalog.exposures.served(int(time.time()) + 30)
        catalog.remote.show_on(is_shown=True)
    before = stamps(city)
    assert min(before.values()) >= answered
    assert city("rebuild").code == 0
    assert stamps(city) == before
    assert gathered(city) == {}
    with Catalog.open(url) as catalog:
        assert set(catalog.remote.left(10)) == {""}
        catalog.remote.show_on(is_shown=False)
    assert city("rebuild").code == 0
    with Catalog.open(url) as catalog:
        assert catalog.remote.left(10) == {}


def raw(identifier: str, metadata: str, about: str = "", status: str = "") -> str:
    inside = f"<metadata>{metadata}</metadata>" if metadata else ""
    return (
        f"<record><header{status}><identifier>{identifier}</identifier><datestamp>2026-03-01T00:00:00Z</datestamp>"
        f"<setSpec>type:image</setSpec></header>{inside}{about}</record>"
    )


EARLIER = (
    '<about><p:provenance xmlns:p="http://www.openarchives.org/OAI/2.0/provenance"><p:originDescription '
    'harvestDate="2026-01-01T00:00:00Z" altered="true"><p:baseURL>http://village.example.org/oai</p:baseURL>'
    "<p:identifier>oai:village:1</p:identifier><p:datestamp>2025-01-01</p:datestamp>"
    "<p:metadataNamespace>http://www.openarchives.org/OAI/2.0/oai_dc/</p:metadataNamespace></p:originDescription>"
    "</p:provenance></about>"
)
RIGHTS = '<about><r:rights xmlns:r="http://example.org/rights">所有 &amp; 权利</r:rights></about>'
NOT_OURS = '<x:a xmlns:x="http://example.org/x"/>'


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[tuple[Lantai, str]]:
    """An archive that shows on what it harvests, and its address."""
    city, _ids = archive(tmp_path, "city", [])
    with running(city, **SHOWN) as (_city, told):
        yield city, told["url"]


def test_what_came_with_a_record_goes_on_with_it_and_no_answer_is_broken_by_it(shown: tuple[Lantai, str]) -> None:
    city, here = shown
    dc = FIVE[0].metadata
    records = [
        raw("oai:a:chain", dc, EARLIER + RIGHTS), raw("oai:a:foreign", NOT_OURS),
        raw("oai:a:own", "<OAI-PMH/>"), raw("oai:a:none", '<x xmlns=""/>'), raw("no uri", dc), raw("oai:a:%zz", dc),
        raw("oai:a:中文", dc), raw("oai:a:odd", dc, "<about><record/></about>"),
        raw("http://[", dc), raw("oai:a:gone", "", status=' status="deleted"'),
    ]  # fmt: skip
    county = County(odd=lambda asked: listed(records) if asked.get("verb") == "ListRecords" else None)
    with answering(county) as there:
        harvested(city, there)
    settle()
    found = harvest(here)
    assert titles(found) == {
        "oai:a:chain": "第 1 件", "oai:a:中文": "第 1 件", "oai:a:odd": "第 1 件",
        **dict.fromkeys(["oai:a:foreign", "oai:a:own", "oai:a:none", "oai:a:gone"], ""),
    }  # fmt: skip
    chain = found["oai:a:chain"].origin
    assert chain is not None
    assert (chain["baseURL"], chain["earlier"]) == (there, "http://village.example.org/oai")
    one = judged(here, verb="GetRecord", metadataPrefix="oai_dc", identifier="oai:a:chain")
    abouts = one.findall(f".//{OAI}about")
    assert [etree.QName(each[0]).localname for each in abouts] == ["provenance", "rights"]
    assert abouts[1][0].text == "所有 & 权利"
    judged(here, verb="ListRecords", metadataPrefix="oai_dc", **{"from": "2026-01-01"})
    judged(here, verb="GetRecord", metadataPrefix="oai_dc", identifier="oai:a:中文")
    formats = judged(here, verb="ListMetadataFormats", identifier="oai:a:gone")
    assert formats.xpath("//*[local-name()='metadataPrefix']/text()") == ["oai_dc"]
    assert not one.findall(f".//{OAI}setSpec")
    (error,) = judged(here, verb="ListRecords", metadataPrefix="oai_dc", set="type:image").iter(f"{OAI}error")
    assert error.get("code") == "noRecordsMatch"


def test_of_several_servers_the_nearest_is_believed_then_the_newest(shown: tuple[Lantai, str]) -> None:
    city, here = shown
    village, town, other = list[str](), list[str](), list[str]()

    def server(records: list[str]) -> County:
        return County(odd=lambda asked: listed(records) if asked.get("verb") == "ListRecords" else None)

    def title(number: int, about: str = "") -> str:
        return raw("oai:village:1", Item(1, f"题名 {number}").metadata, about)

    gone = raw("oai:village:1", "", status=' status="deleted"')
    with answering(server(village)) as one, answering(server(town)) as two, answering(server(other)) as three:
        for told, records, url, expected in (
            (title(1, EARLIER), town, two, "题名 1"),
            (title(2), village, one, "题名 2"),
            (title(3, EARLIER), town, two, "题名 2"),
            (gone, town, two, "题名 2"),
            (title(4), other, three, "题名 4"),
            (gone, village, one, ""),
        ):
            records[:] = [told]
            since = settle()
            harvested(city, url)
            settle()
            found = harvest(here)
            assert titles(found) == {"oai:village:1": expected}
            is_new = expected in told if expected else told == gone
            assert (found["oai:village:1"].stamp >= since) == is_new
            formats = judged(here, verb="ListMetadataFormats", identifier="oai:village:1")
            assert formats.xpath("//*[local-name()='metadataPrefix']/text()") == ["oai_dc"]
    before = stamps(city)
    assert city("rebuild").code == 0
    assert stamps(city) == before


def test_archives_that_show_on_what_they_have_of_each_other_come_to_rest(tmp_path: Path) -> None:
    one, _ids = archive(tmp_path, "one", ["一"])
    two, _ids = archive(tmp_path, "two", ["二"])
    county = County(FIVE[:2])
    with running(one, **SHOWN) as (_one, of_one), running(two, **SHOWN) as (_two, of_two), answering(county) as there:
        for gone in (False, True):
            if gone:
                county.items = [Item(1, "", "2026-05-02T00:00:00Z"), FIVE[1]]
            for home in (one, two):
                harvested(home, there)
            done = []
            for _time in range(3):
                settle()
                done = [harvested(one, of_two["url"]), harvested(two, of_one["url"])]
            assert [(each["live"], each["deleted"]) for each in done] == [(0, 0), (0, 0)]
            for url in (of_one["url"], of_two["url"]):
                assert [one.title for name, one in harvest(url).items() if "county" in name].count("") == gone
                assert all(
                    one.origin is None or "earlier" not in one.origin
                    for name, one in harvest(url).items()
                    if "county" in name
                )
