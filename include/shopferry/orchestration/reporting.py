"""The report at the end of a DAG: written beside the data, named in the log; never the reason for a failure."""

from __future__ import annotations

import logging

import psycopg

from shopferry.errors import ShopferryError
from shopferry.retry import describe
from shopferry.settings import Settings

log = logging.getLogger(__name__)


def write_report(settings: Settings, occasion: str) -> None:
    """Write the report people read; what keeps it from being written is logged, and the task goes on."""
    from shopferry.report import rendering

    try:
        page = rendering.publish(settings, occasion)
    except (ShopferryError, psycopg.Error, OSError) as error:
        log.warning("no report was written: %s", describe(error))
    else:
        log.warning("report: %s", page)  # also where logs are kept quiet
