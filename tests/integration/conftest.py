"""A home to work in, made once and copied for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.integration.command import Lantai, add_store, folder


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new home. Not to be changed."""
    place = tmp_path_factory.mktemp("pristine")
    done = Lantai(place)("init", "home", "--name", "云岭县档案馆")
    assert done.code == 0, done
    return place / "home"


@pytest.fixture(scope="session")
def filled(pristine: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A home that holds the records below, and the id of their package. Not to be changed."""
    place = tmp_path_factory.mktemp("filled")
    home = Lantai(Path(shutil.copytree(pristine, place / "home")))
    return home.folder, home.stored(small_submission(place))["package"]


@pytest.fixture
def lantai(pristine: Path, tmp_path: Path) -> Lantai:
    """The command, in an empty home of its own."""
    return Lantai(Path(shutil.copytree(pristine, tmp_path / "home")))


@pytest.fixture
def stocked(filled: tuple[Path, str], tmp_path: Path) -> tuple[Lantai, str]:
    """The command, in a home of its own that holds the records below, and the id of their package."""
    home, id = filled
    return Lantai(Path(shutil.copytree(home, tmp_path / "home"))), id


@pytest.fixture
def second(lantai: Lantai, tmp_path: Path) -> Path:
    """The folder of a second store, required, named in lantai.toml before the first package."""
    place = tmp_path / "second"
    place.mkdir()
    add_store(lantai, f'name = "second"\npath = "{place}"')
    return place


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """A small submission, described in a sheet."""
    return small_submission(tmp_path)


def small_submission(place: Path) -> Path:
    return folder(
        place / "records",
        {
            "筹备/活动方案.txt": "第十二届金秋文化节活动方案\n",
            "照片/开幕式.txt": "not a picture, but it has a name\n",
            "Thumbs.db": b"\xd0\xcf",
            "metadata.csv": "文件名,题名,责任者,日期,档号\n"
            ",金秋文化节档案,云岭县文化和旅游局,2021,Z109\n"
            "筹备/活动方案.txt,第十二届金秋文化节活动方案,办公室,2021年8月30日,Z109-WS·2021-Y-BGS-0001\n",
        },
    )
