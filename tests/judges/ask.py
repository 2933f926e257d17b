"""The judges, each asked in a process of its own and in the way in which its answer means something."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
_SCRIPTS = Path(sysconfig.get_path("scripts"))


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the judge says yes, and its words."""

    yes: bool
    words: str


def run(*command: str | Path, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONIOENCODING": "utf-8:surrogateescape", **(environment or {})}
    return subprocess.run(
        [os.fspath(one) for one in command], check=False, capture_output=True, encoding="utf-8",
        errors="surrogateescape", env=env,
    )  # fmt: skip


def objects(output: str) -> list[Any]:
    """One JSON object a line. Lines end with LF only: str.splitlines would cut a name in two."""
    return [json.loads(line) for line in output.split("\n") if line]


def _by_exit(done: subprocess.CompletedProcess[str]) -> Verdict:
    return Verdict(done.returncode == 0, done.stdout + done.stderr)


def bagit(bag: Path) -> Verdict:
    """It verifies no SM3: see manifest-sm3.txt by oneself."""
    return _by_exit(run(sys.executable, "-m", "bagit", "--validate", bag))


def ocfl_objects(objects: Iterable[Path]) -> Verdict:
    return _by_exit(run(sys.executable, _SCRIPTS / "ocfl-validate.py", *objects))


def ocfl_root(root: Path) -> Verdict:
    """Its structure only: of the objects in it this judge says nothing here."""
    return _by_exit(run(sys.executable, _SCRIPTS / "ocfl-validate.py", root))


def ocfl_codes(verdict: Verdict) -> set[str]:
    """Codes of the errors and warnings that were told."""
    return set(re.findall(r"\[([EW]\d{3}\w?)\]", verdict.words))


def schema(rules: Path, catalog: Path, documents: Sequence[Path]) -> Verdict:
    """The catalogue is named as a URI: with a bare path, or a space in it, libxml2 silently goes without."""
    environment = {"XML_CATALOG_FILES": catalog.resolve().as_uri()}
    return _by_exit(run(sys.executable, HERE / "xsd_validate.py", rules, *documents, environment=environment))


def eark(python: Path, version: str, packages: Sequence[Path]) -> Mapping[Path, Verdict]:
    """Of each uuid-… folder. The validator exits with 0 whatever it finds; where it crashes it has not said yes."""
    done = run(python, HERE / "eark_validate.py", version, *packages)
    said = {Path(one["package"]): one for one in objects(done.stdout)}
    return {
        package: Verdict(
            package in said
            and (said[package]["structure"], said[package]["schema"], said[package]["schematron"])
            == ("WellFormed", "VALID", "VALID"),
            json.dumps(said[package], ensure_ascii=False) if package in said else done.stderr,
        )
        for package in packages
    }


def fido(folder: Path) -> Mapping[str, frozenset[str]]:
    """What fido says by content (its signatures, its container signatures) of the files below folder, by their paths.

    A file of which it knows no more than the name is not here.
    """
    shape = r"%(info.puid)s\t%(info.matchtype)s\t%(info.filename)s\n"
    nothing = "\t\t%(info.filename)s\n"
    told = ("-q", "-recurse", "-matchprintf", shape, "-nomatchprintf", nothing)
    done = run(sys.executable, "-m", "fido.fido", *told, folder)
    assert done.returncode == 0, done.stderr
    found: dict[str, frozenset[str]] = {}
    for line in done.stdout.split("\n"):
        puid, how, path = line.split("\t") if line else ("", "", "")
        if how in ("signature", "container"):
            path = os.path.relpath(path, folder)
            found[path] = found.get(path, frozenset()) | {puid}
    return found


def metsrw(documents: Sequence[Path]) -> list[Mapping[str, Sequence[str]]]:
    """Of each METS document, the files that metsrw finds in it: checksum type and checksum by path."""
    done = run(sys.executable, HERE / "metsrw_read.py", *documents)
    assert done.returncode == 0, done.stderr
    return objects(done.stdout)
