"""The catalogue told of a package from its own documents alone: after a crash, and when it is made anew."""

from __future__ import annotations

from ..catalog import Catalog
from ..model import PackageId
from ..storage.ocfl import Root
from . import anatomy
from .read import bag_info, read_files, read_package


def index(catalog: Catalog, root: Root, package: PackageId) -> int:
    """The head of package, which the catalogue then knows. NotFound, Damaged."""
    with root.version(package) as head:
        earlier = []
        for number in range(1, head.number):
            with root.version(package, number) as read:
                earlier.append(bag_info(read).get(anatomy.CONTENT_TAG, ""))
        told = read_package(package, tuple(root.versions(package)), head)
        catalog.index(told, read_files(package, head), earlier=earlier)
        return head.number
