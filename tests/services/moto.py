"""moto's S3, from the launcher moto_server.py. Everything it stores is gone when it ends."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.services import Server
from tests.services.processes import daemon, wait_until_it_answers

LAUNCHER = Path(__file__).with_name("moto_server.py")


def lacking() -> Sequence[str]:
    """What is not installed of what moto() needs."""
    modules = [name for name in ("moto", "flask", "flask_cors") if importlib.util.find_spec(name) is None]
    return modules if shutil.which("setpriv") else [*modules, "setpriv"]


@contextmanager
def moto(*, racy: bool = False) -> Iterator[Server]:
    """moto while it runs. racy: two writers of one key may both be told that the key was absent."""
    with ExitStack() as running:
        folder = running.enter_context(tempfile.TemporaryDirectory(prefix="lantai-moto-"))
        # The socket is handed over listening: nobody can take the port in between.
        with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
            port, fd = listening.getsockname()[1], listening.fileno()
            # -P: else "import moto" would find this file, which lies beside the launcher.
            command = [sys.executable, "-P", str(LAUNCHER), str(fd), *(["--racy"] if racy else [])]
            process = running.enter_context(daemon(Path(folder) / "moto.log", *command, pass_fds=(fd,)))
        wait_until_it_answers(port, [process])
        yield Server("moto", f"http://127.0.0.1:{port}", "lantai", "lantai-secret", "us-east-1")
