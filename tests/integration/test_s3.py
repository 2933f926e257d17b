"""An archive whose store is a bucket: every verb, on real servers, from the command line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from lantai.storage import Bucket, open_store, promises
from lantai.storage.s3 import S3Store
from tests.integration.command import Lantai, folder
from tests.services import Server, bucket, client, keyed

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def command(server: Server, place: Path) -> Lantai:
    return Lantai(place, {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key})


@pytest.fixture
def raw(server: Server) -> Iterator[S3Client]:
    with closing(client(server)) as made:
        yield made


def begun(server: Server, place: Path, name: str) -> Lantai:
    """The command, in a new home whose store is in the bucket name."""
    outside = command(server, place)
    url = ("--endpoint-url", server.endpoint_url)
    with mock.patch.object(promises, "_RACES", ((4, 1024),)):  # the whole is tried where a server is to be refused
        done = outside("init", "home", "--name", "云岭县档案馆", "--store", f"s3://{name}/兰台", *url)
    assert done.code == 0, done
    return command(server, place / "home")


def test_a_package_lives_in_a_bucket(server: Server, raw: S3Client, tmp_path: Path, records: Path) -> None:
    name = bucket(server)
    lantai = begun(server, tmp_path, name)
    package = lantai.stored(records)["package"]
    [shown] = lantai("list", "--json").objects
    assert shown["package"] == package
    assert "兰台/ocfl/0=ocfl_1.1" in {one["Key"] for one in raw.list_objects_v2(Bucket=name)["Contents"]}
    assert lantai("ingest", records, "--json").object["status"] == "present"

    folder(tmp_path / "more", {"总结.txt": "圆满结束\n"})
    done = lantai("update", package, "--add", tmp_path / "more" / "总结.txt", "--reason", "补交", "--json")
    assert done.code == 0, done
    assert done.object["version"] == 2
    assert lantai("search", "圆满").code == 0
    for version in ("1", "2"):
        out = lantai("export", package, tmp_path / f"v{version}", "--version", version, "--json")
        assert out.code == 0, out
        assert out.object["verdict"] == "valid"

    whole = lantai("validate", "--json")
    assert (whole.code, [one["valid"] for one in whole.objects]) == (0, [True])
    url = ("--endpoint-url", server.endpoint_url)
    for place in (f"s3://{name}/兰台", f"s3://{name}/兰台/ocfl"):
        assert [one["valid"] for one in lantai("validate", place, *url, "--json").objects] == [True]
    assert lantai("clean", "--older-than", "0").code == 0
    assert {found.key for found in S3Store(Bucket(name, "兰台/", server.endpoint_url)).list("staging/")} == set()


def test_a_server_that_vouches_is_asked_and_not_read(
    server: Server, raw: S3Client, tmp_path: Path, records: Path
) -> None:
    name = bucket(server)
    lantai = begun(server, tmp_path, name)
    lantai.stored(records)
    done = lantai("audit", "--all", "--level", "server", "--json")
    if not open_store(Bucket(name, "兰台/", server.endpoint_url)).properties.vouches:
        assert (done.code, done.error["kind"]) == (2, "UsageError")
        return
    assert (done.code, done.object["verdict"], done.object["bytes"]) == (0, "passed", 0)
    key = next(one["Key"] for one in raw.list_objects_v2(Bucket=name)["Contents"] if "/original/data/" in one["Key"])
    raw.put_object(Bucket=name, Key=key, Body=b"other bytes", ChecksumAlgorithm="SHA256")
    done = lantai("audit", "--all", "--level", "server", "--json")
    assert (done.code, [f"兰台/{one['subject']}" for one in done.object["failed"]]) == (1, [key])


def test_one_object_of_a_bucket_is_validated_by_itself(
    server: Server, raw: S3Client, tmp_path: Path, records: Path
) -> None:
    name = bucket(server)
    lantai = begun(server, tmp_path, name)
    package = lantai.stored(records)["package"]
    declaration = next(
        one["Key"] for one in raw.list_objects_v2(Bucket=name)["Contents"] if one["Key"].endswith("/0=ocfl_object_1.1")
    )
    place = f"s3://{name}/{declaration.rsplit('/', 1)[0]}"
    url = ("--endpoint-url", server.endpoint_url)
    assert lantai("validate", place, *url, "--json").object["object"] == package
    content = next(
        one["Key"] for one in raw.list_objects_v2(Bucket=name)["Contents"] if one["Key"].endswith("/METS.xml")
    )
    raw.put_object(Bucket=name, Key=content, Body=b"<mets/>")
    done = lantai("validate", place, *url, "--json")
    assert (done.code, done.object["valid"]) == (1, False)
    assert any(content.endswith(one["subject"]) or one["subject"] in content for one in done.object["errors"])


def test_init_refuses_what_belongs_to_an_archive(server: Server, tmp_path: Path) -> None:
    name = bucket(server)
    begun(server, tmp_path, name)
    outside = command(server, tmp_path)
    url = ("--endpoint-url", server.endpoint_url)
    done = outside("init", "second", "--store", f"s3://{name}/兰台", *url, "--json")
    assert (done.code, done.error["kind"]) == (1, "Exists")
    assert not (tmp_path / "second").exists()


def test_init_refuses_a_bucket_that_keeps_versions(
    ceph_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyed(ceph_server, monkeypatch)
    name = bucket(ceph_server, versioning=True)
    done = command(ceph_server, tmp_path)(
        "init", "home", "--store", f"s3://{name}/x", "--endpoint-url", ceph_server.endpoint_url, "--json"
    )
    assert done.code != 0
    assert "versioning" in done.error["remedy"]
    assert not (tmp_path / "home").exists()
    assert list(S3Store(Bucket(name, "x/", ceph_server.endpoint_url)).list()) == []


def test_init_refuses_a_server_that_lets_two_win(racy_moto_server: Server, tmp_path: Path) -> None:
    """A probe can refuse a server and never prove one: on a busy machine it may take a second look."""
    server = racy_moto_server
    lantai = command(server, tmp_path)
    url = ("--endpoint-url", server.endpoint_url)
    for attempt in range(5):
        done = lantai("init", f"home-{attempt}", "--store", f"s3://{bucket(server)}/x", *url, "--json")
        if done.code:
            break
    assert (done.code, done.error["kind"]) == (2, "UsageError")
    assert "writers" in done.error["what"]
    assert not (tmp_path / f"home-{attempt}").exists()


def test_what_cannot_be_reached_is_said(tmp_path: Path, moto_server: Server, records: Path) -> None:
    name = bucket(moto_server)
    lantai = begun(moto_server, tmp_path, name)
    settings = lantai.folder / "lantai.toml"
    settings.write_text(settings.read_text().replace(name, "no-such-bucket"))
    done = lantai("ingest", records, "--json")
    assert (done.code, done.error["kind"]) == (1, "StoreUnavailable")
    assert "no-such-bucket" in done.error["subject"]
    assert lantai("ingest", records, "--json", AWS_SECRET_ACCESS_KEY="").code == 1


@pytest.mark.parametrize("broken", ['kind = "s3"', 'kind = "s3"\nbucket = "A!"', 'kind = "filesystem"'])
def test_settings_that_do_not_say_where(lantai: Lantai, broken: str) -> None:
    settings = lantai.folder / "lantai.toml"
    text = settings.read_text()
    start, end = text.index("[[store]]"), text.index("[ingest]")
    settings.write_text(f'{text[:start]}[[store]]\nname = "local"\n{broken}\n\n{text[end:]}')
    done = lantai("list", "--json")
    assert (done.code, done.error["kind"]) == (2, "UsageError")
    assert "store" in done.error["what"]


def test_a_command_opens_its_store_once(moto_server: Server, tmp_path: Path, records: Path) -> None:
    lantai = begun(moto_server, tmp_path, bucket(moto_server))
    with mock.patch("lantai.stores.open_store", wraps=open_store) as opened:
        lantai.stored(records)
    assert opened.call_count == 1


def test_check_store_tells_what_is_kept(server: Server, tmp_path: Path) -> None:
    lantai = begun(server, tmp_path, bucket(server))
    before = {one.key for one in store(lantai, server).list()}
    with mock.patch.multiple(promises, _RACES=((4, 1024),), _PAGE=60, _LARGE=9_000_000):
        seen, *told = lantai("check-store", "--json").objects
    assert seen["create_only"] is True
    assert all(one["kept"] for one in told)
    recorded = json.loads((lantai.folder / "stores.json").read_text())["local"]
    assert (recorded["create_only"], recorded["broken"]) == (True, [])
    assert {(name, seen[name]) for name in ("verifies_uploads", "vouches")} <= recorded.items()
    assert {one.key for one in store(lantai, server).list()} == before


def store(lantai: Lantai, server: Server) -> S3Store:
    name = next(line for line in (lantai.folder / "lantai.toml").read_text().splitlines() if line.startswith("bucket"))
    return S3Store(Bucket(name.split('"')[1], "兰台/", server.endpoint_url, os.environ.get("AWS_REGION")))
