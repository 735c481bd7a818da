"""The Flask application, made from settings."""

from functools import partial

from flask import Flask

from service import __version__
from service.api import drawings, explanations, graphs, operations, problems, runs, service, telemetry
from service.api.application import Application
from service.api.blueprint import Api
from service.api.current import Services
from service.config import Config
from service.drawings import Drawings
from service.graphs import Graphs
from service.helpers import helpers
from service.idempotency import Idempotency
from service.keys import Keys
from service.queue import Queue
from service.readiness import Readiness
from service.runs import Runs
from service.schemas.runs import RunRequestSchema
from service.store.database import Database
from service.throttle import Throttle
from service.web import page
from service.work import Work
from service.worker import Worker


def create_app(config: Config | None = None) -> Flask:
    """Return an application that works with the configured database; its schema must be there already."""
    config = config or Config.from_environment()
    app = Application("service", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = config.max_body_bytes + 1  # the first length that is too much
    # Flask answers a slash too many with a redirect in HTML; here it is simply another path.
    app.url_map.merge_slashes = False
    app.url_map.strict_slashes = True
    app.extensions["chainrule"] = _services(config)
    problems.register(app)
    telemetry.register(app)
    api = Api(
        app,
        spec_kwargs={
            "title": "Chainrule",
            "version": __version__,
            "openapi_version": "3.1.0",
            "info": {"description": "Computation graphs in, exact gradients of every node out."},
        },
    )
    for resource in (service, graphs, runs, explanations, drawings, operations):
        api.register_blueprint(resource.blueprint)
    page.register(app)
    return app


def _services(config: Config) -> Services:
    database = Database(
        config.database_url,
        # One for each request, each queued run that is computed, the worker's own look at the queue, and readiness.
        connections=config.threads + config.run_slots + 2,
        timeout_seconds=config.database_timeout_seconds,
        statement_seconds=config.database_timeout_seconds,
    )
    stored_graphs = Graphs(database, config.limits, cached_bytes=config.graph_cache_bytes)
    idempotency = Idempotency(database, lease_seconds=config.lease_seconds)
    queue = Queue(database, lease_seconds=config.lease_seconds, max_queued=config.max_queued)
    those_who_help = helpers(config.dask_scheduler)
    stored_runs = Runs(database, stored_graphs, config.limits, queue, RunRequestSchema().load)
    worker = Worker(
        queue,
        stored_runs,
        idempotency,
        partial(Work, config.max_seconds, those_who_help.pool),
        slots=config.run_slots,
        lease_seconds=config.lease_seconds,
    )
    return Services(
        config=config,
        database=database,
        readiness=Readiness(database, worker, those_who_help),
        keys=Keys(database),
        throttle=Throttle(config.max_requests_per_minute),
        idempotency=idempotency,
        graphs=stored_graphs,
        runs=stored_runs,
        queue=queue,
        worker=worker,
        helpers=those_who_help,
        drawings=Drawings(max_nodes=config.drawing_max_nodes, seconds=config.drawing_seconds),
    )
