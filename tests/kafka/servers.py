"""Apache Kafka and Kafka Connect as child processes on loopback ports, with the settings of docker-compose.yml."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from kafka import KafkaAdminClient
from kafka.errors import KafkaError
from shopferry.settings import Settings
from shopferry.stack.state import choose_port, is_free
from waiting import until

ROOT = Path(__file__).resolve().parents[2]
SMALL = (
    "-Xms64m",
    "-Xmx384m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xshare:auto",
)  # starts fast beside others
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


def composed(service: str, prefix: str) -> dict[str, str]:
    """A service's settings in docker-compose.yml as properties: what the image makes of its environment."""
    environment: dict[str, str] = SERVICES[service]["environment"]
    return {k.removeprefix(prefix).lower().replace("_", "."): v for k, v in environment.items() if k.startswith(prefix)}


@dataclass
class Server:
    """One child process and what it writes; started again, it goes on with what it has on disk."""

    home: Path
    jars: str
    process: subprocess.Popen[bytes] | None = None
    machine: tuple[str, ...] = SMALL  # options of the Java machine

    def _run(self, *command: str) -> None:
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def _java(self, main: str, file: str, properties: Mapping[str, str]) -> list[str]:
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / file).write_text("".join(f"{k}={v}\n" for k, v in properties.items()))
        logging = f"-Dlog4j2.configurationFile={ROOT / 'include' / 'connector' / 'log4j2.properties'}"
        return ["java", *self.machine, logging, "-cp", f"{self.jars}/*", main, str(self.home / file)]

    def kill(self) -> None:
        """As a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """As an administrator would."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self.process:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(how)
            self.process.wait()
            self.process = None

    def check(self) -> None:
        """Complain when it has ended by itself."""
        if self.process is None or self.process.poll() is not None:
            raise AssertionError("".join((self.home / "log").read_text(errors="replace").splitlines(True)[-40:]))


@dataclass(frozen=True)
class Secured:
    """What listeners with TLS need: a PEM file with key and certificate, users with their passwords, the clients' authority.

    The last user may do nothing, the others all. Who shows a certificate is the user whom its common name says.
    """

    pem: Path
    users: Mapping[str, str]
    authority: Path


@dataclass
class Broker(Server):
    """One Kafka in KRaft mode; with `secured` it has a listener of SASL_SSL, and one that wants a certificate."""

    port: int = field(default_factory=lambda: choose_port(set()))
    secured: Secured | None = None
    secure_port: int = field(default_factory=lambda: choose_port(set()))
    mutual_port: int = field(default_factory=lambda: choose_port(set()))

    @property
    def address(self) -> str:
        """host:port, for clients."""
        return f"127.0.0.1:{self.port}"

    @property
    def secure_address(self) -> str:
        """host:port of the listener of SASL_SSL."""
        return f"127.0.0.1:{self.secure_port}"

    @property
    def mutual_address(self) -> str:
        """host:port of the listener of SSL that wants a certificate of its clients."""
        return f"127.0.0.1:{self.mutual_port}"

    def start(self) -> None:
        """Start it; returns when it answers."""
        self.launch()
        until(self.answers)

    def launch(self) -> None:
        """Start it without waiting, formatting its disk the first time."""
        control = choose_port({self.port, self.secure_port, self.mutual_port})
        properties = composed("kafka", "KAFKA_") | {
            "controller.quorum.voters": f"1@127.0.0.1:{control}",
            "listeners": f"INSIDE://{self.address},CONTROLLER://127.0.0.1:{control}",
            "advertised.listeners": f"INSIDE://{self.address}",
            "listener.security.protocol.map": "INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self.home / "data"),
            "offsets.topic.num.partitions": "1",
            "log.segment.delete.delay.ms": "0",
        }
        users: list[str] = []
        if self.secured:
            users = [
                f"--add-scram=SCRAM-SHA-{bits}=[name={name},password={password}]"
                for name, password in self.secured.users.items()
                for bits in (256, 512)
            ]
            for name in ("listeners", "advertised.listeners"):
                properties[name] += f",OUTSIDE://{self.secure_address},MUTUAL://{self.mutual_address}"
            properties["listener.security.protocol.map"] += ",OUTSIDE:SASL_SSL,MUTUAL:SSL"
            login = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            shown = {"ssl.keystore.type": "PEM", "ssl.keystore.location": str(self.secured.pem)}
            own = shown | {
                "sasl.enabled.mechanisms": "SCRAM-SHA-256,SCRAM-SHA-512",
                "scram-sha-256.sasl.jaas.config": login,
                "scram-sha-512.sasl.jaas.config": login,
            }
            wanted = shown | {
                "ssl.client.auth": "required",
                "ssl.truststore.type": "PEM",
                "ssl.truststore.location": str(self.secured.authority),
                "ssl.principal.mapping.rules": "RULE:^CN=([^,]+),.*$/$1/",
            }
            properties |= {f"listener.name.outside.{name}": value for name, value in own.items()}
            properties |= {f"listener.name.mutual.{name}": value for name, value in wanted.items()}
            properties["authorizer.class.name"] = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
            properties["super.users"] = ";".join(
                f"User:{name}" for name in ("ANONYMOUS", *list(self.secured.users)[:-1])
            )
        command = self._java("kafka.Kafka", "server.properties", properties)
        if not (self.home / "data").exists():
            cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().strip("=")
            tool = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", *users, "--config"]
            with (self.home / "log").open("ab") as log:
                subprocess.run([*command[:-2], *tool, command[-1]], check=True, stdout=log, stderr=log)
        self._run(*command)

    def answers(self) -> bool:
        """Whether it is ready. Complains when it has ended by itself."""
        self.check()
        if is_free(self.port):
            return False
        try:
            with self.admin() as admin:
                return bool(admin.describe_cluster()["brokers"])
        except KafkaError:
            return False

    @contextmanager
    def admin(self) -> Iterator[KafkaAdminClient]:
        """An administrator's client."""
        client = KafkaAdminClient(bootstrap_servers=self.address)
        try:
            yield client
        finally:
            client.close()

    def wipe(self) -> None:
        """Forget everything that is on disk."""
        shutil.rmtree(self.home / "data")


@dataclass
class Connect(Server):
    """One worker of Kafka Connect in distributed mode."""

    kafka: str = ""
    port: int = field(default_factory=lambda: choose_port(set()))
    own: Mapping[str, str] = field(default_factory=dict)  # what is not as in docker-compose.yml

    @property
    def url(self) -> str:
        """The base of its REST interface."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it; returns when it answers."""
        self.launch()
        until(self.answers)

    def launch(self) -> None:
        """Start it without waiting; it waits for its broker."""
        # The first four are the image's own names for these settings; the converters and factors are its defaults.
        named = ("GROUP_ID", "CONFIG_STORAGE_TOPIC", "OFFSET_STORAGE_TOPIC", "STATUS_STORAGE_TOPIC")
        image = {n.lower().replace("_", "."): SERVICES["connect"]["environment"][n] for n in named}
        converter = "org.apache.kafka.connect.json.JsonConverter"
        factors = {f"{what}.storage.replication.factor": "1" for what in ("config", "offset", "status")}
        properties = (
            composed("connect", "CONNECT_")
            | image
            | factors
            | {
                "bootstrap.servers": self.kafka,
                "listeners": self.url,
                "key.converter": converter,
                "value.converter": converter,
                "plugin.discovery": "service_load",
            }
            | self.own
        )
        self._run(*self._java("org.apache.kafka.connect.cli.ConnectDistributed", "worker.properties", properties))

    def answers(self) -> bool:
        """Whether it is ready. Complains when it has ended by itself."""
        self.check()
        try:
            self.ask("GET", "/connectors")
        except (urllib.error.URLError, ConnectionError):
            return False
        return True

    def forget_connectors(self) -> None:
        """Remove all connectors, with their offsets."""
        for name in self.ask("GET", "/connectors"):
            self.ask("PUT", f"/connectors/{name}/stop")
            until(lambda name=name: self.ask("GET", f"/connectors/{name}/status")["connector"]["state"] == "STOPPED")  # type: ignore[misc]
            self.ask("DELETE", f"/connectors/{name}/offsets")
            self.ask("DELETE", f"/connectors/{name}")

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """What its REST interface says."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data, headers, method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            text = answer.read()
        return json.loads(text) if text else None


@dataclass
class Consumer(Server):
    """One `shopferry sync forward`."""

    settings: Settings = field(kw_only=True)
    name: str = field(kw_only=True)

    def start(self, *options: str) -> None:
        """Start it; it may still be joining when this returns."""
        self.home.mkdir(parents=True, exist_ok=True)
        command = [str(Path(sys.executable).with_name("shopferry")), "sync", "forward", "--name", self.name, *options]
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment(self.settings))

    def text(self) -> str:
        """All it has written."""
        return (self.home / "log").read_text()

    def hold(self) -> None:
        """Stop it where it stands (SIGSTOP)."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        """Let it go on as if nothing had been."""
        assert self.process
        self.process.send_signal(signal.SIGCONT)


def environment(settings: Settings) -> dict[str, str]:
    """Our environment with the stores and the broker of a test."""
    return os.environ | {
        "SHOPFERRY_ROUTE": settings.route,
        "SHOPFERRY_LEGACY_DSN": settings.source_dsn,
        "SHOPFERRY_SHOP_DSN": settings.target_dsn,
        "SHOPFERRY_KAFKA": settings.kafka,
        "SHOPFERRY_KAFKA_SECURITY_PROTOCOL": settings.security.protocol,
        "SHOPFERRY_KAFKA_SASL_MECHANISM": settings.security.mechanism,
        "SHOPFERRY_KAFKA_SASL_USERNAME": settings.security.username,
        "SHOPFERRY_KAFKA_SASL_PASSWORD": settings.security.password,
        "SHOPFERRY_KAFKA_SSL_CAFILE": settings.security.cafile,
        "SHOPFERRY_KAFKA_SSL_CERTFILE": settings.security.certfile,
        "SHOPFERRY_KAFKA_SSL_KEYFILE": settings.security.keyfile,
    }


@contextmanager
def running(broker: Broker, connect: Connect) -> Iterator[None]:
    """Both servers run, and answer, for as long as the block lasts."""
    try:
        broker.launch()
        connect.launch()
        until(lambda: broker.answers() and connect.answers())
        yield
    finally:
        connect.kill()
        broker.kill()
