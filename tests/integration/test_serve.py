"""lantai serve: the provider over HTTP, with records in memory; its key, its limits, and the processes that answer."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
import uvicorn
from uvicorn.server import ServerState

from lantai.errors import StoreUnavailable, UsageError
from lantai.model import RecordId
from lantai.oai import Item, NotYet, Repository, key, provider, server
from lantai.oai.limit import Limit
from lantai.oai.page import POLICY
from tests.conformance.shelf import Shelf
from tests.integration.command import Lantai, folder
from tests.integration.harvested import running

REPOSITORY = Repository(
    '云岭县<script>"&档案馆', "http://localhost/oai", ("archive@example.org",), "archive.example.org",
    "00000000-0000-7000-8000-000000000000", datetime(2023, 11, 14, tzinfo=UTC),
)  # fmt: skip
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
SPOKEN = b"<answer/>"
RECORDS = [
    Item(
        RecordId(f"urn:uuid:00000000-0000-7000-8000-{number:012}"), 1_700_000_000 + number, True, ("type",),
        f'<oai_dc:dc xmlns:oai_dc="http://www.openarchives.org/OAI/2.0/oai_dc/" '
        f'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>第 {number} 件</dc:title></oai_dc:dc>',
    )
    for number in range(25)
]  # fmt: skip


@contextlib.contextmanager
def listening(limit: int = 1_000_000, proxies: Sequence[str] = ()) -> Iterator[int]:
    """The provider, in a thread of this process: its port."""
    app = provider.application(
        Shelf(RECORDS), REPOSITORY, key=bytes(32), page_size=10, token_ttl=3600, limit=Limit(limit)
    )  # fmt: skip
    bound = server.listen("127.0.0.1", 0)
    running = uvicorn.Server(server.config(app, proxies=proxies))
    thread = threading.Thread(target=running.run, args=([bound],))
    thread.start()
    try:
        yield bound.getsockname()[1]
    finally:
        running.should_exit = True
        thread.join()


@pytest.fixture(autouse=True)
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine may be so: what a test does not wait for has minutes."""
    for name in ("_HEADERS_WITHIN", "_IDLE", "_LINGER"):
        monkeypatch.setattr(server, name, 300)
    monkeypatch.setattr(provider, "_BODY_WITHIN", 300)
    monkeypatch.setattr(provider, "_PATIENCE", 300)


@pytest.fixture
def port() -> Iterator[int]:
    with listening() as found:
        yield found


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[tuple[str, str]]]:
    """What the protocol was asked, each time; its answers are SPOKEN."""
    heard: list[list[tuple[str, str]]] = []

    def respond(arguments: Sequence[tuple[str, str]], _records: object, **_more: object) -> bytes:
        heard.append(list(arguments))
        return SPOKEN

    monkeypatch.setattr(provider, "respond", respond)
    return heard


def ask(port: int, target: str = "/oai", method: str = "GET", **more: Any) -> tuple[HTTPResponse, bytes]:
    """more: body, headers."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, target, **more)
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def exchange(port: int, request: bytes) -> bytes:
    """All that comes back until the other side ends."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as line:
        line.sendall(request)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := line.recv(1 << 16):
                received += chunk
        return received


def test_get_and_post_answer_the_same(port: int) -> None:
    arguments = "verb=ListIdentifiers&metadataPrefix=oai_dc"
    got, page = ask(port, f"/oai?{arguments}")
    posted, same = ask(port, method="POST", body=arguments, headers=FORM)
    assert (got.status, posted.status) == (200, 200)
    assert got.getheader("Content-Type") == posted.getheader("Content-Type") == "text/xml; charset=utf-8"
    found, again = (
        [one.text for one in ElementTree.fromstring(text).iter("{http://www.openarchives.org/OAI/2.0/}identifier")]
        for text in (page, same)
    )
    assert len(found) == 10
    assert found == again


def test_head_is_get_without_its_body(port: int, asked: list[object]) -> None:
    response, body = ask(port, "/oai?verb=Identify", "HEAD")
    assert (response.status, body) == (200, b"")
    assert response.getheader("Content-Length") == str(len(SPOKEN))
    assert len(asked) == 1


def test_arguments_keep_their_order_and_repetitions(port: int, asked: list[list[tuple[str, str]]]) -> None:
    encoded = "verb=B&verb=A&x=&y&%E5%85%B3=%E6%A1%A3+%26"
    expected = [("verb", "B"), ("verb", "A"), ("x", ""), ("y", ""), ("关", "档 &")]
    ask(port, f"/oai?{encoded}")
    ask(port, method="POST", body=encoded, headers=FORM)
    ask(port, "/oai?verb=B", "POST", body="verb=A", headers=FORM)
    assert asked == [expected, expected, [("verb", "B"), ("verb", "A")]]


@pytest.mark.parametrize("encoded", ["verb=%FF%FE", "verb=%C3%28", "%F0%9F=x", "verb=%ED%A0%80"])
def test_what_is_no_utf_8_is_replaced(port: int, asked: list[list[tuple[str, str]]], encoded: str) -> None:
    got, _body = ask(port, f"/oai?{encoded}")
    posted, _body = ask(port, method="POST", body=encoded.encode() + b"&a=\xff", headers=FORM)
    assert (got.status, posted.status) == (200, 200)
    assert "�" in "".join(*asked[0])
    assert asked[1][1] == ("a", "�")


@pytest.mark.parametrize("encoded", ["verb=%00%01", "verb=%FF", "verb=<script>".replace("<", "%3C"), "%", "&&=&", ";"])
def test_the_protocol_answers_whatever_is_asked(port: int, encoded: str) -> None:
    response, body = ask(port, f"/oai?{encoded}")
    assert response.status == 200
    assert ElementTree.fromstring(body).find("{http://www.openarchives.org/OAI/2.0/}error") is not None


def test_what_is_too_long_is_refused_and_the_next_is_answered(port: int, asked: list[object]) -> None:
    long = "verb=" + "x" * (32 << 10)
    assert ask(port, f"/oai?{long}")[0].status == 414
    assert ask(port, "/oai?" + long[: 32 << 10])[0].status == 200
    assert ask(port, method="POST", body=long, headers=FORM)[0].status == 413
    assert ask(port, method="POST", body=long[: 32 << 10], headers=FORM)[0].status == 200
    assert len(asked) == 2
    # A head that has no end, and a body that claims none.
    assert exchange(port, b"GET /oai?" + b"x" * (1 << 20))[:12] in (b"", b"HTTP/1.1 400")
    endless = b"POST /oai HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Type: "
    endless += FORM["Content-Type"].encode() + b"\r\n\r\n" + (b"1000\r\n" + b"x" * 0x1000 + b"\r\n") * 20
    assert exchange(port, endless).startswith(b"HTTP/1.1 413")
    assert ask(port, "/oai?verb=Identify")[0].status == 200


@pytest.mark.parametrize("kind", [{}, {"Content-Type": "application/json"}, {"Content-Type": "multipart/form-data"}])
def test_a_post_of_another_type_is_refused(port: int, asked: list[object], kind: dict[str, str]) -> None:
    response, body = ask(port, method="POST", body="verb=Identify", headers=kind)
    assert (response.status, response.getheader("Content-Type")) == (415, "text/plain; charset=utf-8")
    assert FORM["Content-Type"] in body.decode()
    assert asked == []
    with_charset = {"Content-Type": "Application/X-WWW-Form-URLencoded; charset=UTF-8"}
    assert ask(port, method="POST", body="verb=Identify", headers=with_charset)[0].status == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"])
def test_other_methods_are_not_allowed(port: int, method: str) -> None:
    assert ask(port, "/oai?verb=Identify", method)[0].status == 405


@pytest.mark.parametrize("path", ["/", "/oai/", "/oai/x", "//oai", "/oai%00", "/../oai.key"])
def test_nothing_else_is_there(port: int, path: str) -> None:
    response, _body = ask(port, path, headers={"Host": "evil.example"})
    assert response.status == 404
    assert response.getheader("Location") is None


def test_a_large_answer_is_compressed_for_who_takes_it(port: int) -> None:
    target = "/oai?verb=ListRecords&metadataPrefix=oai_dc"
    plain, body = ask(port, target)
    packed, smaller = ask(port, target, headers={"Accept-Encoding": "br, GZIP;q=0.5"})
    assert packed.getheader("Content-Encoding") == "gzip"
    assert b"<record>" in gzip.decompress(smaller)
    assert len(smaller) < len(body) / 2
    for header in ("gzip;q=0", "identity", "br", "gzip;q=nonsense"):
        assert ask(port, target, headers={"Accept-Encoding": header})[0].getheader("Content-Encoding") is None
    assert plain.getheader("Content-Encoding") is None
    assert "Accept-Encoding" in (plain.getheader("Vary") or "")


def test_a_small_answer_is_not_compressed(port: int, asked: list[object]) -> None:
    response, body = ask(port, "/oai?verb=Identify", headers={"Accept-Encoding": "gzip"})
    assert (response.getheader("Content-Encoding"), body, len(asked)) == (None, SPOKEN, 1)


@pytest.mark.parametrize(
    ("asked_for", "language", "word"),
    [
        ("", "en", "This address is meant for programs."),
        ("fr", "en", "This address is meant for programs."),
        ("en-GB,zh;q=0.8", "en", "This address is meant for programs."),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh", ""),
        ("en;q=0.1, zh-TW", "zh", ""),
    ],
)
def test_a_browser_gets_a_page_in_its_language(port: int, asked_for: str, language: str, word: str) -> None:
    response, body = ask(port, headers={**HTML, "Accept-Language": asked_for})
    page = body.decode()
    assert (response.status, response.getheader("Content-Type")) == (200, "text/html; charset=utf-8")
    assert f'<html lang="{language}">' in page
    assert word in page
    for verb in ("Identify", "ListSets", "ListMetadataFormats", "ListRecords&amp;metadataPrefix=oai_dc"):
        assert f'href="?verb={verb}"' in page


def test_nothing_of_the_page_is_fetched_run_or_taken_from_the_request(port: int) -> None:
    headers = {**HTML, "Host": "<b>host", "Accept-Language": "<i>", "User-Agent": "<u>", "Referer": "<s>"}
    response, body = ask(port, headers=headers)
    page = body.decode()
    assert response.getheader("Content-Security-Policy") == POLICY
    assert "default-src 'none'" in POLICY
    assert "云岭县&lt;script&gt;&quot;&amp;档案馆" in page
    assert not re.search(r"<(script|img|link|iframe|b|i|u|s)\b|\b(src|on\w+)=|@import|url\(", page)
    assert re.findall(r'href="(\w+:[^"]*)"', page) == [
        "mailto:archive@example.org", "https://www.openarchives.org/OAI/openarchivesprotocol.html",
    ]  # fmt: skip


@pytest.mark.parametrize("target", ["/oai?verb=Identify", "/oai?x", "/oai?%3Cscript%3E"])
def test_a_browser_that_asks_something_gets_xml(port: int, target: str) -> None:
    response, body = ask(port, target, headers=HTML)
    assert response.getheader("Content-Type") == "text/xml; charset=utf-8"
    assert b"<script>" not in body


@pytest.mark.parametrize("headers", [{}, {"Accept": "*/*"}, {"Accept": "text/xml"}, {"Accept": "text/html;q=0"}])
def test_a_program_that_asks_nothing_gets_xml(port: int, headers: dict[str, str]) -> None:
    response, body = ask(port, headers=headers)
    assert response.getheader("Content-Type") == "text/xml; charset=utf-8"
    assert b'code="badVerb"' in body


def test_who_asks_too_often_is_told_when_to_come_again(asked: list[object]) -> None:
    with listening(limit=5) as port:
        found = [ask(port, "/oai?verb=Identify")[0] for _time in range(7)]
    assert [one.status for one in found] == [200] * 5 + [503] * 2
    assert 1 <= int(found[-1].getheader("Retry-After") or 0) <= 12
    assert len(asked) == 5


@pytest.mark.parametrize(("proxies", "served"), [((), 1), (("127.0.0.0/8",), 3)])
def test_a_forwarded_address_counts_from_a_trusted_proxy_only(
    asked: list[object], proxies: tuple[str, ...], served: int
) -> None:
    with listening(limit=1, proxies=proxies) as port:
        for client in ("192.0.2.1", "192.0.2.2", "203.0.113.9, 192.0.2.3", "198.51.100.1, 192.0.2.3"):
            ask(port, "/oai?verb=Identify", headers={"X-Forwarded-For": client})
    assert len(asked) == served


def test_a_limit_fills_up_evenly_and_tells_networks_apart() -> None:
    limit = Limit(60)
    assert [limit.wait("192.0.2.1", 100.0) for _time in range(60)] == [0.0] * 60
    assert limit.wait("192.0.2.1", 100.0) == pytest.approx(1.0)
    assert limit.wait("192.0.2.2", 100.0) == 0.0
    assert limit.wait("192.0.2.1", 101.0) == 0.0
    assert limit.wait("192.0.2.1", 101.0) > 0
    assert [limit.wait("192.0.2.1", 1000.0) for _time in range(61)].count(0.0) == 60
    # One IPv6 network is one client, and an IPv4 address is the same however it is written.
    one = Limit(1)
    assert [one.wait(f"2001:db8::{last}", 0.0) > 0 for last in (1, 2)] == [False, True]
    assert one.wait("2001:db8:1::1", 0.0) == 0.0
    assert [one.wait(text, 0.0) > 0 for text in ("192.0.2.1", "::ffff:192.0.2.1", "", "unix")] == [False, True] + [
        False
    ] * 2


def test_a_limit_is_shared_with_forked_processes() -> None:
    limit = Limit(2)
    assert limit.wait("192.0.2.1", 0.0) == 0.0
    child = os.fork()
    if child == 0:
        os._exit(int(limit.wait("192.0.2.1", 0.0)))
    assert os.waitpid(child, 0)[1] == 0
    assert limit.wait("192.0.2.1", 0.0) > 0


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (StoreUnavailable("secret", subject="/srv/secret", remedy="secret"), 503),
        (ValueError("secret"), 500),
    ],
)
def test_a_failure_tells_nothing_but_the_log(
    port: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception, status: int
) -> None:
    def respond(*_arguments: object, **_more: object) -> bytes:
        raise error

    monkeypatch.setattr(provider, "respond", respond)
    response, body = ask(port, "/oai?verb=Identify")
    assert response.status == status
    assert bool(response.getheader("Retry-After")) == (status == 503)
    said = f"{response.headers}{body.decode()}".lower()
    assert not any(word in said for word in ("secret", "traceback", "error", "uvicorn", "starlette", "python"))
    assert "secret" in caplog.text


def test_what_is_too_much_at_once_is_put_off(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    begun = threading.Semaphore(0)

    def respond(*_arguments: object, **_more: object) -> bytes:
        begun.release()
        go_on.wait(30)
        return SPOKEN

    monkeypatch.setattr(provider, "respond", respond)
    monkeypatch.setattr(provider, "_WAITING", 2)
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(ask(port, "/oai?x")[0].status)) for _one in range(2)]
    try:
        for one in threads:
            one.start()
        assert all(begun.acquire(timeout=30) for _one in threads)
        response, _body = ask(port, "/oai?x")
        assert (response.status, response.getheader("Retry-After")) == (503, "5")
    finally:
        go_on.set()
        for one in threads:
            one.join()
    assert statuses == [200, 200]


@pytest.mark.parametrize("early", [1, 3])
def test_a_list_that_is_not_ready_yet_is_waited_for(port: int, monkeypatch: pytest.MonkeyPatch, early: int) -> None:
    """The moment is another each time."""
    moments = list[datetime]()

    def respond(*_arguments: object, now: datetime, **_more: object) -> bytes:
        moments.append(now)
        if len(moments) <= early:
            raise NotYet
        return SPOKEN

    monkeypatch.setattr(provider, "respond", respond)
    monkeypatch.setattr(provider, "_AGAIN", 0.7)
    response, body = ask(port, "/oai?x")
    assert (response.status, body) == (200, SPOKEN)
    assert len(moments) == early + 1
    assert (moments[-1] > moments[0]) or early == 1


def test_a_list_that_does_not_become_ready_is_put_off_and_holds_up_no_other(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, moment = threading.Semaphore(0), [0.0]

    def respond(arguments: Sequence[tuple[str, str]], *_more: object, **_named: object) -> bytes:
        if arguments == [("x", "")]:
            begun.release()
            raise NotYet
        return SPOKEN

    monkeypatch.setattr(provider, "respond", respond)
    monkeypatch.setattr(provider, "time", SimpleNamespace(monotonic=lambda: moment[0]))
    found: list[HTTPResponse] = []
    threads = [threading.Thread(target=lambda: found.append(ask(port, "/oai?x")[0])) for _one in range(10)]
    for one in threads:
        one.start()
    assert all(begun.acquire(timeout=30) for _one in threads)
    assert ask(port, "/oai?y")[0].status == 200
    assert not found
    moment[0] = 1000.0
    for one in threads:
        one.join()
    assert [(one.status, one.getheader("Retry-After")) for one in found] == [(503, "1")] * 10


def test_a_body_that_does_not_come_is_not_waited_for(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider, "_BODY_WITHIN", 0.2)
    head = f"POST /oai HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\nContent-Type: {FORM['Content-Type']}\r\n\r\nverb"
    assert exchange(port, head.encode()).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    "sent", [b"", b"GET /oai HTTP/1.1\r\nHost", b"GET /oai?verb=Identify HTTP/1.1\r\nHost: x\r\n\r\nGET"]
)
def test_a_request_that_does_not_come_is_not_waited_for(
    port: int, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(server, "_HEADERS_WITHIN", 1.0)
    assert exchange(port, sent).count(b"HTTP/1.1 200") == sent.count(b"\r\n\r\n")


def test_an_answer_that_is_not_read_is_not_kept(
    monkeypatch: pytest.MonkeyPatch, port: int, asked: list[object]
) -> None:
    ended, lost = threading.Event(), server._Patient.connection_lost

    def connection_lost(self: server._Patient, exc: Exception | None) -> None:
        lost(self, exc)
        ended.set()

    monkeypatch.setattr(server._Patient, "connection_lost", connection_lost)
    monkeypatch.setattr(server, "_ANSWER_WITHIN", 0.3)
    monkeypatch.setattr(provider, "respond", lambda *_all, **_more: bytes(64 << 20))
    with socket.create_connection(("127.0.0.1", port), timeout=30) as line:
        line.sendall(b"GET /oai?x HTTP/1.1\r\nHost: x\r\n\r\n")
        assert ended.wait(60)
        received = 0
        with contextlib.suppress(ConnectionResetError):
            while chunk := line.recv(1 << 20):
                received += len(chunk)
    assert received < 64 << 20


@contextlib.contextmanager
def held(port: int, number: int, sent: bytes, client: str = "127.0.0.1") -> Iterator[list[socket.socket]]:
    """Connections on which something was sent, and no more comes."""
    with contextlib.ExitStack() as lines:
        yield [lines.enter_context(line(port, sent, client)) for _one in range(number)]


def line(port: int, sent: bytes, client: str = "127.0.0.1") -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), timeout=30, source_address=(client, 0))
    made.sendall(sent)
    return made


def is_refused(line: socket.socket) -> bool:
    """All that comes is 503 with Retry-After, at once and though nothing more is sent."""
    received = b""
    while chunk := line.recv(1 << 16):
        received += chunk
    head, _end, body = received.partition(b"\r\n\r\n")
    return head.startswith(b"HTTP/1.1 503 ") and b"\r\nRetry-After: 5\r\n" in head and body.endswith(b"\n")


IDENTIFY = b"GET /oai?verb=Identify HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("sent", [b"", b"GET /oai HTTP/1.1\r\nHost", IDENTIFY])
def test_one_client_has_a_part_of_the_connections(port: int, asked: list[object], sent: bytes) -> None:
    most = server._CONNECTIONS // 4
    with held(port, most, sent):
        for more in (b"", sent, IDENTIFY):
            with line(port, more) as refused:
                assert is_refused(refused)
        with line(port, IDENTIFY, "127.0.0.2") as other:
            assert other.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
    _until(lambda: ask(port, "/oai?verb=Identify")[0].status == 200)
    # What is refused is not counted, and what ended is not either.
    with held(port, most - 1, b""):
        _until(lambda: ask(port, "/oai?verb=Identify")[0].status == 200)


def test_more_connections_than_all_may_have_are_told_when_to_come_again(port: int, asked: list[object]) -> None:
    with contextlib.ExitStack() as clients:
        for number in range(2, 6):
            clients.enter_context(held(port, server._CONNECTIONS // 4, b"", f"127.0.0.{number}"))
        response, _body = ask(port, "/oai?verb=Identify")
        assert (response.status, response.getheader("Retry-After")) == (503, "5")
        assert asked == []
    _until(lambda: ask(port, "/oai?verb=Identify")[0].status == 200)


def test_what_is_refused_is_bounded_too(port: int) -> None:
    most, before = server._CONNECTIONS, _files()
    with held(port, 3 * most, b"") as lines:
        assert all(map(is_refused, lines[most // 4 :]))
        _until(lambda: _files() - before < 5 * most + 10)


def _files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_trusted_proxy_may_have_all_connections(asked: list[object]) -> None:
    most, proxy = server._CONNECTIONS, "127.0.0.3"
    with (
        listening(proxies=(proxy, "10.1.2.3/8")) as port, held(port, most - 1, b"", proxy),
        line(port, IDENTIFY, proxy) as last, line(port, b"", proxy) as refused,
    ):  # fmt: skip
        assert last.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        assert is_refused(refused)


class _Transport(asyncio.Transport):
    """Of a connection from that address."""

    def __init__(self, client: str) -> None:
        super().__init__({"peername": (client, 1)})
        self.sent = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += data

    def write_eof(self) -> None:
        pass


def refused(clients: Sequence[str], proxies: Sequence[str] = ()) -> list[bool]:
    """Of those that connect, one after the other, and stay."""

    async def connect() -> list[bool]:
        config, state = server.config(None, proxies=proxies), ServerState()
        config.load()
        transports = [_Transport(client) for client in clients]
        for one in transports:
            config.http_protocol_class(config, state, {}).connection_made(one)  # type: ignore[call-arg]
        return [one.sent.startswith(b"HTTP/1.1 503 ") for one in transports]

    return asyncio.run(connect())


def test_clients_of_one_ipv6_network_are_one_and_an_ipv4_address_is_the_same_however_it_is_written() -> None:
    most = server._CONNECTIONS // 4
    some = [f"2001:db8::{number:x}" for number in range(most)]
    assert refused([*some, "2001:db8::ffff", "2001:db8:0:1::1"]) == [False] * most + [True, False]
    some = ["192.0.2.1"] * most
    assert refused([*some, "::ffff:192.0.2.1", "192.0.2.2"]) == [False] * most + [True, False]
    assert not any(refused([*some, "::ffff:192.0.2.1"], ["192.0.2.0/24"]))


@pytest.mark.parametrize(
    "request_",
    [
        b"\x00\xff\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /oai HTTP/1.1\r\n\r\n",
        b"GET /oai HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"GET /\xff HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused(port: int, monkeypatch: pytest.MonkeyPatch, request_: bytes) -> None:
    monkeypatch.setattr(server, "_HEADERS_WITHIN", 1.0)
    assert exchange(port, request_)[:12] in (b"HTTP/1.1 400", b"")
    assert ask(port, "/oai?verb=Identify")[0].status == 200


def test_no_header_names_the_software(port: int) -> None:
    response, _body = ask(port, "/oai?verb=Identify")
    assert response.getheader("Server") is None


# -- the key


def test_init_makes_a_key_that_only_this_user_can_read(pristine: Path) -> None:
    file = pristine / "oai.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(key.read(file)) == 32
    assert re.fullmatch(r"[0-9a-f]{64}\n", file.read_text())


def test_a_key_that_is_missing_is_made_once(tmp_path: Path) -> None:
    file = tmp_path / "oai.key"
    before = os.umask(0)
    try:
        made = key.read(file)
    finally:
        os.umask(before)
    assert key.read(file) == made
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["oai.key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "oai.key"
    key.ensure(file)
    file.chmod(mode)
    with pytest.raises(UsageError) as caught:
        key.read(file)
    assert "chmod 600" in caught.value.remedy


@pytest.mark.parametrize("content", [b"", b"0" * 62, b"0" * 66, b"x" * 64, b"\xff" * 64, b"0" * 100_000])
def test_what_is_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "oai.key"
    key.ensure(file)
    file.write_bytes(content)
    with pytest.raises(UsageError, match="no key"):
        key.read(file)


def test_a_key_in_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        key.read(tmp_path / "none" / "oai.key")


# -- the command


def _children(process: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def _port(said: dict[str, Any]) -> int:
    return int(re.fullmatch(r"http://127\.0\.0\.1:(\d+)/oai", said["url"])[1])  # type: ignore[index]


def _until(true: Callable[[], bool]) -> None:
    for _time in range(1200):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come to that")


def _lives(process: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return " Z " not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2][:3]
    return False


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_serve_answers_until_it_is_ended(lantai: Lantai, sent: signal.Signals) -> None:
    with running(lantai, "--workers", "2") as (process, said):
        assert said == {"url": said["url"], "workers": 2}
        response, body = ask(_port(said), "/oai?verb=Identify")
        assert response.status == 200
        assert "<repositoryName>云岭县档案馆</repositoryName>" in body.decode()
        assert said["url"] in body.decode()
        children = _children(process.pid)
        assert len(children) == 2
        process.send_signal(sent)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (0, "")
        assert f"admin@{lantai.namespace}" in err
        assert "Traceback" not in err
        assert not any(map(_lives, children))


def test_a_process_that_died_is_replaced_and_all_end_with_the_first(lantai: Lantai) -> None:
    with running(lantai, "--workers", "1") as (process, said):
        _until(lambda: len(_children(process.pid)) == 1)
        (child,) = _children(process.pid)
        assert ask(_port(said), "/oai?verb=Identify")[0].status == 200
        os.kill(child, signal.SIGKILL)
        _until(lambda: _children(process.pid) not in ([], [child]))
        assert ask(_port(said), "/oai?verb=Identify")[0].status == 200
        (child,) = _children(process.pid)
        process.kill()
        _until(lambda: not _lives(child))


def test_what_harvesters_are_told_stands_in_the_settings(lantai: Lantai) -> None:
    file = lantai.folder / "lantai.toml"
    text = file.read_text().replace("admin_emails = []", 'admin_emails = ["a@example.org", "b@example.org"]')
    file.write_text(text.replace('# base_url = ""', 'base_url = "https://archive.example.org/oai"'))
    with running(lantai, "--workers", "1") as (_process, said):
        body = ask(_port(said), "/oai?verb=Identify")[1].decode()
    assert "<baseURL>https://archive.example.org/oai</baseURL>" in body
    assert re.findall("<adminEmail>(.*?)</adminEmail>", body) == ["a@example.org", "b@example.org"]
    assert "friends" not in body
    assert "branding" not in body


def test_friends_and_an_icon_stand_in_the_settings(lantai: Lantai) -> None:
    with (lantai.folder / "lantai.toml").open("a", encoding="utf-8") as file:
        file.write('brand_url = "https://a.example.org/i.png"\nbrand_title = "云岭 <&>\\u0001"\n')
    environment = {"LANTAI_OAI__FRIENDS": '["https://b.example.org/oai"]'}
    with running(lantai, "--workers", "1", **environment) as (_process, said):
        body = ask(_port(said), "/oai?verb=Identify")[1].decode()
    assert "<baseURL>https://b.example.org/oai</baseURL>" in body
    assert "<url>https://a.example.org/i.png</url>\n<title>云岭 &lt;&amp;&gt;\\x01</title>" in body


def test_serve_refuses_a_key_that_others_can_read(lantai: Lantai) -> None:
    (lantai.folder / "oai.key").chmod(0o644)
    done = lantai("serve", "--json")
    assert (done.code, done.error["kind"]) == (2, "UsageError")
    assert done.error["subject"].endswith("oai.key")


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_serve_tells_where_it_cannot_listen(lantai: Lantai, host: str) -> None:
    done = lantai("serve", "--json", "--host", host)
    assert (done.code, done.error["kind"]) == (2, "UsageError")


def test_serve_tells_of_a_port_that_is_taken(lantai: Lantai) -> None:
    with server.listen("127.0.0.1", 0) as taken:
        done = lantai("serve", "--json", "--port", str(taken.getsockname()[1]))
    assert (done.code, done.error["kind"]) == (2, "UsageError")
    assert "in use" in done.error["what"]


@pytest.mark.parametrize(
    "line",
    [
        "page_size = 0", "page_size = 1001", 'token_ttl = "1"', 'key_file = ""', "requests_per_minute = 0",
        'base_url = "ftp://x"', 'base_url = "https://x/oai?a"', 'trusted_proxies = ["*"]', "no_such_key = 1",
        *(f'friends = ["{one}"]' for one in ("x", "ftp://x/oai", "https://", "https://[x/oai", "https://x/a b", "")),
        *(f'brand_url = "{one}"' for one in ("/icon.png", "data:image/png,x", "https:///i.png", "https://x/<i>")),
        'brand_link = "javascript:alert(1)"',
    ],
)  # fmt: skip
def test_a_setting_that_is_out_of_range_is_named(lantai: Lantai, line: str) -> None:
    file = lantai.folder / "lantai.toml"
    name = line.split(" = ")[0]
    kept = [one for one in file.read_text().splitlines() if not one.startswith(f"{name} = ")]
    file.write_text("\n".join([*kept, line]))
    done = lantai("serve", "--json")
    assert (done.code, done.error["kind"]) == (2, "UsageError")
    assert f"oai.{name}" in done.error["what"]


@pytest.mark.parametrize("time", ["1h", "0d", "7", "7 d", "٧d", "100000d"])
def test_a_time_that_is_no_number_of_days_is_told_in_words(lantai: Lantai, time: str) -> None:
    file = lantai.folder / "lantai.toml"
    file.write_text(re.sub('token_ttl = "[^"]*"', f'token_ttl = "{time}"', file.read_text("utf-8")), "utf-8")
    done = lantai("serve", "--json")
    assert (done.code, done.error["kind"]) == (2, "UsageError")
    assert "oai.token_ttl" in done.error["what"]
    assert "a number of days, such as 7d" in done.error["what"]
    assert "pattern" not in done.error["what"]


@pytest.mark.parametrize("line", ['brand_link = "https://a.example.org/"', 'brand_title = "云岭"'])
def test_a_link_and_a_title_without_an_icon_are_named(lantai: Lantai, line: str) -> None:
    with (lantai.folder / "lantai.toml").open("a", encoding="utf-8") as file:
        file.write(line)
    done = lantai("serve", "--json")
    assert (done.code, done.error["kind"]) == (2, "UsageError")
    assert "brand_url" in done.error["what"]


def test_the_environment_takes_the_place_of_a_setting(lantai: Lantai) -> None:
    done = lantai("serve", "--json", LANTAI_OAI__PAGE_SIZE="5000")
    assert "oai.page_size" in done.error["what"]


def test_other_commands_do_not_load_a_web_server() -> None:
    loaded = "import sys, lantai.cli; print(*{one.split('.')[0] for one in sys.modules})"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert not {"starlette", "uvicorn", "anyio", "h11"} & set(done.stdout.split())


def test_figures_are_given_at_an_address_of_their_own(lantai: Lantai, tmp_path: Path) -> None:
    lantai.stored(folder(tmp_path / "s", {"a.txt": "x"}))
    settings = lantai.folder / "lantai.toml"
    text = settings.read_text("utf-8").replace("[metrics]\n", '[metrics]\nlisten = "127.0.0.1:0"\n')
    settings.write_text(text, "utf-8")
    with running(lantai) as (_process, said):
        public, apart = urlsplit(said["url"]).port, urlsplit(said["metrics"]).port
        assert public is not None
        assert apart is not None
        for _time in range(2):
            found = ask(apart, "/metrics")
            assert found[0].status == 200
            assert 'lantai_packages{store="local"} 1.0' in found[1].decode()
            assert ask(public, "/metrics")[0].status == 404
        assert ask(public, "/oai?verb=Identify")[0].status == 200
