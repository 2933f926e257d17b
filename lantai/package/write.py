"""What is written around the payload: descriptions, PREMIS, METS, and the bag's tag files. Bytes go to a draft."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from importlib import resources

from ..catalog import Catalog
from ..digest import Algorithm
from ..metadata import bag, dc, ead3, mets, premis
from ..metadata.xml import legible
from ..model import Agent, Decision, Event, Package, PackageId, PayloadFile, Place, Record, Version
from ..storage import Body, whole
from ..storage.ocfl import Draft
from . import anatomy
from .read import read_files, read_package
from .verify import verify


@dataclass(frozen=True, slots=True)
class Account:
    """Everything a version says of its package, besides the files themselves."""

    package: PackageId
    records: tuple[Record, ...]
    places: tuple[Place, ...]
    submission: str
    content: str
    access: Decision
    events: tuple[Event, ...]  # of the package
    original_events: tuple[Event, ...]  # of the representation and its files
    agents: tuple[Agent, ...]
    software: Agent
    person: Agent
    agency: str  # how the archive calls itself
    created: datetime  # of version 1
    at: datetime  # of this version
    submitted: Mapping[str, bytes]  # descriptions as they came, by name

    def indexed(self, versions: Sequence[Version]) -> Package:
        """What the catalogue is told; stored.read_package() gives an equal one from the documents."""
        agents = {agent.id: agent for agent in agents_of(self.events, self.agents)}
        agents |= {agent.id: agent for agent in agents_of(self.original_events, self.agents) if agent.id not in agents}
        return Package(
            self.package, tuple(versions), self.records, self.places, tuple(agents.values()),
            self.events + self.original_events, self.access, self.submission, self.content,
        )  # fmt: skip


def write_original(
    draft: Draft, account: Account, files: Callable[[], Iterable[PayloadFile]], empty_folders: tuple[str, ...]
) -> None:
    """The documents of the representation: PREMIS, then the METS that names it. files: in path order, asked twice."""
    place = anatomy.base(account.package) + anatomy.ORIGINAL
    one = premis.Representation(anatomy.representation_id(account.package), "original", account.package, empty_folders)
    agents = agents_of(account.original_events, account.agents)
    digests = draft.put(
        place + anatomy.PREMIS,
        lambda: premis.representation(one, files(), account.original_events, agents),
    )
    preservation = mets.Part(anatomy.PREMIS, digests, "application/xml", account.at, "PREMIS")
    draft.put(
        place + anatomy.ROOT_METS,
        lambda: mets.representation(
            "original",
            created=account.created,
            modified=account.at,
            software=account.software,
            preservation=preservation,
            files=files(),
        ),
    )


def write_package(draft: Draft, account: Account) -> None:
    """The package's own documents. The representation's stand already, written or kept."""
    place = anatomy.base(account.package)
    top = account.records[0]

    def put(path: str, body: Body, mime: str, kind: str = "") -> mets.Part:
        return mets.Part(path, draft.put(place + path, body), mime, account.at, kind)

    about, schema = _data("about.txt"), _schema()
    documentation = [put(anatomy.DOCUMENTATION + "about.txt", whole(about), "text/plain")]
    schemas = [put(anatomy.SCHEMAS + "DILCISExtensionMETS.xsd", whole(schema), "application/xml")]
    descriptive = [
        put(anatomy.DC, lambda: dc.write(top), "application/xml", "DC"),
        put(anatomy.EAD, lambda: _ead(account, draft.number), "application/xml", "EAD"),
        *(put(anatomy.SUBMITTED + name, whole(data), *_kind(name)) for name, data in account.submitted.items()),
    ]
    original = premis.Representation(anatomy.representation_id(account.package), "original", account.package)
    entity = premis.Entity(account.package, account.submission, (original,))
    agents = agents_of(account.events, account.agents)
    preservation = put(
        anatomy.PREMIS,
        lambda: premis.root(entity, account.events, agents, (account.access,)),
        "application/xml",
        "PREMIS",
    )
    kept = [
        mets.Part(path.removeprefix(place), digests, _kind(path)[0], account.at)
        for path, digests in draft.paths(place + anatomy.SUBMISSION)
    ]
    ((_path, digests),) = draft.paths(place + anatomy.ORIGINAL + anatomy.ROOT_METS)
    representation = mets.Part(anatomy.ORIGINAL + anatomy.ROOT_METS, digests, "application/xml", account.at)
    place_of_top = next((one for one in account.places if one.record == top.id), None)
    draft.put(
        place + anatomy.ROOT_METS,
        lambda: mets.root(
            account.package,
            label=top.description.title,
            reference_code=place_of_top.reference_code if place_of_top else None,
            created=account.created,
            modified=account.at,
            software=account.software,
            person=account.person,
            descriptive=descriptive,
            preservation=preservation,
            documentation=documentation,
            schemas=schemas,
            submission=kept,
            representations=[("original", representation)],
        ),
    )


def write_bag(draft: Draft, account: Account) -> None:
    """The bag's tag files, last of all, since they list the others (RFC 8493 section 2)."""
    octets = streams = 0
    for _path, digests in draft.paths(bag.PAYLOAD):
        octets, streams = octets + (digests.size or 0), streams + 1
    tags = [
        ("External-Identifier", account.package),
        ("External-Description", account.records[0].description.title),
        ("Bag-Software-Agent", f"{account.software.name} {account.software.version}"),
        (anatomy.SUBMISSION_TAG, account.submission),
        (anatomy.CONTENT_TAG, account.content),
    ]
    draft.put("bagit.txt", bag.declaration)
    draft.put("bag-info.txt", lambda: bag.info(tags, at=account.at.date(), octets=octets, streams=streams))
    for algorithm in draft.algorithms:
        draft.put(bag.manifest_name(algorithm), partial(_manifest, draft, algorithm))
    tag_files = [(path, digests) for path, digests in draft.paths() if not path.startswith(bag.PAYLOAD)]
    for algorithm in draft.algorithms:
        draft.put("tag" + bag.manifest_name(algorithm), partial(bag.manifest, tag_files, algorithm))


def _manifest(draft: Draft, algorithm: Algorithm) -> Iterable[bytes]:
    return bag.manifest(draft.paths(bag.PAYLOAD), algorithm)


def close(
    draft: Draft, account: Account, catalog: Catalog, files: Callable[[], Iterable[PayloadFile]], message: str
) -> None:
    """The end of every version: the package's own documents, the proof that all fits, the commit, the index."""
    write_package(draft, account)
    write_bag(draft, account)
    message = legible(message)
    base, payload = anatomy.base(account.package), anatomy.payload(account.package)
    beside = ((path, digests) for path, digests in draft.paths(base) if not path.startswith(payload))
    this = Version(draft.number, account.at, account.person.name, message)
    package = account.indexed((*draft.versions(), this))
    verify(package, beside, draft.paths(payload), draft.read)
    draft.commit(message=message, by=account.person, at=account.at)
    if draft.as_written:
        catalog.index(package, files())
    else:  # an earlier attempt of ours was first, and told another story of the same files
        with draft.root.version(account.package, draft.number) as read:
            package = read_package(account.package, tuple(draft.root.versions(account.package)), read)
            catalog.index(package, read_files(account.package, read))


def agents_of(events: Iterable[Event], agents: Sequence[Agent]) -> tuple[Agent, ...]:
    """Those of agents that events name: a document holds no agent that nothing in it refers to."""
    named = {agent for event in events for agent in event.agents}
    return tuple(agent for agent in agents if agent.id in named)


def _ead(account: Account, version: int) -> Iterable[bytes]:
    return ead3.write(
        account.package,
        account.records,
        account.places,
        at=account.at,
        by=account.person.name,
        agency=account.agency or account.person.name,
        revised=version > 1,
    )


def _data(name: str) -> bytes:
    return resources.files(__package__).joinpath(name).read_bytes()


def _schema() -> bytes:
    return resources.files(mets.__package__).joinpath("schemas/DILCISExtensionMETS.xsd").read_bytes()


def _kind(name: str) -> tuple[str, str]:
    """Media type and MDTYPE of a description that travelled with a submission."""
    ending = name.rsplit(".", 1)[-1].lower()
    return {
        "csv": ("text/csv", "OTHER:CSV"),
        "xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "OTHER:XLSX"),
        "json": ("application/json", "OTHER:JSON"),
        "xml": ("application/xml", "DC"),
    }.get(ending, ("application/octet-stream", "OTHER:DESCRIPTION"))
