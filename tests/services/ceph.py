"""Ceph's RADOS gateway with one monitor and one object store in memory, without a manager and without cephx.

Of Debian's packages it needs PACKAGES; it runs as any user. Seen with Ceph 16.2.
"""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.services import Server
from tests.services.processes import Daemon, daemon, free_port, run, wait_until_it_answers

PACKAGES = ("ceph-mon", "ceph-osd", "radosgw", "ceph-common", "util-linux")
_PROGRAMS = ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "ceph", "setpriv")
_ACCESS_KEY, _SECRET_KEY = "lantai", "lantai-secret"

# paxos: by default a change waits a second for others to join it, and a start is some ten changes. ms mon client mode:
# the gateway would insist on encryption, which there is none of without cephx. gc: what was overwritten or deleted
# would lie in memory for two hours. avail: a monitor stops by default where the disk is nearly full.
_CONFIGURATION = """
[global]
fsid = {fsid}
mon initial members = a
mon host = {monitor}
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
ms mon client mode = crc
auth cluster required = none
auth service required = none
auth client required = none

mon data = {folder}/mon
osd data = {folder}/osd
run dir = {folder}
crash dir = {folder}
log file = {folder}/$name.log
mon cluster log file = {folder}/cluster.log
admin socket =

paxos propose interval = 0.01
paxos min wait = 0.01
mon tick interval = 1
mon data avail warn = 0
mon data avail crit = 0
mon allow pool size one = true

osd objectstore = memstore
memstore device bytes = 64G
osd crush chooseleaf type = 0
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off

rgw frontends = beast tcp_nodelay=1 endpoint=127.0.0.1:{port}
rgw enable apis = s3
rgw gc obj min wait = 60
rgw gc processor period = 30
"""


def lacking() -> Sequence[str]:
    """Programs that are not installed of those that ceph() needs."""
    return [name for name in _PROGRAMS if shutil.which(name) is None]


@contextmanager
def ceph() -> Iterator[Server]:
    """A Ceph cluster of its own while it runs."""
    with tempfile.TemporaryDirectory(prefix="lantai-ceph-") as name, ExitStack() as running:
        folder, port = Path(name), free_port()
        monitor = f"[v2:127.0.0.1:{free_port()}]"
        configuration = folder / "ceph.conf"
        configuration.write_text(_CONFIGURATION.format(fsid=uuid.uuid4(), monitor=monitor, folder=folder, port=port))
        here = ("-c", configuration)
        (folder / "mon").mkdir()
        (folder / "osd").mkdir()
        daemons: list[Daemon] = []

        def once(name: str, *command: str | Path) -> None:
            run(folder / f"{name}.out", *command)

        def start(name: str, *command: str | Path) -> None:
            daemons.append(running.enter_context(daemon(folder / f"{name}.out", *command)))

        once("mon-mkfs", "ceph-mon", *here, "-i", "a", "--mkfs", "--public-addrv", monitor)
        start("mon", "ceph-mon", *here, "-f", "-i", "a")
        once("osd-mkfs", "ceph-osd", *here, "-i", "0", "--mkfs")
        once("osd-create", "ceph", *here, "osd", "create")
        start("osd", "ceph-osd", *here, "-f", "-i", "0")
        start("rgw", "radosgw", *here, "-f", "-n", "client.rgw.a")
        wait_until_it_answers(port, daemons)
        user = ("--uid", "lantai", "--display-name", "lantai", "--access-key", _ACCESS_KEY, "--secret-key", _SECRET_KEY)
        once("user", "radosgw-admin", *here, "user", "create", *user)
        yield Server("ceph", f"http://127.0.0.1:{port}", _ACCESS_KEY, _SECRET_KEY, "us-east-1")
