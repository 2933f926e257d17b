"""A harvest over HTTP from a catalogue of a million open records: records a second, at the beginning and the end of the
list, against the oaipmh package's own BatchingServer, which has its records in memory, behind waitress.

python bench/oai.py [--records 1000000] [--peer 100000] [--workers 2] [--folder DIR]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import unescape

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from lantai.founding import create

BEGAN = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp())
DAYS = 700
_TOKEN = re.compile(rb"<resumptionToken[^>]*>([^<]+)</resumptionToken>")
_LENGTH = re.compile(rb"(?i)content-length: *(\d+)")
_TITLES = ("关于举办云岭县第{}届文化节的通知", "文化节开幕式照片（{}）", "筹备工作会议纪要 {}", "安保方案 {} 号")


def uuid(number: int) -> str:
    return f"urn:uuid:018cc251-f400-7{number % 4096:03x}-8000-{number:012x}"


def stamp(number: int, records: int) -> int:
    return BEGAN + number * DAYS * 86_400 // records


def described(number: int) -> list[tuple[str, str]]:
    return [
        ("dc.title", _TITLES[number % 4].format(number)), ("dc.creator", "云岭县文化和旅游局"),
        ("dc.subject", "文化节 & 活动"), ("dc.date", f"20{10 + number % 15}-05-01"), ("dc.type", "Text"),
        ("isadg.reference_code", f"Z109-WS·20{10 + number % 15}-{number:07}"),
        ("dc.description", "本件记录活动筹备与举办过程，含通知、方案、名单与照片说明。" * 2),
    ]  # fmt: skip


def fill(home: Path, records: int) -> None:
    """An archive whose catalogue has so many open records, over two years; the store knows none of them."""
    create(home, name="兰台", store=None, namespace="archive.example.org", timezone="Asia/Shanghai", language="en")
    with closing(sqlite3.connect(home / "catalog.db")) as db:
        db.executescript("PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF; BEGIN")
        for first in range(0, records, 10_000):
            some = range(first, min(first + 10_000, records))
            at = datetime.fromtimestamp(BEGAN, UTC).isoformat(timespec="microseconds")
            db.executemany(
                "INSERT INTO packages (key, id, version, created, submission, files, bytes)"
                " VALUES (?, ?, 1, ?, 'x', 1, 9)",
                [(n, uuid(n), at) for n in some],
            )
            db.executemany(
                "INSERT INTO records (key, id, package, position, level, title, files)"
                " VALUES (?, ?, ?, 0, 'item', ?, 1)",
                [(n, uuid(n), n, described(n)[0][1]) for n in some],
            )
            db.executemany(
                "INSERT INTO elements (record, position, term, value) VALUES (?, ?, ?, ?)",
                [(n, at, *one) for n in some for at, one in enumerate(described(n))],
            )
            sets = "level:item type:text"
            db.executemany(
                "INSERT INTO exposures (record, since, live, files, above, sets, content)"
                " VALUES (?, ?, 1, 1, '', ?, 'x')",
                [(uuid(n), stamp(n, records), sets) for n in some],
            )
            db.executemany(
                "INSERT INTO exposure_sets (spec, since, record) VALUES (?, ?, ?)",
                [(one, stamp(n, records), uuid(n)) for n in some for one in (*sets.split(), "type")],
            )
        db.execute("COMMIT")


@contextmanager
def served(home: Path, workers: int, page_size: int) -> Iterator[tuple[int, int]]:
    """The port, and the process."""
    settings = home / "lantai.toml"
    text = re.sub(r"page_size = \d+", f"page_size = {page_size}", settings.read_text())
    # What was given holds while the address does, which that of a port is not.
    text = re.sub(r"(?m)^#? ?base_url = .*$", 'base_url = "https://archive.example.org/oai"', text)
    settings.write_text(re.sub(r"requests_per_minute = \d+", "requests_per_minute = 1000000", text))
    words = [
        sys.executable,
        "-m",
        "lantai",
        "--home",
        str(home),
        "serve",
        "--port",
        "0",
        "--workers",
        str(workers),
        "--json",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LANTAI_LANG": "en"}
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as server:
        assert server.stdout is not None
        url = json.loads(server.stdout.readline())["url"]
        try:
            yield int(url.split(":")[2].split("/")[0]), server.pid
        finally:
            server.terminate()


def pages(port: int, first: str, most: int | None = None, path: str = "/oai") -> Iterator[bytes]:
    """The bodies of a list, by one connection. Clients share the cores with the server: they do as little as may be."""
    verb = first.partition("&")[0]
    asked, received = first, bytearray(1 << 20)
    with closing(socket.create_connection(("127.0.0.1", port), 600)) as connection:
        while most is None or most > 0:
            connection.sendall(f"GET {path}?verb={asked} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            got, head, end = 0, -1, 1
            while head < 0 or got < end:
                if got == len(received):
                    received += bytes(got)
                with memoryview(received) as view:
                    more = connection.recv_into(view[got:])
                if not more:
                    raise SystemExit(f"{asked}: the connection was closed")
                got += more
                if head < 0 and (head := received.find(b"\r\n\r\n", 0, got)) >= 0:
                    end = head + 4 + int(_LENGTH.search(received, 0, head)[1])  # type: ignore[index]
            body = bytes(received[head + 4 : end])
            if not received.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"{asked}: {bytes(received[:head])!r} {body.decode()}")
            yield body
            found = _TOKEN.search(body, max(0, len(body) - 2000))
            if found is None:
                return
            asked = f"{verb}&resumptionToken={quote(unescape(found[1].decode()), safe='')}"
            most = None if most is None else most - 1


def rate(port: int, first: str, most: int | None, path: str = "/oai") -> tuple[float, float]:
    """Pages and records a second."""
    began, count, records = time.monotonic(), 0, 0
    for body in pages(port, first, most, path):
        count, records = count + 1, records + body.count(b"<header")
    taken = time.monotonic() - began
    return count / taken, records / taken


def _client(port: int, first: str, most: int | None, told: Any) -> None:
    told.put(rate(port, first, most))


def together(port: int, firsts: Sequence[str], most: int | None) -> tuple[float, float]:
    """By as many processes at once."""
    context = multiprocessing.get_context("fork")
    told = context.Queue()
    clients = [context.Process(target=_client, args=(port, first, most, told)) for first in firsts]
    for one in clients:
        one.start()
    rates = [told.get() for _one in clients]
    for one in clients:
        one.join()
    return sum(one[0] for one in rates), sum(one[1] for one in rates)


def from_day(part: float) -> str:
    at = datetime.fromtimestamp(BEGAN + int(part * DAYS) * 86_400, UTC)
    return f"ListRecords&metadataPrefix=oai_dc&from={at:%Y-%m-%d}"


def memory(process: int) -> float:
    """The largest that a child of the process has been, in MB."""
    found = 0
    for child in Path(f"/proc/{process}/task/{process}/children").read_text().split():
        status = Path(f"/proc/{child}/status").read_text()
        found = max(found, int(re.search(r"VmHWM:\s+(\d+)", status)[1]))  # type: ignore[index]
    return found / 1024


PEER = """
import sys
from datetime import datetime, timedelta
from oaipmh import common, metadata, server
import waitress
sys.path.insert(0, sys.argv[2])
from bench.oai import described, stamp, uuid
records = int(sys.argv[1])
held = []
for n in range(records):
    fields = {}
    for term, value in described(n):
        if term.startswith("dc."):
            fields.setdefault(term[3:], []).append(value)
    at = datetime.utcfromtimestamp(stamp(n, records))
    header = common.Header(None, "oai:archive.example.org:" + uuid(n)[9:], at, ["level:item", "type:text"], False)
    held.append((header, common.Metadata(None, fields), None))
class Memory:
    def identify(self):
        granularity = "YYYY-MM-DDThh:mm:ssZ"
        return common.Identify("peer", "http://localhost/oai", "2.0", ["a@example.org"], held[0][0].datestamp(),
                               "persistent", granularity, [])
    def listRecords(self, metadataPrefix, set=None, from_=None, until=None, cursor=0, batch_size=100):
        return held[cursor:cursor + batch_size]
registry = metadata.MetadataRegistry()
registry.registerWriter("oai_dc", server.oai_dc_writer)
provider = server.BatchingServer(Memory(), registry, resumption_batch_size=100)
from urllib.parse import parse_qsl
def app(environ, start):
    body = provider.handleRequest(dict(parse_qsl(environ["QUERY_STRING"])))
    body = body if isinstance(body, bytes) else body.encode()
    start("200 OK", [("Content-Type", "text/xml"), ("Content-Length", str(len(body)))])
    return [body]
one = waitress.create_server(app, host="127.0.0.1", port=0, threads=4)
print(one.effective_port, flush=True)
one.run()
"""


@contextmanager
def peer(records: int) -> Iterator[int]:
    words = [sys.executable, "-W", "ignore", "-c", PEER, str(records), str(ROOT)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline())
        finally:
            server.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0] if __doc__ else "")
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--peer", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    place = Path(tempfile.mkdtemp(dir=asked.folder))
    home = place / "home"
    try:
        began = time.monotonic()
        fill(home, asked.records)
        print(f"filled with {asked.records:,} records in {time.monotonic() - began:.0f} s", flush=True)
        measure(home, asked.records, asked.peer, asked.workers)
    finally:
        shutil.rmtree(place)


def measure(home: Path, records: int, peers: int, workers: int) -> None:
    ends: dict[str, float] = {}
    with served(home, workers, 500) as (port, _process):
        began = time.monotonic()
        for prefix in ("ListRecords", "ListIdentifiers"):
            together(port, [f"{prefix}{from_day(part / 4)[11:]}&until={until(part)}" for part in range(4)], None)
        print(f"given for the first time: {2 * records / (time.monotonic() - began):,.0f} a second", flush=True)
    for size in (100, 500):
        with served(home, workers, size) as (port, process):
            for verb in ("ListRecords", "ListIdentifiers"):
                first = f"{verb}&metadataPrefix=oai_dc"
                rate(port, first, 100)
                early, late = [], []
                last = from_day(1 - 110 * size / records)[11:]
                for _run in range(5):
                    early.append(rate(port, first, 100))
                    late.append(rate(port, verb + last, 100))
                pages_early, records_early = (statistics.median(one) for one in zip(*early, strict=True))
                pages_late, _records = (statistics.median(one) for one in zip(*late, strict=True))
                print(
                    f"{verb}, pages of {size}: {pages_early:,.0f} pages, {records_early:,.0f} records a second;"
                    f" the last 100 pages take {pages_early / pages_late:.2f} of the first (goal: 1.1)",
                    flush=True,
                )
                many = together(port, [verb + from_day(part / 8)[11:] for part in range(8)], 100)
                print(f"  8 clients: {many[0]:,.0f} pages, {many[1]:,.0f} records a second", flush=True)
                ends[f"{verb} {size}"] = max(records_early, many[1])
            print(f"  memory of a process: {memory(process):.0f} MB", flush=True)
    with peer(peers) as port:
        first = "ListRecords&metadataPrefix=oai_dc"
        early_pages, _records = rate(port, first, 100, "/")
        whole = rate(port, first, None, "/")
    print(
        f"oaipmh's BatchingServer: {early_pages:.0f} pages of 100 a second at first, {whole[0]:.0f} in all of {peers:,}"
    )
    told, more = ends["ListRecords 100"], ends["ListRecords 500"]
    print(f"ListRecords, records a second by pages of 100: {told / whole[1]:.1f} times the peer (goal: 20)")
    print(f"ListRecords, records a second by pages of 500: {more / whole[1]:.1f} times the peer by its pages of 100")
    print(
        f"ListIdentifiers, pages of 100: {ends['ListIdentifiers 100'] / ends['ListRecords 100']:.1f} times ListRecords"
    )


def until(part: int) -> str:
    days = int((part + 1) / 4 * DAYS) if part < 3 else DAYS + 1
    return f"{datetime.fromtimestamp(BEGAN + days * 86_400 - 1, UTC):%Y-%m-%d}"


if __name__ == "__main__":
    main()
