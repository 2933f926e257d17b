"""The list of a record's files over a real home: all of them, in order, and none that is not open."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from lantai.catalog import Catalog, exposed, shown
from lantai.catalog.shown import LISTED
from lantai.model import FileId, PayloadFile, RecordId
from lantai.oai import Page, Repository
from lantai.oai.records import Harvest
from tests.integration.command import Lantai, folder
from tests.integration.harvested import running
from tests.integration.test_oai_formats import by_title, content, digest, fetched, serving, submission
from tests.unit.test_oai_formats import METS, PREMIS, XLINK, texts

HERE = Repository("", "", (), "example.org", "", None)  # type: ignore[arg-type]


def listed(url: str, **headers: str) -> list[dict[str, Any]]:
    with urlopen(Request(url, headers=headers)) as answer:
        assert answer.headers["Content-Type"] == "application/x-ndjson"
        body = answer.read()
        if answer.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        return [json.loads(line) for line in body.splitlines()]


def names(url: str) -> list[str]:
    return [one["name"] for one in listed(url)]


def status(url: str, method: str = "GET") -> tuple[int, bytes]:
    try:
        with urlopen(Request(url, method=method)) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        return error.code, error.read()


def test_mets_and_premis_lead_to_the_files_that_are_too_many_for_them(lantai: Lantai, tmp_path: Path) -> None:
    many = {f"照片/{number:04}.txt": f"{number}\n".encode() for number in range(LISTED)}
    rows = "文件名,题名\n部分.txt,部分\n"
    files = folder(tmp_path / "s", {**many, "说明.txt": content("说明.txt"), "部分.txt": "p", "metadata.csv": rows})
    package = lantai.stored(files, "--access", "open")["package"]
    part = by_title(lantai)["部分"]
    assert lantai("access", "set", part, "closed", "--reason", "未满").code == 0
    with serving(lantai) as url:
        ask = f"verb=GetRecord&identifier=oai:{lantai.namespace}:{package[9:]}&metadataPrefix="
        links = [one.get(f"{XLINK}href") for one in fetched(url, ask + "mets").iter(f"{METS}mdRef")]
        (link,) = (one for one in links if one and one.startswith(f"{url}/files?"))
        assert link in texts(fetched(url, ask + "premis"), f"{PREMIS}significantPropertiesValue")
        told = {one["name"]: (one["size"], one["digests"]["sha256"], one["format"]["puid"]) for one in listed(link)}
        assert len(told) == LISTED + 1
        assert [*told] == sorted(told)
        assert told["说明.txt"] == (len(content("说明.txt")), digest("说明.txt"), "x-fmt/111")
        assert told["照片/0042.txt"][0] == 3
        assert listed(link, **{"Accept-Encoding": "gzip"}) == listed(link)
        with urlopen(Request(link, method="HEAD")) as head, urlopen(link) as whole:
            assert (head.status, head.read()) == (200, b"")
            assert head.headers["Content-Length"] == whole.headers["Content-Length"]
            assert len(whole.read()) == int(whole.headers["Content-Length"])
        assert status(f"{url}/files")[0] == 400
        assert status(link, "POST")[0] == 405
        closed, absent = (f"{url}/files?identifier=oai:{lantai.namespace}:{one}" for one in (part[9:], "0" * 36))
        assert status(closed) == status(absent) == (404, b"There is no such list of files.\n")


def test_of_a_part_its_own_file_is_listed_and_of_the_whole_none_of_a_part(lantai: Lantai, tmp_path: Path) -> None:
    package = lantai.stored(submission(tmp_path / "s"), "--access", "open")["package"]
    ids = by_title(lantai)
    assert lantai("access", "set", ids["题名之02"], "description", "--reason", "未满").code == 0
    assert lantai("withdraw", ids["题名之03"], "--reason", "隐私").code == 0
    with serving(lantai) as url:
        to = f"{url}/files?identifier=oai:{lantai.namespace}:"
        assert names(to + package[9:]) == ["说明.txt"]
        assert names(to + ids["题名之01"][9:]) == ["01-开幕式.jpg"]
        for hidden in ("题名之02", "题名之03"):
            assert status(to + ids[hidden][9:])[0] == 404
        assert lantai("withdraw", package, "--reason", "隐私").code == 0
        time.sleep(1.1)
        assert status(to + package[9:]) == status(to + ids["题名之01"][9:]) == status(to + "0" * 36)


@pytest.mark.parametrize("bound", [0, 10_000])
@pytest.mark.parametrize("held", [1, 3, 2000])
def test_a_list_in_several_answers_has_each_file_once_by_either_index(
    lantai: Lantai, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: int, held: int
) -> None:
    """Of a record among others of its package; held: files in memory at once; bound: up to which they are sorted."""
    monkeypatch.setattr(shown, "_SORTED", bound)
    for at, asked in enumerate(shown._BATCHES):
        assert ("package" in asked) == bool(at)
    batches = tuple(asked.replace("LIMIT 2000", f"LIMIT {held}") for asked in shown._BATCHES)
    monkeypatch.setattr(shown, "_BATCHES", batches)
    rows = ["文件名,题名", *(f"{at:02}.txt,第{at}件" for at in range(0, 20, 2))]
    files = {f"{at:02}.txt": f"{at}\n" for at in range(20)}
    made = folder(tmp_path / "s", {"metadata.csv": "\n".join(rows), **files})
    package = RecordId(lantai.stored(made, "--access", "open")["package"])
    odd = [f"{at:02}.txt" for at in range(1, 20, 2)]
    with Catalog.open(f"sqlite:///{lantai.folder / 'catalog.db'}") as catalog:
        harvest, at = Harvest(catalog, HERE), int(time.time()) + 10

        def pages(limit: int) -> Iterator[Page]:
            after: FileId | None = None
            while True:
                page = harvest.files(package, at, after, limit, row)
                assert page is not None
                yield page
                if not page.more or page.last is None:
                    return
                after = FileId(page.last[1])

        def row(one: PayloadFile) -> bytes:
            return f"{one.original_name} ".encode()

        for limit, counts in ((4, [4, 4, 2]), (5, [5, 5]), (500, [10])):
            found = list(pages(limit))
            assert [one.count for one in found] == counts
            assert b"".join(one.rows for one in found).decode().split() == odd
        monkeypatch.setattr(exposed, "_MANY", 1)
        assert [one.count for one in pages(500)] == [1] * 10
        assert harvest.files(package, at, FileId(f"urn:uuid:{'0' * 8}"), 5, row) is None


def test_a_list_goes_on_after_a_file_was_replaced(lantai: Lantai, tmp_path: Path) -> None:
    made = folder(tmp_path / "s", {f"{at}.txt": f"{at}\n" for at in range(6)})
    package = RecordId(lantai.stored(made, "--access", "open")["package"])
    url, at = f"sqlite:///{lantai.folder / 'catalog.db'}", int(time.time()) + 10
    with Catalog.open(url) as catalog:
        page = Harvest(catalog, HERE).files(package, at, None, 3, lambda one: one.original_name.encode())
    assert page is not None
    assert page.last is not None
    assert page.rows == b"0.txt1.txt2.txt"
    new = folder(tmp_path / "new", {"1.txt": "1, anew\n"}) / "1.txt"
    assert lantai("update", package, "--replace", f"1.txt={new}", "--reason", "更正").code == 0
    assert lantai("rebuild").code == 0
    with Catalog.open(url) as catalog:
        after = FileId(page.last[1])
        page = Harvest(catalog, HERE).files(package, at + 60, after, 9, lambda one: one.original_name.encode())
    assert page is not None
    assert (page.rows, page.more) == (b"3.txt4.txt5.txt", False)


def test_the_list_counts_as_a_request_like_any_other(lantai: Lantai, tmp_path: Path) -> None:
    package = lantai.stored(folder(tmp_path / "s", {"a.txt": "x"}), "--access", "open")["package"]
    time.sleep(1.1)
    with running(lantai, LANTAI_OAI__REQUESTS_PER_MINUTE="2") as (_process, said):
        link = f"{said['url']}/files?identifier=oai:{lantai.namespace}:{package[9:]}"
        assert [status(link)[0] for _time in range(3)] == [200, 200, 503]
