"""The files of a submission on their way into a draft."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from ..digest import Digests, digest_of
from ..errors import Damaged, Rejected
from ..formats import Identifier, agents
from ..model import Agent, Event, Finding, Format, PackageId, PayloadFile
from ..package import anatomy
from ..storage.ocfl import Draft, Incoming
from ..storage.workers import Progress
from .entry import Batch, Entry
from .events import Scribe
from .sheet import is_sheet
from .worksheet import Worksheet

_TOLD_IN_PARTS = 4 * 1024 * 1024


class Intake:
    """Takes batches into a draft: each payload file is read once, stored and hashed on the way, and its format found.

    whole: the representation, if these files are all of it; its events then stand for it and not for each file.
    """

    def __init__(
        self,
        package: PackageId,
        draft: Draft,
        worksheet: Worksheet,
        identifier: Identifier,
        scribe: Scribe,
        progress: Progress,
        *,
        whole: str | None,
    ) -> None:
        self._package, self._draft, self._worksheet = package, draft, worksheet
        self._identifier, self._scribe, self._progress, self._whole = identifier, scribe, progress, whole
        self._payload = anatomy.payload(package)
        self._events: dict[str, Event] = {}
        self._tools: dict[str, Agent] = {}
        self._asking = ThreadPoolExecutor(1, thread_name_prefix="identify")
        self._told_of: set[str] = set()
        self.sheets: dict[str, bytes] = {}

    @property
    def events(self) -> tuple[Event, ...]:
        """What was done to these files, in the order in which it began."""
        return tuple(self._events.values())

    @property
    def tools(self) -> tuple[Agent, ...]:
        """The programs that identified formats."""
        return tuple(self._tools.values())

    def unpacked(self, kind: str) -> None:
        if kind != "folder":
            self._event("unpacking", lambda: self._scribe.unpacking(self._whole, kind))

    def take(self, batch: Batch) -> None:
        self._worksheet.note(*batch.told())
        self._worksheet.add_empty_folders(batch.empty_folders)
        entries = [entry for entry in batch.entries if not self._take_sheet(entry)]
        # In a process of its own (formats.apart), a batch is identified while it is stored.
        formats = self._asking.submit(self._identifier.identify, [entry.file for entry in entries])
        stored = self._draft.put_many(
            Incoming(self._payload + entry.path, self._body(entry), entry.size, entry.claimed, entry.mark)
            for entry in entries
        )
        self._worksheet.add(
            self._file(entry, result, answers)
            for entry, result, answers in zip(entries, list(stored), formats.result(), strict=True)
            if self._is_stored(entry, result)
        )
        self._told_of.clear()

    def _take_sheet(self, entry: Entry) -> bool:
        """A description that travels with the submission is kept with the descriptions, not among the records."""
        if not is_sheet(entry.original_name):
            return False
        try:
            data = b"".join(entry.body())
        except Rejected as error:
            self._worksheet.note(*findings_of(error))
            return True
        self.sheets[entry.path.rsplit("/", 1)[-1]] = data
        self._worksheet.add_beside(entry.path, len(data), digest_of(data, ("sha256",)).values["sha256"])
        return True

    def _body(self, entry: Entry) -> Callable[[], Iterator[bytes]]:
        return entry.body if entry.size < _TOLD_IN_PARTS else partial(self._told, entry)

    def _told(self, entry: Entry) -> Iterator[bytes]:
        self._told_of.add(entry.path)
        for chunk in entry.body():
            self._progress(0, len(chunk))
            yield chunk

    def _is_stored(self, entry: Entry, result: Digests | Rejected | Damaged) -> bool:
        if isinstance(result, Digests):
            self._progress(1, 0 if entry.path in self._told_of else entry.size)
            return True
        if isinstance(result, Rejected):
            self._worksheet.note(*findings_of(result))
        else:
            self._worksheet.note(Finding.of("digest-differs", entry.original_name, reason=result.what))
        return False

    def _file(self, entry: Entry, digests: Digests | Rejected | Damaged, answers: tuple[Format, ...]) -> PayloadFile:
        assert isinstance(digests, Digests)
        return PayloadFile(
            anatomy.file_id(self._package, entry.path, digests.values["sha256"]),
            entry.path,
            entry.original_name,
            digests,
            answers,
            entry.modified,
            tuple(self._concerning(entry, answers)),
        )

    def _concerning(self, entry: Entry, answers: Sequence[Format]) -> Iterator[str]:
        """Ids of the events of this file; those of the whole representation are made, and not named by each file."""
        scribe, whole = self._scribe, self._whole
        first, *others = self._agents(answers)
        general = (
            self._event("digests", lambda: scribe.digests(whole, self._draft.algorithms)),
            self._event(first.id, lambda: scribe.identification(whole, first)),
        )
        if whole is None:
            yield from general
        for tool in others:
            yield self._event(f"also {tool.id}", partial(scribe.second_opinion, tool))
        if entry.claimed is not None:
            yield self._event("fixity", scribe.fixity)
        if entry.path != entry.original_name:
            yield self._event("renaming", scribe.renaming)

    def _agents(self, answers: Sequence[Format]) -> tuple[Agent, ...]:
        """In the order in which they are asked everywhere, whichever answer counts for this file."""
        found = agents(answers)
        for agent in found:
            self._tools.setdefault(agent.id, agent)
        order = list(self._tools)
        return tuple(sorted(found, key=lambda agent: order.index(agent.id)))

    def _event(self, key: str, make: Callable[[], Event]) -> str:
        if key not in self._events:
            self._events[key] = make()
        return self._events[key].id


def findings_of(error: Rejected) -> tuple[Finding, ...]:
    """What an error holds, as findings."""
    return tuple(
        one if isinstance(one, Finding) else Finding(one.code, one.subject, one.message, one.fatal, one.message)
        for one in error.findings
    )
