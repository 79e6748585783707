# SPDX-License-Identifier: Apache-2.0
"""TLS as the broker's side of a socket sees it: pieces, garbage, silence, a proxy in front, other loops, new files."""
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time

from wire import *
from wire.certs import Authority
from wire.cplugin import compile_program

MARTLET_ONLY = True
CA, OTHER = Authority(), Authority()
PLAIN, QUICK, PROXIED, FEW, FILES, SMALL = (free_port() for _ in range(6))
# The listener whose certificate changes has files of its own.
LIVE = CA.dir / "live"
LIVE.mkdir()


def install(certificate):
    """Put a certificate and its key where the listener `files` reads them."""
    shutil.copy(certificate[1], LIVE / "key.pem")
    shutil.copy(certificate[0], LIVE / "cert.pem")


def listener(name, port, **options):
    prefix = f"listener.ssl.{name}"
    files = {"certfile": CA["cert.pem"], "keyfile": CA["key.pem"]}
    return {prefix: f"127.0.0.1:{port}", **{f"{prefix}.{k}": v for k, v in {**files, **options}.items()}}


CONFIG = {
    "node.loops": "4",
    **listener("plain", PLAIN),
    **listener("quick", QUICK, handshake_timeout="1s"),
    **listener("proxied", PROXIED, proxy_protocol="on", **{"access.1": "deny 192.0.2.66"}),
    **listener("small", SMALL, sndbuf="16KB"),
    **listener("few", FEW, max_handshakes="4", handshake_timeout="30s"),
    **listener("files", FILES, certfile=str(LIVE / "cert.pem"), keyfile=str(LIVE / "key.pem")),
    "mqtt.max_packet_size": "4MB",
    # A flood of new keys before CONNECT takes its time on a slow machine.
    "mqtt.idle_timeout": "2m",
}
FIRST, SECOND = (CA.issue(name, f"/CN={name}", hosts="DNS:localhost") for name in ("first", "second"))
install(FIRST)
CONTEXT = CA.context()


def hello(context=CONTEXT):
    """The first flight of a client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


@versions(3, 4, 5)
def test_a_client_over_tls(b, v):
    """Subscribe, publish at each QoS, ping, disconnect: and the broker says goodbye as TLS has it."""
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        c = b.raw(v, "tls", port=PLAIN, tls=CA.context(version=version)).connect(b.id())
        c.subscribe(b.topic(), 2)
        for qos in (0, 1, 2):
            c.deliver(b.topic(), b"x" * (qos * 30_000 + 1), qos)
            c.take(b.topic(), b"x" * (qos * 30_000 + 1), qos=qos)
        c.send(pingreq())
        c.expect("PINGRESP")
        c.send(disconnect(v))
        # Anything but close_notify raises: suppress_ragged_eofs is off.
        assert c.sock.recv(100) == b""


def test_large_packets_both_ways(b):
    """Packets of many records, several in a row."""
    c = b.raw(5, "big", port=PLAIN, tls=CONTEXT).connect(b.id())
    c.subscribe(b.topic(), 1)
    bodies = [os.urandom(n) for n in (1 << 20, 16_384, 16_383, 3_000_000, 1)]
    for body in bodies:
        c.deliver(b.topic(), body, 1)
        c.take(b.topic(), body, qos=1)


def test_everything_in_one_record(b):
    """CONNECT, SUBSCRIBE and PUBLISH in one write come out of one record."""
    c = b.raw(4, "one", port=PLAIN, tls=CONTEXT)
    c.send(connect(4, b.id()), subscribe(4, 1, [(b.topic(), 0)]), publish(4, b.topic(), b"hi"))
    c.expect("CONNACK", code=0)
    c.expect("SUBACK")
    c.expect_publish(b.topic(), b"hi")


def test_a_handshake_in_single_bytes(b):
    """However the bytes come."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = CONTEXT.wrap_bio(incoming, outgoing, server_hostname="localhost")
    raw = b.raw(4, "slow", port=PLAIN)
    raw.sock.settimeout(DEADLINE)

    def step(call):
        while True:
            try:
                return call()
            except ssl.SSLWantReadError:
                for byte in outgoing.read():
                    raw.sock.sendall(bytes([byte]))
                incoming.write(raw.sock.recv(1 << 16))

    step(client.do_handshake)
    client.write(connect(4, b.id()))
    for byte in outgoing.read():
        raw.sock.sendall(bytes([byte]))
    assert step(lambda: client.read(4)) == b"\x20\x02\0\0"


def test_a_receiver_that_reads_slowly(b):
    """20 MB wait for it within the limits and all arrive, in order."""
    slow = b.raw(5, "slow", port=PLAIN, tls=CONTEXT).connect(b.id("slow"))
    slow.subscribe(b.topic(), 1)
    fast = b.raw(5, "fast", port=PLAIN, tls=CONTEXT).connect(b.id("fast"))
    body = os.urandom(100_000)
    sender = threading.Thread(target=lambda: [fast.deliver(b.topic(), struct.pack(">I", i) + body, 1)
                                              for i in range(200)])
    sender.start()
    for i in range(200):
        slow.take(b.topic(), struct.pack(">I", i) + body, qos=1)
    sender.join()


# -- Those who do not speak TLS, or not to its end --------------------------------------------------------------------


def test_other_protocols(b):
    """Plain MQTT, HTTP, nonsense: closed, counted as what they are, nobody else is disturbed."""
    for text in (connect(5, "x"), b"GET / HTTP/1.1\r\n\r\n", b"\0" * 100, os.urandom(5000)):
        before = b.ended("ssl:plain")
        c = b.raw(4, "garbage", port=PLAIN)
        c.try_send(text)
        assert len(c.until_eof()) <= 7  # an alert, or nothing
        wait_until(lambda: b.ended("ssl:plain") > before, "its end")
    wait_until(lambda: b.ended("ssl:plain", "tls_not_tls") >= 3, "its end to be counted")


def test_garbage_after_the_handshake(b):
    """Bytes that are no record end the connection."""
    c = b.raw(4, "damaged", port=PLAIN, tls=CONTEXT).connect(b.id())
    before = b.ended("ssl:plain", "tls_bad_record")
    os.write(c.sock.fileno(), b"\x17\x03\x03\x00\x20" + b"x" * 32)
    b.wait_counted("ssl:plain", "tls_bad_record", before + 1)


def test_handshakes_that_break_off(b):
    """After any number of bytes, of the first flight or of the second: nothing stays, and others are served."""
    def go(pieces, cut):
        """A handshake whose flight number `pieces` ends after `cut` bytes; how long that flight is."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = CONTEXT.wrap_bio(incoming, outgoing, server_hostname="localhost")
        with socket.create_connection(("127.0.0.1", PLAIN), DEADLINE) as s:
            for flight in range(pieces + 1):
                try:
                    client.do_handshake()
                except ssl.SSLWantReadError:
                    pass
                data = outgoing.read()
                if flight == pieces:
                    s.sendall(data[:cut])
                    return len(data)
                s.sendall(data)
                incoming.write(s.recv(1 << 16))
        return 0

    for pieces in (0, 1):
        length = go(pieces, 0)
        for cut in range(1, length, 3):
            go(pieces, cut)
    b.raw(4, "after", port=PLAIN, tls=CONTEXT).connect(b.id())
    wait_until(lambda: b.current("ssl:plain") == 1, "their ends")


@limit(240)
def test_new_keys_without_end(b):
    """RFC 8446 section 4.6.3: each request is answered, so who reads none of the answers is sent away."""
    program = compile_program("tls_abuse", CA["tls_abuse"])
    for words in ([], [b.id("greedy")]):
        before, memory = b.ended("ssl:small", "tls_flood"), b.memory()
        done = subprocess.run([program, str(SMALL), "400000", *words], capture_output=True, text=True, timeout=100)
        assert done.returncode == 0 and int(done.stdout) < 400_000, done
        b.wait_counted("ssl:small", "tls_flood", before + 1)
        assert b.memory() - memory < 6_000_000
    wait_until(lambda: b.current("ssl:small") == 0, "their ends")


def test_handshake_timeout(b):
    """Silence, half a first flight, a first flight and no more: each ends in time and is counted."""
    before = b.ended("ssl:quick", "tls_handshake_timeout")
    whole = hello()
    clients = []
    begun = time.monotonic()
    for bytes_ in (b"", whole[:100], whole):
        clients.append(b.raw(4, "half", port=QUICK))
        clients[-1].try_send(bytes_)
    for c in clients:
        c.until_eof()
    assert 0.8 < time.monotonic() - begun < 5
    b.wait_counted("ssl:quick", "tls_handshake_timeout", before + 3)


def test_connect_has_its_own_time(b):
    """After the handshake mqtt.idle_timeout counts, not what was left of the handshake's."""
    c = b.raw(4, "late", port=QUICK, tls=CONTEXT)
    b.clock()  # longer than this listener's handshake_timeout
    c.connect(b.id())


def test_too_many_handshakes(b):
    """Beyond max_handshakes (one for each loop here) the oldest ends, and who goes on with its own comes in."""
    before = b.ended("ssl:few", "tls_handshakes_full")
    waiting = [b.raw(4, f"half{i}", port=FEW) for i in range(40)]
    flight = hello()
    for c in waiting:
        c.send(flight)
    # Four loops with a place each: at least 36 had to go.
    wait_until(lambda: b.ended("ssl:few", "tls_handshakes_full") >= before + 36, "the end of the oldest")
    for i in range(8):
        b.raw(4, "good", port=FEW, tls=CONTEXT).connect(b.id(f"good{i}"))


# -- A proxy in front, other loops ------------------------------------------------------------------------------------


def test_the_proxy_speaks_before_tls(b):
    """The PROXY header comes in the clear; the client's address is what it says, and access rules hold for it."""
    c = b.raw(4, "proxied", port=PROXIED, tls=CONTEXT, first=b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 8883\r\n")
    c.connect(b.id())
    assert "192.0.2.7:4711" in b.ctl("clients", "show", b.id()).stdout
    denied = b.raw(4, "denied", port=PROXIED, first=b"PROXY TCP4 192.0.2.66 127.0.0.1 4711 8883\r\n" + hello())
    assert denied.until_eof() == b""


@limit(120)
def test_sessions_of_other_loops(b):
    """A client that comes again finds its session, wherever it lives, over whatever it comes."""
    kept = {"clean": 0, "props": {"session_expiry_interval": 300}}
    b.raw(5, "home", port=PLAIN, tls=CONTEXT).connect(b.id(), **kept).subscribe(b.topic(), 0)
    for i in range(40):
        port, context = ((PLAIN, CONTEXT), (b.port, None))[i % 4 == 3]
        c = b.raw(5, f"again{i}", port=port, tls=context)
        # What follows the CONNECT in the same record moves along.
        c.send(connect(5, b.id(), **kept), publish(5, b.topic(), b"%d" % i, 1, pid=7))
        c.expect("CONNACK", code=0, session_present=True)
        got = sorted(c.packet().name for _ in range(2))
        assert got == ["PUBACK", "PUBLISH"], (i, got)
    assert b.metric("connections/moved") > 5


# -- Certificates while it runs ---------------------------------------------------------------------------------------


def served(port):
    """The common name of the certificate that a new connection gets."""
    with socket.create_connection(("127.0.0.1", port), DEADLINE) as plain:
        with CONTEXT.wrap_socket(plain, server_hostname="localhost") as c:
            return dict(x[0] for x in c.getpeercert()["subject"])["commonName"]


@limit(240)
def test_new_certificates_under_a_thousand_clients(b):
    """None drops, and whoever comes afterwards gets the new one; what cannot be used is refused."""
    install(FIRST)
    assert b.ctl("listeners", "reload-certs", "ssl:files").returncode == 0
    # Each says CONNECT at once: a thousand handshakes may take longer than mqtt.idle_timeout.
    clients = [b.raw(4, f"kept{i}", port=FILES, tls=CONTEXT).connect(b.id(f"kept{i}"), keepalive=0)
               for i in range(1000)]
    assert b.listener("ssl:files")["current_clients"] == "1000"
    assert served(FILES) == "first"
    install(SECOND)
    assert served(FILES) == "first"
    done = b.ctl("listeners", "reload-certs")
    assert done.returncode == 0, done
    assert re.search(r"certificates of ssl:files are loaded, valid until \d{4}-", done.stdout), done
    assert served(FILES) == "second"
    # A key of another certificate, and no certificate at all.
    shutil.copy(FIRST[1], LIVE / "key.pem")
    done = b.ctl("listeners", "reload-certs", "ssl:files")
    assert done.returncode == 1 and "it is not the key of the certificate" in done.stderr, done
    (LIVE / "cert.pem").write_text("nonsense")
    done = b.ctl("listeners", "reload-certs", "ssl:files")
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "keeps its certificates" in done.stderr, done
    assert served(FILES) == "second"
    # By signal, with the outcome in the log.
    install(FIRST)
    os.kill(b.process.pid, signal.SIGHUP)
    wait_until(lambda: served(FILES) == "first", "the first certificate")
    # The log is written when all listeners have theirs.
    line = "The certificates of ssl:files are loaded."
    wait_until(lambda: line in (b.dir / "output").read_text(), "a line in the log")
    for c in clients:
        c.send(pingreq())
    for c in clients:
        c.expect("PINGRESP")
    # Those that only looked at the certificate have gone.
    wait_until(lambda: b.current("ssl:files") == 1000, lambda: f"1000 clients, not {b.current('ssl:files')}")


def test_a_restart_needs_certificates_first(b):
    """A listener goes on when it could not begin again."""
    install(FIRST)
    assert b.ctl("listeners", "restart", "ssl:files").returncode == 0
    (LIVE / "cert.pem").write_text("nonsense")
    done = b.ctl("listeners", "restart", "ssl:files")
    assert done.returncode == 1 and "cert.pem: it has no PEM block" in done.stderr, done
    assert b.listener("ssl:files")["running"] == "true"
    assert served(FILES) == "first"
    install(SECOND)
    assert b.ctl("listeners", "restart", "ssl:files").returncode == 0
    assert served(FILES) == "second"


def test_the_end_of_a_certificate_is_shown(b):
    """listeners tells the day."""
    # Not counted from today: it was issued before, perhaps on the day before.
    end = subprocess.run(["openssl", "x509", "-noout", "-enddate", "-in", CA["cert.pem"]], capture_output=True,
                         text=True, check=True).stdout.strip().partition("=")[2]
    wanted = time.strftime("%Y-%m-%d", time.gmtime(ssl.cert_time_to_seconds(end)))
    assert b.listener("ssl:plain")["cert_not_after"] == wanted
    assert "cert_not_after" not in b.ctl("listeners").stdout.split("listener on ")[1]  # tcp:test
