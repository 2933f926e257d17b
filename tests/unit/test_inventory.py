"""The inventory: what is written is read back, in constant memory, and what is none is told."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lantai.errors import Damaged
from lantai.storage.ocfl import Inventory
from lantai.storage.ocfl.inventory import (
    Content,
    DigestAlgorithm,
    Field,
    Row,
    State,
    VersionInfo,
    read,
    sidecar,
    timestamp,
    to_version,
    valid_digest,
    valid_path,
    valid_paths,
    version_number,
)  # fmt: skip

PROJECT = Path(__file__).parents[2]
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join).filter(valid_path)
DIGESTS: dict[DigestAlgorithm, int] = {"sha256": 64, "sha512": 128}


@st.composite
def inventories(draw: st.DrawFn) -> tuple[DigestAlgorithm, list[Content], list[VersionInfo], list[State]]:
    """1 to 4 versions, each with its files; some share their bytes."""
    algorithm = draw(st.sampled_from(sorted(DIGESTS)))
    digests = draw(st.lists(st.text("0123456789abcdef", min_size=4, max_size=4), min_size=1, max_size=6, unique=True))
    digests = [one * (DIGESTS[algorithm] // 4) for one in digests]
    contents = [Content(one, f"v1/content/0123abcd/{draw(PATHS)}") for one in digests]
    infos = [
        VersionInfo(number, timestamp(draw(st.datetimes(timezones=st.just(UTC)))), draw(TEXT), draw(TEXT), draw(TEXT))
        for number in range(1, draw(st.integers(1, 4)) + 1)
    ]
    states = [
        State(info.number, draw(st.sampled_from(digests)), path)
        for info in infos for path in draw(st.lists(PATHS, max_size=5, unique=True))
    ]  # fmt: skip
    return algorithm, contents, infos, states


def table_of(rows: Sequence[Row]) -> Inventory:
    table = Inventory()
    table.load(rows)
    return table


def rows_of(data: bytes) -> list[Row]:
    return list(read(io.BytesIO(data), subject="inventory.json"))


def written(algorithm: DigestAlgorithm, rows: Sequence[Row], head: int) -> bytes:
    table = table_of(rows)
    try:
        return b"".join(table.write(id="urn:x", algorithm=algorithm, head=head))
    finally:
        table.close()


@given(inventories())
def test_what_is_written_is_read_back(
    one: tuple[DigestAlgorithm, list[Content], list[VersionInfo], list[State]],
) -> None:
    algorithm, contents, infos, states = one
    data = written(algorithm, [*contents, *infos, *states], len(infos))
    rows = rows_of(data)
    assert {row for row in rows if isinstance(row, Content)} == set(contents)
    assert {row for row in rows if isinstance(row, State)} == set(states)
    assert [row for row in rows if isinstance(row, VersionInfo)] == infos
    fields = {row.name: row.value for row in rows if isinstance(row, Field)}
    assert fields == {
        "id": "urn:x", "type": "https://ocfl.io/1.1/spec/#inventory", "digestAlgorithm": algorithm,
        "head": f"v{len(infos)}", "contentDirectory": "content",
    }  # fmt: skip
    assert written(algorithm, list(reversed(rows)), len(infos)) == data


@given(inventories())
def test_what_is_taken_at_once_is_what_is_read_row_by_row(
    one: tuple[DigestAlgorithm, list[Content], list[VersionInfo], list[State]],
) -> None:
    algorithm, contents, infos, states = one
    data = written(algorithm, [*contents, *infos, *states], len(infos))
    by_row, at_once = table_of(rows_of(data)), Inventory()
    if not at_once.take(data):
        assert b"\\u" in data  # only control characters are escaped so
        return
    for ask in (told, lambda table: list(table.manifest()), lambda table: list(table.contents())):
        assert ask(at_once) == ask(by_row)


def told(table: Inventory) -> object:
    return table.fields, list(table.versions()), [list(table.located(one.number)) for one in table.versions()]


@pytest.mark.parametrize(
    "changed",
    [
        (b'": ["', b'": [7, "'), (b'["v1', b'"v1'), (b'"id": "urn:x"', b'"id": 7'), (b'"versions"', b'"version"'),
        (b'"v1": {', b'"v01": {'), (b'"user": {', b'"users": {'), (b"{", b"["),
        (b"urn:x", b"\xff"), (b"urn:x", b"\\ud800"),
        (b'{\n  "id"', b"[" * 100_000 + b'{\n  "id"'), (b'"manifest": {', b'"manifest": {"00": [["a"]],'),
    ],
)  # fmt: skip
def test_what_is_of_another_form_is_not_taken_at_once(changed: tuple[bytes, bytes]) -> None:
    digest = "ab" * 32
    info = VersionInfo(1, "2026-03-01T08:30:00Z", "m", "u", "urn:x")
    data = written("sha256", [Content(digest, "v1/content/0123abcd/a"), info, State(1, digest, "a")], 1)
    assert Inventory().take(data)
    assert changed[0] in data
    assert not Inventory().take(data.replace(*changed, 1))


@given(st.lists(st.text("a./\n", min_size=1), max_size=4))
def test_paths_are_valid_together_only_if_each_is(paths: list[str]) -> None:
    if valid_paths(paths):
        assert all(map(valid_path, paths))
    elif not any("\n" in path for path in paths):
        hidden = any(part.startswith(".") for path in paths for part in path.split("/"))
        assert hidden or not all(map(valid_path, paths))


@given(inventories())
def test_it_is_json_as_the_standard_draws_it(
    one: tuple[DigestAlgorithm, list[Content], list[VersionInfo], list[State]],
) -> None:
    algorithm, contents, infos, states = one
    parsed: Any = json.loads(written(algorithm, [*contents, *infos, *states], len(infos)))
    assert {(digest, path) for digest, paths in parsed["manifest"].items() for path in paths} == {
        (content.digest, content.path) for content in contents
    }
    assert list(parsed["versions"]) == [f"v{info.number}" for info in infos]
    for info in infos:
        version = parsed["versions"][f"v{info.number}"]
        assert (version["created"], version["message"]) == (info.created, info.message)
        assert version["user"] == {"name": info.user, "address": info.address}
        assert {(digest, path) for digest, paths in version["state"].items() for path in paths} == {
            (state.digest, state.path) for state in states if state.version == info.number
        }


@given(st.lists(PATHS, min_size=1, max_size=8, unique=True), PATHS)
def test_a_folder_holds_every_path_below_it_in_byte_order(names: list[str], folder: str) -> None:
    prefix = folder + "/"
    first = [State(1, "aa", start + prefix + name) for start in ("", "!") for name in names]
    table = table_of([*first, State(2, "cc", prefix + names[0])])
    below = sorted((prefix + name for name in names), key=str.encode)
    assert [path for path, _digest in table.state(1, prefix)] == below
    assert [path for path, _digest, _content in table.located(1, prefix)] == below
    assert [path for path, _digest in table.state(1)] == sorted({row.path for row in first}, key=str.encode)
    table.close()


MINIMAL = '{"id":"x","head":"v1","manifest":{"aa":["v1/content/a"]},"versions":{"v1":{"state":{"aa":["a"]}}}}'


@pytest.mark.parametrize("data", [
    b"", b"{", b"garbage", MINIMAL.encode()[:-1], MINIMAL.encode() + b"x", MINIMAL.encode()[:40], b"\xff\xfe",
    MINIMAL.replace("v1", "v0").encode(), MINIMAL.replace('"v1":', '"v01":').encode(), b'{"id": "\xff"}',
    MINIMAL.replace('"v1":', '"v99999999999999999999":').encode(), MINIMAL.replace('"v1":', '"":').encode(),
    MINIMAL.replace('"v1":', '"v١":').encode(), MINIMAL.replace('"v1":', f'"v{"1" * 5000}":').encode(),
])  # fmt: skip
def test_what_is_no_inventory_is_damaged(data: bytes) -> None:
    with pytest.raises(Damaged) as caught:
        table_of(rows_of(data))
    assert caught.value.subject == "inventory.json"


@given(st.binary(max_size=60), st.integers(0, len(MINIMAL)), st.integers(0, len(MINIMAL)))
def test_whatever_the_bytes_it_is_read_or_damaged(noise: bytes, start: int, stop: int) -> None:
    data = MINIMAL.encode()
    with suppress(Damaged):
        table_of(rows_of(data[:start] + noise + data[stop:])).close()


def test_what_others_add_to_an_inventory_is_no_row_of_it() -> None:
    others = MINIMAL[:-1] + ',"fixity":{"md5":{"bb":["v1/content/a"],"name":["x"]}},"extra":{"state":"x"},"head2":7}'
    assert rows_of(others.encode()) == rows_of(MINIMAL.encode())


def test_the_head_is_known_from_the_first_bytes() -> None:
    data = written("sha256", [Content("aa", f"v1/content/0123abcd/{number}") for number in range(50_000)], 1)
    assert len(data) > 1_000_000
    source = io.BytesIO(data)
    rows: Iterator[Row] = read(source, subject="x")
    while next(rows) != Field("head", "v1"):
        pass
    assert source.tell() < len(data) / 10


@pytest.mark.parametrize("name", ["v0", "v01", "1", "v", "v-1", "v1 ", "v1\n", "V1", "v1.0", "v１", "v1000000000"])
def test_what_is_no_version_number_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=re.escape(name)):
        version_number(name)


def test_version_numbers_are_read() -> None:
    assert [version_number(f"v{number}") for number in (1, 9, 10, 12345)] == [1, 9, 10, 12345]


@pytest.mark.parametrize("path", ["", "/a", "a/", "a//b", ".", "..", "a/./b", "a/../b", "../a"])
def test_what_is_no_path_is_refused(path: str) -> None:
    assert not valid_path(path)


@pytest.mark.parametrize("path", ["a", "a/b", ".a", "...", "a/..b", " ", "\\", "a:b"])
def test_what_is_a_path_is_taken(path: str) -> None:
    assert valid_path(path)


def test_digests_have_the_length_of_their_algorithm() -> None:
    assert valid_digest("sha256", "aB" * 32)
    assert valid_digest("sha512", "0" * 128)
    for algorithm, value in (("sha256", "a" * 63), ("sha256", "g" * 64), ("sha512", "a" * 64), ("md5", "a" * 32)):
        assert not valid_digest(algorithm, value)


def test_times_have_seconds_and_a_zone() -> None:
    at = datetime(2026, 3, 1, 8, 30, 15, 999, tzinfo=UTC)
    assert timestamp(at) == "2026-03-01T08:30:15Z"
    assert to_version(VersionInfo(1, timestamp(at), "m", "u", "a")).at == at.replace(microsecond=0)
    with pytest.raises(Damaged):
        to_version(VersionInfo(1, "yesterday", "m", "u", "a"))


def test_the_sidecar_names_the_inventory() -> None:
    assert sidecar("ab") == b"ab inventory.json\n"


LARGE = """
import resource, sys
from lantai.storage.ocfl import Inventory
from lantai.storage.ocfl.inventory import Content, State, VersionInfo, read

def rows(number):
    for at in range(number):
        digest = f"{at:064x}"
        path = f"data/representations/original/data/案卷-{at // 1000:05d}/文件-{at:09d}.tif"
        yield Content(digest, "v1/content/0123abcd/" + path)
        yield State(1, digest, path)
    yield VersionInfo(1, "2026-03-01T08:30:00Z", "m", "u", "urn:x")

def run(number):
    table = Inventory()
    table.load(rows(number))
    with open(sys.argv[1], "w+b") as file:
        for chunk in table.write(id="urn:x", algorithm="sha256", head=1):
            file.write(chunk)
        file.seek(0)
        second = Inventory()
        second.load(read(file, subject="x"))
        count = sum(1 for _row in second.located(1))
    table.close(); second.close()
    return count

assert run(1000) == 1000
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert run(100_000) == 100_000
print(before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_a_hundred_thousand_paths_cost_no_memory(tmp_path: Path) -> None:
    """Written and read back, some 35 MB of JSON: in less than its size, however it grows."""
    file = tmp_path / "inventory.json"
    done = subprocess.run(
        [sys.executable, "-c", LARGE, file], cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=True
    )
    before, after = map(int, done.stdout.split())
    assert file.stat().st_size > 30_000_000
    assert (after - before) * 1024 < 20_000_000
