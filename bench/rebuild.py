"""The catalogue made anew: against plain Python that reads the same inventories and METS, and the journal against plain
JSON parsing and hashing of the same bytes. What is compared takes turns in the same run; the answers are ratios.

python bench/rebuild.py [--packages 10000] [--entries 100000] [--runs 3] [--folder DIR]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from lantai.archive import Access, Archive, uuid7
from lantai.founding import create
from lantai.ingest import Given
from lantai.model import Agent, Entry, RecordId
from lantai.storage import journal, open_store
from lantai.storage.journal import Link, Segment
from lantai.storage.journal.segment import encode

FILES = 3  # of a package
BY = Agent("urn:uuid:00000000-0000-4000-8000-000000000000", "person", "王芳")


def _unheard(_files: int, _octets: int) -> None: ...


def fill(home: Path, packages: int) -> None:
    create(home, name="bench", store=None, namespace="", timezone="Asia/Shanghai", language="en")
    with Archive(home, by="bench") as archive:
        for number in range(packages):
            records = home.parent / "records" / f"{number:05}"
            records.mkdir(parents=True)
            for file in range(FILES):
                (records / f"活动方案-{file}.txt").write_text(f"plan {number} {file}\n", "utf-8")
            done = archive.ingest(records, given=Given(), access=None, progress=_unheard)
            if number % 10 == 0:
                archive.set_access(
                    RecordId(done.package), Access("open"), reason="期满", ground="policy", clause=""
                )  # fmt: skip


def plain(store: Path) -> None:
    """What anybody would write who wants to know what is there."""
    for inventory in store.glob("ocfl/*/*/*/*/inventory.json"):
        values = json.loads(inventory.read_bytes())
        state = values["versions"][values["head"]]["state"]
        for digest, paths in state.items():
            if any(path.endswith(".xml") for path in paths):
                ElementTree.parse(inventory.parent / values["manifest"][digest][0])
    for segment in store.glob("journal/*/*.ndjson"):
        data = segment.read_bytes()
        hashlib.sha256(data).hexdigest()
        for line in data.splitlines():
            json.loads(line)


def anew(home: Path) -> None:
    for file in home.glob("catalog.db*"):
        file.unlink()
    with Archive(home, by="bench") as archive:
        assert archive.rebuild(None, progress=_unheard).findings == ()


def long_journal(place: Path, entries: int) -> None:
    """A chain of so many decisions."""
    previous, writer, archive = "", str(uuid7()), str(uuid7())
    for number in range(1, entries // journal.MOST + 1):
        told = tuple(
            Entry(
                uuid7().urn, "decision", "record", uuid7().urn, datetime.now(UTC), BY,
                {"shown": "open", "since": "2051-01-01T00:00:00Z", "reason": "期满开放"}, "云岭县档案馆", "policy",
            )
            for _entry in range(journal.MOST)
        )  # fmt: skip
        data = encode(Segment(archive, writer, number, previous, {}, datetime.now(UTC), told))
        previous = json.loads(data.splitlines()[-1])["seal"]
        key = place / journal.key_of(writer, number)
        key.parent.mkdir(parents=True, exist_ok=True)
        key.write_bytes(data)
    (place / "archive").write_text(archive)


def parsed(place: Path) -> None:
    for segment in sorted(place.glob("journal/*/*.ndjson")):
        data = segment.read_bytes()
        hashlib.sha256(data).hexdigest()
        for line in data.splitlines():
            json.loads(line)


def read(place: Path) -> None:
    store, archive = open_store(place), (place / "archive").read_text()
    for writer in journal.writers(store):
        known: Link | None = None
        for segment, _seal in journal.segments(store, archive, writer, known):
            assert segment.entries


def compare(what: str, ours: Callable[[], None], theirs: Callable[[], None], runs: int) -> None:
    ratios = []
    for _run in range(runs):
        taken = []
        for one in (theirs, ours):
            began = time.monotonic()
            one()
            taken.append(time.monotonic() - began)
        ratios.append(taken[1] / taken[0])
        print(f"  {what}: plain {taken[0]:.2f} s, lantai {taken[1]:.2f} s", flush=True)
    print(f"{what}: {statistics.median(ratios):.2f} times plain Python (goal: at most 2)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0] if __doc__ else "")
    parser.add_argument("--packages", type=int, default=10_000)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    os.environ.setdefault("LANTAI_LANG", "en")
    place = Path(tempfile.mkdtemp(dir=asked.folder))
    try:
        if asked.entries:
            long_journal(place / "long", asked.entries)
            compare(
                f"{asked.entries} entries read",
                lambda: read(place / "long"),
                lambda: parsed(place / "long"),
                asked.runs,
            )
        if asked.packages:
            fill(place / "home", asked.packages)
            store = place / "home" / "store"
            compare(
                f"{asked.packages} packages rebuilt", lambda: anew(place / "home"), lambda: plain(store), asked.runs
            )
        own, child = (
            resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )
        print(f"memory: {own:.0f} MB at most, {child:.0f} MB in each process that reads packages")
    finally:
        shutil.rmtree(place)


if __name__ == "__main__":
    main()
