"""Several processes that answer on one socket, by uvicorn; each ends with the first, and one that died is replaced."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, ClassVar, NoReturn, TypeAlias

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ..errors import LantaiError, StoreUnavailable, UsageError
from ..messages import _
from ..storage.linux import end_with_parent
from .limit import network

_BACKLOG = 512
_CONNECTIONS = 100
"""Of one process; one more gets 503."""
_FROM_ONE = _CONNECTIONS // 4
"""Of those, from one client; through a proxy that is trusted come many."""
_LATER = 5
"""Seconds of Retry-After."""
_LINGER = 1.0
"""Seconds in which the request on a connection that got 503 may come. Were it closed before, the client's system
would be told so, and may throw the answer away."""
_IDLE = 5
"""Seconds for which a connection may ask nothing after an answer."""
_HEADERS_WITHIN = 10.0
"""Seconds in which a request's headers must have come."""
_ANSWER_WITHIN = 120.0
"""Seconds from then until the answer must have been read."""
_LONGEST_HEAD = 128 << 10
_ENDING = 10
"""Seconds for which answers that are under way hold up the end."""
_SOON, _GIVE_UP = 5.0, 5
"""A process that lived for so many seconds began well; after so many in a row that did not, there is no use."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

Application: TypeAlias = Starlette
Opened: TypeAlias = Callable[[], AbstractContextManager[Application]]
"""Opens in the process that asks, since a connection to a database does not survive a fork."""


class _Patient(HttpToolsProtocol):
    """A connection of uvicorn that waits, but not for ever: uvicorn itself ends only those that are idle after an
    answer, so that whoever sends or reads a byte a minute would hold one for good; and it reads headers of any length.

    proxies, admitted: those of one server; admitted: how many connections there are, by the network of their client.
    """

    proxies: ClassVar[Sequence[IPv4Network | IPv6Network]]
    admitted: ClassVar[Counter[bytes]]
    _client: bytes | None = None
    """None: it is refused."""
    _until: asyncio.TimerHandle | None = None
    _head = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        address = self.client[0] if self.client else ""
        client = network(address)
        is_one = self.admitted[client] >= _FROM_ONE and not self._is_proxy(address)
        if is_one or self.admitted.total() >= _CONNECTIONS:
            self._refuse()
            return
        self._client = client
        self.admitted[client] += 1
        self._within(_HEADERS_WITHIN)

    def data_received(self, data: bytes) -> None:
        if self._client is None:
            self.transport.close()
            return
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._within(_ANSWER_WITHIN)
            self._head = 0
        elif self.cycle is None or self.cycle.response_complete:
            self._head += len(data)
            if self._head > _LONGEST_HEAD and not self.transport.is_closing():
                self.send_400_response("The request's head is too long.")

    def on_response_complete(self) -> None:
        is_followed = bool(self.pipeline)  # one request was sent behind the other
        super().on_response_complete()
        if is_followed:
            self._within(_ANSWER_WITHIN)
        elif not self.transport.get_write_buffer_size():
            self._within(_HEADERS_WITHIN)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._until is not None:
            self._until.cancel()
        if self._client is not None:
            self.admitted[self._client] -= 1
            if not self.admitted[self._client]:
                del self.admitted[self._client]

    def _refuse(self) -> None:
        """Without reading a request. What such connections hold while they linger is bounded as well."""
        why = b"There are too many connections.\n"
        self.transport.write(
            b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: %d\r\nContent-Type: text/plain; charset=utf-8\r\n"
            b"Content-Length: %d\r\nConnection: close\r\n\r\n%b" % (_LATER, len(why), why)
        )
        if len(self.connections) > 2 * _CONNECTIONS:
            self.transport.close()
            return
        self.transport.write_eof()
        self._within(_LINGER)

    def _is_proxy(self, address: str) -> bool:
        try:
            found = ip_address(address)
        except ValueError:
            return False
        if isinstance(found, IPv6Address):
            found = found.ipv4_mapped or found
        return any(found in one for one in self.proxies)

    def _within(self, seconds: float) -> None:
        if self._until is not None:
            self._until.cancel()
        self._until = self.loop.call_later(seconds, self.transport.abort)


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections; port 0: any that is free. UsageError."""
    try:
        family, kind, protocol, _name, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(_BACKLOG)
        except BaseException:
            listening.close()
            raise
    except OSError as error:  # socket.gaierror among them
        raise UsageError(
            _("nothing can be served there ({reason})").format(reason=error.strerror),
            subject=f"{host}:{port}",
            remedy=_("Name an address of this machine with --host, and with --port one that no other program uses."),
        ) from error
    return listening


def config(app: Any, *, proxies: Sequence[str] = ()) -> uvicorn.Config:
    """proxies: addresses and networks whose X-Forwarded-For is believed."""

    trusted = [ip_network(one, strict=False) for one in proxies]

    class Patient(_Patient):
        proxies = trusted
        admitted: ClassVar[Counter[bytes]] = Counter()

    return uvicorn.Config(
        app, loop="asyncio", http=Patient, ws="none", lifespan="off", log_config=None, log_level="error",
        access_log=False, server_header=False, proxy_headers=bool(proxies), forwarded_allow_ips=list(proxies),
        backlog=_BACKLOG, timeout_keep_alive=_IDLE, timeout_graceful_shutdown=_ENDING,
        workers=1,
    )  # fmt: skip


def run(
    listening: Sequence[socket.socket], opened: Opened, *, workers: int, proxies: Sequence[str],
    replaced: Callable[[int], None],
) -> NoReturn:  # fmt: skip
    """Until KeyboardInterrupt: SIGINT, and what else is made one. replaced: hears of each process that died.

    StoreUnavailable: they die as soon as they begin.
    """
    children: dict[int, float] = {}
    in_vain = 0
    try:
        while True:
            while len(children) < workers:
                _fork(children, lambda: _answer(listening, opened, proxies))
            child, _status = os.wait()
            if child not in children:
                continue
            in_vain = 0 if time.monotonic() - children.pop(child) > _SOON else in_vain + 1
            if in_vain >= _GIVE_UP:
                host, port = listening[0].getsockname()[:2]
                raise StoreUnavailable(
                    _("the processes that answer end as soon as they begin"),
                    subject=f"{host}:{port}",
                    remedy=_("What was said above tells why; correct it and begin again."),
                )
            replaced(child)
            time.sleep(in_vain / 2)
    finally:
        _end(children)


def _fork(children: dict[int, float], work: Callable[[], None]) -> None:
    """A child that does work and ends. No signal comes between its beginning and its being known here."""
    parent = os.getpid()
    sys.stdout.flush()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        if child := os.fork():
            children[child] = time.monotonic()
            return
        # Here is the child, which never leaves this branch. uvicorn handles signals while it runs, and raises those
        # that ended it once more.
        code = 1
        try:
            end_with_parent(parent)
            for one in _SIGNALS:
                signal.signal(one, lambda _signal, _frame: os._exit(0))
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            work()
            code = 0
        except LantaiError as error:
            logging.getLogger(__name__).error("%s", error)
        except BaseException:
            logging.getLogger(__name__).exception("A process that answers failed.")
        finally:
            os._exit(code)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _answer(listening: Sequence[socket.socket], opened: Opened, proxies: Sequence[str]) -> None:
    logging.basicConfig(level=logging.ERROR, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    with opened() as app:
        uvicorn.Server(config(app, proxies=proxies)).run(list(listening))


def _end(children: dict[int, float]) -> None:
    """Ask them to end, and wait; who asks again, or has waited for long, ends them at once."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        with suppress(KeyboardInterrupt):
            for child in children:
                os.kill(child, how)  # one that ended is still there to be waited for
            until = time.monotonic() + _ENDING + 5
            while children and time.monotonic() < until:
                ended, _status = os.waitpid(-1, os.WNOHANG)
                if ended:
                    children.pop(ended, None)
                else:
                    time.sleep(0.02)
        if not children:
            return
