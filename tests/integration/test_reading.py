"""Packages read by processes beside the one that asks."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
from pathlib import Path

import pytest

from lantai.errors import Damaged, LantaiError, Rejected, StoreUnavailable
from lantai.model import Finding, PackageId
from lantai.recovery.reading import Asked, Seen, look, look_at
from lantai.storage import Bucket, open_store, workers
from lantai.storage.ocfl import Root
from tests.integration.command import Lantai, folder

Batches = list[list[Asked]]


@pytest.fixture(autouse=True)
def by_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "PROCESSES", 2)


@pytest.fixture
def place(lantai: Lantai, tmp_path: Path) -> Path:
    for number in range(3):
        lantai.stored(folder(tmp_path / f"submission-{number}", {"活动方案.txt": f"{number}\n"}))
    return lantai.folder / "store"


def asked(place: Path, times: int) -> Batches:
    """Each package by itself, again and again: many batches of few packages."""
    packages = list(Root(open_store(place)).packages())
    return [[(package, None)] for _time in range(times) for package in packages]


def alone(place: Path, batches: Batches) -> list[list[Seen]]:
    root = Root(open_store(place))
    return [[look(root, one) for one in batch] for batch in batches]


def children() -> list[int]:
    """Processes of this one."""
    return [one.pid for one in multiprocessing.active_children() if one.pid]


def test_batches_come_in_their_order_and_as_if_read_here(place: Path) -> None:
    batches = asked(place, 10)
    assert list(look_at(place, batches)) == alone(place, batches)
    assert children() == []


def test_what_is_known_already_is_not_read_and_what_is_not_there_is_told(place: Path) -> None:
    package = next(Root(open_store(place)).packages())
    nothing = PackageId("urn:uuid:01890a5d-ac96-774b-bcce-b302099a8057")
    batches: Batches = [[(package, 1), (nothing, None)]] * 9
    assert list(look_at(place, batches)) == [[Seen(package, 1), Seen(nothing, 0)]] * 9


def test_children_that_come_to_an_end_are_replaced_by_the_parent(place: Path) -> None:
    batches = asked(place, 20)
    found = []
    for number, seen in enumerate(look_at(place, batches)):
        found.append(seen)
        if number == 10:
            assert children()
            for pid in children():
                os.kill(pid, signal.SIGKILL)
    assert found == alone(place, batches)


def test_a_damaged_package_is_told_and_the_others_are_read(place: Path) -> None:
    damaged, *_others = place.glob("ocfl/*/*/*/*/v1/content/*/data/*/metadata/descriptive/ead3.xml")
    damaged.write_bytes(b"<no")
    batches = asked(place, 4)
    found = [one for seen in look_at(place, batches) for one in seen]
    assert sum(bool(one.damage) for one in found) == 4
    assert sum(one.told is not None for one in found) == 8
    assert all("ead3.xml" in one.damage for one in found if one.damage)


def test_a_server_that_does_not_answer_a_child_is_an_error_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    nowhere = Bucket("archive", "", "http://127.0.0.1:1")
    package = PackageId("urn:uuid:01890a5d-ac96-774b-bcce-b302099a8057")
    read = look_at(nowhere, [[], [(package, None)]])
    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:1"):
        list(read)
    assert children() == []


@pytest.mark.parametrize("kind", [StoreUnavailable, Damaged])
def test_an_error_says_the_same_in_another_process(kind: type[LantaiError]) -> None:
    error = pickle.loads(pickle.dumps(kind("it fails", subject="s", remedy="Wait.")))
    assert (type(error), error.what, error.subject, error.remedy) == (kind, "it fails", "s", "Wait.")
    assert str(error) == "s: it fails. Wait."
    findings = (Finding.of("E010", "a", reason="b"),)
    refused = pickle.loads(pickle.dumps(Rejected("no", subject="s", remedy="r", findings=findings)))
    assert refused.findings == findings
