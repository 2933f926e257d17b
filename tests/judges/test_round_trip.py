"""A package read back from its own documents is what was put in, and what the catalogue was told."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lantai.archive import Archive
from lantai.catalog import Catalog
from lantai.metadata import premis
from lantai.model import PayloadFile
from lantai.package.read import read_files, read_original, read_package
from tests.judges import difficult
from tests.judges.material import VERSIONS, Material, answers


@pytest.mark.parametrize("version", VERSIONS)
def test_a_catalogue_of_any_version_made_from_the_store_equals_the_one_of_the_time(
    material: Material, version: int, tmp_path: Path
) -> None:
    with Archive(material.home, by="") as archive, Catalog.open(f"sqlite:///{tmp_path}/anew.db") as anew:
        with archive.root.version(material.package, version) as read:
            versions = tuple(archive.root.versions(material.package))[:version]
            anew.index(read_package(material.package, versions, read), read_files(material.package, read))
        assert answers(anew, material.package) == material.told[version]


def test_a_catalogue_indexed_anew_equals_the_one_it_replaces(
    material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/anew.db"
    Catalog.open(url).close()
    monkeypatch.setenv("LANTAI_CATALOG__URL", url)
    with Archive(material.home, by="") as archive:
        assert not list(archive.catalog.packages())
        archive.index(material.package)
        assert answers(archive.catalog, material.package) == material.told[max(VERSIONS)]


@pytest.mark.parametrize("name", ["example", "corpus", "difficult", "digests"])
def test_every_file_comes_back_under_its_own_name(materials: Callable[[str], Material], name: str) -> None:
    material = materials(name)
    handed_over = {name: content for name, content in difficult.walk(material.source) if name != b"metadata.csv"}
    assert given_back(material, 1) == given_back(material, 2) == handed_over


def test_what_an_update_adds_replaces_and_removes(materials: Callable[[str], Material]) -> None:
    material = materials("difficult")
    expected = dict(difficult.files())
    del expected[difficult.REMOVED]
    expected[difficult.octets(difficult.REPLACED)] = b"replaced\n"
    late = os.fsencode(difficult.LATE + "/")
    expected |= {late + name: content for name, content in difficult.late_files().items()}
    assert given_back(material, 3) == expected


def test_empty_folders_are_remembered(materials: Callable[[str], Material]) -> None:
    material = materials("difficult")
    assert empty_folders(material, 1) == empty_folders(material, 2) == difficult.empty_folders()
    late = os.fsencode(difficult.LATE + "/") + difficult.LATE_EMPTY
    assert empty_folders(material, 3) == difficult.empty_folders() | {late}


def test_files_that_stay_keep_their_ids_and_others_get_new_ones(materials: Callable[[str], Material]) -> None:
    material = materials("difficult")
    first, second, third = ({one.original_name: one.id for one in files(material, version)} for version in VERSIONS)
    assert first == second
    changed = {name for name in first.keys() | third.keys() if first.get(name) != third.get(name)}
    late = {name for name in third if name.startswith(difficult.LATE)}
    assert changed == late | {difficult.REPLACED, os.fsdecode(difficult.REMOVED)}


def test_a_version_of_another_description_stores_no_payload_and_keeps_the_representation(material: Material) -> None:
    (thing,) = material.objects
    new = [one for one in (thing / "v2" / "content").rglob("*") if one.is_file()]
    assert "premis.xml" in {one.name for one in new}
    assert not [one for one in new if "representations" in one.parts]


def test_the_same_payload_is_stored_once(materials: Callable[[str], Material]) -> None:
    (thing,) = materials("difficult").objects
    content = difficult.files()[b"twice/first.bin"]
    stored = [one for one in thing.rglob("*.bin") if one.is_file() and one.read_bytes() == content]
    assert len(stored) == 1


def files(material: Material, version: int) -> list[PayloadFile]:
    with Archive(material.home, by="") as archive, archive.root.version(material.package, version) as read:
        return list(read_files(material.package, read))


def given_back(material: Material, version: int) -> Mapping[bytes, bytes]:
    """What is in an exported version, under the names that PREMIS says the producer gave."""
    data = material.data(version)
    there = {os.fsdecode(name): content for name, content in difficult.walk(data)}
    named = {os.fsencode(one.original_name): there.pop(one.path) for one in files(material, version)}
    assert not there
    return named


def empty_folders(material: Material, version: int) -> set[bytes]:
    with Archive(material.home, by="") as archive, archive.root.version(material.package, version) as read:
        return {
            os.fsencode(folder)
            for one in read_original(material.package, read)
            if isinstance(one, premis.Representation)
            for folder in one.empty_folders
        }
