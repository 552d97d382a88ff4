"""The first words with a broker that wants TLS or a user, to learn why it refuses us, or we it.

kafka-python tries again until its time is up, and tells of a time-out only. It may not even read an answer that is followed by
the end of the connection, as each refusal of a user is (3.0). So we ask ourselves, once before a client is made.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from kafka.errors import IllegalSaslStateError, SaslAuthenticationFailedError, UnsupportedSaslMechanismError
from kafka.net.sasl import get_sasl_mechanism

from shopferry.errors import ConfigError, TransientError
from shopferry.kafka_security import KafkaSecurity

_PATIENCE_S = 10.0
# Key and version of SaslHandshake, SaslAuthenticate and ApiVersions.
_HANDSHAKE, _AUTHENTICATE, _VERSIONS = (17, 1), (36, 0), (18, 0)
_OR = "or the extra of Airflow's connection kafka"


def require_accepted(servers: str, security: KafkaSecurity) -> None:
    """Greet the brokers until one accepts us. One that is away says nothing of our settings: the client waits for it.

    Raises ConfigError for a user, a certificate or a mechanism that is not accepted, TransientError for a broker that hangs up.
    """
    if not (security.tls or security.sasl):
        return
    for server in servers.split(","):
        host, _, port = server.strip().rpartition(":")
        try:
            plain = socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE_S)
        except OSError:
            continue
        with plain, _naming(server, security), _wrap(plain, host.strip("[]"), security) as sock:
            if security.sasl:
                _sign_in(sock, security)
            else:  # by TLS 1.3 a certificate of ours is refused after the handshake, where an answer is awaited
                _ask(sock, _VERSIONS, b"")
        return


@contextmanager
def _naming(server: str, security: KafkaSecurity) -> Iterator[None]:
    """Say of an error in the block who refuses what, and which setting to look at."""
    try:
        yield
    except SaslAuthenticationFailedError:
        raise ConfigError(
            f"broker {server} refuses user {security.username!r}: check SHOPFERRY_KAFKA_SASL_USERNAME and _SASL_PASSWORD "
            f"{_OR}, and that the broker has this user for {security.mechanism}"
        ) from None
    except UnsupportedSaslMechanismError:
        raise ConfigError(
            f"broker {server} does not take {security.mechanism}: set SHOPFERRY_KAFKA_SASL_MECHANISM {_OR} to what it takes"
        ) from None
    except IllegalSaslStateError:
        raise ConfigError(
            f"broker {server} asks for no user at this port: check the port, and SHOPFERRY_KAFKA_SECURITY_PROTOCOL {_OR}"
        ) from None
    except ssl.SSLCertVerificationError as error:
        raise ConfigError(
            f"broker {server} shows a certificate that we do not accept ({error.verify_message.rstrip('.')}): check "
            f"SHOPFERRY_KAFKA_SSL_CAFILE {_OR}, and that the certificate has the broker's name as it stands in SHOPFERRY_KAFKA"
        ) from None
    except ssl.SSLError as error:
        if "ALERT" in (error.reason or ""):
            raise ConfigError(
                f"broker {server} does not accept our certificate ({error.reason}): check SHOPFERRY_KAFKA_SSL_CERTFILE and "
                f"_SSL_KEYFILE {_OR}"
            ) from None
        raise TransientError(_say_hung_up(server, security)) from None
    except OSError:
        raise TransientError(_say_hung_up(server, security)) from None


def _say_hung_up(server: str, security: KafkaSecurity) -> str:
    return (
        f"broker {server} ends the connection while we greet it by {security.protocol}: if it always does, check the port, and "
        f"SHOPFERRY_KAFKA_SECURITY_PROTOCOL {_OR}"
    )


def _wrap(plain: socket.socket, host: str, security: KafkaSecurity) -> socket.socket:
    if not security.tls:
        return plain
    context = ssl.create_default_context(cafile=security.cafile or None)
    if security.certfile:
        context.load_cert_chain(security.certfile, security.keyfile)
    return context.wrap_socket(plain, server_hostname=host)


def _sign_in(sock: socket.socket, security: KafkaSecurity) -> None:
    told = security.mechanism.encode()
    [code] = struct.unpack(">h", _ask(sock, _HANDSHAKE, struct.pack(">h", len(told)) + told)[:2])
    if code:
        raise {33: UnsupportedSaslMechanismError, 34: IllegalSaslStateError}.get(code, SaslAuthenticationFailedError)
    options = security.client_options()
    signing = get_sasl_mechanism(security.mechanism)(**options)
    while not signing.is_done():
        token = signing.auth_bytes()
        answer = _ask(sock, _AUTHENTICATE, struct.pack(">i", len(token)) + token)
        [code, length] = struct.unpack(">hh", answer[:4])
        if code:
            raise SaslAuthenticationFailedError
        rest = answer[4 + max(length, 0) :]
        [size] = struct.unpack(">i", rest[:4])
        signing.receive(rest[4 : 4 + size])


def _ask(sock: socket.socket, call: tuple[int, int], body: bytes) -> bytes:
    """Send one request of Kafka's protocol, and return the body of its answer."""
    name = b"shopferry"
    request = struct.pack(">hhih", *call, 1, len(name)) + name + body
    sock.sendall(struct.pack(">i", len(request)) + request)
    [size] = struct.unpack(">i", _read(sock, 4))
    return _read(sock, size)[4:]  # behind the number that the request had


def _read(sock: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        if not (more := sock.recv(size - len(found))):
            raise ConnectionResetError
        found += more
    return found
