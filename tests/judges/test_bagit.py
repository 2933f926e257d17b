"""bagit.py on every exported version."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.judges import ask
from tests.judges.material import VERSIONS, Material


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_is_a_valid_bag(material: Material, version: int) -> None:
    verdict = ask.bagit(material.bags[version])
    assert verdict.yes, verdict.words


def test_every_digest_asked_for_has_its_manifests(materials: Callable[[str], Material]) -> None:
    for bag in materials("digests").bags.values():
        for algorithm in ("md5", "sha256", "sha512", "sm3"):
            assert (bag / f"manifest-{algorithm}.txt").exists()
            assert (bag / f"tagmanifest-{algorithm}.txt").exists()


@pytest.mark.parametrize("version", VERSIONS)
def test_the_sm3_manifests_that_bagit_does_not_verify_are_true(
    materials: Callable[[str], Material], version: int
) -> None:
    bag = materials("digests").bags[version]
    for name in ("manifest-sm3.txt", "tagmanifest-sm3.txt"):
        lines = (line.partition("  ") for line in (bag / name).read_text("utf-8").splitlines())
        listed = {path: digest for digest, _, path in lines}
        if name == "manifest-sm3.txt":
            payload = {one.relative_to(bag).as_posix() for one in (bag / "data").rglob("*") if one.is_file()}
            assert set(listed) == payload
        assert {path: hashlib.new("sm3", (bag / path).read_bytes()).hexdigest() for path in listed} == listed


@pytest.mark.parametrize("path", ["data", "bag-info.txt", "manifest-sha256.txt", "bagit.txt"])
def test_bagit_says_no_to_one_changed_byte(bag: Path, path: str) -> None:
    assert ask.bagit(bag).yes
    place = bag / path
    damage(next(one for one in sorted(place.rglob("*.jpg"))) if place.is_dir() else place)
    assert not ask.bagit(bag).yes


def test_bagit_says_no_to_a_file_that_is_gone(bag: Path) -> None:
    next(iter(sorted(bag.rglob("*.jpg")))).unlink()
    assert not ask.bagit(bag).yes


def damage(file: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
