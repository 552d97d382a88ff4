"""Verbs of activations and campaign lists: what would be handed over, and handing it over as files."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

from shopferry import db, shapes
from shopferry.cli import looks
from shopferry.cli.output import name_who, show
from shopferry.control import activations
from shopferry.insight import activation, activation_file, campaigns, delivery, permission
from shopferry.insight.activation import Draft
from shopferry.insight.formats import as_text
from shopferry.insight.push import Receiver
from shopferry.route.route import Route
from shopferry.settings import Settings, read_activate_secret

_SHOWN = 5  # rows of a preview


def activate_list(args: argparse.Namespace) -> int:
    """List the route's activations, with the last run of each and how many people its recipient has."""
    settings = Settings.load()
    route = Route.load(settings.route)
    loaded = activation_file.load(route)
    with db.connect(settings.target_dsn, "activation") as shop:
        latest = activations.load_latest(shop, route.base_name)
    rows: list[dict[str, Any]] = []
    for one in loaded:
        last = latest.get(one.name)
        rows.append(
            {
                "activation": one.name,
                "destination": one.destination,
                "purpose": one.purpose,
                "channel": one.channel,
                "recipient": one.recipient,
                "owner": one.owner,
                "schedule": one.schedule,
                "last_run": last.handed_over if last else None,
                "people": last.members if last else 0,
            }
        )
    show(args, rows)
    return 0


def activate_preview(args: argparse.Namespace) -> int:
    """Show who would come, change and leave, by numbers, and five rows with values as shapes; hands nothing over."""
    settings = Settings.load()
    route = Route.load(settings.route)
    one = activation_file.find(activation_file.load(route), args.name)
    with db.connect(settings.target_dsn, "activation") as shop:
        drawn = activation.draw(shop, route, permission.load(route), one)
    rows = list(drawn.present.values())[:_SHOWN]
    looks.book(args, {f"{activation_file.FOLDER} {one.name}": [row.customer_id for row in rows]})
    shown = [
        {"customer_id": row.customer_id}
        | {c: shapes.shape(as_text(v), capital="X") for c, v in zip(drawn.sheet.columns, row.fields, strict=True)}
        for row in rows
    ]
    if args.json:
        print(json.dumps(_count(drawn) | {"rows": shown}, indent=2, ensure_ascii=False))
        return 0
    print(f"{one.name} to {one.recipient}: {drawn.told}")
    show(args, [_count(drawn)])
    show(args, shown, ("customer_id", *drawn.sheet.columns))
    return 0


def activate_run(args: argparse.Namespace) -> int:
    """Hand over what has changed since the last run, as files or by POST: leavers, who may never be written to, members, in this
    order."""
    settings = Settings.load()
    route = Route.load(settings.route)
    one = activation_file.find(activation_file.load(route), args.name)
    questions = permission.load(route)
    with db.connect(settings.target_dsn, "activation") as shop:
        drawn = activation.draw(shop, route, questions, one)
        done = delivery.hand_over(
            shop,
            route,
            questions,
            drawn,
            _read_receiver(args.to),
            who=name_who(args),
            why=args.why,
            approved_by=args.approve,
        )
    final, run = done.final, done.run
    told: dict[str, Any] = _count(final) | {"withheld": run.withheld, "files": [str(f) for f in done.files]}
    told |= {"refused": done.refused, "stuck": done.stuck}
    if args.json:
        print(json.dumps(told, indent=2, ensure_ascii=False))
        return 0
    print(f"{one.name} to {one.recipient}: {final.told}")
    if run.withheld:
        print(f"{run.withheld} people were left out, since they may be written to no more since the run was drawn")
    for line in done.told:
        print(line)
    for file in done.files:
        print(file)
    return 0


def _read_receiver(to: str) -> Path | Receiver:
    """Read where to hand over: a folder, or an address on the web with the secret from the environment."""
    return Receiver(to, read_activate_secret()) if re.match(r"https?://", to) else Path(to)


def campaign_list(args: argparse.Namespace) -> int:
    """List the route's campaign lists."""
    loaded = campaigns.load(Route.load(Settings.load().route))
    show(
        args,
        [{"campaign": c.name, "meaning": c.meaning, "purpose": c.purpose, "owner": c.owner} for c in loaded],
        ("campaign", "meaning", "purpose", "owner"),
    )
    return 0


def campaign_preview(args: argparse.Namespace) -> int:
    """Count a campaign list by how people may be asked and why; writes nothing."""
    settings = Settings.load()
    route = Route.load(settings.route)
    campaign = campaigns.find(campaigns.load(route), args.name)
    with db.connect(settings.target_dsn, "campaign") as shop:
        drawn = campaigns.draw(shop, route, permission.load(route), campaign)
    show(args, campaigns.count(drawn), ("may_ask_by", "why", "people", "turned"))
    return 0


def campaign_run(args: argparse.Namespace) -> int:
    """Write a campaign list as a file: customers by their keys, why, and how each may be asked."""
    settings = Settings.load()
    route = Route.load(settings.route)
    campaign = campaigns.find(campaigns.load(route), args.name)
    with db.connect(settings.target_dsn, "campaign") as shop:
        drawn = campaigns.draw(shop, route, permission.load(route), campaign)
        files = campaigns.write(shop, route, campaign, drawn, Path(args.to), who=name_who(args), why=args.why)
    if args.json:
        counts = campaigns.count(drawn)
        print(json.dumps({"counts": counts, "files": [str(f) for f in files]}, indent=2, ensure_ascii=False))
        return 0
    show(args, campaigns.count(drawn), ("may_ask_by", "why", "people", "turned"))
    for file in files:
        print(file)
    return 0


def _count(draft: Draft) -> dict[str, int]:
    return {
        "gained": len(draft.gained),
        "changed": len(draft.changed),
        "lost": len(draft.lost),
        "present": len(draft.present),
        "suppressed": len(draft.suppressed),
    }
