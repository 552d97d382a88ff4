"""The pages in Airflow's navigation: `shopferry` at a glance, *Quality*, *Segments*, *Duplicates* and *Requests*.

A plugin's routes are public unless each says otherwise: so a dependency stands on the application, for all of them. Requests
are for those who may run them.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from airflow.api_fastapi.auth.managers.models.resource_details import AccessView, DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag, requires_access_view
from fastapi import Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse

from shopferry import pages
from shopferry.control.differences import Latest
from shopferry.orchestration import duplicates_page, quality_page, requests_page, segments_page
from shopferry.orchestration.connections import load_settings
from shopferry.pages.languages import Language
from shopferry.retry import describe
from shopferry.route import language as route_language
from shopferry.route.route import Route
from shopferry.settings import Settings

PREFIX = "/shopferry"


def build_application() -> FastAPI:
    """Build the application that Airflow mounts at PREFIX, for those alone who may see Airflow's website."""
    app = FastAPI(
        title="shopferry",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        dependencies=[Depends(requires_access_view(AccessView.WEBSITE))],
    )

    @app.get("/", response_class=HTMLResponse)
    def page() -> str:
        return pages.render("overview.html", route_language.load(load_settings().route))

    @app.get("/api/status")
    def status() -> dict[str, Any]:
        return translate(build_overview(), route_language.load(load_settings().route))

    may_run = requires_access_dag("POST", DagAccessEntity.RUN, param_dag_id=requests_page.DAG_ID)

    @app.get("/requests", response_class=HTMLResponse, dependencies=[Depends(may_run)])
    def requests() -> str:
        return requests_page.build()

    @app.get("/quality", response_class=HTMLResponse)
    def quality() -> str:
        return quality_page.build()

    @app.get("/segments", response_class=HTMLResponse)
    def segments() -> str:
        return segments_page.build()

    @app.get("/duplicates", response_class=HTMLResponse)
    def duplicates() -> str:
        return duplicates_page.build()

    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": describe(error)}, 503)

    return app


def build_overview() -> dict[str, Any]:
    """Build what the page shows: counts, keys and reason codes, nothing personal. Raises what keeps it from knowing."""
    from shopferry import db
    from shopferry.control import chunks, differences, gates, phases
    from shopferry.health import measure, problems

    settings = load_settings()
    route = Route.load(settings.route)
    health = measure.measure(settings)
    found: dict[str, Any] = {
        "route": route.name,
        "active": health.active,
        "sync": asdict(health) | {"watched": health.watched, "lag_s": health.lag_s},
        "complaints": [{"text": c.text, "runbook": c.anchor} for c in problems.find_problems(health)],
        "phases": [{"phase": name, "state": "new"} for name in route.phases],
        "gates": [],
        "rehearsal": None if "shop" in health.away else _read_rehearsal(settings, route),
    }
    if not health.begun:
        return found
    with db.connect(settings.target_dsn, "page") as shop:
        progress = chunks.load_progress(shop, route.name)
        verified = differences.load_latest(shop, route.name)
        found["gates"] = [asdict(g) for g in gates.load(shop, route.name)]
        found["phases"] = [
            {
                "phase": p.phase,
                "state": p.state,
                "holder": p.holder if p.held else None,
                "seconds": round(p.seconds, 1),
                "sample": p.sample,
                "steps": [asdict(g) for g in progress if g.phase == p.phase],
                "verification": _sum_verification(verified.get(p.phase)),
            }
            for p in phases.load_all(shop, route.name)
        ]
    return found


def translate(overview: dict[str, Any], language: Language) -> dict[str, Any]:
    """Return the overview with its sentences in a language: problems, gates, and how the last rehearsal ended."""
    tell, rehearsal = language.tell, overview["rehearsal"]
    return overview | {
        "complaints": [c | {"text": tell(c["text"])} for c in overview["complaints"]],
        "gates": [g | {word: tell(g[word]) for word in ("gate", "evidence", "remedy")} for g in overview["gates"]],
        "rehearsal": rehearsal and rehearsal | {"told": tell(rehearsal["told"])},
    }


def _read_rehearsal(settings: Settings, route: Route) -> dict[str, Any] | None:
    """Read the last rehearsal, which the first phase asks for; `fresh` while the mappings are those that were rehearsed."""
    from shopferry import db
    from shopferry.control import rehearsals, schema

    with db.connect(settings.target_dsn, "page") as shop:
        last = next(iter(rehearsals.load_all(shop, route.name)), None) if schema.is_current(shop) else None
    if last is None:
        return None
    fresh = last.fingerprint == route.fingerprint
    return {"told": last.told, "green": last.green and fresh, "fresh": fresh}


def _sum_verification(last: Latest | None) -> dict[str, Any] | None:
    if last is None:
        return None
    left_out: dict[str, int] = {}
    for account in last.accounting:
        for reason, rows in account["left_out"].items():
            left_out[reason] = left_out.get(reason, 0) + rows
    sums = {
        name: sum(a[name] for a in last.accounting)
        for name in ("legacy_rows", "migrated", "quarantined", "unaccounted")
    }
    return {"rows_compared": last.rows_compared, "differences": last.differences, **sums, "left_out": left_out}
