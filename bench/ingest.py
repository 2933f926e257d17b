"""lantai ingest against cp -r and sync, and against the usual pipeline: medians of alternating runs, as ratios.

python bench/ingest.py [--runs 3] [--sets large,medium,small] [--memory] [--no-pipeline] [--folder DIR]
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.data import SETS, Set, make

LANTAI = [sys.executable, "-m", "lantai"]
PIPELINE = [sys.executable, str(Path(__file__).with_name("pipeline.py"))]


@dataclass(frozen=True, slots=True)
class Run:
    """seconds: wall clock, to the end of the last sync; peak: kilobytes of the largest process."""

    seconds: float
    peak: int


def timed(command: list[str]) -> Run:
    """After a sync of everything that earlier runs left, so that nobody pays for another's bytes."""
    subprocess.run(["sync"], check=True)
    with tempfile.TemporaryFile() as said:
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)
        _pid, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        if status:
            said.seek(0)
            raise SystemExit(f"failed: {' '.join(command)}\n{said.read().decode(errors='replace')[-2000:]}")
    return Run(seconds, usage.ru_maxrss)


def cp(source: Path, folder: Path) -> Run:
    return timed(["sh", "-c", 'cp -r "$0" "$1" && sync', str(source), str(folder / "copy")])


def lantai(source: Path, folder: Path) -> Run:
    home = folder / "home"
    subprocess.run([*LANTAI, "init", str(home)], check=True, stdout=subprocess.DEVNULL)
    return timed([*LANTAI, "ingest", str(source), "--home", str(home)])


def pipeline(source: Path, folder: Path) -> Run:
    return timed([*PIPELINE, str(source), str(folder / "store")])


def compare(one: Set, place: Path, runs: int, contenders: dict[str, Callable[[Path, Path], Run]]) -> None:
    source = place / one.name
    octets = make(one, source)
    found: dict[str, list[Run]] = {name: [] for name in contenders}
    # Nothing is removed between runs: a file system that has just let go of thousands of files makes new ones slowly.
    with tempfile.TemporaryDirectory(dir=place) as all_runs:
        for number in range(runs):
            for name, contender in contenders.items():
                folder = Path(all_runs, f"{name}-{number}")
                folder.mkdir()
                found[name].append(contender(source, folder))
    shutil.rmtree(source)
    middle = {name: statistics.median(run.seconds for run in results) for name, results in found.items()}
    print(f"\n{one.name}: {one.files} files, {octets / 1e6:.0f} MB, median of {runs}")
    for name, results in found.items():
        times = ", ".join(f"{run.seconds:.1f}" for run in results)
        peak = max(run.peak for run in results) / 1000
        print(
            f"  {name:9} {middle[name]:8.2f} s  ({times})  {octets / 1e6 / middle[name]:7.0f} MB/s  peak {peak:.0f} MB"
        )
    for name in contenders:
        if name != "lantai":
            print(f"  lantai / {name}: {middle['lantai'] / middle[name]:.2f}")
    sys.stdout.flush()


def memory(place: Path) -> None:
    """100,000 files: does memory stay flat?"""
    for count in (10_000, 100_000):
        source = place / f"memory-{count}"
        make(Set(f"memory-{count}", count, 100, 300), source)
        with tempfile.TemporaryDirectory(dir=place) as folder:
            run = lantai(source, Path(folder))
        shutil.rmtree(source)
        print(f"{count} files: peak {run.peak / 1000:.0f} MB, {run.seconds:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sets", default=",".join(one.name for one in SETS))
    parser.add_argument("--memory", action="store_true", help="only the peak memory of 10,000 and 100,000 files")
    parser.add_argument("--no-pipeline", action="store_true")
    parser.add_argument("--folder", type=Path, help="where to work; 45 GB free are needed for all sets")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder, prefix="lantai-bench-") as place:
        if given.memory:
            memory(Path(place))
            return
        contenders: dict[str, Callable[[Path, Path], Run]] = {"cp": cp, "lantai": lantai}
        if not given.no_pipeline:
            contenders["pipeline"] = pipeline
        for one in SETS:
            if one.name in given.sets.split(","):
                compare(one, Path(place), given.runs, contenders)


if __name__ == "__main__":
    main()
