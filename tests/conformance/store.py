"""The judge of every store: what the docstrings of lantai.storage.Store promise.

A backend's own test is a subclass with one fixture, `fresh`, that makes empty stores:

    class TestMine(StoreSuite):
        @pytest.fixture
        def fresh(self) -> Fresh: ...
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from lantai.digest import ALGORITHMS, Digests, digest_of
from lantai.errors import Damaged, Exists, NotFound, UsageError
from lantai.storage import Body, Skip, Store
from tests.conformance.store_keys import BAD_KEYS, ODD_KEYS, ORDERED
from tests.conformance.store_model import against

Fresh: TypeAlias = Callable[[], Store]


def of(*chunks: bytes) -> Body:
    return lambda: iter(chunks)


def read(store: Store, key: str, start: int = 0, stop: int | None = None) -> bytes:
    with store.open(key, start, stop) as file:
        return file.read()


def keys(store: Store, prefix: str = "", after: str = "") -> list[str]:
    found = list(store.keys(prefix, after))
    assert found == [one.key for one in store.list(prefix, after)]
    return found


def fill(store: Store, names: tuple[str, ...]) -> None:
    for name in names:
        store.put(name, of(name.encode()), algorithms=())


class StoreSuite:
    often = 40
    """How many histories, and in tens how many turns: fewer where each call goes over a network."""

    @pytest.fixture
    def fresh(self) -> Fresh:
        raise NotImplementedError("the subclass says how an empty store is made")

    @pytest.fixture
    def store(self, fresh: Fresh) -> Store:
        return fresh()

    def test_where_all_is_put_nothing_is_odd(self, store: Store) -> None:
        fill(store, ORDERED)
        told: list[str] = []
        assert list(store.keys(odd=told.append)) == list(ORDERED)
        assert told == []

    # --- put

    @pytest.mark.parametrize("key", ODD_KEYS)
    def test_a_key_keeps_its_bytes(self, store: Store, key: str) -> None:
        store.put(key, of(b"one"), algorithms=())
        assert read(store, key) == b"one"
        assert store.stat(key).key == key
        assert keys(store) == [key]
        store.delete(key)
        assert keys(store) == []
        store.create(key, of(b"two"))
        assert read(store, key) == b"two"

    def test_keys_that_look_alike_are_two(self, store: Store) -> None:
        fill(store, ("é", "e\u0301", "A", "a ", "b"))
        assert read(store, "é") == "é".encode()
        assert read(store, "e\u0301") == "e\u0301".encode()
        with pytest.raises(NotFound):
            store.stat("a")

    @pytest.mark.parametrize("key", BAD_KEYS)
    def test_what_is_no_key_is_refused_before_anything_is_read(self, store: Store, key: str) -> None:
        def unwanted() -> Iterator[bytes]:
            raise AssertionError("the body was read")

        calls: tuple[Callable[[], object], ...] = (
            lambda: store.put(key, unwanted, algorithms=()),
            lambda: store.create(key, unwanted),
            lambda: read(store, key),
            lambda: list(store.digests((key,), "sha256")),
            lambda: store.stat(key),
            lambda: store.delete(key),
        )
        for call in calls:
            with pytest.raises(UsageError):
                call()

    def test_put_says_what_it_wrote(self, store: Store) -> None:
        found = store.put("a", of(b"hello ", b"", b"world"), algorithms=("sha256", "md5", "sha512"))
        assert found == digest_of(b"hello world", ("sha256", "md5", "sha512"))
        assert found.size == 11

    def test_put_of_nothing(self, store: Store) -> None:
        assert store.put("a", of(), algorithms=("sha256",)) == digest_of(b"", ("sha256",))
        assert store.put("b", of(b"", b""), algorithms=()) == Digests(0, {})
        assert read(store, "a") == b""
        assert store.stat("a").size == 0

    def test_a_large_body_in_uneven_chunks(self, store: Store) -> None:
        sizes = (1, 3 << 20, 0, 65_537, 1 << 20, 2, 5 << 20)
        chunks = [bytes([number]) * size for number, size in enumerate(sizes)]
        whole = b"".join(chunks)
        assert store.put("big", of(*chunks), algorithms=("sha256",)) == digest_of(whole, ("sha256",))
        assert hashlib.sha256(read(store, "big")).digest() == hashlib.sha256(whole).digest()
        assert read(store, "big", 3 << 20, (3 << 20) + 70_000) == whole[3 << 20 : (3 << 20) + 70_000]

    def test_put_replaces(self, store: Store) -> None:
        store.put("a/b", of(b"a longer first text"), algorithms=())
        store.put("a/b", of(b"second"), algorithms=())
        assert read(store, "a/b") == b"second"
        assert keys(store) == ["a/b"]

    def test_put_checks_what_is_expected(self, store: Store) -> None:
        right = digest_of(b"right", ("sha256", "sha512"))
        assert store.put("a", of(b"right"), algorithms=("md5",), expect=right) == digest_of(b"right", ("md5",))
        assert store.put("a", of(b"right"), algorithms=(), expect=Digests(None, {})) == Digests(5, {})
        shouted = Digests(5, {name: value.upper() for name, value in right.values.items()})
        assert store.put("a", of(b"right"), algorithms=(), expect=shouted) == Digests(5, {})

    @pytest.mark.parametrize(
        "expect",
        [
            Digests(4, {}),
            Digests(None, {"sha512": "00"}),
            Digests(5, {"sha256": "ab" * 32}),
            Digests(None, {"md5": ""}),
        ],
    )
    def test_a_contradicted_put_leaves_the_key_as_before(self, store: Store, expect: Digests) -> None:
        store.put("a", of(b"old"), algorithms=())
        for key in ("a", "b/new"):
            with pytest.raises(Damaged):
                store.put(key, of(b"right"), algorithms=("sha256",), expect=expect)
        assert read(store, "a") == b"old"
        assert keys(store) == ["a"]

    @pytest.mark.parametrize(
        "error",
        [
            ValueError("x"),
            FileNotFoundError(2, "x"),
            OSError(28, "x"),
            IsADirectoryError(21, "x"),
            FileExistsError(17, "x"),
            KeyboardInterrupt(),
            NotFound("x", subject="y", remedy="z"),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_what_a_body_raises_goes_through_and_leaves_no_trace(self, store: Store, error: BaseException) -> None:
        def failing() -> Iterator[bytes]:
            yield b"half"
            yield b"h" * (1 << 20)
            raise error

        def stillborn() -> Iterator[bytes]:
            raise error

        store.put("a", of(b"old"), algorithms=())
        for body in (failing, stillborn):
            for key in ("a", "n/e/w"):
                with pytest.raises(type(error)) as caught:
                    store.put(key, body, algorithms=("sha256",))
                assert caught.value is error
                with pytest.raises(type(error)) as caught:
                    store.create(key, body)
                assert caught.value is error
        assert read(store, "a") == b"old"
        assert keys(store) == ["a"]

    def test_nothing_shows_before_a_put_returns(self, store: Store) -> None:
        def looking() -> Iterator[bytes]:
            yield b"first half"
            assert keys(store) == ["old"]
            assert read(store, "old") == b"old"
            with pytest.raises(NotFound):
                store.stat("new")
            yield b"second half"

        store.put("old", of(b"old"), algorithms=())
        store.put("new", looking, algorithms=())
        store.put("old", of(b"looked"), algorithms=())
        assert keys(store) == ["new", "old"]

    def test_a_key_below_a_key_stands_or_is_refused(self, store: Store) -> None:
        store.put("a", of(b"one"), algorithms=())
        for below in ("a/b", "a/b/c"):
            try:
                store.put(below, of(b"two"), algorithms=())
            except Exists:
                with pytest.raises(Exists):
                    store.create(below, of(b"two"))
                with pytest.raises(NotFound):
                    store.stat(below)
                with pytest.raises(NotFound):
                    store.open(below)
                store.delete(below)
        store.put("c/d", of(b"three"), algorithms=())
        for call in (lambda: store.put("c", of(b"four"), algorithms=()), lambda: store.create("c", of(b"four"))):
            try:
                call()
                stands = True
            except Exists:
                stands = False
            assert keys(store, "c") == ["c"] * stands + ["c/d"]
        assert read(store, "a") == b"one"
        assert read(store, "c/d") == b"three"

    # --- create

    def test_create_stores_once(self, store: Store) -> None:
        assert store.properties.create_only
        store.create("a/b/c", of(b"fi", b"rst"))
        with pytest.raises(Exists):
            store.create("a/b/c", of(b"second"))
        with pytest.raises(Exists):
            store.create("a/b/c", of(b"fir"))
        with pytest.raises(Exists):
            store.create("a/b/c", of(b"first!"))
        assert read(store, "a/b/c") == b"first"
        assert keys(store) == ["a/b/c"]

    def test_creating_the_same_bytes_again_is_having_won(self, store: Store) -> None:
        store.create("a", of(b"same"))
        store.create("a", of(b"sa", b"me"))
        store.put("b", of(b"same"), algorithms=())
        store.create("b", of(b"same"))
        with pytest.raises(Exists):
            store.create("b", of(b"other"))
        store.delete("a")
        store.create("a", of(b"other"))
        assert read(store, "a") == b"other"

    def test_one_of_many_racing_creates_wins(self, store: Store) -> None:
        for turn in range(20):
            start = threading.Barrier(4)

            def race(number: int, turn: int = turn, start: threading.Barrier = start) -> int | None:
                start.wait()
                try:
                    store.create(f"race/{turn}", of(b"%d" % number))
                except Exists:
                    return None
                return number

            with ThreadPoolExecutor(4) as threads:
                winners = [number for number in threads.map(race, range(4)) if number is not None]
            assert len(winners) == 1
            assert read(store, f"race/{turn}") == b"%d" % winners[0]

    def test_racers_with_the_same_bytes_all_win(self, store: Store) -> None:
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda _number: store.create("a/b", of(b"same")), range(12)))
        assert read(store, "a/b") == b"same"

    # --- open, stat

    def test_what_is_not_there_is_not_found(self, store: Store) -> None:
        store.put("a/b", of(b"x"), algorithms=())
        for key in ("a", "b", "a/c", "a/b/c", "x/y/z"):
            with pytest.raises(NotFound) as caught:
                store.stat(key)
            assert caught.value.subject == key
            with pytest.raises(NotFound):
                store.open(key)

    def test_a_range_is_a_slice(self, store: Store) -> None:
        @settings(max_examples=50, deadline=None)
        @given(data=st.binary(max_size=300), start=st.integers(0, 320), length=st.none() | st.integers(0, 320))
        def check(data: bytes, start: int, length: int | None) -> None:
            stop = None if length is None else start + length
            store.put("a", of(data), algorithms=())
            assert read(store, "a", start, stop) == data[start:stop]
            with store.open("a", start, stop) as file:
                assert b"".join(iter(lambda: file.read(7), b"")) == data[start:stop]

        check()

    def test_digests_are_of_what_is_there_now_in_the_order_asked_for(self, store: Store) -> None:
        bodies = {f"a/{size}": b"x" * size for size in (0, 1, 65_535, 65_536, 65_537, (2 << 20) + 1)}
        for key, data in bodies.items():
            store.put(key, of(data), algorithms=())
        asked = ["a/65537", "a/none", *bodies, "a", "a/1/x", "a/65537"]
        for algorithm in ALGORITHMS:
            told = [bodies.get(key) for key in asked]
            assert list(store.digests(iter(asked), algorithm)) == [
                None if data is None else (len(data), digest_of(data, (algorithm,)).values[algorithm]) for data in told
            ]
        store.put("a/1", of(b"y"), algorithms=())
        assert list(store.digests(["a/1"], "sha256")) == [(1, digest_of(b"y", ("sha256",)).values["sha256"])]

    def test_stat_tells_size_and_time(self, store: Store) -> None:
        store.put("a", of(b"12345"), algorithms=())
        found = store.stat("a")
        assert (found.key, found.size) == ("a", 5)
        assert found.modified.tzinfo is not None
        assert found.modified.utcoffset() == found.modified.tzinfo.utcoffset(None)
        assert found.digests is None or not found.digests.conflicts(digest_of(b"12345", ("sha256", "md5")))
        assert list(store.list()) == [found]

    # --- list

    def test_the_order_is_that_of_bytes(self, store: Store) -> None:
        assert sorted(ORDERED, key=str.encode) == list(ORDERED)
        fill(store, tuple(reversed(ORDERED)))
        assert keys(store) == list(ORDERED)

    def test_after_is_exclusive_and_any_text(self, store: Store) -> None:
        fill(store, ORDERED)
        for after in (
            *ORDERED,
            *(name + "\0" for name in ORDERED),
            *(name[:-1] for name in ORDERED),
            "b/",
            "b/a/",
            "zzz",
            "\U0010ffff",
            "/",
            "b//",
            "../",
            "b/b/c/d/e/f",
            "\udc80",
        ):
            expected = [name for name in ORDERED if name.encode() > after.encode(errors="surrogatepass")]
            assert keys(store, after=after) == expected, after

    def test_prefix_is_text(self, store: Store) -> None:
        fill(store, ORDERED)
        for prefix in ("", "a", "b", "b/", "b/a", "b/b", "b/b/c", "b/b/c/d", "ba", "兰", "兰台/", "e", "\u00e9", "c\n"):
            assert keys(store, prefix) == [name for name in ORDERED if name.startswith(prefix)], prefix

    @pytest.mark.parametrize(
        "prefix",
        [
            "/",
            "//",
            "../",
            "..",
            "./",
            ".",
            "a/",
            "b//",
            "b/../b",
            "b/./",
            "b\0",
            "\0/",
            "\udc80",
            "x" * 300 + "/",
            "b/a/" * 300,
            "b/b/c/d/",
            ".tmp/",
            ".tmp",
            "b/b/c/d/e/f",
        ],
    )
    def test_a_prefix_that_no_key_has_lists_nothing(self, store: Store, prefix: str) -> None:
        fill(store, ORDERED)
        assert keys(store, prefix) == []

    def test_listed_pages_join_without_a_seam(self, store: Store) -> None:
        names = tuple(f"p/{number // 10:02}/{number:03}" for number in range(60))
        fill(store, names)
        found: list[str] = []
        while page := list(islice(store.list("p/", found[-1] if found else ""), 7)):
            found.extend(stat.key for stat in page)
        assert found == list(names)

    def test_folders_are_skipped_as_the_caller_says_of_each_key(self, store: Store) -> None:
        names = ("a", "b-", "b/a", "b/b/1", "b/b/2", "b/b0", "b/c/d/e", "b0", "c/1", "c/2")
        fill(store, names)

        def listed(skip: Skip, after: str = "") -> list[str]:
            found = list(store.keys("", after, skip))
            assert found == [one.key for one in store.list("", after, skip)]
            return found

        assert listed(lambda _key: "") == list(names)
        assert listed(lambda key: "b/" if key.startswith("b/") else "") == ["a", "b-", "b/a", "b0", "c/1", "c/2"]
        assert listed(lambda key: "b/b/" if key.startswith("b/b/") else "") == [n for n in names if n != "b/b/2"]
        assert listed(lambda key: key.partition("/")[0] + "/", "b-") == ["b/a", "b0", "c/1"]
        assert listed(lambda key: "b/" if key == "c/1" else "", "b0") == ["c/1", "c/2"]

    def test_folders_are_skipped_over_pages(self, store: Store) -> None:
        fill(store, tuple(f"{folder}/{number:03}" for folder in "abc" for number in range(70)))
        found = list(store.list(skip=lambda key: key[:2]))
        assert [one.key for one in found] == ["a/000", "b/000", "c/000"]

    def test_what_is_listed_may_be_deleted_on_the_way(self, store: Store) -> None:
        fill(store, ORDERED)
        for found in store.list("b"):
            store.delete(found.key)
        assert keys(store) == [name for name in ORDERED if not name.startswith("b")]

    # --- delete

    def test_delete_is_exact_and_idempotent(self, store: Store) -> None:
        fill(store, ("a/b", "a/bc", "a/c/d", "e"))
        for key in ("a/b", "a/b", "a", "a/c", "x/y", "a/b/c", "e/f"):
            store.delete(key)
        assert keys(store) == ["a/bc", "a/c/d", "e"]
        for key in ("a/bc", "a/c/d", "e"):
            store.delete(key)
        assert keys(store) == []
        store.put("a", of(b"where a folder was"), algorithms=())
        assert read(store, "a") == b"where a folder was"

    # --- sync, properties

    def test_sync_after_and_without_puts(self, store: Store) -> None:
        store.sync()
        fill(store, ORDERED)
        store.sync()
        store.delete("a")
        store.sync()
        assert keys(store) == list(ORDERED[1:])

    def test_properties_can_be_relied_on(self, store: Store) -> None:
        assert store.properties == store.properties
        assert store.properties.connections >= 1
        store.put("a", of(b"x"), algorithms=("sha256",))
        if store.properties.vouches:
            assert store.stat("a").digests == digest_of(b"x", ("sha256",))
        assert keys(store) == ["a"]

    # --- many at once

    def test_threads_do_not_disturb_each_other(self, store: Store) -> None:
        def work(number: int) -> None:
            for turn in range(15):
                own, common = f"t/{number}/{turn}", f"t/common/{turn % 3}"
                data = b"%d-%d" % (number, turn) * (1 + turn * 1000)
                said = store.put(own, of(data[:100], data[100:]), algorithms=("sha256",))
                assert said == digest_of(data, ("sha256",))
                store.put(common, of(b"%d" % number * 5000), algorithms=())
                assert read(store, own) == data
                with suppress(NotFound):
                    assert len(set(read(store, common))) == 1
                store.delete(common if turn % 2 else own)

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(work, range(4)))
        left = [f"t/{number}/{turn}" for number in range(4) for turn in range(15) if turn % 2]
        assert [key for key in keys(store, "t/") if "common" not in key] == sorted(left, key=str.encode)

    def test_a_put_beside_a_delete_in_its_folder_always_arrives(self, store: Store) -> None:
        stop = threading.Event()

        def deleting() -> None:
            while not stop.is_set():
                store.delete("d/e/f/other")

        thread = threading.Thread(target=deleting)
        thread.start()
        try:
            for turn in range(10 * self.often):
                if turn % 10 == 0:
                    store.create("d/e/f/mine", of(b"x"))
                else:
                    store.put("d/e/f/mine", of(b"x"), algorithms=())
                assert read(store, "d/e/f/mine") == b"x"
                store.delete("d/e/f/mine")
        finally:
            stop.set()
            thread.join()
        assert keys(store) == []

    def test_a_store_is_a_sorted_dictionary(self, fresh: Fresh) -> None:
        often = settings(max_examples=self.often, stateful_step_count=30, deadline=None)
        run_state_machine_as_test(against(fresh), settings=often)
