"""What is known of a submission while it is read: its payload files and findings, on disk, in constant memory."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import astuple
from datetime import datetime
from types import TracebackType
from typing import TypeVar

from ..digest import Digests
from ..errors import Rejected
from ..messages import _
from ..model import FileId, Finding, Format, PayloadFile
from .names import octets

K = TypeVar("K")
V = TypeVar("V")

_SCHEMA = """
PRAGMA synchronous = OFF;
PRAGMA journal_mode = OFF;
CREATE TABLE file (
    path TEXT PRIMARY KEY, id TEXT, original BLOB, size INTEGER, sha256 TEXT, digests TEXT, formats INTEGER,
    modified TEXT, events TEXT
) WITHOUT ROWID;
CREATE TABLE formats (id INTEGER PRIMARY KEY, answers TEXT);
CREATE INDEX file_original ON file (original);
CREATE TABLE beside (path TEXT PRIMARY KEY, size INTEGER, sha256 TEXT) WITHOUT ROWID;
CREATE TABLE finding (at INTEGER PRIMARY KEY, code TEXT, subject BLOB, message BLOB, fatal INTEGER,
    english BLOB);
CREATE TABLE empty_folder (original BLOB PRIMARY KEY) WITHOUT ROWID;
"""
_COLUMNS = "path, id, original, size, digests, formats, modified, events"
_PREFIX_END = "\U0010ffff"


class Worksheet:
    """Payload files, empty folders and findings of one submission; iterates in byte order of path."""

    def __init__(self, name: str) -> None:
        self.name = name
        # An empty name is SQLite's own temporary file: it spills to disk and is gone with the connection.
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.executescript(_SCHEMA)
        self._numbers: dict[tuple[Format, ...], int] = {}
        self._answers: dict[int, tuple[Format, ...]] = {}

    def __enter__(self) -> Worksheet:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._db.close()

    # -- what is found out

    def add(self, files: Iterable[PayloadFile]) -> None:
        self._db.executemany(
            "INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    file.path,
                    file.id,
                    octets(file.original_name),
                    file.digests.size,
                    file.digests.values.get("sha256"),
                    json.dumps(dict(file.digests.values)),
                    self._number(file.formats),
                    file.modified.isoformat() if file.modified else None,
                    " ".join(file.events),
                )
                for file in files
            ],
        )

    def _number(self, answers: tuple[Format, ...]) -> int:
        """Most files share their formats' answers with many others: they are kept once."""
        number = self._numbers.get(answers)
        if number is None:
            text = json.dumps([astuple(one) for one in answers])
            number = self._db.execute("INSERT INTO formats (answers) VALUES (?)", (text,)).lastrowid or 0
            _remember(self._numbers, answers, number)
        return number

    def _formats(self, number: int) -> tuple[Format, ...]:
        answers = self._answers.get(number)
        if answers is None:
            (text,) = self._db.execute("SELECT answers FROM formats WHERE id = ?", (number,)).fetchone()
            answers = tuple(Format(*one) for one in json.loads(text))
            _remember(self._answers, number, answers)
        return answers

    def add_path(self, path: str, original: str, size: int) -> None:
        """A payload file of which only this is asked: for a check, which stores nothing."""
        self._db.execute(
            "INSERT OR REPLACE INTO file (path, original, size) VALUES (?, ?, ?)", (path, octets(original), size)
        )

    def remove(self, path: str) -> None:
        """A file, or all files of a folder."""
        self._db.execute(
            "DELETE FROM file WHERE path = ? OR path > ? AND path < ?", (path, path + "/", path + "/" + _PREFIX_END)
        )

    def add_beside(self, path: str, size: int, sha256: str) -> None:
        """A file of the submission that is no payload: a description that travelled with it."""
        self._db.execute("INSERT OR REPLACE INTO beside VALUES (?, ?, ?)", (path, size, sha256))

    def note(self, *findings: Finding) -> None:
        self._db.executemany(
            "INSERT INTO finding (code, subject, message, fatal, english) VALUES (?, ?, ?, ?, ?)",
            [(one.code, octets(one.subject), octets(one.message), one.fatal, octets(one.english)) for one in findings],
        )

    def add_empty_folders(self, originals: Iterable[str]) -> None:
        self._db.executemany("INSERT OR IGNORE INTO empty_folder VALUES (?)", [(octets(name),) for name in originals])

    # -- what is asked

    def files(self) -> Iterator[PayloadFile]:
        for row in self._db.execute(f"SELECT {_COLUMNS} FROM file ORDER BY path"):
            yield self._file(*row)

    def file(self, path: str) -> PayloadFile | None:
        row = self._db.execute(f"SELECT {_COLUMNS} FROM file WHERE path = ?", (path,)).fetchone()
        return self._file(*row) if row else None

    def _file(
        self, path: str, id: str, original: bytes, size: int, digests: str, formats: int, modified: str, events: str
    ) -> PayloadFile:
        return PayloadFile(
            FileId(id),
            path,
            _text(original),
            Digests(size, json.loads(digests)),
            self._formats(formats),
            datetime.fromisoformat(modified) if modified else None,
            tuple(events.split()),
        )

    def events(self) -> set[str]:
        """Ids of the events that a file names."""
        return {id for (ids,) in self._db.execute("SELECT DISTINCT events FROM file") for id in ids.split()}

    def has_folder(self, path: str) -> bool:
        row = self._db.execute(
            "SELECT 1 FROM file WHERE path > ? AND path < ? LIMIT 1", (path + "/", path + "/" + _PREFIX_END)
        ).fetchone()
        return row is not None

    def find(self, original: str) -> str | None:
        """Where the file or folder that the producer called so lies; None: there is none."""
        key = octets(original)
        row = self._db.execute("SELECT path FROM file WHERE original = ?", (key,)).fetchone()
        if row:
            return str(row[0])
        shortened: str | None = None
        for path, below in self._db.execute(
            "SELECT path, original FROM file WHERE original > ? AND original < ?", (key + b"/", key + b"0")
        ):
            if path.count("/") == below.count(b"/"):
                return "/".join(path.split("/")[: key.count(b"/") + 1])
            # A path too long to keep lies in a folder of its own making: that is the folder, if all of it does.
            if below.rpartition(b"/")[0] == key:
                shortened = path.rpartition("/")[0]
        return shortened

    def count(self) -> tuple[int, int]:
        """Number of payload files and of their bytes."""
        files, octets = self._db.execute("SELECT count(*), coalesce(sum(size), 0) FROM file").fetchone()
        return files, octets

    def empty_folders(self) -> tuple[str, ...]:
        rows = self._db.execute("SELECT original FROM empty_folder ORDER BY original")
        return tuple(_text(row[0]) for row in rows)

    def findings(self) -> tuple[Finding, ...]:
        rows = self._db.execute("SELECT code, subject, message, fatal, english FROM finding ORDER BY fatal DESC, at")
        return tuple(
            Finding(code, _text(subject), _text(message), bool(fatal), _text(english))
            for code, subject, message, fatal, english in rows
        )

    def content(self) -> str:
        """SHA-256 over sorted path, size and SHA-256 of every file of the submission, payload or not."""
        whole = hashlib.sha256()
        for row in self._db.execute(
            "SELECT path, size, sha256 FROM (SELECT path, size, sha256 FROM file UNION ALL SELECT * FROM beside)"
            " ORDER BY path"
        ):
            whole.update("{}\0{}\0{}\n".format(*row).encode())
        return whole.hexdigest()

    def refuse_empty(self) -> None:
        """No file at all is fatal, and worth a word unless another fatal finding tells why there is none."""
        if not any(self.count()) and not any(finding.fatal for finding in self.findings()):
            self.note(Finding.of("submission-empty", self.name))

    def require_clean(self) -> tuple[Finding, ...]:
        """The warnings. Raises Rejected, with every finding, if one is fatal."""
        findings = self.findings()
        if any(finding.fatal for finding in findings):
            raise Rejected(
                _("the submission was refused; nothing of it was kept"),
                subject=self.name,
                remedy=_("Correct what is listed, then ingest again."),
                findings=findings,
            )
        return findings


def _remember(known: dict[K, V], key: K, value: V) -> None:
    """A few thousand answers are enough to find most of them again, and cost no memory to speak of."""
    if len(known) >= 4096:
        known.clear()
    known[key] = value


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
