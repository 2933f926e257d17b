"""The ways a message goes: mail to one recipient, or a webhook. What is secret is in no message, error or repr."""

from __future__ import annotations

import json
import os
import smtplib
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Literal
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from ..errors import StoreUnavailable, UsageError
from ..messages import _
from ..settings import TellSettings, is_private
from .message import Message

Security = Literal["starttls", "tls", "none"]
Secret = Callable[[], str | None]
"""Read when it is needed, and kept nowhere. None: there is none."""

_SMTP_PASSWORD, _WEBHOOK_TOKEN = "LANTAI_SMTP_PASSWORD", "LANTAI_WEBHOOK_TOKEN"
_PATIENCE = 30.0
"""Seconds; an audit is done by then, and tells in vain rather than never to end."""


@dataclass(frozen=True, slots=True)
class Mail:
    """To one recipient: each hears of what is new to them, whether or not another could be reached."""

    to: str
    sender: str
    server: str
    """host:port"""
    security: Security
    user: str | None
    password: Secret = field(repr=False)

    @property
    def name(self) -> str:
        return f"mail {self.to}"

    def send(self, message: Message, *, at: datetime) -> None:
        mail = as_mail(message, sender=self.sender, to=self.to, at=at)
        password = self.password() or ""
        host, port = _host_and_port(self.server)
        try:
            context = None if self.security == "none" else ssl.create_default_context()
            if self.security == "tls":
                server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=_PATIENCE, context=context)
            else:
                server = smtplib.SMTP(host, port, timeout=_PATIENCE)
            with server:
                if self.security == "starttls":
                    server.starttls(context=context)
                if self.user:
                    server.login(self.user, password)
                server.send_message(mail)
        except smtplib.SMTPResponseException as error:
            said = error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else ""
            raise _unsent(self.name, f"{error.smtp_code} {said}") from None
        except smtplib.SMTPRecipientsRefused as error:
            raise _unsent(self.name, str(next(iter(error.recipients.values()))[0])) from None
        except smtplib.SMTPException as error:
            raise _unsent(self.name, str(error)) from None
        except (OSError, ValueError) as error:  # what is no word of the system's may hold the password
            raise _unsent(self.name, getattr(error, "strerror", None) or type(error).__name__) from None


@dataclass(frozen=True, slots=True)
class Webhook:
    """POST of one JSON object. The address may be a secret itself, as those of chat services are: only its host is
    ever told.
    """

    url: str = field(repr=False)
    token: Secret = field(repr=False)
    """Sent as Authorization: Bearer."""

    @property
    def name(self) -> str:
        return f"webhook {urlsplit(self.url).hostname}"

    def send(self, message: Message, *, at: datetime) -> None:
        token = self.token()
        body = {"subject": message.subject, "text": message.text, "at": at.isoformat(), **message.facts}
        request = Request(
            self.url, json.dumps(body, ensure_ascii=False).encode("utf-8", "backslashreplace"),
            {
                "Content-Type": "application/json; charset=utf-8", "User-Agent": "lantai",
                **({"Authorization": f"Bearer {token}"} if token else {}),
            },
        )  # fmt: skip
        try:
            with build_opener(_Stay).open(request, timeout=_PATIENCE):
                pass
        except HTTPError as error:
            error.close()
            raise _unsent(self.name, f"HTTP {error.code}") from None
        except URLError as error:
            raise _unsent(self.name, str(getattr(error.reason, "strerror", None) or error.reason)) from None
        except (OSError, HTTPException, ValueError) as error:  # as above, of the token
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise _unsent(self.name, reason) from None


class _Stay(HTTPRedirectHandler):
    """Who redirects would get the token, and nobody the message."""

    def redirect_request(self, *_of_it: object) -> None:
        return None


def as_mail(message: Message, *, sender: str, to: str, at: datetime) -> EmailMessage:
    """RFC 5322; base64, which the oldest servers let through."""
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = message.subject, sender, to
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = make_msgid("lantai", sender.rpartition("@")[2])
    # RFC 3834 5: so that nobody's absence is answered to it.
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.text, charset="utf-8", cte="base64")
    return mail


def _host_and_port(server: str) -> tuple[str, int]:
    host, _colon, port = server.rpartition(":")
    return host.strip("[]"), int(port)


def _unsent(name: str, reason: str) -> StoreUnavailable:
    return StoreUnavailable(
        _("could not be told ({reason})").format(reason=reason), subject=name,
        remedy=_("It is tried again after the next run; lantai check-telling tries it now."),
    )  # fmt: skip


def ways(settings: TellSettings, home: Path) -> Iterator[Mail | Webhook]:
    """What [tell] names."""
    password = partial(_secret, _SMTP_PASSWORD, home, settings.smtp_password_file)
    for to in settings.mail_to:
        assert settings.mail_from
        assert settings.smtp
        yield Mail(to, settings.mail_from, settings.smtp, settings.smtp_security, settings.smtp_user, password)
    if settings.webhook:
        # The file's token is refused with the settings; one of the environment is not sent in the open either.
        token = partial(_secret, _WEBHOOK_TOKEN, home, settings.webhook_token_file)
        yield Webhook(settings.webhook, token if is_private(settings.webhook) else lambda: None)


def _secret(variable: str, home: Path, file: str | None) -> str | None:
    """From the environment, else from the file named, relative to the home. UsageError: it cannot be read."""
    if variable in os.environ or not file:
        return os.environ.get(variable)
    try:
        return (home / file).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            _("this secret cannot be read ({reason})").format(
                reason=error.strerror if isinstance(error, OSError) else "UTF-8"
            ),
            subject=str(home / file),
            remedy=_("Write it there, in one line that only this user can read, or set {variable}.").format(
                variable=variable
            ),
        ) from None
