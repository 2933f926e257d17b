"""What the judges are shown: packages made with the command line alone, as a person makes them."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lantai.archive import Archive
from lantai.catalog import Catalog
from lantai.model import PackageId
from tests.judges import difficult
from tests.judges.ask import objects, run

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "autumn-festival"
VERSIONS = (1, 2, 3)
"""1: as ingested. 2: another description, the same files. 3: files added, replaced, removed."""


@dataclass(frozen=True, slots=True)
class Material:
    """A package in a home of its own. bags: every version, exported; told: what the catalogue said of it then."""

    home: Path
    source: Path
    package: PackageId
    bags: Mapping[int, Path]
    told: Mapping[int, object]

    @property
    def root(self) -> Path:
        """The OCFL storage root."""
        return self.home / "store" / "ocfl"

    @property
    def objects(self) -> list[Path]:
        return objects_in(self.home)

    def csip(self, version: int) -> Path:
        """The folder of the CSIP package in the bag."""
        return csip(self.bags[version], self.package)

    def data(self, version: int) -> Path:
        """The payload files as the producer gave them, under their safe paths."""
        return self.csip(version) / "representations" / "original" / "data"


def objects_in(home: Path) -> list[Path]:
    """Every object of a home's storage root, where the layout 0003 puts it: a payload may look like one too."""
    return [one.parent for one in sorted((home / "store" / "ocfl").glob("*/*/*/*/0=ocfl_object_1.1"))]


def csip(bag: Path, package: PackageId) -> Path:
    return bag / "data" / ("uuid-" + package.removeprefix("urn:uuid:"))


def lantai(*arguments: str | Path, home: Path) -> list[dict[str, Any]]:
    """What a command says with --json. AssertionError, in the command's words, unless it exits with 0."""
    done = run(sys.executable, "-m", "lantai", *arguments, "--home", home, "--json", environment=_environment())
    assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
    return objects(done.stdout)


def refused(*arguments: str | Path, home: Path) -> list[dict[str, Any]]:
    """What a command says that finds something wrong: it exits with 1."""
    done = run(sys.executable, "-m", "lantai", *arguments, "--home", home, "--json", environment=_environment())
    assert done.returncode == 1, f"{arguments}: {done.stdout}{done.stderr}"
    return objects(done.stdout)


def _environment() -> Mapping[str, str]:
    quiet = {name: "" for name in os.environ if name.startswith("LANTAI_")}
    return {**quiet, "PYTHONPATH": str(ROOT), "LANTAI_BY": "审判员", "LC_ALL": "C.UTF-8"}


def make(name: str, folder: Path, corpus: Path | None) -> Material:
    """The material called name, all of its versions, below folder. corpus: where that of this name lies."""
    submission, description, files = _changes(name, folder, corpus)
    home = folder / "home"
    _init(home, digests='["sha512", "md5", "sm3"]' if name == "digests" else None)
    (stored,) = lantai("ingest", submission, home=home)
    package = PackageId(stored["package"])
    told = {1: dump(home, package)}
    for version, change, reason in ((2, description, "题名更正 100%"), (3, files, "补交\u2028与替换")):
        lantai("update", package, *change, "--reason", reason, home=home)
        told[version] = dump(home, package)
    bags = {}
    for version in VERSIONS:
        (given,) = lantai("export", package, folder / "out", "--version", str(version), "--no-verify", home=home)
        bags[version] = Path(given["path"])
    return Material(home, submission, package, bags, told)


def _init(home: Path, digests: str | None) -> None:
    done = run(sys.executable, "-m", "lantai", "init", home, environment=_environment())
    assert done.returncode == 0, done.stderr
    if digests:
        settings = home / "lantai.toml"
        before = settings.read_text("utf-8")
        after = before.replace('digests = ["sha256"]', f"digests = {digests}")
        assert after != before
        settings.write_text(after, "utf-8")


def _changes(name: str, folder: Path, corpus: Path | None) -> tuple[Path, Sequence[str | Path], Sequence[str | Path]]:
    """The submission, and what update is told for versions 2 and 3."""
    new = folder / "new"
    new.mkdir(parents=True)
    if name == "corpus":
        assert corpus is not None
        (new / "readme.txt").write_text("replaced\n", "utf-8")
        (new / "later.txt").write_text("added\n", "utf-8")
        return (
            corpus,
            ("--title", "Real files of sixty formats"),
            ("--add", new / "later.txt", "--replace", f"README.txt={new / 'readme.txt'}", "--remove", "video"),
        )
    if name == "difficult":
        (new / "replaced.txt").write_text("replaced\n", "utf-8")
        return (
            difficult.make(folder),
            ("--title", "换行\u2028与 VT\x0b和 100%\x85 \u3000"),
            ("--add", difficult.late(new), "--replace", f"{difficult.REPLACED}={new / 'replaced.txt'}",
             "--remove", os.fsdecode(difficult.REMOVED)),
        )  # fmt: skip
    return EXAMPLE, _example_description(new), _example_files(new)


def _example_description(new: Path) -> Sequence[str | Path]:
    sheet = new / "corrected.csv"
    row = "02_活动/开幕式节目单.txt,开幕式节目单（更正）,民国110年10月14日"
    sheet.write_text(f"filename,题名,日期\n{row}\n", "utf-8-sig")
    return "--metadata", sheet, "--title", "云岭县第十二届金秋文化节档案（更正）"


def _example_files(new: Path) -> Sequence[str | Path]:
    """One file is replaced, and a described one moves to another path, where its reference code finds its record."""
    late = new / "补交"
    (late / "空").mkdir(parents=True)
    shutil.copy(EXAMPLE / "02_活动" / "录音" / "开幕式致辞.mp3", late / "致辞录音.mp3")
    shutil.copy(EXAMPLE / "01_筹备" / "海报.png", late / "海报副本.png")
    programme = new / "节目单.txt"
    programme.write_text("一、开场\n二、致辞\n", "utf-8")
    sheet = new / "moved.csv"
    sheet.write_text("filename,题名,档号\n补交/致辞录音.mp3,致辞录音,Z109-LY·2021-Y-0001\n", "utf-8-sig")
    return (
        "--add", late, "--replace", f"02_活动/开幕式节目单.txt={programme}", "--remove", "02_活动/录音/开幕式致辞.mp3",
        "--metadata", sheet,
    )  # fmt: skip


def dump(home: Path, package: PackageId) -> object:
    """Everything that the home's catalogue answers about package."""
    with Archive(home, by="") as archive:
        return answers(archive.catalog, package)


def answers(catalog: Catalog, package: PackageId) -> object:
    """Everything that catalog answers about package; and what it finds by words, ids and reference codes."""
    records = tuple(catalog.records(package))
    codes = [one.reference_code for one in records if one.reference_code]
    return (
        catalog.package(package), catalog.versions(package), catalog.events(package), catalog.agents(package),
        records, [catalog.record(one.id) for one in records], [catalog.resolve(code) for code in codes],
        tuple(catalog.files(package)),
        [tuple(catalog.search(word)) for word in ("活动", "档案", "METS", "pdf", "致辞", "txt")],
    )  # fmt: skip
