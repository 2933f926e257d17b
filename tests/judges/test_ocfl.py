"""ocfl-validate.py on every object, and on the storage root for its structure."""

from __future__ import annotations

from pathlib import Path

from tests.judges import ask
from tests.judges.material import Material, objects_in
from tests.judges.test_bagit import damage


def test_every_object_is_valid(material: Material) -> None:
    assert len(material.objects) == 1
    verdict = ask.ocfl_objects(material.objects)
    assert verdict.yes, verdict.words


def test_nothing_is_warned_of_but_the_digest_that_was_chosen(material: Material) -> None:
    # OCFL prefers sha512; sha256, which it permits, is what the settings say unless told otherwise.
    sha512 = (material.objects[0] / "inventory.json.sha512").exists()
    assert ask.ocfl_codes(ask.ocfl_objects(material.objects)) == (set() if sha512 else {"W004"})


def test_the_storage_root_is_valid(material: Material) -> None:
    verdict = ask.ocfl_root(material.root)
    assert verdict.yes, verdict.words


def test_ocfl_says_no_to_one_changed_byte_of_content(home: Path) -> None:
    (thing,) = objects_in(home)
    assert ask.ocfl_objects([thing]).yes
    damage(next(iter(sorted(thing.rglob("*.jpg")))))
    verdict = ask.ocfl_objects([thing])
    assert not verdict.yes
    assert "[E092" in verdict.words


def test_ocfl_says_no_to_one_changed_byte_of_an_inventory(home: Path) -> None:
    (thing,) = objects_in(home)
    damage(thing / "v2" / "inventory.json")
    assert not ask.ocfl_objects([thing]).yes


def test_ocfl_says_no_to_an_empty_folder_in_the_root(home: Path) -> None:
    root = home / "store" / "ocfl"
    assert ask.ocfl_root(root).yes
    (root / "empty").mkdir()
    assert not ask.ocfl_root(root).yes
