"""What a server does, seen by asking it: its vendor's word does not count."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ...errors import StoreUnavailable
from .client import Client, Refused, says_changed
from .upload import base64_of, etag_of, md5_of

PLACE = ".tmp/probe"
"""Keys that begin with it are written to try the server; no list of a store shows them. They stay: whoever writes them
next writes the same, so that none piles up where an answer was lost.
"""

_BYTES, _OTHER = b"lantai was here", b"and here as well"
_SIZES = (len(_BYTES), 70_000)  # some servers keep small objects in another way


@dataclass(frozen=True, slots=True)
class Seen:
    """create_only: a second If-None-Match put of one key is refused. md5, sha256: a put whose bytes do not have the
    digest that it states is refused. unsigned: md5 even where the signature is not over the bytes. tags: the ETag of
    what was put is the MD5 of the bytes that arrived. vouches: a HEAD answers with the SHA-256 that was proven at the
    put.
    """

    create_only: bool
    md5: bool
    unsigned: bool
    sha256: bool
    tags: bool
    vouches: bool


def probe(client: Client) -> Seen:
    """A handful of small requests, at most nine. StoreUnavailable."""
    create_only = _second_is_refused(client)
    sha256 = _refuses(client, ChecksumSHA256=_sha256(_OTHER))
    unsigned = _refuses(client.unsigned(), ContentMD5=base64_of(md5_of(_OTHER)))
    return Seen(
        create_only=create_only,
        md5=unsigned or _refuses(client, ContentMD5=base64_of(md5_of(_OTHER))),
        unsigned=unsigned,
        sha256=sha256,
        tags=_tags(client),
        vouches=sha256 and _vouches(client),
    )


def _second_is_refused(client: Client) -> bool:
    # Since the key stays, every later process needs one request only.
    for _attempt in range(2):
        try:
            client.call(
                "put_object", PLACE, Key=client.name(PLACE), Body=_BYTES, ContentMD5=base64_of(md5_of(_BYTES)),
                IfNoneMatch="*",
            )  # fmt: skip
        except Refused:
            return True
    return False


def _refuses(client: Client, **wrong: str) -> bool:
    """Whether bytes that contradict the digest stated with them are refused."""
    key = f"{PLACE}-contradicted"
    try:
        client.once().call("put_object", key, Key=client.name(key), Body=_BYTES, **wrong)
    except StoreUnavailable as error:
        # Where it does not know the header, or does not answer: what is not seen does not count.
        return says_changed(error)
    return False


def _tags(client: Client) -> bool:
    """Without a digest in the request, since that may be all that an ETag repeats."""
    key = f"{PLACE}-tagged"
    for size in _SIZES:
        data = (_BYTES * size)[:size]
        if client.call("put_object", key, Key=client.name(key), Body=data)["ETag"] != etag_of(md5_of(data)):
            return False
    return True


def _vouches(client: Client) -> bool:
    key = f"{PLACE}-vouched"
    client.call("put_object", key, Key=client.name(key), Body=_BYTES, ChecksumSHA256=_sha256(_BYTES))
    answer = client.call("head_object", key, Key=client.name(key), ChecksumMode="ENABLED")
    return bool(answer.get("ChecksumSHA256") == _sha256(_BYTES))


def _sha256(data: bytes) -> str:
    return base64_of(hashlib.sha256(data).digest())
