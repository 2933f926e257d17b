"""The provider over HTTP: a thin skin of what protocol answers. Requests are bounded here in size, time and number; no
answer tells why something failed.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import ceil
from typing import TypeAlias
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ..errors import StoreUnavailable
from ..messages import LANGUAGES
from . import NotYet, Records, Repository, files
from .files import BadList, NoList
from .formats import FORMATS, Format
from .limit import Limit
from .page import POLICY, page
from .protocol import respond
from .receipt import BadReceipt, attested

PATH, METRICS = "/oai", "/metrics"
_LONGEST = 32 << 10
"""Bytes of a query or a body; a resumption token is some hundred."""
_BODY_WITHIN = 10.0
"""Seconds in which a body must have come."""
_THREADS = 4
"""Answers made at once in one process, each with a connection to the catalogue."""
_WAITING = 64
"""Requests that wait for a thread at most; more are told to come later."""
_LATER, _AWAY = 5, 60
"""Seconds of Retry-After: where there is too much to do, and where the catalogue is away."""
_PATIENCE, _AGAIN = 4.5, 0.25
"""Seconds for which an answer waits for the rest of a list that will be shown soon, and after which it looks again."""
_WORTH = 1000
"""Bytes below which compressing saves no packet."""
_LEVEL = 5
_FORM = "application/x-www-form-urlencoded"

Answer: TypeAlias = Callable[[Sequence[tuple[str, str]]], bytes]

_log = logging.getLogger(__name__)


def utc_now() -> datetime:
    """Whole seconds, as all datestamps."""
    return datetime.now(UTC).replace(microsecond=0)


def application(
    records: Records, repository: Repository, *, key: bytes, page_size: int, token_ttl: int, limit: Limit,
    now: Callable[[], datetime] = utc_now, formats: Mapping[str, Format] = FORMATS,
    figures: tuple[int, Callable[[], bytes]] | None = None,
) -> Starlette:  # fmt: skip
    """PATH, and nothing else; but at the port of figures, if there are any, these as METRICS, which are not for the
    public. records is asked by several threads at once.
    """

    def answer(arguments: Sequence[tuple[str, str]]) -> bytes:
        return respond(
            arguments, records, repository=repository, now=now(), key=key, page_size=page_size, token_ttl=token_ttl,
            formats=formats,
        )  # fmt: skip

    def attest(arguments: Sequence[tuple[str, str]]) -> bytes:
        return attested(arguments, records, at=records.now(now()), formats=formats)

    def enumerate_files(arguments: Sequence[tuple[str, str]]) -> bytes:
        return files.listed(arguments, records, repository=repository, at=records.now(now()))

    pages = {language: page(repository, language).encode() for language in LANGUAGES}
    provider = _Provider(answer, attest, enumerate_files, limit, pages)
    routes = [
        Route(PATH, provider.request, methods=["GET", "POST"]),
        Route(f"{PATH}/files", provider.files, methods=["GET"]),
        Route(f"{PATH}/receipt", provider.receipt, methods=["GET"]),
    ]
    if figures:
        port, told = figures

        async def metrics(request: Request) -> Response:
            if request.scope["server"][1] != port:
                return _plain("Not Found", 404)
            body = await asyncio.get_running_loop().run_in_executor(provider.attesting, told)
            return Response(body, media_type="text/plain; version=0.0.4; charset=utf-8")

        routes.append(Route(METRICS, metrics, methods=["GET"]))
    app = Starlette(routes=routes)
    # A redirect would be made of the Host that the request names.
    app.router.redirect_slashes = False
    return app


def arguments_of(encoded: bytes) -> list[tuple[str, str]]:
    """Of a query or a form, in order, with what is repeated or empty. What is no UTF-8 is U+FFFD."""
    return parse_qsl(encoded.decode("utf-8", "replace"), keep_blank_values=True, encoding="utf-8", errors="replace")


def accepted(header: str) -> dict[str, float]:
    """What an Accept header names, in small letters, with its weight above 0 (RFC 9110 12.4.2)."""
    found: dict[str, float] = {}
    for part in header.lower().split(","):
        name, *parameters = (word.strip() for word in part.split(";"))
        weight = next((word[2:] for word in parameters if word.startswith("q=")), "1")
        try:
            value = float(weight)
        except ValueError:
            continue
        if name and value > 0:
            found[name] = value
    return found


def language_of(header: str) -> str:
    """The one of LANGUAGES that Accept-Language likes best."""
    best, chosen = 0.0, LANGUAGES[0]
    for tag, weight in accepted(header).items():
        if weight > best and (primary := tag.split("-")[0]) in LANGUAGES:
            best, chosen = weight, primary
    return chosen


class _Refused(Exception):
    """A request that is answered without being read further."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why


@dataclass(slots=True)
class _Provider:
    """answer, attest, enumerate_files: wait for the catalogue; pages: for browsers, by language."""

    answer: Answer
    attest: Answer
    enumerate_files: Answer
    limit: Limit
    pages: dict[str, bytes]
    waiting: int = 0
    threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_THREADS, "oai"))
    # A receipt may take seconds: one after the other, so that lists go on beside them.
    attesting: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "receipt"))

    async def request(self, request: Request) -> Response:
        return await self._answered(request, self.answer, self.threads, "text/xml; charset=utf-8")

    async def receipt(self, request: Request) -> Response:
        return await self._answered(request, self.attest, self.attesting, "application/json")

    async def files(self, request: Request) -> Response:
        return await self._answered(request, self.enumerate_files, self.threads, files.MEDIA_TYPE)

    async def _answered(
        self, request: Request, answer: Answer, threads: ThreadPoolExecutor, media_type: str
    ) -> Response:  # fmt: skip
        client = request.client.host if request.client else ""
        if wait := self.limit.wait(client, time.monotonic()):
            return _later("Too many requests from your address.", ceil(wait))
        try:
            if request.scope["http_version"] == "1.1" and "Host" not in request.headers:
                raise _Refused(400, "The request names no host.")  # RFC 9112 section 3.2
            arguments = arguments_of(await _encoded(request))
        except _Refused as refused:
            # What is left of the request is not waited for.
            return _plain(refused.why, refused.status, Connection="close")
        accepts = accepted(request.headers.get("Accept", ""))
        if answer is self.answer and not arguments and request.method != "POST" and "text/html" in accepts:
            return self._page(request)
        packed = "gzip" in accepted(request.headers.get("Accept-Encoding", ""))
        if self.waiting >= _WAITING:
            return _later("The server is busy.", _LATER)
        self.waiting += 1
        try:
            body, is_packed = await self._made(answer, arguments, threads, packed)
        except (BadReceipt, BadList) as error:
            return _plain(str(error), 400)
        except NoList as error:
            return _plain(str(error), 404)
        except NotYet:
            return _later("The answer is not ready yet.", 1)
        except StoreUnavailable:
            _log.exception("The catalogue is away.")
            return _later("The archive's catalogue cannot be reached.", _AWAY)
        except Exception:
            _log.exception("A request failed.")
            return _plain("The server failed.", 500)
        finally:
            self.waiting -= 1
        headers = {"Vary": "Accept, Accept-Encoding", "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
        if is_packed:
            headers["Content-Encoding"] = "gzip"
        return Response(body, headers=headers, media_type=media_type)

    async def _made(
        self, answer: Answer, arguments: Sequence[tuple[str, str]], threads: ThreadPoolExecutor, packed: bool
    ) -> tuple[bytes, bool]:  # fmt: skip
        """See _body. NotYet: of a list, which is waited for without holding a thread, after a while; of a receipt at
        once.
        """
        until = time.monotonic() + (_PATIENCE if answer is self.answer else 0)
        while True:
            try:
                return await asyncio.get_running_loop().run_in_executor(threads, _body, answer, arguments, packed)
            except NotYet:
                if time.monotonic() >= until:
                    raise
            await asyncio.sleep(_AGAIN)

    def _page(self, request: Request) -> Response:
        language = language_of(request.headers.get("Accept-Language", ""))
        headers = {
            "Content-Language": language, "Vary": "Accept, Accept-Language", "Content-Security-Policy": POLICY,
            "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
        }  # fmt: skip
        return Response(self.pages[language], headers=headers, media_type="text/html; charset=utf-8")


def _body(answer: Answer, arguments: Sequence[tuple[str, str]], packed: bool) -> tuple[bytes, bool]:
    """In a thread: the answer, and whether it is compressed."""
    body = answer(arguments)
    packed = packed and len(body) >= _WORTH
    return (gzip.compress(body, _LEVEL, mtime=0) if packed else body), packed


async def _encoded(request: Request) -> bytes:
    """The arguments as they came, those of a query before those of a form."""
    query: bytes = request.scope["query_string"]
    if len(query) > _LONGEST:
        raise _Refused(414, "The arguments are too long.")
    if request.method != "POST":
        return query
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != _FORM:
        raise _Refused(415, f"A POST to this address is {_FORM}.")
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_WITHIN):
            async for chunk in request.stream():
                body += chunk
                if len(body) > _LONGEST:
                    raise _Refused(413, "The arguments are too long.")
    except TimeoutError:
        raise _Refused(408, "The request did not come in time.") from None
    except ClientDisconnect:
        raise _Refused(400, "The request did not come.") from None
    return query + b"&" + body if query else bytes(body)


def _later(why: str, seconds: int) -> Response:
    return _plain(why, 503, **{"Retry-After": str(seconds)})


def _plain(why: str, status: int, **headers: str) -> Response:
    return PlainTextResponse(f"{why}\n", status, {**headers, "Cache-Control": "no-store"})
