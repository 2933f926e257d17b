"""metadata.csv: one row for the whole, and one for each part, in Archivematica's convention with Chinese headings.

UTF-8 with byte order mark and CRLF, as WPS and Excel save it. A column stands twice where a part has two values.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

HEADINGS = (
    *("filename", "层级", "题名", "责任者", "摄制者", "日期", "档号", "文号", "主题词", "主题词"),
    *("人物", "地点", "描述", "数量", "时长", "保管期限", "密级", "语种"),
)
OFFICE = "云岭县文化和旅游局"
PERMANENT = "永久"


@dataclass(frozen=True, slots=True)
class Part:
    """A described part of the submission. path: of a file or folder, "" for the whole; made: when the file was written,
    None for a folder; make writes it.
    """

    path: str
    level: str
    title: str
    date: str
    description: str
    creator: str = OFFICE
    code: str = ""
    number: str = ""
    subjects: tuple[str, ...] = ()
    persons: str = ""
    place: str = ""
    recorder: str = ""
    made: datetime | None = None
    make: Callable[[Path], None] | None = None

    def row(self, amount: str, duration: str) -> list[str]:
        first, second = (*self.subjects, "", "")[:2]
        return [
            *(self.path, self.level, self.title, self.creator, self.recorder, self.date, self.code, self.number),
            *(first, second, self.persons, self.place, self.description, amount, duration, PERMANENT, "公开", "zh"),
        ]


def write(path: Path, rows: Iterable[list[str]]) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([HEADINGS, *rows])
