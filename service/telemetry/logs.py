"""The log: one JSON object a line on standard error, with the request's id; never a body, never a secret."""

import json
import logging
from datetime import UTC, datetime
from typing import Any

import orjson
from flask import g, has_request_context

from service import wire

# What no line shows need not be found out for each; Python's guide to logging names these, under "Optimization".
logging._srcfile = None
logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


class JsonFormatter(logging.Formatter):
    """Writes a record's time, level, logger and message, its `fields`, and the id of the request it belongs to."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line of ASCII, whatever the terminal or an exception may hold."""
        entry: dict[str, Any] = {
            "time": wire.timestamp(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= getattr(record, "fields", {})
        if "request_id" not in entry and has_request_context() and "request_id" in g:
            entry["request_id"] = g.request_id
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        try:
            line = orjson.dumps(entry, default=str)
        except TypeError:  # half of a surrogate pair, which an exception may hold
            return json.dumps(entry, default=str)
        return line.decode() if line.isascii() else json.dumps(entry, default=str)


def configuration(level: str) -> dict[str, Any]:
    """Return what logging.config.dictConfig takes; the server applies it in each of its processes."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonFormatter}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"level": level.upper(), "handlers": ["stderr"]},
        "loggers": {
            # The server's own: it comes with handlers that would write plain text.
            "_granian": {"handlers": [], "propagate": True},
            # Says at "info" which dialect it speaks, each time that readiness looks at the schema.
            "alembic.runtime.migration": {"level": "WARNING"},
        },
    }
