"""lantai.toml: found, read, and written for a new home. Only archive reads it; rooms are given values."""

from __future__ import annotations

import json
import os
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from .errors import UsageError
from .messages import _
from .settings import Settings
from .storage import Bucket

FILE = "lantai.toml"
_TEMPLATE = "lantai.toml.template"
_VARIABLES = tuple(f"LANTAI_{table.upper()}" for table in Settings.model_fields)


def read(home: Path) -> Settings:
    """The settings of a home. Raises UsageError that names the key that is unknown or out of range."""
    path = home / FILE
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            _("this is not TOML ({reason})").format(reason=error),
            subject=str(path),
            remedy=_("Correct the line named."),
        ) from error
    except OSError as error:
        raise UsageError(
            _("the settings cannot be read ({reason})").format(reason=error.strerror),
            subject=str(path),
            remedy=_("This folder is no lantai home; lantai init DIR makes one.")
            if isinstance(error, FileNotFoundError | NotADirectoryError)
            else _("Give this user read permission on the file and the folders above it."),
        ) from error
    try:
        return Settings(**values)
    except ValidationError as error:
        raise UsageError(
            "; ".join(_problem(problem["loc"], problem["type"], problem["msg"]) for problem in error.errors()),
            subject=str(path),
            remedy=_("Correct or remove the key; docs/configuration.md lists them all."),
        ) from error
    except ValueError as error:  # SettingsError, by a name that older versions do not export
        raise UsageError(
            _("what the environment says is no JSON ({reason})").format(reason=error.__cause__ or error),
            subject=", ".join(sorted(name for name in os.environ if name.upper().startswith(_VARIABLES))),
            remedy=_('Write it as JSON, a list as ["sha256", "sm3"]; or unset the variable.'),
        ) from error


def _problem(place: tuple[int | str, ...], kind: str, message: str) -> str:
    key = ".".join(str(part) for part in place)
    if kind == "extra_forbidden":
        return _("{key}: there is no such key").format(key=key)
    return _("{key}: this value is out of range ({reason})").format(key=key, reason=message)


def find_home(start: Path) -> Path:
    """The nearest folder upward from start that holds a lantai.toml. UsageError if there is none."""
    here = start.resolve()
    for folder in (here, *here.parents):
        if (folder / FILE).is_file():
            return folder
    raise UsageError(
        _("neither this folder nor one above it is a lantai home"),
        subject=str(start),
        remedy=_("Change into a home, name it with --home DIR or LANTAI_HOME, or make one with lantai init DIR."),
    )


def template(*, name: str, language: str, store: str | Bucket, called: str = "local") -> str:
    """The lantai.toml that init writes: every key, with what it means. store: a path, or a bucket."""
    if isinstance(store, Bucket):
        url, region = (f"{key} = {_toml(value)}" if value else f'# {key} = ""' for key, value in (
            ("endpoint_url", store.endpoint_url), ("region", store.region)
        ))  # fmt: skip
        place = _S3.format(bucket=_toml(store.name), prefix=_toml(store.prefix), endpoint_url=url, region=region)
    else:
        place = _FILESYSTEM.format(path=_toml(store))
    text = resources.files(__package__).joinpath(_TEMPLATE).read_text("utf-8")
    return text.format(name=_toml(name), language=_toml(language), called=_toml(called), store=place)


def _toml(text: str) -> str:
    """A basic string of TOML: JSON's, but that DEL is escaped too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


_FILESYSTEM = """\
kind = "filesystem"      # "filesystem" or "s3" / "filesystem" 或 "s3"
path = {path}           # of kind filesystem: relative to the home, or absolute / 相对于档案库的路径，或绝对路径"""

_S3 = """\
# credentials come from the environment or ~/.aws, never from here / 凭据来自环境变量或 ~/.aws，不写在这里
kind = "s3"              # "filesystem" or "s3" / "filesystem" 或 "s3"
bucket = {bucket}        # of kind s3 / 存储桶
prefix = {prefix}        # of kind s3: what all keys begin with / 所有键的前缀
{endpoint_url}           # of kind s3: where the server is, unless AWS / 服务器地址
{region}                 # of kind s3: as the server calls it / 区域
# addressing = ""        # of kind s3: "path" or "virtual"; path where an endpoint is named / 寻址方式
# connections = 16       # of kind s3: at once, in each process / 同时连接数"""
