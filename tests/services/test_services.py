"""What the servers really do, where lantai relies on it or has to refuse it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.services import Server, bucket, client
from tests.services.ceph import ceph
from tests.services.moto import moto

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MB = 1_000_000
HOW: dict[str, Callable[[], AbstractContextManager[Server]]] = {"moto": moto, "ceph": ceph}


@pytest.fixture(params=["moto_server", "ceph_server"])
def server(request: pytest.FixtureRequest) -> Server:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Server)
    return found


@pytest.fixture
def s3(server: Server) -> Iterator[S3Client]:
    with closing(client(server)) as made:
        yield made


def at_once(writers: int, write: Callable[[int], object]) -> Sequence[int]:
    """The HTTP status that each of so many writers got, who all wrote at once; 0 without an answer."""
    together = threading.Barrier(writers)

    def status(number: int) -> int:
        together.wait(timeout=60)
        try:
            write(number)
        except ClientError as error:
            return error.response["ResponseMetadata"]["HTTPStatusCode"]
        except BotoCoreError:
            return 0
        return 200

    with ThreadPoolExecutor(writers) as pool:
        return list(pool.map(status, range(writers)))


def race(s3: S3Client, place: str, key: str, *, writers: int, size: int) -> Sequence[int]:
    """What so many writers were told who created key at once, each with bytes of its own."""
    bodies = [bytes([number]) * size for number in range(writers)]
    return at_once(writers, lambda n: s3.put_object(Bucket=place, Key=key, Body=bodies[n], IfNoneMatch="*"))


@pytest.mark.parametrize("key", ["a/b", "档案/2021年.txt", "a\nb\n", "\r", "a +%2F%&?#", "../a/./b", "x" * 1000])
def test_an_object_comes_back_under_its_own_key(server: Server, s3: S3Client, key: str) -> None:
    place = bucket(server)
    s3.put_object(Bucket=place, Key=key, Body=b"bytes")
    assert s3.get_object(Bucket=place, Key=key)["Body"].read() == b"bytes"
    assert [found["Key"] for found in s3.list_objects_v2(Bucket=place)["Contents"]] == [key]


def test_every_bucket_is_new_and_empty(server: Server, s3: S3Client) -> None:
    first, second = bucket(server), bucket(server)
    s3.put_object(Bucket=first, Key="a", Body=b"x")
    assert s3.list_objects_v2(Bucket=second)["KeyCount"] == 0


def test_versioning_and_object_lock_are_on_where_asked_for(server: Server, s3: S3Client) -> None:
    states = [
        s3.get_bucket_versioning(Bucket=place).get("Status")
        for place in (bucket(server), bucket(server, versioning=True), bucket(server, object_lock=True))
    ]
    assert states == [None, "Enabled", "Enabled"]
    lock = s3.get_object_lock_configuration(Bucket=bucket(server, object_lock=True))
    assert lock["ObjectLockConfiguration"]["ObjectLockEnabled"] == "Enabled"


@pytest.mark.parametrize(("size", "times"), [(1000, 5), (20 * MB, 1)])
def test_one_of_sixteen_writers_wins(server: Server, s3: S3Client, size: int, times: int) -> None:
    place = bucket(server)
    for turn in range(times):
        told = race(s3, place, str(turn), writers=16, size=size)
        assert sorted(told) == [200] + [412] * 15
        assert s3.get_object(Bucket=place, Key=str(turn))["Body"].read() == bytes([told.index(200)]) * size


def test_moto_completes_one_of_eight_uploads(moto_server: Server) -> None:
    place = bucket(moto_server)
    with closing(client(moto_server)) as s3:
        uploads = [s3.create_multipart_upload(Bucket=place, Key="a")["UploadId"] for _ in range(8)]
        tags = [
            s3.upload_part(Bucket=place, Key="a", UploadId=upload, PartNumber=1, Body=b"x" * MB)["ETag"]
            for upload in uploads
        ]
        told = at_once(
            8,
            lambda number: s3.complete_multipart_upload(
                Bucket=place, Key="a", UploadId=uploads[number], IfNoneMatch="*",
                MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tags[number]}]},
            ),
        )  # fmt: skip
    assert sorted(told) == [200] + [412] * 7


def test_racy_moto_lets_several_win(racy_moto_server: Server) -> None:
    place = bucket(racy_moto_server)
    with closing(client(racy_moto_server)) as s3:
        assert any(race(s3, place, str(turn), writers=8, size=20 * MB).count(200) > 1 for turn in range(20))


@pytest.mark.parametrize("how", ["versioning", "object_lock"])
def test_ceph_lets_all_win_in_a_bucket_with_versions(ceph_server: Server, how: str) -> None:
    place = bucket(ceph_server, versioning=how == "versioning", object_lock=how == "object_lock")
    with closing(client(ceph_server)) as s3:
        assert race(s3, place, "a", writers=16, size=1000) == [200] * 16


# --- the processes


def children(parent: int) -> set[int]:
    """The processes that parent has started and that have not ended."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, its_parent = stat.read_text().rpartition(")")[2].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(its_parent) == parent and state != "Z":
            found.add(int(stat.parent.name))
    return found


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_nothing_is_left_afterwards(server: Server) -> None:
    before = children(os.getpid())
    with pytest.raises(KeyboardInterrupt), HOW[server.name]() as own:
        started = children(os.getpid()) - before
        assert {os.getpgid(one) for one in started} == started, "a Ctrl-C reaches the tests only"
        raise KeyboardInterrupt
    assert started
    assert not any(alive(one) for one in started)
    address = urlsplit(own.endpoint_url)
    assert address.hostname is not None
    assert address.port is not None
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.hostname, address.port)).close()


# Another distribution has a package of the name "tests": it is told which one is meant.
KILLED = """
import sys, time, types
sys.modules["tests"] = types.ModuleType("tests")
sys.modules["tests"].__path__ = [sys.argv[1]]
from tests.services.{name} import {name}
with {name}():
    print("started", flush=True)
    time.sleep(600)
"""


def test_nothing_is_left_of_tests_that_were_killed(server: Server, tmp_path: Path) -> None:
    folder = Path(__file__).parents[1]
    with subprocess.Popen(
        [sys.executable, "-c", KILLED.format(name=server.name), folder], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as tests:  # fmt: skip
        assert tests.stdout is not None
        assert tests.stdout.readline() == "started\n"
        started = children(tests.pid)
        tests.send_signal(signal.SIGKILL)
    assert started
    patience = time.monotonic() + 60
    while any(alive(one) for one in started):
        assert time.monotonic() < patience, started
        time.sleep(0.05)
