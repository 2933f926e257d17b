"""The project's own judge, `lantai validate`: it says yes where the others say yes, and no where they say no."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.judges.material import Material, lantai, objects_in, refused
from tests.judges.test_bagit import damage


def test_validate_says_yes(material: Material) -> None:
    assert lantai("validate", home=material.home) == [
        {"object": material.package, "valid": True, "errors": [], "warnings": []}
    ]


def test_validate_says_yes_to_a_store_without_its_home(example: Material, tmp_path: Path) -> None:
    (verdict,) = lantai("validate", example.home / "store", home=tmp_path)
    assert verdict["valid"]


def _remove(file: Path) -> None:
    file.unlink()


def _beside(file: Path) -> None:
    file.with_name("extra").write_text("extra")


DAMAGES = (
    # content is found below vN/content/<draft>/
    ("v1/content/*/**/*.jpg", damage, "E092"),
    ("v1/content/*/**/*.jpg", _remove, "E092"),
    ("v1/content/*/**/*.jpg", _beside, "E023"),
    ("v1/content/*/data/uuid-*/METS.xml", damage, "E092"),
    ("v2/content/*/data/uuid-*/METS.xml", damage, "E092"),
    ("v1/content/*/**/premis.xml", damage, "E092"),
    ("v3/content/*/manifest-sha256.txt", damage, "E092"),
    ("v2/content/*/bag-info.txt", _remove, "E092"),
    ("v2/inventory.json", damage, "E060"),
    ("v3/inventory.json.sha256", damage, "E060"),
    ("v2/inventory.json", _remove, "E010"),
    ("inventory.json", damage, "E060"),
    ("inventory.json", _remove, "E063"),
    ("0=ocfl_object_1.1", damage, "E003"),
)


@pytest.mark.parametrize(("pattern", "harm", "code"), DAMAGES)
def test_validate_says_no(home: Path, pattern: str, harm: Callable[[Path], None], code: str) -> None:
    (thing,) = objects_in(home)
    harm(next(iter(sorted(thing.glob(pattern)))))
    (verdict,) = refused("validate", home=home)
    assert not verdict["valid"]
    assert code in {one["code"] for one in verdict["errors"]}, verdict
