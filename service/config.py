"""Settings: read once from the environment, checked before anything starts."""

import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from service.limits import Limits

PREFIX = "CHAINRULE_"


class ConfigError(ValueError):
    """One or more settings are unusable; the message has one sentence for each."""


class Auth(StrEnum):
    """Who may use the service."""

    OFF = "off"
    KEYS = "keys"


class Switch(StrEnum):
    """A setting that is on or off."""

    ON = "on"
    OFF = "off"


class LogLevel(StrEnum):
    """How serious something must be to be logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def _setting(default: float | str, meaning: str, *, least: int = 0, most: int = 2**63 - 1) -> Any:
    return field(default=default, metadata={"meaning": meaning, "least": least, "most": most})


@dataclass(frozen=True)
class Config:
    """Everything that can be set; each field is the variable CHAINRULE_<FIELD IN CAPITALS>."""

    database_url: str = _setting(
        "sqlite:///chainrule.sqlite3",
        "Where graphs and runs live: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME.",
    )
    host: str = _setting("127.0.0.1", "Address that `chainrule serve` listens on.")
    port: int = _setting(8000, "Port that `chainrule serve` listens on.", least=1, most=65535)
    auth: Auth = _setting(
        Auth.OFF, "Who may use the service: everyone who reaches it (off), or those who have a key (keys)."
    )
    open_network: Switch = _setting(
        Switch.OFF, "Whether `chainrule serve` may listen beyond this machine without asking for keys (on, off)."
    )
    open_metrics: Switch = _setting(Switch.ON, "Whether /metrics needs no key (on, off).")
    log_level: LogLevel = _setting(
        LogLevel.INFO, "What is logged: this and everything more serious (debug, info, warning, error)."
    )
    tracing: Switch = _setting(
        Switch.OFF, "Whether OpenTelemetry traces are sent, to where OTEL_EXPORTER_OTLP_ENDPOINT says (on, off)."
    )
    workers: int = _setting(1, "Server processes; they share one database.", least=1, most=256)
    threads: int = _setting(4, "Requests that one server process works on at a time.", least=1, most=256)
    max_body_bytes: int = _setting(64 * 2**20, "Largest accepted request body, in bytes.", least=1024)
    max_nodes: int = _setting(1_000_000, "Most nodes that a graph may have.", least=1)
    drawing_max_nodes: int = _setting(1000, "Most nodes that a picture shows.", least=1)
    drawing_seconds: int = _setting(10, "How long Graphviz may take for one picture.", least=1, most=3600)
    max_batch_cells: int = _setting(
        50_000_000,
        "Most cells of a computation: rows of a batch, or columns of a Jacobian or Hessian, times nodes.",
        least=1,
    )
    max_numbers: int = _setting(
        5_000_000, "Most numbers that an answer may hold beyond a value and a gradient a node.", least=1
    )
    max_steps: int = _setting(100_000, "Most steps of a descent.", least=1)
    max_seconds: float = _setting(60.0, "Longest that one run may compute, in seconds; then it has failed.")
    graph_cache_bytes: int = _setting(
        256 * 2**20, "Bytes of recently used stored graphs that each process keeps compiled; 0 keeps none."
    )
    max_requests_per_minute: int = _setting(
        0, "Most requests a minute with one key, in each server process; 0 sets no limit."
    )
    async_cells: int = _setting(
        2_000_000_000,
        "Cost of a run (nodes times rows, columns or steps) above which the service queues it by its own choice.",
    )
    run_slots: int = _setting(2, "Queued runs that one server process computes at a time; 0 leaves them to others.")
    dask_scheduler: str = _setting(
        "", "Address of a Dask scheduler, as tcp://HOST:8786, whose workers share large queued runs; none if empty."
    )
    max_queued: int = _setting(1000, "Most runs that may wait in the queue.")
    max_attempts: int = _setting(
        10, "How often a run is taken up, when the processes that compute it die, before it has failed.", least=1
    )
    lease_seconds: float = _setting(
        15.0,
        "How long after the death of a server process others wait before they take up what it was doing.",
        least=1,
        most=3600,
    )
    database_timeout_seconds: int = _setting(
        10,
        "How long a request waits for the database (a connection, a lock, an answer) before it is answered 503.",
        least=1,
        most=3600,
    )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "Config":
        """Read the settings, raising ConfigError with a sentence for each bad one."""
        given: dict[str, float | str] = {}
        mistakes = []
        for setting in settings():
            text = environ.get(setting.variable)
            if text is None:
                continue
            try:
                given[setting.name] = setting.read(text)
            except ValueError as mistake:
                mistakes.append(f"{setting.variable} {mistake}.")
        if mistakes:
            raise ConfigError("\n".join(mistakes))
        return cls(**given)  # type: ignore[arg-type]  # each value was read as its field's type

    @property
    def limits(self) -> Limits:
        """What one request may cost."""
        return Limits(**{limit.name: getattr(self, limit.name) for limit in fields(Limits)})

    def shown(self) -> Iterator[tuple[str, str]]:
        """Yield each variable with its value, passwords masked."""
        for setting in settings():
            value = getattr(self, setting.name)
            yield setting.variable, mask(value) if setting.name == "database_url" else str(value)


@dataclass(frozen=True)
class Setting:
    """One row of the table of settings."""

    name: str
    type: Any
    default: float | str
    meaning: str
    least: int
    most: int

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return PREFIX + self.name.upper()

    def read(self, text: str) -> float | str:
        """Turn the variable's text into a value; ValueError says what is wrong with it."""
        if self.name == "database_url":
            return _read_database_url(text)
        if self.name == "dask_scheduler":
            return _read_scheduler(text)
        if self.type in (int, float):
            return self._read_number(text)
        if issubclass(self.type, StrEnum):
            return self._read_choice(text)
        if not text.strip() and self.default:
            raise ValueError("is empty")
        return text

    def _read_choice(self, text: str) -> str:
        choices = [choice.value for choice in self.type]
        if text not in choices:
            raise ValueError(f"is {text!r}, but must be one of: {', '.join(choices)}")
        chosen: str = self.type(text)
        return chosen

    def _read_number(self, text: str) -> float:
        try:
            number: float = self.type(text)
            if not math.isfinite(number):
                raise ValueError
        except ValueError:
            kind = "a whole number" if self.type is int else "a number"
            raise ValueError(f"is {text!r}, which is not {kind}") from None
        if number < self.least:
            raise ValueError(f"is {number}, but must be at least {self.least}")
        if number > self.most:
            raise ValueError(f"is {number}, but must be at most {self.most}")
        return number


def settings() -> tuple[Setting, ...]:
    """Return the table of settings: one row for each field of Config, in order."""
    return tuple(
        Setting(each.name, each.type, each.default, **each.metadata)  # type: ignore[arg-type]
        for each in fields(Config)
    )


def mask(database_url: str) -> str:
    """Show a database URL without its passwords."""
    url = make_url(database_url)
    hidden = {name: "..." for name in url.query if "password" in name.lower()}
    return url.update_query_dict(hidden).render_as_string(hide_password=True)


def _read_database_url(text: str) -> str:
    # The text itself stays out of every message: it may hold a password.
    if text.startswith("postgres://"):  # what hosting platforms hand out; SQLAlchemy wants the full name
        text = "postgresql" + text.removeprefix("postgres")
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError("is not a database URL such as sqlite:///chainrule.sqlite3") from None
    if url.get_backend_name() == "sqlite":
        _check_sqlite(url)
    elif url.get_backend_name() != "postgresql":
        raise ValueError(f"names the database {url.get_backend_name()!r}: choose sqlite or postgresql")
    elif url.drivername not in ("postgresql", "postgresql+psycopg"):
        raise ValueError(f"names the driver {url.drivername!r}: choose postgresql or postgresql+psycopg")
    return text


def _read_scheduler(text: str) -> str:
    if text and not re.fullmatch(r"(tcp|tls)://[^\s/@:]+:\d+|(tcp|tls)://\[[0-9a-fA-F:]+\]:\d+", text):
        raise ValueError(f"is {text!r}, which is no address such as tcp://scheduler:8786 or tls://scheduler:8786")
    return text


def _check_sqlite(url: URL) -> None:
    if url.drivername not in ("sqlite", "sqlite+pysqlite"):
        raise ValueError(f"names the driver {url.drivername!r}: choose sqlite")
    if url.database in (None, "", ":memory:") or str(url.database).startswith("file:"):
        raise ValueError("names no SQLite file: runs must outlive the process, as in sqlite:///chainrule.sqlite3")
