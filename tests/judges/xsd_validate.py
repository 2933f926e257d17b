"""Holds XML documents against a schema. A process of its own, since libxml2 reads XML_CATALOG_FILES only at its start.

usage: XML_CATALOG_FILES=file:///…/catalog.xml python xsd_validate.py SCHEMA DOCUMENT...
Prints what is wrong, exits with 1 if anything is.
"""

import sys

from lxml import etree


def main(schema: str, documents: list[str]) -> int:
    parser = etree.XMLParser(no_network=True, resolve_entities=False, huge_tree=True)
    rules = etree.XMLSchema(etree.parse(schema, parser))
    bad = 0
    for document in documents:
        if not rules.validate(etree.parse(document, parser)):
            bad += 1
            print(document, rules.error_log)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
