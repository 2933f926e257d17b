"""store.json: which archive a store belongs to, and what is the same in all its stores."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from ..errors import Damaged, NotFound, UsageError
from ..messages import _
from . import Store, load

KEY = "store.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Identity:
    """archive, store, primary: uuids; namespace: of OAI identifiers; timezone: IANA name; created: the archive's first
    second, in UTC.
    """

    archive: str
    store: str
    primary: str
    namespace: str
    timezone: str
    created: datetime

    def of_store(self, id: str) -> Identity:
        """The same archive's, of another store."""
        return replace(self, store=id)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Identity:
        """ValueError, KeyError, TypeError: it is none."""
        names = ("archive", "store", "primary", "namespace", "timezone")
        return cls(created=datetime.fromisoformat(values["created"]), **{name: str(values[name]) for name in names})

    def to_bytes(self) -> bytes:
        values: dict[str, Any] = {"format": FORMAT, **asdict(self)}
        values["created"] = self.created.isoformat().replace("+00:00", "Z")
        return (json.dumps(values, ensure_ascii=False, indent=2) + "\n").encode()


def read_identity(store: Store, *, subject: str) -> Identity:
    """subject: where the store lies. Raises NotFound if this is no store, UsageError if a newer lantai made it, Damaged
    if store.json is not there, though something else is, or not as lantai writes it.
    """
    file = f"{subject}/{KEY}"
    try:
        data = load(store, KEY)
        values = json.loads(data)
        if values["format"] > FORMAT:
            raise UsageError(
                _("this store was made by a newer lantai (format {format})").format(format=values["format"]),
                subject=file,
                remedy=_("Install a newer lantai."),
            )
        identity = Identity.from_json(values)
        if identity.to_bytes() != data:
            raise ValueError(_("lantai writes it otherwise"))
        return identity
    except NotFound as error:
        if next(store.keys(), None) is not None:
            raise _damaged(_("store.json is missing"), file) from error
        raise NotFound(
            _("there is no lantai store here"),
            subject=subject,
            remedy=_("Check the path in lantai.toml; is the disk mounted?"),
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(_("store.json cannot be read ({reason})").format(reason=error), file) from error


def _damaged(what: str, file: str) -> Damaged:
    return Damaged(what, subject=file, remedy=_("Restore it from a copy of the store."))
