"""A full audit: against a bare loop of two workers with hashlib over the same content, on small files against bagit.py
and ocfl-validate.py, and over S3 against plain boto3 downloads. What is compared takes turns; the answers are ratios.

All are timed in processes of their own from when they have loaded; those that are commands, as whole commands as well.

python bench/audit.py [--sets large,medium,small] [--servers ceph] [--runs 3] [--memory 100000] [--folder DIR]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import multiprocessing
import os
import random
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

from bench.store import SERVERS
from lantai.archive import Archive
from lantai.audits import Asked
from lantai.founding import create
from lantai.ingest import Given
from lantai.storage import Bucket
from tests.services import bucket as a_bucket

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


def fill(home: Path, what: Set, bucket: Bucket | None = None) -> None:
    """An archive of what, in a folder or in a bucket."""
    create(home, name="bench", store=bucket, namespace="", timezone="Asia/Shanghai", language="en")
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


def audit(home: str) -> None:
    """In a process of its own."""
    with Archive(Path(home), by="bench") as archive:
        stores = tuple(one.name for one in archive.settings.store)
        began = time.monotonic()
        outcome = archive.audits.run(Asked("all", stores), progress=_unheard)
        seconds = time.monotonic() - began
    assert outcome.verdict == "passed", outcome
    # Its own from here: what a process was before its program was replaced counts in getrusage.
    own = int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])  # type: ignore[index]
    most = max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    print(json.dumps({"bytes": outcome.bytes, "seconds": seconds, "memory": most / KB}))


def by_bagit(folder: str) -> None:
    """In a process of its own: every bag in folder, by two processes."""
    import bagit  # type: ignore[import-untyped]  # noqa: PLC0415 - its loading is not timed

    logging.disable()
    bags = sorted(str(declaration.parent) for declaration in Path(folder).glob("**/bagit.txt"))
    began = time.monotonic()
    for one in bags:
        bagit.Bag(one).validate(processes=2)
    print(json.dumps({"seconds": time.monotonic() - began}))


def by_ocfl(folder: str) -> None:
    """In a process of its own: a storage root."""
    import ocfl  # type: ignore[import-untyped]  # noqa: PLC0415

    logging.disable()
    began = time.monotonic()
    with contextlib.redirect_stdout(sys.stderr):
        assert ocfl.StorageRoot(root=folder).validate(log_warnings=False)
    print(json.dumps({"seconds": time.monotonic() - began}))


def download(endpoint: str, name: str, connections: str) -> None:
    """In a process of its own: all content by boto3, large files in parts, all with so many connections."""
    config = TransferConfig(max_concurrency=int(connections))
    with closing(boto3.client("s3", endpoint_url=endpoint, config=Config(max_pool_connections=int(connections)))) as s3:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=name)
        found = [one for page in pages for one in page.get("Contents", ()) if "/content/" in one["Key"]]

        def get(one: dict[str, Any]) -> None:
            for _chunk in s3.get_object(Bucket=name, Key=one["Key"])["Body"].iter_chunks(KB * KB):
                pass

        began = time.monotonic()
        large = [one for one in found if one["Size"] > 8 * KB * KB]
        for one in large:
            s3.download_file(name, one["Key"], os.devnull, Config=config)
        with ThreadPoolExecutor(int(connections)) as threads:
            list(threads.map(get, [one for one in found if one["Size"] <= 8 * KB * KB]))
        seconds = time.monotonic() - began
    print(json.dumps({"bytes": sum(one["Size"] for one in found), "seconds": seconds}))


def itself(*words: str | Path) -> dict[str, float]:
    """What this program tells, asked for one thing."""
    told: dict[str, float] = json.loads(timed(sys.executable, __file__, *words)[1])
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0] if __doc__ else "")
    parser.add_argument("--sets", default="large,medium,small")
    parser.add_argument("--servers", default="ceph")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--memory", type=int, default=0, help="files of two packages, against a tenth of them")
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    os.environ.setdefault("LANTAI_LANG", "en")
    for name in filter(None, asked.sets.split(",")):
        place = Path(tempfile.mkdtemp(dir=asked.folder))
        try:
            fill(place / "home", SETS[name])
            compare(name, place, SETS[name], asked.runs)
        finally:
            shutil.rmtree(place)
    for files in (asked.memory // 10, asked.memory) if asked.memory else ():
        with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
            fill(Path(folder) / "home", Set(2, files // 2, 10, 10, 0))
            found = itself("--audit", Path(folder) / "home")
            print(f"{files:,} files: the largest process of an audit had {found['memory']:.0f} MB", flush=True)
    for name in filter(None, asked.servers.split(",")):
        with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
            over_s3(name, Path(folder), asked.runs)


def compare(name: str, place: Path, what: Set, runs: int) -> None:
    home, store = place / "home", place / "home" / "store"
    others: dict[str, tuple[float, Callable[[], float], Callable[[], float]]] = {}
    if name == "small":
        with Archive(home, by="bench") as archive:
            for number, row in enumerate(archive.catalog.packages()):
                archive.export(
                    row.id, place / "bags" / f"{number:03}", version=None, form="bag", verify=False, progress=_unheard
                )
        bags = sorted(declaration.parent for declaration in (place / "bags").glob("**/bagit.txt"))
        others = {
            "bagit.py": (
                4,
                lambda: itself("--bagit", place / "bags")["seconds"],
                lambda: timed(BIN / "bagit.py", "--validate", "--quiet", "--processes", "2", *bags)[0],
            ),
            "ocfl-validate.py": (
                3,
                lambda: itself("--ocfl", store / "ocfl")["seconds"],
                lambda: timed(BIN / "ocfl-validate.py", store / "ocfl")[0],
            ),
        }
    found: dict[str, list[float]] = {"throughput": []}
    itself("--loop", store)  # what is read is in memory, for all
    for _run in range(runs):
        loop, mine = itself("--loop", store)["seconds"], itself("--audit", home)["seconds"]
        command = timed(BIN / "lantai", "--home", home, "audit", "--all", "--json")[0]
        found["throughput"].append(loop / mine)
        print(f"  {name}: loop {loop:.2f} s, audit {mine:.2f} s (the whole command {command:.2f} s)", flush=True)
        for peer, (_least, loaded, whole) in others.items():
            alone, taken = loaded(), whole()
            found.setdefault(peer, []).append(alone / mine)
            found.setdefault(f"{peer}, whole", []).append(taken / command)
            print(f"  {name}: {peer} {alone:.2f} s (the whole command {taken:.2f} s)", flush=True)
    print(f"{name}: {statistics.median(found['throughput']):.2f} of the loop's throughput (goal: {what.goal})")
    for peer, (least, _loaded, _whole) in others.items():
        own, commands = statistics.median(found[peer]), statistics.median(found[f"{peer}, whole"])
        print(f"{name}: {own:.1f} times {peer} (goal: {least}), with loading both {commands:.1f} times")


REMOTE = {"large": Set(3, 1, KB * KB * KB, KB * KB * KB, 0.85), "small": Set(20, 100, 2 * KB, 20 * KB, 0.85)}


def over_s3(server_name: str, place: Path, runs: int) -> None:
    start, lacking = SERVERS[server_name]
    if missing := lacking():
        print(f"{server_name}: not measured, since {', '.join(missing)} is not installed")
        return
    with start() as server:
        os.environ |= {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
        for name, what in REMOTE.items():
            home, bucket = place / f"{server_name}-{name}" / "home", a_bucket(server)
            lies = Bucket(bucket, "", server.endpoint_url, server.region)
            fill(home, what, lies)
            shares = []
            for _run in range(runs):
                plain = itself("--download", server.endpoint_url, bucket, str(lies.connections))
                mine = itself("--audit", home)
                assert plain["bytes"] == mine["bytes"]
                shares.append(plain["seconds"] / mine["seconds"])
                print(
                    f"  {server_name} {name}: boto3 {plain['seconds']:.2f} s, audit {mine['seconds']:.2f} s", flush=True
                )
            print(f"{server_name} {name}: {statistics.median(shares):.2f} of boto3's throughput (goal: {what.goal})")


if __name__ == "__main__":
    modes: dict[str, Callable[..., None]] = {
        "--loop": loop, "--audit": audit, "--bagit": by_bagit, "--ocfl": by_ocfl, "--download": download,
    }  # fmt: skip
    if mode := modes.get(sys.argv[1] if len(sys.argv) > 1 else ""):
        mode(*sys.argv[2:])
    else:
        main()
