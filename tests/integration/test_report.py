"""report fixity: the promise kept or not, as the journal and the clock say; a page that needs nothing but itself."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from lantai import archive
from lantai.reports.loss import Faults, loss
from tests.integration.command import Lantai, add_store, folder
from tests.integration.test_audit import PLACES, at, flip
from tests.integration.test_rebuild import forget

DAY = timedelta(days=1)
ODD = "馆 <b>&\"'</b>"
Wait = Callable[[float], None]


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Wait:
    """So many days pass. It is noon at first, and a day is told by its date."""
    real = archive.utc_now
    now = real()
    passed = [now.replace(hour=4, minute=0, second=0) + DAY - now]  # in Shanghai, from where the archive is
    monkeypatch.setattr(archive, "utc_now", lambda: real() + passed[0])

    def days(number: float) -> None:
        passed[0] += number * DAY

    return days


@pytest.fixture
def stores(lantai: Lantai, second: Path, tmp_path: Path, wait: Wait) -> Lantai:
    """Two packages in two stores, the second with a promise of its own."""
    settings = lantai.folder / "lantai.toml"
    line = f'path = "{second}"\n'
    settings.write_text(settings.read_text().replace(line, f'{line}audit_every = "180d"\n', 1))
    for number in range(2):
        files: dict[str, str | bytes] = {"活动方案.txt": f"方案 {number}\n", "照片/1.jpg": bytes(range(256)) * 9}
        lantai.stored(folder(tmp_path / f"submission-{number}", files))
    return lantai


def told(lantai: Lantai, *words: str) -> dict[str, Any]:
    done = lantai("report", "fixity", "--json", *words)
    assert done.code == 0, done
    return done.object


def by_store(report: dict[str, Any], key: str) -> dict[str, Any]:
    return {one["store"]: one[key] for one in report["stores"]}


def test_an_empty_archive_has_nothing_to_audit(lantai: Lantai) -> None:
    report = told(lantai)
    assert (report["kept"], report["history"], by_store(report, "packages")) == (True, [], {"local": 0})
    assert report["loss"]["likelihood"] is None
    assert "nothing to audit" in lantai("report", "fixity").out
    assert etree.fromstring(lantai("report", "fixity", "--as", "html").out.encode()) is not None


def test_what_was_never_checked_is_overdue_once_it_lies_there_longer_than_was_promised(
    stores: Lantai, wait: Wait
) -> None:
    report = told(stores)
    assert report["kept"]
    assert by_store(report, "never_checked") == {"local": 2, "second": 2}
    assert by_store(report, "promise_days") == {"local": 90, "second": 180}
    wait(89)
    assert told(stores)["kept"]
    wait(2)
    report = told(stores)
    assert by_store(report, "overdue") == {"local": 2, "second": 0}
    assert by_store(report, "kept") == {"local": False, "second": True}
    assert not report["kept"]
    assert stores("report", "fixity").out.startswith("The promise is not kept: 2 copies")
    wait(90)
    assert by_store(told(stores), "overdue") == {"local": 2, "second": 2}


def test_an_audit_keeps_the_promise_until_its_time_is_over(stores: Lantai, wait: Wait) -> None:
    wait(100)
    assert stores("audit", "--due").code == 0
    report = told(stores)
    assert report["kept"]
    for key, value in {"never_checked": 0, "overdue": 0, "checked_last_30_days": 2, "failing": 0}.items():
        assert by_store(report, key) == {"local": value, "second": value}, key
    assert sum(one["passed"] for one in report["history"]) == 4
    assert stores("report", "fixity").out.startswith("The promise is kept:")
    wait(31)
    assert by_store(told(stores), "checked_last_30_days") == {"local": 0, "second": 0}
    wait(60)
    report = told(stores)
    assert by_store(report, "overdue") == {"local": 2, "second": 0}
    oldest = datetime.fromisoformat(by_store(report, "oldest_check")["local"])
    assert datetime.fromisoformat(report["at"]) - oldest == pytest.approx(91 * DAY, abs=timedelta(minutes=5))


def test_what_is_not_whole_is_told_and_what_was_repaired_no_longer(stores: Lantai, second: Path, wait: Wait) -> None:
    flip(at(second, PLACES["content"]))
    assert stores("audit", "--all", "--no-repair").code == 1
    report = told(stores)
    assert by_store(report, "failing") == {"local": 0, "second": 1}
    assert "1 copy of a package was not whole" in stores("report", "fixity").out.splitlines()[0]
    assert report["kept"]  # it was looked at
    assert (report["history"][-1]["passed"], report["history"][-1]["failed"]) == (3, 1)
    assert "second: 1 package was not whole" in stores("report", "fixity").out
    wait(1)
    assert stores("audit", "--all").code == 1  # repairs
    wait(1)
    assert stores("audit", "--due").code == 0
    assert by_store(told(stores), "failing") == {"local": 0, "second": 0}


def test_a_listing_is_another_level(stores: Lantai) -> None:
    assert stores("audit", "--all", "--level", "listing").code == 0
    assert by_store(told(stores), "never_checked") == {"local": 2, "second": 2}
    report = told(stores, "--level", "listing")
    assert by_store(report, "never_checked") == {"local": 0, "second": 0}
    assert (report["level"], report["loss"]["likelihood"]) == ("listing", None)


def test_loss_is_the_model_with_the_schedule_the_copies_and_the_options(
    stores: Lantai, second: Path, tmp_path: Path
) -> None:
    expected = loss([90 * DAY, 180 * DAY], Faults())
    (copies,) = told(stores)["loss"]["copies"]
    assert copies["stores"] == ["local", "second"]
    assert copies["likelihood"] == pytest.approx(expected.within(10))
    assert told(stores)["loss"]["packages_a_year"] == pytest.approx(2 * expected.a_year)
    options = ("--fault-rate", "0.5", "--disk-rate", "0.1", "--repair-days", "30", "--correlation", "0.5")
    other = loss([90 * DAY, 180 * DAY], Faults(0.1, 0.5, 0.5, 30 * DAY))
    assert told(stores, *options)["loss"]["likelihood"] == pytest.approx(other.within(10))
    second.rename(second.with_name("away"))
    assert stores("ingest", folder(tmp_path / "third", {"a.txt": "a"})).code == 1  # pending, in one store only
    found = told(stores)["loss"]["copies"]
    assert [(one["stores"], one["packages"]) for one in found] == [(["local"], 1), (["local", "second"], 2)]
    assert found[0]["likelihood"] == pytest.approx(loss([90 * DAY], Faults()).within(10))


def test_a_copy_that_lacks_the_newest_version_is_none(stores: Lantai, second: Path) -> None:
    id = stores("list", "--json").objects[0]["package"]
    second.rename(second.with_name("away"))
    assert stores("update", id, "--title", "第二版", "--reason", "更正").code == 1  # pending
    found = told(stores)["loss"]["copies"]
    assert [(one["stores"], one["packages"]) for one in found] == [(["local"], 1), (["local", "second"], 1)]


def kept(lantai: Lantai) -> tuple[list[tuple[list[str], int]], int]:
    """Packages by the stores that have a whole copy, and how many have fewer than is promised."""
    loss = told(lantai)["loss"]
    return [(one["stores"], one["packages"]) for one in loss["copies"]], loss["fewer_copies_than_promised"]


BOTH = [(["local", "second"], 2)], 0
ONE_OF_THEM = [(["local"], 1), (["local", "second"], 1)], 1


def test_a_copy_that_is_known_to_be_damaged_is_none_until_it_was_found_whole(
    stores: Lantai, second: Path, wait: Wait
) -> None:
    assert kept(stores) == BOTH
    flip(at(second, PLACES["content"]))
    assert stores("audit", "--all", "--no-repair").code == 1
    assert kept(stores) == ONE_OF_THEM
    assert "1 package has fewer whole copies" in stores("report", "fixity").out
    wait(1)
    assert stores("audit", "--all", "--level", "listing").code == 0  # it does not look at content
    assert kept(stores) == ONE_OF_THEM
    wait(1)
    assert stores("audit", "--all").code == 1  # repairs
    assert kept(stores) == BOTH


def test_what_a_listing_found_wrong_a_full_audit_finds_whole(stores: Lantai, second: Path, wait: Wait) -> None:
    file = at(second, PLACES["METS"])
    file.rename(second / "aside")
    assert stores("audit", "--all", "--level", "listing", "--no-repair").code == 1
    assert kept(stores) == ONE_OF_THEM
    (second / "aside").rename(file)
    wait(1)
    assert stores("audit", "--all").code == 0
    assert kept(stores) == BOTH


def test_a_copy_that_a_store_has_lost_is_none(stores: Lantai, second: Path, wait: Wait) -> None:
    shutil.rmtree(at(second, "ocfl/*/*/*/*"))
    assert stores("audit", "--all", "--no-repair").code == 1
    assert kept(stores) == ONE_OF_THEM
    assert by_store(told(stores), "failing") == {"local": 0, "second": 1}
    wait(1)
    assert stores("audit", "--all").code == 1  # repairs
    assert kept(stores) == BOTH


def test_the_report_is_the_same_from_a_catalogue_made_anew(
    stores: Lantai, wait: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert stores("audit", "--all").code == 0
    wait(40)
    assert stores("audit", "--all", "--level", "listing").code == 0

    def asked() -> list[dict[str, Any]]:
        return [told(stores), told(stores, "--level", "listing")]

    now = archive.utc_now()
    monkeypatch.setattr(archive, "utc_now", lambda: now)
    before = asked()
    forget(stores)
    assert stores("rebuild").code == 0
    assert asked() == before


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_is_whole_in_itself(stores: Lantai, tmp_path: Path, language: str) -> None:
    settings = stores.folder / "lantai.toml"
    settings.write_text(settings.read_text().replace('"云岭县档案馆"', json.dumps(ODD), 1))
    assert stores("audit", "--all").code == 0
    target = tmp_path / "page.html"
    assert stores("report", "fixity", "--as", "html", "-o", target, "--lang", language).code == 0
    page = target.read_text("utf-8")
    assert stores("report", "fixity", "--as", "html", "--lang", language).out.startswith("<!DOCTYPE html>")
    tree: Any = etree.fromstring(page.encode())
    html = "{http://www.w3.org/1999/xhtml}"
    assert tree.get("lang") == {"en": "en", "zh": "zh-CN"}[language]
    assert {"en": "Store", "zh": "存储位置"}[language] == next(tree.iter(f"{html}th")).text
    assert ODD in "".join(tree.find(f"{html}body/{html}header").itertext())
    names = [etree.QName(one).localname for one in tree.iter(etree.Element)]
    assert names.count("svg") == 3  # the history, and the ages in each store
    assert not {"script", "link", "img", "iframe", "object", "b"} & set(names)
    loads = {"src", "href", "{http://www.w3.org/1999/xlink}href", "data", "action"}
    assert not [one.attrib for one in tree.iter(etree.Element) if loads & set(one.attrib)]
    assert not re.search(r"@import|url\(", page)
    assert set(re.findall(r"https?://[^\"'\s<]+", page)) <= {
        "http://www.w3.org/1999/xhtml", "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink",
    }  # fmt: skip
    ids = [one.get("id") for one in tree.iter(etree.Element) if one.get("id")]
    assert len(ids) == len(set(ids))


def test_a_picture_leaves_nothing_in_the_way_of_imports() -> None:
    """What draws it has an importer of its own, which Python warns of whenever anything is imported afterwards."""
    program = (
        "import sys; from lantai.reports import pictures;"
        "pictures.columns(['a'], {'b': [1]}, colours=['#000'], name='c');"
        "assert all(hasattr(one, 'find_spec') for one in sys.meta_path), sys.meta_path"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_pictures_show_what_the_report_counts(stores: Lantai, second: Path, wait: Wait) -> None:
    """The line of the promise stands between what is within it and what is overdue, at the same place in each."""
    flip(at(second, PLACES["content"]))
    assert stores("audit", "--all", "--no-repair").code == 1
    wait(100)
    tree: Any = etree.fromstring(stores("report", "fixity", "--as", "html").out.encode())

    def bars(name: str) -> list[list[dict[str, float]]]:
        """The rectangles of each series."""
        found = tree.xpath(f"//*[@id='chart-{name}']//*[contains(@class, 'series')]")
        return [
            [{key: float(bar.get(key)) for key in ("x", "y", "width", "height")}
             for bar in one.xpath(".//*[local-name()='rect' and contains(@class, 'rect')]")]
            for one in found if one.xpath(".//*[local-name()='rect']")
        ]  # fmt: skip

    passed, failed = bars("history")
    assert max(one["height"] for one in passed) == pytest.approx(3 * max(one["height"] for one in failed), rel=0.01)
    within, late, (line,) = bars("ages-0")  # local: 90 days, all of it overdue
    assert all(before["x"] < line["x"] for before in within)
    assert all(after["x"] + after["width"] >= line["x"] for after in late)
    assert line["width"] < min(one["width"] for one in late) / 5
    assert [one["height"] > 0 for one in within] == [False] * 10
    assert sum(one["height"] > 0 for one in late) == 1
    assert all(one["x"] <= two["x"] for one, two in pairwise(late))
    within, late, _line = bars("ages-1")  # second: 180 days, none of it
    assert sum(one["height"] > 0 for one in within) == 1
    assert not any(one["height"] for one in late)


def test_a_store_of_an_odd_name_beside_is_told_too(lantai: Lantai, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    add_store(lantai, f'name = "b.1-x_y"\npath = "{tmp_path / "b"}"\nrequired = false')
    lantai.stored(folder(tmp_path / "one", {"a.txt": "a"}))
    assert "b.1-x_y" in lantai("report", "fixity").out
    assert "b.1-x_y" in lantai("report", "fixity", "--as", "html").out


def test_the_report_needs_no_store(stores: Lantai, second: Path) -> None:
    assert stores("audit", "--all").code == 0
    before = told(stores)
    second.rename(second.with_name("away"))
    assert [one["packages"] for one in told(stores)["stores"]] == [one["packages"] for one in before["stores"]]


@pytest.mark.parametrize(
    "words",
    [["--as", "html", "--json"], ["-o", "x.txt", "--json"], ["--fault-rate", "0", "--json"],
     ["--correlation", "1.5", "--json"], ["--level", "server", "--json"]],
)  # fmt: skip
def test_bad_input_says_what_to_do(lantai: Lantai, words: list[str]) -> None:
    done = lantai("report", "fixity", *words)
    assert (done.code, done.error["kind"]) == (2, "UsageError")
    assert not (lantai.folder / "x.txt").exists()
