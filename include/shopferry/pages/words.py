"""Words of enumerations that pages show, by context, and sentences whose parts no program can put together from the code.

`Language.word` is given a name as it stands in the code or in a table; here its underscores are blanks.
"""

from __future__ import annotations

ROLES = ("owner", "dpo", "marketing", "care", "on_call", "platform", "finance")

WORDS: dict[str, tuple[str, ...]] = {
    "": (
        # states of a phase
        *("new", "copying", "merging", "in sync", "in_sync", "verified", "cut over", "cut_over", "unknown"),
        *("blocking", "warning", "note", "Blocking", "Warnings", "Notes", "about {count}"),
        *("legacy", "shop", "the new shop", "the legacy store", "new shop", "legacy store"),
        # what a report was made after
        *("by hand", "after phase {phase}", "after a verification", "after the cutover", "after the rollback"),
        *("before the end",),
        # steps of a turn
        *(
            "gates",
            "look ahead",
            "keep vacuum out",
            "await calm",
            "look again",
            "hold clients",
            "lock {name}",
            "applied",
        ),
        *("last look", "make {name} ready", "echo applied", "fence {name}", "keep"),
        *("open the new shop", "open legacy", "close the new shop", "cutover", "rollback"),
        # evidence of gates
        *("none", "empty", "green", "{at}: green", "{at}: not green", "nothing", "{names} and {more} more"),
        *("from {earliest} to {latest} {zone}", "from {earliest} {zone}", "to {latest} {zone}"),
        # limits of audits
        *("{level} point worse", "{level} points worse", "{level} %"),
        # what two accounts are compared by
        *("name", "e-mail", "phone", "address", "card"),
        # channels and purposes
        *("email", "sms", "post", "marketing", "newsletter"),
        # reason codes of the engine, and of what the libraries make of values
        # what the assessment looks at, and what it says of a broker
        *("broker", "broker {address} does not answer: {error}", "{kind}: broker {address} does not answer: {error}"),
        *("refused by constraint", "refused by mapping", "refused by trigger", "refused by type", "still referenced"),
        *("dropped", "country missing", "country unknown", "currency missing", "currency unknown", "date implausible"),
        *("date in future", "date invalid", "date missing", "email invalid", "email missing", "email several"),
        *("given name missing", "ip invalid", "ip missing", "name missing", "name undivided", "phone ambiguous"),
        *(
            "phone invalid",
            "phone missing",
            "phone placeholder",
            "phone several",
            "postcode invalid",
            "postcode missing",
        ),
        *("postcode padded", "tax number invalid", "tax number missing", "tax number unchecked", "text missing"),
        *("text repaired",),
        # kinds of values that the libraries judge
        *(
            "country",
            "currency",
            "date",
            "family name",
            "given name",
            "ip",
            "name words",
            "postcode",
            "tax number",
            "text",
        ),
        # what a value looks like
        *("e-mail addresses", "phone numbers", "national numbers", "bank account numbers", "card numbers"),
        *("words about health",),
        # what looks like a query, and is a remedy
        "SELECT pg_drop_replication_slot('{name}'), if nobody wants it any more",
        # places of copies
        *("mirror", "verdicts", "witnesses"),
        # people and recipients of data, as shopferry's own data map says
        *("customers", "staff", "migration team"),
        *("the move", "accountability", "refusals", "requests"),
        *("until the migration is finished", "until the request is closed", "until the last backup ends"),
        *("who decided it must stay known", "who has looked must stay known", "nobody may write to who has refused"),
        *("the recipient is to be told to let them go", "who was erased must not come back"),
        *(f"{{who}} ({role})" for role in ROLES),
    ),
    "request": (
        *("access", "erasure", "rectification", "restriction", "objection"),
        *("open", "granted", "running", "done", "refused"),
    ),
    "pair": ("new", "same", "different", "later"),
    "audit": ("good", "warn", "error", "empty"),
    "layer": ("mirror", "identity", "shop", "quarantine", "accounting", "check"),
    "difference": ("missing", "extra", "differs", "unaccounted", "breach", "open", "explained", "repaired", "gone"),
    "consent": (
        *("granted", "withdrawn", "unproven", "pending", "expired"),
        *("asked", "confirmed", "objected", "moved"),
    ),
    "basis": ("consent", "contract", "legal obligation", "vital interests", "public task", "legitimate interest"),
    "data": (
        *("identity", "contact", "address", "credential", "consent", "purchase", "payment", "loyalty", "free text"),
        *("technical", "key"),
    ),
    "role": tuple(role.replace("_", " ") for role in ROLES),
}
