"""moto's S3 as a process: python -P moto_server.py FD [--racy], where FD is a listening socket.

moto looks whether a key is there, and then stores it. With --racy it is left like that, and threads take turns so often
that two get between the two; else each request is answered in one turn, once its body has come. Both are given routes
on which a key may hold a line feed.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.s3.exceptions import NoSuchUpload
from moto.s3.models import FakeKey, S3Backend
from moto.s3.responses import S3Response
from werkzeug.serving import make_server

_turn = threading.Lock()


class InTurn(S3Response):
    """S3Response, one request at a time. Listings too: they fail over keys that change meanwhile."""

    def _key_response(self, *request: Any) -> Any:
        with _turn:
            return super()._key_response(*request)

    def _bucket_response(self, *request: Any) -> Any:
        with _turn:
            return super()._bucket_response(*request)


class Quiet(MotoRequestHandler):
    """No line for each request."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


def told_if_gone(act: Callable[..., Any]) -> Callable[..., Any]:
    """What is asked of an upload, once it is seen to be there: moto would answer 500 where others say NoSuchUpload."""

    def asked(backend: S3Backend, bucket_name: str, multipart_id: str, *more: Any, **named: Any) -> Any:
        if multipart_id not in backend.get_bucket(bucket_name).multiparts:
            raise NoSuchUpload(upload_id=multipart_id)
        return act(backend, bucket_name, multipart_id, *more, **named)

    return asked


def main(listening: int, racy: bool) -> None:
    if racy:
        sys.setswitchinterval(1e-6)
        # Else a winner whose bytes the next one replaces is often told 500 instead of 200.
        FakeKey.dispose = lambda self, garbage=False: None  # type: ignore[method-assign]
    answering = S3Response if racy else InTurn

    def url_paths(backend: S3Backend) -> dict[str, Any]:
        own = super(S3Backend, backend).url_paths
        return {path.replace(".+", r"[\s\S]+"): getattr(answering, way.__name__) for path, way in own.items()}

    S3Backend.url_paths = property(url_paths)  # type: ignore[assignment,method-assign]
    for name in ("upload_part", "complete_multipart_upload"):
        setattr(S3Backend, name, told_if_gone(getattr(S3Backend, name)))
    application = DomainDispatcherApplication(create_backend_app)
    make_server("127.0.0.1", 0, application, threaded=True, request_handler=Quiet, fd=listening).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), racy="--racy" in sys.argv[2:])
