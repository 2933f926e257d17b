"""The schema's history, by Alembic; run from the installed package, without an alembic.ini.

A change of tables.py is a new file in versions/, whose revision is the next number and becomes tables.SCHEMA.
"""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection


def revisions() -> frozenset[str]:
    """Every schema that this version knows."""
    return frozenset(one.revision for one in ScriptDirectory.from_config(_config()).walk_revisions())


def upgrade(connection: Connection) -> None:
    """Bring the schema up to the newest revision, within the connection's transaction."""
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", f"{__package__.replace('.migrations', '')}:migrations")
    config.set_main_option("path_separator", "os")
    return config
