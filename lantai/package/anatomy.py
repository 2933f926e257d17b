"""Where each thing lies in a package: a BagIt bag whose payload is an E-ARK CSIP package (docs/design.md "Package")."""

from __future__ import annotations

import uuid

from ..metadata import bag, mets
from ..model import FileId, PackageId

ROOT_METS = "METS.xml"
PREMIS = "metadata/preservation/premis.xml"
DC = "metadata/descriptive/dc.xml"
EAD = "metadata/descriptive/ead3.xml"
SUBMITTED = "metadata/descriptive/submitted/"
DOCUMENTATION = "documentation/"
SCHEMAS = "schemas/"
SUBMISSION = "submission/"
ORIGINAL = "representations/original/"

# Tags of bag-info.txt (RFC 8493 section 2.2.2 lets anyone add some).
CONTENT_TAG = "Lantai-Submission-Digest"
SUBMISSION_TAG = "Lantai-Submission-Name"


def base(package: PackageId) -> str:
    """The folder of the CSIP package in the bag; everything above lies below it."""
    return f"{bag.PAYLOAD}{mets.object_id(package)}/"


def payload(package: PackageId) -> str:
    """The folder of the payload files as the producer gave them."""
    return f"{base(package)}{ORIGINAL}data/"


def representation_id(package: PackageId, name: str = "original") -> str:
    return uuid.uuid5(_namespace(package), f"representations/{name}").urn


def file_id(package: PackageId, path: str, sha256: str) -> FileId:
    """The same path with the same bytes keeps its id through all versions; other bytes are another file."""
    return FileId(uuid.uuid5(_namespace(package), f"{sha256} {path}").urn)


def _namespace(package: PackageId) -> uuid.UUID:
    return uuid.UUID(package.removeprefix("urn:uuid:"))
