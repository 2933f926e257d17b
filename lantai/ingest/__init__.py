"""Submission -> package. ingest() is a file's journey; read it first.

submission:   what is handed over, in one shape (entry, folder, zip, tar, names)
check:        what ingest would say, without storing anything
sheet:        descriptions that travel with it; describe: rows to records; template: an empty sheet
intake:       its files, batch by batch, into a draft; worksheet: what is known of them meanwhile
events:       what was done, as PREMIS tells it
update:       the next version
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ..catalog import Catalog
from ..formats import Identifier
from ..model import Decision, Finding, PackageId, RecordId
from ..package import anatomy
from ..package.write import Account, close, write_original
from ..storage.ocfl import Draft, Root
from ..storage.workers import Progress
from .describe import describe, to_csv
from .events import Scribe
from .intake import Intake
from .sheet import Sheet, read_sheet
from .submission import Submission
from .update import submitted
from .worksheet import Worksheet

BY_DEFAULT = "default"
"""The ground of a decision on access that no person took."""


@dataclass(frozen=True, slots=True)
class Given:
    """What the person says of the submission, besides what it says itself. sheets: file name and bytes."""

    title: str | None = None
    sheets: Mapping[str, bytes] = field(default_factory=dict)
    rows: tuple[Sheet, ...] = ()  # of a sheet shared with other submissions, cut to this one
    again: bool = False  # store it though it is known


@dataclass(frozen=True, slots=True)
class Ingested:
    """stored: package was made; present: its files are all those of package, and nothing was stored, not even what the
    person said of them anew, of which the warnings tell; pending: the primary has it, the required stores of missing
    do not yet. reused: so many of its files had been stored by an ingest that was broken off.
    """

    status: Literal["stored", "present", "pending"]
    package: PackageId
    version: int
    warnings: tuple[Finding, ...]
    missing: tuple[str, ...] = ()
    reused: int = 0


def ingest(
    submission: Submission,
    draft: Draft,
    *,
    given: Given,
    root: Root,
    catalog: Catalog,
    identifier: Identifier,
    access: Decision,
    scribe: Scribe,
    progress: Progress,
) -> Ingested:
    """Store submission as version 1 of a package, by a draft not yet entered.

    Raises Rejected with every finding if one is fatal, Damaged if bytes changed under us, StoreUnavailable.
    Whatever is raised, nothing becomes visible.
    """
    package = draft.package
    with draft, Worksheet(submission.name) as worksheet:
        original = anatomy.representation_id(package)
        intake = Intake(package, draft, worksheet, identifier, scribe, progress, whole=original)
        intake.unpacked(submission.kind)
        for batch in submission.batches():
            intake.take(batch)
        sheets = [*(read_sheet(name, data) for name, data in {**intake.sheets, **given.sheets}.items()), *given.rows]
        described = describe(
            package, sheets, find=worksheet.find, title=given.title, submission=submission.name,
            top_folder=submission.top_folder, new_id=lambda: RecordId(scribe.new_id()),
        )  # fmt: skip
        worksheet.note(*described.findings)
        worksheet.refuse_empty()
        warnings = worksheet.require_clean()

        content = worksheet.content()
        known = None if given.again else catalog.find_content(content)
        if known is not None and (head := _stored(root, known)):
            draft.abandon()
            unheeded = _unheeded(submission.name, known, given, access, root, catalog)
            return Ingested("present", known, head, (*warnings, *unheeded))

        events = (
            scribe.ingestion(package, submission.name, submission.kind, *worksheet.count()),
            scribe.validation(package, warnings),
        )
        account = Account(
            package, described.records, described.places, submission.name, content, access,
            events, intake.events, (scribe.software, scribe.person, *intake.tools),
            scribe.software, scribe.person, scribe.agency, created=(at := scribe.now()), at=at,
            submitted={**_shared(given.rows), **intake.sheets, **given.sheets},
        )  # fmt: skip
        write_original(draft, account, worksheet.files, worksheet.empty_folders())
        close(draft, account, catalog, worksheet.files, f"ingest of {submission.name}")
    return Ingested("stored", package, draft.number, warnings, reused=draft.reused)


def _shared(rows: Sequence[Sheet]) -> dict[str, bytes]:
    """A sheet shared with other submissions is kept with this one's rows only: the others may be closed."""
    return {f"{sheet.name.rpartition('.')[0]}.rows.csv": to_csv(sheet) for sheet in rows if sheet.rows}


def _unheeded(
    submission: str, package: PackageId, given: Given, access: Decision, root: Root, catalog: Catalog
) -> Iterator[Finding]:
    """What was stated anew of a submission that is present: nothing came of it, and it must not vanish unsaid."""
    row = catalog.package(package)
    stated = {**_shared(given.rows), **given.sheets}
    new = (given.title or row.title).strip() != row.title
    if stated and not new:
        with root.version(package) as head:
            new = not stated.items() <= submitted(package, head).items()
    if new:
        yield Finding.of("present-not-described", submission, package=package)
    now = (row.access.shown, max(row.access.since, access.at))
    if access.ground != BY_DEFAULT and now != (access.shown, max(access.since, access.at)):
        yield Finding.of("present-access", submission, package=package)


def _stored(root: Root, package: PackageId) -> int:
    """The head of package, after its inventory was read whole; 0: the store has no such package. Damaged."""
    head = root.head(package)
    for _row in root.inventory(package, head) if head else ():
        pass
    return head
