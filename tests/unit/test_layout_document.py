"""What the storage root says of itself is what the program does."""

from __future__ import annotations

import hashlib
from importlib import resources

from lantai.model import PackageId
from lantai.storage.ocfl.layout import object_path

EXAMPLE = PackageId("urn:uuid:01890a5d-ac96-774b-bcce-b302099a8057")


def test_the_example_of_the_layout_document_is_right() -> None:
    documents = resources.files("lantai.storage.ocfl").joinpath("documents")
    text = documents.joinpath("0003-hash-and-id-n-tuple-storage-layout.md").read_text("utf-8")
    folders, _slash, name = object_path(EXAMPLE).rpartition("/")
    for said in (EXAMPLE, hashlib.sha256(EXAMPLE.encode()).hexdigest(), folders, name, f"{folders}/{name}"):
        assert f"`{said}`" in text
    assert "# Oxford Common File Layout Specification" in documents.joinpath("ocfl_1.1.md").read_text("utf-8")
