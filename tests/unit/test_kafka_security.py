"""Settings of the way to the broker: what fits together, and the one sentence for what does not."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme
from certificates import as_pkcs8
from shopferry.errors import ConfigError
from shopferry.kafka_security import KafkaSecurity
from shopferry.settings import Settings

SASL = {"SASL_MECHANISM": "SCRAM-SHA-512", "SASL_USERNAME": "ferry", "SASL_PASSWORD": "s3cret"}


def read(patch: pytest.MonkeyPatch, values: dict[str, str]) -> KafkaSecurity:
    """The settings with these variables, and no others, of SHOPFERRY_KAFKA_…"""
    for name, value in values.items():
        patch.setenv(f"SHOPFERRY_KAFKA_{name}", value)
    return KafkaSecurity.from_environment()


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """An authority's certificate, one of ours with its key, another key, and what is no certificate."""
    authority = trustme.CA()
    ours = authority.issue_cert("ferry.example")
    contents = {
        "authority": authority.cert_pem.bytes(),
        "chain": ours.cert_chain_pems[0].bytes(),
        "key": as_pkcs8(ours.private_key_pem),
        "ec key": ours.private_key_pem.bytes(),
        "other": as_pkcs8(authority.issue_cert("other.example").private_key_pem),
        "none": b"no certificate",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return {name: str(tmp_path / name) for name in (*contents, "missing")}


def test_without_settings_the_way_is_plain_text_and_connect_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = read(monkeypatch, {})
    assert found == KafkaSecurity()
    assert found.client_options() == {"security_protocol": "PLAINTEXT"} | dict.fromkeys(
        ("sasl_mechanism", "sasl_plain_username", "sasl_plain_password", "ssl_cafile", "ssl_certfile", "ssl_keyfile")
    )
    assert found.connect_properties() == {}


def test_everything_that_is_set_reaches_our_clients_and_connects_producer(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, str]
) -> None:
    where = {"SSL_CAFILE": files["authority"], "SSL_CERTFILE": files["chain"], "SSL_KEYFILE": files["key"]}
    found = read(monkeypatch, {"SECURITY_PROTOCOL": "SASL_SSL", **SASL, **where, "SASL_PASSWORD": 'q"\\'})
    assert found.client_options() == {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "ferry",
        "sasl_plain_password": 'q"\\',
        "ssl_cafile": files["authority"],
        "ssl_certfile": files["chain"],
        "ssl_keyfile": files["key"],
    }
    told = {n.removeprefix("producer.override."): v for n, v in found.connect_properties().items()}
    assert told.pop("ssl.keystore.key") == Path(files["key"]).read_text()
    assert told == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required "
        'username="ferry" password="q\\"\\\\";',
        "ssl.truststore.type": "PEM",
        "ssl.truststore.certificates": Path(files["authority"]).read_text(),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.certificate.chain": Path(files["chain"]).read_text(),
    }


def test_the_password_may_stand_in_a_file_and_is_shown_nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret\n")
    by_file = SASL | {"SASL_PASSWORD": "", "SASL_PASSWORD_FILE": str(tmp_path / "password")}
    found = read(monkeypatch, {"SECURITY_PROTOCOL": "sasl_plaintext", **by_file})
    assert (found.protocol, found.password) == ("SASL_PLAINTEXT", "s3cret")
    assert "s3cret" not in repr(found) + str(Settings("", "", "host:9092", security=found))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"SECURITY_PROTOCOL": "TLS"},
            "_SECURITY_PROTOCOL is 'TLS': give one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL",
        ),
        (
            SASL,
            "PROTOCOL is PLAINTEXT, which does not use it: set SHOPFERRY_KAFKA_SECURITY_PROTOCOL=SASL_SSL, or leave",
        ),
        ({"SECURITY_PROTOCOL": "SSL", **SASL}, "SHOPFERRY_KAFKA_SECURITY_PROTOCOL=SASL_SSL"),
        ({"SSL_CAFILE": "authority"}, "_SSL_CAFILE set, but SHOPFERRY_KAFKA_SECURITY_PROTOCOL is PLAINTEXT"),
        ({"SECURITY_PROTOCOL": "SASL_PLAINTEXT", **SASL, "SSL_CAFILE": "authority"}, "_SECURITY_PROTOCOL=SASL_SSL"),
        ({"SECURITY_PROTOCOL": "SASL_SSL"}, "set SHOPFERRY_KAFKA_SASL_MECHANISM, SHOPFERRY_KAFKA_SASL_USERNAME, SHOP"),
        (
            {"SECURITY_PROTOCOL": "SASL_SSL", **SASL, "SASL_PASSWORD": ""},
            "SASL_SSL: set SHOPFERRY_KAFKA_SASL_PASSWORD, too",
        ),
        (
            {"SECURITY_PROTOCOL": "SASL_SSL", **SASL, "SASL_MECHANISM": "GSSAPI"},
            "give one of PLAIN, SCRAM-SHA-256, SCRAM-SHA",
        ),
        (
            {"SECURITY_PROTOCOL": "SASL_SSL", **SASL, "SASL_PASSWORD_FILE": "none"},
            "are both set: leave one of them out",
        ),
        (
            {"SECURITY_PROTOCOL": "SASL_SSL", **SASL, "SASL_PASSWORD": "", "SASL_PASSWORD_FILE": "missing"},
            "SHOPFERRY_KAFKA_SASL_PASSWORD_FILE: {missing} cannot be read: No such file or directory",
        ),
        ({"SECURITY_PROTOCOL": "SSL", "SSL_CAFILE": "missing"}, "SHOPFERRY_KAFKA_SSL_CAFILE: {missing} cannot be read"),
        (
            {"SECURITY_PROTOCOL": "SSL", "SSL_CAFILE": "none"},
            "SHOPFERRY_KAFKA_SSL_CAFILE: {none} has no certificate in PEM",
        ),
        ({"SECURITY_PROTOCOL": "SSL", "SSL_CERTFILE": "chain"}, "set SHOPFERRY_KAFKA_SSL_KEYFILE, too"),
        ({"SECURITY_PROTOCOL": "SSL", "SSL_KEYFILE": "key"}, "set SHOPFERRY_KAFKA_SSL_CERTFILE, too"),
        (
            {"SECURITY_PROTOCOL": "SSL", "SSL_CERTFILE": "chain", "SSL_KEYFILE": "other"},
            "give a certificate and its private",
        ),
    ],
)
def test_what_contradicts_itself_or_is_missing_is_one_error(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, str], values: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read(monkeypatch, {name: files.get(value, value) for name, value in values.items()})
    assert said.format(**files) in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_key_that_java_does_not_read_is_refused_with_the_way_to_write_it(
    monkeypatch: pytest.MonkeyPatch, files: dict[str, str]
) -> None:
    found = read(
        monkeypatch, {"SECURITY_PROTOCOL": "SSL", "SSL_CERTFILE": files["chain"], "SSL_KEYFILE": files["ec key"]}
    )
    with pytest.raises(ConfigError, match=f"openssl pkcs8 -topk8 -nocrypt -in {files['ec key']}"):
        found.connect_properties()


def test_settings_of_the_whole_route_hold_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LEGACY_DSN", "SHOP_DSN", "KAFKA"):
        monkeypatch.setenv(f"SHOPFERRY_{name}", "x")
    monkeypatch.setenv("SHOPFERRY_KAFKA_SECURITY_PROTOCOL", "SSL")
    found = Settings.load()
    assert found.security.tls and not found.security.sasl
    assert found.reversed.security == found.security
