"""What people decide, and what happened, in the journal: entered, proven, brought together, damaged."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any
from unittest import mock

import jsonschema  # type: ignore[import-untyped]
import pytest

from lantai.catalog import Catalog
from lantai.errors import StoreUnavailable
from lantai.storage import Store
from lantai.storage.journal import Chain, Journal
from lantai.storage.journal.segment import decode, encode
from tests.integration.command import Lantai, folder
from tests.integration.test_rebuild import answers

SCHEMAS = {
    name: json.loads(resources.files("lantai.storage.journal").joinpath(f"schemas/journal-{name}-3.json").read_text())
    for name in ("segment", "entry")
}


def segments(store: Path) -> list[Path]:
    return sorted((store / "journal").glob("*/*.ndjson"))


def set_access(lantai: Lantai, id: str, shown: str, reason: str = "期满", *more: str) -> dict[str, Any]:
    done = lantai("access", "set", id, shown, "--reason", reason, *more, "--json")
    assert done.code == 0, done
    return done.object


def shown(lantai: Lantai, id: str) -> dict[str, Any]:
    return lantai("show", id, "--json").object


def another_home(lantai: Lantai, name: str) -> Lantai:
    """Of the same archive, as it is now; a copy is another writer."""
    home = Path(shutil.copytree(lantai.folder, lantai.folder.with_name(name), ignore=shutil.ignore_patterns("store")))
    values = json.loads((home / "home.json").read_text("utf-8"))
    (home / "home.json").write_text(json.dumps({**values, "id": str(uuid.uuid4())}), "utf-8")
    settings = home / "lantai.toml"
    settings.write_text(settings.read_text().replace('path = "store"', f'path = "{lantai.folder / "store"}"'))
    return Lantai(home)


# -- decisions


def test_a_decision_replaces_what_stood_and_tells_who_when_and_why(stocked: tuple[Lantai, str]) -> None:
    lantai, id = stocked
    (first,) = shown(lantai, id)["decisions"]
    assert (first["ground"], first["shown"]) == ("default", "closed")
    told = set_access(lantai, id, "2051-01-01", "未满三十年", "--ground", "statute", "--clause", "第二十七条")
    assert told["status"] == "decided"
    value = shown(lantai, id)
    decision = value["decisions"][-1]
    assert decision == told["decision"]
    assert decision["since"] == "2050-12-31T16:00:00Z"  # the first second of the day in Asia/Shanghai
    assert (decision["by"], decision["reason"], decision["ground"], decision["clause"], decision["replaces"]) == (
        "王芳", "未满三十年", "statute", "第二十七条", [first["decision"]],
    )  # fmt: skip
    assert (value["holds"]["shown"], value["holds"]["until"]) == ("closed", "2050-12-31T16:00:00Z")
    assert lantai("list", "--json").object["access"] == {"shown": "open", "since": "2050-12-31T16:00:00Z"}
    assert set_access(lantai, id, "open")["decision"]["replaces"] == [decision["decision"]]
    assert shown(lantai, id)["holds"]["shown"] == "open"


def test_what_stands_already_is_not_decided_again(stocked: tuple[Lantai, str]) -> None:
    lantai, id = stocked
    set_access(lantai, id, "description")
    before = segments(lantai.folder / "store")
    assert set_access(lantai, id, "description")["status"] == "present"
    assert segments(lantai.folder / "store") == before


def test_a_decision_holds_for_records_below_that_have_none_of_their_own(stocked: tuple[Lantai, str]) -> None:
    lantai, id = stocked
    part = lantai("search", "活动方案", "--json").objects[0]["record"]
    assert part != id
    assert shown(lantai, part)["holds"]["shown"] == "closed"
    set_access(lantai, id, "open")
    assert shown(lantai, part)["holds"]["shown"] == "open"
    set_access(lantai, part, "description")
    assert shown(lantai, part)["holds"]["shown"] == "description"
    assert shown(lantai, id)["holds"]["shown"] == "open"


def test_settings_that_change_later_change_no_decision(stocked: tuple[Lantai, str]) -> None:
    lantai, id = stocked
    settings = lantai.folder / "lantai.toml"
    text = settings.read_text()
    assert 'default = "closed"' in text
    settings.write_text(text.replace('default = "closed"', 'default = "open"'))
    assert shown(lantai, id)["holds"]["shown"] == "closed"


@pytest.mark.parametrize(
    ("words", "code", "kind"),
    [
        (["access", "set", "abcdef12", "open", "--reason", "r"], 1, "NotFound"),
        (["access", "set", "ID", "2051-13-01", "--reason", "r"], 2, "UsageError"),
        (["access", "set", "ID", "open"], 2, "UsageError"),
        (["access", "set", "ID", "open", "--reason", " "], 2, "UsageError"),
        (["access", "set", "ID", "open", "--reason", "r", "--ground", "whim"], 2, "UsageError"),
        (["withdraw", "ID"], 2, "UsageError"),
        (["withdraw", "ID", "--reason", ""], 2, "UsageError"),
        (["journal", "list", "--package", "abcdef12"], 1, "NotFound"),
        (["rebuild", "--store", "tape"], 2, "UsageError"),
    ],
)
def test_bad_input_says_what_is_wrong_and_enters_nothing(
    stocked: tuple[Lantai, str], words: list[str], code: int, kind: str
) -> None:
    lantai, id = stocked
    done = lantai(*(id if word == "ID" else word for word in words), "--json")
    assert (done.code, done.error["kind"]) == (code, kind), done
    assert segments(lantai.folder / "store") == []
    assert not (lantai.folder / "journal").exists()


@pytest.mark.parametrize("said", ["closed", "description", "open"])
def test_the_first_decision_is_what_ingest_or_the_settings_say_and_settings_change_nothing_later(
    lantai: Lantai, tmp_path: Path, said: str
) -> None:
    settings = lantai.folder / "lantai.toml"
    stated = lantai.stored(folder(tmp_path / "stated", {"a.txt": "a\n"}), "--access", said)["package"]
    settings.write_text(settings.read_text().replace('default = "closed"', f'default = "{said}"'))
    settled = lantai.stored(folder(tmp_path / "settled", {"b.txt": "b\n"}))["package"]
    settings.write_text(settings.read_text().replace(f'default = "{said}"', 'default = "closed"'))
    for id, ground in ((stated, "policy"), (settled, "default")):
        value = shown(lantai, id)
        assert [(one["shown"], one["ground"], one["by"]) for one in value["decisions"]] == [(said, ground, "王芳")]
        assert value["holds"]["shown"] == said


def test_what_is_withdrawn_is_hidden_and_comes_back(stocked: tuple[Lantai, str]) -> None:
    lantai, id = stocked
    for _time in range(2):
        assert lantai("withdraw", id, "--reason", "隐私投诉", "--json").code == 0
    assert lantai("list", "--json").objects == []
    assert lantai("list", "--withdrawn", "--json").object["package"] == id
    assert shown(lantai, id)["withdrawn"]
    assert lantai("validate").code == 0
    assert lantai("withdraw", id, "--undo", "--reason", "已核实", "--json").object["status"] == "shown"
    assert lantai("list", "--json").object["package"] == id
    entries = lantai("journal", "list", "--record", id, "--json").objects
    told = [one["state"]["withdrawn"] for one in entries if one["kind"] == "withdrawal"]
    assert told == [True, False]


def test_a_record_is_withdrawn_by_itself_or_with_what_is_above_it(
    lantai: Lantai, records: Path, tmp_path: Path
) -> None:
    sheet = tmp_path / "sheet.csv"
    sheet.write_text("filename,dc.title\n筹备/活动方案.txt,第十二届金秋文化节活动方案\n照片,剪彩\n", "utf-8")
    id = lantai.stored(records, "--metadata", sheet)["package"]
    of = {title: lantai("search", title, "--json").object["record"] for title in ("第十二届金秋文化节活动方案", "剪彩")}

    def hidden() -> list[str]:
        found = [one for title in of for one in lantai("search", title, "--json").objects]
        assert all(shown(lantai, one["record"])["withdrawn"] == one["withdrawn"] for one in found)
        return [one["title"] for one in found if one["withdrawn"]]

    assert lantai("withdraw", of["剪彩"], "--reason", "隐私").code == 0
    assert hidden() == ["剪彩"]
    assert [one["package"] for one in lantai("list", "--json").objects] == [id]
    told = lantai("list", "--withdrawn", "--json").object
    assert (told["record"], told["package"], told["title"]) == (of["剪彩"], id, "剪彩")
    assert (told["by"], told["reason"]) == ("王芳", "隐私")
    assert lantai("withdraw", id, "--reason", "投诉").code == 0
    assert hidden() == ["第十二届金秋文化节活动方案", "剪彩"]
    assert shown(lantai, of["第十二届金秋文化节活动方案"])["withdrawn_with"] == [id]
    assert lantai("list", "--json").objects == []
    for one in (of["剪彩"], id):
        assert lantai("withdraw", one, "--undo", "--reason", "已核实").code == 0
    assert (hidden(), lantai("list", "--withdrawn", "--json").objects) == ([], [])


def test_a_person_who_takes_another_name_stays_the_same(stocked: tuple[Lantai, str], records: Path) -> None:
    lantai, id = stocked
    before = {one["agent"] for event in shown(lantai, id)["events"] for one in event["agents"] if one["name"] == "王芳"}
    renamed = [lantai("agent", "rename", "王芳", "王方", "--by", "李明", "--json").object for _time in range(2)]
    assert [one["status"] for one in renamed] == ["renamed", "present"]
    assert {one["agent"] for one in renamed} == before
    (records / "补充.txt").write_text("more\n", "utf-8")
    again = lantai.stored(records)["package"]
    after = [one for event in shown(lantai, again)["events"] for one in event["agents"] if one["type"] == "person"]
    assert {(one["agent"], one["name"]) for one in after} == {(*before, "王方")}
    for by in ("王芳", "王方"):
        set_access(lantai, id, "open", f"by {by}", "--by", by)
    decided = [one for one in lantai("journal", "list", "--json").objects if one["kind"] == "decision"]
    assert {(one["by"]["id"], one["by"]["name"]) for one in decided} == {(*before, "王方")}


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("赵", "钱", "NotFound"),
        ("王芳", "李明", "UsageError"),
        ("王芳", " ", "UsageError"),
        ("李明", "王芳", "UsageError"),
    ],
)
def test_nobody_becomes_somebody_else(stocked: tuple[Lantai, str], old: str, new: str, kind: str) -> None:
    lantai, id = stocked
    set_access(lantai, id, "open", "期满", "--by", "李明")
    assert lantai("agent", "rename", old, new, "--json").error["kind"] == kind
    assert [one for one in lantai("journal", "list", "--json").objects if one["kind"] == "agent"] == []


# -- entries


def test_every_entry_and_segment_is_as_its_published_schema_says(
    lantai: Lantai, second: Path, records: Path, tmp_path: Path
) -> None:
    id = lantai.stored(records)["package"]
    set_access(lantai, id, "2051-01-01", "未满", "--ground", "statute", "--clause", "27")
    lantai("withdraw", id, "--reason", "投诉")
    lantai("export", id, "out")
    lantai("validate")
    shutil.rmtree(second)
    second.mkdir()
    assert lantai("replicate").code == 1  # what it had lost
    set_access(another_home(lantai, "other"), id, "open")
    assert lantai("agent", "rename", "王芳", "王芳 (利用科)").code == 0
    opened = lantai.stored(folder(tmp_path / "opened", {"a.txt": "a"}), "--access", "open")["package"]
    with Catalog.open(f"sqlite:///{lantai.folder / 'catalog.db'}") as catalog:
        catalog.exposures.served(int(time.time()) + 1000)  # harvesters were answered, so that what follows is late
    set_access(lantai, opened, "closed", "误开")
    next(second.glob("ocfl/*/*/*/*/v1/content/*/bag-info.txt")).unlink()
    assert lantai("audit", "--all", "--json").object["repaired"] == 1
    kinds = set()
    for file in segments(second):
        head, *entries, seal = map(json.loads, file.read_text("utf-8").splitlines())
        jsonschema.validate(head, SCHEMAS["segment"])
        assert set(seal) == {"seal"}
        for entry in entries:
            jsonschema.validate(entry, SCHEMAS["entry"])
            kinds.add(entry["kind"])
    assert kinds == set(SCHEMAS["entry"]["properties"]["kind"]["enum"])
    for name in ("segment", "entry"):
        laid = second / "schemas" / f"journal-{name}-3.json"
        assert json.loads(laid.read_text()) == SCHEMAS[name]


def test_a_person_is_the_same_in_the_journal_and_in_premis(stocked: tuple[Lantai, str]) -> None:
    lantai, id = stocked
    set_access(lantai, id, "open")
    agents = {one["name"]: one["agent"] for event in shown(lantai, id)["events"] for one in event["agents"]}
    (entry,) = (one for one in lantai("journal", "list", "--json").objects if one["kind"] == "decision")
    assert entry["by"] == {"id": agents["王芳"], "name": "王芳"}
    assert entry["for"] == "云岭县档案馆"


def test_an_entry_waits_in_the_home_while_no_store_can_take_it(stocked: tuple[Lantai, str]) -> None:
    lantai, id = stocked
    store = lantai.folder / "store"
    away = store.rename(store.with_name("away"))
    done = lantai("access", "set", id, "open", "--reason", "期满", "--json")
    assert done.code == 1
    assert shown(lantai, id)["holds"]["shown"] == "closed"
    assert lantai("journal", "list", "--json").error["kind"] == "NotFound"
    away.rename(store)
    set_access(lantai, id, "description")
    assert lantai("journal", "verify").code == 0


# -- two homes


def test_two_homes_decide_at_once_and_agree(lantai: Lantai, second: Path, records: Path) -> None:
    """Two that replace the same decision are a conflict, and the stricter holds until one replaces both."""
    id = lantai.stored(records)["package"]
    other = another_home(lantai, "other")
    away = second.rename(second.with_name("away"))
    settings = lantai.folder / "lantai.toml"
    settings.write_text(settings.read_text().replace('path = "store"', 'path = "nowhere"'))
    (lantai.folder / "nowhere").mkdir()
    set_access(other, id, "open")
    settings.write_text(settings.read_text().replace('path = "nowhere"', 'path = "store"'))
    kept = (lantai.folder / "store").rename(lantai.folder / "kept")
    away.rename(second)
    set_access(lantai, id, "description")
    kept.rename(lantai.folder / "store")
    for home in (lantai, other):
        assert home("replicate").code == 0, home("replicate")
    for home in (lantai, other):
        value = shown(home, id)
        assert (value["conflict"], value["holds"]["shown"]) == (True, "description")
        assert home("journal", "verify").code == 0
    assert shown(lantai, id)["decisions"] == shown(other, id)["decisions"]
    standing = {one["decision"] for one in shown(lantai, id)["decisions"][1:]}
    assert set(set_access(lantai, id, "open")["decision"]["replaces"]) == standing
    assert other("replicate").code == 0
    assert not shown(other, id)["conflict"]


def test_a_home_put_back_from_a_backup_begins_a_new_chain(stocked: tuple[Lantai, str], tmp_path: Path) -> None:
    lantai, id = stocked
    set_access(lantai, id, "open")
    shutil.copytree(lantai.folder / "journal", tmp_path / "backup")
    set_access(lantai, id, "closed")
    for file in (lantai.folder / "journal").glob("*/*.ndjson"):
        if not (tmp_path / "backup" / file.parent.name / file.name).exists():
            file.unlink()
    set_access(lantai, id, "description")
    assert len({one.parent.name for one in segments(lantai.folder / "store")}) == 2
    assert lantai("journal", "verify").code == 0
    assert [one["shown"] for one in shown(lantai, id)["decisions"]] == ["closed", "open", "closed", "description"]


def test_a_home_put_back_and_rotten_keeps_nothing_from_going_on(stocked: tuple[Lantai, str]) -> None:
    lantai, id = stocked
    for shown_as in ("open", "closed", "description"):
        set_access(lantai, id, shown_as)
    first, _second, last = segments(lantai.folder)
    last.unlink()
    first.write_bytes(first.read_bytes().replace(b'"open"', b'"oben"'))
    set_access(lantai, id, "open", "afterwards")
    assert first.exists()
    assert len({one.parent.name for one in segments(lantai.folder / "store")}) == 2


def test_a_machine_that_was_cloned_goes_on_with_a_chain_of_its_own(stocked: tuple[Lantai, str]) -> None:
    lantai, id = stocked
    set_access(lantai, id, "open")
    clone = another_home(lantai, "clone")
    writer = clone.folder / "journal" / "writer.json"
    values = json.loads(writer.read_text("utf-8"))
    machine = values["machine"].split()[0]
    writer.write_text(json.dumps({**values, "machine": f"{machine} {writer.parent.stat().st_ino}"}), "utf-8")
    sent = Journal.send

    def fail_with_what_is_new(own: Journal, chain: Chain, store: Store) -> None:
        if chain.head is not None and chain.head.number > 1:
            raise StoreUnavailable("away", subject="s", remedy="Wait.")
        sent(own, chain, store)

    with mock.patch.object(Journal, "send", fail_with_what_is_new):
        assert clone("access", "set", id, "closed", "--reason", "offline", "--json").code == 1  # it stays in the home
    store = lantai.folder / "store"
    set_access(lantai, id, "description", "before the clone came back")
    set_access(clone, id, "open", "afterwards")
    assert len({one.parent.name for one in segments(store)}) == 2
    for one in (lantai, clone):
        assert one("access", "set", id, "open", "--reason", "afterwards").code == 0
        reasons = {told["reason"] for told in shown(one, id)["decisions"]}
        assert {"offline", "before the clone came back", "afterwards"} <= reasons
        assert one("journal", "verify").code == 0
    assert answers(lantai) == answers(clone)


# -- damage


def flip(files: list[Path]) -> str:
    data = bytearray(files[1].read_bytes())
    data[len(data) // 2] ^= 1
    files[1].write_bytes(data)
    return "journal-damaged"


def cut(files: list[Path]) -> str:
    files[1].write_bytes(files[1].read_bytes()[:-30])
    return "journal-damaged"


def missing(files: list[Path]) -> str:
    files[1].unlink()
    return "journal-missing"


def tail_missing(files: list[Path]) -> str:
    files[-1].unlink()
    return "journal-cut"


def swapped(files: list[Path]) -> str:
    first, other = files[0].read_bytes(), files[1].read_bytes()
    files[0].write_bytes(other)
    files[1].write_bytes(first)
    return "journal-foreign"


def foreign(files: list[Path]) -> str:
    segment, _seal = decode(files[1].read_bytes())
    files[1].write_bytes(encode(replace(segment, archive=str(uuid.uuid4()))))
    return "journal-foreign"


def rewritten(files: list[Path]) -> str:
    segment, _seal = decode(files[1].read_bytes())
    (entry,) = segment.entries
    files[1].write_bytes(encode(replace(segment, entries=(replace(entry, clause="forged"),))))
    return "journal-link"


HARMS = [flip, cut, missing, tail_missing, swapped, foreign, rewritten]


@pytest.mark.parametrize("harm", HARMS, ids=lambda one: one.__name__)
@pytest.mark.parametrize("where", ["one store", "all"])
def test_damage_is_named_and_taken_from_another_store(
    lantai: Lantai, second: Path, records: Path, harm: Callable[[list[Path]], str], where: str
) -> None:
    id = lantai.stored(records)["package"]
    for word in ("open", "closed", "description", "open"):
        set_access(lantai, id, word)
    assert lantai("journal", "verify").code == 0
    whole = {one.name: one.read_bytes() for one in segments(second)}
    places = [second] if where == "one store" else [second, lantai.folder / "store", lantai.folder]
    for place in places:
        code = harm(segments(place))
    done = lantai("journal", "verify", "--json")
    told = {one["store"]: {it["code"] for it in one["errors"]} for one in done.objects}
    assert done.code == 1
    assert code in told["second"], told
    for words in (["list"], ["show", id], ["access", "set", id, "closed", "--reason", "无论如何"], ["validate"]):
        assert lantai(*words).code == 0, words
    assert shown(lantai, id)["holds"]["shown"] == "closed"
    if where == "one store":
        assert told["local"] <= {"journal-differs"}
        # Who lacks only the end may have been away, and has lost nothing.
        assert lantai("replicate").code == (0 if harm in (tail_missing, rewritten) else 1)
        if harm is rewritten:  # two that are whole and differ are a person's to settle
            assert lantai("journal", "verify").code == 1
        else:
            assert lantai("journal", "verify").code == 0
            assert whole.items() <= {one.name: one.read_bytes() for one in segments(second)}.items()


@pytest.mark.parametrize("mend", [("audit", "--all"), ("replicate",)], ids=["audit", "replicate"])
@pytest.mark.parametrize("decided", [False, True], ids=["at once", "after a decision"])
def test_a_damaged_end_of_the_chain_of_the_home_comes_back_from_a_store(
    stocked: tuple[Lantai, str], mend: tuple[str, ...], decided: bool
) -> None:
    lantai, id = stocked
    set_access(lantai, id, "open")
    set_access(lantai, id, "closed")
    last = segments(lantai.folder)[-1]
    whole = last.read_bytes()
    last.write_bytes(whole[:-9])
    if decided:  # nobody is kept from deciding: that begins another chain
        set_access(lantai, id, "open")
    lantai(*mend)
    assert last.read_bytes() == whole
    [kept] = (lantai.folder / "damaged").rglob(last.name)
    assert kept.read_bytes() == whole[:-9]
    assert len({one.parent.name for one in segments(lantai.folder)}) == (2 if decided else 1)
    assert lantai("journal", "verify").code == 0
    assert lantai("audit", "--all").code == 0


def test_a_store_that_is_away_is_not_compared_and_that_is_said(lantai: Lantai, second: Path, records: Path) -> None:
    id = lantai.stored(records)["package"]
    set_access(lantai, id, "open")
    second.rename(second.with_name("away"))
    done = lantai("journal", "verify", "--json")
    assert done.code == 0
    assert {one["store"]: one["compared"] for one in done.objects} == {
        "local": True, "the home": True, "second": False,
    }  # fmt: skip
    set_access(lantai, id, "closed")
    second.with_name("away").rename(second)
    assert lantai("journal", "verify", "--json").code == 1
    assert lantai("replicate").code == 0
    assert lantai("journal", "verify", "--json").code == 0


def test_a_journal_of_a_newer_lantai_is_refused(stocked: tuple[Lantai, str]) -> None:
    lantai, id = stocked
    set_access(lantai, id, "open")
    (file,) = segments(lantai.folder / "store")
    body = b"".join(file.read_bytes().replace(b'"format":3', b'"format":99').splitlines(keepends=True)[:-1])
    seal = json.dumps({"seal": hashlib.sha256(body).hexdigest()}, separators=(",", ":"))
    file.write_bytes(body + seal.encode() + b"\n")
    done = lantai("journal", "list", "--json")
    assert (done.code, done.error["kind"]) == (2, "UsageError")
    assert "newer" in done.error["what"]
    assert lantai("journal", "verify", "--json").code == 1


def test_commands_of_one_home_that_decide_at_once_do_not_conflict(stocked: tuple[Lantai, str]) -> None:
    lantai, id = stocked
    with ThreadPoolExecutor(4) as pool:
        words = ["open", "description", "closed", "2051-01-01"]
        done = list(pool.map(lambda word: lantai.process("access", "set", id, word, "--reason", word), words))
    assert [one.code for one in done] == [0] * 4, done
    value = shown(lantai, id)
    assert (len(value["decisions"]), value["conflict"]) == (5, False)
    assert lantai("journal", "verify").code == 0
