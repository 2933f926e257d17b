"""An ingest that was broken off: the next one of the same submission sends only what is not there."""

from __future__ import annotations

import random
import shutil
import signal
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from lantai.storage.ocfl import draft
from lantai.storage.s3 import upload
from tests.conformance.objects import keys
from tests.faults.test_backends import Place, heads, judged, place, processes, read_whole
from tests.integration.command import folder
from tests.services import client

__all__ = ["place", "processes"]  # fixtures

MANY = 200


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was stored is noted without delay, where that takes a sync; children are forked from another process."""
    monkeypatch.setattr(draft, "_LOG_EVERY", 0.0)
    monkeypatch.setattr(draft, "_SYNC_SHARE", 0.0)


def photographs(where: Path, many: int = MANY) -> Path:
    files: dict[str, str | bytes] = {f"照片/{number:03d}.jpg": f"\xff\xd8\xff {number}\n" for number in range(many - 1)}
    return folder(where, {**files, "目录.txt": "the list\n"})


def broken_off(place: Place, submission: Path, *, at: int) -> None:
    """The store is gone before its at-th change; nothing is removed."""
    store = type(place.root.store)
    put, left = store.put, iter(range(at))

    def failing(self: object, *arguments: object, **more: object) -> object:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return put(self, *arguments, **more)  # type: ignore[arg-type]

    with mock.patch.object(store, "put", failing):
        done = place.lantai("ingest", submission, "--json")
    assert done.code == 130
    assert "goes on where this one stopped" in done.err


def sent(place: Place, submission: Path) -> tuple[dict[str, object], int]:
    """The answer to the next ingest, and how many payload files it put."""
    store = type(place.root.store)
    put, payload = store.put, []

    def counting(self: object, key: str, *arguments: object, **more: object) -> object:
        payload.extend([key] * ("/representations/original/data/" in key))
        return put(self, key, *arguments, **more)  # type: ignore[arg-type]

    with mock.patch.object(store, "put", counting):
        done = place.lantai("ingest", submission, "--json")
    assert done.code == 0, done
    return done.object, len(payload)


def whole(place: Place, package: str, submission: Path, copy: Path) -> None:
    """Every file is there, nothing else is, and judges agree."""
    stored = read_whole(place.root, package, 1)
    marker = "/representations/original/data/"
    found = {path.partition(marker)[2]: data for path, data in stored.items() if marker in path}
    given = {one.relative_to(submission).as_posix(): one.read_bytes() for one in submission.rglob("*") if one.is_file()}
    assert found == given
    assert keys(place.root.store, "staging/") == []
    judged(place.root, copy)
    assert [one["valid"] for one in place.lantai("validate", "--json").objects] == [True]


def test_the_next_ingest_sends_only_what_is_not_there(place: Place, tmp_path: Path) -> None:
    submission = photographs(tmp_path / "records")
    broken_off(place, submission, at=150)
    assert place.lantai("list", "--json").objects == []
    assert place.lantai("ingest", folder(tmp_path / "other", {"a.txt": "other\n"})).code == 0
    (submission / "照片" / "000.jpg").write_bytes(b"\xff\xd8\xff another")  # the package holds what is there now
    before = heads(place.root)
    told, put = sent(place, submission)
    assert told["reused"] == MANY - put
    assert 30 <= MANY - put < 150
    (package,) = heads(place.root).keys() - before
    assert package == told["package"]
    assert place.lantai("show", package, "--json").object["files"] == MANY
    stored = read_whole(place.root, package, 1)
    assert b"\xff\xd8\xff another" in stored.values()
    assert keys(place.root.store, "staging/") == []
    judged(place.root, tmp_path / "copy")


def test_it_may_be_broken_off_again_and_again(place: Place, tmp_path: Path) -> None:
    submission = photographs(tmp_path / "records")
    for at in (80, 60, 40):
        broken_off(place, submission, at=at)
    told, put = sent(place, submission)
    assert put < MANY - 30
    whole(place, str(told["package"]), submission, tmp_path / "copy")
    assert place.lantai("ingest", submission, "--json").object["status"] == "present"


@pytest.mark.parametrize("older_than", ["24h", "0"])
def test_a_clean_removes_it_when_it_is_old(place: Place, tmp_path: Path, older_than: str) -> None:
    submission = photographs(tmp_path / "records")
    before = keys(place.root.store)
    broken_off(place, submission, at=150)
    assert place.lantai("clean", "--older-than", older_than).code == 0
    if older_than == "0":
        left = keys(place.root.store)  # and that it was cleaned
        assert [key for key in left if not key.startswith("journal/")] == before
    told, put = sent(place, submission)
    assert (put == MANY) == (older_than == "0") == ("reused" not in told)
    whole(place, str(told["package"]), submission, tmp_path / "copy")


def test_a_process_that_was_killed_is_gone_on_with(place: Place, tmp_path: Path) -> None:
    """As above, with a death that tidies nothing up. What 16 connections have in hand, 33 tasks of 8 files, need not be
    noted. A file system notes only after seconds what is on stable storage: then all is sent again.
    """
    many = 500
    submission = photographs(tmp_path / "records", many)
    words = ["ingest", str(submission), "--json"]
    killed = place.run("killed", words, at=400)
    assert killed.join() == -signal.SIGKILL
    told, put = sent(place, submission)
    assert put < many if place.server else put == many
    whole(place, str(told["package"]), submission, tmp_path / "copy")


def test_a_large_file_goes_on_by_its_parts(place: Place, tmp_path: Path) -> None:
    """In a file system it is put anew; in S3 the parts that are there are not sent again."""
    if place.server is None:
        pytest.skip("only S3 keeps the parts of what was broken off")
    parts = 6
    submission = folder(tmp_path / "records", {"录像.bin": random.Random(5).randbytes(upload.PART * parts - 5)})
    part, left = upload.Multipart._part, iter(range(4))

    def failing(self: upload.Multipart, *arguments: object) -> object:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return part(self, *arguments)  # type: ignore[arg-type]

    with mock.patch.object(upload.Multipart, "_part", failing):
        assert place.lantai("ingest", submission, "--json").code == 130
    with closing(client(place.server)) as raw:
        (begun,) = raw.list_multipart_uploads(Bucket=place.bucket)["Uploads"]
        there = raw.list_parts(Bucket=place.bucket, Key=begun["Key"], UploadId=begun["UploadId"])["Parts"]
    assert len(there) >= 3
    call, asked = upload.Multipart._call, []

    def counting(self: upload.Multipart, operation: str, *more: Any, **parameters: Any) -> object:
        asked.extend([operation] * (operation == "upload_part"))
        return call(self, operation, *more, **parameters)

    with mock.patch.object(upload.Multipart, "_call", counting):
        done = place.lantai("ingest", submission, "--json")
    assert done.code == 0, done
    assert len(asked) == parts - len(there)
    whole(place, done.object["package"], submission, tmp_path / "copy")
    with closing(client(place.server)) as raw:
        assert "Uploads" not in raw.list_multipart_uploads(Bucket=place.bucket)


def test_of_an_archive_what_was_stored_counts_while_the_file_is_the_same(place: Place, tmp_path: Path) -> None:
    submission = photographs(tmp_path / "records")
    file = Path(shutil.make_archive(str(tmp_path / "移交"), "zip", submission))
    broken_off(place, file, at=150)
    told, put = sent(place, file)
    assert told["reused"] == MANY - put
    assert put < MANY - 30
    whole(place, str(told["package"]), submission, tmp_path / "copy")
