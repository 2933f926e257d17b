"""Other people's harvesters see of an archive what it shows, page by page, and no more."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.request import urlopen

import oaipmh.client  # type: ignore[import-untyped]
import oaipmh.metadata  # type: ignore[import-untyped]
import pytest
import sickle  # type: ignore[import-untyped]
from lxml import etree
from oaipmh_scythe import Scythe

from lantai.oai.formats import FORMATS
from tests.integration.command import Lantai, folder
from tests.integration.harvested import running
from tests.integration.test_exposures import a_fonds
from tests.unit.test_oai_formats import judge
from tests.unit.test_oai_protocol import ENVELOPE

OAI = "{http://www.openarchives.org/OAI/2.0/}"


class Seen(NamedTuple):
    """title "": it is deleted."""

    stamp: str
    title: str
    sets: tuple[str, ...]


class Harvest(Protocol):
    """Of the address, in a format, from a datestamp on, in a set: by identifier."""

    def __call__(self, url: str, prefix: str, since: str | None, spec: str | None = None) -> Mapping[str, Seen]: ...


NAMESPACES = {
    "o": "http://www.openarchives.org/OAI/2.0/", "dc": "http://purl.org/dc/elements/1.1/",
    "e": "http://ead3.archivists.org/schema/", "m": "http://www.loc.gov/METS/", "p": "http://www.loc.gov/premis/v3",
}  # fmt: skip
TITLES = {
    "oai_dc": "//dc:title/text()",
    "oai_qdc": "//dc:title/text()",
    "ead3": "//e:archdesc/e:did/e:unittitle/text()",
    "mets": "/descendant-or-self::m:mets/@LABEL",
    "premis": "//p:significantProperties[p:significantPropertiesType='title']/p:significantPropertiesValue/text()",
}


def title_of(record: Any, prefix: str) -> str:
    """The first one in a record; "" where it has no metadata."""
    return next(map(str, record.xpath("." + TITLES[prefix], namespaces=NAMESPACES)), "")


def by_sickle(url: str, prefix: str, since: str | None, spec: str | None = None) -> Mapping[str, Seen]:
    asked = {"metadataPrefix": prefix, **({"from": since} if since else {}), **({"set": spec} if spec else {})}
    return {
        one.header.identifier: Seen(
            one.header.datestamp, "" if one.deleted else title_of(one.xml, prefix), tuple(one.header.setSpecs)
        )
        for one in sickle.Sickle(url).ListRecords(**asked)
    }


def by_scythe(url: str, prefix: str, since: str | None, spec: str | None = None) -> Mapping[str, Seen]:
    with Scythe(url) as client:
        every: list[Any] = list(client.list_records(metadata_prefix=prefix, from_=since, set_=spec))
    return {
        one.header.identifier: Seen(
            one.header.datestamp, "" if one.deleted else title_of(one.xml, prefix), tuple(one.header.setSpecs)
        )
        for one in every
    }


def by_oaipmh(url: str, prefix: str, since: str | None, spec: str | None = None) -> Mapping[str, Seen]:
    registry = oaipmh.metadata.MetadataRegistry()
    fields = {"title": ("textList", "." + TITLES[prefix])}
    registry.registerReader(prefix, oaipmh.metadata.MetadataReader(fields, NAMESPACES))
    client = oaipmh.client.Client(url, registry)
    client.updateGranularity()
    asked: dict[str, Any] = {"from_": datetime.fromisoformat(since).replace(tzinfo=None)} if since else {}
    asked |= {"set": spec} if spec else {}
    return {
        header.identifier(): Seen(
            header.datestamp().strftime("%Y-%m-%dT%H:%M:%SZ"), "" if header.isDeleted() else data.getField("title")[0],
            tuple(header.setSpec()),
        )
        for header, data, _about in client.listRecords(metadataPrefix=prefix, **asked)
    }  # fmt: skip


def by_hand(url: str, prefix: str, since: str | None, spec: str | None = None) -> Mapping[str, Seen]:
    """Every answer, and the metadata in it, against their schemas."""
    query = f"verb=ListRecords&metadataPrefix={prefix}" + (f"&from={since}" if since else "")
    query += f"&set={spec}" if spec else ""
    found: dict[str, Seen] = {}
    pages = 0
    while query:
        with urlopen(f"{url}?{query}") as answer:
            root = etree.fromstring(answer.read())
        ENVELOPE.assertValid(root)
        pages += 1
        for one in root.iter(f"{OAI}record"):
            header = one.find(f"{OAI}header")
            assert header is not None
            title = ""
            for metadata in one.iter(f"{OAI}metadata"):
                judge(prefix, metadata[0])
                title = title_of(one, prefix)
            assert bool(title) != (header.get("status") == "deleted")
            sets = tuple(spec.text or "" for spec in header.findall(f"{OAI}setSpec"))
            name = header.findtext(f"{OAI}identifier") or ""
            assert name not in found
            found[name] = Seen(header.findtext(f"{OAI}datestamp") or "", title, sets)
        token = root.findtext(f".//{OAI}resumptionToken")
        query = f"verb=ListRecords&resumptionToken={token}" if token else ""
    assert pages == -(-len(found) // 2)
    return found


HARVESTERS = {"sickle": by_sickle, "scythe": by_scythe, "oaipmh": by_oaipmh, "by hand": by_hand}


@pytest.fixture
def archive(lantai: Lantai, tmp_path: Path) -> Iterator[tuple[Lantai, str, dict[str, str]]]:
    """Five records that are or were open, and four that never were; pages of two. Ids by title."""
    settings = lantai.folder / "lantai.toml"
    settings.write_text(settings.read_text().replace("page_size = 500", "page_size = 2"))
    ids = {}
    for number, access in enumerate(
        ["open", "closed", "open", "description", "2051-01-01", "open", "closed", "open", "closed"]
    ):
        files = folder(tmp_path / f"s{number}", {"a.txt": f"{number}\n"})
        title = f"第{number}卷 & <{access}>"
        ids[title] = lantai.stored(files, "--title", title, "--access", access)["package"]
    every = list(ids.values())
    time.sleep(1.1)
    assert lantai("access", "set", every[5], "closed", "--reason", "误开").code == 0
    assert lantai("withdraw", every[7], "--reason", "隐私").code == 0
    time.sleep(1.1)
    with running(lantai, "--workers", "2") as (_process, said):
        yield lantai, said["url"], ids


def told(lantai: Lantai, ids: Mapping[str, str], *numbers: int) -> dict[str, str]:
    """Title by identifier, of the records of these numbers."""
    return {
        f"oai:{lantai.namespace}:{id.removeprefix('urn:uuid:')}": title
        for at, (title, id) in enumerate(ids.items())
        if at in numbers
    }


@pytest.mark.parametrize("name", HARVESTERS)
def test_a_harvester_sees_what_is_open_what_was_and_what_changes(
    archive: tuple[Lantai, str, dict[str, str]], name: str
) -> None:
    require_sees(*archive, HARVESTERS[name], FORMATS)


@pytest.fixture
def fonds(lantai: Lantai, tmp_path: Path) -> Iterator[tuple[Lantai, str, dict[str, str]]]:
    """An open one of two series with an item each; pages of two. Ids by title."""
    settings = lantai.folder / "lantai.toml"
    settings.write_text(settings.read_text().replace("page_size = 500", "page_size = 2"))
    _package, records = a_fonds(lantai, tmp_path)
    time.sleep(1.1)
    with running(lantai, "--workers", "2") as (_process, said):
        yield lantai, said["url"], {title: f"oai:{lantai.namespace}:{id[9:]}" for title, id in records.items()}


@pytest.mark.parametrize("name", HARVESTERS)
def test_a_harvester_of_a_set_sees_what_is_in_it_and_what_was(
    fonds: tuple[Lantai, str, dict[str, str]], name: str
) -> None:
    lantai, url, ids = fonds
    sets = {
        "fonds:Z109": {"云岭县", "公开", "密室", "甲", "乙"}, "fonds:Z109:A": {"公开", "甲"},
        "level:item": {"甲", "乙"}, "type:image": {"甲", "乙"}, "type": {"甲", "乙"},
    }  # fmt: skip
    for spec, titles in sets.items():
        found = HARVESTERS[name](url, "oai_dc", None, spec)
        assert {one.title for one in found.values()} == titles
        assert found.keys() == {ids[title] for title in titles}
    secret = f"urn:uuid:{ids['密室'].rpartition(':')[2]}"
    assert lantai("access", "set", secret, "closed", "--reason", "误开").code == 0
    time.sleep(2.1)
    found = HARVESTERS[name](url, "ead3", None, "fonds:Z109:B")
    assert {id: one.title for id, one in found.items()} == {ids["密室"]: "", ids["乙"]: ""}
    assert HARVESTERS[name](url, "oai_dc", None, "fonds:Z109:A").keys() == {ids["公开"], ids["甲"]}


def test_what_changes_while_it_is_listed_is_seen_then_or_with_the_next_harvest(
    fonds: tuple[Lantai, str, dict[str, str]],
) -> None:
    """What was still to come in the list, and what was there already."""
    lantai, url, ids = fonds
    client = sickle.Sickle(url)
    began = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    first = iter(client.ListRecords(metadataPrefix="oai_dc"))
    seen = {one.header.identifier: one for one in (next(first), next(first))}
    for id in (next(iter(seen)), next(one for one in ids.values() if one not in seen)):
        record = f"urn:uuid:{id.rpartition(':')[2]}"
        assert lantai("access", "set", record, "closed", "--reason", "误开").code == 0
    seen |= {one.header.identifier: one for one in first}
    time.sleep(2.1)
    later = client.ListRecords(**{"metadataPrefix": "oai_dc", "from": began})
    seen |= {one.header.identifier: one for one in later}
    whole = {one.header.identifier: one for one in client.ListRecords(metadataPrefix="oai_dc")}
    assert {id: (one.deleted, one.header.datestamp) for id, one in seen.items()} == {
        id: (one.deleted, one.header.datestamp) for id, one in whole.items()
    }
    assert sum(one.deleted for one in whole.values()) >= 2


def require_sees(
    lantai: Lantai, url: str, ids: Mapping[str, str], harvest: Callable[[str, str, str | None], Mapping[str, Seen]],
    prefixes: Iterable[str],
) -> None:  # fmt: skip
    """In each format all that the archive above shows, and then what changes in it."""
    firsts = {prefix: harvest(url, prefix, None) for prefix in prefixes}
    for first in firsts.values():
        assert {one: seen.title for one, seen in first.items() if seen.title} == told(lantai, ids, 0, 2, 3)
        assert {one for one, seen in first.items() if not seen.title} == told(lantai, ids, 5, 7).keys()
        assert {seen.sets for seen in first.values()} == {("level:file",)}
    since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    every = list(ids.values())
    assert lantai("access", "set", every[1], "open", "--reason", "期满").code == 0
    assert lantai("access", "set", every[0], "closed", "--reason", "误开").code == 0
    assert lantai("update", every[2], "--title", "文化节", "--reason", "更正").code == 0
    assert lantai("withdraw", every[7], "--undo", "--reason", "查清").code == 0
    time.sleep(2.1)
    for prefix, first in firsts.items():
        later = harvest(url, prefix, since)
        assert {one: seen.title for one, seen in later.items()} == {
            **told(lantai, ids, 1, 7), **dict.fromkeys(told(lantai, ids, 0), ""),
            **dict.fromkeys(told(lantai, ids, 2), "文化节"),
        }  # fmt: skip
        assert harvest(url, prefix, None) == {**first, **later}
