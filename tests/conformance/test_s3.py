"""The shared suite on real S3 servers, and what is S3's alone."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import cache
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest

from lantai.digest import digest_of
from lantai.errors import Damaged, NotFound, StoreUnavailable
from lantai.storage import Body, Bucket
from lantai.storage.s3 import S3Store
from lantai.storage.s3.client import Client
from lantai.storage.s3.upload import pieces
from tests.conformance.store import Fresh, StoreSuite, fill, keys, of, read
from tests.services import Server, bucket, client, keyed

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PART = 5 << 20
"""Bytes: the least that S3 takes as a part."""


def place(server: Server, prefix: str = "archive/", **how: bool) -> Bucket:
    return Bucket(bucket(server, **how), prefix, server.endpoint_url, server.region, connections=4)


class TestS3(StoreSuite):
    often = 6

    @pytest.fixture
    def fresh(self, server: Server) -> Fresh:
        """One bucket, and a prefix of its own for each store: a bucket takes longer than a test."""
        name = _shared(server)
        return lambda: S3Store(
            Bucket(name, f"{uuid.uuid4().hex}/", server.endpoint_url, server.region, connections=4), part=PART
        )


@cache
def _shared(server: Server) -> str:
    return bucket(server)


class Watched(Client):
    """Remembers what was asked; fails where a test says so."""

    def __init__(self, bucket: Bucket, failing: str = "", at: int = 0) -> None:
        super().__init__(bucket, attempts=2, pause=lambda _seconds: None)
        self.asked: list[str] = []
        self._failing, self._at = failing, at

    def call(self, operation: str, key: str, /, **parameters: Any) -> Any:
        self.asked.append(operation)
        if operation == self._failing and self.asked.count(operation) == self._at:
            raise StoreUnavailable("the line is cut", subject=key, remedy="Try again.")
        return super().call(operation, key, **parameters)


@pytest.fixture
def raw(server: Server) -> Iterator[S3Client]:
    with closing(client(server)) as made:
        yield made


def uploads(raw: S3Client, name: str) -> Sequence[Any]:
    return raw.list_multipart_uploads(Bucket=name).get("Uploads", [])


LARGE = b"".join(bytes([number]) * (1 << 20) for number in range(23))


def test_an_upload_that_was_cut_sends_only_what_is_missing(server: Server, raw: S3Client) -> None:
    where = place(server)
    cut = Watched(where, "upload_part", 4)
    with pytest.raises(StoreUnavailable):
        S3Store(where, part=PART, client=cut).put("a/film", of(LARGE), algorithms=())
    assert keys(S3Store(where)) == []
    [upload] = uploads(raw, where.name)
    there = len(raw.list_parts(Bucket=where.name, Key="archive/a/film", UploadId=upload["UploadId"])["Parts"])
    assert there >= 1
    again = Watched(where)
    said = S3Store(where, part=PART, client=again).put("a/film", of(LARGE), algorithms=("sha256",))
    assert said == digest_of(LARGE, ("sha256",))
    assert again.asked.count("upload_part") == 5 - there
    assert read(S3Store(where), "a/film") == LARGE
    assert uploads(raw, where.name) == []


def test_other_bytes_do_not_take_up_what_was_sent(server: Server) -> None:
    where = place(server)
    with pytest.raises(StoreUnavailable):
        S3Store(where, part=PART, client=Watched(where, "upload_part", 4)).put("a", of(LARGE), algorithms=())
    other = LARGE[::-1]
    S3Store(where, part=PART).put("a", of(other), algorithms=())
    assert read(S3Store(where), "a") == other


def test_a_contradicted_upload_leaves_no_parts(server: Server, raw: S3Client) -> None:
    where = place(server)
    store = S3Store(where, part=PART)
    with pytest.raises(Damaged):
        store.put("a", of(LARGE), algorithms=(), expect=digest_of(b"other", ("sha256",)))
    assert keys(store) == []
    assert uploads(raw, where.name) == []


def test_delete_ends_uploads_of_a_key_and_below_it(server: Server, raw: S3Client) -> None:
    where = place(server)
    for key in ("a/b", "a/b/c", "a/bc"):
        raw.create_multipart_upload(Bucket=where.name, Key=f"archive/{key}")
    S3Store(where).delete("a/b")
    assert [upload["Key"] for upload in uploads(raw, where.name)] == ["archive/a/bc"]


def test_an_upload_ended_by_another_says_so(server: Server, raw: S3Client) -> None:
    where = place(server)

    def body() -> Iterator[bytes]:
        yield LARGE[: 2 * PART]
        S3Store(where).delete("a")
        yield LARGE[2 * PART :]

    with pytest.raises(StoreUnavailable):
        S3Store(where, part=PART).put("a", body, algorithms=())
    assert keys(S3Store(where)) == []


def all_at_once(where: Bucket, bodies: Sequence[Body]) -> None:
    start = Barrier(len(bodies))

    def write(body: Body) -> None:
        store = S3Store(where, part=PART)
        assert store.properties.create_only
        start.wait()
        store.put("a", body, algorithms=())

    with ThreadPoolExecutor(len(bodies)) as threads:
        for _done in threads.map(write, bodies):
            pass


@pytest.mark.parametrize("datas", [[LARGE] * 4, [LARGE, LARGE[::-1], LARGE[: 2 * PART], LARGE]], ids=["same", "other"])
def test_many_may_put_one_large_key(server: Server, datas: Sequence[bytes]) -> None:
    """As whoever finishes a version does, with the inventory of it. Each succeeds, and one of them is what is there."""
    where = place(server)
    for _turn in range(3):
        all_at_once(where, [of(data) for data in datas])
        assert read(S3Store(where), "a") in datas


@pytest.mark.parametrize("other", [LARGE, LARGE[::-1], LARGE[PART:]], ids=["same", "other", "shorter"])
def test_an_upload_that_another_completed_is_begun_anew(server: Server, raw: S3Client, other: bytes) -> None:
    where = place(server)
    turns: list[int] = []

    def body() -> Iterator[bytes]:
        yield LARGE[: 2 * PART]
        turns.append(len(turns))
        if len(turns) == 1:
            S3Store(where, part=PART).put("a", of(other), algorithms=())
        yield LARGE[2 * PART :]

    said = S3Store(where, part=PART).put("a", body, algorithms=("sha256",))
    assert said == digest_of(LARGE, ("sha256",))
    assert len(turns) == 2
    assert read(S3Store(where), "a") == LARGE
    assert uploads(raw, where.name) == []


@pytest.mark.parametrize("replaced", [False, True], ids=["ended", "ended and replaced"])
def test_an_upload_that_another_ended_before_its_completion_is_begun_anew(
    server: Server, raw: S3Client, replaced: bool
) -> None:
    where = place(server)

    class Late(Watched):
        def call(self, operation: str, key: str, /, **parameters: Any) -> Any:
            if operation == "complete_multipart_upload" and operation not in self.asked:
                raw.abort_multipart_upload(Bucket=where.name, Key="archive/a", UploadId=parameters["UploadId"])
                if replaced:
                    S3Store(where, part=PART).put("a", of(LARGE[::-1]), algorithms=())
            return super().call(operation, key, **parameters)

    S3Store(where, part=PART, client=Late(where)).put("a", of(LARGE), algorithms=())
    assert read(S3Store(where), "a") == LARGE
    assert uploads(raw, where.name) == []


@pytest.mark.parametrize("other", [LARGE[::-1], LARGE[PART : 2 * PART + 1]], ids=["other", "too small"])
def test_an_upload_into_which_another_put_its_parts_is_begun_anew(server: Server, other: bytes) -> None:
    where = place(server)

    turns: list[int] = []

    class Cut(Exception): ...

    def breaks_off() -> Iterator[bytes]:
        yield other
        yield bytes(PART)
        raise Cut

    def body() -> Iterator[bytes]:
        yield LARGE
        turns.append(len(turns))
        if len(turns) == 1:
            with suppress(Cut):
                S3Store(where, part=PART).put("a", breaks_off, algorithms=())

    S3Store(where, part=PART).put("a", body, algorithms=())
    assert len(turns) == 2
    assert read(S3Store(where), "a") == LARGE


def test_what_was_put_may_be_replaced_at_once(server: Server) -> None:
    """By another, with something of another size, before it is looked at."""

    class Overtaken(Watched):
        def call(self, operation: str, key: str, /, **parameters: Any) -> Any:
            answer = super().call(operation, key, **parameters)
            if operation == "complete_multipart_upload" and self.asked.count(operation) == 1:
                S3Store(where).put(key, of(b"small"), algorithms=())
            return answer

    where = place(server)
    S3Store(where, part=PART, client=Overtaken(where)).put("a", of(LARGE), algorithms=())
    assert read(S3Store(where), "a") == LARGE


def test_a_completion_whose_answer_was_lost_counts(server: Server) -> None:
    class Losing(Watched):
        def call(self, operation: str, key: str, /, **parameters: Any) -> Any:
            answer = super().call(operation, key, **parameters)
            if operation == "complete_multipart_upload":
                raise StoreUnavailable("the line is cut", subject=key, remedy="Try again.")
            return answer

    where = place(server)
    store = S3Store(where, part=PART, client=Losing(where))
    assert store.put("a", of(LARGE), algorithms=("sha256",)) == digest_of(LARGE, ("sha256",))
    assert read(store, "a") == LARGE


def test_what_is_created_may_be_larger_than_a_part(server: Server) -> None:
    store = S3Store(place(server), part=PART)
    store.create("inventory", of(LARGE[:PART], LARGE[PART:]))
    assert read(store, "inventory") == LARGE
    store.create("inventory", of(LARGE))


def test_a_list_goes_on_over_pages(server: Server) -> None:
    store = S3Store(place(server))
    names = tuple(f"a/{number:04d}" for number in range(60))
    fill(store, names)
    assert keys(store) == list(names)
    assert keys(store, "a/", "a/0009") == list(names[10:])


def test_what_lies_beside_the_prefix_is_not_seen(server: Server, raw: S3Client) -> None:
    where = place(server)
    for name in ("archive", "archiveb", "archive/", "other/x", "archive//y", "archive/.tmp/z"):
        raw.put_object(Bucket=where.name, Key=name, Body=b"x")
    store = S3Store(where)
    store.put("a", of(b"x"), algorithms=())
    assert keys(store) == ["a"]


def test_a_store_without_a_prefix(server: Server) -> None:
    store = S3Store(place(server, ""))
    fill(store, ("a", "b/c"))
    assert keys(store) == ["a", "b/c"]


def test_a_server_that_replaces_is_not_written_to(
    ceph_server: Server, raw: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = place(keyed(ceph_server, monkeypatch), versioning=True)
    store = S3Store(where)
    assert not store.properties.create_only
    for write in (lambda: store.put("a", of(b"x"), algorithms=()), lambda: store.create("a", of(b"x"))):
        with pytest.raises(StoreUnavailable, match="versioning"):
            write()
    assert keys(store) == []


def test_a_bucket_that_is_not_there(server: Server) -> None:
    store = S3Store(Bucket("no-such-bucket", "", server.endpoint_url, server.region))
    with pytest.raises(StoreUnavailable, match="no such bucket"):
        keys(store)


def test_wrong_keys_are_told_from_a_missing_right(ceph_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    where = place(keyed(ceph_server, monkeypatch))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(StoreUnavailable, match="secret key"):
        keys(S3Store(where))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    with pytest.raises(StoreUnavailable, match="access key"):
        keys(S3Store(where))


def test_nobody_at_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    where = Bucket("b", "", "http://127.0.0.1:9", "us-east-1")
    with pytest.raises(StoreUnavailable, match="does not answer"):
        S3Store(where, client=Client(where, attempts=2, pause=lambda _seconds: None)).stat("a")


def test_parts_grow_so_that_ten_thousand_are_enough() -> None:
    sizes = [len(piece) for piece in pieces((b"x" * 10 for _chunk in range(1050)), part=4)]
    assert sizes[:1000] == [4] * 1000
    assert sizes[1000:1812] == [8] * 812
    assert sum(sizes) == 10_500
    assert [*pieces((), part=4)] == [b""]
    # In numbers of the real part: 10,000 parts hold more than the 5 TiB that S3 takes.
    assert sum(1000 * (8 << 20 << thousand) for thousand in range(10)) > 5 << 40


def test_what_is_not_there_is_named(server: Server) -> None:
    with pytest.raises(NotFound):
        S3Store(place(server)).open("a")
