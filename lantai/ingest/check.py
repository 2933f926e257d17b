"""What ingest would say of a submission, without storing anything: no home is needed."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence

from ..digest import Hasher
from ..errors import Rejected
from ..model import Finding, PackageId, RecordId
from ..storage.workers import Progress
from .describe import describe
from .entry import Entry, Submission
from .intake import findings_of
from .sheet import Sheet, is_sheet, read_sheet
from .worksheet import Worksheet

_PACKAGE = PackageId("urn:uuid:00000000-0000-7000-8000-000000000000")


def check(
    submission: Submission, *, sheets: Mapping[str, bytes], rows: Sequence[Sheet] = (), progress: Progress
) -> tuple[Finding, ...]:
    """Every finding, fatal ones first. All files are read once, as ingest would; archives are unpacked by batches."""
    with Worksheet(submission.name) as worksheet:
        travelling: dict[str, bytes] = {}
        for batch in submission.batches():
            worksheet.note(*batch.told())
            for entry in batch.entries:
                if is_sheet(entry.original_name):
                    travelling[entry.path.rsplit("/", 1)[-1]] = b"".join(_read(entry, worksheet))
                else:
                    worksheet.add_path(entry.path, entry.original_name, entry.size)
                    for chunk in _read(entry, worksheet):
                        progress(0, len(chunk))
                progress(1, 0)
        given = [read_sheet(name, data) for name, data in {**travelling, **sheets}.items()]
        described = describe(
            _PACKAGE, [*given, *rows], find=worksheet.find, title=None, submission=submission.name,
            top_folder=submission.top_folder, new_id=lambda: RecordId(uuid.uuid4().urn),
        )  # fmt: skip
        worksheet.note(*described.findings)
        worksheet.refuse_empty()
        return worksheet.findings()


def _read(entry: Entry, worksheet: Worksheet) -> Iterator[bytes]:
    """The entry's bytes, held against what the submission's own manifest says of them."""
    hasher = Hasher(entry.claimed.values if entry.claimed else ())
    try:
        yield from hasher.through(entry.body())
    except Rejected as error:
        worksheet.note(*findings_of(error))
        return
    for wrong in entry.claimed.conflicts(hasher.result()) if entry.claimed else ():
        reason = f"{wrong.of}: {wrong.found}, {wrong.expected}"
        worksheet.note(Finding.of("digest-differs", entry.original_name, reason=reason))
