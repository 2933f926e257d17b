"""export and validate: what is kept is given back whole, or it is said what is wrong with it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.integration.command import Lantai, contents


def payload(home: Path, name: str) -> Path:
    """Where the store keeps the bytes of a payload file of version 1."""
    (found,) = home.glob(f"store/ocfl/**/v1/content/*/data/**/original/data/**/{name}")
    return found


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


# -- export


def test_a_bag_ends_with_the_verdict_of_bagit(stocked: tuple[Lantai, str]) -> None:
    lantai, id = stocked
    done = lantai("export", id, "out", "--json")
    assert done.code == 0
    answer = done.object
    assert set(answer) >= {"package", "version", "path", "files", "bytes", "verdict"}
    assert (answer["package"], answer["version"], answer["verdict"]) == (id, 1, "valid")
    bag = lantai.folder / answer["path"]
    files = [one for one in bag.rglob("*") if one.is_file()]
    assert (len(files), sum(one.stat().st_size for one in files)) == (answer["files"], answer["bytes"])
    judged = subprocess.run([sys.executable, "-m", "bagit", "--validate", str(bag)], capture_output=True, check=False)
    assert judged.returncode == 0, judged.stderr
    flip(next(bag.rglob("data/**/活动方案.txt")))
    judged = subprocess.run([sys.executable, "-m", "bagit", "--validate", str(bag)], capture_output=True, check=False)
    assert judged.returncode != 0


def test_a_person_reads_where_it_is_and_that_it_is_valid(stocked: tuple[Lantai, str]) -> None:
    lantai, id = stocked
    text = lantai("export", id[-8:], "out").out
    assert f"out/{id.removeprefix('urn:uuid:')}" in text
    assert "bagit says: valid" in text
    assert "bagit" not in lantai("export", id, "unjudged", "--no-verify").out


def test_files_alone_are_those_that_were_handed_over(stocked: tuple[Lantai, str], records: Path) -> None:
    lantai, id = stocked
    done = lantai("export", id, "out", "--as", "files", "--json")
    assert (done.object["files"], done.object["verdict"]) == (3, None)
    place = lantai.folder / done.object["path"]
    given = {one.relative_to(place): one.read_bytes() for one in place.rglob("*") if one.is_file()}
    (records / "metadata.csv").unlink()
    assert given == {one.relative_to(records): one.read_bytes() for one in records.rglob("*") if one.is_file()}


def test_a_zip_holds_the_bag(stocked: tuple[Lantai, str], tmp_path: Path) -> None:
    lantai, id = stocked
    done = lantai("export", id, "out", "--as", "zip", "--json")
    assert done.code == 0
    place = lantai.folder / done.object["path"]
    assert place.suffix == ".zip"
    with zipfile.ZipFile(place) as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path / "unpacked")
    (bag,) = (tmp_path / "unpacked").iterdir()
    judged = subprocess.run([sys.executable, "-m", "bagit", "--validate", str(bag)], capture_output=True, check=False)
    assert judged.returncode == 0, judged.stderr
    assert list(bag.rglob("照片/开幕式.txt"))


def test_an_earlier_version_is_given_back_as_it_was(stocked: tuple[Lantai, str]) -> None:
    lantai, id = stocked
    assert lantai("update", id, "--remove", "照片/开幕式.txt", "--reason", "重复").code == 0
    newest = lantai("export", id, "out", "--as", "files", "--json").object
    first = lantai("export", id, "out", "--as", "files", "--version", "1", "--json").object
    assert (newest["version"], newest["files"]) == (2, 2)
    assert (first["version"], first["files"]) == (1, 3)
    assert list((lantai.folder / first["path"]).rglob("开幕式.txt"))
    none = lantai("export", id, "out", "--version", "3", "--json")
    assert (none.code, none.error["kind"]) == (1, "NotFound")


@pytest.mark.parametrize("form", ["bag", "files", "zip"])
def test_nothing_is_written_over(stocked: tuple[Lantai, str], form: str) -> None:
    lantai, id = stocked
    assert lantai("export", id, "out", "--as", form).code == 0
    before = sorted((lantai.folder / "out").rglob("*"))
    done = lantai("export", id, "out", "--as", form, "--json")
    assert (done.code, done.error["kind"]) == (1, "Exists")
    assert sorted((lantai.folder / "out").rglob("*")) == before


@pytest.mark.parametrize("form", ["bag", "files", "zip"])
def test_damaged_bytes_are_not_given_out_and_nothing_is_left(stocked: tuple[Lantai, str], form: str) -> None:
    lantai, id = stocked
    flip(payload(lantai.folder, "活动方案.txt"))
    done = lantai("export", id, "out", "--as", form, "--no-verify", "--json")
    assert (done.code, done.error["kind"]) == (1, "Damaged")
    assert "活动方案.txt" in done.error["subject"]
    assert "validate" in done.error["remedy"]
    assert list((lantai.folder / "out").iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(stocked: tuple[Lantai, str]) -> None:
    lantai, id = stocked
    (lantai.folder / "file").write_text("?", "utf-8")
    done = lantai("export", id, "file/below", "--json")
    assert done.code == 2
    assert "file" in done.error["subject"]


# -- validate


def findings(lantai: Lantai, *arguments: str) -> list[dict[str, str]]:
    """Of a store with one package, in which something is wrong."""
    done = lantai("validate", "--json", *arguments)
    assert done.code == 1
    verdict = done.object
    assert set(verdict) == {"object", "valid", "errors", "warnings"}
    assert verdict["valid"] is False
    return list(verdict["errors"])


def test_a_flipped_bit_is_found_and_named(stocked: tuple[Lantai, str]) -> None:
    lantai, id = stocked
    flip(payload(lantai.folder, "活动方案.txt"))
    found = findings(lantai)
    assert {one["code"] for one in found} >= {"E092"}
    assert all("活动方案.txt" in one["subject"] for one in found)
    for_people = lantai("validate")
    assert for_people.code == 1
    assert f"{id[-8:]}  not valid" in for_people.out
    assert "0 valid, 1 not" in for_people.out
    assert "活动方案.txt" in for_people.err


@pytest.mark.parametrize("name", ["METS.xml", "premis.xml", "bag-info.txt", "manifest-sha256.txt"])
def test_a_flipped_bit_in_what_describes_is_found_too(stocked: tuple[Lantai, str], name: str) -> None:
    lantai, _id = stocked
    for path in lantai.folder.glob(f"store/ocfl/**/v1/content/**/{name}"):
        flip(path)
        assert any(one["code"] == "E092" and name in one["subject"] for one in findings(lantai))
        flip(path)
        assert lantai("validate").code == 0


def test_a_missing_file_is_found_and_named(stocked: tuple[Lantai, str]) -> None:
    lantai, _id = stocked
    payload(lantai.folder, "活动方案.txt").unlink()
    assert any("活动方案.txt" in one["subject"] for one in findings(lantai))


def test_an_extra_file_is_found_and_named(stocked: tuple[Lantai, str]) -> None:
    lantai, _id = stocked
    payload(lantai.folder, "活动方案.txt").with_name("夹带.txt").write_text("?", "utf-8")
    (found,) = findings(lantai)
    assert (found["code"], Path(found["subject"]).name) == ("E023", "夹带.txt")


@pytest.mark.parametrize(("name", "code"), [
    ("inventory.json", "E063"), ("inventory.json.sha256", "E058"), ("0=ocfl_object_1.1", "E003"),
])  # fmt: skip
def test_what_makes_an_object_is_missed(stocked: tuple[Lantai, str], name: str, code: str) -> None:
    lantai, _id = stocked
    (declared,) = lantai.folder.glob("store/ocfl/**/0=ocfl_object_1.1")
    (declared.parent / name).unlink()
    assert code in {one["code"] for one in findings(lantai)}
    assert lantai("clean").code == 0
    assert lantai("validate").code == 0, "clean puts it back"


def test_an_inventory_that_was_touched_is_found(stocked: tuple[Lantai, str]) -> None:
    lantai, _id = stocked
    (declared,) = lantai.folder.glob("store/ocfl/**/0=ocfl_object_1.1")
    flip(declared.parent / "inventory.json")
    assert findings(lantai)


def test_one_bad_package_does_not_hide_the_good_ones(stocked: tuple[Lantai, str], records: Path) -> None:
    lantai, id = stocked
    other = lantai.stored(records, "--again")["package"]
    found = [one for one in lantai.folder.glob("store/ocfl/**/活动方案.txt") if id[-8:] in str(one)]
    flip(found[0])
    done = lantai("validate", "--json")
    assert {one["object"]: one["valid"] for one in done.objects} == {id: False, other: True}
    assert lantai("validate", "--package", other).code == 0
    assert lantai("validate", "--package", id).code == 1


def test_a_store_or_an_object_is_validated_without_a_home(stocked: tuple[Lantai, str], tmp_path: Path) -> None:
    lantai, id = stocked
    away = Lantai(tmp_path)
    (declared,) = lantai.folder.glob("store/ocfl/**/0=ocfl_object_1.1")
    for path in (lantai.folder / "store", lantai.folder / "store" / "ocfl", declared.parent):
        done = away("validate", path, "--json")
        assert (done.code, done.object["object"], done.object["valid"]) == (0, id, True)
    flip(payload(lantai.folder, "活动方案.txt"))
    assert away("validate", declared.parent).code == 1


def test_an_empty_store_is_no_error(lantai: Lantai) -> None:
    done = lantai("validate")
    assert (done.code, done.noted) == (0, "")
    assert lantai("validate", "--json").objects == []


def test_looking_changes_nothing(stocked: tuple[Lantai, str]) -> None:
    lantai, id = stocked
    before = contents(lantai.folder)
    for arguments in (["list"], ["show", id], ["search", "方案"], ["journal", "list"], ["journal", "verify"]):
        assert lantai(*arguments).code == 0
    assert contents(lantai.folder) == before


def test_what_was_read_and_given_back_is_in_the_journal_alone(stocked: tuple[Lantai, str]) -> None:
    lantai, id = stocked
    before = contents(lantai.folder / "store")
    assert lantai("validate").code == 0
    assert lantai("export", id, "out", "--by", "李梅").code == 0
    after = contents(lantai.folder / "store")
    assert {key: it for key, it in after.items() if "journal" not in key} == before
    entries = lantai("journal", "list", "--package", id, "--json").objects
    assert [(one["kind"], one["state"]["store"]) for one in entries] == [("check", "local"), ("export", "local")]
    assert entries[-1]["by"]["name"] == "李梅"
