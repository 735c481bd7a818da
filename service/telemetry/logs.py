"""The log: one JSON object a line on standard error, with the request's id; never a body, never a secret."""

import json
import logging
from datetime import UTC, datetime
from typing import Any

from flask import g, has_request_context

from service import wire


class JsonFormatter(logging.Formatter):
    """Writes a record's time, level, logger and message, its `fields`, and the id of the request it belongs to."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line; the standard library's writer, for it takes any text that an exception may hold."""
        entry: dict[str, Any] = {
            "time": wire.timestamp(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if has_request_context() and "request_id" in g:
            entry["request_id"] = g.request_id
        entry |= getattr(record, "fields", {})
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


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
