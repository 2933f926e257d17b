"""The eark-validator on the CSIP package of every version, after both versions of the specification."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.judges import ask
from tests.judges.material import VERSIONS, Material, csip

SPECIFICATIONS = ("V2.0.4", "V2.1.0")


@pytest.mark.parametrize("specification", SPECIFICATIONS)
def test_every_version_is_valid(material: Material, eark_python: Path, specification: str) -> None:
    for package, verdict in ask.eark(eark_python, specification, [material.csip(one) for one in VERSIONS]).items():
        assert verdict.yes, f"{package}: {verdict.words}"
        assert '"complaints": []' in verdict.words


@pytest.mark.parametrize("specification", SPECIFICATIONS)
@pytest.mark.parametrize(
    "attribute", ["PROFILE", "OBJID", "csip:OAISPACKAGETYPE", "csip:CONTENTINFORMATIONTYPE", "CHECKSUMTYPE", "TYPE"]
)
def test_the_validator_says_no_without_an_attribute(
    bag: Path, example: Material, eark_python: Path, specification: str, attribute: str
) -> None:
    package = csip(bag, example.package)
    mets = package / "METS.xml"
    text, times = re.subn(rf' {attribute}="[^"]*"', "", mets.read_text("utf-8"), count=1)
    assert times == 1
    mets.write_text(text, "utf-8")
    assert not ask.eark(eark_python, specification, [package])[package].yes


def test_the_validator_says_no_without_a_root_mets(bag: Path, example: Material, eark_python: Path) -> None:
    package = csip(bag, example.package)
    (package / "METS.xml").unlink()
    assert not ask.eark(eark_python, "V2.1.0", [package])[package].yes
