"""Answers of another archive's server, fetched as if it were hostile: one at a time, each bounded in size and time, and
all together; from that server alone.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import SplitResult, urlencode, urljoin, urlsplit

from ..errors import Damaged, LantaiError, NotFound, StoreUnavailable, UsageError
from ..messages import _

_PORTS = {"http": 80, "https": 443}
_REDIRECTS = 3
_CHUNK = 64 << 10
_BUSY = (429, 503)
_WAITS = (5, 15, 60, 120)
"""Seconds before a busy server is asked again that does not say when."""


@dataclass(frozen=True, slots=True)
class Limits:
    """octets, seconds: of one answer, expanded, from the first connection to its last byte; all_octets, all_seconds: of
    a harvest, waiting included; wait: the longest Retry-After that is waited for; busy: so often in a row.
    """

    octets: int = 64 << 20
    seconds: float = 120
    all_octets: int = 100 << 30
    all_seconds: float = 24 * 3600
    wait: float = 600
    busy: int = 8


def address(url: str) -> str:
    """The address of a server as a person gives it. UsageError: none that may be asked."""
    try:
        where = urlsplit(url.strip())
        port = where.port
    except ValueError:
        where, port = urlsplit(""), None
    if where.scheme not in _PORTS or not where.hostname or where.username or where.query or where.fragment or port == 0:
        raise UsageError(
            _("this is not the address of a server that can be harvested"), subject=url,
            remedy=_("Write it as https://archive.example.org/oai, without a question mark and what follows it."),
        )  # fmt: skip
    return where.geturl()


class Fetcher:
    """Of one harvest of the server at url. agent: what we tell of ourselves; sleep: waits so many seconds."""

    def __init__(
        self, url: str, *, agent: str, limits: Limits, sleep: Callable[[float], object] = time.sleep
    ) -> None:  # fmt: skip
        self.url, self._agent, self._limits, self._sleep = address(url), agent, limits, sleep
        self._until = time.monotonic() + limits.all_seconds
        self._left = limits.all_octets

    def get(self, arguments: Mapping[str, str], below: str = "") -> bytes:
        """The body of an answer to a GET. below: added to the path.

        NotFound: 404 or 410; StoreUnavailable: may succeed later; Damaged: what came is not to be taken.
        """
        url = f"{self.url.rstrip('/') if below else self.url}{below}?{urlencode(arguments)}"
        waits = iter(_WAITS + (_WAITS[-1],) * self._limits.busy)
        for _attempt in range(self._limits.busy + 1):
            for _redirect in range(_REDIRECTS + 1):
                found, seconds = self._once(url)
                if not isinstance(found, str):
                    break
                url = found
            else:
                raise refused(url, _("the server sends from one address to the next"))
            if isinstance(found, bytes):
                return found
            self._wait(url, next(waits) if seconds is None else seconds)
        raise _later(url, _("the server stays busy"))

    def _wait(self, url: str, seconds: float) -> None:
        if seconds > self._limits.wait or time.monotonic() + seconds > self._until:
            raise _later(url, _("the server asks to be left alone for {seconds} seconds").format(seconds=int(seconds)))
        self._sleep(seconds)

    def _once(self, url: str) -> tuple[bytes | str | None, float | None]:
        """The body, the address to go to, or None and the seconds to wait, if the server says how long."""
        seconds = min(self._limits.seconds, self._until - time.monotonic())
        if seconds <= 0 or self._left <= 0:
            raise StoreUnavailable(
                _("the harvest has taken all the time or room that it may"), subject=url,
                remedy=_("Run it again: it goes on where it stopped. [harvest] hours and size say how much it may."),
            )  # fmt: skip
        where = urlsplit(url)
        late = threading.Event()
        try:
            with socket.create_connection((where.hostname or "", _port(where)), timeout=seconds) as line:
                # Whatever the line is doing then, ours as well as the system's reading, ends at once.
                guard = line.dup()
                ending = threading.Timer(seconds, _end, (guard, late))
                ending.daemon = True
                ending.start()
                try:
                    answer = self._answer(where, line)
                    if late.is_set():  # an answer without a length may seem whole then
                        raise self._slow(url)
                    return answer
                finally:
                    ending.cancel()
                    guard.close()
        except LantaiError:
            if late.is_set():
                raise self._slow(url) from None
            raise
        except ssl.SSLCertVerificationError as error:
            raise StoreUnavailable(
                _("the server cannot prove that it is the one at this address ({reason})").format(
                    reason=error.verify_message
                ),
                subject=url,
                remedy=_("Nothing was asked of it. Ask those who run it; if an authority of your own signed it, name "
                         "the file with that one's certificate as SSL_CERT_FILE in the environment."),
            ) from error  # fmt: skip
        except (OSError, HTTPException, ValueError) as error:
            if late.is_set() or isinstance(error, TimeoutError):
                raise self._slow(url) from error
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise StoreUnavailable(
                _("the server cannot be reached, or broke off ({reason})").format(reason=reason), subject=url,
                remedy=_("See that the address is right, and run it again later: it goes on where it stopped."),
            ) from error  # fmt: skip

    def _answer(self, where: SplitResult, line: socket.socket) -> tuple[bytes | str | None, float | None]:
        host = where.hostname or ""
        if where.scheme == "https":
            line = ssl.create_default_context().wrap_socket(line, server_hostname=host)
            connection: HTTPConnection = HTTPSConnection(host, _port(where))
        else:
            connection = HTTPConnection(host, _port(where))
        connection.sock = line
        target = f"{where.path or '/'}{f'?{where.query}' if where.query else ''}"
        # Accept: else some servers answer with a page for browsers.
        connection.request(
            "GET", target, headers={
                "User-Agent": self._agent, "Accept": "text/xml, application/xml, application/json;q=0.9",
                "Accept-Encoding": "gzip", "Connection": "close",
            },
        )  # fmt: skip
        with closing(connection), connection.getresponse() as response:
            url = where.geturl()
            if response.status in _BUSY:
                return None, _seconds(response.headers.get("Retry-After"))
            if response.status in (301, 302, 303, 307, 308):
                return self._elsewhere(url, response.headers.get("Location") or ""), None
            if response.status in (404, 410):
                raise NotFound(
                    _("the server has nothing at this address"), subject=url, remedy=_("See that the address is right.")
                )
            if response.status != 200:
                raise _later(url, _("the server answers {status}").format(status=response.status))
            return self._body(url, response), None

    def _elsewhere(self, url: str, location: str) -> str:
        """Where a redirect leads: to the same server only, or to the same with TLS."""
        try:
            old, new = urlsplit(url), urlsplit(urljoin(url, location))
            same = (new.scheme, new.hostname, _port(new)) == (old.scheme, old.hostname, _port(old))
            safer = (old.scheme, new.scheme) == ("http", "https") and new.hostname == old.hostname
            if location and (same or safer) and new.username is None:
                return new._replace(fragment="").geturl()
        except (ValueError, KeyError):
            pass
        raise refused(url, _("the server sends to another one ({location})").format(location=location))

    def _body(self, url: str, response: HTTPResponse) -> bytes:
        coding = (response.headers.get("Content-Encoding") or "identity").strip().lower()
        if coding not in ("identity", "gzip", "x-gzip"):
            raise refused(url, _("the answer is encoded in a way that was not asked for"))
        unpack = zlib.decompressobj(16 + zlib.MAX_WBITS) if coding != "identity" else None
        most = min(self._limits.octets, self._left)
        received, body = 0, bytearray()
        while chunk := response.read1(_CHUNK):
            received += len(chunk)
            while chunk:
                try:
                    body += unpack.decompress(chunk, most + 1 - len(body)) if unpack else chunk
                except zlib.error as error:
                    raise refused(url, _("the compressed answer is damaged")) from error
                if max(received, len(body)) > most:
                    raise refused(
                        url, _("the answer is larger than {octets} bytes").format(octets=most),
                        _("Nothing of it was taken. If such answers are to be expected, raise [harvest] answer_size."),
                    )  # fmt: skip
                chunk = unpack.unconsumed_tail if unpack else b""
        expected = response.headers.get("Content-Length")
        cut = expected is not None and expected.isdigit() and received < int(expected)
        if cut or (unpack and not unpack.eof):
            raise _later(url, _("the answer broke off after {octets} bytes").format(octets=received))
        self._left -= max(received, len(body))
        return bytes(body)

    def _slow(self, url: str) -> StoreUnavailable:
        seconds = round(self._limits.seconds)
        return _later(url, _("the answer was not there after {seconds} seconds").format(seconds=seconds))


def refused(url: str, what: str, remedy: str = "") -> Damaged:
    """Of an answer that is not to be taken."""
    untold = _("Nothing of this answer was taken. Tell those who run that server what it sent.")
    return Damaged(what, subject=url, remedy=remedy or untold)


def _later(url: str, what: str) -> StoreUnavailable:
    return StoreUnavailable(what, subject=url, remedy=_("Run it again later: it goes on where it stopped."))


def _port(where: SplitResult) -> int:
    return where.port or _PORTS[where.scheme]


def _end(guard: socket.socket, late: threading.Event) -> None:
    late.set()
    with suppress(OSError):  # it ended by itself
        guard.shutdown(socket.SHUT_RDWR)


def _seconds(header: str | None) -> float | None:
    """Of a Retry-After (RFC 9110 10.2.3)."""
    try:
        if header is None or header.strip().isdigit():
            return min(float(header), 1e9) if header else None
        at = parsedate_to_datetime(header)
        return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds())
    except ValueError:
        return None
