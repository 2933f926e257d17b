"""A stored package, whole: every digest, inventory against content, the bag of every version and its documents."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ..digest import Algorithm, Hasher
from ..errors import Damaged, NotFound
from ..metadata import bag
from ..model import Finding, PackageId
from ..storage.ocfl import Reader, Root
from ..storage.ocfl.validate import packages as packages_in
from ..storage.ocfl.validate import structure
from . import anatomy
from .read import bag_algorithms, bag_info, bag_manifest
from .verify import verify_documents


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one object, after all of its bytes were read."""

    object: str
    findings: tuple[Finding, ...]

    @property
    def valid(self) -> bool:
        return not any(finding.fatal for finding in self.findings)


def validate_all(
    root: Root, packages: Iterable[PackageId] | None, *, progress: Callable[[int, int], None]
) -> Iterator[Verdict]:
    """Of each package named, or of every one of which root holds anything."""
    for package in packages_in(root) if packages is None else packages:
        yield validate(root, package, progress=progress)


def validate(root: Root, package: PackageId, *, progress: Callable[[int, int], None]) -> Verdict:
    """Every file is read once, for all the digests that OCFL and the bags name."""
    findings = list(structure(root, package))
    try:
        if not any(finding.code in ("E008", "E010", "E033") for finding in findings):
            findings += _content(root, package, progress)
    except (Damaged, NotFound) as error:
        findings.append(Finding.of("package-damaged", error.subject, reason=error.what))
    return Verdict(package, tuple(findings))


def _content(root: Root, package: PackageId, progress: Callable[[int, int], None]) -> Iterator[Finding]:
    with root.version(package) as head:
        algorithms = bag_algorithms(head)
        head.table.db.execute(
            "CREATE TEMP TABLE digested (path TEXT PRIMARY KEY, size INTEGER, sums TEXT) WITHOUT ROWID"
        )
        for digest, content in head.table.manifest():
            hasher = Hasher(dict.fromkeys((head.algorithm, *algorithms)))
            try:
                for chunk in root.chunks(head.key(content, content)):
                    hasher.update(chunk)
                    progress(0, len(chunk))
            except NotFound:
                continue  # told of already, by structure
            found = hasher.result()
            progress(1, 0)
            if found.values[head.algorithm] != digest:
                yield Finding.of(
                    "E092", head.key(content, content), expected=digest, found=found.values[head.algorithm]
                )
            head.table.db.execute(
                "INSERT INTO digested VALUES (?, ?, ?)", (content, found.size, json.dumps(dict(found.values)))
            )
        for number in range(1, head.number + 1):
            try:
                yield from _bag(head, number, algorithms)
            except Damaged as error:
                yield Finding.of("package-damaged", f"v{number} {error.subject}", reason=error.what)
    for number in range(1, head.number + 1):
        with root.version(package, number) as version:
            payload, base = anatomy.payload(package), anatomy.base(package)
            beside = ((path, digests) for path, digests in version.paths(base) if not path.startswith(payload))
            try:
                verify_documents(package, beside, version.paths(payload), version)
            except Damaged as error:
                yield Finding.of("package-damaged", f"v{number} {error.subject}", reason=error.what)


def _bag(head: Reader, number: int, algorithms: tuple[Algorithm, ...]) -> Iterator[Finding]:
    """RFC 8493 section 3: every manifest names every payload file with its digest, and the Oxum is right."""
    version = Reader(head.root, head.package, number, head.table)
    for name in ("bagit.txt", "bag-info.txt", bag.manifest_name(head.algorithm)):
        if head.table.digest_of(number, name) is None:
            yield Finding.of("bag-incomplete", f"v{number} {name}")
            return
    for algorithm in algorithms:
        for prefix, tag in ((bag.PAYLOAD, ""), ("", "tag")):
            name = tag + bag.manifest_name(algorithm)
            yield from _manifest(version, name, algorithm, prefix)
    octets = streams = 0
    for _path, size, _sums in _digested(version, bag.PAYLOAD):
        octets, streams = octets + size, streams + 1
    oxum = bag_info(version).get("Payload-Oxum")
    if oxum != f"{octets}.{streams}":
        yield Finding.of("bag-oxum", f"v{number} bag-info.txt", expected=oxum, found=f"{octets}.{streams}")


def _manifest(version: Reader, name: str, algorithm: Algorithm, prefix: str) -> Iterator[Finding]:
    """Names its files in the order of their paths, as they are digested here: two lists side by side."""
    listed = dict(bag_manifest(version, name))
    for path, _size, sums in _digested(version, prefix):
        if not prefix and (path.startswith((bag.PAYLOAD, "tagmanifest-"))):
            continue
        claimed = listed.pop(path, None)
        if claimed != json.loads(sums)[algorithm]:
            yield Finding.of(
                "bag-digest",
                f"v{version.number} {path}",
                manifest=name,
                expected=claimed,
                found=json.loads(sums)[algorithm],
            )
    for path in listed:
        yield Finding.of("bag-incomplete", f"v{version.number} {path}")


def _digested(version: Reader, prefix: str) -> Iterator[tuple[str, int, str]]:
    for path, _digest, content in version.table.located(version.number, prefix):
        row = version.table.db.execute("SELECT size, sums FROM digested WHERE path = ?", (content,)).fetchone()
        if row is not None:
            yield path, row[0], row[1]
