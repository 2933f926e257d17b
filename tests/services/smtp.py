"""A mail server on this machine, for as long as a test needs it: aiosmtpd, which keeps what it takes."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import SMTP as LINES
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword


@dataclass
class Post:
    """refused: recipients that the server does not take; is_down: it answers everything with an error."""

    port: int = 0
    refused: set[str] = field(default_factory=set)
    is_down: bool = False
    taken: list[tuple[str, EmailMessage]] = field(default_factory=list)
    logins: list[tuple[bytes, bytes]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Envelope, address: str, _options: Any) -> str:
        if self.is_down:
            return "451 4.3.0 the disk is full"
        if address in self.refused:
            return "550 5.1.1 no such person"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.raw.append(envelope.content)
        mail: Any = BytesParser(_class=EmailMessage, policy=LINES).parsebytes(envelope.content)
        self.taken += [(to, mail) for to in envelope.rcpt_tos]
        return "250 OK"

    def read(self) -> list[str]:
        """The subjects of what came since it was asked last."""
        found = [str(mail["Subject"]) for _to, mail in self.taken]
        self.taken.clear()
        return found


class _Controller(Controller):
    """On whatever port is free."""

    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
        super()._trigger_server()  # type: ignore[no-untyped-call]


@contextmanager
def post(tls: ssl.SSLContext | None = None) -> Iterator[Post]:
    """tls: STARTTLS, and a password, are then required."""
    kept = Post()

    def login(_server: Any, _session: Any, _envelope: Any, _mechanism: Any, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        kept.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"geheim", handled=False)

    more: dict[str, Any] = {"tls_context": tls, "require_starttls": True, "auth_required": True} if tls else {}
    server = _Controller(kept, hostname="127.0.0.1", port=0, authenticator=login, **more)
    server.start()
    try:
        kept.port = server.port
        yield kept
    finally:
        server.stop()
