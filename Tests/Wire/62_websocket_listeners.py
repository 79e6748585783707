# SPDX-License-Identifier: Apache-2.0
"""WebSocket listeners: what `listeners` and `clients` show, their limits, peers that misbehave slowly, the end."""
import random
import re
import socket
import struct
import time

from wire import *
from wire.ws import *

MARTLET_ONLY = True
WEB, FULL, RATED, PROXIED, MOUNTED, HASTY, QUICK = (free_port() for _ in range(7))
CONFIG = {
    "node.loops": "4",
    "listener.ws.web": f"127.0.0.1:{WEB}",
    "listener.ws.full": f"127.0.0.1:{FULL}",
    "listener.ws.full.max_clients": "2",
    "listener.ws.rated": f"127.0.0.1:{RATED}",
    "listener.ws.rated.rate_limit": "20KB,20KB",
    "listener.ws.proxied": f"127.0.0.1:{PROXIED}",
    "listener.ws.proxied.proxy_protocol": "on",
    "listener.ws.mounted": f"127.0.0.1:{MOUNTED}",
    "listener.ws.mounted.mountpoint": "web/%c/",
    "listener.ws.hasty": f"127.0.0.1:{HASTY}",
    "listener.ws.hasty.handshake_timeout": "4s",
    "listener.ws.quick": f"127.0.0.1:{QUICK}",
    "listener.ws.quick.zone": "hasty",
    "zone.hasty.idle_timeout": "1s",
    "mqtt.max_packet_size": "4MB",
    "mqtt.max_output_buffer": "1MB",
    "listener.ws.web.send_timeout": "2s",
}


def web(b, v=4, name="c", port=WEB, **more):
    """A client of the harness that came through WebSocket."""
    client = Client(port, v, b.trace, name, web=True, **more)
    b.clients.append(client)
    return client


def is_read(sock):
    """Whether the broker has read what was sent on this connection."""
    (_, here), (_, there) = sock.getsockname(), sock.getpeername()
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table]
    # local_address, rem_address, state, tx_queue:rx_queue
    return [f"0100007F:{there:04X}", f"0100007F:{here:04X}", "01", "00000000:00000000"] in [row[1:5] for row in rows]


def test_what_is_shown(b):
    c = web(b).connect(b.id())
    rows = b.listener("ws:web")
    assert rows["running"] == "true" and rows["current_clients"] == "1", rows
    assert rows["unanswered_pings"] == "0" and "unanswered_pings" not in b.listener("tcp:test"), rows
    assert re.search(r"^  listener *: ws:web$", b.ctl("clients", "show", b.id()).stdout, re.M)
    c.disconnect()


def test_places(b):
    """max_clients: who is too many is closed without an answer, and counted."""
    first, second = web(b, port=FULL).connect(b.id("1")), web(b, port=FULL).connect(b.id("2"))
    third = plain_socket(FULL, DEADLINE)
    assert third.recv(1) == b""
    b.wait_counted("ws:full", "maxlimit", 1)
    first.disconnect()
    wait_until(lambda: b.current("ws:full") == 1, "a free place")
    web(b, port=FULL).connect(b.id("3"))
    second.quiet()


def test_rate_limit(b):
    """Frames count as they are on the wire: 60 KB at 20 KB/s with a burst of 20 KB takes two seconds."""
    c = web(b, port=RATED).connect(b.id())
    begun = time.monotonic()
    for _ in range(60):
        c.publish(b.topic(), b"x" * 1000)
    c.quiet()
    assert 1.5 < time.monotonic() - begun < DEADLINE


def test_proxy_protocol_in_front(b):
    sock = plain_socket(PROXIED, DEADLINE)
    sock.sendall(b"PROXY TCP4 192.0.2.9 127.0.0.1 4711 8083\r\n" + request())
    f = Frames(sock, opens=False).expect_open()
    sock.sendall(frame(BINARY, connect(4, b.id())))
    assert f.frame() == (BINARY, b"\x20\x02\0\0")
    assert "peername=192.0.2.9:4711" in b.ctl("clients", "show", b.id()).stdout


def test_mountpoint(b):
    c, watcher = web(b, port=MOUNTED).connect(b.id()), b.client(4, "watcher")
    watcher.subscribe(f"web/{b.id()}/#")
    c.deliver("t", b"x")
    watcher.expect_publish(f"web/{b.id()}/t", b"x")


def test_session_of_another_loop(b):
    """A socket moves to the loop that has its client's session, with the half frame behind CONNECT."""
    kept = web(b, 5).connect(b.id(), props={"session_expiry_interval": 100})
    kept.subscribe(b.topic(), 1)
    kept.disconnect()
    before = b.metric("connections/moved")
    for i in range(24):
        b.client(4, f"p{i}").deliver(b.topic(), str(i))
        f = Frames(plain_socket(WEB, DEADLINE))
        packet = connect(5, b.id(), clean=0, props={"session_expiry_interval": 100})
        whole = frame(BINARY, packet + pingreq()) + frame(PING, b"moved")
        f.sock.sendall(whole[:-6])
        got = [f.frame()]
        assert got[0][1][:1] == b"\x20", got
        f.sock.sendall(whole[-6:])
        data = got[0][1]
        while (step := f.frame()) != (PONG, b"moved"):
            data += step[1]
        while b"\xd0\0" not in data:
            data += f.frame()[1]
        assert str(i).encode() in data, data
        f.sock.sendall(frame(BINARY, ack(PUBACK, 5, 1)))
        f.sock.sendall(frame(BINARY, disconnect(5)))
        while f.frame():
            pass
    assert b.metric("connections/moved") > before, "of 24 connections on 4 loops, none came to another loop"


def test_gone_before_its_session_is_found(b):
    """Upgrade and CONNECT in one piece, then a reset: whose session is on another loop is given up once, and its place
    too."""
    for i in range(8):
        b.client(4, f"kept{i}", clean=0).disconnect()
    for i in range(400):
        sock = plain_socket(WEB, DEADLINE)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.sendall(request() + frame(payload=connect(4, b.id(f"kept{i % 8}"), clean=0)))
        sock.close()
    counts = []
    wait_until(lambda: counts.append(b.current("ws:web")) or counts[-1] <= 0, lambda: f"no client: {counts[-1]}")
    c = web(b).connect(b.id("kept0"), session_present=1, clean=0)
    # There may have been none because not all had been let in.
    wait_until(lambda: b.current("ws:web") == 1, lambda: f"one client: {b.current('ws:web')}")
    c.disconnect()


def test_pings_of_a_peer_that_reads_nothing(b):
    """Pongs are not piled up: before CONNECT, where MQTT does not look at what waits, memory stays bounded."""
    before = b.memory()
    f = Frames(plain_socket(WEB, 3))
    pings = frame(PING, b"x" * 125) * 500
    sent = 0
    try:
        while sent < 60_000_000:
            f.sock.sendall(pings)
            sent += len(pings)
    except (TimeoutError, ConnectionError):
        pass
    assert b.memory() - before < 16_000_000, f"{b.memory() - before} bytes for {sent} bytes of pings"
    # Of some 131 bytes each, and 256 KB of answers wait in the broker: most got none, and they are counted.
    unanswered = int(b.listener("ws:web")["unanswered_pings"])
    assert 0 < unanswered <= sent // 131, (unanswered, sent)
    f.sock.close()


def test_pings_of_a_client_that_reads_nothing(b):
    """After CONNECT as well; and it is given up after send_timeout, or stays within its bounds."""
    before = b.memory()
    c = web(b, rcvbuf=4096).connect(b.id())
    c.sock.settimeout(3)
    pings = frame(PING, b"x" * 125) * 500
    try:
        for _ in range(1000):
            c.sock.sock.sendall(pings)
    except (TimeoutError, ConnectionError):
        pass
    assert b.memory() - before < 16_000_000


def test_consumer_that_reads_nothing(b):
    """As on TCP: its output is bounded, others go on, and it is given up after send_timeout."""
    slow, quick = web(b, rcvbuf=4096).connect(b.id("slow")), web(b, name="quick").connect(b.id("quick"))
    slow.subscribe(b.topic())
    quick.subscribe(b.topic())
    publisher, before = web(b, name="pub").connect(b.id("pub")), b.memory()
    counted = b.ended("ws:web", "send_timeout")
    payload = b"x" * 50_000
    for _ in range(400):
        publisher.deliver(b.topic(), payload)
        quick.expect_publish(b.topic(), payload)
    assert b.memory() - before < 24_000_000
    b.wait_counted("ws:web", "send_timeout", counted + 1)


def test_large_frame_that_never_comes(b):
    """A head that promises 2^62 bytes reserves nothing; and a packet above the limit is refused by MQTT's own head."""
    before = b.memory()
    many = [Frames(plain_socket(WEB, DEADLINE)) for _ in range(50)]
    for f in many:
        f.sock.sendall(frame(BINARY, connect(4, ""), length=1 << 62, size=8))
        assert f.frame() == (BINARY, b"\x20\x02\0\0")
    assert b.memory() - before < 16_000_000
    for f in many:
        f.sock.close()


@limit(120)
def test_random_cuts(b):
    """Packets in random frames, frames in random pieces, pings anywhere: what was sent arrives, in order."""
    for seed in range(6):
        dice = random.Random(seed)
        watcher = b.client(4, f"watcher{seed}")
        watcher.subscribe(b.topic(f"{seed}/#"))
        f = Frames(plain_socket(WEB, DEADLINE))
        f.sock.sendall(frame(BINARY, connect(4, b.id(f"{seed}"))))
        assert f.frame()[1][:1] == b"\x20"
        payloads = [dice.randbytes(dice.choice((0, 3, 200, 3000))) for _ in range(200)]
        data = b"".join(publish(4, b.topic(f"{seed}/x"), payload) for payload in payloads)
        wire, at, pings, inside = b"", 0, 0, False
        while at < len(data) or inside:
            size = dice.choice((0, 1, 2, 7, 126, 2000, 66_000))
            fin = dice.random() < 0.5 or at + size >= len(data)
            wire += frame(0 if inside else BINARY, data[at:at + size], fin=int(fin), key=dice.randbytes(4))
            at, inside = at + size, not fin
            if dice.random() < 0.1:
                wire += frame(PING, b"p")
                pings += 1
        while wire:
            size = dice.choice((1, 5, 100, 5000, 70_000))
            f.sock.sendall(wire[:size])
            wire = wire[size:]
        for payload in payloads:
            watcher.expect_publish(b.topic(f"{seed}/x"), payload)
        for _ in range(pings):
            assert f.frame() == (PONG, b"p")
        f.sock.close()


def test_slow_requests(b):
    """A request in single bytes that never ends, and connections that say nothing: told when they said something,
    closed and counted in time. Others do not notice."""
    before, begun, data = b.memory(), time.monotonic(), request(more=["X: " + "x" * 5000])
    slow = [plain_socket(HASTY, DEADLINE) for _ in range(400)]
    other = web(b).connect(b.id())
    sent = 0
    while sent < 2 or time.monotonic() < begun + 0.7:
        for sock in slow[::2]:
            sock.sendall(data[sent:sent + 1])
        sent += 1
        asked = time.monotonic()
        other.quiet()
        assert time.monotonic() - asked < 2, "it waits for those that are slow"
    for i, sock in enumerate(slow):
        f = Frames(sock, opens=False)
        if i % 2:
            assert f.frame() is None
        else:
            assert f.read_answer()[0] == "HTTP/1.1 408 Request Timeout"
        sock.close()
    b.wait_counted("ws:hasty", "ws_handshake_timeout", 400)
    assert b.memory() - before < 16_000_000


def test_no_connect_behind_the_handshake(b):
    """The WebSocket is open and MQTT says nothing: idle_timeout, as on TCP."""
    f = Frames(plain_socket(QUICK, DEADLINE))
    f.expect_close(1008)
    b.wait_counted("ws:quick", "idle_timeout", 1)


def test_stop_and_start(b):
    """`listeners stop` keeps who is in; start lets others in again."""
    c = web(b).connect(b.id())
    assert b.ctl("listeners", "stop", "ws:web").returncode == 0
    c.quiet()
    try:
        plain_socket(WEB, DEADLINE)
        raise AssertionError("it still accepts")
    except ConnectionRefusedError:
        pass
    assert b.ctl("listeners", "start", "ws:web").returncode == 0
    web(b, name="again").connect(b.id("again"))
    c.quiet()


def test_broker_stops(b):
    """Everybody is told: MQTT 5 by DISCONNECT, all by the close code 1001; who has not finished its request, by 408."""
    four, five = (Frames(plain_socket(WEB, DEADLINE)) for _ in range(2))
    for v, f in ((4, four), (5, five)):
        f.sock.sendall(frame(BINARY, connect(v, b.id(str(v)))))
        assert f.frame()[1][:1] == b"\x20"
    late = Frames(plain_socket(WEB, DEADLINE), opens=False)
    late.sock.sendall(request()[:50])
    wait_until(lambda: is_read(late.sock), "the half request to be read")
    wrong = b.stop()
    assert not wrong, wrong
    four.expect_close(1001)
    opcode, packet = five.frame()
    assert opcode == BINARY and packet[0] == 0xE0 and packet[2] == 0x8B, packet
    five.expect_close(1001)
    assert late.read_answer()[0] == "HTTP/1.1 408 Request Timeout"
    b.start()
