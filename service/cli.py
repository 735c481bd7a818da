"""The command line: serve, run, db, config."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import BinaryIO

import click
from alembic.util import CommandError

from service import __version__
from service.config import Config, ConfigError, mask, settings
from service.errors import NotFound, Problem, Unavailable
from service.forms import Form
from service.store import schema
from service.store.database import Database
from service.store.schema import SchemaState


@click.group()
@click.version_option(__version__, prog_name="chainrule")
def main() -> None:
    """Chainrule: computation graphs in, exact gradients of every node out."""


def _config() -> Config:
    try:
        return Config.from_environment()
    except ConfigError as error:
        raise click.ClickException(str(error)) from None


@main.command("config")
def show_config() -> None:
    """Print every setting: its variable, value and meaning."""
    shown = dict(_config().shown())
    for setting in settings():
        click.echo(f"# {setting.meaning} Default: {setting.default}\n{setting.variable}={shown[setting.variable]}\n")


@main.command()
@click.option("--host", help="Address to listen on, instead of CHAINRULE_HOST.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port, instead of CHAINRULE_PORT.")
@click.option("--workers", type=click.IntRange(1, 256), help="Processes, instead of CHAINRULE_WORKERS.")
def serve(host: str | None, port: int | None, workers: int | None) -> None:
    """Serve the API until SIGTERM or Ctrl-C; requests in progress are finished first."""
    config = _config()
    config = replace(
        config,
        host=host or config.host,
        port=port or config.port,
        workers=workers or config.workers,
    )
    _prepare_database(config)
    # Imported here, so that the other commands start quickly; and with it the kernels are compiled once, for
    # the workers to find them in the cache.
    from granian import Granian
    from granian.constants import Interfaces

    import engine.derivatives  # noqa: F401

    Granian(
        "service.wsgi:app",
        address=config.host,
        port=config.port,
        interface=Interfaces.WSGI,
        workers=config.workers,
        blocking_threads=config.threads,
        respawn_failed_workers=True,
        workers_kill_timeout=30,
    ).serve()


def _prepare_database(config: Config) -> None:
    """Bring the embedded database up to date; refuse to start on a PostgreSQL schema that is not."""
    with _database(config) as database:
        state = schema.state(database)
        if database.embedded and state is SchemaState.OUTDATED:
            schema.upgrade(database)
            state = SchemaState.CURRENT
    if state is not SchemaState.CURRENT:
        advice = {
            SchemaState.OUTDATED: "run `chainrule db upgrade` first.",
            SchemaState.NEWER: "it takes a newer version of Chainrule.",
        }
        raise click.ClickException(f"The database's schema is {state.value}: {advice[state]}")


@contextmanager
def _database(config: Config) -> Iterator[Database]:
    """Open the configured database; what goes wrong with it ends the command with a sentence."""
    database = Database(config.database_url, timeout_seconds=config.database_timeout_seconds)
    try:
        yield database
    except Unavailable as error:
        reason = str(error.__cause__).partition("\n(Background")[0].partition("\n[SQL")[0]
        raise click.ClickException(f"{mask(config.database_url)} does not answer: {reason}") from None
    except CommandError as error:
        raise click.ClickException(f"{error}.") from None
    finally:
        database.close()


@main.group()
def db() -> None:
    """Create and migrate the database that CHAINRULE_DATABASE_URL names."""


@db.command()
@click.argument("revision", default="head")
def upgrade(revision: str) -> None:
    """Bring the schema up to REVISION (the newest, if not given)."""
    with _database(_config()) as database:
        schema.upgrade(database, revision)


@db.command()
@click.argument("revision")
def downgrade(revision: str) -> None:
    """Take the schema back to REVISION, with the data that came later; "base" drops everything."""
    with _database(_config()) as database:
        schema.downgrade(database, revision)


@db.command()
def current() -> None:
    """Print the schema's revision, and how it relates to the one this version needs."""
    with _database(_config()) as database:
        click.echo(f"{schema.current(database) or 'none'} ({schema.state(database).value})")


@main.command()
@click.argument("file", type=click.File("rb"))
@click.option("--form", type=click.Choice([form.value for form in Form]), default=Form.NODES.value)
def run(file: BinaryIO, form: str) -> None:
    """Compute the run request, or the bare graph document, in FILE ("-": standard input) without a server.

    Prints the answer that POST /v1/runs gives with `store` false. What is wrong with the file goes to
    standard error as the API's problem document, and the exit code is 1.
    """
    from service import runs, wire
    from service.schemas.runs import RunRequestSchema

    config = _config()
    created_at = datetime.now(UTC)
    try:
        document = wire.parse(file.read())
        bare = isinstance(document, dict) and bool(document.keys() & {"nodes", "expression", "columns"})
        request = RunRequestSchema().load({"graph": document} if bare else document)
        if request.graph_id is not None and not request.errors:
            raise NotFound("Stored graphs are the server's; put the graph itself into the file.")
        graph = runs.inline_graph(request, max_nodes=config.max_nodes, pointer="" if bare else "/graph")
        computed = runs.perform(request, graph, created_at, config.limits)
    except Problem as problem:
        click.echo(wire.write_pretty(problem.members()), err=True)
        raise click.exceptions.Exit(1) from None
    click.echo(wire.write_pretty(runs.answer(computed, graph, Form(form))))
