"""A full audit: against a bare loop of two workers with hashlib over the same content, in a process of its own, and on
small files against bagit.py and ocfl-validate.py. What is compared takes turns; the answers are ratios.

python bench/audit.py [--sets large,medium,small] [--runs 3] [--folder DIR]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from lantai.archive import Archive
from lantai.founding import create
from lantai.ingest import Given

KB = 1024
BIN = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Set:
    """So many packages of so many files of at least and at most so many bytes; the share of the loop's throughput that
    is the goal.
    """

    packages: int
    files: int
    least: int
    most: int
    goal: float


SETS = {
    "large": Set(3, 1, KB * KB * KB, KB * KB * KB, 0.95),
    "medium": Set(20, 100, 100 * KB, KB * KB, 0.85),
    "small": Set(200, 100, 2 * KB, 20 * KB, 0.70),
}


def _unheard(_files: int, _octets: int) -> None: ...


def fill(home: Path, what: Set) -> None:
    """An archive of what, and each of its packages as a bag beside it."""
    create(home, name="bench", store=None, namespace="", timezone="Asia/Shanghai", language="en")
    chance = random.Random(7)
    with Archive(home, by="bench") as archive:
        for number in range(what.packages):
            records = home.parent / "records" / f"{number:03}"
            records.mkdir(parents=True)
            for file in range(what.files):
                with (records / f"{file:04}.bin").open("wb") as out:
                    left = chance.randint(what.least, what.most)
                    while left:
                        out.write(chance.randbytes(min(left, KB * KB)))
                        left -= min(left, KB * KB)
            archive.ingest(records, given=Given(), access=None, progress=_unheard)
            shutil.rmtree(records)


def hashed(paths: Sequence[str]) -> int:
    octets = 0
    for path in paths:
        digest = sha256()
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            while chunk := file.read(KB * KB):
                digest.update(chunk)
                octets += len(chunk)
        digest.hexdigest()
    return octets


def loop(store: str) -> None:
    """In a process of its own: all content, by two workers."""
    paths = [str(one) for one in Path(store).glob("ocfl/*/*/*/*/v*/content/**/*") if one.is_file()]
    parts = [paths[first::64] for first in range(64)] if len(paths) > 64 else [[one] for one in paths]
    began = time.monotonic()
    with multiprocessing.Pool(2) as pool:
        octets = sum(pool.imap_unordered(hashed, parts))
    print(json.dumps({"bytes": octets, "seconds": time.monotonic() - began}))


def timed(*words: str | Path, folder: Path | None = None) -> tuple[float, str]:
    began = time.monotonic()
    done = subprocess.run([str(one) for one in words], cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    return time.monotonic() - began, done.stdout


def audited(home: Path) -> float:
    taken, told = timed(BIN / "lantai", "--home", home, "audit", "--all", "--json")
    assert json.loads(told)["failed"] == [], told
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0] if __doc__ else "")
    parser.add_argument("--sets", default="large,medium,small")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    os.environ.setdefault("LANTAI_LANG", "en")
    for name in asked.sets.split(","):
        place = Path(tempfile.mkdtemp(dir=asked.folder))
        try:
            fill(place / "home", SETS[name])
            compare(name, place, SETS[name], asked.runs)
        finally:
            shutil.rmtree(place)


def compare(name: str, place: Path, what: Set, runs: int) -> None:
    home, store = place / "home", place / "home" / "store"
    others: dict[str, tuple[float, Callable[[], float]]] = {}
    if name == "small":
        with Archive(home, by="bench") as archive:
            for number, row in enumerate(archive.catalog.packages()):
                archive.export(
                    row.id, place / "bags" / f"{number:03}", version=None, form="bag", verify=False, progress=_unheard
                )
        bags = sorted(declaration.parent for declaration in (place / "bags").glob("**/bagit.txt"))
        others = {
            "bagit.py": (4, lambda: timed(BIN / "bagit.py", "--validate", "--quiet", "--processes", "2", *bags)[0]),
            "ocfl-validate.py": (3, lambda: timed(BIN / "ocfl-validate.py", store / "ocfl")[0]),
        }
    shares = []
    peers: dict[str, list[float]] = {peer: [] for peer in others}
    timed(sys.executable, __file__, "--loop", store)  # what is read is in memory, for all
    for _run in range(runs):
        whole, told = timed(sys.executable, __file__, "--loop", store)
        mine = audited(home)
        shares.append(json.loads(told)["seconds"] / mine)
        print(
            f"  {name}: loop {json.loads(told)['seconds']:.2f} s ({whole:.2f} with its start), lantai {mine:.2f} s",
            flush=True,
        )
        for peer, (_least, begin) in others.items():
            taken = begin()
            peers[peer].append(taken / mine)
            print(f"  {name}: {peer} {taken:.2f} s", flush=True)
    print(f"{name}: {statistics.median(shares):.2f} of the loop's throughput (goal: {what.goal})")
    for peer, (least, _begin) in others.items():
        print(f"{name}: {statistics.median(peers[peer]):.1f} times {peer} (goal: {least})")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--loop"]:
        loop(sys.argv[2])
    else:
        main()
