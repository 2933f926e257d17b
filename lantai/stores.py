"""The stores of a home: the primary, where versions are decided, and its copies, which may be away."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from . import beside
from .errors import Damaged, Exists, LantaiError, NotFound, UsageError
from .messages import _
from .model import Budget, Finding, PackageId
from .settings import StoreSettings, days
from .storage import Bucket, Store, open_store, whole
from .storage.identity import KEY, Identity, read_identity
from .storage.journal.verify import Keep, shares
from .storage.ocfl import PREFIX, Root


class Stores:
    """Each store of [[store]] is opened when it is first asked for. identity: of the archive, as the home remembers it.

    A store of another archive, of a newer format, or a first [[store]] that is not the primary is a UsageError.
    broken: what is wrong with the primary's store.json; nothing but a validation or an audit goes on where it is set.
    """

    def __init__(self, home: Path, settings: Sequence[StoreSettings], remembered: Identity | None) -> None:
        self.home, self.settings = home, settings
        self._stores: dict[str, Store] = {}
        self._opened: dict[str, Root] = {}
        self._ids: dict[str, str] = {}
        self._doubted = set[str]()
        self.broken: LantaiError | None = None
        self.identity = self._identity(remembered)

    @property
    def primary(self) -> str:
        return self.settings[0].name

    @property
    def copies(self) -> Sequence[StoreSettings]:
        return self.settings[1:]

    def is_required(self, name: str) -> bool:
        """Whether nothing counts as stored before it is there: the primary, where versions are decided, and others."""
        return name == self.primary or self._named(name).required

    def place(self, name: str) -> Path | Bucket:
        return self._named(name).place(self.home)

    def audited_every(self, name: str) -> timedelta | None:
        """The store's own promise, if it has one."""
        own = self._named(name).audit_every
        return days(own) if own else None

    def audit_rate(self, name: str) -> int | None:
        """Bytes a second that an audit may read of it."""
        rate = self._named(name).audit_rate
        return Budget.parse(rate).bytes if rate else None

    def root(self, name: str, *, found: bool = False) -> Root:
        """The store of that name. found: one that is empty is made a store of this archive.

        UsageError, Damaged, NotFound (no such folder, or nothing in it), StoreUnavailable.
        """
        if name not in self._opened:
            place, store = self.place(name), self._store(name)
            if found and next(store.keys(KEY), None) is None:
                own = self.identity.primary if name == self.primary else str(uuid.uuid4())
                with suppress(Exists):  # by another process, at the same moment
                    beside.lay(store, self.identity.of_store(own))
            identity = read_identity(store, subject=str(place))
            self._require_ours(name, identity)
            self._opened[name], self._ids[name] = Root(store), identity.store
        return self._opened[name]

    def reachable(self, *, strict: bool = True) -> Iterator[tuple[str, Root]]:
        """Those that can be read now, the primary first. UsageError, if strict: one is not what lantai.toml says."""
        for one in self.settings:
            try:
                yield one.name, self.root(one.name)
            except UsageError:
                if strict:
                    raise
            except LantaiError:
                continue

    def readable(self) -> Iterator[tuple[str, Root]]:
        """As reachable, and those whose store.json is damaged as well: to be judged, not to be worked with."""
        for one in self.settings:
            try:
                yield one.name, self.root(one.name)
            except Damaged:
                yield one.name, Root(self._store(one.name))
            except UsageError:
                raise
            except LantaiError:
                continue

    def described(self) -> Iterator[tuple[str, dict[str, object]]]:
        """What the settings say of each store, by its name, without anything secret; its id, if it was opened."""
        for one in self.settings:
            yield one.name, {
                "kind": one.kind, "place": str(self.place(one.name)), "required": one.required,
                "primary": one.name == self.primary,
                **({"endpoint_url": one.endpoint_url} if one.endpoint_url else {}),
                **({"id": self._ids[one.name]} if one.name in self._ids.keys() - self._doubted else {}),
            }  # fmt: skip

    def judge(self, name: str, root: Root) -> Iterator[Finding]:
        """As beside.judge; and what the home knows of the store of that name."""
        return beside.judge(root, partial(self._require_ours, name))

    def misidentified(self, name: str, told: Mapping[str, Mapping[str, Any]]) -> LantaiError | None:
        """What is wrong with the store.json of a store that is there, by what the journal says last of each store."""
        try:
            self.root(name)
            if self._id_of(name, told) not in (None, self._ids[name]):
                self._doubted.add(name)  # else the journal would be told of it
                return Damaged(
                    _("store.json gives this store another id than the journal does"), subject=KEY,
                    remedy=_("Restore it from a copy of the store, if the store is the one that lantai.toml means."),
                )  # fmt: skip
        except (Damaged, UsageError) as error:
            return error
        except LantaiError:
            pass
        return None

    def restore(
        self, name: str, journals: Mapping[str, Store], told: Mapping[str, Mapping[str, Any]], *, keep: Keep
    ) -> None:  # fmt: skip
        """Write the store.json of a store anew: it follows from what the home remembers and from the store's own id.

        journals: sources of the archive's journal; told: what it says last of each store. Raises Damaged, where it is
        not certain that this is the store that it should be: an empty disk, or another's, is never taken for ours.
        """
        store, id = self._store(name), self._id_of(name, told)
        doubt = _("its id is not known") if id is None else self._doubt(name, store, journals, told)
        if doubt or id is None:
            raise Damaged(
                _("store.json is not restored: {doubt}").format(doubt=doubt), subject=KEY,
                remedy=_("Restore it from a copy of the store, if the store is the one that lantai.toml means."),
            )  # fmt: skip
        data = self.identity.of_store(id).to_bytes()
        found = Root(store).small(KEY)
        if found is not None:
            keep(KEY, (found,))
        store.put(KEY, whole(data), algorithms=())
        store.sync()
        if name == self.primary:
            self.broken = None
        self._doubted.discard(name)
        self._opened.pop(name, None)
        self.root(name)

    def _id_of(self, name: str, told: Mapping[str, Mapping[str, Any]]) -> str | None:
        return self.identity.primary if name == self.primary else told.get(name, {}).get("id")

    def _doubt(
        self, name: str, store: Store, journals: Mapping[str, Store], told: Mapping[str, Mapping[str, Any]]
    ) -> str | None:  # fmt: skip
        """Why what lies in the place of a store may be something else."""
        if told.get(name, {}).get("place") != str(self.place(name)):
            return _("the journal does not say that this store lies there")
        try:
            there = read_identity(store, subject=KEY)
        except Damaged:
            pass
        except UsageError as error:
            return error.what
        else:
            others = [one.name for one in self.settings if one.name != name]
            if there.store in [self._id_of(one, told) for one in others]:
                return _("another store of this archive lies there")
            # It can be read, and says something else than the home remembers: either may have been changed.
            vouched = any(other in others for other, _root in self.reachable(strict=False))
            if there.archive == self.identity.archive and not vouched:
                return _("no other store tells whether it or home.json was changed")
        if not shares(store, self.identity.archive, [one for other, one in journals.items() if other != name]):
            return _("no part of the journal there is one that the home or another store has")
        return None

    def _store(self, name: str) -> Store:
        """Whatever it holds. One for all that is asked of it: a connection to a server takes long to set up."""
        if name not in self._stores:
            self._stores[name] = open_store(self.place(name))
        return self._stores[name]

    def _named(self, name: str) -> StoreSettings:
        for one in self.settings:
            if one.name == name:
                return one
        raise UsageError(
            _("there is no store of this name"), subject=name or "store",
            remedy=_("Name one of: {names}.").format(names=", ".join(one.name for one in self.settings)),
        )  # fmt: skip

    def _identity(self, remembered: Identity | None) -> Identity:
        """What the primary says, or where it is away, what the home remembers of it."""
        place = self.place(self.primary)
        try:
            identity = self._said(place, remembered)
        except LantaiError as error:
            if remembered is None:
                raise
            if isinstance(error, Damaged | UsageError):
                self.broken = error
            return remembered
        return identity

    def _said(self, place: Path | Bucket, remembered: Identity | None) -> Identity:
        """What the primary says, if it can be believed."""
        identity = read_identity(self._store(self.primary), subject=str(place))
        if remembered is not None and identity.store == remembered.store and identity != remembered:
            raise _contradicted(place)
        if identity.store != identity.primary:
            raise UsageError(
                _("the first [[store]] is not the archive's primary"), subject=f"{place}/{KEY}",
                remedy=_("Put the primary first in lantai.toml; if it is, store.json was changed: restore it."),
            )  # fmt: skip
        if remembered is not None and identity.archive != remembered.archive:
            raise _foreign(place)
        return identity

    def _require_ours(self, name: str, identity: Identity) -> None:
        if identity.store == self.identity.store and identity != self.identity:
            raise _contradicted(self.place(name))
        if identity.archive != self.identity.archive:
            raise _foreign(self.place(name))
        if (identity.store == self.identity.primary) != (name == self.primary):
            raise UsageError(
                _("this store stands in the place of another in lantai.toml"), subject=f"{self.place(name)}/{KEY}",
                remedy=_("The primary comes first, and each store once; if so, store.json was changed: restore it."),
            )  # fmt: skip
        if identity.of_store(self.identity.store) != self.identity:
            raise _contradicted(self.place(name))


def _contradicted(place: Path | Bucket) -> Damaged:
    return Damaged(
        _("store.json and what the home remembers of the archive (home.json) differ"), subject=f"{place}/{KEY}",
        remedy=_("Restore the one that was changed from a copy."),
    )  # fmt: skip


def _foreign(place: Path | Bucket) -> UsageError:
    return UsageError(
        _("this store belongs to another archive"),
        subject=f"{place}/{KEY}",
        remedy=_("Correct the place in lantai.toml."),
    )


def store_at(place: Path | Bucket) -> tuple[Root, list[PackageId] | None]:
    """A store, an OCFL root or an object anywhere, without a home; of an object, which it is. NotFound."""
    if isinstance(place, Bucket):
        return _root_in(place)
    path = place
    for below in (PREFIX, ""):
        if (path / below / "0=ocfl_1.1").is_file():
            return Root(open_store(path), prefix=below), None
    for folder in (path.resolve(), *path.resolve().parents):
        if (folder / "0=ocfl_1.1").is_file():
            root = Root(open_store(folder), prefix="")
            return root, [root.package_at(path.resolve().relative_to(folder).as_posix())]
    raise _no_root(str(path))


def _root_in(bucket: Bucket) -> tuple[Root, list[PackageId] | None]:
    """The root at the prefix or above it, as far as the bucket's own top."""
    parts = bucket.prefix.rstrip("/").split("/") if bucket.prefix else []
    for below in (PREFIX, ""):
        store = open_store(bucket)
        if next(store.keys(f"{below}0=ocfl_1.1"), None):
            return Root(store, prefix=below), None
    for length in range(len(parts) - 1, -1, -1):
        above = "".join(f"{part}/" for part in parts[:length])
        store = open_store(replace(bucket, prefix=above))
        if next(store.keys("0=ocfl_1.1"), None):
            root = Root(store, prefix="")
            return root, [root.package_at("/".join(parts[length:]))]
    raise _no_root(str(bucket))


def _no_root(subject: str) -> NotFound:
    return NotFound(
        _("there is no OCFL root or object here"), subject=subject,
        remedy=_("Name a folder that holds 0=ocfl_1.1, or an object below one."),
    )  # fmt: skip
