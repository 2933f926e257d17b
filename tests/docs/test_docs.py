"""What is not in the documents is not there: commands, options, settings, findings; and what README shows, works."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lantai.messages import FINDINGS
from lantai.settings import Settings
from tools import reference

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md")])


@pytest.mark.parametrize("name", reference.PAGES)
def test_a_reference_page_is_what_the_program_says_today(name: str) -> None:
    assert (DOCS / name).read_text("utf-8") == reference.PAGES[name](), "python -m tools.reference write"


@pytest.mark.parametrize("called", dict(reference.commands()))
def test_every_command_and_option_is_documented(called: str) -> None:
    page = (DOCS / "cli.md").read_text("utf-8")
    assert f"### {called}\n" in page
    section = page.split(f"### {called}\n")[1].split("\n##")[0]
    for option in reference.options(dict(reference.commands())[called]):
        for name in option.opts:
            assert re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", section), f"{called} {name}"


def test_every_setting_is_documented_and_says_what_it_means() -> None:
    page = (DOCS / "configuration.md").read_text("utf-8")
    for table, field in Settings.model_fields.items():
        section = re.split(rf"## \[+{table}\]+\n", page)[1].split("\n## ")[0]
        for key in reference.table_of(field.annotation)[0].model_fields:
            row = re.search(rf"^\| `{key}` \|.*\| (.*) \|$", section, re.MULTILINE)
            assert row, f"[{table}] {key}"
            assert row[1].strip(), f"[{table}] {key}"


def test_every_finding_is_documented_in_both_languages() -> None:
    page = (DOCS / "findings.md").read_text("utf-8")
    for code, one in FINDINGS.items():
        assert f"| `{code}` |" in page
        assert one.text["zh"] in page
        assert one.text["en"] in page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_links_to_is_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


# A command that a page shows as text, with something in the place of what only a reader knows.
_SHOWN = re.compile(r"^(?:\$ )?lantai ([a-z].*)$", re.MULTILINE)


def _fenced(page: Path, *languages: str) -> list[str]:
    """The blocks of these languages; "": those that name none."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return [body for language, body in blocks if language in languages]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_line_that_a_page_shows_exists(page: Path) -> None:
    called = {words.removeprefix("lantai "): command for words, command in reference.commands()}
    for line in _SHOWN.findall("".join(_fenced(page, "", "console", "sh"))):
        words = shlex.split(line.split("|")[0].split(">")[0], comments=True)
        name = " ".join(words[:2]) if " ".join(words[:2]) in called else words[0]
        assert name in called, line
        known = {option for one in reference.options(called[name]) for option in one.opts} | {"--help"}
        assert {word.split("=")[0] for word in words if word.startswith("--")} <= known, line


def test_the_python_in_the_readme_runs(tmp_path: Path) -> None:
    (block,) = _fenced(ROOT / "README.md", "python")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    ran = subprocess.run([sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert re.search(r"^stored urn:uuid:\S+ 15$", ran.stdout, re.MULTILINE), ran.stdout


def _typed(name: str) -> list[str]:
    """The lines that begin with "$ "."""
    return re.findall(r"^\$ (.*)$", "".join(_fenced(ROOT / name, "console")), re.MULTILINE)


@pytest.mark.parametrize("name", ["README", "docs/user-guide"])
def test_both_languages_show_the_same_work(name: str) -> None:
    english, chinese = _typed(f"{name}.md"), _typed(f"{name}.zh.md")
    assert english
    assert [line.replace(" --lang zh", "") for line in chinese] == english
    assert _fenced(ROOT / f"{name}.zh.md", "python") == _fenced(ROOT / f"{name}.md", "python")


# What the guides write in the place of the end of an id.
_ID = "1a2b3c4d"
_FIRST_ID = "${ID:=$(lantai list --json | grep -o 'urn:uuid:[0-9a-f-]*' | head -n 1)}"


@pytest.mark.parametrize("name", ["README.md", "docs/user-guide.zh.md"])
def test_the_commands_of_a_guide_run_one_after_the_other(name: str, tmp_path: Path) -> None:
    lines = _typed(name)
    assert any(line.startswith("lantai ingest") for line in lines)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "lantai").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lantai "$@"\n')
    (tmp_path / "lantai").chmod(0o755)
    script = "\n".join(["set -eu", f'PATH="{tmp_path}:$PATH"', *(line.replace(_ID, _FIRST_ID) for line in lines)])
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", "HOME": str(tmp_path)}
    ran = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False, env=environment
    )
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"


def test_every_room_stands_in_the_design() -> None:
    design = (DOCS / "design.md").read_text("utf-8")
    rooms = [path for path in (ROOT / "lantai").iterdir() if (path / "__init__.py").exists() or path.suffix == ".py"]
    names = {f"{path.name}/" if path.is_dir() else path.name for path in rooms if not path.name.startswith("_")}
    assert sorted(name for name in names if f"`{name}`" not in design) == []
