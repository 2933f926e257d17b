"""[oai] union: what was harvested from other archives is shown on, with where it came from; and is not, where it is
not wanted.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import urlopen

import jsonschema  # type: ignore[import-untyped]
import pytest
import sickle  # type: ignore[import-untyped]
from lxml import etree

from lantai.catalog import Catalog
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
        assert {"completeListSize"} & set(
            judged(here, verb="ListRecords", metadataPrefix="oai_dc")[-1][-1].attrib
        ) == set()
        with pytest.raises(HTTPError) as refused:
            urlopen(f"{here}/receipt?metadataPrefix=oai_dc")
        assert refused.value.code == 404
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
