"""Real S3 servers on the loopback, started by the tests themselves.

    Server            where one answers, and with which keys; client() speaks to it, bucket() makes a new place in it
    moto()            moto's S3, cured of its races; moto(racy=True) with them: the server that lantai must refuse
    ceph()            Ceph's RADOS gateway, with one monitor and one object store in memory

The fixtures moto_server, racy_moto_server and ceph_server (tests/conftest.py) are one of each for a process of tests.
"""

from __future__ import annotations

import uuid
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    import pytest
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True, slots=True)
class Server:
    """An S3 server and the keys of a user who may do everything there. Buckets are named in the path."""

    name: str
    endpoint_url: str
    access_key: str
    secret_key: str
    region: str


def client(server: Server, connections: int = 32) -> S3Client:
    """A client that asks each thing once, never through a proxy. To be closed; threads may share it."""
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint_url,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        region_name=server.region,
        config=Config(
            retries={"total_max_attempts": 1},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path"},
            max_pool_connections=connections,
            proxies={},
        ),
    )


def keyed(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The server, once its keys are those that every client of this process finds."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
    return server


def bucket(server: Server, *, versioning: bool = False, object_lock: bool = False) -> str:
    """The name of a new, empty bucket that no other test has. An object lock brings versioning with it."""
    name = f"lantai-{uuid.uuid4().hex}"
    with closing(client(server)) as s3:
        s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=object_lock)
        if versioning:
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name
