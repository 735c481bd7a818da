"""The command line: serve, run, db, keys, config."""

import ipaddress
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from tempfile import TemporaryDirectory
from typing import BinaryIO

import click
from alembic.util import CommandError

from service import __version__, wire
from service.config import Auth, Config, ConfigError, Switch, mask, settings
from service.errors import NotFound, Problem, Unavailable
from service.forms import Form
from service.helpers import helpers
from service.keys import Keys
from service.records import Scope
from service.store import schema
from service.store.database import Database
from service.store.schema import SchemaState


def _age(text: str) -> timedelta:
    units = {"d": "days", "h": "hours", "m": "minutes"}
    try:
        return timedelta(**{units[text[-1:]]: int(text[:-1])})
    except (KeyError, ValueError, OverflowError):
        raise click.BadParameter(f"{text!r} is no age such as 30d, 12h or 90m") from None


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
    _refuse_strangers(config)
    _need_extras(config)
    _prepare_database(config)
    # Imported here, so that the other commands start quickly; and with it the kernels are compiled once, for
    # the workers to find them in the cache.
    from granian import Granian
    from granian.constants import Interfaces
    from granian.log import LogLevels

    import engine.derivatives  # noqa: F401
    from service.telemetry import METRICS_DIRECTORY, logs

    with TemporaryDirectory(prefix="chainrule-metrics-") as directory:
        # What a worker process counted still counts when it has died: its files stay.
        os.environ[METRICS_DIRECTORY] = directory
        Granian(
            "service.wsgi:app",
            address=config.host,
            port=config.port,
            interface=Interfaces.WSGI,
            workers=config.workers,
            blocking_threads=config.threads,
            respawn_failed_workers=True,
            workers_kill_timeout=30,
            log_level=LogLevels(config.log_level.value),
            log_dictconfig=logs.configuration(config.log_level),
        ).serve()


def _refuse_strangers(config: Config) -> None:
    """Refuse to serve everyone on the network unless that was asked for."""
    if config.auth == Auth.KEYS or config.open_network == Switch.ON or _is_loopback(config.host):
        return
    raise click.ClickException(
        f"{config.host} can be reached from other machines, and with CHAINRULE_AUTH=off whoever reaches it may read, "
        "write and delete everything. Set CHAINRULE_AUTH=keys and create a key with `chainrule keys create NAME`; "
        "or, if something else decides who gets through, set CHAINRULE_OPEN_NETWORK=on."
    )


def _need_extras(config: Config) -> None:
    """Refuse to start where every worker process would end because a package is missing."""
    try:
        helpers(config.dask_scheduler)
    except ConfigError as error:
        raise click.ClickException(str(error)) from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


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


@db.command()
@click.option("--older-than", "age", type=_age, required=True, help="Age, as in 30d, 12h or 90m.")
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
def prune(age: timedelta, dry_run: bool) -> None:
    """Delete finished runs of that age, then graphs as old that no run refers to; the service may be running."""
    from service import pruning

    before = datetime.now(UTC) - age
    with _database(_config()) as database:
        pruned = (pruning.count if dry_run else pruning.prune)(database, before)
    click.echo(f"{'Would delete' if dry_run else 'Deleted'} {pruned.runs} runs and {pruned.graphs} graphs.")


@main.command("export")
@click.argument("file", type=click.File("wb", lazy=True, atomic=True))
def export_archive(file: BinaryIO) -> None:
    """Write all graphs and runs to FILE ("-": standard output), as docs/archive-format.md describes."""
    from service import archive

    with _database(_config()) as database:
        written = archive.write(database, file)
    click.echo(f"Wrote {written.graphs} graphs and {written.runs} runs.", err=True)


@main.command("import")
@click.argument("file", type=click.File("rb"))
def import_archive(file: BinaryIO) -> None:
    """Store the graphs and runs of FILE ("-": standard input) that are not there yet; it may be repeated."""
    from service import archive

    with _database(_config()) as database:
        try:
            read = archive.read(database, file)
        except archive.ArchiveError as error:
            raise click.ClickException(f"{error}.") from None
    click.echo(f"Stored {read.graphs} graphs and {read.runs} runs that were not there.", err=True)


@main.group("keys")
def keys_group() -> None:
    """Create, list and revoke API keys; with CHAINRULE_AUTH=keys, requests need one."""


@keys_group.command("create")
@click.argument("name")
@click.option("--scope", type=click.Choice([scope.value for scope in Scope]), default=Scope.WRITE.value)
def create_key(name: str, scope: str) -> None:
    """Create a key for NAME, valid at once, and print it: the one time that it can be read."""
    with _database(_config()) as database:
        try:
            key = Keys(database).create(name, Scope(scope))
        except ValueError as error:
            raise click.ClickException(f"{error}.") from None
    click.echo(f"Key for {name} ({scope}); it is stored as a hash only, so keep it: {key}")


@keys_group.command("list")
def list_keys() -> None:
    """List all keys, revoked ones too: id, name, scope, when created, when revoked."""
    with _database(_config()) as database:
        for key in Keys(database).all():
            revoked = "in force" if key.revoked_at is None else f"revoked {wire.timestamp(key.revoked_at)}"
            click.echo(f"{key.id}  {key.name}  {key.scope}  created {wire.timestamp(key.created_at)}  {revoked}")


@keys_group.command("revoke")
@click.argument("name")
@click.option("--id", "key_id", help="Revoke this key only, as `keys list` shows it.")
def revoke_keys(name: str, key_id: str | None) -> None:
    """Revoke the keys of NAME, at once; what belongs to the name stays."""
    with _database(_config()) as database:
        count = Keys(database).revoke(name, key_id)
    if not count:
        raise click.ClickException(f"{name} has no such key in force.")
    click.echo(f"Revoked {count}.")


@main.command()
@click.argument("file", type=click.File("rb"))
@click.option("--form", type=click.Choice([form.value for form in Form]), default=Form.NODES.value)
@click.option("--steps", is_flag=True, help="Print the backward pass instead: a line for each use of the chain rule.")
def run(file: BinaryIO, form: str, steps: bool) -> None:
    """Compute the run request, or the bare graph document, in FILE ("-": standard input) without a server.

    Prints the answer that POST /v1/runs gives with `store` false. What is wrong with the file goes to
    standard error as the API's problem document, and the exit code is 1.
    """
    from service import explanations, runs
    from service.schemas.runs import RunRequestSchema
    from service.work import Work

    config = _config()
    created_at = datetime.now(UTC)
    try:
        document = wire.parse(file.read())
        bare = isinstance(document, dict) and bool(document.keys() & {"nodes", "expression", "columns"})
        request = RunRequestSchema().load({"graph": document} if bare else document)
        if request.graph_id is not None and not request.errors:
            raise NotFound("Stored graphs are the server's; put the graph itself into the file.")
        graph = runs.inline_graph(request, max_nodes=config.max_nodes, pointer="" if bare else "/graph")
        accepted = runs.accept(request, graph, created_at, config.limits)
        computed = runs.compute(accepted, request.options, graph, Work(config.max_seconds))
        passed = explanations.steps_of(computed, graph) if steps else None
    except Problem as problem:
        click.echo(wire.write_pretty(problem.members()), err=True)
        raise click.exceptions.Exit(1) from None
    if passed is None:
        click.echo(wire.write_pretty(runs.answer(computed, graph, Form(form))))
        return
    for line in explanations.steps_table(passed):
        click.echo(line)
