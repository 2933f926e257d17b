"""Perl's harvesters, HTTP::OAI and Catmandu, see of an archive what it shows: all of it in small pages, then what
changes, in each format that the archive names.

They are Debian's libhttp-oai-perl and libcatmandu-oai-perl. What is missing is skipped and named; with CI=true it
fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from lxml import etree

from lantai.oai.formats import FORMATS
from tests.integration.command import Lantai
from tests.integration.conftest import lantai, pristine
from tests.integration.test_harvesters import OAI, Seen, archive, require_sees, title_of
from tests.judges.ask import HERE, objects, run
from tests.judges.conftest import missing

__all__ = ["archive", "lantai", "pristine"]  # fixtures

CLIENTS = {"http-oai": "HTTP::OAI", "catmandu": "Catmandu::Importer::OAI"}


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    if run("perl", f"-M{CLIENTS[name]}", "-e", "1").returncode != 0:
        missing(f"no {CLIENTS[name]}: apt-get install libhttp-oai-perl libcatmandu-oai-perl")
    return name


def ask(client: str, url: str, verb: str, **arguments: str | None) -> list[dict[str, Any]]:
    words = [word for name, value in arguments.items() if value is not None for word in (name.rstrip("_"), value)]
    done = run("perl", HERE / "harvest.pl", client, url, verb, *words, environment={"no_proxy": "127.0.0.1"})
    assert (done.returncode, done.stderr) == (0, "")
    return objects(done.stdout)


def test_a_perl_client_sees_what_is_open_what_was_and_what_changes(
    archive: tuple[Lantai, str, dict[str, str]], client: str
) -> None:
    def harvest(url: str, prefix: str, since: str | None) -> Mapping[str, Seen]:
        found: dict[str, Seen] = {}
        for one in ask(client, url, "ListRecords", metadataPrefix=prefix, from_=since):
            title = ""
            if one["metadata"] is not None:
                record = etree.Element(f"{OAI}record")
                record.append(etree.fromstring(one["metadata"]))
                title = title_of(record, prefix)
            assert bool(title) != (one["status"] == "deleted")
            assert one["identifier"] not in found
            found[one["identifier"]] = Seen(one["datestamp"], title, tuple(one["sets"]))
        return found

    lantai, url, ids = archive
    formats = [one["prefix"] for one in ask(client, url, "ListMetadataFormats")]
    assert formats == list(FORMATS)
    require_sees(lantai, url, ids, harvest, formats)


def test_a_perl_client_reads_what_the_archive_is(archive: tuple[Lantai, str, dict[str, str]], client: str) -> None:
    lantai, url, _ids = archive
    (said,) = ask(client, url, "Identify")
    assert {name: said[name] for name in ("name", "base_url", "emails", "deleted", "granularity")} == {
        "name": "云岭县档案馆", "base_url": url, "emails": [f"admin@{lantai.namespace}"], "deleted": "persistent",
        "granularity": "YYYY-MM-DDThh:mm:ssZ",
    }  # fmt: skip
    assert [one["spec"] for one in ask(client, url, "ListSets")] == ["level:file", "type"]


def test_a_perl_client_says_so_where_the_answer_is_none(client: str) -> None:
    """It can say no."""
    done = run("perl", HERE / "harvest.pl", client, "http://127.0.0.1:1/oai", "ListRecords", "metadataPrefix", "oai_dc")
    assert done.returncode != 0
