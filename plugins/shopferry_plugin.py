"""Registers shopferry's pages with Airflow, nothing else."""

from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin
from shopferry.orchestration.page import PREFIX, build_application


class ShopferryPlugin(AirflowPlugin):
    """The pages and their entries in the navigation."""

    name = "shopferry"
    fastapi_apps: ClassVar[list[Any]] = [{"app": build_application(), "url_prefix": PREFIX, "name": "shopferry"}]
    external_views: ClassVar[list[Any]] = [
        {"name": "shopferry", "href": f"{PREFIX}/", "url_route": "shopferry", "nav_top_level": True},
        {"name": "Quality", "href": f"{PREFIX}/quality", "url_route": "quality", "nav_top_level": True},
        {"name": "Segments", "href": f"{PREFIX}/segments", "url_route": "segments", "nav_top_level": True},
        {"name": "Duplicates", "href": f"{PREFIX}/duplicates", "url_route": "duplicates", "nav_top_level": True},
        {"name": "Requests", "href": f"{PREFIX}/requests", "url_route": "requests", "nav_top_level": True},
    ]
