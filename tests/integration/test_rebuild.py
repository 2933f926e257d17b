"""The catalogue deleted and made anew from a store: the same answers."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from lantai.archive import Archive
from lantai.errors import StoreUnavailable
from lantai.recovery.rebuild import fill
from lantai.storage import promises
from tests.integration.command import Lantai, folder
from tests.services import Server, bucket


def answers(lantai: Lantai) -> dict[str, str]:
    """Everything that the catalogue answers, byte for byte."""
    found = {"list": lantai("list", "--json").out, "withdrawn": lantai("list", "--withdrawn", "--json").out}
    ids = [json.loads(line)["package"] for line in (found["list"] + found["withdrawn"]).splitlines()]
    for id in ids:
        found[id] = lantai("show", id, "--files", "--json").out
    for query in ("活动", "方案", "txt", "文化节", "2021"):
        found[query] = lantai("search", query, "--json").out
        for line in found[query].splitlines():
            record = json.loads(line)["record"]
            found[record] = lantai("show", record, "--json").out
    return found


def forget(lantai: Lantai) -> None:
    for file in lantai.folder.glob("catalog.db*"):
        file.unlink()


def lived(lantai: Lantai, tmp_path: Path) -> list[str]:
    """Packages of which some have several versions, decisions, and were withdrawn; a home with a history."""
    ids = []
    for number in range(4):
        files: dict[str, str | bytes] = {f"第{number}届/活动方案.txt": f"{number}\n", "照片/1.txt": "one\n"}
        submission = folder(tmp_path / f"submission-{number}", files)
        ids.append(str(lantai.stored(submission, "--title", f"第{number}届文化节")["package"]))
    more = folder(tmp_path / "more", {"总结.txt": "圆满结束\n"}) / "总结.txt"
    for words in (
        ["update", ids[0], "--add", more, "--reason", "补交"],
        ["update", ids[0], "--title", "第一届金秋文化节", "--reason", "更正"],
        ["access", "set", ids[1], "2051-01-01", "--reason", "未满", "--ground", "statute"],
        ["access", "set", ids[1], "open", "--reason", "期满"],
        ["access", "set", ids[2], "description", "--reason", "条目公开"],
        ["withdraw", ids[3], "--reason", "投诉"],
        ["withdraw", ids[2], "--reason", "投诉"],
        ["withdraw", ids[2], "--undo", "--reason", "已核实"],
        ["agent", "rename", "王芳", "王芳 (利用科)"],
        ["access", "set", ids[0], "closed", "--reason", "复查", "--by", "王芳"],
        ["validate"],
    ):
        assert lantai(*words).code == 0, words
    return ids


def test_a_deleted_catalogue_comes_back_with_the_same_answers(lantai: Lantai, tmp_path: Path) -> None:
    lived(lantai, tmp_path)
    before = answers(lantai)
    forget(lantai)
    done = lantai("list", "--json")
    assert (done.code, done.error["kind"]) == (1, "Damaged")
    assert "lantai rebuild" in done.error["remedy"]
    told = lantai("rebuild", "--json")
    assert (told.code, told.object["packages"], told.object["errors"]) == (0, 4, [])
    assert answers(lantai) == before
    assert lantai("journal", "verify").code == 0
    assert not list(lantai.folder.glob("catalog.db.new*"))


def test_what_was_handed_over_is_known_again_whatever_became_of_it(lantai: Lantai, tmp_path: Path) -> None:
    ids = lived(lantai, tmp_path)
    forget(lantai)
    assert lantai("rebuild").code == 0
    told = lantai("ingest", tmp_path / "submission-0", "--json").object
    assert (told["status"], told["package"]) == ("present", ids[0])


@pytest.mark.parametrize("how", ["truncated", "garbage", "empty"])
def test_a_catalogue_that_cannot_be_read_is_put_in_order(lantai: Lantai, tmp_path: Path, how: str) -> None:
    lived(lantai, tmp_path)
    before = answers(lantai)
    with sqlite3.connect(lantai.folder / "catalog.db") as opened:
        opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    opened.close()
    data = (lantai.folder / "catalog.db").read_bytes()
    forget(lantai)
    broken = {"truncated": data[: len(data) // 2], "garbage": b"no database" * 1000, "empty": b""}[how]
    (lantai.folder / "catalog.db").write_bytes(broken)
    if how != "empty":
        done = lantai("list", "--json")
        assert (done.code, done.error["kind"]) == (1, "Damaged")
        assert "lantai rebuild" in done.error["remedy"]
    assert lantai("rebuild").code == 0
    assert answers(lantai) == before


def test_a_store_that_goes_away_meanwhile_leaves_the_old_catalogue(lantai: Lantai, tmp_path: Path) -> None:
    lived(lantai, tmp_path)
    before = answers(lantai)
    store = lantai.folder / "store"

    def go_away(_packages: int, _octets: int) -> None:
        store.rename(lantai.folder / "away")
        store.mkdir()

    with Archive(lantai.folder, by="王芳") as archive, pytest.raises(StoreUnavailable):
        archive.rebuild(None, progress=go_away)
    store.rmdir()
    (lantai.folder / "away").rename(store)
    assert answers(lantai) == before
    assert lantai("rebuild").code == 0
    assert answers(lantai) == before


def test_a_database_of_something_else_is_left_alone(lantai: Lantai, tmp_path: Path) -> None:
    lived(lantai, tmp_path)
    forget(lantai)
    with sqlite3.connect(lantai.folder / "catalog.db") as other:
        other.execute("CREATE TABLE accounts (name TEXT)")
    other.close()
    before = (lantai.folder / "catalog.db").read_bytes()
    done = lantai("rebuild", "--json")
    assert (done.code, done.error["kind"]) == (2, "UsageError")
    assert (lantai.folder / "catalog.db").read_bytes() == before
    assert list(lantai.folder.glob("catalog.db.new*")) == []


def test_until_the_new_one_is_whole_the_old_one_serves_and_nothing_told_meanwhile_is_lost(
    lantai: Lantai, tmp_path: Path
) -> None:
    ids = lived(lantai, tmp_path)
    told: list[Any] = []

    def busy(*arguments: Any, **more: Any) -> Any:
        done = fill(*arguments, **more)
        told.append(lantai("list", "--json").objects)
        told.append(lantai.stored(folder(tmp_path / "late", {"活动-补.txt": "late\n"}))["package"])
        assert lantai("access", "set", ids[2], "open", "--reason", "期满").code == 0
        assert lantai("update", ids[1], "--title", "改题", "--reason", "更正").code == 0
        told.append(answers(lantai))
        return done

    with mock.patch("lantai.recovery.rebuild.fill", busy):
        assert lantai("rebuild").code == 0
    assert len(told[0]) == 3
    assert answers(lantai) == told[2]
    assert told[1] in answers(lantai)


def test_a_store_that_is_behind_says_what_it_lacks(lantai: Lantai, tmp_path: Path) -> None:
    second = tmp_path / "second"
    second.mkdir()
    settings = lantai.folder / "lantai.toml"
    table = f'[[store]]\nname = "second"\npath = "{second}"\nrequired = false\n\n[ingest]'
    settings.write_text(settings.read_text().replace("[ingest]", table, 1))
    first = lantai.stored(folder(tmp_path / "first", {"a.txt": "a\n"}))["package"]
    assert lantai("access", "set", first, "open", "--reason", "期满").code == 0
    away = second.rename(tmp_path / "away")
    late = lantai.stored(folder(tmp_path / "late", {"b.txt": "b\n"}))["package"]
    assert lantai("update", first, "--title", "题", "--reason", "更正").code == 0
    assert lantai("access", "set", first, "closed", "--reason", "投诉").code == 0
    before = answers(lantai)
    away.rename(second)
    (chain,) = (second / "journal").iterdir()
    done = lantai("rebuild", "--store", "second", "--json")
    told = {(one["code"], one["subject"]) for one in done.object["errors"]}
    assert done.code == 1
    assert told == {
        ("rebuild-package-behind", first), ("rebuild-package-behind", late),
        ("rebuild-chain-behind", f"journal/{chain.name}"),
    }  # fmt: skip
    assert lantai("list", "--json").object["version"] == 1
    assert lantai("rebuild").code == 0
    assert answers(lantai) == before


def test_what_is_damaged_in_the_store_is_named_and_the_rest_comes_back(lantai: Lantai, tmp_path: Path) -> None:
    ids = lived(lantai, tmp_path)
    before = answers(lantai)
    (place,) = (lantai.folder / "store" / "ocfl").glob(f"*/*/*/*{ids[3].removeprefix('urn:uuid:')}")
    (premis,) = (one for one in place.rglob("premis.xml") if "original" not in str(one))
    premis.write_bytes(premis.read_bytes()[:-100])
    forget(lantai)
    done = lantai("rebuild", "--json")
    assert (done.code, [one["code"] for one in done.object["errors"]]) == (1, ["rebuild-damaged"])
    assert lantai("list", "--json").out == before["list"]


def test_an_inventory_that_is_missing_below_the_head_keeps_nothing_from_coming_back(
    lantai: Lantai, tmp_path: Path
) -> None:
    id, *_others = lived(lantai, tmp_path)
    (first,) = lantai.folder.glob(f"store/ocfl/*/*/*/{id.replace(':', '%3a')}/v1/inventory.json")
    first.unlink()
    before = answers(lantai)
    assert lantai("rebuild").code == 0
    after = answers(lantai)
    assert {key for key in before if before[key] != after.get(key)} == {id}
    assert [bool(one["stores"]) for one in json.loads(after[id])["versions"]] == [False, True, True]


@pytest.mark.parametrize(("server", "many"), [("moto_server", 40), ("ceph_server", 200)])
def test_hundreds_of_packages_come_back_from_each_store(
    lantai: Lantai, tmp_path: Path, server: str, many: int, request: pytest.FixtureRequest
) -> None:
    found: Server = request.getfixturevalue(server)
    lines = (
        f'name = "cloud"\nkind = "s3"\nbucket = "{bucket(found)}"\nprefix = "兰台"\n'
        f'endpoint_url = "{found.endpoint_url}"'
    )
    settings = lantai.folder / "lantai.toml"
    settings.write_text(settings.read_text().replace("[ingest]", f"[[store]]\n{lines}\n\n[ingest]", 1))
    keys = {"AWS_ACCESS_KEY_ID": found.access_key, "AWS_SECRET_ACCESS_KEY": found.secret_key}
    lantai = Lantai(lantai.folder, keys)
    for number in range(many):
        folder(tmp_path / "each" / f"{number:03}", {"活动方案.txt": f"plan {number}\n"})
    with mock.patch.object(promises, "_RACES", ((4, 1024),)):
        assert lantai("ingest", tmp_path / "each", "--each", "--json").code == 0
    ids = [json.loads(line)["package"] for line in lantai("list", "--json").out.splitlines()]
    assert len(ids) == many
    assert lantai("access", "set", ids[7], "open", "--reason", "期满").code == 0
    assert lantai("withdraw", ids[9], "--reason", "投诉").code == 0
    assert lantai("update", ids[11], "--title", "更正", "--reason", "更正").code == 0
    before = {name: lantai(*words, "--json").out for name, words in ASKED.items()}
    before |= {id: lantai("show", id, "--files", "--json").out for id in ids[5:13]}
    for store in ("local", "cloud"):
        forget(lantai)
        told = lantai("rebuild", "--store", store, "--json").object
        assert (told["packages"], told["errors"]) == (many, [])
        assert {name: lantai(*words, "--json").out for name, words in ASKED.items()} | {
            id: lantai("show", id, "--files", "--json").out for id in ids[5:13]
        } == before


ASKED = {
    "list": ["list"], "withdrawn": ["list", "--withdrawn"], "活动": ["search", "活动"], "plan": ["search", "方案"],
    "journal": ["journal", "list"],
}  # fmt: skip


def test_a_home_of_only_its_settings_comes_back(lantai: Lantai, tmp_path: Path) -> None:
    """As docs/user-guide.md says."""
    lived(lantai, tmp_path)
    before = answers(lantai)
    home = tmp_path / "restored"
    home.mkdir()
    for name in ("lantai.toml", "home.json"):
        shutil.copy(lantai.folder / name, home)
    shutil.move(lantai.folder / "store", home / "store")
    restored = Lantai(home)
    assert restored("rebuild").code == 0
    assert answers(restored) == before
    assert restored("validate").code == 0
