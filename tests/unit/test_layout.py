"""Where objects lie: extension 0003, held against ocfl-py's own."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import uuid

from hypothesis import given
from hypothesis import strategies as st

from lantai.model import PackageId
from lantai.storage import MAX_COMPONENT
from lantai.storage.ocfl.layout import content_path, encoded, object_path

# In a process of its own: ocfl-py's dependencies warn when they are imported, and here warnings are errors.
OCFL_PY = """
import json, sys
from ocfl.layout_0003_hash_and_id_n_tuple import Layout_0003_Hash_And_Id_N_Tuple as Layout
print(json.dumps([Layout().identifier_to_path(one) for one in json.load(sys.stdin)]))
"""

ANY = st.text(st.characters(exclude_categories=["Cs"]))


def theirs(ids: list[str]) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", OCFL_PY], input=json.dumps(ids), stdout=subprocess.PIPE, text=True,
        check=True,
    )  # fmt: skip
    found: list[str] = json.loads(done.stdout)
    return found


def test_objects_lie_where_ocfl_py_looks_for_them() -> None:
    chance = random.Random(3)
    alphabet = [chr(code) for code in range(1, 0x250)] + list("云岭县档案馆〔2021〕𠮷👩🏽\u2028\ufeff\ufffd")
    ids = ["".join(chance.choices(alphabet, k=chance.randrange(1, 150))) for _number in range(2000)]
    ids += [uuid.UUID(int=chance.getrandbits(128)).urn for _number in range(1000)]
    ids += [
        "info:fedora/object-01",
        "..hor/rib:le-$id",
        "档案",
        "a" * 100,
        "a" * 101,
        "馆" * 11,
        "馆" * 12,
        "." * 34,
        "~",
    ]
    assert [object_path(PackageId(one)) for one in ids] == theirs(ids)


@given(ANY.filter(bool))
def test_a_place_is_made_of_legal_components(id: str) -> None:
    *tuples, name = object_path(PackageId(id)).split("/")
    assert [len(one) for one in tuples] == [3, 3, 3]
    assert name == encoded(PackageId(id))
    assert name.isascii()
    assert len(name) <= 165


def test_a_package_is_named_by_its_folder() -> None:
    id = PackageId("urn:uuid:01890a5d-ac96-774b-bcce-b302099a8057")
    assert object_path(id).split("/")[-1] == "urn%3auuid%3a01890a5d-ac96-774b-bcce-b302099a8057"


PATHS = st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1).filter(
    lambda part: part not in (".", "..")), min_size=1).map("/".join)  # fmt: skip


@given(PATHS | PATHS.map("long/{}".format) | st.just("long"), st.integers(150, 800))
def test_a_content_path_fits_and_keeps_the_logical_path_where_it_can(path: str, room: int) -> None:
    found = content_path(3, "0123abcd", path, room=room)
    assert len(found.encode()) <= room
    assert all(len(part.encode()) <= MAX_COMPONENT for part in found.split("/"))
    assert found.startswith("v3/content/0123abcd/")
    whole = f"v3/content/0123abcd/{path}"
    if path.split("/")[0] == "long":
        assert found != whole
    elif len(whole.encode()) <= room and all(len(part.encode()) <= MAX_COMPONENT for part in path.split("/")):
        assert found == whole


@given(st.lists(PATHS, min_size=2, max_size=2, unique=True))
def test_two_paths_that_are_shortened_stay_two(paths: list[str]) -> None:
    one, other = (content_path(1, "0123abcd", "馆" * 90 + path, room=800) for path in paths)
    assert one != other
