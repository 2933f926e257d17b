"""The open files of a record, however many they are, where formats tell only how many: a JSON object a line
(docs/oai-formats.md). Pure.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from ..metadata.mets import FILES
from ..metadata.xml import legible
from ..model import FileId, PayloadFile
from . import Records, Repository

MEDIA_TYPE = FILES
_TOGETHER = 5_000
"""Files in an answer at most."""


class BadList(Exception):
    """What was asked for is no list of files; its text says why."""


class NoList(Exception):
    """There is none, be it that the record is closed, deleted, not there, or open without its files."""


def address(base_url: str, identifier: str) -> str:
    """Where the files of the record with that oai-identifier are listed."""
    return f"{base_url.rstrip('/')}/files?identifier={identifier}"


def listed(
    arguments: Sequence[tuple[str, str]], records: Records, *, repository: Repository, at: int
) -> bytes:  # fmt: skip
    """A line for each file; where others follow, at the end where those are. arguments: identifier, and perhaps after,
    as such a line has them; at: the responseDate. BadList, NoList.
    """
    given = dict(arguments)
    if len(given) < len(arguments):
        raise BadList("An argument is repeated.")
    if "identifier" not in given or given.keys() - {"identifier", "after"}:
        raise BadList("A list of files takes an identifier, and perhaps after.")
    after = FileId(given["after"]) if "after" in given else None
    record = repository.record(given["identifier"])
    page = records.files(record, at, after, _TOGETHER, _line) if record else None
    if page is None:
        raise NoList("There is no such list of files.")
    if not page.more or page.last is None:
        return page.rows
    onward = f"{address(repository.base_url, given['identifier'])}&after={page.last[1]}"
    return page.rows + _json({"next": onward})


def _line(file: PayloadFile) -> bytes:
    answer = file.formats[0] if file.formats else None
    form = answer and {"puid": answer.puid, "name": answer.name, "version": answer.version, "mime": answer.mime}
    told = {
        "file": file.id, "name": legible(file.original_name), "size": file.digests.size,
        "digests": dict(file.digests.values), "format": form,
    }  # fmt: skip
    return _json(told)


def _json(told: object) -> bytes:
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"
