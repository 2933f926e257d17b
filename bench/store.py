"""The store: S3 against boto3's own upload_file, and whether an archive that grows becomes slower. What is compared
takes turns in the same run, and the answers are ratios, since machines are noisy.

python bench/store.py [--servers ceph,moto] [--runs 3] [--connections 16] [--packages 1000] [--folder DIR]

--servers "" leaves the servers out, --packages 0 the growing archive. Both servers keep everything in memory, or beside
it: 1 GB is enough.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import sys
import tempfile
import time
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
# The tests are no package, so that one of the same name, which somebody has installed, would come before them.
_tests = types.ModuleType("tests")
_tests.__path__ = [str(ROOT / "tests")]
sys.modules["tests"] = _tests

from boto3.s3.transfer import TransferConfig

from bench.data import Set, make
from lantai.archive import Archive
from lantai.founding import create
from lantai.ingest import Given
from lantai.model import PackageId, RecordId
from lantai.storage import Bucket
from lantai.storage.s3 import S3Store
from tests.services import Server, bucket, client
from tests.services.ceph import ceph
from tests.services.ceph import lacking as ceph_lacks
from tests.services.moto import lacking as moto_lacks
from tests.services.moto import moto

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SERVERS: Mapping[str, tuple[Callable[[], AbstractContextManager[Server]], Callable[[], Sequence[str]]]] = {
    "ceph": (ceph, ceph_lacks),
    "moto": (moto, moto_lacks),
}
LARGE = Set("store-large", 3, 200_000_000, 200_000_000)
SMALL = Set("store-small", 2_000, 10_000, 10_000)
FIRST = 10  # packages of the archive that is still small
LAST = 20  # packages of which a median is taken
READS = 200  # times that a question is asked
_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Took:
    """seconds: of the clock; work: of this process's processors, which other work on the machine disturbs less."""

    seconds: float
    work: float


@dataclass(frozen=True, slots=True)
class Upload:
    """What to send: large files one after another, each by all connections; small ones by as many threads."""

    files: Sequence[Path]
    octets: int
    connections: int

    def through(self, put: Callable[[Path], object]) -> Took:
        """Until put has returned for every file."""
        began, worked = time.monotonic(), time.process_time()
        if len(self.files) < self.connections:
            for path in self.files:
                put(path)
        else:
            with ThreadPoolExecutor(self.connections) as threads:
                for _done in threads.map(put, self.files):
                    pass
        return Took(time.monotonic() - began, time.process_time() - worked)


def lantai(upload: Upload, server: Server, name: str) -> Took:
    store = S3Store(Bucket(name, "", server.endpoint_url, server.region, connections=upload.connections))
    assert store.properties.create_only  # seen before the clock runs, as in every process

    def body(path: Path) -> Iterator[bytes]:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk

    return upload.through(lambda path: store.put(path.name, partial(body, path), algorithms=("sha256",)))


def boto3(upload: Upload, server: Server, name: str) -> Took:
    """Small files without threads of its own for each, which is the faster way."""
    config = TransferConfig(max_concurrency=upload.connections, use_threads=len(upload.files) < upload.connections)
    with closing(client(server, upload.connections)) as s3:
        s3.head_bucket(Bucket=name)
        return upload.through(lambda path: s3.upload_file(str(path), name, path.name, Config=config))


def compare(one: Set, upload: Upload, server: Server, runs: int) -> None:
    contenders: dict[str, Callable[[Upload, Server, str], Took]] = {"lantai": lantai, "boto3": boto3}
    found: dict[str, list[Took]] = {contender: [] for contender in contenders}
    with closing(client(server)) as s3:
        for number in range(runs + 1):  # the first warms the server up and does not count
            for contender in list(contenders)[:: 1 if number % 2 else -1]:
                name = bucket(server)
                took = contenders[contender](upload, server, name)
                if number:
                    found[contender].append(took)
                _empty(s3, name)
    middle = {name: statistics.median(took.seconds for took in times) for name, times in found.items()}
    work = {name: statistics.median(took.work for took in times) for name, times in found.items()}
    octets = upload.octets
    print(f"\n{server.name}, {one.name}: {one.files} files, {octets / 1e6:.0f} MB, median of {runs}")
    for contender, times in found.items():
        each = ", ".join(f"{took.seconds:.2f}" for took in times)
        speed = f"{octets / 1e6 / middle[contender]:.0f} MB/s, {one.files / middle[contender]:.0f} files/s"
        print(f"  {contender:8} {middle[contender]:7.2f} s  ({each})  {speed}, work {work[contender]:.2f} s")
    ratio, cost = middle["boto3"] / middle["lantai"], work["lantai"] / work["boto3"]
    print(f"  lantai / boto3: {ratio:.2f} of its throughput, with {cost:.2f} of its work", flush=True)


def _empty(s3: S3Client, name: str) -> None:
    while keys := s3.list_objects_v2(Bucket=name).get("Contents"):
        s3.delete_objects(Bucket=name, Delete={"Objects": [{"Key": one["Key"]} for one in keys], "Quiet": True})
    s3.delete_bucket(Bucket=name)


def against_boto3(names: Sequence[str], place: Path, runs: int, connections: int) -> None:
    uploads = {}
    for one in (LARGE, SMALL):
        octets = make(one, place / one.name)
        files = [path for path in sorted((place / one.name).rglob("*")) if path.is_file()]
        uploads[one] = Upload(files, octets, connections)
    for name in names:
        start, lacking = SERVERS[name]
        if missing := lacking():
            print(f"\n{name}: not measured, since {', '.join(missing)} is not installed")
            continue
        with start() as server:
            os.environ |= {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
            for one, upload in uploads.items():
                compare(one, upload, server, runs)


class Growing:
    """An archive on the file system that takes in one small file at a time."""

    def __init__(self, archive: Archive, scratch: Path) -> None:
        self.archive, self._scratch, self.count = archive, scratch, 0
        self.packages: list[PackageId] = []

    def ingest(self) -> float:
        """Seconds until the next package is stored."""
        submission = self._scratch / f"{self.count:06d}_件"
        submission.mkdir(parents=True)
        (submission / "通知.txt").write_text(f"关于举办金秋文化节的通知，第 {self.count} 号\n" * 20, "utf-8")
        began = time.monotonic()
        done = self.archive.ingest(submission, given=Given(), access=None, progress=lambda *_done: None)
        seconds = time.monotonic() - began
        assert done.status == "stored", done
        self.packages.append(done.package)
        self.count += 1
        return seconds

    def show(self) -> None:
        """What lantai show asks, by the end of an id."""
        catalog = self.archive.catalog
        id = PackageId(catalog.resolve(self.packages[len(self.packages) // 2][-12:]).id)
        catalog.package(id)
        catalog.record(RecordId(id))
        catalog.versions(id)
        catalog.events(id)
        catalog.copies(id)

    def first_page(self) -> None:
        assert len(list(self.archive.catalog.packages(limit=FIRST))) == FIRST


def growth(place: Path, packages: int) -> None:
    with ExitStack() as open:
        small, large = (
            Growing(open.enter_context(_archive(place / name)), place / name / "handed over")
            for name in ("small", "large")
        )
        for _number in range(FIRST):
            small.ingest()
        while large.count < packages - LAST:
            large.ingest()
        print(f"\npackage {packages} against package 1, and what it costs to look at the archive")
        asked = {what: ([], []) for what in ("show", "list")}  # type: dict[str, tuple[list[float], list[float]]]
        for _number in range(READS):
            for what, times in asked.items():
                for archive, seconds in zip((small, large), times, strict=True):
                    began = time.monotonic()
                    archive.show() if what == "show" else archive.first_page()
                    seconds.append(time.monotonic() - began)
        taken: tuple[list[float], list[float]] = ([], [])
        for _number in range(LAST):
            for archive, seconds in zip((small, large), taken, strict=True):
                seconds.append(archive.ingest())
    _told("ingest", packages, *taken)
    for what, times in asked.items():
        _told(what, packages, *times)


def _archive(home: Path) -> Archive:
    create(home, name="云岭县档案馆", store=None, namespace="", timezone="Asia/Shanghai", language="zh")
    return Archive(home, by="王芳")


def _told(what: str, packages: int, small: Sequence[float], large: Sequence[float]) -> None:
    few, many = statistics.median(small) * 1000, statistics.median(large) * 1000
    print(f"  {what:7} {few:8.2f} ms with {FIRST}, {many:8.2f} ms with {packages}: {many / few:.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--servers", default=",".join(SERVERS))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--packages", type=int, default=1_000, help="how many the archive grows to; 10000 takes long")
    parser.add_argument(
        "--folder", type=Path, help="where to work; 2 GB free are needed, and 1 MB for each 10 packages"
    )
    given = parser.parse_args()
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(dir=given.folder, prefix="lantai-bench-") as place:
        against_boto3([name for name in given.servers.split(",") if name], Path(place), given.runs, given.connections)
        if given.packages:
            growth(Path(place), given.packages)


if __name__ == "__main__":
    main()
