"""Another archive's server that does as a test says, kindly or not."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import groupby
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit
from xml.sax.saxutils import escape

from lantai.oai.receipt import Root, digest, leaf

NOW = "2026-05-01T00:00:00Z"
_OPEN = '<?xml version="1.0" encoding="UTF-8"?>\n<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/">'
_DC = (
    '<oai_dc:dc xmlns:oai_dc="http://www.openarchives.org/OAI/2.0/oai_dc/" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{}</dc:title><dc:description>{}</dc:description></oai_dc:dc>'
)


class Item(NamedTuple):
    """title "": it is deleted."""

    number: int
    title: str
    stamp: str = "2026-03-01T00:00:00Z"
    identifier: str = ""

    @property
    def id(self) -> str:
        return self.identifier or f"oai:county.example.org:{self.number}"

    @property
    def metadata(self) -> str:
        return _DC.format(escape(self.title), f"说明 {self.number}") if self.title else ""

    def xml(self) -> str:
        status = "" if self.title else ' status="deleted"'
        metadata = f"<metadata>{self.metadata}</metadata>" if self.title else ""
        return (
            f"<record><header{status}><identifier>{escape(self.id)}</identifier><datestamp>{self.stamp}</datestamp>"
            f"<setSpec>type:image</setSpec></header>{metadata}</record>"
        )


@dataclass(slots=True)
class Reply:
    """body: in pieces, which may take their time."""

    body: bytes | Iterable[bytes]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None


Answer = Callable[[Mapping[str, str]], Reply | bytes | str | None]
"""Of the arguments of a request, and what it asks for as path; None: as a kind server answers."""


@dataclass(slots=True)
class County:
    """A kind server. asked: the arguments of each request so far; odd: answers instead of it."""

    items: Sequence[Item] = ()
    page: int = 2
    odd: Answer = lambda _arguments: None
    receipt: Callable[[], bytes] | None = None
    asked: list[Mapping[str, str]] = field(default_factory=list)
    hidden: set[int] = field(default_factory=set)
    agents: set[str] = field(default_factory=set)

    def answer(self, path: str, arguments: Mapping[str, str]) -> Reply:
        self.asked.append({**arguments, "path": path})
        odd = self.odd({**arguments, "path": path})
        if odd is not None:
            return odd if isinstance(odd, Reply) else Reply(odd.encode() if isinstance(odd, str) else odd)
        if path.endswith("/receipt"):
            return Reply(self.receipt()) if self.receipt else Reply(b"nothing", 404)
        if arguments.get("verb") == "Identify":
            return Reply(identify().encode())
        return Reply(self._list(arguments).encode())

    def _list(self, arguments: Mapping[str, str]) -> str:
        first, _bar, at = arguments.get("resumptionToken", "").partition("|")
        since = first if at else arguments.get("from", "")
        until = arguments.get("until", "9")
        every = [
            one for one in self.items
            if one.number not in self.hidden and one.stamp >= since and one.stamp[: len(until)] <= until
        ]  # fmt: skip
        if not every:
            return errors("noRecordsMatch")
        begin = int(at or 0)
        end = begin + self.page
        token = f"{since}|{end}" if end < len(every) else ""
        return listed([one.xml() for one in every[begin:end]], token)


def identify(deleted: str = "persistent", granularity: str = "YYYY-MM-DDThh:mm:ssZ", version: str = "2.0") -> str:
    return (
        f"{_OPEN}<responseDate>{NOW}</responseDate><request>x</request><Identify><repositoryName>云岭县</repositoryName>"
        f"<baseURL>http://x/oai</baseURL><protocolVersion>{version}</protocolVersion><adminEmail>a@b.cn</adminEmail>"
        f"<earliestDatestamp>2020-01-01T00:00:00Z</earliestDatestamp><deletedRecord>{deleted}</deletedRecord>"
        f"<granularity>{granularity}</granularity></Identify></OAI-PMH>"
    )


def listed(records: Iterable[str], token: str = "", at: str = NOW) -> str:
    return (
        f"{_OPEN}<responseDate>{at}</responseDate><request>x</request><ListRecords>{''.join(records)}"
        f"<resumptionToken>{token}</resumptionToken></ListRecords></OAI-PMH>"
    )


def errors(code: str) -> str:
    return f'{_OPEN}<responseDate>{NOW}</responseDate><request>x</request><error code="{code}">no</error></OAI-PMH>'


def receipt(items: Iterable[Item], **more: Any) -> bytes:
    """What the server says of its items."""
    days = []
    for day, some in groupby(sorted(items, key=lambda one: (one.stamp, one.id)), lambda one: one.stamp[:10]):
        root = Root()
        for one in some:
            metadata = digest(one.metadata) if one.title else ""
            root.add(leaf(one.id, one.stamp, live=bool(one.title), metadata=metadata))
        days.append({"day": day, "count": root.count, "root": root.value().hex()})
    told = {
        "receipt": 1, "responseDate": NOW, "metadataPrefix": "oai_dc", "set": None, "from": None, "until": None,
        "completeListSize": sum(one["count"] for one in days), "days": days, **more,
    }  # fmt: skip
    return json.dumps(told).encode()


def slowly(data: bytes, seconds: float) -> Iterator[bytes]:
    """A byte at a time."""
    for one in data:
        time.sleep(seconds)
        yield bytes([one])


@contextmanager
def answering(county: County, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Its address. tls: with what it proves who it is, over TLS."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            where = urlsplit(self.path)
            county.agents.add(self.headers["User-Agent"])
            reply = county.answer(where.path, dict(parse_qsl(where.query, keep_blank_values=True)))
            with suppress(OSError):
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                if reply.length is not None:
                    self.send_header("Content-Length", str(reply.length))
                self.end_headers()
                for piece in (reply.body,) if isinstance(reply.body, bytes) else reply.body:
                    self.wfile.write(piece)
                    self.wfile.flush()

        def log_message(self, *_arguments: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls:
        # A handshake that fails ends in the thread of its connection, where nobody need hear of it.
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.handle_error = lambda *_arguments: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://{'localhost' if tls else '127.0.0.1'}:{server.server_port}/oai"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
