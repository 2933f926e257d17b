"""Reading an object, or a range of it: a cut connection is taken up where it broke."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ...errors import StoreUnavailable
from ...messages import _
from ..reader import Range
from .client import TRANSPORT, Client, Refused

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


def reader(
    client: Client, key: str, start: int = 0, stop: int | None = None, *, tag: str | None = None
) -> io.BufferedReader:
    """The bytes start to stop of the object that key names. NotFound, StoreUnavailable; Refused: another ETag."""
    return io.BufferedReader(_ObjectRange(client, key, start, stop, tag), 128 * 1024)


class _ObjectRange(Range):
    """One GET, and another from where it broke off, or from where the caller went."""

    def __init__(self, client: Client, key: str, start: int, stop: int | None, tag: str | None) -> None:
        super().__init__(start, start)
        self._client, self._key, self._tag = client, key, tag
        self._stream: Any = None
        self._streamed = start  # where the stream is
        if stop is None or start < stop:
            self._stop = self._request(stop)
        else:
            client.call("head_object", key, Key=client.name(key))

    def _request(self, stop: int | None) -> int:
        """Ask for the bytes from where we are. Where the answer ends: the first says how many there are."""
        more: dict[str, Any] = {"IfMatch": self._tag} if self._tag else {}
        if self._position or stop is not None:
            more["Range"] = f"bytes={self._position}-{'' if stop is None else stop - 1}"
        try:
            answer = self._client.call("get_object", self._key, Key=self._client.name(self._key), **more)
        except Refused as error:
            if error.status != 416:
                raise
            return self._position  # where the range begins is past the end
        self._tag, self._stream, self._streamed = answer["ETag"], answer["Body"], self._position
        if "Range" in more and not str(answer.get("ContentRange")).startswith(f"bytes {self._position}-"):
            self._drop()
            raise StoreUnavailable(
                _("the server answers with another range than it was asked for"),
                subject=self._client.subject(self._key),
                remedy=_("See what lies between this machine and the server, then try again."),
            )
        return self._position + int(answer["ContentLength"])

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        wanted = min(len(view), self._stop - self._position)
        if wanted <= 0:
            return 0
        if self._streamed != self._position:
            self._drop()
        for attempt in range(1, self._client.attempts + 1):
            try:
                if self._stream is None:
                    self._request(self._stop)
                data = self._stream.read(wanted) if self._stream is not None else b""
                if data:
                    view[: len(data)] = data
                    self._position = self._streamed = self._position + len(data)
                    return len(data)
                broken: Exception = EOFError(_("the answer ends too early"))
            except TRANSPORT as error:
                broken = error
            except Refused as error:
                raise StoreUnavailable(
                    _("it was replaced while it was read"), subject=self._client.subject(self._key),
                    remedy=_("Run the same command again."),
                ) from error  # fmt: skip
            self._drop()
            self._client.wait(attempt)
        raise self._client.unreachable(broken, self._key)[0] from broken

    def _drop(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def close(self) -> None:
        if not self.closed and self._stream is not None:
            if self._streamed == self._stop:
                with suppress(*TRANSPORT):
                    self._stream.read()  # to its end, so that the connection serves the next request
            self._drop()
        super().close()
