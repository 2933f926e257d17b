"""Ten thousand requests that nobody should send, to a real `lantai serve`: each gets an answer or a closed connection,
and the processes are as they were.

LANTAI_SEED: others (tests/chance.py).
"""

from __future__ import annotations

import random
import re
import socket
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, quote_from_bytes
from urllib.request import urlopen

from tests.chance import seeded
from tests.integration.command import Lantai, folder
from tests.integration.harvested import running
from tests.integration.schemas import judged

REQUESTS = 10_000
CLIENTS = 8
GROWS = 40 << 20
"""Bytes that a process may have gained: what it keeps ready for the next, but nothing of each request."""
WORDS = (
    "verb", "identifier", "metadataPrefix", "from", "until", "set", "resumptionToken", "Identify", "GetRecord",
    "ListSets", "ListRecords", "ListIdentifiers", "ListMetadataFormats", "oai_dc", "mets", "2026-01-01",
    "2026-01-01T00:00:00Z", "9999-12-31", "level:file", "oai:lantai.invalid:01890a5d-ac96-774b-bcce-b302099a8057",
    "AbJmJx6KUmXxu_eRoqo5VPsLuD8iISojh4KkrDoV", "", "\0", "\x1b", "\ufffe", "𠮷", "<x>", "&#0;", "%", "../..", "'; --",
)  # fmt: skip
METHODS = ("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH", "BREW", "get", "G\0T")
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Sent:
    """whole: it is HTTP, so that an answer must come, and the connection may go on."""

    octets: bytes
    whole: bool


def arguments(chance: random.Random) -> bytes:
    """Pairs of words that mean something in the wrong places, and bytes that mean nothing."""

    def word() -> bytes:
        kind = chance.random()
        if kind < 0.7:
            return quote(chance.choice(WORDS)).encode()
        if kind < 0.85:
            return quote_from_bytes(chance.randbytes(chance.randrange(20))).encode()
        if kind < 0.95:
            return chance.choice(
                [b"%", b"%%", b"%zz", b"%u4e00", b"%c0%af", b"%ED%A0%80", b"%F8%88%80%80%80", b"+", b"="]
            )
        return chance.choice([b"x", b"%00", b"%E4%B8%AD"]) * chance.choice([300, 3000, 20_000])

    pairs = [word() + chance.choice([b"=", b"=", b"=", b"", b"=="]) + word() for _pair in range(chance.randrange(6))]
    if chance.random() < 0.6:  # up to the verb, and beyond it
        pairs.insert(0, b"verb=" + quote(chance.choice(WORDS[7:13])).encode())
    return chance.choice([b"&", b"&", b"&", b";", b"&&"]).join(pairs)


def well_formed(chance: random.Random) -> Sent:
    """As HTTP."""
    method = chance.choice(["GET"] * 8 + ["POST"] * 6 + ["HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "BREW"])
    path = chance.choice(
        [b"/oai"] * 30
        + [b"/oai/receipt"] * 8
        + [b"/", b"/oai/", b"//oai", b"/%6fai", b"/oai.key", b"/..%2foai.key", b"/oai%00"]
    )
    told = arguments(chance)
    target, body = (path + b"?" + told, b"") if method != "POST" or chance.random() < 0.2 else (path, told)
    kind = chance.choice([FORM, FORM, FORM, FORM + "; charset=gbk", "text/xml", "multipart/form-data; boundary=x", ""])
    lines = [method.encode() + b" " + target + b" HTTP/1.1", b"Host: " + chance.choice([b"x", b"<b>", b"a.b:99999"])]
    lines += [b"Content-Type: " + kind.encode()] if kind else []
    for name in ("Accept", "Accept-Encoding", "Accept-Language", "X-Forwarded-For", "If-None-Match"):
        if chance.random() < 0.2:
            value = quote_from_bytes(chance.randbytes(chance.randrange(30))).encode()
            lines.append(
                name.encode() + b": " + chance.choice([b"gzip;q=" + value, b"text/html," + value, b",;=" + value])
            )
    if body and chance.random() < 0.3:
        lines.append(b"Transfer-Encoding: chunked")
        body = b"".join(b"%x\r\n%s\r\n" % (len(some), some) for some in (body[:7], body[7:]) if some) + b"0\r\n\r\n"
    elif body or method in ("POST", "PUT"):
        lines.append(b"Content-Length: %d" % len(body))
    return Sent(b"\r\n".join(lines) + b"\r\n\r\n" + body, whole=True)


def broken(chance: random.Random) -> Sent:
    """What is no HTTP, or ends in the midst of it."""
    one = bytearray(well_formed(chance).octets)
    kind = chance.randrange(6)
    if kind == 0:
        return Sent(chance.randbytes(chance.randrange(1, 400)), whole=False)
    if kind == 1:
        return Sent(bytes(one[: chance.randrange(len(one))]), whole=False)
    if kind == 2:
        for _time in range(chance.randrange(1, 6)):
            one[chance.randrange(len(one))] = chance.randrange(256)
    elif kind == 3:
        at = one.index(b"\r\n") + 2
        one[at:at] = chance.choice([
            b"Content-Length: -1\r\n", b"Content-Length: 99999999999999999999\r\n", b"Content-Length: 1\r\n" * 2,
            b"Transfer-Encoding: gzip, chunked\r\n", b": \r\n", b" folded\r\n", b"A\0: b\r\n", b"A: \xff\xfe\r\n",
            b"X: " + b"x" * 200_000 + b"\r\n", b"X: y\r\n" * 2000, b"Upgrade: websocket\r\nConnection: Upgrade\r\n",
            b"Expect: 100-continue\r\n", b"Connection: close, keep-alive\r\n",
        ])  # fmt: skip
    elif kind == 4:
        return Sent(
            bytes(one).replace(b"HTTP/1.1", chance.choice([b"HTTP/1.0", b"HTTP/9.9", b"http/1.1", b"", b"H"])), False
        )
    else:
        method = chance.choice(METHODS).encode()
        return Sent(bytes(one).replace(bytes(one).split(b" ")[0], method, 1), whole=False)
    return Sent(bytes(one), whole=False)


@dataclass
class Client:
    """Sends one after the other over as few connections as it can."""

    port: int
    chance: random.Random
    statuses: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    line: socket.socket | None = None

    def run(self, requests: int) -> None:
        for _request in range(requests):
            one = (well_formed if self.chance.random() < 0.8 else broken)(self.chance)
            is_first = self.line is None
            status = self._sent(one)
            if not status and one.whole and not is_first:
                status = self._sent(one)  # a server may end a connection that it waits on (RFC 9112 9.3.1)
            self.statuses[status or "closed"] += 1
            if status[:1] == "5" or status == "late" or (one.whole and not status):
                self.wrong.append(f"{status or 'closed'}: {one.octets[:2000]!r}")
        self._hang_up()

    def _sent(self, one: Sent) -> str:
        """The status of its answer; "": the connection was closed."""
        try:
            if self.line is None:
                self.line = socket.create_connection(("127.0.0.1", self.port), timeout=60)
            self.line.sendall(one.octets)
            if not one.whole:
                self.line.shutdown(socket.SHUT_WR)
            status, closes = self._answer(one.octets.startswith(b"HEAD "))
        except TimeoutError:
            status, closes = "late", True
        except OSError:  # it was closed while it was being written to
            status, closes = "", True
        if closes or not one.whole:
            self._hang_up()
        return status

    def _answer(self, is_head: bool) -> tuple[str, bool]:
        """Its status, "" if there is none, and whether the connection ends with it."""
        assert self.line is not None
        received = b""
        while b"\r\n\r\n" not in received:
            chunk = self.line.recv(1 << 16)
            if not chunk:
                assert received == b"", received
                return "", True
            received += chunk
        head, _end, body = received.partition(b"\r\n\r\n")
        match = re.search(rb"\r\ncontent-length: (\d+)", head.lower())
        left = 0 if is_head or match is None else int(match[1]) - len(body)
        while left > 0 and (chunk := self.line.recv(1 << 16)):
            left -= len(chunk)
        assert left <= 0, "an answer that is cut short"
        return head[9:12].decode(), b"\r\nconnection: close" in head.lower() or match is None

    def _hang_up(self) -> None:
        if self.line is not None:
            self.line.close()
            self.line = None


def children(process: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def resident(process: int) -> int:
    """Bytes."""
    told = re.search(r"^VmRSS:\s+(\d+) kB$", Path(f"/proc/{process}/status").read_text(), re.MULTILINE)
    assert told
    return int(told[1]) << 10


def together(port: int, chance: random.Random, requests: int) -> list[Client]:
    clients = [Client(port, random.Random(chance.random())) for _client in range(CLIENTS)]
    threads = [threading.Thread(target=one.run, args=(requests // CLIENTS,)) for one in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return clients


def test_ten_thousand_bad_requests_cost_nothing(lantai: Lantai, tmp_path: Path) -> None:
    chance = seeded()
    settings = lantai.folder / "lantai.toml"
    settings.write_text(re.sub(r"requests_per_minute = \d+", "requests_per_minute = 1000000", settings.read_text()))
    lantai.stored(folder(tmp_path / "open", {"a.txt": "open\n"}), "--access", "open")
    with running(lantai, "--workers", "2") as (process, said):
        port = int(said["url"].rpartition(":")[2].partition("/")[0])
        together(port, chance, REQUESTS // 10)  # what is loaded once
        before = {child: resident(child) for child in children(process.pid)}
        clients = together(port, chance, REQUESTS)
        wrong = [one for client in clients for one in client.wrong]
        assert not wrong, wrong[:5]
        statuses = sum((client.statuses for client in clients), Counter())
        print(dict(statuses))
        assert sum(statuses.values()) == REQUESTS
        assert {"200", "400", "404", "405", "414", "415", "closed"} <= statuses.keys()
        after = {child: resident(child) for child in children(process.pid)}
        print({child: after[child] - before[child] for child in before if child in after})
        assert after.keys() == before.keys()
        assert all(after[child] - before[child] < GROWS for child in before)
        with urlopen(f"{said['url']}?verb=ListRecords&metadataPrefix=oai_dc", timeout=60) as answer:
            judged(answer.read())
        process.kill()
        _out, err = process.communicate()
    assert "Traceback" not in err
    assert "failed" not in err
