"""What commands print with --json: objects of plain values. Keys are fixed; more may come, none is renamed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, TypeAlias

from ..catalog import Check, Copy, FileRow, PackageRow, RecordHit, RecordRow, RemoteHit
from ..errors import Fault, LantaiError
from ..model import Agent, DateSpan, Decision, Description, Entry, Event, Format, Version
from ..reports.fixity import DAY, SLICES, YEARS, FixityReport, Kept, StoreFixity

Object: TypeAlias = dict[str, Any]


def moment(at: datetime) -> str:
    """UTC, whole seconds, RFC 3339."""
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def finding(one: Fault) -> Object:
    return {"code": one.code, "subject": one.subject, "message": one.message}


def findings(found: Iterable[Fault]) -> Object:
    """Split into what refuses and what only warns."""
    found = list(found)
    return {
        "errors": [finding(one) for one in found if one.fatal],
        "warnings": [finding(one) for one in found if not one.fatal],
    }


def error(error: LantaiError) -> Object:
    return {
        "error": {
            "kind": type(error).__name__, "what": error.what, "subject": error.subject, "remedy": error.remedy,
        }
    }  # fmt: skip


def package(row: PackageRow) -> Object:
    return {
        "package": row.id,
        "title": row.title,
        "level": row.level,
        "reference_code": row.reference_code,
        "created": moment(row.created),
        "version": row.version,
        "files": row.files,
        "bytes": row.bytes,
        "formats": dict(row.formats),
        "access": {"shown": row.access.shown, "since": moment(row.access.since)},
        "submission": row.submission,
    }


def version(one: Version, copies: Iterable[Copy]) -> Object:
    return {
        "version": one.number, "created": moment(one.at), "by": one.by, "reason": one.reason,
        "stores": [{"store": c.store, "since": moment(c.since)} for c in copies if c.number == one.number],
    }  # fmt: skip


def decision(one: Decision) -> Object:
    return {
        "decision": one.id, "shown": one.shown, "since": moment(one.since), "ground": one.ground, "clause": one.clause,
        "at": moment(one.at), "by": one.by, "reason": one.reason, "replaces": list(one.replaces),
    }  # fmt: skip


def check(one: Check) -> Object:
    return {
        "store": one.store, "level": one.level, "at": moment(one.at), "valid": one.valid, "software": one.software,
    }  # fmt: skip


def event(one: Event, agents: Mapping[str, Agent]) -> Object:
    return {
        "event": one.id,
        "type": one.kind,
        "at": moment(one.at),
        "outcome": one.outcome,
        "detail": one.detail,
        "agents": [_agent(agents[id]) if id in agents else {"agent": id} for id in one.agents],
        "object": one.objects,
    }


def _agent(one: Agent) -> Object:
    return {"agent": one.id, "type": one.kind, "name": one.name, "version": one.version}


def description(one: Description) -> Object:
    return {
        "level": one.level,
        "elements": [
            {"term": e.term, "value": e.value, "language": e.language, "scheme": e.scheme} for e in one.elements
        ],
        "dates": [_date(span) for span in one.dates],
        "extents": [{"number": extent.number, "unit": extent.unit} for extent in one.extents],
    }


def _date(span: DateSpan) -> Object:
    return {
        "text": span.text,
        "earliest": span.earliest.isoformat() if span.earliest else None,
        "latest": span.latest.isoformat() if span.latest else None,
        "approximate": span.approximate,
        "edtf": span.edtf,
    }


def record(row: RecordRow) -> Object:
    return {
        "record": row.id,
        "package": row.package,
        "title": row.description.title,
        "reference_code": row.reference_code,
        "parent": row.parent,
        **description(row.description),
        "paths": list(row.paths),
        "files": row.files,
        "children": row.children,
    }


def file(row: FileRow) -> Object:
    one = row.file
    return {
        "file": one.id,
        "package": row.package,
        "record": row.record,
        "path": one.path,
        "original_name": one.original_name,
        "size": one.digests.size,
        "digests": dict(one.digests.values),
        "formats": [format(answer) for answer in one.formats],
        "modified": moment(one.modified) if one.modified else None,
    }


def format(answer: Format) -> Object:
    return {
        "puid": answer.puid,
        "name": answer.name,
        "version": answer.version,
        "mime": answer.mime,
        "basis": answer.basis,
        "warning": answer.warning,
        "tool": answer.tool,
        "signature": answer.signature,
    }


def hit(one: RecordHit) -> Object:
    return {
        "record": one.id,
        "package": one.package,
        "title": one.title,
        "level": one.level,
        "reference_code": one.reference_code,
        "path": one.path,
        "snippet": one.snippet.text if one.snippet else None,
        "withdrawn": one.withdrawn,
    }


def remote_hit(one: RemoteHit) -> Object:
    """As a hit, with the source it was gathered from; record is its identifier there."""
    return {
        "record": one.identifier, "package": None, "title": one.title, "level": None, "reference_code": None,
        "path": None, "snippet": one.snippet.text if one.snippet else None, "withdrawn": False, "source": one.source,
    }  # fmt: skip


def withdrawal(entry: Entry, row: RecordRow | None) -> Object:
    """row None: the catalogue does not know the record."""
    return {
        "record": entry.subject,
        "package": row.package if row else None,
        "title": row.description.title if row else None,
        "level": row.description.level if row else None,
        "reference_code": row.reference_code if row else None,
        "at": moment(entry.at),
        "by": entry.by.name,
        "reason": entry.state["reason"],
    }


def fixity_report(one: FixityReport) -> Object:
    faults = one.faults
    return {
        "at": moment(one.at), "level": one.level, "kept": one.kept, "stores": [_fixity(store) for store in one.stores],
        "bytes_per_second": one.speed,
        "history": [{"from": s.begin.isoformat(), "passed": s.passed, "failed": s.failed} for s in one.history],
        "loss": {
            "years": YEARS, "likelihood": one.lost, "packages_a_year": one.lost_a_year,
            "copies": [_kept(kept) for kept in one.copies], "fewer_copies_than_promised": one.short,
            "latent_faults_a_year": faults.latent, "visible_faults_a_year": faults.visible,
            "correlation": faults.alpha, "repair_days": faults.repair / DAY,
        },
    }  # fmt: skip


def _fixity(one: StoreFixity) -> Object:
    return {
        "store": one.store, "promise_days": one.promise / DAY, "kept": one.kept, "packages": one.packages,
        "never_checked": one.never, "overdue": one.overdue, "failing": one.failing,
        "checked_last_30_days": one.recent, "oldest_check": moment(one.oldest) if one.oldest else None,
        "longest_wait_days": one.waiting / DAY, "packages_a_day": one.per_day,
        "round_days": one.round / DAY if one.round is not None else None,
        "ages": [
            {"from_days": at * one.promise / SLICES / DAY, "packages": count} for at, count in enumerate(one.ages)
        ],
    }  # fmt: skip


def _kept(one: Kept) -> Object:
    return {
        "stores": list(one.stores), "packages": one.packages,
        "likelihood": one.loss.within(YEARS) if one.loss else None,
        "mean_years_to_loss": one.loss.mean if one.loss else None,
    }  # fmt: skip
