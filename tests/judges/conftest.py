"""The judges: other people's software says whether a package is what the standards call one.

The example that the project ships, 225 real files, and a submission of difficult names are made into packages of three
versions each (material.py), once a session; every judge (ask.py) looks at all of them, and each judge has a test in
which it says no.

The real files and the published schemas stand in a folder "shared" beside the checkout, or where LANTAI_SHARED says.
The eark-validator needs a virtual environment of its own: LANTAI_EARK_PYTHON names its Python, else one is made in
.cache/eark-venv. What is missing is skipped and named; with CI=true it fails.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from tests.judges.ask import HERE, run
from tests.judges.material import ROOT, Material, make

MATERIALS = ("example", "corpus", "difficult", "digests")


def missing(what: str) -> NoReturn:
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(f"in CI no judge may be missing: {what}", pytrace=False)
    pytest.skip(what)


def _shared(name: str) -> Path:
    folder = Path(os.environ.get("LANTAI_SHARED") or ROOT.parent / "shared") / name
    if not folder.is_dir():
        missing(f"{folder} is not there; LANTAI_SHARED names another place")
    return folder


@pytest.fixture(scope="session")
def schemas() -> Path:
    """The published schemas, and the catalogue that finds them."""
    return _shared("schemas")


@pytest.fixture(scope="session")
def materials(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Material]:
    """A material by name, made when it is first asked for."""
    made: dict[str, Material | Exception] = {}

    def give(name: str) -> Material:
        if name not in made:
            corpus = _shared("corpus") if name == "corpus" else None
            try:
                made[name] = make(name, tmp_path_factory.mktemp(name), corpus)
            except Exception as error:
                made[name] = error
        found = made[name]
        if isinstance(found, Exception):
            raise found
        return found

    return give


@pytest.fixture(params=MATERIALS)
def material(request: pytest.FixtureRequest, materials: Callable[[str], Material]) -> Material:
    return materials(request.param)


@pytest.fixture
def example(materials: Callable[[str], Material]) -> Material:
    return materials("example")


@pytest.fixture
def bag(example: Material, tmp_path: Path) -> Path:
    """A bag of the example, to be damaged."""
    return Path(shutil.copytree(example.bags[3], tmp_path / example.bags[3].name))


@pytest.fixture
def home(example: Material, tmp_path: Path) -> Path:
    """The example's home, to be damaged."""
    return Path(shutil.copytree(example.home, tmp_path / "home"))


@pytest.fixture(scope="session")
def eark_python() -> Iterator[Path]:
    """The Python of the eark-validator's own virtual environment."""
    named = os.environ.get("LANTAI_EARK_PYTHON")
    if named:
        if not Path(named).exists():
            missing(f"LANTAI_EARK_PYTHON names {named}, which is not there")
        yield Path(named)
        return
    cache = ROOT / ".cache"
    cache.mkdir(exist_ok=True)
    (cache / ".gitignore").write_text("*\n")
    with (cache / "eark-venv.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several processes of tests make one environment
        yield _eark_environment(cache / "eark-venv")


def _eark_environment(place: Path) -> Path:
    """Made once for each version of the requirements and of Python."""
    requirements = HERE / "requirements-eark.txt"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    python, made = place / "bin" / "python", place / "made"
    if not (made.exists() and made.read_text() == wanted):
        shutil.rmtree(place, ignore_errors=True)
        for command in (
            (sys.executable, "-m", "venv", str(place)),
            (str(python), "-m", "pip", "install", "--quiet", "--requirement", str(requirements)),
        ):
            done = run(*command)
            if done.returncode != 0:
                missing(f"the eark-validator cannot be installed: {done.stderr.strip()[-500:]}")
        made.write_text(wanted)
    return python
