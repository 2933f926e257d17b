"""The command line as a user meets it: run it in a folder, and look at what it said and what it left behind."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from lantai import cli, messages
from lantai.cli.shell import ask_language

DATA = Path(__file__).parents[1] / "data"
ENVIRONMENT = {
    # Programs of this interpreter first, so that the command is the one under test.
    "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
    "HOME": os.environ.get("HOME", "/"),
    "LANG": "C.UTF-8",
    "LANTAI_BY": "王芳",
}

_PROGRESS = re.compile(r"\d+ (of \d+ )?files?, .*/s\b")


@dataclass(frozen=True, slots=True)
class Done:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        """Every line of standard output, each of which must be a JSON object."""
        found = [json.loads(line) for line in self.out.splitlines()]
        assert all(isinstance(one, dict) for one in found)
        return found

    @property
    def object(self) -> dict[str, Any]:
        (found,) = self.objects
        return found

    @property
    def noted(self) -> str:
        """Standard error without progress, which is told of work of more than a second: of any on a slow machine."""
        return "".join(line for line in self.err.splitlines(keepends=True) if not _PROGRESS.match(line))

    @property
    def error(self) -> dict[str, str]:
        found = self.object["error"]
        assert set(found) == {"kind", "what", "subject", "remedy"}
        assert all(found.values()), "each of the four says something"
        return dict(found)


@dataclass(frozen=True, slots=True)
class Lantai:
    """The command, with a folder to stand in and an environment. Called, it runs in this process, which is much
    faster; process() runs it as a user does.
    """

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def namespace(self) -> str:
        """Of the oai-identifiers of the home in the folder."""
        home: dict[str, dict[str, str]] = json.loads((self.folder / "home.json").read_text("utf-8"))
        return home["archive"]["namespace"]

    def __call__(self, *arguments: str | Path, **environment: str) -> Done:
        words = [str(one) for one in arguments]
        out, err = io.StringIO(), io.StringIO()
        variables = {**ENVIRONMENT, **self.environment, **environment}
        try:
            with (
                mock.patch.dict(os.environ, variables, clear=True), chdir(self.folder),
                redirect_stdout(out), redirect_stderr(err),
            ):  # fmt: skip
                ask_language(words, os.environ)
                try:
                    code = cli.run(words)
                except SystemExit as end:  # --help and --version end so
                    code = int(end.code or 0)
        finally:
            messages.use("en")
        return Done(code, out.getvalue(), err.getvalue())

    def process(self, *arguments: str | Path, **more: Any) -> Done:
        """As `python -m lantai`, in a process of its own. more: of subprocess.run."""
        variables = {**ENVIRONMENT, **self.environment, **more.pop("env", {})}
        done = subprocess.run(
            [sys.executable, "-m", "lantai", *map(str, arguments)], cwd=self.folder, env=variables,
            stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", check=False, **more,
        )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr)

    def stored(self, *arguments: str | Path) -> dict[str, Any]:
        """What `ingest` says of a submission that it stores."""
        done = self("ingest", *arguments, "--json")
        assert done.code == 0, done
        assert done.object["status"] == "stored"
        return done.object

    def refused(self, *arguments: str | Path) -> dict[str, Any]:
        """What `ingest` says of a submission that it refuses; in a home that is then as it was."""
        before = self.state()
        done = self("ingest", *arguments, "--json")
        assert done.code == 1, done
        assert done.object["status"] == "rejected"
        assert self.state() == before
        return done.object

    def state(self) -> tuple[object, ...]:
        """All that lies in the home of this folder, and what its catalogue tells."""
        listing = self("list", "--json").out, self("search", "--json", "txt").out
        return listing, contents(self.folder)

    def export(self, package: str, *arguments: str) -> Path:
        """Where package lies, given back as a bag without a verdict."""
        done = self("export", package, "out", "--no-verify", "--json", *arguments)
        assert done.code == 0, done
        return self.folder / str(done.object["path"])


def contents(home: Path) -> dict[str, str | None]:
    """The digest of each file of a home, None for a folder; of the catalogue its own listing tells."""
    return {
        path.relative_to(home).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
        for kept in (home / "store", home / "drafts")
        for path in sorted(kept.rglob("*"))
    }


def folder(place: Path, files: Mapping[str, str | bytes]) -> Path:
    """A submission: text or bytes by path; a path that ends in / is an empty folder."""
    place.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = place / name
        if name.endswith("/"):
            path.mkdir(parents=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return place


def codes(findings: list[dict[str, str]]) -> dict[str, str]:
    """Subject of each finding by its code, each code once."""
    assert all(set(one) == {"code", "subject", "message"} for one in findings)
    found = {one["code"]: one["subject"] for one in findings}
    assert len(found) == len(findings), findings
    return found


def add_store(lantai: Lantai, lines: str) -> None:
    """One more [[store]] in lantai.toml."""
    settings = lantai.folder / "lantai.toml"
    settings.write_text(settings.read_text().replace("[ingest]", f"[[store]]\n{lines}\n\n[ingest]", 1))


def read_until(primary: int, pattern: str | None = None) -> str:
    """What the terminal shows up to the pattern, or up to the end of the program."""
    shown = b""
    while pattern is None or not re.search(pattern, shown.decode(errors="replace")):
        try:
            part = os.read(primary, 65536)
        except OSError:
            break
        if not part:
            break
        shown += part
    return shown.decode(errors="replace")
