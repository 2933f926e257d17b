"""The key that signs resumption tokens: a file of 64 hex digits that only this user can read. Servers that answer for
one address share it.
"""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from ..errors import UsageError
from ..messages import _

OCTETS = 32


def ensure(file: Path) -> None:
    """Make it where there is none: whole or not at all, and of two who make it at once one wins. OSError."""
    if file.exists():
        return
    temporary = file.with_name(f".{file.name[:60]}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as out:
            out.write(secrets.token_hex(OCTETS) + "\n")
            out.flush()
            os.fsync(descriptor)
        with suppress(FileExistsError):
            os.link(temporary, file)
    finally:
        temporary.unlink()


def read(file: Path) -> bytes:
    """The key of file, which is made if it is missing. UsageError: it is none, or others can read it."""
    try:
        ensure(file)
        with file.open("rb") as source:
            mode = stat.S_IMODE(os.fstat(source.fileno()).st_mode)
            text = source.read(4 * OCTETS)
    except OSError as error:
        raise UsageError(
            _("the key that signs resumption tokens cannot be read ({reason})").format(reason=error.strerror),
            subject=str(file),
            remedy=_("Let this user read and write it, or name another as [oai] key_file in lantai.toml."),
        ) from error
    if mode & 0o077:
        raise UsageError(
            _("others can read the key that signs resumption tokens"),
            subject=str(file),
            remedy=_("Remove it, and the next lantai serve makes another; or chmod 600 it, if nobody has seen it."),
        )
    try:
        key = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        key = b""
    if len(key) != OCTETS:
        raise UsageError(
            _("this is no key: 64 hex digits"),
            subject=str(file),
            remedy=_("Remove it, and the next lantai serve makes another; lists that were begun must be begun anew."),
        )
    return key
