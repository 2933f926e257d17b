"""Records that stand in memory: what a provider asks of the catalogue, for tests of what lies above it; and `lantai
serve` itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lantai.model import RecordId
from lantai.oai import Item, Page, Set, Wanted
from tests.integration.command import ENVIRONMENT, Lantai

_DC = (
    '<oai_dc:dc xmlns:oai_dc="http://www.openarchives.org/OAI/2.0/oai_dc/" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>第 {} 件</dc:title></oai_dc:dc>'
)
FIRST = 1_700_000_000


@dataclass(frozen=True, slots=True)
class Shelf:
    """So many open records, a second apart."""

    count: int = 25

    def now(self, clock: datetime) -> int:
        return int(clock.timestamp())

    def item(self, record: RecordId, at: int, prefix: str | None) -> Item | None:
        return next((one for one in self._all() if one.record == record and one.stamp < at), None)

    def foreign(self, identifier: str) -> Mapping[str, Item]:
        return {}

    def items(
        self, wanted: Wanted, at: int, after: tuple[int, str] | None, limit: int, prefix: str | None,
        row: Callable[[Item], bytes],
    ) -> Page:  # fmt: skip
        found = [one for one in self._wanted(wanted, at) if after is None or (one.stamp, one.record) > after]
        some = found[:limit]
        last = (some[-1].stamp, some[-1].record) if some else None
        return Page(b"".join(map(row, some)), len(some), last, len(found) > limit)

    def size(self, wanted: Wanted, at: int) -> int | None:
        return len(self._wanted(wanted, at))

    def days(self, prefix: str, spec: str, at: int, last: int) -> Sequence[tuple[int, int, str]]:
        return []

    def _wanted(self, wanted: Wanted, at: int) -> list[Item]:
        return [
            one
            for one in self._all()
            if (wanted.since is None or one.stamp >= wanted.since)
            and (wanted.until is None or one.stamp <= wanted.until)
            and (wanted.spec is None or wanted.spec in one.sets)
            and one.stamp < at
        ]

    def sets(self, at: int, after: str, limit: int) -> Sequence[Set]:
        return [Set("type", "Type", "")][:limit] if after < "type" else []

    def _all(self) -> list[Item]:
        return [
            Item(
                RecordId(f"urn:uuid:00000000-0000-7000-8000-{number:012}"), FIRST + number, True, ("type",),
                _DC.format(number),
            )
            for number in range(self.count)
        ]  # fmt: skip


@contextmanager
def running(lantai: Lantai, *arguments: str, **more: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """lantai serve on a port that is free, and what it says of itself. more: of its environment."""
    program = [sys.executable, "-m", "lantai", "serve", "--port", "0", "--json", *arguments]
    environment = {**ENVIRONMENT, "PYTHONPATH": os.pathsep.join(sys.path), **more}
    process = subprocess.Popen(
        program, cwd=lantai.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.stderr and process.stderr.read()
        yield process, json.loads(line)
    finally:
        process.kill()
        process.communicate()
