"""What sets are called and what is in them, in the language of the archive. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ..messages import N_, said
from ..metadata.elements import level_name, level_of, type_name
from . import Set

_LEVEL = N_("All open records at the level {name}.")
_TYPE = N_("All open records of the type {name}.")
_TYPED = N_("All open records that are of a type of DCMI's vocabulary.")
_PART = N_("All open records in {path}.")


def named(spec: str, path: Sequence[str], language: str) -> Set:
    """path: of a part of the arrangement of a fonds, what those above it and itself are called, from the fonds down.
    language: en or zh.
    """
    root, _colon, value = spec.partition(":")
    if root == "level" and (level := level_of(value)):
        name = level_name(level, language)
        return Set(spec, name.capitalize(), said(_LEVEL, language).format(name=name))
    if root == "type" and value:
        name = type_name(value, language)
        return Set(spec, name, said(_TYPE, language).format(name=name))
    if root == "type":
        return Set(spec, said(N_("Resource type"), language), said(_TYPED, language))
    return Set(spec, path[-1], said(_PART, language).format(path=" / ".join(path)))
