"""Several stores: what one has, all have, byte for byte; one may be away; nothing is ever replaced."""

from __future__ import annotations

import hashlib
import shutil
from functools import partial
from pathlib import Path

import pytest

from lantai.storage import Bucket, Store, open_store
from tests.integration.command import Lantai, add_store, codes, folder
from tests.services import Server, bucket


def contents(store: Store | Path) -> dict[str, str]:
    """The digest of what lies under each key that all stores of an archive share, but the journal."""
    opened = open_store(store) if isinstance(store, Path) else store
    found = {}
    for one in opened.list():
        if not one.key.startswith(("staging/", "store.json", "journal/")):
            with opened.open(one.key) as file:
                found[one.key] = hashlib.sha256(file.read()).hexdigest()
    return found


def test_a_package_is_the_same_in_every_store(lantai: Lantai, second: Path, records: Path, tmp_path: Path) -> None:
    package = lantai.stored(records)["package"]
    folder(tmp_path / "more", {"总结.txt": "圆满结束\n"})
    more = ("--add", tmp_path / "more" / "总结.txt", "--reason", "补交")
    assert lantai("update", package, *more, "--json").object["status"] == "stored"
    assert contents(second) == contents(lantai.folder / "store")
    versions = lantai("show", package, "--json").object["versions"]
    assert [[one["store"] for one in version["stores"]] for version in versions] == [["local", "second"]] * 2
    assert all(one["since"].endswith("Z") for version in versions for one in version["stores"])
    told = lantai("validate", "--json").objects
    assert [(one["store"], one["valid"]) for one in told] == [("local", True), ("second", True)]


@pytest.mark.parametrize("server", ["moto_server", "ceph_server"])
def test_a_copy_may_be_a_bucket(lantai: Lantai, records: Path, server: str, request: pytest.FixtureRequest) -> None:
    found: Server = request.getfixturevalue(server)
    name = bucket(found)
    lines = f'name = "cloud"\nkind = "s3"\nbucket = "{name}"\nprefix = "兰台"\nendpoint_url = "{found.endpoint_url}"'
    add_store(lantai, lines)
    keys = {"AWS_ACCESS_KEY_ID": found.access_key, "AWS_SECRET_ACCESS_KEY": found.secret_key}
    lantai = Lantai(lantai.folder, keys)
    package = lantai.stored(records)["package"]
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in keys.items():
            patch.setenv(variable, value)
        assert contents(open_store(Bucket(name, "兰台/", found.endpoint_url))) == contents(lantai.folder / "store")
    out = lantai("export", package, "out", "--store", "cloud", "--version", "1", "--json")
    assert (out.code, out.object["verdict"]) == (0, "valid")


def test_what_a_required_store_lacks_is_pending_until_it_is_replicated(
    lantai: Lantai, second: Path, records: Path
) -> None:
    away = second.rename(second.with_name("away"))
    done = lantai("ingest", records, "--json")
    assert (done.code, done.object["status"], done.object["missing"]) == (1, "pending", ["second"])
    package = done.object["package"]
    assert lantai("validate", "--json").code == 0
    assert lantai("replicate", "--json").code == 1
    again = lantai("ingest", records, "--json").object
    assert (again["status"], again["package"]) == ("pending", package)
    change = lantai("update", package, "--title", "文化节", "--reason", "更正", "--json")
    assert (change.code, change.object["status"]) == (1, "pending")
    away.rename(second)
    told = lantai("replicate", "--json").object
    assert (told["package"], told["store"], told["status"], told["versions"]) == (package, "second", "copied", 2)
    assert contents(second) == contents(lantai.folder / "store")
    assert lantai("replicate").out.endswith("0 packages, 0 versions copied\n")
    assert lantai("replicate", "--json").object["status"] == "present"
    assert lantai("ingest", records, "--json").object["status"] == "present"


def test_a_disk_in_a_safe_holds_up_nothing(lantai: Lantai, tmp_path: Path, records: Path) -> None:
    add_store(lantai, f'name = "safe"\npath = "{tmp_path / "safe"}"\nrequired = false')
    done = lantai("ingest", records, "--json")
    assert (done.code, done.object["status"]) == (0, "stored")
    assert "copy-missing" in [one["code"] for one in done.object["warnings"]]
    for command in (("replicate",), ("validate",), ("clean",), ("list",), ("show", done.object["package"])):
        assert lantai(*command, "--json").code == 0, command
    assert lantai("replicate", "--to", "safe").code == 1


def test_a_new_store_is_filled(lantai: Lantai, tmp_path: Path, records: Path) -> None:
    first = lantai.stored(records)["package"]
    other = lantai.stored(folder(tmp_path / "other", {"a.txt": "another\n"}))["package"]
    (tmp_path / "new").mkdir()
    add_store(lantai, f'name = "new"\npath = "{tmp_path / "new"}"')
    told = lantai("replicate", "--json").objects
    assert {one["package"] for one in told if one["status"] == "copied"} == {first, other}
    assert contents(tmp_path / "new") == contents(lantai.folder / "store")


def test_a_lost_primary_is_refilled(lantai: Lantai, second: Path, records: Path) -> None:
    package = lantai.stored(records)["package"]
    store = lantai.folder / "store"
    before = contents(store)
    shutil.rmtree(store)
    assert lantai("list", "--json").object["package"] == package
    assert lantai("search", "活动", "--json").code == 0
    assert lantai("export", package, "out", "--store", "second", "--json").object["verdict"] == "valid"
    assert lantai("ingest", records, "--json").error["kind"] == "NotFound"
    store.mkdir()
    assert lantai("replicate", "--from", "second", "--to", "local", "--json").object["status"] == "copied"
    assert contents(store) == before
    assert lantai("ingest", records, "--json").object["status"] == "present"


def test_a_primary_that_was_refilled_from_behind_is_not_written_to(
    lantai: Lantai, second: Path, records: Path, tmp_path: Path
) -> None:
    package = lantai.stored(records)["package"]
    away = second.rename(second.with_name("away"))
    lantai("update", package, "--title", "文化节", "--reason", "更正")
    away.rename(second)
    shutil.rmtree(lantai.folder / "store")
    (lantai.folder / "store").mkdir()
    assert lantai("replicate", "--from", "second", "--to", "local").code == 1  # it had had more
    done = lantai("update", package, "--title", "再次", "--reason", "更正", "--json")
    assert (done.code, done.error["kind"]) == (1, "Damaged")


@pytest.mark.parametrize("lost", ["package", "version"])
def test_what_a_copy_had_and_lost_comes_back_and_is_told(
    lantai: Lantai, second: Path, records: Path, lost: str
) -> None:
    package = lantai.stored(records)["package"]
    lantai("update", package, "--title", "文化节", "--reason", "更正")
    whole = contents(second)
    place = inventory(second, package).parents[1]
    shutil.rmtree(place if lost == "package" else place / "v2")
    versions = 2 if lost == "package" else 1
    done = lantai("replicate", "--json")
    assert (done.code, done.object["status"], done.object["versions"]) == (1, "copied", versions)
    assert codes(done.object["errors"]) == {"copy-lost": package}
    assert contents(second) == whole
    [entry] = [one for one in lantai("journal", "list", "--json").objects if one["kind"] == "repair"]
    assert (entry["subject"]["id"], entry["state"]["store"], entry["state"]["from"]) == (package, "second", "local")
    assert entry["state"]["valid"]
    run = lantai("jobs", "--json").objects[0]
    assert (run["verdict"], run["faults"], run["repaired"]) == ("faults", 1, versions)
    assert lantai("replicate").code == 0
    assert lantai("jobs", "--json").objects[0]["verdict"] == "passed"


def test_a_loss_is_a_line_for_people_and_is_told_by_an_update_too(lantai: Lantai, second: Path, records: Path) -> None:
    package = lantai.stored(records)["package"]
    shutil.rmtree(inventory(second, package).parents[1])
    assert "second" in lantai("replicate", LANTAI_LANG="en").err
    shutil.rmtree(inventory(second, package).parents[1])
    done = lantai("update", package, "--title", "文化节", "--reason", "更正", "--json")
    assert codes(done.object["warnings"]) == {"copy-lost": "second"}


@pytest.mark.parametrize("harm", ["damaged", "missing"])
def test_a_segment_of_the_journal_that_was_lost_comes_back_and_is_told(
    lantai: Lantai, second: Path, records: Path, harm: str
) -> None:
    lantai.stored(records)
    for package in ("1", "2"):
        lantai("clean", "--older-than", package)  # each run is an entry
    [first, *_later] = sorted((second / "journal").glob("*/*.ndjson"))
    whole = first.read_bytes()
    if harm == "missing":
        first.unlink()
    else:
        first.write_bytes(whole[:-9])
    done = lantai("replicate", "--json")
    [told] = [one for one in done.objects if one["package"] is None]
    assert (done.code, told["store"], told["segments"]) == (1, "second", 1)
    assert codes(told["errors"]) == {f"journal-{harm}": first.relative_to(second).as_posix()}
    assert first.read_bytes() == whole
    assert [one["kind"] for one in lantai("journal", "list", "--json").objects].count("repair") == 1
    assert lantai("jobs", "--json").objects[0]["verdict"] == "faults"
    assert lantai("replicate").code == 0


def inventory(store: Path, package: str) -> Path:
    [found] = [one for one in store.glob("ocfl/*/*/*/*/v1/inventory.json") if package in one.read_text()]
    return found


def test_what_differs_is_named_and_left(lantai: Lantai, second: Path, records: Path) -> None:
    package = lantai.stored(records)["package"]
    theirs = inventory(second, package)
    theirs.write_text(theirs.read_text().replace("ingest of", "Ingest of"))
    before = contents(second)
    done = lantai("replicate", "--json")
    assert (done.code, done.object["status"], done.object["package"]) == (1, "diverged", package)
    assert contents(second) == before
    change = lantai("update", package, "--title", "文化节", "--reason", "更正", "--json")
    assert (change.code, change.object["missing"]) == (1, ["second"])
    assert contents(second) == before


def test_damaged_bytes_are_not_copied(lantai: Lantai, tmp_path: Path, records: Path) -> None:
    package = lantai.stored(records)["package"]
    whole = lantai.stored(folder(tmp_path / "other", {"a.txt": "another\n"}))["package"]
    [plan] = [
        one for one in (lantai.folder / "store").rglob("活动方案.txt") if one.is_file() and "content" in one.parts
    ]
    plan.write_bytes(plan.read_bytes()[:-1] + b"?")
    place = tmp_path / "second"
    place.mkdir()
    add_store(lantai, f'name = "second"\npath = "{place}"')
    done = lantai("replicate", "--json")
    told = {one["package"]: one for one in done.objects}
    assert (done.code, told[package]["status"], told[whole]["status"]) == (1, "failed", "copied")
    assert told[package]["error"]["kind"] == "Damaged"
    assert [one["object"] for one in lantai("validate", "--store", "second", "--json").objects] == [whole]


def test_a_lost_head_is_not_passed_by_and_comes_back_in_a_copy(lantai: Lantai, second: Path, records: Path) -> None:
    package = lantai.stored(records)["package"]
    for title in ("文化节", "秋季文化节"):
        lantai("update", package, "--title", title, "--reason", "更正", "--json")
    whole = contents(second)
    (inventory(second, package).parents[1] / "v3" / "inventory.json").unlink()
    done = lantai("replicate", "--json")
    assert (done.code, done.object["status"], done.object["versions"]) == (1, "copied", 1)
    assert contents(second) == whole
    (inventory(lantai.folder / "store", package).parents[1] / "v3" / "inventory.json").unlink()
    done = lantai("replicate", "--json")
    assert (done.code, done.object["package"], done.object["error"]["kind"]) == (1, package, "Damaged")
    assert contents(second) == whole
    assert contents(lantai.folder / "store") == {
        key: it for key, it in whole.items() if not key.endswith("v3/inventory.json")
    }


def test_stores_must_stand_in_their_places(lantai: Lantai, second: Path, records: Path, tmp_path: Path) -> None:
    lantai.stored(records)
    settings = lantai.folder / "lantai.toml"
    right = settings.read_text()
    swapped = right.replace('path = "store"', 'path = "?"').replace(str(second), "store")
    settings.write_text(swapped.replace("?", str(second)))
    assert lantai("ingest", records, "--json").error["kind"] == "UsageError"
    settings.write_text(right.replace(str(second), "store"))
    assert lantai("replicate", "--json").object["status"] == "failed"
    Lantai(tmp_path)("init", "foreign")
    settings.write_text(right.replace(str(second), str(tmp_path / "foreign" / "store")))
    told = lantai("replicate", "--json")
    assert (told.code, told.object["error"]["kind"]) == (1, "UsageError")
    settings.write_text(right.replace('"store"', f'"{tmp_path / "foreign" / "store"}"'))
    assert lantai("list", "--json").error["kind"] == "UsageError"


def test_a_copy_is_cleaned_of_what_no_store_names(lantai: Lantai, second: Path, records: Path) -> None:
    package = lantai.stored(records)["package"]
    place = inventory(second, package).parent.parent
    store = open_store(second)
    key = place.relative_to(second).as_posix()
    store.put(f"{key}/v2/content/00000000/x", partial(iter, (b"left",)), algorithms=())
    own = inventory(second, package)
    text = own.read_bytes()
    for one in (*place.glob("inventory.json*"), *place.glob("v1/inventory.json*"), place / "0=ocfl_object_1.1"):
        one.unlink()  # as in the middle of being copied: the content is there, the inventory not yet
    before = contents(second)
    told = lantai("clean", "--older-than", "0", "--json").objects
    assert [(one["version"], one["draft"], one["outcome"]) for one in told] == [(2, "00000000", "removed")]
    assert {one for one in before if one not in contents(second)} == {f"{key}/v2/content/00000000/x"}
    assert lantai("replicate", "--json").object["status"] == "copied"
    assert own.read_bytes() == text


def test_names_that_no_store_has(lantai: Lantai, second: Path) -> None:
    for command in (("replicate", "--to", "x"), ("validate", "--store", "x"), ("check-store", "--store", "x")):
        assert lantai(*command, "--json").error["kind"] == "UsageError"
    assert lantai("replicate", "--to", "local", "--json").error["kind"] == "UsageError"
