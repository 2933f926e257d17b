"""serve: what is open, for whoever harvests it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from .. import founding
from ..archive import Archive
from ..messages import N_, _, ngettext
from ..oai import key as keys
from ..oai import plugins
from ..oai.formats import Format, crosswalk
from ..oai.limit import Limit
from ..oai.records import Harvest
from ..settings import days
from .output import note
from .shell import Command, Session, common, option

# A web server is loaded by the command alone that is one.
if TYPE_CHECKING:
    from ..oai.server import Application

_SAY_EVERY = 5.0
"""Seconds."""
_EVERYWHERE = ("0.0.0.0", "::", "")


@click.command(
    cls=Command,
    help=N_("Let others harvest the open records, by OAI-PMH at /oai, until it is ended.\n\n"
            "What is closed is in no answer. Put a web server with TLS before it, and name its address as [oai] "
            "base_url in lantai.toml (examples/serve)."),
    examples=("lantai serve", "lantai serve --port 8000 --workers 4"),
)  # fmt: skip
@option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help=N_("The address to listen on."))
@option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True,
        help=N_("The port to listen on; 0: any that is free."))  # fmt: skip
@option("--workers", type=click.IntRange(1, 64), default=2, show_default=True,
        help=N_("So many processes answer."))  # fmt: skip
@common()
def serve(session: Session, host: str, port: int, workers: int) -> int:
    from ..oai import server  # noqa: PLC0415

    with session.open() as archive:
        output, proxies = session.output(archive), archive.settings.oai.trusted_proxies
        key = keys.read(archive.home / archive.settings.oai.key_file)
        archive.catalog.chains()  # what is wrong with it is told here, once
        formats = plugins.formats()
        _warn(archive, host)
        _cast(archive, crosswalk(formats))
        listening = [server.listen(host, port)]
        told = {"url": _url(listening[0], host, "/oai")}
        if address := archive.settings.metrics.listen:
            watching, _colon, number = address.rpartition(":")
            listening.append(server.listen(watching.strip("[]"), int(number)))
            told["metrics"] = _url(listening[1], watching.strip("[]"), "/metrics")
        url = told["url"]
        Harvest(archive.catalog, archive.repository(url), formats).begin()
        if archive.settings.oai.union:
            archive.entries.expose()
    limit = Limit(archive.settings.oai.requests_per_minute)

    @contextmanager
    def opened() -> Iterator[Application]:
        with session.open() as archive:
            watched = listening[1].getsockname()[1] if listening[1:] else None
            yield _application(archive, url, key, limit, formats, watched)

    try:
        output.object({**told, "workers": workers})
        output.say(_("Harvesters are answered at {url}. Ctrl-C ends it.").format(url=url))
        server.run(listening, opened, workers=workers, proxies=proxies, replaced=_tell_replaced)
    except KeyboardInterrupt:
        note(_("The server has ended."))
        return 0
    finally:
        for one in listening:
            one.close()


def _application(
    archive: Archive, url: str, key: bytes, limit: Limit, formats: Mapping[str, Format], watched: int | None
) -> Application:
    """watched: the port at which figures are given."""
    from ..oai.provider import application  # noqa: PLC0415
    from ..telling.figures import exposition  # noqa: PLC0415

    settings, repository = archive.settings.oai, archive.repository(url)
    return application(
        Harvest(archive.catalog, repository, formats),
        repository,
        key=key,
        page_size=settings.page_size,
        token_ttl=int(days(settings.token_ttl).total_seconds()),
        limit=limit,
        formats=formats,
        figures=(watched, lambda: exposition(archive.figures())) if watched else None,
    )


def _url(listening: socket.socket, host: str, path: str) -> str:
    """Where this machine is reached, as far as it knows."""
    name = socket.gethostname() if host in _EVERYWHERE else host
    return f"http://{f'[{name}]' if ':' in name else name}:{listening.getsockname()[1]}{path}"


def _warn(archive: Archive, host: str) -> None:
    """Of what harvesters would keep, and that is not what it should be."""
    warnings = []
    if archive.identity.namespace.endswith(founding.PLACEHOLDER):
        warnings.append(
            _("This archive has no domain name: harvesters get identifiers in {namespace}, all of which change once it "
              "has one. An archive gets its own by lantai init --identifier DOMAIN."
            ).format(namespace=archive.identity.namespace)
        )  # fmt: skip
    if not archive.settings.archive.admin_emails:
        warnings.append(
            _("Nobody answers for this archive: harvesters are told {address}. Name somebody as [archive] "
              "admin_emails in lantai.toml.").format(address=f"admin@{archive.identity.namespace}")
        )  # fmt: skip
    if host in _EVERYWHERE and archive.settings.oai.base_url is None:
        warnings.append(
            _("Harvesters are told an address of this machine alone. Name the one that they reach as [oai] base_url "
              "in lantai.toml.")
        )  # fmt: skip
    for one in warnings:
        note(one, "yellow")


def _cast(archive: Archive, version: str) -> None:
    count, said = 0, time.monotonic()

    def told(records: int, _octets: int) -> None:
        nonlocal count, said
        if not count:
            note(_("Records are given in another way: each gets a new datestamp, and is harvested anew."))
        count += records
        if time.monotonic() - said > _SAY_EVERY:
            said = time.monotonic()
            note(ngettext("{count} record so far", "{count} records so far", count).format(count=count))

    archive.cast(version, told)


def _tell_replaced(process: int) -> None:
    note(_("Process {process} died; another takes its place.").format(process=process), "yellow")
