"""metsrw finds the files that METS names where they lie, with the bytes that it says."""

from __future__ import annotations

import hashlib

import pytest

from tests.judges import ask
from tests.judges.material import VERSIONS, Material

_ALGORITHMS = {"SHA-256": "sha256", "SHA-512": "sha512", "MD5": "md5"}


@pytest.mark.parametrize("version", VERSIONS)
def test_metsrw_finds_every_file(material: Material, version: int) -> None:
    package = material.csip(version)
    representation = package / "representations" / "original"
    root, original = ask.metsrw([package / "METS.xml", representation / "METS.xml"])
    for place, named in ((package, root), (representation, original)):
        for path, (kind, checksum) in named.items():
            assert hashlib.new(_ALGORITHMS[kind], (place / path).read_bytes()).hexdigest() == checksum, path
    data = material.data(version)
    assert set(original) == {"data/" + one.relative_to(data).as_posix() for one in data.rglob("*") if one.is_file()}
    assert "representations/original/METS.xml" in root
