"""Requests to an S3 server: repeated where that helps, and what went wrong, in words."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from copy import copy
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError, ProfileNotFound
from urllib3.exceptions import HTTPError

from ...errors import LantaiError, StoreUnavailable
from ...messages import N_, _
from .. import Bucket, absent

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

TRANSPORT = (BotoCoreError, HTTPError, OSError)
"""What a connection can raise; none of these says whether the server did what was asked."""

_PASSING = frozenset(
    {"SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "OperationAborted", "TooManyRequests",
     "ConditionalRequestConflict", "IncompleteBody", "429", "409"}
)  # fmt: skip
_CORRUPTED = frozenset({"BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"})

_UPLOADS = frozenset({"put_object", "upload_part"})
"""What has its Content-MD5 in its head."""

_SAYS: Mapping[str, tuple[str, ...]] = {
    "put_object": ("ETag",),
    "upload_part": ("ETag",),
    "create_multipart_upload": ("UploadId",),
    "head_object": ("ETag", "ContentLength", "LastModified"),
    "get_object": ("ETag", "ContentLength"),
    "list_objects_v2": ("IsTruncated",),
    "list_multipart_uploads": ("IsTruncated",),
    "list_parts": ("IsTruncated",),
}
"""What each answer has. The library takes one that was cut in its head for a whole one: a list of nothing."""

_PERMISSION = N_("Give this user the right to read, write, list and delete in the bucket.")
_KEYS = N_("Check the credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile in ~/.aws.")
_REASONS: Mapping[str, tuple[str, str]] = {
    "NoSuchBucket": (N_("there is no such bucket"), N_("Make it, or correct the bucket in lantai.toml.")),
    "AccessDenied": (N_("permission is denied"), _PERMISSION),
    "403": (N_("permission is denied"), N_("See whether key, clock and rights of this user are as the server wants.")),
    "InvalidAccessKeyId": (N_("the server does not know this access key"), _KEYS),
    "SignatureDoesNotMatch": (N_("the secret key is not the one that belongs to the access key"), _KEYS),
    "ExpiredToken": (N_("the credentials have expired"), N_("Renew them, then run the same command again.")),
    "400": (N_("the request is refused"), N_("See whether the credentials have expired, then run it again.")),
    "RequestTimeTooSkewed": (
        N_("the clocks of this machine and of the server differ too much"), N_("Set the clock of this machine."),
    ),
    "QuotaExceeded": (N_("the quota is used up"), N_("Ask for a larger quota, then try again.")),
    "EntityTooLarge": (N_("the server takes no object of this size"), N_("Raise its limit, or use another server.")),
}  # fmt: skip
_CHANGED = (N_("the bytes arrive changed"), N_("See what lies between this machine and the server, then try again."))
_LATER = N_("See whether the server is well, then run the same command again.")


class Refused(Exception):
    """412: the key exists already, though perhaps through an attempt of ours whose answer was lost. 416: the range
    begins at or after the end.
    """

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def code_of(error: LantaiError) -> str:
    """The server's own word for an error of a call."""
    told = error.__cause__
    return told.response.get("Error", {}).get("Code", "") if isinstance(told, ClientError) else ""


def says_changed(error: LantaiError) -> bool:
    """Whether the server saw other bytes than the digest that was sent with them."""
    return code_of(error) in _CORRUPTED


class Client:
    """One bucket of one server. Safe to call from several threads, and in a forked child.

    Every request is repeated, with growing pauses, after what may pass: a cut connection, a timeout, 5xx, 409, 429, a
    body that arrived changed. The client's own retries are off: hidden, they turn "stored, answer lost" into a 412.
    patience: seconds until a server that says nothing counts as one that does not answer.
    """

    def __init__(
        self, bucket: Bucket, *, attempts: int = 7, pause: Callable[[float], None] = time.sleep, patience: float = 60.0
    ) -> None:
        self.bucket, self.attempts, self._pause, self._patience = bucket, attempts, pause, patience
        self._lock, self._slots = threading.Lock(), threading.Semaphore(bucket.connections)
        self._signs_bodies = True
        self._session: boto3.session.Session | None = None
        self._connected: dict[tuple[int, bool], S3Client] = {}  # by process, and whether it signs bodies

    def once(self) -> Client:
        """The same connections, for requests that are not to be repeated."""
        found = copy(self)
        found.attempts = 1
        return found

    def unsigned(self) -> Client:
        """The same, for a server that compares Content-MD5: that is signed, and so the body is not hashed once more."""
        found = copy(self)
        found._signs_bodies = False
        return found

    def name(self, key: str) -> str:
        return self.bucket.prefix + key

    def subject(self, key: str) -> str:
        return f"s3://{self.bucket.name}/{self.bucket.prefix}{key}"

    def call(self, operation: str, key: str, /, **parameters: Any) -> Any:
        """The answer to an operation of boto3's S3 client on the bucket. Body may be a Source: it is begun afresh.

        Raises NotFound, Refused, StoreUnavailable; what a Source raises goes through.
        """
        for attempt in range(1, self.attempts + 1):
            body = parameters.get("Body")
            if isinstance(body, Source):
                body.seek(0)
            reason: LantaiError
            cause: Exception
            try:
                # A Source may read from this very server while it is sent: it must not hold what it then waits for.
                with nullcontext() if isinstance(body, Source) else self._slots:
                    answer = getattr(self._client(operation), operation)(Bucket=self.bucket.name, **parameters)
                if all(name in answer for name in _SAYS.get(operation, ())):
                    return answer
                cause = EOFError(_("the answer ends too early"))
                reason, passing = self.unreachable(cause, key)
            except ClientError as error:
                cause = error
                reason, passing = self._told(error, operation, key)
            except TRANSPORT as error:
                if isinstance(body, Source) and body.error is not None:
                    raise body.error from None
                cause = error
                reason, passing = self.unreachable(error, key)
            if not passing or attempt == self.attempts:
                raise reason from cause
            self.wait(attempt)
        raise AssertionError("unreachable")

    def wait(self, attempt: int) -> None:
        """Before the next attempt: twice as long each time, and never in step with others."""
        self._pause(min(0.1 * 2**attempt, 10.0) * random.uniform(0.5, 1.0))

    def unreachable(self, error: Exception, key: str) -> tuple[StoreUnavailable, bool]:
        """What a connection raised, as a person understands it, and whether another attempt may help."""
        if isinstance(error, (NoCredentialsError, PartialCredentialsError, ProfileNotFound)):
            what, remedy = _("there are no credentials for the server"), _(_KEYS)
            return StoreUnavailable(what, subject=self.subject(key), remedy=remedy), False
        what = _("the server does not answer ({reason})").format(reason=str(error) or type(error).__name__)
        return StoreUnavailable(what, subject=self.subject(key), remedy=_(_LATER)), True

    def _told(self, error: ClientError, operation: str, key: str) -> tuple[LantaiError, bool]:
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status in (412, 416):
            raise Refused(status) from None
        # Only to a HEAD, whose answer has no body, a server of S3 says a bare 404.
        if code in ("NoSuchKey", "NoSuchUpload") or (code == "404" and operation == "head_object"):
            return absent(key), False
        if code == "404" and operation == "head_bucket":
            code = "NoSuchBucket"
        passing = code in _PASSING or code in _CORRUPTED or status >= 500 or status == 429
        what, remedy = _CHANGED if code in _CORRUPTED else _REASONS.get(code, ("", _LATER))
        what = _(what) if what else _("the server answers {status} {code}").format(status=status, code=code)
        return StoreUnavailable(what, subject=self.subject(key), remedy=_(remedy)), passing

    def _client(self, operation: str) -> S3Client:
        signs_bodies = self._signs_bodies or operation not in _UPLOADS
        with self._lock:
            found = self._connected.get((os.getpid(), signs_bodies))
            if found is None:
                found = self._connected[os.getpid(), signs_bodies] = self._connect(signs_bodies)
            return found

    def _connect(self, signs_bodies: bool) -> S3Client:
        bucket = self.bucket
        addressing = bucket.addressing or ("path" if bucket.endpoint_url else "auto")
        config = Config(
            retries={"total_max_attempts": 1},
            # Some servers reject the trailing checksums that boto3 would add; ours are in headers.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": addressing, **({} if signs_bodies else {"payload_signing_enabled": False})},
            max_pool_connections=bucket.connections,
            connect_timeout=10,
            read_timeout=self._patience,
            tcp_keepalive=True,
        )  # fmt: skip
        region = bucket.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        if region is None and bucket.endpoint_url:
            region = "us-east-1"  # what servers of one's own expect in a signature, unless told otherwise
        try:
            if self._session is None:
                self._session = boto3.session.Session()
            return self._session.client("s3", endpoint_url=bucket.endpoint_url, region_name=region, config=config)
        except (BotoCoreError, ValueError) as error:
            raise StoreUnavailable(
                _("the connection cannot be set up ({reason})").format(reason=error), subject=self.subject(""),
                remedy=_("Check endpoint_url and region in lantai.toml, and the credentials."),
            ) from error  # fmt: skip


class Source:
    """A body of known length as the file that boto3 wants: each seek to its beginning calls the body anew."""

    def __init__(self, body: Callable[[], Any], size: int) -> None:
        self._body, self._size = body, size
        self.error: BaseException | None = None
        self.seek(0)

    def __len__(self) -> int:
        return self._size

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_SET and offset == 0:
            self._chunks, self._rest, self._position = iter(self._body()), b"", 0
        else:
            self._position = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence] + offset
        return self._position

    def read(self, number: int = -1) -> bytes:
        if number < 0:
            number = self._size - self._position
        found: list[bytes] = []
        try:
            while number > 0:
                if not self._rest:
                    self._rest = next(self._chunks, b"")
                    if not self._rest:
                        break
                piece, self._rest = self._rest[:number], self._rest[number:]
                found.append(piece)
                number -= len(piece)
        except BaseException as error:
            self.error = error
            raise
        data = b"".join(found)
        self._position += len(data)
        return data
