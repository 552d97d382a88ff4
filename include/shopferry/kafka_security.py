"""How we and Kafka's brokers prove to each other who we are: TLS and SASL, for our clients and for Kafka Connect's."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shopferry.errors import ConfigError

PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_LOGINS = {
    "PLAIN": "plain.PlainLoginModule",
    "SCRAM-SHA-256": "scram.ScramLoginModule",
    "SCRAM-SHA-512": "scram.ScramLoginModule",
}
MECHANISMS = tuple(_LOGINS)
_OF_SASL = ("mechanism", "username", "password")
_OF_TLS = ("cafile", "certfile", "keyfile")
VARIABLES = {
    "protocol": "SHOPFERRY_KAFKA_SECURITY_PROTOCOL",
    **{name: f"SHOPFERRY_KAFKA_SASL_{name.upper()}" for name in _OF_SASL},
    **{name: f"SHOPFERRY_KAFKA_SSL_{name.upper()}" for name in _OF_TLS},
}
PASSWORD_FILE = "SHOPFERRY_KAFKA_SASL_PASSWORD_FILE"  # noqa: S105 - a variable's name


@dataclass(frozen=True)
class KafkaSecurity:
    """The way to the brokers: in plain text, by TLS, with a user's name and password, or with both.

    Files are PEM. Without `cafile` the system's own authorities count; `certfile` and `keyfile` are ours, where brokers ask.
    """

    protocol: str = "PLAINTEXT"
    mechanism: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    cafile: str = ""
    certfile: str = ""
    keyfile: str = ""

    @classmethod
    def from_environment(cls) -> KafkaSecurity:
        """Read SHOPFERRY_KAFKA_SECURITY_PROTOCOL, _SASL_… and _SSL_…. Raises ConfigError as `build` does."""
        values = {name: os.environ.get(variable, "") for name, variable in VARIABLES.items()}
        if file := os.environ.get(PASSWORD_FILE):
            if values["password"]:
                raise ConfigError(f"{VARIABLES['password']} and {PASSWORD_FILE} are both set: leave one of them out")
            values["password"] = _read(file, PASSWORD_FILE).strip("\r\n")
        return cls.build(values, VARIABLES)

    @classmethod
    def build(cls, values: Mapping[str, str], names: Mapping[str, str]) -> KafkaSecurity:
        """Build it of values by field; `names` says how errors call each. Raises ConfigError for what is wrong or missing."""
        made = cls(**{**values, "protocol": (values.get("protocol") or PROTOCOLS[0]).upper()})
        if made.protocol not in PROTOCOLS:
            raise ConfigError(f"{names['protocol']} is {made.protocol!r}: give one of {', '.join(PROTOCOLS)}")
        made._require_no_more(names)
        if made.sasl:
            if missing := [names[name] for name in _OF_SASL if not getattr(made, name)]:
                raise ConfigError(f"{names['protocol']} is {made.protocol}: set {', '.join(missing)}, too")
            if made.mechanism not in MECHANISMS:
                raise ConfigError(f"{names['mechanism']} is {made.mechanism!r}: give one of {', '.join(MECHANISMS)}")
        if made.tls:
            made._require_files(names)
        return made

    @property
    def sasl(self) -> bool:
        """Whether we say who we are by name and password."""
        return self.protocol.startswith("SASL_")

    @property
    def tls(self) -> bool:
        """Whether what goes over the wire is encrypted, and the brokers show a certificate."""
        return self.protocol.endswith("SSL")

    def client_options(self) -> dict[str, Any]:
        """Return the options that every client of kafka-python is made with."""
        return {
            "security_protocol": self.protocol,
            "sasl_mechanism": self.mechanism or None,
            "sasl_plain_username": self.username or None,
            "sasl_plain_password": self.password or None,
            "ssl_cafile": self.cafile or None,
            "ssl_certfile": self.certfile or None,
            "ssl_keyfile": self.keyfile or None,
        }

    def connect_properties(self) -> dict[str, str]:
        """Return what a connector's producer is told in Kafka Connect, whose own clients have settings of their own.

        Certificates go there as texts: the files are ours, and the workers run elsewhere. Raises ConfigError for a private
        key in a form that Java does not read.
        """
        if self == PLAIN_TEXT:
            return {}
        found = {"security.protocol": self.protocol}
        if self.sasl:
            login = f"org.apache.kafka.common.security.{_LOGINS[self.mechanism]}"
            who = f"username={_quote(self.username)} password={_quote(self.password)}"
            found |= {"sasl.mechanism": self.mechanism, "sasl.jaas.config": f"{login} required {who};"}
        if self.cafile:
            found |= {"ssl.truststore.type": "PEM", "ssl.truststore.certificates": Path(self.cafile).read_text()}
        if self.certfile:
            key = Path(self.keyfile).read_text()
            if "BEGIN PRIVATE KEY" not in key:
                raise ConfigError(
                    f"Kafka Connect cannot read the private key {self.keyfile}: it wants it as PKCS#8, as "
                    f"`openssl pkcs8 -topk8 -nocrypt -in {self.keyfile}` writes it"
                )
            chain = Path(self.certfile).read_text()
            found |= {"ssl.keystore.type": "PEM", "ssl.keystore.certificate.chain": chain, "ssl.keystore.key": key}
        return {f"producer.override.{name}": value for name, value in found.items()}

    def _require_no_more(self, names: Mapping[str, str]) -> None:
        """Refuse what the protocol has no use for: the user believes to be safer than they are."""
        given = [name for name in (*_OF_SASL, *_OF_TLS) if getattr(self, name)]
        unused = [n for n in given if not (self.sasl if n in _OF_SASL else self.tls)]
        if unused:
            wanted = "_".join((["SASL"] if self.sasl or set(unused) & set(_OF_SASL) else []) + ["SSL"])
            raise ConfigError(
                f"{', '.join(names[n] for n in unused)} set, but {names['protocol']} is {self.protocol}, which does not "
                f"use it: set {names['protocol']}={wanted}, or leave the other out"
            )

    def _require_files(self, names: Mapping[str, str]) -> None:
        if bool(self.certfile) != bool(self.keyfile):
            there, missing = ("certfile", "keyfile") if self.certfile else ("keyfile", "certfile")
            raise ConfigError(f"{names[there]} is set: set {names[missing]}, too")
        for name in _OF_TLS:
            if file := getattr(self, name):
                _read(file, names[name])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.cafile:
            try:
                context.load_verify_locations(self.cafile)
            except ssl.SSLError:
                raise ConfigError(f"{names['cafile']}: {self.cafile} has no certificate in PEM form") from None
        if self.certfile:
            try:
                # Without a password that is asked for, OpenSSL would ask at the terminal.
                context.load_cert_chain(self.certfile, self.keyfile, password="")
            except ssl.SSLError:
                raise ConfigError(
                    f"{names['certfile']} and {names['keyfile']}: give a certificate and its private key, in PEM form "
                    "and not encrypted"
                ) from None


PLAIN_TEXT = KafkaSecurity()


def _read(file: str, name: str) -> str:
    try:
        return Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigError(f"{name}: {file} cannot be read: {why}") from None


def _quote(value: str) -> str:
    """Quote a value for Java's login configuration."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
