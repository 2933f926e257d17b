"""What holds for every command: exit codes, JSON, help, languages, homes, ids, names of persons."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from importlib import metadata
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import pytest
from lxml import etree

from lantai.cli import lantai as program
from tests.integration.command import ENVIRONMENT, Lantai, folder, read_until

PREMIS = {"p": "http://www.loc.gov/premis/v3"}
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def commands(group: click.Command = program, *path: str) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(group, click.Group):
        for name, command in group.commands.items():
            yield from commands(command, *path, name)


# -- the program


def test_the_version_is_that_of_the_distribution(tmp_path: Path) -> None:
    done = Lantai(tmp_path).process("--version")
    assert (done.code, done.out, done.err) == (0, f"lantai {metadata.version('lantai-archive')}\n", "")


def test_a_day_s_work_in_processes_of_its_own(tmp_path: Path, records: Path) -> None:
    user = Lantai(tmp_path)
    assert user.process("init", "archive").code == 0
    home = Lantai(tmp_path / "archive")
    done = home.process("ingest", records, "--json")
    assert done.code == 0
    assert done.object["status"] == "stored"
    assert "文化节" in home.process("list").out
    assert home.process("validate").code == 0


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
@pytest.mark.parametrize(("language", "heading"), [("en", "Examples:\n"), ("zh", "示例:\n")])
def test_help_has_an_example_that_the_command_understands(
    path: tuple[str, ...], language: str, heading: str, tmp_path: Path
) -> None:
    done = Lantai(tmp_path)(*path, "--help", "--lang", language)
    assert done.code == 0
    examples = done.out.partition(heading)[2].splitlines()
    assert examples
    assert all(line.strip().startswith(" ".join(["lantai", *path])) for line in examples)


@pytest.mark.parametrize(("language", "sections"), [
    ("en", ["Set up", "Prepare", "Take in", "Look", "Keep", "Account", "Decide", "Share"]),
    ("zh", None),
])  # fmt: skip
def test_help_groups_every_command_by_its_work(language: str, sections: list[str] | None, tmp_path: Path) -> None:
    text = Lantai(tmp_path)("--help", "--lang", language).out
    named = re.findall(r"^  ([a-z][a-z-]+)  ", text, re.MULTILINE)
    assert sorted(named) == sorted(program.commands)
    assert sections is None or re.findall(r"^(.*):$", text, re.MULTILINE)[1:-1] == sections
    assert language == "en" or "Set up" not in text


def test_check_and_validate_are_told_apart_in_a_line_each(tmp_path: Path) -> None:
    text = " ".join(Lantai(tmp_path)("--help").out.split())
    assert "check Say what ingest would say" in text
    assert "validate Read every byte" in text


# -- exit codes and errors


@pytest.mark.parametrize(("arguments", "code", "kind"), [
    (["frobnicate"], 2, "UsageError"),
    (["show"], 2, "UsageError"),
    (["list", "--frobnicate"], 2, "UsageError"),
    (["list", "--lang", "fr"], 2, "UsageError"),
    (["ingest", "records", "--access", "tomorrow"], 2, "UsageError"),
    (["ingest", "records", "--each", "--title", "一"], 2, "UsageError"),
    (["clean", "--older-than", "soon"], 2, "UsageError"),
    (["export", "abcdef", "out", "--version", "0"], 2, "UsageError"),
    (["init", "new", "--timezone", "Asia/Nowhere"], 2, "UsageError"),
    (["metadata", "template", "store", "-o", "sheet.ods"], 2, "UsageError"),
    (["list", "--home", "nowhere"], 2, "UsageError"),
    (["list", "--home", "store"], 2, "UsageError"),
    (["show", "nothing"], 1, "NotFound"),
    (["show", "abcdef"], 1, "NotFound"),
    (["ingest", "nowhere"], 1, "NotFound"),
    (["check", "nowhere"], 1, "NotFound"),
    (["identify", "nowhere"], 1, "NotFound"),
    (["metadata", "template", "nowhere"], 1, "NotFound"),
    (["validate", "drafts"], 1, "NotFound"),
    (["validate", "nowhere"], 1, "NotFound"),
    (["export", "abcdef", "out"], 1, "NotFound"),
    (["init", "."], 1, "Exists"),
])  # fmt: skip
def test_a_failure_says_what_which_and_what_to_do(lantai: Lantai, arguments: list[str], code: int, kind: str) -> None:
    before = lantai.state()
    done = lantai(*arguments, "--json")
    assert done.code == code
    assert done.error["kind"] == kind
    assert lantai.state() == before
    for_people = lantai(*arguments)
    assert for_people.code == code
    assert for_people.out == ""
    assert len(for_people.err.splitlines()) >= 2, "what is wrong, and what to do"


def test_a_path_that_is_not_there_does_not_keep_the_others_out(lantai: Lantai, records: Path) -> None:
    done = lantai("ingest", "nowhere", records, "--json")
    assert done.code == 1
    missing, stored = done.objects
    assert missing["error"]["subject"] == "nowhere"
    assert stored["status"] == "stored"


def test_warnings_are_success(lantai: Lantai, records: Path) -> None:
    done = lantai("ingest", records)
    assert done.code == 0
    assert "Thumbs.db" in done.err


@pytest.mark.parametrize("arguments", [
    ["list"], ["show", "{id}"], ["show", "{id}", "--files"], ["search", "方案"], ["validate"], ["clean"],
    ["export", "{id}", "out"], ["check", "{records}"], ["identify", "{records}"], ["ingest", "{records}"],
    ["ingest", "{records}", "--again"], ["update", "{id}", "--title", "新题名", "--reason", "更正"],
    ["metadata", "template", "{records}"], ["init", "other"],
], ids=" ".join)  # fmt: skip
def test_with_json_standard_output_holds_json_and_nothing_else(
    stocked: tuple[Lantai, str], records: Path, arguments: list[str]
) -> None:
    lantai, id = stocked
    done = lantai(*(one.format(id=id, records=records) for one in arguments), "--json")
    assert done.code == 0
    assert done.objects or arguments == ["clean"]
    assert lantai("--json", "list").objects[0]["package"] == id, "--json stands before the command as well"


def test_the_keys_of_what_commands_print_are_those_of_the_contract(lantai: Lantai, records: Path) -> None:
    stored = lantai.stored(records)
    assert set(stored) >= {"submission", "status", "package", "version", "files", "bytes", "formats"}
    assert (stored["submission"], stored["version"], stored["files"]) == (str(records), 1, 3)
    assert stored["bytes"] == sum(len((records / one).read_bytes()) for one in
                                  ("筹备/活动方案.txt", "照片/开幕式.txt", "Thumbs.db"))  # fmt: skip
    assert sum(stored["formats"].values()) == 3
    assert stored["formats"]["x-fmt/111"] == 2

    present = lantai("ingest", records, "--json").object
    assert (present["status"], present["package"]) == ("present", stored["package"])

    accepted = lantai("check", records, "--json").object
    assert set(accepted) == {"submission", "status", "errors", "warnings"}
    assert (accepted["status"], accepted["errors"]) == ("accepted", [])
    assert [set(one) for one in accepted["warnings"]] == [{"code", "subject", "message"}]

    listed = lantai("list", "--json").object
    assert (listed["package"], listed["title"], listed["files"]) == (stored["package"], "金秋文化节档案", 3)

    valid = lantai("validate", "--json").object
    assert valid == {"object": stored["package"], "valid": True, "errors": [], "warnings": []}

    identified = lantai("identify", records / "Thumbs.db", records / "筹备/活动方案.txt", "--json").objects
    assert [set(one) for one in identified] == [{"path", "formats"}] * 2
    assert identified[1]["formats"][0]["puid"] == "x-fmt/111"


def test_a_reader_that_goes_away_is_no_crash(stocked: tuple[Lantai, str]) -> None:
    lantai, _id = stocked
    with subprocess.Popen(
        [sys.executable, "-m", "lantai", "list", "--json"], cwd=lantai.folder, env=ENVIRONMENT,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as reader:  # fmt: skip
        assert reader.stdout is not None
        assert reader.stderr is not None
        reader.stdout.close()
        assert b"Traceback" not in reader.stderr.read()


# -- homes


def test_the_home_is_found_upward(stocked: tuple[Lantai, str]) -> None:
    lantai, _id = stocked
    below = lantai.folder / "a" / "b"
    below.mkdir(parents=True)
    assert Lantai(below)("list", "--json").object["title"] == "金秋文化节档案"


def test_home_may_be_named_by_option_and_by_environment(stocked: tuple[Lantai, str], tmp_path: Path) -> None:
    lantai, _id = stocked
    away = tmp_path / "away"
    away.mkdir()
    for done in (
        Lantai(away)("list", "--json", "--home", lantai.folder),
        Lantai(away)("--home", lantai.folder, "list", "--json"),
        Lantai(away)("list", "--json", "--home", "../home"),
        Lantai(away)("list", "--json", LANTAI_HOME=str(lantai.folder)),
        Lantai(away)("list", "--json", "--home", lantai.folder, LANTAI_HOME="/nowhere"),
    ):
        assert done.object["title"] == "金秋文化节档案"
    none = Lantai(away)("list", "--json")
    assert none.code == 2
    assert none.error["subject"] == str(away)
    assert "lantai init" in none.error["remedy"]


def test_what_needs_no_home_takes_the_language_of_one_at_hand(lantai: Lantai, records: Path) -> None:
    settings = lantai.folder / "lantai.toml"
    settings.write_text(settings.read_text("utf-8").replace('language = "en"', 'language = "zh"'), "utf-8")
    (warning,) = lantai("check", records, "--json").object["warnings"]
    assert "操作系统" in warning["message"]
    (warning,) = lantai("check", records, "--json", "--lang", "en").object["warnings"]
    assert "operating system" in warning["message"]


@pytest.mark.parametrize(("line", "key"), [
    ("[ingest]\nidentifer = 'fido'", "ingest.identifer"), ("[ingest]\ndigests = ['crc32']", "ingest.digests"),
    ("[ingest]\ndigests = ['md5']", "ingest.digests"), ("[access]\ndefault = 'secret'", "access.default"),
    ("[color]\nred = 1", "color"), ("[archive]\nlanguage = 'fr'", "archive.language"),
])  # fmt: skip
def test_a_setting_that_is_unknown_or_out_of_range_is_named(lantai: Lantai, line: str, key: str) -> None:
    settings = lantai.folder / "lantai.toml"
    settings.write_text(f"[[store]]\nname = 'local'\npath = 'store'\n{line}\n", "utf-8")
    done = lantai("list", "--json")
    assert done.code == 2
    assert done.error["what"].startswith(key)
    assert done.error["subject"] == str(settings)


def test_settings_that_are_no_toml_are_refused_with_the_line(lantai: Lantai) -> None:
    (lantai.folder / "lantai.toml").write_text("[archive\n", "utf-8")
    done = lantai("list", "--json")
    assert done.code == 2
    assert "line 1" in done.error["what"]


@pytest.mark.parametrize("domain", ["1abc.org", "archive.1abc.org"])
def test_init_says_that_a_domain_name_may_not_begin_with_a_digit(tmp_path: Path, domain: str) -> None:
    done = Lantai(tmp_path)("init", "new", "--identifier", domain, "--json")
    assert (done.code, done.error["kind"], done.error["subject"]) == (2, "UsageError", domain)
    assert "digit there is not allowed" in done.error["remedy"]


def test_init_says_where_everything_lies(tmp_path: Path) -> None:
    done = Lantai(tmp_path)("init", "new", "--store", "elsewhere", "--timezone", "UTC", "--json")
    assert done.code == 0
    assert done.object["home"] == "new"
    assert done.object["store"] == "elsewhere"
    assert (tmp_path / "elsewhere" / "store.json").is_file()
    again = Lantai(tmp_path)("init", "other", "--store", "elsewhere", "--json")
    assert (again.code, again.error["kind"], again.error["subject"]) == (1, "Exists", "elsewhere")
    assert not (tmp_path / "other").exists()


# -- ids


def test_a_package_is_named_by_urn_uuid_its_end_and_its_reference_code(stocked: tuple[Lantai, str]) -> None:
    lantai, id = stocked
    uuid = id.removeprefix("urn:uuid:")
    for name in (id, uuid, uuid.upper(), uuid[-6:], uuid[-8:].upper(), uuid[-12:], uuid[-17:], "Z109"):
        done = lantai("show", name, "--json")
        assert done.code == 0, name
        assert done.object["package"] == id


def test_a_record_and_a_file_are_named_likewise(stocked: tuple[Lantai, str]) -> None:
    lantai, id = stocked
    record = lantai("show", "Z109-WS·2021-Y-BGS-0001", "--json").object
    assert (record["package"], record["paths"]) == (id, ["筹备/活动方案.txt"])
    assert lantai("show", record["record"][-8:], "--json").object == record
    file = lantai("show", id, "--files", "--json").object["file_list"][0]
    assert lantai("show", file["file"][-8:], "--json").object == file


def test_too_few_digits_name_nothing(stocked: tuple[Lantai, str]) -> None:
    lantai, id = stocked
    assert lantai("show", id[-5:]).code == 1


def test_a_record_is_not_exported_as_if_it_were_a_package(stocked: tuple[Lantai, str]) -> None:
    lantai, _id = stocked
    done = lantai("export", "Z109-WS·2021-Y-BGS-0001", "out", "--json")
    assert done.code == 2
    assert done.error["subject"] == "Z109-WS·2021-Y-BGS-0001"
    assert not (lantai.folder / "out").exists()


def test_a_name_for_several_things_is_refused_with_all_of_them(lantai: Lantai, tmp_path: Path) -> None:
    sheet = "文件名,题名,档号\n,{},A-1\n"
    ids = [lantai.stored(folder(tmp_path / name, {"a.txt": name, "metadata.csv": sheet.format(name)}))["package"]
           for name in ("one", "two")]  # fmt: skip
    done = lantai("show", "A-1", "--json")
    assert done.code == 2
    assert all(id in done.error["what"] for id in ids)


# -- persons


def test_who_did_it_stands_in_the_versions_and_in_premis(stocked: tuple[Lantai, str]) -> None:
    lantai, id = stocked
    assert lantai("update", id, "--title", "新题名", "--reason", "更正题名", "--by", "李明").code == 0
    first, second = lantai("show", id, "--json").object["versions"]
    assert (first["version"], first["by"]) == (1, "王芳")
    assert (second["version"], second["by"], second["reason"]) == (2, "李明", "更正题名")
    premis = etree.parse(next(lantai.export(id).rglob("uuid-*/metadata/preservation/premis.xml")))
    persons = premis.iterfind(".//p:agent[p:agentType='person']/p:agentName", PREMIS)
    assert {one.text for one in persons} == {"李明", "王芳"}


def test_without_a_name_the_login_name_stands(lantai: Lantai, records: Path) -> None:
    done = lantai("ingest", records, "--json", LANTAI_BY="", LOGNAME="wangfang")
    assert lantai("show", done.object["package"], "--json").object["versions"][0]["by"] == "wangfang"


# -- languages, colours, times


@pytest.mark.parametrize(("arguments", "environment"), [
    (["--lang", "zh"], {}), (["--lang=zh"], {"LANG": "en_US.UTF-8"}), ([], {"LANG": "zh_CN.UTF-8"}),
    ([], {"LC_ALL": "zh_CN.UTF-8", "LANG": "en_US.UTF-8"}), ([], {"LANTAI_LANG": "zh", "LANG": "en_US.UTF-8"}),
])  # fmt: skip
def test_chinese_is_spoken_when_it_is_asked_for(
    stocked: tuple[Lantai, str], arguments: list[str], environment: dict[str, str]
) -> None:
    lantai, _id = stocked
    done = lantai("list", *arguments, **environment)
    assert done.code == 0
    assert "题名" in done.out.splitlines()[0]
    assert "Title" not in done.out


@pytest.mark.parametrize("environment", [{}, {"LANG": "en_US.UTF-8"}, {"LANG": "fr_FR.UTF-8"}])
def test_else_english(stocked: tuple[Lantai, str], environment: dict[str, str]) -> None:
    lantai, _id = stocked
    assert "Title" in lantai("list", **environment).out.splitlines()[0]


def test_errors_of_use_are_in_the_language_too(lantai: Lantai) -> None:
    done = lantai.process("show", "--json", "--lang", "zh")
    assert done.code == 2
    assert re.search(r"[\u4e00-\u9fff]", done.error["what"] + done.error["remedy"])


def on_terminal(command: Lantai, *arguments: str, columns: int = 80, **environment: str) -> str:
    """What a terminal of that width shows."""
    primary, secondary = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "lantai", *arguments], cwd=command.folder, stdin=secondary, stdout=secondary,
        stderr=secondary, env={**ENVIRONMENT, "TERM": "xterm-256color", "COLUMNS": str(columns), **environment},
    ) as process:  # fmt: skip
        os.close(secondary)
        shown = read_until(primary)
        os.close(primary)
    assert process.returncode == 0, shown
    return shown.replace("\r\n", "\n")


COLOUR = re.compile(r"\x1b\[(?:[0-9]+;)*(?:3[0-9]|9[0-7])(?:;[0-9]+)*m")


def test_a_terminal_gets_colours_unless_it_wants_none(stocked: tuple[Lantai, str]) -> None:
    lantai, _id = stocked
    assert COLOUR.search(on_terminal(lantai, "validate"))
    assert not COLOUR.search(on_terminal(lantai, "validate", NO_COLOR="1"))
    assert "\x1b" not in lantai.process("validate").out


@pytest.mark.parametrize("columns", [80, 120])
def test_tables_fit_the_terminal_and_break_no_id_or_day(lantai: Lantai, records: Path, columns: int) -> None:
    id = lantai.stored(records, "--access", "2051-01-01")["package"]
    shown = ESCAPE.sub("", on_terminal(lantai, "list", columns=columns))
    lines = shown.splitlines()
    assert all(sum(2 if one > "\u2e80" else 1 for one in line) <= columns for line in lines)
    assert id[-8:] in shown
    assert re.search(r"\b20\d\d-\d\d-\d\d\b", shown)
    assert "closed" not in shown
    assert "2051-01-01" in shown


def test_a_pipe_gets_one_line_for_each_row_without_padding(lantai: Lantai, records: Path) -> None:
    title = "题" * 150
    lantai.stored(records, "--title", title)
    done = lantai.process("list")
    assert len(done.out.splitlines()) == 2
    assert title in done.out
    assert all(line == line.rstrip() for line in done.out.splitlines())


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/St_Johns", "UTC"])
def test_times_are_shown_in_the_archive_s_zone(tmp_path: Path, records: Path, zone: str) -> None:
    assert Lantai(tmp_path)("init", "there", "--timezone", zone).code == 0
    lantai = Lantai(tmp_path / "there", {"TZ": "Pacific/Kiritimati"})
    id = lantai.stored(records)["package"]
    (version,) = lantai("show", id, "--json").object["versions"]
    assert version["created"].endswith("Z")
    local = datetime.fromisoformat(version["created"]).astimezone(ZoneInfo(zone))
    assert f"{local:%Y-%m-%d %H:%M:%S}" in lantai("show", id).out


# -- completion


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
@pytest.mark.parametrize(("words", "offered"), [
    (["lantai", "in"], {"init", "ingest"}), (["lantai", "export", "--as", ""], {"bag", "files", "zip"}),
    (["lantai", "metadata", ""], {"template"}), (["lantai", "update", "--rem"], {"--remove"}),
    (["lantai", "list", "--lang", ""], {"zh", "en"}),
])  # fmt: skip
def test_bash_completes(words: list[str], offered: set[str], tmp_path: Path) -> None:
    script = (
        'source <(lantai completion bash)\nCOMP_WORDS=("$@")\nCOMP_CWORD=$(($# - 1))\n'
        '_lantai_completion lantai\nprintf "%s\\n" "${COMPREPLY[@]}"\ncomplete -p lantai >&2'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", script, "bash", *words], cwd=tmp_path, env=ENVIRONMENT, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    assert set(done.stdout.split()) == offered
    assert "_lantai_completion" in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_completion_script_for_each_shell(shell: str, tmp_path: Path) -> None:
    done = Lantai(tmp_path)("completion", shell)
    assert done.code == 0
    assert f"_LANTAI_COMPLETE={shell}_complete" in done.out
