"""A file larger than one upload in S3 may be (5 GiB), over S3 and back. On demand: LANTAI_FAULTS=full.

Its path is tested small in test_resume.py and test_s3.py. On Ceph alone: moto holds such a file in memory four times.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.command import ENVIRONMENT, Lantai, folder
from tests.services import Server, bucket

SIZE = int(os.environ.get("LANTAI_LARGE", str(6 << 30)))
MOST = 1 << 30
"""Bytes of data, stacks of threads among them, that no process of ours may map, whatever the size of the file."""


def film(where: Path) -> str:
    """Every MiB of it is another; its SHA-256."""
    digest = hashlib.sha256()
    with folder(where, {"录像.bin": b""}).joinpath("录像.bin").open("wb") as file:
        for number in range(SIZE >> 20):
            chunk = number.to_bytes(8, "big") * (1 << 17)
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def lean(lantai: Lantai, *words: str | Path) -> None:
    """The command succeeds, and so much memory is enough for it and for its children."""
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_DATA, ({MOST}, {MOST}))"
    program = f"{limit}; import sys; from lantai.cli import main; sys.argv[0] = 'lantai'; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *words], cwd=lantai.folder, env={**ENVIRONMENT, **lantai.environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(os.environ.get("LANTAI_FAULTS") != "full", reason="takes long: set LANTAI_FAULTS=full")
def test_a_file_larger_than_one_upload_may_be(ceph_server: Server, tmp_path: Path) -> None:
    keys = {"AWS_ACCESS_KEY_ID": ceph_server.access_key, "AWS_SECRET_ACCESS_KEY": ceph_server.secret_key}
    place = f"s3://{bucket(ceph_server)}/large"
    outside = Lantai(tmp_path, keys)
    assert outside("init", "home", "--store", place, "--endpoint-url", ceph_server.endpoint_url).code == 0
    lantai = Lantai(tmp_path / "home", keys)
    digest = film(tmp_path / "records")
    lean(lantai, "ingest", tmp_path / "records")
    (package,) = [one["package"] for one in lantai("list", "--json").objects]
    lean(lantai, "validate")
    lean(lantai, "export", package, tmp_path / "out")
    (back,) = (tmp_path / "out").rglob("录像.bin")
    found = hashlib.sha256()
    with back.open("rb") as file:
        while chunk := file.read(1 << 20):
            found.update(chunk)
    assert found.hexdigest() == digest
