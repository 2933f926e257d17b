"""The files of a home beside lantai.toml: who it is and of which archive, what its stores were seen to do and to hold,
what was damaged.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TypeAlias

from .errors import UsageError
from .messages import _
from .storage import Properties
from .storage.identity import Identity
from .storage.journal.verify import Keep
from .storage.linux import unavailable, write_whole

FORMAT = 1


def remember(home: Path, id: str, identity: Identity) -> None:
    """Write HOME/home.json: the home's id, and the archive for when the primary is away. OSError."""
    _write(home / "home.json", {"format": FORMAT, "id": id, "archive": json.loads(identity.to_bytes())})


def recall(home: Path) -> tuple[str, Identity | None]:
    """The home's id, and the archive if it remembers it. UsageError."""
    try:
        values = json.loads((home / "home.json").read_text("utf-8"))
        if values["format"] <= FORMAT:
            return str(values["id"]), Identity.from_json(values["archive"]) if "archive" in values else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            _("home.json cannot be read ({reason})").format(reason=error), subject=str(home),
            remedy=_("Restore it from a backup of the home."),
        ) from error  # fmt: skip
    raise UsageError(_("this home was made by a newer lantai"), subject=str(home), remedy=_("Install a newer lantai."))


def record(home: Path, name: str, seen: Properties, *, broken: Sequence[str]) -> None:
    """Keep in HOME/stores.json what the store of that name was seen to do, when it was last tried: for the person who
    asks, since every process sees for itself.
    """
    path = home / "stores.json"
    try:
        known = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        known = {}
    at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    known[name] = {"tried": at, **asdict(seen), "broken": list(broken)}
    _write(path, known)


Held: TypeAlias = Mapping[str, Mapping[str, int]]
"""By store, and by the writer of each chain of the journal, how far it was seen there; a chain that is not named: not
at all.
"""


def seen_to_hold(home: Path, writer: str | None) -> Held:
    """Of each store, how far this home ever saw it hold the journal. Of a store that is not named nothing is known.

    writer: of the home's own chain, since what another home saw, or this one before it was copied, does not count.
    """
    try:
        values = json.loads((home / "held.json").read_text("utf-8"))
        known = {
            store: {one: int(number) for one, number in chains.items()} for store, chains in values["stores"].items()
        }
        return known if values["writer"] == writer else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def note_held(home: Path, writer: str | None, seen: Held, *, begins: Container[str] = ()) -> None:
    """Keep that in HOME/held.json, of which nothing is ever taken back: who has once had a segment cannot be one that
    never had it. begins: stores that are whole, with all of their chains in seen; of others of which nothing is known
    nothing will be.
    """
    with (home / "held.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = seen_to_hold(home, writer)
        now = dict(known)
        for store, chains in seen.items():
            if store in known or store in begins:
                had = known.get(store, {})
                now[store] = {**had, **{one: max(number, had.get(one, 0)) for one, number in chains.items()}}
        if now != known:
            _write(home / "held.json", {"writer": writer, "stores": now})


def keeping(home: Path, store: str, at: datetime) -> Keep:
    """Damaged bytes are kept in HOME/damaged by store, second and key, until a person removes them."""
    folder = home / "damaged" / store / f"{at:%Y%m%dT%H%M%SZ}"

    def keep(key: str, chunks: Iterable[bytes]) -> None:
        file = folder / key
        try:
            # Of one second there may be two, of which neither replaces the other.
            for number in count(1):
                if not file.exists():
                    break
                file = folder / f"{key}.{number}"
            write_whole(file, chunks)
        except OSError as error:
            raise unavailable(error, os.fsencode(file)) from error

    return keep


def _write(path: Path, values: object) -> None:
    write_whole(path, ((json.dumps(values, ensure_ascii=False, indent=2) + "\n").encode(),))
