"""What every store of an archive holds beside packages: laid when it is made, judged when it is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from importlib import resources

from .errors import Damaged, UsageError
from .model import Finding
from .storage import Store, whole
from .storage.chains import SCHEMAS
from .storage.identity import KEY, Identity, read_identity
from .storage.journal import strays as journal_strays
from .storage.ocfl import PREFIX, Root
from .storage.ocfl.layout import root_files
from .storage.ocfl.validate import strays
from .storage.remote import wrong as gathered_wrong


def lay(store: Store, identity: Identity) -> None:
    """What every store of an archive holds before its first package; store.json last. Exists: it has one."""
    for key, data in laid().items():
        store.put(key, whole(data), algorithms=())
    store.sync()
    store.create(KEY, whole(identity.to_bytes()))


def laid() -> dict[str, bytes]:
    """What every store of an archive holds beside packages and store.json, by key."""
    files = {PREFIX + key: data for key, data in root_files().items()}
    for room, folder, prefix in (
        ("lantai.storage.ocfl", "documents", PREFIX),  # for whoever finds the disk in fifty years
        ("lantai.metadata", "schemas", SCHEMAS),
        ("lantai.storage.journal", "schemas", SCHEMAS),
        ("lantai.storage.remote", "schemas", SCHEMAS),
    ):
        for document in resources.files(room).joinpath(folder).iterdir():
            files[prefix + document.name] = document.read_bytes()
    return files


_LATER = re.compile(r"schemas/(journal-(segment|entry)-([2-9]|[1-9][0-9]+)|remote-segment-[0-9]+)\.json")


def judge(root: Root, require: Callable[[Identity], object] = lambda _identity: None) -> Iterator[Finding]:
    """All that lies beside packages in a store, or in a storage root alone: what is not as it was laid, and what nobody
    laid. Every byte is read. require raises Damaged or UsageError if the store is not what it should be.
    """
    if root.prefix:
        try:
            require(read_identity(root.store, subject=KEY))
        except (Damaged, UsageError) as error:
            yield Finding.of("store-identity", KEY, reason=error.what)
    if root.prefix:
        yield from journal_strays(root.store)
        yield from gathered_wrong(root.store)
    files = laid() if root.prefix else {
        key.removeprefix(PREFIX): data for key, data in laid().items() if key.startswith(PREFIX)
    }  # fmt: skip
    for key, data in files.items():
        found = root.small(key)
        # A later edition of a schema is not in a store that was made before it, until something of it is written.
        if found != data and not (found is None and _LATER.fullmatch(key)):
            yield Finding.of("store-file", key)
    yield from strays(root, {KEY, *files} if root.prefix else {*files})
