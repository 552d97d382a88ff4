"""The error tree: what is worth another try, and what an error may say."""

from __future__ import annotations

import psycopg
import pytest
from shopferry import errors
from shopferry.retry import describe, is_transient, retrying


def _tree(root: type[Exception]) -> list[type[Exception]]:
    return [root, *(found for child in root.__subclasses__() for found in _tree(child))]


def test_every_error_has_one_root_and_stands_in_the_tree_of_the_docstring() -> None:
    for error in _tree(errors.ShopferryError):
        assert error.__name__ in (errors.__doc__ or "")
        assert error.__doc__


def test_only_transient_errors_are_retriable() -> None:
    retriable = [e for e in _tree(errors.ShopferryError) if e.retriable]
    assert retriable == [errors.TransientError]


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (psycopg.errors.DeadlockDetected(), True),
        (psycopg.errors.SerializationFailure(), True),
        (psycopg.errors.LockNotAvailable(), True),
        (psycopg.errors.AdminShutdown(), True),
        (psycopg.errors.TooManyConnections(), True),
        (psycopg.OperationalError("connection refused"), True),
        (psycopg.errors.UniqueViolation(), False),
        (psycopg.errors.UndefinedColumn(), False),
        (psycopg.ProgrammingError("no SQLSTATE"), False),
        (ConnectionResetError(), True),
        (errors.FencedError("moved"), False),
        (errors.TransientError("busy"), True),
        (ValueError("ours"), False),
    ],
)
def test_transient_is_told_by_class_or_sqlstate(error: Exception, transient: bool) -> None:
    assert is_transient(error) is transient


def test_a_description_carries_no_values() -> None:
    error = psycopg.errors.UniqueViolation("Key (email)=(jan@example.com) already exists.")
    assert describe(error) == "UniqueViolation 23505"
    assert describe(ValueError("jan@example.com")) == "ValueError"
    assert describe(errors.GapError("events 1 to 3 are gone")) == "GapError: events 1 to 3 are gone"


def test_a_transient_fault_is_tried_again_and_another_is_not() -> None:
    left = [psycopg.errors.DeadlockDetected(), psycopg.errors.DeadlockDetected()]

    def work() -> str:
        if left:
            raise left.pop()
        return "done"

    assert retrying(work) == "done"
    left.append(psycopg.errors.UniqueViolation())
    with pytest.raises(psycopg.errors.UniqueViolation):
        retrying(work)
    assert left == []


def test_a_fault_that_does_not_pass_is_raised_in_the_end() -> None:
    def work() -> None:
        raise errors.TransientError("busy")

    with pytest.raises(errors.TransientError, match="busy"):
        retrying(work, give_up_after=0.1)
