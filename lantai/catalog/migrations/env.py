"""Run by Alembic for every command, with the connection that migrations.upgrade hands over."""

from alembic import context

from lantai.catalog.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
