"""Reads METS documents with metsrw. A process of its own, since metsrw warns of its age on newer Pythons.

metsrw reads the dialect of the system it was written for: a structural map of TYPE "physical" in lower case, with an
entry for each file. Ours names groups, as the CSIP asks; so before metsrw sees a document, its map, and nothing else,
is told in that dialect.

usage: python metsrw_read.py METS...     one JSON object a document: {path: [checksum type, checksum]}
"""

import json
import sys

import metsrw  # type: ignore[import-untyped]
from lxml import etree

_METS = "{http://www.loc.gov/METS/}"


def _in_its_dialect(path: str) -> "etree._ElementTree":
    tree = etree.parse(path, etree.XMLParser(remove_blank_text=True))
    plan = tree.getroot().find(_METS + "structMap")
    assert plan is not None
    plan.clear()
    plan.set("TYPE", "physical")
    whole = etree.SubElement(plan, _METS + "div", TYPE="Directory", LABEL="whole")
    for file in tree.getroot().iter(_METS + "file"):
        item = etree.SubElement(whole, _METS + "div", TYPE="Item", LABEL="file")
        etree.SubElement(item, _METS + "fptr", FILEID=file.get("ID") or "")
    return tree


def main(documents: list[str]) -> None:
    for document in documents:
        found = metsrw.METSDocument.fromtree(_in_its_dialect(document)).all_files()
        files = {one.path: [one.checksumtype, one.checksum] for one in found if one.type == "Item"}
        print(json.dumps(files), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
