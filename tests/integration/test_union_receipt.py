"""Receipts of lists in which records of other archives are shown on."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

from lxml import etree

from tests.integration.harvested import running
from tests.integration.test_adoption import by_hand, told
from tests.integration.test_harvest import archive, harvested
from tests.integration.test_union import OAI, SHOWN, judged, settle


def test_a_third_archive_verifies_what_is_shown_on(tmp_path: Path) -> None:
    county, ids = archive(tmp_path, "county", ["甲 & <乙>", "乙", "丙"])
    city, _own = archive(tmp_path, "city", ["市", "区"])
    province, _none = archive(tmp_path, "province", [])
    small = {**SHOWN, "LANTAI_OAI__PAGE_SIZE": "2"}
    with running(county) as (_county, of_county), running(city, **small) as (_city, of_city):
        here, there = of_city["url"], of_county["url"]
        settle()
        harvested(city, there)
        settle()
        for change in (None, ("withdraw", ids[0]), ("update", ids[1], "--title", "新题名")):
            if change:
                assert county(*change, "--reason", "x").code == 0
                settle()
                harvested(city, there)
                settle()
            done = harvested(province, here, "--verify")
            assert (done["verified"], done["rounds"], done["held"]) == (True, 0, 4 if change else 5)
            root = judged(here, verb="ListRecords", metadataPrefix="oai_dc")
            (one,) = root.iter(f"{OAI}resumptionToken")
            assert (one.get("completeListSize"), one.get("cursor")) == ("5", "0")
            receipt = told_by(here)
            assert receipt["completeListSize"] == 5
            assert told(receipt) == by_hand(whole(here))
            assert told(told_by(here, until="2001-01-01")) == {}
            assert told_by(here, set="level:file")["completeListSize"] == 2
        # What is not there is missed, and named.
        with sqlite3.connect(city.folder / "catalog.db") as catalog:
            catalog.execute("UPDATE remote_records SET digest = 'x' WHERE live")
            catalog.execute("DELETE FROM exposure_days")
        catalog.close()
        assert province("harvest", here, "--verify").code == 1


def test_who_is_shown_on_verifies_it_too(tmp_path: Path) -> None:
    """Though it takes none of its own records back."""
    county, ids = archive(tmp_path, "county", ["甲", "乙", "丙"])
    city, _own = archive(tmp_path, "city", ["市"])
    with running(county) as (_county, of_county), running(city, **SHOWN) as (_city, of_city):
        settle()
        harvested(city, of_county["url"])
        settle()
        done = harvested(county, of_city["url"], "--verify")
        assert (done["verified"], done["rounds"], done["held"]) == (True, 0, 1)
        assert county("withdraw", ids[0], "--reason", "x").code == 0
        settle()
        harvested(city, of_county["url"])
        settle()
        # What came in the harvest before is not known any more: its days are asked for once more.
        done = harvested(county, of_city["url"], "--verify")
        assert (done["verified"], done["rounds"], done["held"]) == (True, 1, 1)


def whole(url: str) -> Any:
    """Every record, in one element, of a list in pages."""
    found, asked = etree.Element("all"), {"metadataPrefix": "oai_dc"}
    while asked:
        root = judged(url, verb="ListRecords", **asked)
        found.extend(root.iter(f"{OAI}record"))
        token = root.findtext(f".//{OAI}resumptionToken")
        asked = {"resumptionToken": token} if token else {}
    return found


def told_by(url: str, **asked: str) -> dict[str, Any]:
    """Its receipt."""
    query = "&".join(f"{name}={quote(value)}" for name, value in asked.items())
    with urlopen(f"{url}/receipt?metadataPrefix=oai_dc{'&' if query else ''}{query}") as answer:
        found: dict[str, Any] = json.load(answer)
        return found
