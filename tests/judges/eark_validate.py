"""Asks the eark-validator about packages, without a network. Runs in the validator's own virtual environment.

usage: python eark_validate.py VERSION PACKAGE...     VERSION: V2.0.4 or V2.1.0
One JSON object a package: {"package", "structure", "schema", "schematron", "complaints"}. complaints: everything above
the level of information. The validator's exit code says nothing, and a package it crashes on has no line.
"""

import importlib.util
import json
import sys
import urllib.request
from pathlib import Path
from typing import BinaryIO


def _shipped(url: str) -> BinaryIO:
    """A vocabulary out of the validator's own package, which it fetches when it is imported though it brings it."""
    found = importlib.util.find_spec("eark_validator")
    assert found is not None
    assert found.origin is not None
    name = url.rpartition("/")[2]
    return Path(found.origin).parent.joinpath("ipxml", "resources", "vocabs", name).open("rb")


def main(version: str, packages: list[str]) -> None:
    urllib.request.urlopen = _shipped  # type: ignore[assignment]
    # Only now, since the import is what fetches.
    from eark_validator.packages import PackageValidator  # type: ignore[import-not-found]  # noqa: PLC0415
    from eark_validator.specifications.specification import (  # type: ignore[import-not-found]  # noqa: PLC0415
        SpecificationVersion,
    )

    for package in packages:
        validator = PackageValidator(Path(package), SpecificationVersion(version))
        report = json.loads(validator.validation_report.model_dump_json())
        structure, metadata = report["structure"], report["metadata"] or {}
        schema, schematron = (metadata.get(f"{name}_results") or {} for name in ("schema", "schematron"))
        messages = [one for part in (structure, schema, schematron) for one in part.get("messages", ())]
        said = {
            "package": package,
            "structure": structure["status"],
            "schema": schema.get("status"),
            "schematron": schematron.get("status"),
            "complaints": [one for one in messages if not str(one["severity"]).lower().startswith("info")],
        }
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
