"""The usual scripted pipeline: bagit.py, then fido, then a METS by metsrw, then cp into the store."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import metsrw  # type: ignore[import-untyped]


def main(source: Path, store: Path) -> None:
    bag = store.with_name(store.name + ".bag")
    shutil.copytree(source, bag)
    python = [sys.executable, "-m"]
    subprocess.run([*python, "bagit", "--quiet", "--sha256", "--processes", str(os.cpu_count()), str(bag)], check=True)
    with (bag / "fido.csv").open("wb") as out:
        subprocess.run([*python, "fido.fido", "-q", "-recurse", str(bag / "data")], stdout=out, check=True)
    entries = []
    for folder, _folders, names in os.walk(bag / "data"):
        for name in names:
            path = Path(folder, name).relative_to(bag).as_posix()
            entries.append(metsrw.FSEntry(label=name, path=path, type="Item", file_uuid=str(uuid.uuid4())))
    document = metsrw.METSDocument()
    document.append_file(metsrw.FSEntry(label="data", path="data", type="Directory", children=entries))
    document.write(str(bag / "METS.xml"), pretty_print=True)
    subprocess.run(["cp", "-r", str(bag), str(store)], check=True)
    subprocess.run(["sync"], check=True)
    shutil.rmtree(bag)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
