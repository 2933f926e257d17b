"""S3 servers for whoever asks, one of each kind in each process of tests: tests/services starts them in a second. And
chance that is the same each time (tests/chance.py).

Where a server's programs are not installed, the tests that need it are skipped and say so; with CI=true they fail.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NoReturn

import pytest

from tests.chance import quieten_hypothesis
from tests.services import Server, keyed
from tests.services.ceph import PACKAGES, ceph
from tests.services.ceph import lacking as ceph_lacks
from tests.services.moto import lacking as moto_lacks
from tests.services.moto import moto

quieten_hypothesis()


def _missing(what: str) -> NoReturn:
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(f"in CI no server may be missing: {what}", pytrace=False)
    pytest.skip(what)


def _have_moto() -> None:
    if names := moto_lacks():
        _missing(f"{', '.join(names)} not installed: pip install 'moto[server]'; apt-get install util-linux")


@pytest.fixture(scope="session")
def moto_server() -> Iterator[Server]:
    """moto without its races."""
    _have_moto()
    with moto() as server:
        yield server


@pytest.fixture(scope="session")
def racy_moto_server() -> Iterator[Server]:
    """moto with them: of 8 writers of 20 MB at once, two or more create the same key."""
    _have_moto()
    with moto(racy=True) as server:
        yield server


@pytest.fixture(scope="session")
def ceph_server() -> Iterator[Server]:
    """Ceph's gateway."""
    if names := ceph_lacks():
        _missing(f"{', '.join(names)} not installed: apt-get install --no-install-recommends {' '.join(PACKAGES)}")
    with ceph() as server:
        yield server


@pytest.fixture(params=["moto_server", "ceph_server"])
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Server:
    """One of each kind, with its keys in the environment."""
    return keyed(request.getfixturevalue(request.param), monkeypatch)
