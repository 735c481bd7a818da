"""What PostgreSQL's driver leaves to us: to stop waiting."""

from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine, event


def bound_statements(engine: Engine, seconds: float) -> None:
    """Let no statement take longer: neither one that waits for a lock, nor one that nobody answers."""

    class Bounded(psycopg.Connection[Any]):
        def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
            try:
                return super().wait(gen, interval, seconds if timeout is None else timeout)
            except psycopg.OperationalError:
                # An answer that comes yet would be taken for that of the next statement.
                if self.info.transaction_status == TransactionStatus.ACTIVE:
                    self.close()
                raise

    def connect(_dialect: object, _record: object, arguments: Any, options: Any) -> Any:
        return Bounded.connect(*arguments, **options)

    def prepare(connection: Any, _record: object) -> None:
        # A little less, so that it is the server that ends the statement, if it can.
        connection.execute(f"SET lock_timeout = {round(900 * seconds)}")
        connection.commit()

    event.listen(engine, "do_connect", connect)
    event.listen(engine, "connect", prepare)
