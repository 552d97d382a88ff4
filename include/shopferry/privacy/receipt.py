"""A consent receipt after ISO/IEC TS 27560:2023: one consent record per purpose and channel, in terms of W3C's DPV.

Its form is in docs/reference/consent-receipt.schema.json. It names a person by number, and addresses by their keyed marks.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from shopferry.privacy.consents import Act, Consents, State, Text

VERSION = "ISO/IEC TS 27560:2023, shopferry 1"
_NAMESPACES = {"dpv": "https://w3id.org/dpv#", "pd": "https://w3id.org/dpv/pd#"}
_EVENT_STATES = {
    "asked": "dpv:ConsentRequested",
    "granted": "dpv:ConsentGiven",
    "confirmed": "dpv:ConsentGiven",
    "withdrawn": "dpv:ConsentWithdrawn",
    "objected": "dpv:ConsentRefused",
    "moved": "dpv:ConsentInvalidated",
    "expired": "dpv:ConsentExpired",
}
_STATES = {
    "granted": "dpv:ConsentGiven",
    "withdrawn": "dpv:ConsentWithdrawn",
    "unproven": "dpv:ConsentUnknown",
    "pending": "dpv:ConsentRequested",
    "expired": "dpv:ConsentExpired",
}
_BASES = {"consent": "dpv:Consent", "soft_opt_in": "dpv:LegitimateInterest"}
_PII = {
    "email": "pd:EmailAddress",
    "sms": "pd:TelephoneNumber",
    "phone": "pd:TelephoneNumber",
    "post": "pd:PhysicalAddress",
}
# What the standard wants of a record, and neither the consents nor their texts tell.
_NOT_RECORDED = (
    "storage_locations",
    "retention_period",
    "jurisdiction",
    "recipient_third_parties",
    "withdrawal_method",
    "party_address",
    "party_contact",
    "validity_duration",
)

Topic = tuple[str, str | None]  # purpose and channel


def make(found: Consents) -> dict[str, Any]:
    """Make the receipt, as plain values for JSON; each has a number of its own, its records keep theirs."""
    return {
        "schema_version": VERSION,
        "receipt_id": str(uuid.uuid4()),
        "issued_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "namespaces": _NAMESPACES,
        "pii_principal_id": found.person,
        "consent_records": [_make_record(found, topic) for topic in _list_topics(found)],
        "not_recorded": list(_NOT_RECORDED),
    }


def _list_topics(found: Consents) -> list[Topic]:
    """List what there is a record of: a refusal of an unknown channel is of all, and alone where there is no other."""
    named: set[Topic] = {(s.purpose, s.channel) for s in found.state} | {(a.purpose, a.channel) for a in found.chain}
    purposes = {purpose for purpose, channel in named if channel is not None}
    return sorted((t for t in named if t[1] is not None or t[0] not in purposes), key=lambda t: (t[0], t[1] or ""))


def _make_record(found: Consents, topic: Topic) -> dict[str, Any]:
    purpose, channel = topic
    state = next((s for s in found.state if (s.purpose, s.channel) == topic), None)
    acts = [a for a in found.chain if a.purpose == purpose and a.channel in {channel, None}]
    versions = {a.text_version for a in acts}
    texts = [t for t in found.texts if t.text_version in versions]
    controllers = sorted({t.controller for t in texts if t.controller})
    record: dict[str, Any] = {
        "schema_version": VERSION,
        "record_id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"shopferry:{found.route}/{found.person}/{purpose}/{channel}")),
        "pii_principal_id": found.person,
        "pii_processing": {
            "privacy_notices": [_make_notice(t) for t in texts],
            "purposes": [_make_purpose(topic, state, controllers)],
        },
        "party_identification": [_make_controller(name) for name in controllers],
        "events": [_make_event(found.person, a) for a in acts],
    }
    if state:
        record["consent_status"] = {"state": state.state, "status": _STATES[state.state], "why": state.why}
    return record


def _make_purpose(topic: Topic, state: State | None, controllers: Iterable[str]) -> dict[str, Any]:
    purpose, channel = topic
    pii = {"pii_type": _PII.get(channel or "", "dpv:PersonalData")}
    if state and state.address_mark:
        pii["pii_attribute_id"] = state.address_mark
    made = {
        "purpose": purpose,
        "channel": channel,
        "pii_information": [pii],
        "pii_controllers": [_number_party(name) for name in controllers],
    }
    return made | ({"lawful_basis": _BASES[state.basis]} if state else {})


def _number_party(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"shopferry:party/{name}"))


def _make_controller(name: str) -> dict[str, str]:
    return {"party_id": _number_party(name), "party_name": name, "party_role": "dpv:DataController"}


def _make_notice(text: Text) -> dict[str, Any]:
    """Name a text by its version and the SHA-256 of its UTF-8, so that a copy of it can be proved the same."""
    return {
        "text_version": text.text_version,
        "language": text.language,
        "sha256": hashlib.sha256(text.body.encode()).hexdigest(),
        "valid_from": text.valid_from.isoformat() if text.valid_from else None,
        "valid_to": text.valid_to.isoformat() if text.valid_to else None,
    }


def _make_event(person: str, act: Act) -> dict[str, Any]:
    """Make an event; a yes to a text that nobody knows is implied, since nothing shows what was declared."""
    return {
        "event_time": _write_time(act.happened_at),
        "known_at": _write_time(act.known_at),
        "entity_id": person,
        "event_type": "implied" if act.act == "granted" and act.text_version is None else "explicit",
        "event_state": _EVENT_STATES[act.act],
        "act": act.act,
        "text_version": act.text_version,
        "address_mark": act.address_mark,
        "source": act.source,
        "overwritten": act.overwritten,
    }


def _write_time(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat() if at else None
