"""The way to a store, as the connector's driver takes it: every word of the DSN is passed on, or refused by name.

We connect by libpq, the connector by JDBC, and both must go the same way. What libpq takes from its environment, from a service
or from a password file counts too. A word that the driver does not know could weaken what it was given for, so it is refused.
"""

from __future__ import annotations

from pathlib import Path

from psycopg import pq

from shopferry.errors import ConfigError

_PASSED = {"dbname": "database.dbname", "port": "database.port", "user": "database.user"}
_SECURED = {"sslmode": "database.sslmode", "sslrootcert": "database.sslrootcert", "sslcert": "database.sslcert"}
# About our own session alone, or what libpq has made of others.
_OURS = {
    "application_name",
    "client_encoding",
    "connect_timeout",
    "fallback_application_name",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "passfile",
    "password",
    "service",
    "servicefile",
    "sslcertmode",
    "sslcompression",
    "sslsni",
    "tcp_user_timeout",
}


def describe_way(dsn: str) -> dict[str, str]:
    """Describe the way to a store in the connector's properties. Raises ConfigError naming a word that cannot be passed on."""
    given, password, defaults = _resolve(dsn)
    found = {
        "database.hostname": _find_host(given),
        "database.password": password,
    }
    if options := given.pop("options", None):
        found["driver.options"] = options
    for words in (_PASSED, _SECURED):
        found |= {name: given.pop(word) for word, name in words.items() if word in given}
    if found.get("database.sslrootcert") == "system":
        raise ConfigError(_refuse("sslrootcert=system", "give the file of the certificates themselves"))
    if key := given.pop("sslkey", None):
        found["database.sslkey"] = _find_key(key)
    if "sslpassword" in given:
        found["database.sslpassword"] = given.pop("sslpassword")
    for word, value in given.items():
        if word not in _OURS and value != defaults.get(word):
            raise ConfigError(
                _refuse(f"{word}={value}", "leave it out, or see to the same on the server or the network")
            )
    return found


def _resolve(dsn: str) -> tuple[dict[str, str], str, dict[str, str]]:
    """Have libpq say what it would take: words with values, the password, and the words' defaults. It connects to nobody."""
    conn = pq.PGconn.connect_start(dsn.encode())
    try:
        if not conn.info or b"definition of service" in conn.get_error_message().encode():
            raise ConfigError(f"the DSN cannot be read: {conn.get_error_message()}")
        given = {o.keyword.decode(): o.val.decode() for o in conn.info if o.val}
        defaults = {o.keyword.decode(): o.compiled.decode() for o in conn.info if o.compiled}
        return given, (conn.password or b"").decode(), defaults
    finally:
        conn.finish()


def _find_host(given: dict[str, str]) -> str:
    """Find the one server by its name or address."""
    host, address = given.pop("host", ""), given.pop("hostaddr", "")
    if host and address:
        raise ConfigError(_refuse("hostaddr beside host", "give one of the two"))
    host = host or address or "localhost"
    if host.startswith(("/", "@")):
        raise ConfigError(
            _refuse(f"host={host}", "a socket is of one machine: give the server's name, and a way over TCP")
        )
    if "," in host:
        raise ConfigError(_refuse(f"host={host}", "give one server, or an address that follows the primary"))
    return f"[{host}]" if ":" in host else host


def _find_key(key: str) -> str:
    """Find the private key in the driver's form, beside the one that libpq reads."""
    other = Path(f"{key}.pk8")
    if not other.exists():
        raise ConfigError(
            _refuse(
                f"sslkey={key}",
                f"it wants it as PKCS#8: openssl pkcs8 -topk8 -inform PEM -outform DER -nocrypt -in {key} -out {other}",
            )
        )
    return str(other)


def _refuse(what: str, remedy: str) -> str:
    return f"the connector's driver cannot take {what} from the DSN of the store that it reads: {remedy}"
