"""What another process does to a home until it is killed: python ingest_process.py HOME SUBMISSIONS NAME"""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path

from lantai.archive import Archive
from lantai.ingest import Given
from lantai.ingest.update import Change


def tell(*words: object) -> None:
    print(*words, flush=True)


def ignore(files: int, size: int) -> None:
    pass


def endless(home: Path, submissions: Path, name: str) -> None:
    """Small submissions, one after the other; each gets a second version. Package and version are told when stored."""
    with Archive(home, by="王芳") as archive:
        tell("ready")
        for number in count():
            folder = submissions / f"{name}-{number}"
            folder.mkdir()
            (folder / "活动方案.txt").write_text(f"plan {name} {number}\n", "utf-8")
            (folder / "照片").mkdir()
            for photo in range(3):
                (folder / "照片" / f"{photo}.jpg").write_bytes(b"\xff\xd8\xff\xe0" + f"{name}{number}{photo}".encode())
            done = archive.ingest(folder, given=Given(), access=None, progress=ignore)
            tell(done.package, done.version)
            made = archive.update(done.package, Change(title=f"{name} {number}"), reason="titled", progress=ignore)
            tell(done.package, made.version)


if __name__ == "__main__":
    endless(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
