"""S3 over a bad line and on a bad server, by a proxy between the two: what helps is done again and ends well, what does
not is told at once, and in neither case is anything lost or half there.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from hashlib import md5
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from lantai.errors import NotFound, StoreUnavailable
from lantai.storage import Bucket, promises
from lantai.storage.ocfl import Root
from lantai.storage.s3 import S3Store
from lantai.storage.s3.client import Client
from tests.conformance.objects import PACKAGE, Files, home, lay, swept, write
from tests.conformance.objects import read as read_version
from tests.conformance.store import keys, of, read
from tests.integration.command import Lantai, folder
from tests.services import Server, bucket, client, keyed
from tests.services.proxy import (
    ALWAYS,
    EVERY_OTHER,
    Answer,
    Exchange,
    Fault,
    Proxy,
    answering,
    changed_answer,
    changed_request,
    cut,
    cut_in_answer,
    cut_in_head,
    cut_in_request,
    failing_with_200,
    lost,
    proxied,
    refusing,
    silent,
    silent_afterwards,
    whole_for_range,
)  # fmt: skip

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PART = 5 << 20
SMALL, OLD = b"small " * 1000, b"old"
LARGE = b"".join(bytes([number]) * (1 << 20) for number in range(11))
PREFIX = "archive/"


@dataclass(frozen=True, slots=True)
class Line:
    """A store, the proxy before its server, and a way past the proxy."""

    store: S3Store
    proxy: Proxy
    raw: S3Client

    @property
    def bucket(self) -> str:
        return self.store.bucket.name

    def there(self) -> Mapping[str, bytes]:
        """What lies in the bucket, by key, but for the probe's own."""
        found = self.raw.list_objects_v2(Bucket=self.bucket, Prefix=PREFIX).get("Contents", [])
        names = [one["Key"] for one in found if not one["Key"].startswith(f"{PREFIX}.tmp/")]
        return {
            name.removeprefix(PREFIX): self.raw.get_object(Bucket=self.bucket, Key=name)["Body"].read()
            for name in names
        }

    def uploads(self) -> int:
        """Uploads that were begun and not ended."""
        return len(self.raw.list_multipart_uploads(Bucket=self.bucket).get("Uploads", []))


Lines = Callable[..., Line]


@pytest.fixture(scope="module")
def made() -> Iterator[tuple[ExitStack, dict[object, Line]]]:
    with ExitStack() as opened:
        yield opened, {}


@pytest.fixture
def line(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, made: tuple[ExitStack, dict[object, Line]]
) -> Lines:
    """Makes one to "moto", "ceph" or "encrypting", how: of Bucket and Client; or takes one that a test has used, since
    it costs more to make than the test. Its server was probed, its bucket is empty, nothing is wrong with it.
    """
    opened, lines = made

    def make(name: str = "moto", **how: int) -> Line:
        kind = "moto" if name == "encrypting" else name
        server = keyed(request.getfixturevalue(f"{kind}_server"), monkeypatch)
        key = (name, *how.items())
        if key not in lines:
            lines[key] = _made(encrypting(server, opened) if name == "encrypting" else server, opened, **how)
        found = lines[key]
        found.proxy.calm()
        for stored in found.there():
            found.raw.delete_object(Bucket=found.bucket, Key=PREFIX + stored)
        for upload in found.raw.list_multipart_uploads(Bucket=found.bucket).get("Uploads", []):
            found.raw.abort_multipart_upload(Bucket=found.bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        return found

    return make


def _made(
    server: Server, opened: ExitStack, *, connections: int = 4, attempts: int = 3, patience: float = 60.0
) -> Line:
    proxy = opened.enter_context(proxied(server))
    where = Bucket(bucket(server), PREFIX, proxy.server.endpoint_url, server.region, connections=connections)
    store = S3Store(where, part=PART, client=Client(where, attempts=attempts, pause=_not, patience=patience))
    assert store.properties.create_only
    return Line(store, proxy, opened.enter_context(closing(client(server))))


def encrypting(server: Server, opened: ExitStack) -> Server:
    """One whose ETags are no MD5, as where objects are encrypted: here they are the MD5 written backwards."""

    def backwards(exchange: Exchange) -> None:
        data = exchange.body()
        if exchange.command == "POST":  # the parts of an upload
            data = re.sub(rb"[0-9a-f]{32}", lambda found: found[0][::-1], data)
        if "If-Match" in exchange.headers:
            exchange.headers.replace_header("If-Match", exchange.headers["If-Match"][::-1])
        answer = exchange.forward(data)
        headers = {name: value[::-1] if name.lower() == "etag" else value for name, value in answer.headers.items()}
        exchange.answer(replace(answer, headers=headers))

    proxy = opened.enter_context(proxied(server))
    proxy.on("", backwards, ALWAYS)
    return proxy.server


def _not(_seconds: float) -> None:
    pass


# --- writes: each kind, and what can become of it


@dataclass(frozen=True, slots=True)
class Write:
    """asked: its requests, those that change something; kept: what is then stored."""

    do: Callable[[S3Store], object]
    asked: str
    kept: Mapping[str, bytes]
    requests: int = 1
    before: Callable[[Line], object] = lambda _line: None


def begun(line: Line) -> None:
    line.raw.create_multipart_upload(Bucket=line.bucket, Key=f"{PREFIX}a/b")


def prefilled(line: Line) -> None:
    line.raw.put_object(Bucket=line.bucket, Key=f"{PREFIX}a", Body=OLD)


WRITES = {
    "put": Write(lambda store: store.put("a", of(SMALL), algorithms=()), "^PUT", {"a": SMALL}),
    "put again": Write(lambda store: store.put("a", of(SMALL), algorithms=()), "^PUT", {"a": SMALL}, before=prefilled),
    "create": Write(lambda store: store.create("a", of(SMALL)), "^PUT", {"a": SMALL}),
    "large create": Write(lambda store: store.create("a", of(LARGE[:PART], LARGE[PART:])), "^PUT", {"a": LARGE}),
    "large put": Write(
        lambda store: store.put("a", of(LARGE), algorithms=()), "^(POST|PUT)", {"a": LARGE}, requests=1 + 3 + 1
    ),
    "delete": Write(lambda store: store.delete("a"), "^DELETE", {}, before=prefilled),
    "abort": Write(lambda store: store.delete("a"), "^DELETE .*uploadId=", {}, before=begun),
}

PASSING: Mapping[str, Fault] = {
    "500": refusing(500, "InternalError"),
    "503 before the body": refusing(503, "SlowDown", early=True),
    "409": refusing(409, "ConditionalRequestConflict"),
    "502 of a gateway": answering(Answer(502, {"Content-Type": "text/html"}, b"<h1>Bad Gateway<hr>")),
    "cut": cut,
    "cut in the request": cut_in_request,
    "cut in the answer": cut_in_head,
    "stored, answer lost": lost,
}
ON_CEPH = ("cut in the request", "stored, answer lost")


def seen(kind: str) -> int:
    """Requests of which it is seen, and not asked again, whether they took effect: the completion of an upload."""
    return 1 if kind == "large put" else 0


@pytest.mark.parametrize("kind", WRITES)
@pytest.mark.parametrize(
    ("server", "fault"), [*(("moto", one) for one in PASSING), *(("ceph", one) for one in ON_CEPH)]
)
def test_a_write_that_failed_is_done_again(line: Lines, server: str, fault: str, kind: str) -> None:
    one, write = line(server), WRITES[kind]
    write.before(one)
    one.proxy.on(write.asked, PASSING[fault])
    write.do(one.store)
    if fault != "cut in the answer":  # of some it is enough to have heard how they went
        assert one.proxy.count(write.asked) >= 2 * write.requests - seen(kind)
    one.proxy.calm()
    assert one.there() == write.kept
    assert one.uploads() == 0
    for key, data in write.kept.items():
        assert read(one.store, key) == data


@pytest.mark.parametrize("kind", ["put", "create", "large put", "abort"])
@pytest.mark.parametrize("fault", [silent, silent_afterwards], ids=["unheard", "heard"])
def test_a_server_that_says_nothing_is_asked_again(line: Lines, fault: Fault, kind: str) -> None:
    one, write = line(patience=1, attempts=7), WRITES[kind]
    write.before(one)
    one.proxy.on(write.asked, fault)
    write.do(one.store)
    assert one.proxy.count(write.asked) >= 2 * write.requests - seen(kind)
    one.proxy.calm()
    assert one.there() == write.kept
    assert one.uploads() == 0


def test_a_completion_may_fail_after_it_was_told_200(line: Lines) -> None:
    one = line()
    one.proxy.on(r"^POST .*uploadId=", failing_with_200)
    one.store.put("a", of(LARGE), algorithms=())
    assert one.there() == {"a": LARGE}


@pytest.mark.parametrize("server", ["moto", "ceph"])
@pytest.mark.parametrize("kind", ["put", "put again", "create", "large create", "large put"])
def test_a_write_that_never_arrives_whole_leaves_what_was(line: Lines, server: str, kind: str) -> None:
    one, write = line(server), WRITES[kind]
    write.before(one)
    before = one.there()
    one.proxy.on(r"^PUT", cut_in_request, ALWAYS)
    with pytest.raises(StoreUnavailable, match="does not answer"):
        write.do(one.store)
    assert one.proxy.count(r"^PUT .*/a(\?.*partNumber=1)?$") == 3
    assert one.there() == before
    assert set(keys(one.store)) == set(before)
    one.proxy.calm()
    write.do(one.store)
    assert one.there() == write.kept
    assert one.uploads() == 0


def test_each_attempt_has_the_whole_body(line: Lines) -> None:
    """One that the first attempt used up would be sent empty by the second."""
    one = line()
    begins: list[int] = []

    def once() -> Iterator[bytes]:
        begins.append(len(begins))
        yield from (LARGE[:PART], LARGE[PART:])

    one.proxy.on("^PUT", refusing(500, "InternalError"), (1, 2))
    one.store.create("a", once)
    assert len(begins) >= 3
    assert one.there() == {"a": LARGE}


def test_what_is_created_may_be_read_from_the_same_server(line: Lines) -> None:
    """With one connection it must not wait for itself: so a large inventory is committed, out of staging."""
    one = line(connections=1)
    one.store.put("staged", of(LARGE), algorithms=())
    stream = lambda: Root(one.store).chunks("staged")
    threads = ThreadPoolExecutor(1)
    try:
        threads.submit(one.store.create, "a", stream).result(timeout=120)
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
    assert one.there()["a"] == LARGE


def test_a_server_that_contradicts_itself_is_not_asked_for_ever(line: Lines) -> None:
    one = line()
    one.proxy.on("^PUT", refusing(412, "PreconditionFailed"), ALWAYS)
    with pytest.raises(StoreUnavailable, match="that it is not"):
        one.store.create("a", of(SMALL))
    assert one.proxy.count("^PUT") == 3


# --- what no attempt mends

TOLD_AT_ONCE = {
    (403, "RequestTimeTooSkewed"): ("clocks", "Set the clock"),
    (400, "ExpiredToken"): ("expired", "Renew"),
    (403, "AccessDenied"): ("permission", "right to read"),
    (403, "InvalidAccessKeyId"): ("access key", "credentials"),
    (403, "SignatureDoesNotMatch"): ("secret key", "credentials"),
    (403, "QuotaExceeded"): ("quota", "larger quota"),
    (404, "NoSuchBucket"): ("no such bucket", "Make it"),
}

CALLS: Mapping[str, Callable[[S3Store], object]] = {
    **{name: WRITES[name].do for name in ("put", "create", "large create", "large put")},
    "open": lambda store: store.open("a"),
    "list": keys,
}
ALL: Mapping[str, Callable[[S3Store], object]] = {
    **CALLS, "stat": lambda store: store.stat("a"), "delete": lambda store: store.delete("a"),
}  # fmt: skip


@pytest.mark.parametrize(("refusal", "said"), TOLD_AT_ONCE.items(), ids=[code for _status, code in TOLD_AT_ONCE])
def test_what_no_attempt_mends_is_told_at_once(line: Lines, refusal: tuple[int, str], said: tuple[str, str]) -> None:
    one = line()
    one.proxy.on("", refusing(*refusal), ALWAYS)
    for call in CALLS.values():
        one.proxy.asked.clear()
        with pytest.raises(StoreUnavailable) as told:
            call(one.store)
        assert len(one.proxy.asked) == 1
        assert said[0] in told.value.what
        assert said[1] in told.value.remedy
        assert one.bucket in told.value.subject


@pytest.mark.parametrize(("status", "said"), [(403, "permission"), (400, "refused")])
def test_an_answer_without_words_is_told_as_what_it_may_be(line: Lines, status: int, said: str) -> None:
    one = line()
    one.proxy.on("^HEAD", refusing(status, "ExpiredToken"), ALWAYS)
    with pytest.raises(StoreUnavailable, match=said) as told:
        one.store.stat("a")
    assert one.proxy.count("/a$") == 1
    assert "server is well" not in told.value.remedy


@pytest.mark.parametrize("call", ALL)
def test_a_server_that_stays_ill_is_given_up(line: Lines, call: str) -> None:
    one = line()
    prefilled(one)
    one.proxy.on("", refusing(503, "SlowDown"), ALWAYS)
    with pytest.raises(StoreUnavailable, match="503") as told:
        ALL[call](one.store)
    assert len(one.proxy.asked) == 3
    assert "server is well" in told.value.remedy
    assert one.there() == {"a": OLD}


@pytest.mark.parametrize("server", ["moto", "ceph"])
def test_a_bucket_that_is_gone_is_not_an_empty_one(line: Lines, server: str) -> None:
    """A HEAD is answered with 404 for either; what is absent may be written anew, what is away may not."""
    one = line(server, connections=3)  # of its own, since it is lost
    with pytest.raises(NotFound):
        one.store.stat("a")
    for found in one.raw.list_objects_v2(Bucket=one.bucket)["Contents"]:
        one.raw.delete_object(Bucket=one.bucket, Key=found["Key"])
    one.raw.delete_bucket(Bucket=one.bucket)
    for call in ALL.values():
        with pytest.raises(StoreUnavailable, match="no such bucket"):
            call(one.store)


def test_only_a_server_of_s3_can_say_that_a_key_is_absent(line: Lines) -> None:
    one = line()
    prefilled(one)
    one.proxy.on("", answering(Answer(404, {"Content-Type": "text/html"}, b"<h1>default backend")), ALWAYS)
    for call in ALL.values():
        with pytest.raises(StoreUnavailable):
            call(one.store)


# --- reading


@pytest.mark.parametrize(("start", "stop"), [(0, None), (7, None), (1000, len(LARGE) - 1), (0, 400_000)])
def test_a_read_goes_on_where_it_broke(line: Lines, start: int, stop: int | None) -> None:
    one = line()
    one.raw.put_object(Bucket=one.bucket, Key=f"{PREFIX}a", Body=LARGE)
    one.proxy.on("^GET", cut_in_answer, (1, 2))
    assert read(one.store, "a", start, stop) == LARGE[start:stop]
    begins = [int(match[1]) if (match := re.search("bytes=(\\d+)-", asked)) else 0 for asked in one.proxy.asked]
    half = (len(LARGE[start:stop])) // 2
    assert begins == [start, start + half, start + half + (len(LARGE[start:stop]) - half) // 2]


@pytest.mark.parametrize("fault", [refusing(503, "SlowDown"), cut, cut_in_answer, cut_in_head])
def test_a_read_that_does_not_begin_or_a_list_is_asked_for_again(line: Lines, fault: Fault) -> None:
    one = line()
    for number in range(60):
        one.raw.put_object(Bucket=one.bucket, Key=f"{PREFIX}{number:02}", Body=SMALL)
    one.proxy.on("^(GET|HEAD)", fault)
    assert keys(one.store) == [f"{number:02}" for number in range(60)]
    assert read(one.store, "07") == SMALL
    assert one.store.stat("07").size == len(SMALL)


def test_a_line_that_always_breaks_gives_no_short_file(line: Lines) -> None:
    one = line()
    one.raw.put_object(Bucket=one.bucket, Key=f"{PREFIX}a", Body=SMALL)
    one.proxy.on("^GET", cut_in_answer, ALWAYS)
    with pytest.raises(StoreUnavailable, match="does not answer"):
        read(one.store, "a")


def test_a_read_never_goes_on_in_other_bytes(line: Lines) -> None:
    one = line()
    one.raw.put_object(Bucket=one.bucket, Key=f"{PREFIX}a", Body=LARGE)

    def replaced_meanwhile(exchange: Exchange) -> None:
        answer = exchange.forward()
        one.raw.put_object(Bucket=one.bucket, Key=f"{PREFIX}a", Body=LARGE[::-1])
        exchange.answer(answer, PART)
        exchange.cut()

    one.proxy.on("^GET", replaced_meanwhile)
    with pytest.raises(StoreUnavailable, match="replaced while"):
        read(one.store, "a")


@pytest.mark.parametrize(("start", "stop"), [(5, None), (0, 9), (5, 9)])
def test_the_whole_is_not_taken_for_a_range(line: Lines, start: int, stop: int | None) -> None:
    one = line()
    one.raw.put_object(Bucket=one.bucket, Key=f"{PREFIX}a", Body=SMALL)
    one.proxy.on("^GET", whole_for_range, ALWAYS)
    with pytest.raises(StoreUnavailable, match="another range"):
        read(one.store, "a", start, stop)
    assert read(one.store, "a") == SMALL


# --- bytes that change on their way


WITH_BYTES = ("put", "create", "large create", "large put")


@pytest.mark.parametrize(
    ("server", "kind"), [*(("moto", kind) for kind in WITH_BYTES[:-1]), *(("encrypting", kind) for kind in WITH_BYTES)]
)
def test_bytes_that_changed_on_their_way_do_not_stay(line: Lines, server: str, kind: str) -> None:
    """On a server that compares no digests its ETag tells, and where that is no MD5 either, they are read back."""
    one, write = line(server), WRITES[kind]
    one.proxy.on("^PUT", changed_request)
    with pytest.raises(StoreUnavailable, match="other bytes"):
        write.do(one.store)
    assert one.there() == {}
    assert one.uploads() == 0
    one.proxy.calm()
    write.do(one.store)
    assert one.there() == write.kept


@pytest.mark.parametrize(("server", "kind"), [*(("ceph", kind) for kind in WITH_BYTES), ("moto", "large put")])
def test_bytes_that_are_seen_to_arrive_changed_are_sent_again(line: Lines, server: str, kind: str) -> None:
    """By the server, or of a part by its ETag."""
    one, write = line(server), WRITES[kind]
    one.proxy.on("^PUT", changed_request)
    write.do(one.store)
    assert one.proxy.count("^PUT") == 2 * (write.requests - 2 if kind == "large put" else 1)
    assert one.there() == write.kept
    assert one.uploads() == 0


@pytest.mark.parametrize("kind", WITH_BYTES)
@pytest.mark.parametrize(("server", "reads"), [("ceph", False), ("moto", False), ("encrypting", True)])
def test_only_what_the_server_does_not_prove_is_read_back(line: Lines, server: str, reads: bool, kind: str) -> None:
    one, write = line(server), WRITES[kind]
    assert one.store.properties.verifies_uploads is not reads
    write.do(one.store)
    assert one.proxy.count(r"^GET [^?]*/a( |$)") == (1 if reads else 0)
    assert one.there() == write.kept


@pytest.mark.parametrize("kind", WITH_BYTES)
def test_where_a_digest_is_compared_it_is_signed_in_place_of_the_body(line: Lines, kind: str) -> None:
    seen: list[tuple[str, str]] = []

    def looked_at(exchange: Exchange) -> None:
        assert exchange.headers["Content-MD5"]
        seen.append((exchange.headers["X-Amz-Content-SHA256"], exchange.headers["Authorization"]))
        exchange.answer(exchange.forward())

    for server, signed in (("ceph", False), ("moto", True)):
        one = line(server)
        seen.clear()
        one.proxy.on("^PUT", looked_at)
        WRITES[kind].do(one.store)
        assert seen
        for body, authorization in seen:
            assert (body != "UNSIGNED-PAYLOAD") is signed
            assert "content-md5" in authorization


@pytest.mark.parametrize("kind", WITH_BYTES)
def test_bytes_that_change_with_their_digest_are_refused(line: Lines, kind: str) -> None:
    one, write = line("ceph"), WRITES[kind]

    def forged(exchange: Exchange) -> None:
        data = exchange.body()[::-1] + b"."
        exchange.headers.replace_header("Content-MD5", b64encode(md5(data).digest()).decode())
        exchange.headers.replace_header("Content-Length", str(len(data)))
        exchange.answer(exchange.forward(data))

    one.proxy.on("^PUT", forged, ALWAYS)
    with pytest.raises(StoreUnavailable):
        write.do(one.store)
    assert one.there() == {}


@pytest.mark.parametrize("server", ["moto", "ceph"])
def test_trying_a_server_leaves_no_more_each_time(line: Lines, server: str) -> None:
    """Also where the answers are lost."""
    one = line(server, attempts=2)

    def tried() -> list[str]:
        one.proxy.on("/.tmp/", lost)
        assert S3Store(one.store.bucket, client=Client(one.store.bucket, attempts=2, pause=_not)).properties.create_only
        one.proxy.calm()
        found = one.raw.list_objects_v2(Bucket=one.bucket, Prefix=f"{PREFIX}.tmp/")["Contents"]
        return [each["Key"] for each in found]

    assert tried() == tried()


def test_a_line_that_changes_every_byte_is_named(line: Lines) -> None:
    one = line("ceph")
    prefilled(one)
    one.proxy.on("^PUT", changed_request, ALWAYS)
    with pytest.raises(StoreUnavailable, match="arrive changed") as told:
        one.store.put("a", of(SMALL), algorithms=())
    assert type(told.value) is StoreUnavailable
    assert one.proxy.count("^PUT") == 3
    assert one.there() == {"a": OLD}


@pytest.mark.parametrize("kind", WITH_BYTES)
def test_an_answer_that_changed_costs_nothing_that_is_stored(line: Lines, kind: str) -> None:
    """What is read back to prove a write may itself arrive changed."""
    one, write = line(), WRITES[kind]
    one.proxy.on("^GET [^?]*$", changed_answer)
    write.do(one.store)
    assert one.there() == write.kept


def test_a_win_is_known_though_its_answer_was_lost_and_its_proof_changed(line: Lines) -> None:
    one = line()
    one.proxy.on("^PUT", lost)
    one.proxy.on("^GET", changed_answer)
    one.store.create("a", of(SMALL))
    assert one.there() == {"a": SMALL}


# --- a commit

FIRST: Files = {"bagit.txt": b"bag", "data/a": b"one", "data/film": SMALL}
CHANGE = r"^(PUT|POST|DELETE)"


def dying(proxy: Proxy, at: int, last: Fault) -> None:
    """From its at-th change on the server is dead; last is what becomes of that one."""

    def count(exchange: Exchange) -> None:
        if proxy.count(CHANGE) < at:
            exchange.answer(exchange.forward())
        else:
            proxy.on("", cut, ALWAYS)
            last(exchange)

    proxy.on(CHANGE, count, ALWAYS)


@pytest.mark.parametrize(("first", "last"), [(1, cut), (2, lost)], ids=["unheard", "heard"])
def test_a_server_that_dies_in_a_commit_leaves_the_old_or_the_new(
    line: Lines, tmp_path: Path, first: int, last: Fault
) -> None:
    """At every fourth change of it. Once the server is back, nothing is left of what did not become a version."""
    one = line(attempts=1)
    root = home(lay(one.store), tmp_path / "home")
    one.proxy.calm()
    write(root, FIRST)
    changes = one.proxy.count(CHANGE)
    outcomes = []
    for at in range(first, changes + 1, 4):
        line(attempts=1)  # the same, empty
        dying(one.proxy, at, last)
        with pytest.raises(StoreUnavailable):
            write(root, FIRST)
        one.proxy.calm()
        head = root.head(PACKAGE)
        if head:
            assert read_version(root) == FIRST
        swept(root, turns=2)
        there = one.there()
        outcomes.append(root.head(PACKAGE))
        assert outcomes[-1] >= head
        if outcomes[-1]:
            assert read_version(root) == FIRST
        assert {key for key in there if key.startswith("staging/") and not key.endswith("/outcome")} == set()
        assert bool([key for key in there if key.startswith("ocfl/")]) == bool(outcomes[-1])
        if not outcomes[-1]:
            write(root, FIRST)
            swept(root, turns=2)
            there = one.there()
        assert read_version(root) == FIRST
        assert not [key for key in there if key.startswith("staging/")]
    assert outcomes == sorted(outcomes)
    assert set(outcomes) == {0, 1}


# --- the command


@pytest.fixture(scope="module")
def kept(moto_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lantai, Proxy]]:
    keys = {"AWS_ACCESS_KEY_ID": moto_server.access_key, "AWS_SECRET_ACCESS_KEY": moto_server.secret_key}
    with (
        proxied(moto_server) as proxy,
        mock.patch.object(Client, "wait"),
        mock.patch.object(promises, "_RACES", ((4, 1024),)),
    ):
        where = ("--store", f"s3://{bucket(moto_server)}/兰台", "--endpoint-url", proxy.server.endpoint_url)
        place = tmp_path_factory.mktemp("served")
        done = Lantai(place, keys)("init", "home", *where)
        assert done.code == 0, done
        yield Lantai(place / "home", keys), proxy


@pytest.fixture
def served(kept: tuple[Lantai, Proxy]) -> tuple[Lantai, Proxy]:
    """The command in a home whose store is a bucket behind a proxy, and the proxy, calm; between attempts it does not
    wait. What the tests before have stored is there.
    """
    lantai, proxy = kept
    proxy.calm()
    assert staged(lantai, proxy) == []
    return kept


def submission(tmp_path: Path, name: str) -> Path:
    return folder(tmp_path / name, {"方案.txt": f"plan {name}\n", "图/a.txt": f"picture {name}\n"})


def listed(lantai: Lantai) -> set[str]:
    done = lantai("list", "--json")
    assert done.code == 0, done
    return {one["package"] for one in done.objects}


def valid(lantai: Lantai, package: str) -> bool:
    return lantai("validate", "--package", package, "--json").code == 0


def staged(lantai: Lantai, proxy: Proxy) -> list[str]:
    """What lies in staging, and what the home knows of drafts."""
    with closing(client(proxy.behind)) as raw:
        [name] = re.findall(r'bucket = "(.*)"', (lantai.folder / "lantai.toml").read_text())
        found = raw.list_objects_v2(Bucket=name, Prefix="兰台/staging/").get("Contents", [])
    return [one["Key"] for one in found] + [one.name for one in (lantai.folder / "drafts").glob("*")]


def test_an_ingest_of_which_every_write_fails_at_first(served: tuple[Lantai, Proxy], tmp_path: Path) -> None:
    lantai, proxy = served
    before = listed(lantai)
    proxy.on(CHANGE, refusing(500, "InternalError"), EVERY_OTHER)
    package = lantai.stored(submission(tmp_path, "failing at first"))["package"]
    assert proxy.count(CHANGE) >= 2 * 15
    proxy.calm()
    assert listed(lantai) == before | {package}
    assert valid(lantai, package)
    assert staged(lantai, proxy) == []


@pytest.mark.parametrize(
    ("at", "last", "stored"),
    [(r"/content/.*/data/", cut_in_request, False), (r"/v1/inventory\.json$", lost, True)],
    ids=["in its content", "at the act"],
)
def test_an_ingest_in_which_the_server_dies(
    served: tuple[Lantai, Proxy], tmp_path: Path, at: str, last: Fault, stored: bool
) -> None:
    """stored: the act was done, and so the next command completes what it finds."""
    lantai, proxy = served
    records = submission(tmp_path, f"dies, {stored}")
    before = listed(lantai)

    def dies(exchange: Exchange) -> None:
        proxy.on("", cut, ALWAYS)
        last(exchange)

    proxy.on(f"^PUT .*{at}", dies)
    done = lantai("ingest", records, "--json")
    assert (done.code, done.error["kind"]) == (1, "StoreUnavailable"), done
    assert "does not answer" in done.error["what"]
    assert listed(lantai) == before
    proxy.calm()

    again = lantai("ingest", records, "--json")
    assert again.code == 0, again
    assert again.object["status"] == ("present" if stored else "stored")
    assert listed(lantai) == before | {again.object["package"]}
    assert lantai("clean", "--older-than", "0").code == 0
    assert staged(lantai, proxy) == []
    assert valid(lantai, again.object["package"])


def test_wrong_bytes_are_named_by_whoever_knows_the_digest(served: tuple[Lantai, Proxy], tmp_path: Path) -> None:
    lantai, proxy = served
    package = lantai.stored(submission(tmp_path, "wrong"))["package"]
    proxy.on(r"^GET .*/方案\.txt$", changed_answer, ALWAYS)
    export = ("export", package, "out", "--no-verify", "--json")
    done = lantai(*export)
    assert (done.code, done.error["kind"]) == (1, "Damaged"), done
    assert "方案.txt" in done.error["subject"]
    assert list((lantai.folder / "out").iterdir()) == []
    done = lantai("validate", "--package", package, "--json")
    assert (done.code, [one["valid"] for one in done.objects]) == (1, [False])
    assert any("方案.txt" in one["subject"] for one in done.object["errors"])
    proxy.calm()
    assert lantai(*export).code == 0


def test_credentials_that_expire_in_an_ingest(served: tuple[Lantai, Proxy], tmp_path: Path) -> None:
    lantai, proxy = served
    records = submission(tmp_path, "expired")
    proxy.on(r"^PUT .*/content/", refusing(400, "ExpiredToken"), ALWAYS)
    done = lantai("ingest", records, "--json")
    assert (done.code, done.error["kind"], done.error["what"]) == (
        1,
        "StoreUnavailable",
        "the credentials have expired",
    )
    assert "Renew" in done.error["remedy"]
    proxy.calm()
    assert lantai.stored(records)["package"] in listed(lantai)
    assert staged(lantai, proxy) == []
