"""The home's side of a draft: a folder that its writer holds locked while it lives."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..linux import unavailable


class DraftLock:
    """An exclusive flock on HOME/drafts/<draft>; the kernel lets go of it when the process ends, however it ends."""

    def __init__(self, folder: Path, descriptor: int) -> None:
        self.folder, self._descriptor = folder, descriptor

    @property
    def draft(self) -> str:
        return self.folder.name

    @classmethod
    def begin(cls, drafts: Path, draft: str) -> DraftLock | None:
        """None: the name is taken. Raises StoreUnavailable if the home's disk is full or forbidden."""
        folder = drafts / draft
        try:
            drafts.mkdir(parents=True, exist_ok=True)
            folder.mkdir()
        except OSError as error:
            if isinstance(error, FileExistsError) and folder.is_dir():
                return None
            raise unavailable(error, os.fsencode(folder)) from error
        return cls.take(folder)

    @classmethod
    def take(cls, folder: Path) -> DraftLock | None:
        """None: its writer lives, or the folder is gone."""
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Between open and flock the holder may have finished and removed it.
            if folder.stat().st_ino == os.fstat(descriptor).st_ino:
                return cls(folder, descriptor)
        except (BlockingIOError, FileNotFoundError):
            pass
        os.close(descriptor)
        return None

    def note(self, staging: str) -> None:
        """Write down, before anything is in the store, where the draft's staging folder is. StoreUnavailable."""
        try:
            (self.folder / "staging").write_text(staging, "utf-8")
        except OSError as error:
            raise unavailable(error, os.fsencode(self.folder)) from error

    def staging(self) -> str | None:
        try:
            return (self.folder / "staging").read_text("utf-8") or None
        except FileNotFoundError:
            return None

    def log(self, facts: Iterable[Mapping[str, Any]]) -> None:
        """Write down what a later attempt at the draft must know. It outlives the process and the machine's power."""
        # The break comes first, so that a line that was cut short spoils no other.
        lines = "".join(f"\n{json.dumps(one)}" for one in facts).encode()
        try:
            log = os.open(self.folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
            try:
                while lines:
                    lines = lines[os.write(log, lines) :]
                os.fsync(log)
            finally:
                os.close(log)
        except OSError as error:
            raise unavailable(error, os.fsencode(self.folder)) from error

    def logged(self) -> Iterator[dict[str, Any]]:
        """What was written down, in order."""
        with suppress(FileNotFoundError), (self.folder / "log").open(encoding="utf-8", errors="replace") as log:
            for line in log:
                with suppress(ValueError):  # cut short by a crash
                    yield json.loads(line)

    def end(self) -> None:
        """There will be no later attempt. Needs no room on the disk."""
        with suppress(FileNotFoundError):
            (self.folder / "log").unlink()
            os.fsync(self._descriptor)

    def release(self, *, settled: bool) -> None:
        """settled: the draft is committed or removed, and the folder with it."""
        if settled:
            shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._descriptor)


def dead_drafts(drafts: Path) -> Iterator[DraftLock]:
    """The drafts of this home whose writer has died, each locked while it is looked at."""
    if not drafts.is_dir():
        return
    for folder in sorted(drafts.iterdir()):
        lock = DraftLock.take(folder) if folder.is_dir() else None
        if lock is not None:
            yield lock
