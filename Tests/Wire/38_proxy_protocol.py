# SPDX-License-Identifier: Apache-2.0
"""PROXY protocol, version 1 and 2: the client's address takes the place of the proxy's."""
import re
import socket
import struct
import time
from pathlib import Path

from wire import *

MARTLET_ONLY = True
# Seconds for a header; a broker under a sanitizer gets more.
PATIENCE = max(1, round(DEADLINE / 10))
OPEN, TIMED, CLOSED, RULED, PROXIES, NAMED = (free_port() for _ in range(6))
CONFIG = {
    "mqtt.allow_anonymous": "loopback",
    "zone.open.allow_anonymous": "true",
    "listener.tcp.open": f"127.0.0.1:{OPEN}",
    "listener.tcp.open.zone": "open",
    "listener.tcp.open.proxy_protocol": "on",
    # To look what the broker has read takes as long as the machine has connections.
    "listener.tcp.open.proxy_protocol_timeout": "10m",
    "listener.tcp.open.max_connections": "20",
    "listener.tcp.timed": f"127.0.0.1:{TIMED}",
    "listener.tcp.timed.proxy_protocol": "on",
    "listener.tcp.timed.proxy_protocol_timeout": f"{PATIENCE}s",
    "listener.tcp.closed": f"127.0.0.1:{CLOSED}",
    "listener.tcp.closed.proxy_protocol": "on",
    "listener.tcp.ruled": f"127.0.0.1:{RULED}",
    "listener.tcp.ruled.zone": "open",
    "listener.tcp.ruled.proxy_protocol": "on",
    "listener.tcp.ruled.access.1": "deny 203.0.113.0/24",
    "listener.tcp.ruled.access.2": "deny 2001:db8:dead::/48",
    "listener.tcp.named": f"127.0.0.1:{NAMED}",
    "listener.tcp.named.proxy_protocol": "on",
    "listener.tcp.named.peer_cert_as_username": "cn",
    "listener.tcp.proxies": f"127.0.0.1:{PROXIES}",
    "listener.tcp.proxies.proxy_protocol": "on",
    "listener.tcp.proxies.access.1": "deny 127.0.0.2",
}
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v2(family, addresses, command=0x21, more=b"", length=None):
    body = addresses + more
    return SIGNATURE + struct.pack(">BBH", command, family, len(body) if length is None else length) + body


def tcp4(source, port, more=b"", **fields):
    pack = socket.inet_aton(source) + socket.inet_aton("127.0.0.1") + struct.pack(">HH", port, 1883)
    return v2(0x11, pack, more=more, **fields)


def tcp6(source, port, more=b""):
    pack = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, "::1")
    return v2(0x21, pack + struct.pack(">HH", port, 1883), more=more)


def tlv(kind, value):
    return struct.pack(">BH", kind, len(value)) + value


FOUR = b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 1883\r\n"
GOOD = {
    FOUR: "192.0.2.7:4711",
    b"PROXY TCP6 2001:db8::7 ::1 4711 1883\r\n": "[2001:db8::7]:4711",
    b"PROXY TCP6 ::ffff:192.0.2.8 ::1 0 65535\r\n": "192.0.2.8:0",
    b"PROXY UNKNOWN\r\n": "127.0.0.1",
    b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n": "127.0.0.1",
    tcp4("192.0.2.9", 4712): "192.0.2.9:4712",
    tcp6("2001:db8::9", 4712): "[2001:db8::9]:4712",
    tcp4("192.0.2.10", 1, tlv(4, bytes(40)) + tlv(2, b"broker.example")): "192.0.2.10:1",
    tcp6("2001:db8::a", 2, tlv(4, bytes(9000))): "[2001:db8::a]:2",
    v2(0x00, b"", command=0x20): "127.0.0.1",
    v2(0x11, bytes(12), command=0x20): "127.0.0.1",
    v2(0x77, b"?" * 30, command=0x20): "127.0.0.1",
    v2(0x00, b"", command=0x21): "127.0.0.1",
    v2(0x00, b"", command=0x21, more=tlv(4, bytes(300))): "127.0.0.1",
    v2(0x31, bytes(216)): "127.0.0.1",
}
BAD = [
    connect(4, "none"), b"GET / HTTP/1.1\r\n\r\n", b"\0", b"PROXY TCP4\r\n", b"PROXY  TCP4 1.2.3.4 1.2.3.4 1 1\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1 1\r\n",
    b"PROXY TCP4 1.2.3.256 1.2.3.4 1 1\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 65536 1\r\n", b"PROXY TCP4 1.2.3.4 1.2.3.4 -1 1\r\n", b"PROXY TCP4 ::1 ::1 1 1\r\n",
    b"PROXY TCP6 1.2.3.4 1.2.3.4 1 1\r\n", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n", b"proxy TCP4 1.2.3.4 1.2.3.4 1 1\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 01 1\r\n", b"PROXY UDP4 1.2.3.4 1.2.3.4 1 1\r\n", b"PROXY UNKNOWN " + b"x" * 93,
    b"PROXY TCP4 1.2.3.4\0 1.2.3.4 1 1\r\n", SIGNATURE[:-1] + b"x", v2(0x11, bytes(12), command=0x11),
    v2(0x11, bytes(12), command=0x22), v2(0x12, bytes(12)), v2(0x21, bytes(12)), v2(0x11, bytes(12), length=11),
    v2(0x41, bytes(40)), v2(0x31, bytes(12)),
]


def peer(b, name):
    """The address that the broker knows a client by."""
    return re.search(r"peername=([^,]+),", b.ctl("clients", "show", b.id(name)).stdout)[1]


def consumed(c, port):
    """Returns once the broker has taken everything c sent out of the kernel's buffer."""
    own = c.sock.getsockname()[1]
    empty = re.compile(f":{port:04X} \\w+:{own:04X} 01 \\w+:0+ ")
    wait_until(lambda: empty.search(Path("/proc/net/tcp").read_text()), "the broker to read")


def none_left(b):
    """The broker has seen the ends of all earlier connections."""
    wait_until(lambda: b.current("tcp:open") == 0, "the end of all connections")


def test_every_form_of_header(b):
    """Header and CONNECT in one piece: the client is known by its own address, or by the proxy's where none is said."""
    for n, (header, expected) in enumerate(GOOD.items()):
        c = b.raw(4, port=OPEN)
        c.sock.sendall(header + connect(4, b.id(f"g{n}")))
        c.expect("CONNACK", code=0)
        got = peer(b, f"g{n}")
        assert got == expected or ":" not in expected and got.startswith(expected + ":"), (header, got)
        c.quiet().disconnect()


@limit(300)
def test_header_in_single_bytes(b):
    """Each byte is read before the next is sent."""
    for n, header in enumerate((FOUR, tcp4("192.0.2.9", 4712, tlv(4, b"xyz")))):
        c = b.raw(5, port=OPEN)
        for i in range(len(header) - 1):
            c.sock.sendall(header[i:i + 1])
            consumed(c, OPEN)
        c.sock.sendall(header[-1:] + connect(5, b.id(f"s{n}")))
        c.expect("CONNACK", code=0)
        assert peer(b, f"s{n}") == ("192.0.2.7:4711" if n == 0 else "192.0.2.9:4712")
        c.quiet().disconnect()


@limit(300)
def test_header_in_two_pieces_at_every_byte(b):
    """The second piece carries what follows the header too."""
    for header in (FOUR, tcp4("192.0.2.9", 4712, tlv(4, b"xyz"))):
        for i in range(1, len(header)):
            c = b.raw(4, port=OPEN)
            c.sock.sendall(header[:i])
            consumed(c, OPEN)
            c.sock.sendall(header[i:] + connect(4, b.id()))
            c.expect("CONNACK", code=0)
            c.disconnect()


def test_malformed_headers(b):
    """Closed without a byte, and counted."""
    before = b.ended("tcp:closed", "proxy_malformed")
    for data in BAD:
        c = b.raw(4, port=CLOSED)
        c.try_send(data)
        assert c.until_eof() == b"", data
    wait_until(lambda: b.ended("tcp:closed", "proxy_malformed") == before + len(BAD), "its end to be counted")


def test_no_header_in_time(b):
    """proxy_protocol_timeout closes who says nothing, or half of it; those that left early free their place too."""
    for begin in (b"", FOUR[:20], SIGNATURE, tcp4("192.0.2.1", 1, bytes(100), length=4000)):

        def closed():
            begun = time.monotonic()
            c = b.raw(4, port=TIMED)
            c.sock.sendall(begin)
            assert c.until_eof() == b""
            spent = time.monotonic() - begun
            assert spent / PATIENCE > 0.9, begin
            return "" if spent / PATIENCE < 2.5 else f"{begin!r} {spent:.2f} s"

        in_time(closed)
    wait_until(lambda: b.ended("tcp:timed", "proxy_timeout") >= 4, "its end to be counted")
    none_left(b)
    before = b.ended("tcp:open")
    for _ in range(20):
        b.raw(4, port=OPEN).close()
        c = b.raw(4, port=OPEN)
        c.try_send(FOUR[:10])
        c.close()
    # The last of them may not even have been accepted yet.
    wait_until(lambda: b.ended("tcp:open") == before + 40, lambda: f"40 ends: {b.ended('tcp:open') - before}")
    none_left(b)


@limit(120)
def test_waiting_for_a_header_takes_a_place(b):
    """max_connections counts who has not said the header yet."""
    none_left(b)
    held = [b.raw(4, port=OPEN) for _ in range(20)]
    for c in held:
        c.sock.sendall(FOUR[:9])
        consumed(c, OPEN)
    wait_until(lambda: b.current("tcp:open") == 20, "all places to be taken")
    assert b.raw(4, port=OPEN).until_eof() == b""


def test_the_client_is_who_counts_not_the_proxy(b):
    """mqtt.allow_anonymous = loopback: a proxy on this machine does not make its clients local."""
    for header, code in ((FOUR, 5), (b"PROXY TCP4 127.0.0.9 127.0.0.1 1 1\r\n", 0), (b"PROXY UNKNOWN\r\n", 0)):
        c = b.raw(4, port=CLOSED)
        c.sock.sendall(header + connect(4, b.id()))
        p = c.expect("CONNACK")
        assert (p.code in (4, 5)) == (code == 5), (header, p)


def test_a_ban_holds_for_the_client(b):
    """banned add ipaddr."""
    assert b.ctl("banned", "add", "ipaddr", "192.0.2.66").returncode == 0
    c = b.raw(5, port=OPEN)
    c.sock.sendall(tcp4("192.0.2.66", 1) + connect(5, b.id()))
    c.expect("CONNACK", code=0x8A)


def test_access_rules_hold_for_the_client(b):
    """Once the header is read, before a byte is answered."""
    before = b.ended("tcp:ruled", "access_denied")
    denied = (tcp4("203.0.113.9", 1), tcp6("2001:db8:dead:beef::1", 1), b"PROXY TCP4 203.0.113.1 127.0.0.1 1 1\r\n")
    for header in denied:
        c = b.raw(4, port=RULED)
        c.try_send(header + connect(4, b.id()))
        assert c.until_eof() == b""
    wait_until(lambda: b.ended("tcp:ruled", "access_denied") == before + 3, "its end to be counted")
    c = b.raw(4, port=RULED)
    c.sock.sendall(tcp4("203.0.114.9", 1) + connect(4, b.id()))
    c.expect("CONNACK", code=0)


def test_access_rules_hold_for_the_proxy(b):
    """At accept, before its header."""
    c = b.raw(4, port=PROXIES, source="127.0.0.2")
    assert c.until_eof() == b""
    c = b.raw(4, port=PROXIES, source="127.0.0.3")
    c.sock.sendall(b"PROXY UNKNOWN\r\n" + connect(4, b.id()))
    c.expect("CONNACK", code=0)


def test_large_packet_right_behind_the_header(b):
    """Not one byte of the client is taken for the proxy's."""
    c = b.raw(4, port=OPEN)
    c.sock.sendall(tcp4("192.0.2.9", 7) + connect(4, b.id()) + subscribe(4, 1, [(b.topic(), 0)])
                   + publish(4, b.topic(), bytes(200_000)))
    c.expect("CONNACK", code=0)
    c.expect("SUBACK")
    c.expect_publish(b.topic(), bytes(200_000))


def test_without_the_option_a_header_is_no_mqtt(b):
    """An ordinary listener takes it for a malformed packet."""
    c = b.raw(4)
    c.try_send(FOUR + connect(4, b.id()))
    assert c.until_eof() == b""


def test_the_name_in_the_clients_certificate(b):
    """What haproxy's send-proxy-v2-ssl-cn says becomes the user name; who has none is nobody, whatever CONNECT says."""
    ssl = tlv(0x20, b"\x07\0\0\0\0" + tlv(0x21, b"TLSv1.3") + tlv(0x22, b"device-1"))
    c = b.raw(4, "named", port=NAMED)
    c.sock.sendall(tcp4("192.0.2.9", 4712, more=ssl))
    c.connect(b.id("named"), username="somebody")
    assert "username=device-1," in b.ctl("clients", "show", b.id("named")).stdout
    c.subscribe(b.topic(), 1)
    c.deliver(b.topic(), b"x" * 100_000, 1)
    c.take(b.topic(), b"x" * 100_000, qos=1)
    unverified = tlv(0x20, b"\x07\0\0\0\1" + tlv(0x22, b"device-1"))
    for more in (b"", unverified):
        # From another machine, as it is known by now, nobody comes in without a name.
        stranger = b.raw(4, "stranger", port=NAMED)
        stranger.sock.sendall(tcp4("192.0.2.10", 4713, more=more) + connect(4, b.id("stranger"), username="device-1"))
        stranger.expect("CONNACK", code=5)
