"""Homes that earlier versions of lantai left, and versions that this one does not know."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.integration.command import DATA, Lantai
from tests.integration.test_rebuild import answers, forget


@pytest.fixture
def old(tmp_path: Path) -> Lantai:
    """tests/data/make_home.py tells what is in it."""
    shutil.unpack_archive(DATA / "home-1.tar.gz", tmp_path / "home", filter="data")
    return Lantai(tmp_path / "home")


def test_a_home_of_format_1_opens_with_its_history(old: Lantai) -> None:
    (row,) = old("list", "--json").objects
    assert (row["title"], row["version"], row["files"]) == ("第十二届金秋文化节", 2, 3)
    assert row["access"] == {"shown": "open", "since": "2050-12-31T16:00:00Z"}
    value = old("show", row["package"], "--json").object
    assert [one["reason"] for one in value["versions"]][1:] == ["补交"]
    assert [(one["shown"], one["ground"]) for one in value["decisions"]] == [("closed", "policy"), ("open", "statute")]
    assert (value["withdrawn"], value["holds"]["shown"]) == (False, "closed")
    assert len(old("search", "活动", "--json").objects) == 1
    kinds = [one["kind"] for one in old("journal", "list", "--json").objects]
    assert kinds == ["store", "decision", "withdrawal", "withdrawal", "check"]
    assert old("journal", "verify").code == 0
    assert old("validate").code == 0
    told = old("access", "set", row["package"], "open", "--reason", "期满", "--json")
    assert told.code == 0, told


def test_its_catalogue_comes_back(old: Lantai) -> None:
    before = answers(old)
    forget(old)
    assert old("rebuild").code == 0
    assert answers(old) == before


def newer_home(home: Path) -> None:
    values = json.loads((home / "home.json").read_text("utf-8"))
    (home / "home.json").write_text(json.dumps({**values, "format": 99}), "utf-8")


def newer_store(home: Path) -> None:
    values = json.loads((home / "store" / "store.json").read_text("utf-8"))
    (home / "store" / "store.json").write_text(json.dumps({**values, "format": 99}), "utf-8")


def newer_catalogue(home: Path) -> None:
    with sqlite3.connect(home / "catalog.db") as catalog:
        catalog.execute("UPDATE alembic_version SET version_num = '9999'")
    catalog.close()


@pytest.mark.parametrize("newer", [newer_home, newer_store, newer_catalogue], ids=lambda one: one.__name__)
def test_what_a_newer_lantai_made_is_refused(old: Lantai, newer: object) -> None:
    assert callable(newer)
    newer(old.folder)
    done = old("list", "--json")
    assert (done.code, done.error["kind"]) == (2, "UsageError")
    assert "newer lantai" in done.error["what"]
