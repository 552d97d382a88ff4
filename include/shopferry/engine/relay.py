"""The relay: rows go from one server to the other as they come, in PostgreSQL's binary form."""

from __future__ import annotations

import psycopg
from psycopg import pq
from psycopg.sql import Composed

from shopferry.db import Connection

_BYTES = 256 * 1024  # handed on at once; larger is no faster


def relay(source: Connection, out: Composed, target: Connection, into: Composed) -> int:
    """Pipe `COPY … TO STDOUT` of one server into `COPY … FROM STDIN` of the other; returns the rows.

    No row becomes a Python object.
    """
    reader, writer = source.pgconn, target.pgconn
    _expect(reader.exec_(out.as_string(source).encode()), pq.ExecStatus.COPY_OUT)
    _expect(writer.exec_(into.as_string(target).encode()), pq.ExecStatus.COPY_IN)
    buffer = bytearray()
    while True:
        size, data = reader.get_copy_data(0)
        if size < 0:
            break
        buffer += data
        if len(buffer) >= _BYTES:
            writer.put_copy_data(bytes(buffer))
            buffer.clear()
    broken = size == -2
    if buffer and not broken:
        writer.put_copy_data(bytes(buffer))
    writer.put_copy_end(b"the source broke off" if broken else None)
    # Both are read to their end in every case: the target's side must be able to roll back.
    ends = _finish(reader), _finish(writer)
    if failed := [error for error, _ in ends if error]:
        raise failed[0]
    return ends[1][1]


def _expect(result: pq.abc.PGresult, status: pq.ExecStatus) -> None:
    if result.status != status:
        raise _error(result)


def _error(result: pq.abc.PGresult) -> psycopg.Error:
    """Make an error of what the server said; if it said nothing, the connection is gone, which another try may mend."""
    error = psycopg.errors.error_from_result(result)
    return error if error.sqlstate else psycopg.OperationalError(str(error))


def _finish(connection: pq.abc.PGconn) -> tuple[psycopg.Error | None, int]:
    """Read the results to their end, so that the connection is usable again; returns what went wrong, and the rows."""
    failed, rows = None, 0
    while (result := connection.get_result()) is not None:
        if result.status == pq.ExecStatus.FATAL_ERROR:
            failed = _error(result)
        rows += result.command_tuples or 0
    return failed, rows
