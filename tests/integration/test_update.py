"""update: the next version stores what changed, and what did not change stays byte for byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lantai.model import PackageId
from lantai.storage.ocfl import Inventory, Root
from tests.integration.command import Lantai, codes, folder


def inventory(lantai: Lantai) -> dict[str, Any]:
    (declared,) = lantai.folder.glob("store/ocfl/**/0=ocfl_object_1.1")
    found: dict[str, Any] = json.loads((declared.parent / "inventory.json").read_text("utf-8"))
    return found


def where(lantai: Lantai, version: int) -> dict[str, str]:
    """The content path of each logical path of a version."""
    read = inventory(lantai)
    return {
        path: read["manifest"][digest][0]
        for digest, paths in read["versions"][f"v{version}"]["state"].items()
        for path in paths
    }


def updated(lantai: Lantai, id: str, *arguments: str | Path) -> dict[str, Any]:
    done = lantai("update", id, *arguments, "--reason", "更正", "--json")
    assert done.code == 0, done
    assert done.object["status"] == "stored"
    assert lantai("validate").code == 0
    assert lantai("export", id, f"v{done.object['version']}").code == 0, "bagit agrees"
    return done.object


def files(lantai: Lantai, id: str) -> set[str]:
    return {one["original_name"] for one in lantai("show", id, "--files", "--json").object["file_list"]}


def test_a_new_description_leaves_the_representations_byte_for_byte(
    stocked: tuple[Lantai, str], tmp_path: Path
) -> None:
    lantai, id = stocked
    sheet = tmp_path / "corrected.csv"
    sheet.write_text("文件名,题名,责任者\n,更正后的题名,云岭县\n筹备/活动方案.txt,更正后的方案,\n", "utf-8")
    answer = updated(lantai, id, "--metadata", sheet)
    assert (answer["package"], answer["version"], answer["files"]) == (id, 2, 3)
    before, after = where(lantai, 1), where(lantai, 2)
    representations = [path for path in before if "/representations/" in path]
    assert {Path(path).name for path in representations} >= {"METS.xml", "premis.xml", "活动方案.txt"}
    for path in representations:
        assert after[path] == before[path]
        assert after[path].startswith("v1/content/")
    changed = {path for path in after if after[path].startswith("v2/")}
    assert {Path(path).name for path in changed} >= {"METS.xml", "premis.xml", "corrected.csv"}
    assert not any("/representations/" in path for path in changed)
    assert lantai("show", id, "--json").object["title"] == "更正后的题名"
    assert [one["title"] for one in lantai("search", "方案", "--json").objects] == ["更正后的方案"]


def test_control_characters_of_a_title_are_left_out_and_told(stocked: tuple[Lantai, str]) -> None:
    lantai, id = stocked
    done = lantai("update", id, "--title", "标\x0b题", "--reason", "更正")
    assert done.code == 0
    assert "control characters were left out of the title" in done.out + done.err
    assert lantai("show", id, "--json").object["title"] == "标题"


def test_what_the_new_sheet_is_silent_on_stays(stocked: tuple[Lantai, str], tmp_path: Path) -> None:
    lantai, id = stocked
    record = lantai("show", "Z109-WS·2021-Y-BGS-0001", "--json").object["record"]
    sheet = tmp_path / "corrected.csv"
    sheet.write_text("文件名,题名\n筹备/活动方案.txt,更正后的方案\n", "utf-8")
    updated(lantai, id, "--metadata", sheet)
    again = lantai("show", record, "--json").object
    assert again["title"] == "更正后的方案", "a record keeps its id"
    assert lantai("show", id, "--json").object["title"] == "金秋文化节档案"


def test_files_are_added_replaced_and_removed(stocked: tuple[Lantai, str], tmp_path: Path) -> None:
    lantai, id = stocked
    late = folder(tmp_path / "late", {"补交.txt": "late", "补交/一.txt": "1", "补交/二.txt": "2", "方案.txt": "better"})
    answer = updated(
        lantai, id, "--add", late / "补交.txt", "--add", late / "补交",
        "--replace", f"筹备/活动方案.txt={late / '方案.txt'}", "--remove", "Thumbs.db",
    )  # fmt: skip
    assert answer["files"] == 5
    assert files(lantai, id) == {"筹备/活动方案.txt", "照片/开幕式.txt", "补交.txt", "补交/一.txt", "补交/二.txt"}
    place = lantai.folder / lantai("export", id, "out", "--as", "files", "--json").object["path"]
    assert (place / "筹备/活动方案.txt").read_text("utf-8") == "better"
    kept = {path: content for path, content in where(lantai, 2).items() if path.endswith("照片/开幕式.txt")}
    assert all(content.startswith("v1/") for content in kept.values())
    assert [one["title"] for one in lantai("search", "方案", "--json").objects] == ["第十二届金秋文化节活动方案"]


def test_a_folder_is_removed_whole(stocked: tuple[Lantai, str]) -> None:
    lantai, id = stocked
    updated(lantai, id, "--remove", "照片/")
    assert files(lantai, id) == {"筹备/活动方案.txt", "Thumbs.db"}


def test_each_version_says_who_when_and_why(stocked: tuple[Lantai, str]) -> None:
    lantai, id = stocked
    for number in (2, 3):
        assert lantai("update", id, "--title", f"题名{number}", "--reason", f"理由{number}", "--by", "李明").code == 0
    versions = lantai("show", id, "--json").object["versions"]
    assert [(one["version"], one["by"], one["reason"]) for one in versions][1:] == [
        (2, "李明", "理由2"), (3, "李明", "理由3"),
    ]  # fmt: skip
    text = lantai("show", id).out
    assert "理由2" in text
    assert "v3" in text
    events = lantai("show", id, "--json").object["events"]
    assert [one["at"] for one in events] == sorted(one["at"] for one in events)
    assert sum(one["type"] == "metadata modification" for one in events) == 2


@pytest.mark.parametrize(("arguments", "code", "kind", "subject"), [
    ([], 2, "UsageError", "{id}"),
    (["--remove", "没有.txt"], 1, "NotFound", "没有.txt"),
    (["--add", "nowhere.txt"], 1, "NotFound", "nowhere.txt"),
    (["--replace", "没有.txt=lantai.toml"], 1, "NotFound", "没有.txt"),
    (["--replace", "Thumbs.db=nowhere.txt"], 1, "NotFound", "nowhere.txt"),
    (["--replace", "照片=lantai.toml"], 1, "NotFound", "照片"),
    (["--replace", "Thumbs.db"], 2, "UsageError", "lantai update"),
    (["--metadata", "nowhere.csv"], 1, "NotFound", "nowhere.csv"),
])  # fmt: skip
def test_what_cannot_be_is_named_and_changes_nothing(
    stocked: tuple[Lantai, str], arguments: list[str], code: int, kind: str, subject: str
) -> None:
    lantai, id = stocked
    before = lantai.state()
    done = lantai("update", id, *arguments, "--reason", "r", "--json")
    assert (done.code, done.error["kind"], done.error["subject"]) == (code, kind, subject.format(id=id))
    assert lantai.state() == before


def test_a_part_leaves_with_its_file_and_stays_in_the_version_before(stocked: tuple[Lantai, str]) -> None:
    lantai, id = stocked
    before = [hit["record"] for hit in lantai("search", "活动方案", "--json").objects]
    assert lantai("update", id, "--remove", "筹备/活动方案.txt", "--reason", "误交", "--json").code == 0
    after = [hit["record"] for hit in lantai("search", "活动方案", "--json").objects]
    assert len(after) < len(before)
    events = lantai("show", id, "--json").object["events"]
    assert any(one["type"] == "modification" and "removed: 筹备/活动方案.txt" in one["detail"] for one in events)
    assert lantai("validate", "--json").code == 0


@pytest.mark.parametrize(("arguments", "found"), [
    (["--add", "{place}/Thumbs.db"], {"name-present": "Thumbs.db"}),
    (["--metadata", "{place}/bad.csv"], {"sheet-file-missing": "bad.csv"}),
])  # fmt: skip
def test_what_is_refused_is_told_as_findings(
    stocked: tuple[Lantai, str], tmp_path: Path, arguments: list[str], found: dict[str, str]
) -> None:
    lantai, id = stocked
    place = folder(tmp_path / "place", {"Thumbs.db": "x", "bad.csv": "文件名,题名\n没有.txt,无\n"})
    before = lantai.state()
    done = lantai("update", id, *(one.format(place=place) for one in arguments), "--reason", "r", "--json")
    assert (done.code, done.object["status"]) == (1, "rejected")
    assert codes(done.object["errors"]) == found
    assert lantai.state() == before


def test_a_reason_is_required(stocked: tuple[Lantai, str]) -> None:
    lantai, id = stocked
    assert lantai("update", id, "--title", "新").code == 2


def test_an_update_that_another_overtakes_loses_to_it(
    stocked: tuple[Lantai, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The catalogue knows more than was read of the store a moment ago: that is no lost version."""
    lantai, package = stocked
    loaded = Root.loaded
    overtaken: list[str] = []

    def slow(root: Root, id: PackageId, number: int) -> Inventory:
        found = loaded(root, id, number)
        if not overtaken:
            overtaken.append(package)
            assert lantai("update", package, "--title", "第一", "--reason", "先").code == 0
        return found

    monkeypatch.setattr(Root, "loaded", slow)
    done = lantai("update", package, "--title", "第二", "--reason", "后", "--json")
    assert (done.code, done.error["kind"]) == (1, "Exists")
    assert [one["reason"] for one in lantai("show", package, "--json").object["versions"]][1:] == ["先"]
