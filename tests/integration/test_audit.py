"""audit: what was changed since it was stored is found, and named; an audit that could not find it says so."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lantai import archive
from lantai.digest import Algorithm
from lantai.fixity import audit as auditing
from lantai.fixity import run, sizes
from lantai.storage import Store, read_digests, views, workers
from tests.integration.command import Done, Lantai, folder
from tests.integration.test_rebuild import answers, forget


@pytest.fixture
def ids(lantai: Lantai, second: Path, tmp_path: Path) -> list[str]:
    """Two packages, one of them of two versions, in two stores."""
    found = []
    for number in range(2):
        files: dict[str, str | bytes] = {"活动方案.txt": f"方案 {number}\n", "照片/1.jpg": bytes(range(256)) * 300}
        found.append(lantai.stored(folder(tmp_path / f"submission-{number}", files))["package"])
    assert lantai("update", found[0], "--title", "第二版", "--reason", "更正").code == 0
    return found


def checks(lantai: Lantai) -> list[dict[str, Any]]:
    return [one for one in lantai("journal", "list", "--json").objects if one["kind"] == "check"]


def at(store: Path, pattern: str) -> Path:
    return sorted(store.glob(pattern))[0]


def test_what_is_whole_is_said_to_be_and_entered(lantai: Lantai, second: Path, ids: list[str]) -> None:
    done = lantai("audit", "--all", "--json")
    assert done.code == 0, done
    told = done.object
    assert (told["checked"], told["failed"], told["void"], told["level"]) == (4, [], False, "full")
    stored = sum(one.stat().st_size for one in second.glob("ocfl/*/*/*/*/v*/content/**/*") if one.is_file())
    assert told["bytes"] == 2 * stored
    entered = checks(lantai)
    assert sorted((one["subject"]["id"], one["state"]["store"]) for one in entered) == sorted(
        (id, store) for id in ids for store in ("local", "second")
    )
    assert {(one["state"]["valid"], one["state"]["level"], one["state"]["control"]) for one in entered} == {
        (True, "full", "passed")
    }


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def swap(file: Path) -> None:
    file.write_bytes(b"other bytes, of another file")


PLACES = {
    "content": "ocfl/*/*/*/*/v1/content/*/data/*/representations/original/data/照片/1.jpg",
    "METS": "ocfl/*/*/*/*/v1/content/*/data/*/METS.xml",
    "inventory": "ocfl/*/*/*/*/v1/inventory.json",
    "sidecar": "ocfl/*/*/*/*/v1/inventory.json.sha256",
    "root inventory": "ocfl/*/*/*/*/inventory.json",
    "declaration": "ocfl/*/*/*/*/0=ocfl_object_1.1",
    "layout": "ocfl/ocfl_layout.json",
    "schema": "schemas/mets-1.12.xsd",
    "journal": "journal/*/*.ndjson",
    "store.json": "store.json",
}


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("how", [flip, cut, swap, Path.unlink])
def test_every_damage_is_found_and_named(
    lantai: Lantai, second: Path, ids: list[str], where: str, how: Callable[[Path], None]
) -> None:
    assert ids
    assert lantai("access", "set", ids[0], "open", "--reason", "期满").code == 0
    file = at(second, PLACES[where])
    how(file)
    done = lantai("audit", "--all", "--json")
    assert done.code == 1, done
    named = [one for one in done.object["failed"] if one["store"] == "second"]
    key = file.relative_to(second).as_posix()
    assert any(one["subject"].startswith(key) or key.startswith(one["subject"]) for one in named), done.object
    assert done.object["not_reached"] == []
    assert {one["store"] for one in done.object["failed"]} <= {"second"}


def everything(store: Path) -> dict[str, bytes]:
    return {one.relative_to(store).as_posix(): one.read_bytes() for one in store.glob("ocfl/**/*") if one.is_file()}


OF_OBJECTS = [name for name in PLACES if PLACES[name].startswith("ocfl/*")]


@pytest.mark.parametrize("where", OF_OBJECTS)
@pytest.mark.parametrize("how", [flip, cut, swap, Path.unlink])
@pytest.mark.parametrize("store", ["local", "second"])
def test_what_is_damaged_is_taken_from_the_other_store_and_kept_aside(
    lantai: Lantai, second: Path, ids: list[str], where: str, how: Callable[[Path], None], store: str
) -> None:
    assert ids
    place = second if store == "second" else lantai.folder / "store"
    before = everything(place)
    file = at(place, PLACES[where])
    how(file)
    damaged = file.read_bytes() if file.exists() else None
    done = lantai("audit", "--all", "--json")
    assert (done.code, done.object["lost"], done.object["void"]) == (1, [], False), done
    assert done.object["repaired"] >= 1
    assert everything(place) == before
    kept = [one.read_bytes() for one in (lantai.folder / "damaged").glob(f"{store}/**/*") if one.is_file()]
    assert kept == ([damaged] if damaged is not None else [])
    assert lantai("audit", "--all", "--json").code == 0
    (entered,) = [one for one in lantai("journal", "list", "--json").objects if one["kind"] == "repair"]
    assert (entered["state"]["store"], entered["state"]["valid"]) == (store, True)
    assert file.relative_to(place).as_posix() in entered["state"]["keys"]


def test_many_damages_at_once_are_all_repaired(lantai: Lantai, second: Path, ids: list[str]) -> None:
    assert ids
    before = everything(second)
    files = sorted(second / name for name in before if name.count("/") > 4)
    ways: list[Callable[[Path], None]] = [flip, cut, swap, Path.unlink]
    for number, file in enumerate(files):
        ways[number % 4](file)
    (files[0].parent / "v1" / "content" / "extra").mkdir(parents=True, exist_ok=True)
    (files[0].parent / "v1" / "content" / "extra" / "file").write_text("more")
    assert lantai("audit", "--all", "--json").code == 1
    told = lantai("audit", "--all", "--json")  # what lay there too much is seen once inventories can be read
    assert lantai("audit", "--all", "--json").code == 0, told
    assert everything(second) == before
    assert lantai("validate").code == 0


def test_a_name_as_long_as_names_can_be_is_kept_aside_too(lantai: Lantai, second: Path, tmp_path: Path) -> None:
    name = "长" * 83 + ".txt"  # 253 bytes
    lantai.stored(folder(tmp_path / "long", {name: "a long name\n"}))
    flip(next(second.glob(f"ocfl/**/{name}")))
    assert lantai("audit", "--all", "--json").object["lost"] == []
    assert lantai("audit", "--all", "--json").code == 0
    assert len(list(lantai.folder.glob(f"damaged/second/*/ocfl/**/{name}"))) == 1


def test_what_a_dead_draft_left_is_told_and_left_to_clean(lantai: Lantai, second: Path, ids: list[str]) -> None:
    assert ids
    left = at(second, "ocfl/*/*/*/*/v1/content") / "0badcafe" / "data.txt"
    left.parent.mkdir()
    left.write_text("of a draft")
    (found,) = lantai("audit", "--all", "--json").object["failed"]
    assert (found["code"], left.read_text()) == ("E023", "of a draft")


def test_a_copy_that_is_behind_still_gives_what_it_has(lantai: Lantai, second: Path, ids: list[str]) -> None:
    second.rename(second.with_name("away"))
    assert lantai("update", ids[1], "--title", "第三版", "--reason", "更正").code == 1  # pending
    second.with_name("away").rename(second)
    primary = lantai.folder / "store"
    before = everything(primary)
    flip(at(primary, f"ocfl/*/*/*/{ids[1].replace(':', '%3a')}/v1/content/*/data/**/1.jpg"))
    (repaired,) = lantai("audit", "--all", "--json").object["repairs"]
    assert (repaired["store"], repaired["from"], len(repaired["keys"])) == ("local", "local, second", 1)
    assert everything(primary) == before


def test_where_no_store_has_it_whole_it_is_said_to_be_lost_and_nothing_is_changed(
    lantai: Lantai, second: Path, ids: list[str]
) -> None:
    for place in (second, lantai.folder / "store"):
        flip(at(place, PLACES["content"]))
    before = everything(second), everything(lantai.folder / "store")
    done = lantai("audit", "--all", "--json")
    assert done.code == 1
    assert sorted((one["store"], one["package"] in ids) for one in done.object["lost"]) == [
        ("local", True), ("second", True),
    ]  # fmt: skip
    assert (everything(second), everything(lantai.folder / "store")) == before
    assert not (lantai.folder / "damaged").exists()


def test_repair_can_be_left_out(lantai: Lantai, second: Path, ids: list[str]) -> None:
    assert ids
    flip(at(second, PLACES["content"]))
    before = everything(second)
    assert lantai("audit", "--all", "--no-repair", "--json").object["repaired"] == 0
    assert everything(second) == before


def test_what_lies_there_too_much_is_found(lantai: Lantai, second: Path, ids: list[str]) -> None:
    extra = at(second, "ocfl/*/*/*/*/v1") / "extra.txt"
    extra.write_text("who put this here?")
    (second / "stray.txt").write_text("and this?")
    named = {one["subject"] for one in lantai("audit", "--all", "--no-repair", "--json").object["failed"]}
    assert named == {extra.relative_to(second).as_posix(), "stray.txt"}
    assert lantai("audit", "--package", ids[0], "--package", ids[1], "--json").code == 1


def odd(place: Path) -> set[str]:
    """One of each kind that no store can hold, and how it is told."""
    (place / "link").symlink_to("/etc/passwd")
    os.mkfifo(place / "pipe")
    (place / "empty").mkdir()
    (place / os.fsdecode(b"\xff\xfe")).write_text("x")
    (place / "esc\x1bx").write_text("x")
    return {"link", "pipe", "empty/", r"\xff\xfe", r"esc\x1bx"}


ODD_PLACES = [
    "ocfl/*/*/*/*/v1", "ocfl/*/*/*/*/v1/content/*/data", "ocfl/*/*/*/*", "ocfl", "ocfl/*/*", "schemas", "journal",
    "journal/*", "store.json/..",
]  # fmt: skip


@pytest.mark.parametrize("where", ODD_PLACES)
def test_what_no_store_can_hold_is_told_one_by_one_and_left_to_a_person(
    lantai: Lantai, second: Path, ids: list[str], where: str
) -> None:
    assert lantai("access", "set", ids[0], "open", "--reason", "期满").code == 0
    place = second if where == "store.json/.." else at(second, where)
    keys = {(place.relative_to(second) / "x").as_posix()[:-1] + name for name in odd(place)}
    lain = set(second.glob("**/*"))
    for words in (("--no-repair", "--level", "listing"), ()):
        told = lantai("audit", "--all", "--json", *words)
        assert (told.code, told.object["checked"], told.object["not_reached"]) == (1, 4, []), told
        assert {(one["store"], one["subject"]) for one in told.object["failed"]} == {("second", key) for key in keys}
        assert (len(told.object["failed"]), told.object["repaired"], told.object["void"]) == (len(keys), 0, False)
    assert lain <= set(second.glob("**/*"))
    if where.startswith("ocfl/*/*/*/*"):  # a package's own, so it is entered
        assert "store-odd" in lantai("journal", "list", "--json").out


def test_a_package_is_put_right_beside_what_no_store_can_hold(lantai: Lantai, second: Path, ids: list[str]) -> None:
    assert ids
    file = at(second, PLACES["content"])
    whole = file.read_bytes()
    place = at(second, "ocfl/*/*/*/*/v1")
    odd(place)
    odd(at(lantai.folder / "store", "ocfl/*/*/*/*/v1"))  # and in the store that it is taken from
    lain = set(second.glob("**/*"))
    flip(file)
    assert lantai("audit", "--all", "--json").object["repaired"] == 1
    assert file.read_bytes() == whole
    assert lain <= set(second.glob("**/*"))


def test_validate_tells_what_no_store_can_hold(lantai: Lantai, ids: list[str]) -> None:
    place = at(lantai.folder / "store", "ocfl/*/*/*/*/v1/content")
    assert (len(ids), lantai("validate", "--json").code) == (2, 0)
    names = odd(place)
    told = lantai("validate", "--json")
    assert told.code == 1
    assert all(f"v1/content/{name}" in told.out.replace("\\\\", "\\") for name in names), told


def test_a_link_in_the_place_of_an_object_is_told(lantai: Lantai, second: Path, ids: list[str]) -> None:
    assert ids
    gone = at(second, "ocfl/*/*/*/*")
    gone.rename(second.parent / "moved")
    gone.mkdir()
    (gone / "v1").symlink_to(second.parent / "moved" / "v1")
    told = {one["subject"] for one in lantai("audit", "--all", "--no-repair", "--json").object["failed"]}
    assert (gone / "v1").relative_to(second).as_posix() in told


def test_a_level_says_what_it_looked_at(lantai: Lantai, second: Path, ids: list[str]) -> None:
    assert ids
    flip(at(second, PLACES["content"]))
    told = lantai("audit", "--all", "--level", "listing", "--json")
    assert (told.code, told.object["level"]) == (0, "listing")
    assert told.object["bytes"] == 2 * sum(one.stat().st_size for one in read_by_a_listing(second))
    assert {one["state"]["level"] for one in checks(lantai)} == {"listing"}
    said = lantai("audit", "--all", "--level", "listing", LANTAI_LANG="en").out
    assert "level listing: the names and sizes of all files; only inventories, METS and tag files were read" in said
    at(second, PLACES["METS"]).unlink()
    assert lantai("audit", "--all", "--level", "listing", "--json").code == 1


def read_by_a_listing(store: Path) -> list[Path]:
    contents = [one for one in store.glob("ocfl/*/*/*/*/v*/content/*/**/*") if one.is_file()]
    return [one for one in contents if one.name == "METS.xml" or one.parent.parent.name == "content"]


def cut_and_lengthened(one: Path, other: Path) -> None:
    """Together they are as large as before."""
    one.write_bytes(one.read_bytes()[:-7])
    other.write_bytes(other.read_bytes() + b"7 bytes")


def exchanged(one: Path, other: Path) -> None:
    data = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(data)


PAIRS = {
    "payload": ("representations/original/data/*/1.jpg", "representations/original/data/*.txt"),
    "payload of a version before the last": ("representations/original/data/gone*", "**/1.jpg"),
    "metadata": ("metadata/descriptive/dc.xml", "metadata/preservation/premis.xml"),
    "of the representation": ("representations/original/metadata/preservation/premis.xml", "**/1.jpg"),
    "documents": ("documentation/about.txt", "schemas/*.xsd"),
}


@pytest.mark.parametrize("which", PAIRS)
@pytest.mark.parametrize("how", [cut_and_lengthened, exchanged])
def test_a_listing_names_each_file_of_another_size_though_together_they_are_as_large_as_before(
    lantai: Lantai, second: Path, tmp_path: Path, which: str, how: Callable[[Path, Path], None]
) -> None:
    files: dict[str, str | bytes] = {"方案 & 1.txt": "方案\n", "照片/1.jpg": bytes(3000), "gone 1%.txt": "gone\n" * 9}
    package = lantai.stored(folder(tmp_path / "submission", files))["package"]
    assert lantai("update", package, "--remove", "gone 1%.txt", "--reason", "误收").code == 0
    before = everything(second)
    listing = ("audit", "--all", "--level", "listing", "--json")
    pair = [at(second, f"ocfl/*/*/*/*/v1/content/*/data/uuid-*/{one}") for one in PAIRS[which]]
    how(*pair)
    forget(lantai)
    assert lantai("rebuild").code == 0  # what the sizes are is not the catalogue's to know
    told = lantai(*listing).object
    keys = sorted(one.relative_to(second).as_posix() for one in pair)
    assert [(one["store"], one["code"], one["subject"]) for one in told["failed"]] == [
        ("second", "E092", key) for key in keys
    ]
    assert told["void"] is False
    assert everything(second) == before
    again = lantai(*listing)
    assert again.code == 0
    assert again.object["bytes"] == 2 * sum(one.stat().st_size for one in read_by_a_listing(second))


def test_sizes_that_a_damaged_mets_states_are_not_believed(lantai: Lantai, second: Path, ids: list[str]) -> None:
    file = at(second, PLACES["METS"].replace("METS.xml", "representations/original/METS.xml"))
    data = file.read_bytes()
    assert data.count(b'SIZE="76800"') == 1
    file.write_bytes(data.replace(b'SIZE="76800"', b'SIZE="76801"'))
    pair = file.parent / "data" / "活动方案.txt", file.parent / "data" / "照片" / "1.jpg"
    cut_and_lengthened(*pair)
    told = lantai("audit", "--all", "--level", "listing", "--no-repair", "--json").object
    named = {one["subject"] for one in told["failed"]}
    assert named == {one.relative_to(second).as_posix() for one in (file, *pair)}
    assert {one["package"] for one in told["failed"]} <= set(ids)


def test_what_a_listing_found_damaged_is_due_for_a_closer_look_at_once(
    lantai: Lantai, second: Path, ids: list[str]
) -> None:
    assert ids
    assert lantai("audit", "--all").code == 0
    cut(at(second, PLACES["content"]))
    assert lantai("audit", "--all", "--level", "listing", "--no-repair").code == 1
    for level in ("full", "listing"):
        done = lantai("audit", "--due", "--level", level, "--no-repair", "--json")
        assert (done.code, done.object["checked"]) == (1, 1)
    assert lantai("audit", "--due", "--json").object["repaired"] == 1
    for level in ("full", "listing"):
        assert lantai("audit", "--due", "--level", level, "--json").object["checked"] == 0


def test_a_listing_that_is_blind_to_sizes_is_void(
    lantai: Lantai, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ids
    monkeypatch.setattr(sizes, "differing", lambda _head: ())
    done = lantai("audit", "--all", "--level", "listing", LANTAI_LANG="en")
    assert done.code == 3
    assert "truncated: " in done.err
    assert "swapped: " in done.err
    assert checks(lantai) == []


def test_what_the_settings_say_of_the_level_counts(lantai: Lantai, ids: list[str]) -> None:
    assert ids
    settings = lantai.folder / "lantai.toml"
    settings.write_text(settings.read_text().replace('level = "full"', 'level = "listing"'))
    assert lantai("audit", "--all", "--json").object["level"] == "listing"
    assert lantai("audit", "--all", "--level", "full", "--json").object["level"] == "full"
    assert lantai("audit", "--due", "--json").object["checked"] == 0  # a closer look counts too


def test_no_server_vouches_for_a_file_system(lantai: Lantai, ids: list[str]) -> None:
    assert ids
    done = lantai("audit", "--all", "--level", "server", "--json")
    assert (done.code, done.error["kind"], done.error["subject"]) == (2, "UsageError", "local")
    [run] = lantai("jobs", "--json").objects
    assert (run["verdict"], "SHA-256" in run["reason"]) == ("failed", True)


# -- runs


def runs(lantai: Lantai) -> list[dict[str, Any]]:
    return lantai("jobs", "--json").objects


def test_runs_are_listed_with_their_end(lantai: Lantai, second: Path, ids: list[str]) -> None:
    assert ids
    assert "no run yet" in lantai("jobs", LANTAI_LANG="en").out
    flip(at(second, PLACES["content"]))
    assert lantai("audit", "--all", "--json").code == 1
    assert lantai("clean", "--by", "李明").code == 0
    assert lantai("replicate").code == 0
    replicated, cleaned, audited = runs(lantai)
    assert [one["command"] for one in (audited, cleaned, replicated)] == ["audit", "clean", "replicate"]
    assert (audited["verdict"], audited["faults"], audited["repaired"], audited["packages"]) == ("faults", 1, 1, 4)
    assert (cleaned["verdict"], cleaned["by"]) == ("passed", "李明")
    assert replicated["verdict"] == "passed"
    assert all(one["began"] <= one["ended"] for one in runs(lantai))
    assert len(lantai("jobs", "--limit", "2", "--json").objects) == 2
    assert lantai("jobs").code == 0
    before = runs(lantai)
    forget(lantai)
    assert lantai("rebuild").code == 0
    assert runs(lantai) == before


def test_a_budget_ends_a_run_and_every_package_comes_to_its_turn(
    lantai: Lantai, second: Path, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert second
    monkeypatch.setattr(run, "_SEGMENT", 1)  # within a segment some are under way together
    done = lantai("audit", "--all", "--budget", "0.000001MB", "--json")
    assert (done.code, done.object["verdict"], done.object["spent"]) == (0, "incomplete", True)
    assert done.object["checked"] == 2  # one in each store
    lantai("audit", "--all", "--budget", "0.000001MB", "--json")
    assert {(one["subject"]["id"], one["state"]["store"]) for one in checks(lantai)} == {
        (id, store) for id in ids for store in ("local", "second")
    }
    assert lantai("audit", "--all", "--budget", "2h", "--json").object["verdict"] == "passed"
    for wrong in ("2x", "0h", "-1GB", "500"):
        assert lantai("audit", "--all", "--budget", wrong).code == 2


@pytest.mark.parametrize(("bound", "value"), [("_SEGMENT", 1), ("_SECONDS", 0.0)])
def test_an_interrupted_run_is_gone_on_with(
    lantai: Lantai, second: Path, ids: list[str], monkeypatch: pytest.MonkeyPatch, bound: str, value: float
) -> None:
    """What was seen in so many packages, or so long, counts however an audit ends."""
    assert second
    monkeypatch.setattr(run, bound, value)
    monkeypatch.setattr(workers, "PROCESSES", 0)
    looks: list[str] = []
    look = run._audit

    def interrupted(level: Any, root: Any, threads: Any, package: Any, progress: Any) -> Any:
        looks.append(package)
        time.sleep(1.1)  # the journal tells seconds apart, and no less
        if len(looks) == 2:
            raise KeyboardInterrupt
        return look(level, root, threads, package, progress)

    with monkeypatch.context() as patched:
        patched.setattr(run, "_audit", interrupted)
        assert lantai("audit", "--all").code == 130
    (broken,) = runs(lantai)
    assert (broken["verdict"], broken["reason"]) == ("incomplete", "interrupted")
    assert [one["subject"]["id"] for one in checks(lantai)] == looks[:1]
    done = lantai("audit", "--all", "--json").object
    assert (done["checked"], done["before"], done["verdict"]) == (3, 1, "passed")
    assert len(checks(lantai)) == 4
    assert lantai("audit", "--all", "--json").object["checked"] == 4  # the one before came to its end
    assert ids


@pytest.mark.parametrize("told", [True, False])
def test_what_got_a_version_since_it_was_checked_is_read_though_a_run_is_gone_on_with(
    lantai: Lantai, second: Path, ids: list[str], told: bool
) -> None:
    time.sleep(1.1)  # the journal tells seconds apart, and no less
    second.rename(second.with_name("away"))
    assert lantai("audit", "--all", "--json").object["verdict"] == "incomplete"
    time.sleep(1.1)
    assert lantai("audit", "--all", "--budget", "1h", "--store", "local").code == 0
    if told:
        assert lantai("update", ids[1], "--title", "第二版", "--reason", "更正").code == 1  # pending
    else:
        before = (lantai.folder / "catalog.db").read_bytes()
        assert lantai("update", ids[1], "--title", "第二版", "--reason", "更正").code == 1
        (lantai.folder / "catalog.db").write_bytes(before)  # as one that another home did
    second.with_name("away").rename(second)
    flip(at(lantai.folder / "store", f"ocfl/*/*/*/{ids[1].replace(':', '%3a')}/v2/content/*/data/**/METS.xml"))
    done = lantai("audit", "--all", "--no-repair", "--json").object
    assert [(one["store"], one["package"]) for one in done["failed"] if one["package"]] == [("local", ids[1])]
    assert (done["checked"], done["before"]) == (3, 1)


def test_a_package_that_a_store_lost_or_never_had_is_told(lantai: Lantai, second: Path, ids: list[str]) -> None:
    shutil.rmtree(second / "ocfl" / at(second, f"ocfl/*/*/*/{ids[1].replace(':', '%3a')}").relative_to(second / "ocfl"))
    before = everything(lantai.folder / "store")
    told = lantai("audit", "--all", "--no-repair", "--json").object["failed"]
    assert {one["store"] for one in told} == {"second"}
    assert [(one["package"], one["code"]) for one in told] == [(ids[1], "audit-lost"), (None, "store-odd")]
    assert everything(second) != before
    assert lantai("audit", "--all", "--json").object["lost"] == []
    assert everything(second) == before
    shutil.rmtree(second / "ocfl" / at(second, f"ocfl/*/*/*/{ids[1].replace(':', '%3a')}").relative_to(second / "ocfl"))
    lantai.folder.joinpath("catalog.db").unlink()
    assert lantai("rebuild", "--store", "second").code == 1
    assert lantai("audit", "--all", "--no-repair", "--json").object["checked"] == 3
    assert len(lantai("list", "--json").objects) == 2  # what the catalogue did not know was indexed


def test_a_store_that_says_it_is_another_is_told_of_until_it_is_put_right(
    lantai: Lantai, second: Path, ids: list[str]
) -> None:
    """One digit of its id: of all that it says of itself, what no other store says, too. The journal does."""
    assert lantai("audit", "--all").code == 0
    file = second / "store.json"
    whole = file.read_bytes()
    id = json.loads(whole)["store"]
    file.write_bytes(whole.replace(id.encode(), f"{id[:-1]}{'0' if id[-1] != '0' else '1'}".encode()))
    for _time in range(2):
        done = lantai("audit", "--all", "--no-repair", "--json").object
        assert [(one["store"], one["code"]) for one in done["failed"]] == [("second", "store-identity")]
    done = lantai("audit", "--all", "--json").object
    assert (done["verdict"], done["lost"]) == ("faults", [])
    assert file.read_bytes() == whole
    assert lantai("audit", "--all", "--json").code == 0


def test_a_package_in_whose_place_a_link_stands_is_told(
    lantai: Lantai, second: Path, ids: list[str], tmp_path: Path
) -> None:
    place = at(second, f"ocfl/*/*/*/{ids[1].replace(':', '%3a')}")
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    done = lantai("audit", "--all", "--json").object
    (found,) = [one for one in done["failed"] if one["code"] != "store-odd"]
    assert (found["store"], found["package"], found["code"]) == ("second", ids[1], "audit-unlisted")
    assert (done["checked"], done["verdict"], done["repairs"], done["lost"]) == (3, "faults", [], [])
    place.unlink()
    assert lantai("replicate").code == 1  # it had been lost, which is told
    assert lantai("audit", "--all", "--json").object["checked"] == 4


def test_what_got_a_version_while_it_was_read_is_read_again(
    lantai: Lantai, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "PROCESSES", 0)
    look, looks = run._audit, list[tuple[str, int | None]]()

    def meanwhile(level: Any, root: Any, threads: Any, package: Any, progress: Any) -> Any:
        verdict = look(level, root, threads, package, progress)
        looks.append((package, verdict.head))
        if package == ids[1] and verdict.head == 1:
            assert lantai("update", package, "--title", "第二版", "--reason", "更正").code == 0
        return verdict

    monkeypatch.setattr(run, "_audit", meanwhile)
    assert lantai("audit", "--all", "--store", "local").code == 0
    assert sorted(looks) == sorted([(ids[0], 2), (ids[1], 1), (ids[1], 2)])
    assert sorted(one["subject"]["id"] for one in checks(lantai)) == sorted(ids)


def lacks(done: Done, kind: str = "failed") -> list[tuple[str, str, str]]:
    """Of which stores it is said how many packages they lack."""
    codes = ("audit-pending", "audit-behind")
    return [(one["store"], one["code"], one["message"]) for one in done.object[kind] if one["code"] in codes]


@pytest.mark.parametrize("required", [True, False])
def test_a_copy_that_never_had_a_package_is_told(lantai: Lantai, second: Path, tmp_path: Path, required: bool) -> None:
    if not required:
        settings = lantai.folder / "lantai.toml"
        settings.write_text(settings.read_text().replace('name = "second"', 'name = "second"\nrequired = false'))
    lantai.stored(folder(tmp_path / "first", {"a.txt": "one"}))
    second.rename(second.with_name("away"))
    for number in range(2):
        lantai("ingest", folder(tmp_path / f"later-{number}", {"a.txt": f"later {number}"}), "--json")
    second.with_name("away").rename(second)
    done = lantai("audit", "--all", "--json")
    ((store, code, message),) = lacks(done, "failed" if required else "warnings")
    assert (store, code) == ("second", "audit-pending" if required else "audit-behind")
    assert "2 packages" in message
    assert lantai("audit", "--all", "--json").code == int(required)  # the journal is whole again
    assert lantai("replicate").code == 0
    done = lantai("audit", "--all", "--json")
    assert (done.code, done.object["checked"], done.object["warnings"]) == (0, 6, [])


@pytest.mark.parametrize("required", [True, False])
def test_a_copy_that_lacks_a_newest_version_is_told(
    lantai: Lantai, second: Path, ids: list[str], required: bool
) -> None:
    if not required:
        settings = lantai.folder / "lantai.toml"
        settings.write_text(settings.read_text().replace('name = "second"', 'name = "second"\nrequired = false'))
    second.rename(second.with_name("away"))
    assert lantai("update", ids[1], "--title", "第二版", "--reason", "更正").code == int(required)  # pending
    second.with_name("away").rename(second)
    for _again in range(2):
        done = lantai("audit", "--all", "--json")
        ((store, code, message),) = lacks(done, "failed" if required else "warnings")
        assert (store, code) == ("second", "audit-pending" if required else "audit-behind")
        assert ("1 package" in message, done.object["checked"], done.code) == (True, 4, int(required))
    assert lantai("replicate").code == 0
    done = lantai("audit", "--all", "--json")
    assert (done.code, done.object["warnings"]) == (0, [])


@pytest.mark.parametrize("where", ["local", "second"])
def test_a_package_that_a_store_lost_before_the_catalogue_was_made_anew_is_told(
    lantai: Lantai, second: Path, ids: list[str], where: str
) -> None:
    store = second if where == "second" else lantai.folder / "store"
    shutil.rmtree(at(store, f"ocfl/*/*/*/{ids[1].replace(':', '%3a')}"))
    forget(lantai)
    lantai("rebuild", "--store", "local")
    done = lantai("audit", "--all", "--json")
    assert done.code == 1
    assert [(store, code) for store, code, _message in lacks(done)] == [(where, "audit-pending")]
    other = "local" if where == "second" else "second"
    assert lantai("replicate", "--from", other, "--to", where).code == 0
    assert lantai("audit", "--all", "--json").code == 0


def test_what_came_into_a_copy_by_other_means_is_known_to_lie_there(
    lantai: Lantai, second: Path, ids: list[str], tmp_path: Path
) -> None:
    second.rename(second.with_name("away"))
    lantai("ingest", folder(tmp_path / "later", {"a.txt": "later"}), "--json")
    second.with_name("away").rename(second)
    shutil.copytree(lantai.folder / "store", second, dirs_exist_ok=True, ignore=shutil.ignore_patterns("store.json"))
    done = lantai("audit", "--all", "--json")
    assert (done.code, done.object["checked"]) == (0, 6)


def test_an_audit_that_could_not_audit_itself_does_not_say_that_it_did(
    lantai: Lantai, second: Path, ids: list[str]
) -> None:
    flip(at(second, f"ocfl/*/*/*/{ids[1].replace(':', '%3a')}/v1/content/*/data/**/1.jpg"))
    assert lantai("audit", "--package", ids[1], "--no-repair", "--json").code == 1
    told = {one["state"]["store"]: one["state"].get("control") for one in checks(lantai)}
    assert told == {"local": "passed", "second": None}


@pytest.mark.parametrize("level", ["listing", "full"])
def test_what_was_repaired_and_proven_is_shown_to_be_whole(
    lantai: Lantai, second: Path, ids: list[str], level: str
) -> None:
    at(second, f"ocfl/*/*/*/{ids[1].replace(':', '%3a')}/v1/content/*/data/**/1.jpg").unlink()
    done = lantai("audit", "--all", "--level", level, "--json")
    assert (done.code, [one["valid"] for one in done.object["repairs"]]) == (1, [True])
    shown = lantai("show", ids[1], "--json").object["checks"]
    told = {(one["store"], one["level"]): one["valid"] for one in shown}
    assert told == {("local", level): True, ("second", level): True, ("second", "full"): True}
    entered = [one["state"] for one in checks(lantai) if one["subject"]["id"] == ids[1]]
    assert [one["valid"] for one in entered if one["store"] == "second"][:2] == [False, True]
    assert lantai("audit", "--due", "--level", level, "--json").object["checked"] == 0


def test_what_is_due_is_audited_and_show_tells_of_it(lantai: Lantai, second: Path, ids: list[str]) -> None:
    assert lantai("show", ids[0], "--json").object["checks"] == []
    assert lantai("audit", "--due", "--json").object["checked"] == 4  # none was ever checked
    assert lantai("audit", "--due", "--json").object["checked"] == 0
    told = lantai("show", ids[0], "--json").object["checks"]
    assert [(one["store"], one["level"], one["valid"]) for one in told] == [
        ("local", "full", True), ("second", "full", True),
    ]  # fmt: skip
    assert all(one["software"].startswith("lantai ") for one in told)
    flip(at(second, PLACES["content"]))
    assert lantai("audit", "--all", "--no-repair", "--json").code == 1
    valid = {one["valid"] for id in ids for one in lantai("show", id, "--json").object["checks"]}
    assert valid == {True, False}
    assert lantai("audit", "--due", "--no-repair", "--json").object["checked"] == 1  # what is not whole is due at once
    before = answers(lantai)
    forget(lantai)
    assert lantai("rebuild").code == 0
    assert answers(lantai) == before


def a_day_later(monkeypatch: pytest.MonkeyPatch) -> None:
    real = archive.utc_now
    monkeypatch.setattr(archive, "utc_now", lambda: real() + timedelta(days=1))


BESIDE: dict[str, Callable[[Path], Path]] = {
    "a segment of the journal": lambda store: at(store, "journal/*/*.ndjson"),
    "a schema": lambda store: at(store, "schemas/*.json"),
    "the layout": lambda store: store / "ocfl" / "0=ocfl_1.1",
}


@pytest.mark.parametrize("what", BESIDE)
def test_every_night_looks_at_what_lies_beside_packages(
    lantai: Lantai, second: Path, ids: list[str], what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ids
    assert lantai("audit", "--due").code == 0
    file = BESIDE[what](second)
    whole = file.read_bytes()
    flip(file)
    a_day_later(monkeypatch)
    done = lantai("audit", "--due", "--json")
    assert (done.code, done.object["checked"], done.object["lost"]) == (1, 0, [])
    assert file.read_bytes() == whole
    assert lantai("audit", "--due").code == 0


def test_what_lies_beside_packages_is_looked_at_once_a_night(
    lantai: Lantai, second: Path, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ids
    assert lantai("audit", "--due").code == 0
    stray = second / "somebody's.txt"
    stray.write_text("here")
    assert lantai("audit", "--due").code == 0
    a_day_later(monkeypatch)
    for _again in range(2):  # what is wrong is told until it is put right
        [failed] = lantai("audit", "--due", "--json").object["failed"]
        assert (failed["code"], failed["subject"]) == ("store-stray", stray.name)
    stray.unlink()
    assert lantai("audit", "--due").code == 0


@pytest.mark.parametrize("processes", [0, 2])
@pytest.mark.parametrize("blind", ["digests", "listings"])
def test_an_audit_that_does_not_find_its_own_damage_is_void(
    lantai: Lantai, ids: list[str], monkeypatch: pytest.MonkeyPatch, blind: str, processes: int
) -> None:
    assert ids
    monkeypatch.setattr(workers, "PROCESSES", processes)
    if blind == "digests":
        monkeypatch.setattr(auditing, "_contents", lambda _head, lines: ((1, None) for _line in lines))
    else:
        monkeypatch.setattr(auditing, "structure", lambda *_asked: ())
    done = lantai("audit", "--all", "--json")
    assert (done.code, done.object["void"]) == (3, True)
    assert checks(lantai) == []


def test_processes_find_what_one_finds(lantai: Lantai, ids: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert ids
    flip(at(lantai.folder / "store", PLACES["content"]))
    monkeypatch.setattr(workers, "PROCESSES", 0)
    alone = lantai("audit", "--all", "--no-repair", "--json").object
    monkeypatch.setattr(workers, "PROCESSES", 2)
    assert lantai("audit", "--all", "--no-repair", "--json").object == alone
    assert alone["failed"]


def test_a_wrong_read_that_comes_right_is_a_warning(
    lantai: Lantai, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ids
    seen: list[str] = []

    def bad_cable(store: Store, keys: Iterable[str], algorithm: Algorithm) -> Iterator[tuple[int, str] | None]:
        for key in keys:
            seen.append(key)
            (found,) = read_digests(store, (key,), algorithm)
            is_bad = found is not None and seen.count(key) == 1 and key.endswith("1.jpg")
            yield (found[0], "0" * 64) if is_bad and found else found

    monkeypatch.setattr(workers, "PROCESSES", 0)
    monkeypatch.setattr(views, "read_digests", bad_cable)
    monkeypatch.setattr(run, "control", lambda *_words, **_more: None)
    told = lantai("audit", "--all", "--store", "local", "--json")
    assert (told.code, {one["code"] for one in told.object["warnings"]}) == (0, {"audit-read"})


def test_a_version_that_differs_between_stores_is_told_and_left_alone(
    lantai: Lantai, second: Path, ids: list[str]
) -> None:
    inventory = at(second, f"ocfl/*/*/*/{ids[1].replace(':', '%3a')}/v1/inventory.json")
    values = json.loads(inventory.read_bytes())
    values["versions"]["v1"]["message"] = "another"
    data = json.dumps(values).encode()
    for place in (inventory, inventory.parent.parent / "inventory.json"):
        place.write_bytes(data)
        from hashlib import sha256  # noqa: PLC0415

        place.with_name("inventory.json.sha256").write_text(f"{sha256(data).hexdigest()} inventory.json\n")
    (found,) = lantai("audit", "--all", "--json").object["failed"]
    assert (found["code"], found["store"], found["package"]) == ("audit-diverged", "second", ids[1])
    assert inventory.read_bytes() == data


def test_what_is_named_twice_is_audited_once(lantai: Lantai, second: Path, ids: list[str]) -> None:
    assert second.exists()
    named = [word for id in (ids[0], ids[1], ids[0][-12:]) for word in ("--package", id)]
    for stores, count in ((["second", "local", "second"], 4), (["second"], 2)):
        words = [*named, *(word for store in stores for word in ("--store", store))]
        assert lantai("audit", *words, "--json").object["checked"] == count
    assert len(checks(lantai)) == 6


@pytest.mark.parametrize(
    ("words", "kind"),
    [(["audit"], "UsageError"), (["audit", "--all", "--package", "a1b2c3"], "UsageError"),
     (["audit", "--all", "--store", ""], "UsageError"), (["audit", "--all", "--store", "third"], "UsageError"),
     (["audit", "--package", "a1b2c3"], "NotFound")],
)  # fmt: skip
def test_bad_input_says_what_to_do(lantai: Lantai, words: list[str], kind: str) -> None:
    assert lantai(*words, "--json").error["kind"] == kind
