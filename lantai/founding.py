"""Making an archive: a home, and its primary store."""

from __future__ import annotations

import os
import re
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from . import config
from .archive import Archive, utc_now, uuid7
from .beside import lay
from .catalog import Catalog
from .errors import Exists, UsageError
from .home import record, remember
from .messages import _
from .oai.key import ensure
from .settings import OaiSettings
from .storage import Bucket, Store, open_store
from .storage.identity import KEY, Identity
from .storage.linux import write_whole
from .storage.promises import check, tried

PLACEHOLDER = ".lantai.invalid"
"""Ends the OAI namespace of an archive that was not told its domain name (RFC 2606 keeps it from being anybody's).
Before it stands what tells the archive from others: who harvests several takes none for itself or another.
"""

PRIMARY = "local"
"""How lantai.toml calls the primary, until somebody renames it."""
_NEEDED = ("store-create-once", "store-one-winner")


def create(
    home: Path, *, name: str, store: Path | Bucket | None, namespace: str, timezone: str, language: str
) -> Identity:
    """Make a home and its primary store, an existing bucket or a folder. lantai.toml is written last: without it there
    is no home.

    Raises Exists if either is there already, UsageError for a zone that nobody knows, a folder that cannot be made or
    a server on which nothing can be committed, StoreUnavailable.
    """
    place = store or home / "store"
    _require_words(namespace, timezone)
    _require_new_home(home)
    opened = _new_store(place)
    own, id = str(uuid7()), str(uuid7())
    identity = Identity(id, own, own, namespace or f"a{id[-12:]}{PLACEHOLDER}", timezone, utc_now())
    # Before the store is marked as an archive's: a home that cannot be written must not use it up.
    try:
        home.mkdir(parents=True, exist_ok=True)
        remember(home, str(uuid7()), identity)
        ensure(home / OaiSettings().key_file)
    except OSError as error:
        raise _no_folder(error, home) from error
    lay(opened, identity)
    record(home, PRIMARY, opened.properties, broken=())
    shown = place if isinstance(place, Bucket) else _shown(place, home)
    text = config.template(name=name, language=language, called=PRIMARY, store=shown)
    write_whole(home / config.FILE, (text.encode(),))
    with Archive(home, by="") as archive:
        Catalog.open(archive.catalog_url).close()
    return identity


def _require_words(namespace: str, timezone: str) -> None:
    if namespace and not re.fullmatch(r"[a-zA-Z][a-zA-Z0-9-]*(\.[a-zA-Z][a-zA-Z0-9-]*)+", namespace):
        raise UsageError(
            _("this is no domain name that OAI identifiers can carry"),
            subject=namespace,
            remedy=_(
                "Name one as archive.example.org: ASCII letters, digits and hyphens, at least one dot. OAI identifiers"
                " want a letter at the beginning and after each dot; a digit there is not allowed."
            ),
        )
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise UsageError(
            _("there is no such time zone"), subject=timezone, remedy=_("Name one as Asia/Shanghai or UTC.")
        ) from error


def _require_new_home(home: Path) -> None:
    try:
        if not (home / config.FILE).exists():
            return
    except OSError as error:
        raise _no_folder(error, home) from error
    raise Exists(_("this is a lantai home already"), subject=str(home), remedy=_("Use it, or name another folder."))


def _new_store(place: Path | Bucket) -> Store:
    """The store at place, which belongs to no archive yet."""
    if isinstance(place, Path):
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _no_folder(error, place) from error
    opened = open_store(place)
    if next(opened.keys(KEY), None) is not None:
        raise Exists(
            _("this store belongs to an archive already"),
            subject=str(place),
            remedy=_("Name another place with --store."),
        )
    if isinstance(place, Bucket):
        _require_create_only(place)
    return opened


def _require_create_only(place: Bucket) -> None:
    """A server is tried before anything is entrusted to it. UsageError that says what it does instead."""
    with tried(place) as store:
        broken = [finding for _code, finding in check(store, _NEEDED) if finding]
    if broken:
        raise UsageError(
            "; ".join(finding.message for finding in broken),
            subject=str(place),
            remedy=_("Use a server and bucket that keep a create-only write, without versioning or object lock."),
        )


def _shown(place: Path, home: Path) -> str:
    """A store below its home moves with it."""
    return os.path.relpath(place, home) if place.resolve().is_relative_to(home.resolve()) else str(place.resolve())


def _no_folder(error: OSError, folder: Path) -> UsageError:
    return UsageError(
        _("the folder cannot be made ({reason})").format(reason=error.strerror),
        subject=str(error.filename or folder),
        remedy=_("Name a folder that you may write to."),
    )
