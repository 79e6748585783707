# SPDX-License-Identifier: Apache-2.0
"""listener.wss: both handshakes in their order, both goodbyes, what a certificate and a proxy's header say together."""
import ssl
import subprocess
import time

from wire import *
from wire.certs import Authority
from wire.ws import *

MARTLET_ONLY = True
CA = Authority()
WEB, NAMED, HASTY, PATH = (free_port() for _ in range(4))


def listener(name, port, **options):
    prefix = f"listener.wss.{name}"
    files = {"certfile": CA["cert.pem"], "keyfile": CA["key.pem"]}
    return {prefix: f"127.0.0.1:{port}", **{f"{prefix}.{k}": v for k, v in {**files, **options}.items()}}


CONFIG = {
    "node.loops": "4",
    **listener("web", WEB),
    **listener("named", NAMED, verify="verify_peer", fail_if_no_peer_cert="on", cacertfile=CA["cacert.pem"],
               peer_cert_as_username="cn", proxy_address_header="X-Forwarded-For"),
    **listener("hasty", HASTY, handshake_timeout="3s"),
    **listener("path", PATH, mqtt_path="/secret"),
    "mqtt.max_packet_size": "4MB",
}
CONTEXT = CA.context()


def wrapped(port=WEB, context=CONTEXT):
    return context.wrap_socket(plain_socket(port, DEADLINE), server_hostname="localhost", suppress_ragged_eofs=False)


def web(b, v=4, name="c", port=WEB, context=CONTEXT):
    client = Client(port, v, b.trace, name, web=True, tls=context)
    b.clients.append(client)
    return client


@versions(3, 4, 5)
def test_messages(b, v):
    """Every QoS, and a payload over many records and frames."""
    c, plain = web(b, v).connect(b.id()), b.client(v, "plain")
    for client in (c, plain):
        client.subscribe(b.topic(), 2)
    for qos in (0, 1, 2):
        for size in (0, 100, 20_000, 1_500_000):
            payload = bytes(i & 255 for i in range(size))
            c.deliver(b.topic(), payload, qos)
            for client in (c, plain):
                client.ack(client.expect_publish(b.topic(), payload, qos=qos))
    c.disconnect()


def test_both_goodbyes(b):
    """The close frame, then close_notify: a TLS connection that just ends would be an error here."""
    f = Frames(wrapped())
    f.sock.sendall(frame(BINARY, connect(4, b.id())) + frame(BINARY, disconnect(4)))
    assert f.frame() == (BINARY, b"\x20\x02\0\0")
    f.expect_close(1000)
    f = Frames(wrapped())
    f.sock.sendall(frame(TEXT, b"x"))
    f.expect_close(1003)
    b.wait_counted("wss:web", "ws_text_frame", 1)


def test_refusals_are_answered_under_tls(b):
    for status, reason, port, more in (("404 Not Found", "ws_not_found", WEB, {"path": "/"}),
                                       ("404 Not Found", "ws_not_found", PATH, {}),
                                       ("426 Upgrade Required", "ws_bad_version", WEB,
                                        {"Sec_WebSocket_Version": "8"})):
        f = Frames(wrapped(port), opens=False)
        f.sock.sendall(request(**more))
        assert f.read_answer()[0] == f"HTTP/1.1 {status}"
        b.wait_counted("wss:web" if port == WEB else "wss:path", reason, 1)
    Frames(wrapped(PATH), path="/secret")


def test_without_tls(b):
    """A client that forgot TLS ends in the TLS handshake, whatever it says."""
    sock = plain_socket(WEB, DEADLINE)
    sock.sendall(request())
    try:
        while sock.recv(1000):
            pass
    except ConnectionError:
        pass
    wait_until(lambda: any(reason.startswith("tls_") for reason in b.listener("wss:web")["shutdown_count"]),
               "its end to be counted")


def test_application_protocol(b):
    """ALPN: a browser's http/1.1 is agreed to."""
    context = CA.context()
    context.set_alpn_protocols(["http/1.1"])
    f = Frames(wrapped(context=context))
    assert f.sock.selected_alpn_protocol() == "http/1.1"


def test_name_and_address(b):
    """The certificate's name becomes the user name, the proxy's header the address: a proxy with a certificate."""
    f = Frames(wrapped(NAMED, CA.context(CA.client)), more=["X-Forwarded-For: 192.0.2.7"])
    f.sock.sendall(frame(BINARY, connect(5, b.id(), username="somebody")))
    assert f.frame()[1][:1] == b"\x20"
    shown = b.ctl("clients", "show", b.id()).stdout
    assert "username=client," in shown and "peername=192.0.2.7:0" in shown, shown
    try:
        nobody = wrapped(NAMED)
        nobody.sendall(request())
        nobody.recv(1)
    except (ssl.SSLError, ConnectionError):
        return
    raise AssertionError("a client without a certificate got an answer")


def test_time_for_both_handshakes(b):
    """Neither half of them holds a place for longer: silence, TLS alone, half a request."""
    begun = time.monotonic()
    silent, secret = plain_socket(HASTY, DEADLINE), wrapped(HASTY)
    slow = Frames(wrapped(HASTY), opens=False)
    slow.sock.sendall(request()[:60])
    assert slow.read_answer()[0] == "HTTP/1.1 408 Request Timeout"
    assert secret.recv(10) == b"" and silent.recv(10) == b""
    assert 0.5 < time.monotonic() - begun < DEADLINE
    b.wait_counted("wss:hasty", "ws_handshake_timeout", 2)
    b.wait_counted("wss:hasty", "tls_handshake_timeout", 1)


def test_other_loops(b):
    """A socket with both layers moves to the loop of its client's session, in the middle of its frames."""
    props = {"session_expiry_interval": 100}
    web(b, 5).connect(b.id(), props=props).disconnect()
    for i in range(16):
        f = Frames(wrapped())
        f.sock.sendall(frame(BINARY, connect(5, b.id(), clean=0, props=props) + pingreq()) + frame(PING, b"moved"))
        data = b""
        while b"\xd0\0" not in data or b"moved" not in data:
            data += f.frame()[1]
        f.sock.sendall(frame(BINARY, disconnect(5)))
        while f.frame():
            pass
    assert b.metric("connections/moved") > 0


def test_slow_reader(b):
    """What waits is bounded, and arrives in order once it is read."""
    c = web(b).connect(b.id())
    c.subscribe(b.topic(), 1)
    publisher, before = b.client(4, "publisher"), b.memory()
    for i in range(200):
        publisher.deliver(b.topic(), f"{i:6}".encode() * 5000, 1)
    assert b.memory() - before < 24_000_000
    for i in range(200):
        c.ack(c.expect_publish(b.topic(), f"{i:6}".encode() * 5000, qos=1))


def test_openssl_as_a_client(b):
    """openssl s_client carries the request: the answer comes through, in TLS 1.2 and 1.3."""
    for version in ("-tls1_2", "-tls1_3"):
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{WEB}", version, "-quiet", "-CAfile",
                   CA["cacert.pem"], "-verify_return_error", "-servername", "localhost"]
        done = subprocess.run(command, input=request() + close_frame(), capture_output=True, timeout=20)
        assert done.stdout.startswith(b"HTTP/1.1 101 "), done
        assert done.stdout.endswith(b"\x88\x02\x03\xe8"), done.stdout[-20:]


def test_places_and_stop(b):
    c = web(b).connect(b.id())
    rows = b.listener("wss:web")
    assert rows["running"] == "true" and int(rows["current_clients"]) >= 1
    assert b.ctl("listeners", "restart", "wss:web").returncode == 0
    c.quiet()
    web(b, name="again").connect(b.id("again"))
