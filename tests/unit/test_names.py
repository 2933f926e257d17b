"""Safe names: what keeps its bytes, what gets an alias, and that aliases are fit for every validator."""

from __future__ import annotations

import unicodedata
from hashlib import sha256
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lantai.ingest.names import MAX_PATH, Names, Taken, candidates, extension, is_safe, octets, safe

# Every character a name can have, the awkward ones often; surrogates as os.fsdecode makes them, and lone ones.
awkward = st.sampled_from("\r\n\t\v\f\x00\x1c\x1e\x7f\x85%\u2028\u2029\u3000\xa0 .\ufffe\uffff\udcff\ud800e\u0301é~中")
character = st.one_of(awkward, st.characters(exclude_characters="/", exclude_categories=()))
component = st.one_of(
    st.text(character, max_size=30),
    st.text(st.sampled_from("文é\ud83d𠮷e\u0301"), min_size=60, max_size=300),
    st.sampled_from(["", ".", "..", "CON", "con.txt", "NUL .tar.gz", "COM1", "LPT¹.x", "aux.", "CONIN$"]),
    st.builds("{}.{}".format, st.text(character, max_size=300), st.sampled_from(["txt", "jpg ", "文", "a" * 20])),
)
path = st.lists(component, min_size=1, max_size=12).map("/".join)


KEPT = [
    *("县第三届秋节/总体方案.docx", "emoji 📷.jpg", "a&b'\"<>#?[]{}*\\:;,=+@!~$.txt", "-dash", "\ufeffbom", " leading"),
    *(".hidden", "a  b", "x" * 255, "文" * 85, "e\u0301.txt", "METS.xml", "inventory.json", "CONTENTS", "com10.txt"),
    *("report~1a2b3c4d.txt", "a/b/c", "…"),
]
CHANGED = [
    *("100%.txt", "a%0Ab", "a\nb", "a\rb", "a\x0bb", "a\x0cb", "a\x1cb", "a\x1db", "a\x1eb", "a\x01b", "a\tb"),
    *("a\x7fb", "a\x85b", "a\x9fb", "a\u2028b", "a\u2029b", "end ", "end\t", "end\xa0", "end\u3000", "e."),
    *("", ".", "..", "con", "con.c.d"),
    *("NUL.txt", "Com1.tar.gz", "LPT9", "COM².log", "x" * 256, "文" * 86, "\udcff.txt", "a\ufffeb"),
    *("a\uffff", "\ud800"),
]


@pytest.mark.parametrize("name", KEPT)
def test_a_name_that_all_read_alike_keeps_its_bytes(name: str) -> None:
    assert safe(name) == name


@pytest.mark.parametrize("name", CHANGED)
def test_a_name_that_some_software_reads_otherwise_gets_an_alias(name: str) -> None:
    alias = safe(name)
    assert alias != name
    assert is_safe(alias)


def test_an_alias_is_the_name_with_underscores_a_digest_of_its_bytes_and_its_extension() -> None:
    digest = sha256("100% 完成\n.txt".encode()).hexdigest()[:8]
    assert safe("100% 完成\n.txt") == f"100_ 完成_~{digest}.txt"
    assert safe("图片.jpg ") == f"图片~{sha256('图片.jpg '.encode()).hexdigest()[:8]}.jpg"
    assert safe(b"\xd6\xd0.doc") == f"__~{sha256(bytes([0xD6, 0xD0]) + b'.doc').hexdigest()[:8]}.doc"
    assert safe("CON.tar.gz").startswith("_CON.tar~")


def test_only_the_component_that_needs_it_is_changed() -> None:
    assert safe("年度/a%/b.txt").split("/")[::2] == ["年度", "b.txt"]


def test_a_long_alias_is_cut_between_characters_and_keeps_its_extension() -> None:
    alias = safe("档" * 200 + ".pdf")
    assert len(alias.encode()) <= 255
    assert alias.startswith("档" * 70)
    assert alias.endswith(".pdf")


def test_a_long_path_lies_under_a_digest_of_its_folder() -> None:
    folder = "/".join(["全宗档案" * 10] * 8)
    first, second, other = safe(f"{folder}/甲.txt"), safe(f"{folder}/乙.txt"), safe(f"{folder}x/甲.txt")
    assert first.endswith("/甲.txt")
    assert first.rpartition("/")[0] == second.rpartition("/")[0]
    assert other != first
    assert len(first.encode()) <= MAX_PATH
    assert first.startswith("全宗档案")


@given(path)
def test_every_safe_path_is_fit_to_be_stored(name: str) -> None:
    found = safe(name)
    assert len(found.encode("utf-8")) <= MAX_PATH
    assert all(is_safe(one) for one in found.split("/"))
    assert all(0 < len(one.encode()) <= 255 for one in found.split("/"))
    assert not any(unicodedata.category(one) in ("Cc", "Cs") for one in found)
    # What line readers of a manifest would make of it.
    assert f"x  data/{found}\n".splitlines() == [f"x  data/{found}"]
    assert f"data/{found}".strip() == f"data/{found}"


@given(path)
def test_a_safe_path_is_its_own(name: str) -> None:
    assert safe(safe(name)) == safe(name)


@given(st.lists(st.one_of(st.text(st.sampled_from("eé\u0301%.文"), min_size=1, max_size=4), component), unique=True))
def test_names_in_one_folder_stay_apart_after_nfc(names: list[str]) -> None:
    given_names: list[str] = []
    for name in names:
        taken = {unicodedata.normalize("NFC", one) for one in given_names}
        given_names.append(next(one for one in candidates(name) if unicodedata.normalize("NFC", one) not in taken))
    assert len({unicodedata.normalize("NFC", one) for one in given_names}) == len(names)
    assert all(is_safe(one) for one in given_names)


@given(component)
def test_aliases_of_one_name_differ(name: str) -> None:
    first = list(islice(candidates(name), 4))
    assert len(set(first)) == 4


@given(st.text(character))
def test_octets_tell_names_apart_as_the_file_system_does(name: str) -> None:
    try:
        assert octets(name) == name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        assert octets(name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.txt", ".txt"), ("a.t.gz", ".gz"), (".hidden", ""), ("a", ""), ("a.b/c", ""), ("a.文", ""), ("a.gif ", ".gif")],
)
def test_an_extension_is_what_registries_could_know(name: str, expected: str) -> None:
    assert extension(name) == expected


# The names of an archive's members, in any order.


def test_twins_of_an_archive_lie_apart_files_and_folders(tmp_path: Path) -> None:
    with Names(tmp_path / "names") as names:
        assert names.file("é/a") == "é/a"
        twin = names.file("e\u0301/a")
        assert twin.endswith("/a")
        assert unicodedata.normalize("NFC", twin) != "é/a"
        assert names.file("e\u0301/b") == twin[:-1] + "b"
        assert names.file("é/e\u0301") == "é/e\u0301"


@pytest.mark.parametrize(("first", "second"), [("a/b", "a/b"), ("a", "a/b"), ("a/b/c", "a/b")])
def test_two_members_of_one_name_are_found(tmp_path: Path, first: str, second: str) -> None:
    with Names(tmp_path / "names") as names:
        names.file(first)
        with pytest.raises(Taken):
            names.file(second)


def test_an_alias_that_another_member_bears_as_its_name_is_not_given_twice(tmp_path: Path) -> None:
    with Names(tmp_path / "names") as names:
        alias = safe("a%.txt")
        assert names.file(alias) == alias
        assert names.file("a%.txt") not in (alias, "a%.txt")


def test_folders_without_files_are_known(tmp_path: Path) -> None:
    with Names(tmp_path / "names") as names:
        for folder in ("empty", "full", "above", "above/below", "\udcff%"):
            names.folder(folder)
        names.file("full/a")
        names.file("later/b")
        names.folder("later")
        assert list(names.empty_folders()) == ["above/below", "empty", "\udcff%"]


@given(st.lists(path, unique_by=lambda one: one.strip("/"), max_size=20))
def test_paths_of_an_archive_stay_apart_after_nfc(tmp_path_factory: pytest.TempPathFactory, paths: list[str]) -> None:
    found: list[str] = []
    with Names(tmp_path_factory.mktemp("names") / "names") as names:
        for one in paths:
            normal = "/".join(part for part in one.split("/") if part)
            try:
                found.append(names.file(normal or "x"))
            except Taken:
                continue
    assert len({unicodedata.normalize("NFC", one) for one in found}) == len(found)
    assert all(len(one.encode()) <= MAX_PATH and all(map(is_safe, one.split("/"))) for one in found)
