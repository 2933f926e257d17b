"""A proxy on the loopback between a client and an HTTP server, that makes trouble where a test wants it.

    with proxied(server) as proxy:
        proxy.on(r"PUT /.*/a$", lost)              the first time that this is asked; turns=ALWAYS: each time
        Client(Bucket(..., proxy.server.endpoint_url))
        assert proxy.asked == ["PUT /bucket/a", ...]

A fault is a function of the Exchange whose fate it is. Those that servers and lines really have are below; each says
whether the server was asked.
"""

from __future__ import annotations

import http.client
import re
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias
from urllib.parse import unquote, urlsplit

from tests.services import Server

ALWAYS = range(1, sys.maxsize)
EVERY_OTHER = range(1, sys.maxsize, 2)
"""The first attempt at each thing, where each is asked again as often as it failed."""

_OF_ONE_LINE = frozenset({"connection", "expect", "transfer-encoding"})
"""What does not go from one connection to the other."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class Exchange(BaseHTTPRequestHandler):
    """A request whose head has come. What is asked of it: method and path, quoting undone, query included."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    proxy: Proxy

    @property
    def asked(self) -> str:
        return f"{self.command} {unquote(self.path)}"

    @property
    def size(self) -> int:
        """Bytes of the request's body."""
        return int(self.headers.get("Content-Length", 0))

    def body(self, size: int | None = None) -> bytes:
        """The request's body, or so much of it. To be read once."""
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return self.rfile.read(self.size if size is None else size)

    def forward(self, body: bytes | None = None, without: Container[str] = ()) -> Answer:
        """What the server answers to the request, with another body, without some headers (in lower case)."""
        with closing(self._begin(without)) as line:
            line.endheaders(self.body() if body is None else body)
            answer = line.getresponse()
            headers = {name: value for name, value in answer.getheaders() if name.lower() not in _OF_ONE_LINE}
            return Answer(answer.status, headers, answer.read())

    def break_off(self, body: bytes) -> None:
        """The server sees the beginning of a request, and then the end of its connection."""
        with closing(self._begin()) as line:
            line.endheaders(body)

    def answer(self, answer: Answer, size: int | None = None) -> None:
        """Give the answer to the client, all of its body or so much of it."""
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            if self.command == "HEAD" or name.lower() != "content-length":
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body[:size])

    def cut(self) -> None:
        """The client sees the end of its connection."""
        self.close_connection = True
        with suppress(OSError):  # it was faster
            self.connection.shutdown(socket.SHUT_RDWR)

    def wait(self) -> None:
        """Until the client has enough of waiting."""
        with suppress(OSError):
            self.connection.recv(1)
        self.close_connection = True

    def _begin(self, without: Container[str] = ()) -> http.client.HTTPConnection:
        server = urlsplit(self.proxy.behind.endpoint_url)
        assert server.hostname is not None
        line = http.client.HTTPConnection(server.hostname, server.port, timeout=60)
        line.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():  # Host too: the signature is over it
            if name.lower() not in _OF_ONE_LINE and name.lower() not in without:
                line.putheader(name, value)
        return line

    def handle_expect_100(self) -> bool:
        return True  # said when the body is read

    def log_message(self, format: str, *_arguments: Any) -> None:
        pass

    def _exchange(self) -> None:
        self.proxy.fault_of(self.asked, self.headers.get("Range", ""))(self)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _exchange


Fault: TypeAlias = Callable[[Exchange], None]


def none(exchange: Exchange) -> None:
    exchange.answer(exchange.forward())


def refusing(status: int, code: str, *, early: bool = False) -> Fault:
    """An error in place of what the server would say; it is not asked. early: before the body has come."""

    def refuse(exchange: Exchange) -> None:
        if early:
            exchange.close_connection = True
        else:
            exchange.body()
        exchange.answer(_error(status, code))

    return refuse


def failing_with_200(exchange: Exchange) -> None:
    """The server is not asked. S3 begins to answer while it still works, and so may have said 200 before it failed."""
    exchange.body()
    exchange.answer(_error(200, "InternalError"))


def silent(exchange: Exchange) -> None:
    """No answer; the server is not asked."""
    exchange.body()
    exchange.wait()


def silent_afterwards(exchange: Exchange) -> None:
    """No answer, though the server did what it was asked."""
    exchange.forward()
    exchange.wait()


def cut(exchange: Exchange) -> None:
    """The connection ends; the server is not asked."""
    exchange.cut()


def cut_in_request(exchange: Exchange) -> None:
    """The connection ends in the middle of the request's body, for the server as for the client."""
    exchange.break_off(exchange.body(exchange.size // 2))
    exchange.cut()


def lost(exchange: Exchange) -> None:
    """The server did what it was asked, and the connection ends before it says so."""
    exchange.forward()
    exchange.cut()


def cut_in_answer(exchange: Exchange) -> None:
    """The connection ends in the middle of the answer's body, if it has any."""
    answer = exchange.forward()
    exchange.answer(answer, len(answer.body) // 2)
    exchange.cut()


def cut_in_head(exchange: Exchange) -> None:
    """The connection ends when the client has heard how it went, and nothing else. The server did what it was asked."""
    exchange.send_response_only(exchange.forward().status)
    exchange.flush_headers()
    exchange.cut()


def changed_request(exchange: Exchange) -> None:
    """One bit in the middle of the request's body."""
    exchange.answer(exchange.forward(_flipped(exchange.body())))


def changed_answer(exchange: Exchange) -> None:
    """One bit in the middle of the answer's body."""
    answer = exchange.forward()
    exchange.answer(replace(answer, body=_flipped(answer.body)))


def whole_for_range(exchange: Exchange) -> None:
    """All of it, where a range was asked for."""
    exchange.answer(exchange.forward(without=("range",)))


def answering(answer: Answer) -> Fault:
    """What another program says, that is no S3 server; it is not asked."""

    def say(exchange: Exchange) -> None:
        exchange.body()
        exchange.answer(answer)

    return say


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str]
    fault: Fault
    turns: Container[int]
    seen: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Proxy:
    """behind: the server; server: the proxy itself, as one. asked: all that was, in the order in which it came, with
    the range, if one was named. wrong: what the proxy itself failed at.
    """

    behind: Server
    server: Server
    asked: list[str] = field(default_factory=list)
    wrong: list[BaseException] = field(default_factory=list)
    _rules: list[_Rule] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def on(self, pattern: str, fault: Fault, turns: Container[int] = (1,)) -> None:
        """fault is the fate of what matches, at these of its turns: 1 when a thing is asked for the first time from now
        on, 2 when the very same is asked again. A later rule goes before an earlier one.
        """
        with self._lock:
            self._rules.insert(0, _Rule(re.compile(pattern), fault, turns))

    def calm(self) -> None:
        """No faults any more, and nothing was asked."""
        with self._lock:
            self._rules.clear()
            self.asked.clear()

    def count(self, pattern: str) -> int:
        """How many requests there were that match."""
        return sum(re.search(pattern, one) is not None for one in self.asked)

    def fault_of(self, asked: str, span: str) -> Fault:
        with self._lock:
            self.asked.append(f"{asked} {span}".rstrip())
            for rule in self._rules:
                if rule.pattern.search(asked):
                    rule.seen[asked] += 1
                    if rule.seen[asked] in rule.turns:
                        return rule.fault
        return none


class _Listening(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True
    proxy: Proxy

    def handle_error(self, _request: object, _address: object) -> None:
        error = sys.exception()
        if error is not None and not isinstance(error, ConnectionError):  # the client went away
            self.proxy.wrong.append(error)


@contextmanager
def proxied(server: Server) -> Iterator[Proxy]:
    """A proxy before server while it runs. What goes wrong in it, other than by a fault, is raised at the end."""
    handler = type("Handler", (Exchange,), {})
    with _Listening(("127.0.0.1", 0), handler) as listening:
        proxy = Proxy(server, replace(server, endpoint_url=f"http://127.0.0.1:{listening.server_port}"))
        listening.proxy = handler.proxy = proxy  # type: ignore[attr-defined]
        answering = threading.Thread(target=listening.serve_forever, args=(0.01,))
        answering.start()
        try:
            yield proxy
        finally:
            listening.shutdown()
            answering.join()
    for error in proxy.wrong:
        raise error


def _error(status: int, code: str) -> Answer:
    text = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>as told</Message></Error>"
    return Answer(status, {"Content-Type": "application/xml"}, text.encode())


def _flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
