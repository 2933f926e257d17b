"""The next version of a package: files come or go, the description changes; only what changed is stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from ..catalog import Catalog
from ..digest import Hasher
from ..errors import Damaged, NotFound, UsageError
from ..formats import Identifier
from ..messages import _
from ..metadata import premis
from ..metadata.elements import REFERENCE_CODE
from ..model import Agent, Event, Finding, Package, PackageId, PayloadFile, Record, RecordId
from ..package import anatomy
from ..package.read import bag_algorithms, read_original, read_package
from ..package.write import Account, close, write_original
from ..storage.ocfl import Draft, Reader, Root
from ..storage.workers import Progress
from .describe import describe
from .entry import Batch, Entry, utc
from .events import Scribe
from .intake import Intake
from .names import safe
from .sheet import Sheet, read_sheet
from .submission import open_submission
from .worksheet import Worksheet


@dataclass(frozen=True, slots=True)
class Change:
    """sheets: name and bytes; add: files or folders; replace: path in the package, and the file that takes its place;
    remove: paths of files or folders in the package, as stored or as the producer wrote them.
    """

    sheets: Mapping[str, bytes] = field(default_factory=dict)
    add: Sequence[Path] = ()
    replace: Mapping[str, Path] = field(default_factory=dict)
    remove: Sequence[str] = ()
    title: str | None = None

    @property
    def touches_files(self) -> bool:
        return bool(self.add or self.replace or self.remove)


def update(
    package: PackageId,
    change: Change,
    *,
    reason: str,
    root: Root,
    catalog: Catalog,
    identifier: Identifier,
    scribe: Scribe,
    scratch: Path,
    progress: Progress,
) -> tuple[int, tuple[Finding, ...]]:
    """Store the next version of package; its number, and warnings.

    Raises NotFound for a package or path that is not there, Rejected, Damaged, Exists if another writer was first,
    UsageError if nothing is to change.
    """
    if not (change.touches_files or change.sheets or change.title):
        raise UsageError(
            _("nothing is to change"),
            subject=package,
            remedy=_("Give --metadata, --title, --add, --replace or --remove."),
        )
    with root.version(package) as base, Worksheet(package) as worksheet:
        _require_newest(package, base.number, root, catalog)
        before = read_package(package, tuple(root.versions(package)), base)
        original = _load(worksheet, package, base)
        with root.draft(package, algorithms=bag_algorithms(base), base=base.number) as draft:
            intake = Intake(package, draft, worksheet, identifier, scribe, progress, whole=None)
            if change.touches_files:
                _change_files(change, worksheet, intake, scratch)
            stated = {**intake.sheets, **change.sheets}
            sheets = [read_sheet(name, data) for name, data in stated.items()]
            described = describe(
                package, sheets, find=worksheet.find, title=change.title, submission=before.submission,
                new_id=lambda: RecordId(scribe.new_id()), known=(_with_files(before, worksheet, sheets), before.places),
            )  # fmt: skip
            worksheet.note(*described.findings)
            worksheet.refuse_empty()
            warnings = worksheet.require_clean()

            _keep_payload(draft, worksheet)
            _keep_documents(draft, base, new=change.touches_files)
            account = Account(
                package, described.records, described.places, before.submission, before.content, before.access,
                (*(one for one in before.events if one not in original), _act(scribe, package, change, reason)),
                _still_told((*original, *intake.events), worksheet),
                _agents(before.agents, (scribe.software, scribe.person, *intake.tools)),
                scribe.software, scribe.person, scribe.agency, created=before.versions[0].at, at=scribe.now(),
                submitted={**submitted(package, base), **stated},
            )  # fmt: skip
            if change.touches_files:
                write_original(draft, account, worksheet.files, worksheet.empty_folders())
            close(draft, account, catalog, worksheet.files, reason)
            return draft.number, warnings


def _require_newest(package: PackageId, head: int, root: Root, catalog: Catalog) -> None:
    """A store that lost versions (an old copy brought back) must not get others of the same numbers. Damaged.

    Read once more: another writer may have stored one since, to whom this update will lose.
    """
    known = catalog.version_of(package)
    if known is not None and known > head and known > root.head(package):
        raise Damaged(
            _("the catalogue knows version {known}, the store ends with version {number}").format(
                known=known, number=head
            ),
            subject=package,
            remedy=_("Restore it from a copy; until then the package is not written to."),
        )


def _load(worksheet: Worksheet, package: PackageId, base: Reader) -> tuple[Event, ...]:
    """The files of the version before, onto the worksheet; the events of their representation."""
    events: list[Event] = []
    files: list[PayloadFile] = []
    for one in read_original(package, base):
        match one:
            case PayloadFile():
                files.append(one)
                if len(files) == 1000:
                    worksheet.add(files)
                    files.clear()
            case premis.Representation():
                worksheet.add_empty_folders(one.empty_folders)
            case Event():
                events.append(one)
    worksheet.add(files)
    return tuple(events)


def _change_files(change: Change, worksheet: Worksheet, intake: Intake, scratch: Path) -> None:
    """What is removed and replaced goes before what comes, so that a name can be given again."""
    for path in change.remove:
        worksheet.remove(_require(worksheet, path))
    entries: list[Entry] = []
    for path, file in change.replace.items():
        stored = worksheet.file(_require(worksheet, path))
        if stored is None:
            raise NotFound(
                _("this is a folder of the package, not a file"),
                subject=path,
                remedy=_("Replace its files one by one."),
            )
        worksheet.remove(stored.path)
        entries.append(_entry(file, stored.path, stored.original_name))
    entries += [_entry(path, safe(path.name), path.name) for path in change.add if not path.is_dir()]
    for batch in chain((Batch(tuple(entries), (), ()),), _folders(change.add, scratch)):
        _refuse_present(worksheet, batch)
        intake.take(batch)


def _folders(paths: Iterable[Path], scratch: Path) -> Iterator[Batch]:
    """Batches of added folders, with the folder's own name before each path."""
    for path in paths:
        if path.is_dir():
            submission = open_submission(path, scratch=scratch)
            name = submission.name
            for batch in submission.batches():
                yield Batch(
                    tuple(replace(one, path=f"{safe(name)}/{one.path}", original_name=f"{name}/{one.original_name}")
                          for one in batch.entries),
                    tuple(f"{name}/{folder}" for folder in batch.empty_folders),
                    batch.findings,
                )  # fmt: skip


def _entry(file: Path, path: str, original_name: str) -> Entry:
    try:
        status = file.stat()
    except OSError as error:
        raise NotFound(
            _("the file cannot be read ({reason})").format(reason=error.strerror), subject=str(file),
            remedy=_("Check the path."),
        ) from error  # fmt: skip
    return Entry(
        path, original_name, file, status.st_size, None, utc(status.st_mtime), (status.st_ino, status.st_mtime_ns)
    )


def _require(worksheet: Worksheet, path: str) -> str:
    stored = path.rstrip("/")
    if _is_stored(worksheet, stored):
        return stored
    found = worksheet.find(stored)
    if found is None:
        raise NotFound(
            _("the package holds no such file or folder"),
            subject=path,
            remedy=_("lantai show PACKAGE --files lists them."),
        )
    return found


def _is_stored(worksheet: Worksheet, path: str) -> bool:
    try:
        return worksheet.file(path) is not None or worksheet.has_folder(path)
    except UnicodeEncodeError:
        return False  # undecodable bytes: a name that a producer gave, never a path


def _refuse_present(worksheet: Worksheet, batch: Batch) -> None:
    taken = [one for one in batch.entries if worksheet.file(one.path) or worksheet.has_folder(one.path)]
    worksheet.note(*(Finding.of("name-present", one.original_name) for one in taken))


def _with_files(before: Package, worksheet: Worksheet, sheets: Iterable[Sheet]) -> tuple[Record, ...]:
    """The records that go on: a part leaves with its file, unless a sheet gives its reference code to another one."""
    codes = {
        element.value
        for sheet in sheets
        for row in sheet.rows
        for element in row.elements
        if element.term == REFERENCE_CODE
    }
    root, *parts = before.records
    return (
        root,
        *(
            one
            for one in parts
            if any(_is_stored(worksheet, path) for path in one.paths) or one.description.first(REFERENCE_CODE) in codes
        ),
    )


def _keep_payload(draft: Draft, worksheet: Worksheet) -> None:
    """Every payload file that this draft did not put is the one of the version before."""
    payload = anatomy.payload(draft.package)
    new = draft.paths(payload)
    next_new = next(new, None)
    for file in worksheet.files():
        path = payload + file.path
        if next_new and next_new[0] == path:
            next_new = next(new, None)
        else:
            draft.keep([(path, file.digests)])


def _agents(before: Iterable[Agent], now: Iterable[Agent]) -> tuple[Agent, ...]:
    """Each once, under the name it has now."""
    return tuple({one.id: one for one in (*before, *now)}.values())


def _keep_documents(draft: Draft, base: Reader, *, new: bool) -> None:
    """What came with the submission, and, if no file changed, the representation's documents: byte for byte."""
    place = anatomy.base(draft.package)
    documents = () if new else (place + anatomy.ORIGINAL + anatomy.PREMIS, place + anatomy.ORIGINAL + anatomy.ROOT_METS)
    kept = [path for path, _digests in base.paths(place + anatomy.SUBMISSION)]
    for path in (*kept, *documents):
        hasher = Hasher(draft.algorithms)
        for chunk in base(path):
            hasher.update(chunk)
        draft.keep([(path, hasher.result())])


def _act(scribe: Scribe, package: PackageId, change: Change, reason: str) -> Event:
    if not change.touches_files:
        return scribe.description(package, f"description changed: {reason}")
    acts = {"added": [path.name for path in change.add], "replaced": change.replace, "removed": change.remove}
    told = "; ".join(f"{act}: {', '.join(paths)}" for act, paths in acts.items() if paths)
    return scribe.modification(package, f"{told}. {reason}")


def _still_told(events: Iterable[Event], worksheet: Worksheet) -> tuple[Event, ...]:
    """An event of files alone goes with the last of them; the versions in which it was there tell of it."""
    named = worksheet.events()
    return tuple(one for one in events if one.objects or one.id in named)


def submitted(package: PackageId, base: Reader) -> dict[str, bytes]:
    """The descriptions that came earlier, by name; one of the same name takes the place of an older one."""
    folder = anatomy.base(package) + anatomy.SUBMITTED
    return {path.removeprefix(folder): b"".join(base(path)) for path, _digests in base.paths(folder)}
