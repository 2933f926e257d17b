"""Formats that installed packages bring: each an entry point of the group lantai.oai.formats, a function without
arguments that returns a Format.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points

from lxml import etree

from ..errors import LantaiError, UsageError
from ..messages import _
from .formats import FORMATS, Format, Shown, joined

GROUP = "lantai.oai.formats"


def formats() -> Mapping[str, Format]:
    """All there are. UsageError for one that cannot be loaded, is invalid, or clashes with another."""
    found = sorted(entry_points(group=GROUP), key=lambda one: (one.name, one.value))
    brought = joined([(_named(one), _loaded(one)) for one in found])
    return {prefix: one if prefix in FORMATS else replace(one, render=_checked(one)) for prefix, one in brought.items()}


def _named(point: EntryPoint) -> str:
    return f"{point.name} = {point.value}"


def _loaded(point: EntryPoint) -> Format:
    try:
        made = point.load()()
    except LantaiError:
        raise
    except Exception as error:
        raise _unfit(point, f"{type(error).__name__}: {error}") from error
    if not isinstance(made, Format):
        raise _unfit(point, _("it returns no Format"))
    return made if made.version else replace(made, version=_installed(point))


def _installed(point: EntryPoint) -> str:
    """What brings it, and in which version: another one may say something else."""
    return f"{point.dist.name}/{point.dist.version}" if point.dist else ""


def _unfit(point: EntryPoint, reason: str) -> UsageError:
    return UsageError(
        _("this format cannot be loaded ({reason})").format(reason=reason),
        subject=_named(point),
        remedy=_("Correct the package that brings this format, or uninstall it."),
    )


def _checked(one: Format) -> Callable[[Shown], str]:
    """What others wrote stands in our answers only as one element of its namespace; ValueError for all else."""

    def render(shown: Shown) -> str:
        root = etree.fromstring(one.render(shown), etree.XMLParser(resolve_entities=False, no_network=True))
        if root.getroottree().docinfo.internalDTD is not None:
            raise ValueError("a document type")
        if etree.QName(root).namespace != one.namespace:
            raise ValueError(f"its root is {root.tag}")
        # Where no namespace holds, that of the answer would.
        if any(etree.QName(each).namespace is None for each in root.iter("*")):
            raise ValueError("an element of no namespace")
        return etree.tostring(root, encoding="unicode", with_tail=False)

    return render
