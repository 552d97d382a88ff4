"""A broker that wants TLS and a user: everything of ours goes that way, and what is refused is said in one sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from certificates import as_pkcs8, make_authority
from kafka import KafkaAdminClient, KafkaConsumer
from line import Line
from pair import prepare
from servers import Broker, Connect, Secured, running
from shopferry import assess, phase_steps
from shopferry.cdc.broker import EndOffsets, forget, read_held, topics
from shopferry.cdc.clients import open_client
from shopferry.demo.generator import seed
from shopferry.errors import ConfigError, TransientError
from shopferry.kafka_security import KafkaSecurity
from shopferry.phase_steps import Options
from shopferry.route.route import Route
from shopferry.settings import Settings
from shopferry.stack.publisher import Publisher

PASSWORD = 'a "good\\ one'
ROUTE = Route.load("demo")


OPTIONS = Options(chunk_size=500, without_rehearsal="test")
TOPICS = topics(ROUTE, ROUTE.tables)


def issue(authority: trustme.CA, folder: Path, name: str) -> None:
    """A client's certificate and its key, in files that are called as the client."""
    made = authority.issue_cert("client.example", common_name=name)
    (folder / f"{name}.pem").write_bytes(made.cert_chain_pems[0].bytes())
    (folder / f"{name}.key").write_bytes(as_pkcs8(made.private_key_pem))


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory, jars: str) -> Iterator[tuple[Broker, Connect]]:
    """A Kafka with a listener of SASL_SSL, and a worker of Kafka Connect whose own clients go there, too."""
    home = tmp_path_factory.mktemp("secured")
    authority, known = make_authority(home / "known")
    pem = home / "broker.pem"
    own = authority.issue_cert("127.0.0.1")
    pem.write_bytes(as_pkcs8(own.private_key_pem) + own.cert_chain_pems[0].bytes())
    secured = Secured(pem, {"shopferry": PASSWORD, "worker": "its own", "stranger": "let me in"}, known)
    for name in ("shopferry", "worker", "stranger"):
        issue(authority, home / "known", name)
    issue(make_authority(home / "unknown")[0], home / "unknown", "shopferry")
    broker = Broker(home / "broker", jars, secured=secured)
    login = 'org.apache.kafka.common.security.scram.ScramLoginModule required username="worker" password="its own";'
    worker = {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.jaas.config": login,
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(known),
    }
    connect = Connect(home / "connect", jars, kafka=broker.secure_address, own=worker)
    with running(broker, connect):
        yield broker, connect


@pytest.fixture
def line(servers: tuple[Broker, Connect], make_db: Callable[..., str], tmp_path: Path) -> Iterator[Line]:
    """A line over the secured listener; its connector is not registered yet, and there is no consumer."""
    broker, connect = servers
    legacy, shop = make_db("legacy"), make_db("shop")
    prepare(legacy, shop, lambda conn: seed(conn, customers=100))
    known = broker.home.parent / "known" / "authority.pem"
    security = KafkaSecurity("SASL_SSL", "SCRAM-SHA-256", "shopferry", PASSWORD, str(known))
    settings = Settings(legacy, shop, broker.secure_address, "demo", connect.url, security=security)
    made = Line(tmp_path, settings, broker, connect)
    try:
        yield made
    finally:
        made.close()


def test_a_shop_moves_by_tls_and_with_a_user(line: Line) -> None:
    line.register()
    one = line.consumer("one")
    outcome = phase_steps.run(line.settings, "contacts", "test", OPTIONS, lambda _: None)
    assert outcome is not None and outcome.clean
    line.legacy("UPDATE customers SET phone = '601 000 001'")
    assert not phase_steps.compare(line.settings, "contacts").differences
    held = read_held(line.settings, TOPICS, {})
    assert sum(h.end for h in held.values()) > 100
    one.stop()
    assert PASSWORD not in one.text()


def test_the_embedded_connectors_producer_goes_there_too_and_finish_deletes_the_topics(line: Line) -> None:
    settings = replace(line.settings, security=replace(line.settings.security, mechanism="SCRAM-SHA-512"))
    publisher = Publisher(settings, partitions=2, replication=1, retention_ms=1000)
    publisher.create(TOPICS)
    publisher.publish([(TOPICS[0], b'{"id":1}', b"{}")])
    publisher.close()
    assert sum(EndOffsets(settings, tuple(TOPICS))().values()) == 1
    assert forget(settings, "demo", TOPICS) == sorted(TOPICS)


def _otherwise(line: Line, what: str) -> Settings:
    settings, security = line.settings, line.settings.security
    match what:
        case "password":
            return replace(settings, security=replace(security, password="a wrong one"))
        case "user":
            return replace(settings, security=replace(security, username="nobody"))
        case "mechanism":
            return replace(settings, security=replace(security, mechanism="PLAIN"))
        case "authority":
            return replace(settings, security=replace(security, cafile=str(make_authority(line.home / "other")[1])))
        case "name":
            return replace(settings, kafka=f"localhost:{line.broker.secure_port}")
        case "no TLS":
            return replace(
                settings, kafka=line.broker.address, security=replace(security, protocol="SASL_PLAINTEXT", cafile="")
            )
    raise AssertionError(what)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("password", "refuses user 'shopferry': check SHOPFERRY_KAFKA_SASL_USERNAME and _SASL_PASSWORD"),
        ("user", "refuses user 'nobody': check SHOPFERRY_KAFKA_SASL_USERNAME and _SASL_PASSWORD"),
        ("mechanism", "does not take PLAIN: set SHOPFERRY_KAFKA_SASL_MECHANISM"),
        ("authority", "shows a certificate that we do not accept (unable to get local issuer certificate): check"),
        (
            "name",
            "shows a certificate that we do not accept (Hostname mismatch, certificate is not valid for 'localhost')",
        ),
        ("no TLS", "asks for no user at this port: check the port, and SHOPFERRY_KAFKA_SECURITY_PROTOCOL"),
    ],
)
def test_what_is_refused_is_one_error_and_nothing_is_applied(line: Line, wrong: str, said: str) -> None:
    line.settings = _otherwise(line, wrong)
    for kind in (KafkaConsumer, KafkaAdminClient):
        with pytest.raises(ConfigError) as caught:
            open_client(kind, line.settings)
        assert said in str(caught.value)
    with pytest.raises(ConfigError, match="broker"):
        Publisher(line.settings, partitions=2, replication=1, retention_ms=1000)
    with pytest.raises(ConfigError, match="broker"):
        line.register()
    assert line.connect.ask("GET", "/connectors") == []
    found = [f for f in assess.find_obstacles(line.settings) if f.subject == "broker"]
    assert [said in f.text for f in found] == [True]
    one = line.consumer("one")
    assert one.process
    assert one.process.wait() == 1
    assert one.text().count(said) == 1
    assert "Traceback" not in one.text() and "trying again" not in one.text()
    assert line.settings.security.password not in one.text()
    assert line.shop("SELECT FROM ferry.kafka_offset") == []


def test_rights_that_the_broker_does_not_grant_are_named_and_not_waited_for(line: Line) -> None:
    line.settings = replace(
        line.settings, security=replace(line.settings.security, username="stranger", password="let me in")
    )
    one = line.consumer("one")
    assert one.process
    assert one.process.wait() == 1
    assert "forbids user 'stranger' what shopferry does (TopicAuthorizationFailedError): grant" in one.text()


def test_a_port_without_tls_is_told_so_each_time_it_is_tried_again(line: Line) -> None:
    """It may also be a broker on its way down, which another try finds up again."""
    with pytest.raises(
        TransientError, match="ends the connection while we greet it by SASL_SSL: if it always does, check"
    ):
        open_client(KafkaConsumer, replace(line.settings, kafka=line.broker.address))


def test_a_broker_that_is_away_is_no_fault_of_the_settings(line: Line) -> None:
    """The next one of the list is asked; and where none answers, the client waits as ever."""
    servers = f"127.0.0.1:1,{line.broker.secure_address}"
    open_client(KafkaConsumer, replace(line.settings, kafka=servers)).close()
    with pytest.raises(TransientError, match="does not answer"):
        read_held(replace(line.settings, kafka="127.0.0.1:1"), TOPICS, {})


def show_certificate(line: Line, of: str) -> Settings:
    """The settings by which a certificate says who we are; `of` is its file below the certificates' folder, or none."""
    folder = line.broker.home.parent
    files = [str(folder / f"{of}.{end}") for end in ("pem", "key")] if of else ["", ""]
    security = KafkaSecurity("SSL", cafile=str(folder / "known" / "authority.pem"), certfile=files[0], keyfile=files[1])
    return replace(line.settings, kafka=line.broker.mutual_address, security=security)


def test_a_shop_moves_with_a_certificate_of_ours(line: Line, tmp_path: Path, jars: str) -> None:
    settings = show_certificate(line, "known/shopferry")
    folder = line.broker.home.parent / "known"
    pem = tmp_path / "worker.pem"
    pem.write_bytes((folder / "worker.key").read_bytes() + (folder / "worker.pem").read_bytes())
    worker = {
        "security.protocol": "SSL",
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(folder / "authority.pem"),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(pem),
        "group.id": "mutual",
        **{f"{what}.storage.topic": f"mutual_{what}" for what in ("config", "offset", "status")},
    }
    connect = Connect(tmp_path / "connect", jars, kafka=line.broker.mutual_address, own=worker)
    same = Line(tmp_path / "mutual", replace(settings, connect=connect.url), line.broker, connect)
    try:
        connect.start()
        same.register()
        same.consumer("one")
        outcome = phase_steps.run(same.settings, "contacts", "test", OPTIONS, lambda _: None)
        assert outcome is not None and outcome.clean
        same.legacy("UPDATE customers SET phone = '601 000 001'")
        assert not phase_steps.compare(same.settings, "contacts").differences
        assert sum(h.end for h in read_held(same.settings, TOPICS, {}).values()) > 100
    finally:
        same.close()
        connect.kill()


@pytest.mark.parametrize("of", ["", "unknown/shopferry"])
def test_a_broker_that_does_not_accept_our_certificate_is_one_error(line: Line, of: str) -> None:
    line.settings = show_certificate(line, of)
    said = "does not accept our certificate"
    for kind in (KafkaConsumer, KafkaAdminClient):
        with pytest.raises(ConfigError, match=said):
            open_client(kind, line.settings)
    with pytest.raises(ConfigError, match=said):
        Publisher(line.settings, partitions=2, replication=1, retention_ms=1000)
    one = line.consumer("one")
    assert one.process
    assert one.process.wait() == 1
    assert one.text().count(said) == 1 and "Traceback" not in one.text()


def test_who_a_certificate_names_and_may_do_nothing_is_told_so(line: Line) -> None:
    line.settings = show_certificate(line, "known/stranger")
    one = line.consumer("one")
    assert one.process
    assert one.process.wait() == 1
    assert (
        "forbids the user of our certificate what shopferry does (TopicAuthorizationFailedError): grant" in one.text()
    )
