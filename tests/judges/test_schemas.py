"""XML Schema on every document of every version, the attributes of the CSIP included."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.judges import ask
from tests.judges.ask import HERE
from tests.judges.material import VERSIONS, Material

CSIP = HERE / "csip.xsd"
RULES = {
    "METS.xml": CSIP,
    "representations/original/METS.xml": CSIP,
    "metadata/preservation/premis.xml": Path("premis-3.0.xsd"),
    "representations/original/metadata/preservation/premis.xml": Path("premis-3.0.xsd"),
    "metadata/descriptive/ead3.xml": Path("ead3.xsd"),
    "metadata/descriptive/dc.xml": Path("oai_dc.xsd"),
}


@pytest.mark.parametrize("rules", sorted(set(RULES.values())), ids=lambda rules: rules.name)
def test_every_document_obeys_its_schema(material: Material, schemas: Path, rules: Path) -> None:
    documents = [material.csip(version) / name for version in VERSIONS for name in RULES if RULES[name] == rules]
    verdict = ask.schema(schemas / rules, schemas / "catalog.xml", documents)
    assert verdict.yes, verdict.words


def test_every_xml_document_of_a_package_has_a_schema_here(material: Material) -> None:
    """None but the producer's own: a document that no judge reads would be judged by nobody."""
    for version in VERSIONS:
        place = material.csip(version)
        own = {
            one.relative_to(place).as_posix()
            for one in place.rglob("*.xml")
            if not one.is_relative_to(material.data(version)) and "submitted" not in one.parts
        }
        assert own == set(RULES)


BREAKS = (
    # document, pattern, what stands in its place
    ("METS.xml", r"(</?)structMap\b", r"\1plan"),
    ("METS.xml", r'csip:OAISPACKAGETYPE="AIP"', 'csip:OAISPACKAGETYPE="BOX"'),
    ("METS.xml", r'xlink:type="simple"', 'xlink:type="plain"'),
    ("representations/original/METS.xml", r"<FLocat\b", "<Location"),
    ("metadata/preservation/premis.xml", r"(</?)eventType\b", r"\1eventKind"),
    ("representations/original/metadata/preservation/premis.xml", r"<size>\d+<", "<size>many<"),
    ("metadata/descriptive/ead3.xml", r'\blevel="\w+"', 'level="bundle"'),
    ("metadata/descriptive/dc.xml", r"\bdc:title>", "dc:caption>"),
)


@pytest.mark.parametrize(("name", "pattern", "other"), BREAKS)
def test_the_schema_says_no(
    example: Material, schemas: Path, tmp_path: Path, name: str, pattern: str, other: str
) -> None:
    good, bad = example.csip(1) / name, tmp_path / "bad.xml"
    text, times = re.subn(pattern, other, good.read_text("utf-8"))
    assert times
    bad.write_text(text, "utf-8")
    rules, catalog = schemas / RULES[name], schemas / "catalog.xml"
    assert ask.schema(rules, catalog, [good]).yes
    assert not ask.schema(rules, catalog, [bad]).yes


def test_the_schemas_in_a_store_are_the_published_ones(example: Material, schemas: Path) -> None:
    kept = sorted((example.home / "store" / "schemas").glob("*.xsd"))
    assert kept
    for schema in kept:
        assert schema.read_bytes() == (schemas / schema.name).read_bytes(), schema.name


def test_the_catalogue_in_a_store_finds_every_schema_without_a_network(example: Material) -> None:
    kept = example.home / "store" / "schemas"
    for rules in set(RULES.values()):
        documents = [example.csip(1) / name for name in RULES if RULES[name] == rules]
        verdict = ask.schema(kept / rules, kept / "catalog.xml", documents)
        assert verdict.yes, verdict.words
