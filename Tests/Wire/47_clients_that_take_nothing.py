# SPDX-License-Identifier: Apache-2.0
"""What a client must take: send_timeout, the bounds of its output, answers nobody reads."""
import re
import time

from wire import *

MARTLET_ONLY = True
IMPATIENT, PATIENT = (free_port() for _ in range(2))
CONFIG = {
    "node.loops": "2",
    "mqtt.output_high_water": "64KB",
    "mqtt.max_output_buffer": "256KB",
    "listener.tcp.impatient": f"127.0.0.1:{IMPATIENT}",
    "listener.tcp.impatient.send_timeout": "2s",
    "listener.tcp.impatient.sndbuf": "16KB",
    "listener.tcp.patient": f"127.0.0.1:{PATIENT}",
    "listener.tcp.patient.send_timeout": "2s",
    "listener.tcp.patient.send_timeout_close": "off",
    "listener.tcp.patient.sndbuf": "16KB",
}


def deaf(b, name, port, **more):
    """A client that subscribes and then takes nothing."""
    c = b.raw(5, name, port=port, rcvbuf=4096)
    c.connect(b.id(name), keepalive=0, **more)
    c.subscribe(b.topic(), 0)
    return c


@measures
@limit(120)
def test_who_takes_nothing_is_closed(b):
    """send_timeout 2s: closed, counted, its will goes out; send_timeout_close off leaves it; a slow reader stays."""
    watcher, pub = b.client(4, "watcher"), b.client(4, "pub")
    watcher.subscribe(b.topic("will/+"), 0)
    before = b.ended("tcp:impatient", "send_timeout")
    deaf(b, "deaf", IMPATIENT, will=Will(b.topic("will/deaf"), b"gone"))
    spared = deaf(b, "spared", PATIENT, will=Will(b.topic("will/spared"), b"gone"))
    reader = deaf(b, "reader", IMPATIENT, will=Will(b.topic("will/reader"), b"gone"))
    begun = time.monotonic()
    pub.send(publish(4, b.topic(), bytes(1000)) * 1000)
    died = None
    while time.monotonic() - begun < 8:
        assert reader.sock.recv(1500)  # a little at a time, five times a second
        try:
            p = watcher.packet(timeout=0.2)
            assert died is None and p.topic == b.topic("will/deaf"), p
            died = time.monotonic() - begun
        except AssertionError as error:
            assert "nothing arrived" in str(error), error
    assert died and 1.9 < died < 4.5, died
    wait_until(lambda: b.ended("tcp:impatient", "send_timeout") == before + 1, "its end to be counted")
    assert b.ended("tcp:patient", "send_timeout") == 0
    for name in ("spared", "reader"):
        shown = b.ctl("clients", "show", b.id(name)).stdout
        assert int(re.search(r"output_pending +: (\d+)", shown)[1]) > 0, (name, shown)
    spared.close()
    reader.close()


@limit(120)
def test_idle_for_long_and_then_busy_is_not_stalled(b):
    """The time counts from when data began to wait, not from when the client last took some."""
    sub, pub = deaf(b, "sub", IMPATIENT), b.client(4, "pub")
    before = b.ended("tcp:impatient", "send_timeout")
    b.clock(), b.clock()
    begun = time.monotonic()
    pub.send(publish(4, b.topic(), bytes(1000)) * 200)
    wait_until(lambda: b.ended("tcp:impatient", "send_timeout") == before + 1, "its end")
    assert time.monotonic() - begun > 1.9, "it was closed before its time"
    # And one that takes some now and then stays.
    sub = deaf(b, "taking", IMPATIENT)
    b.clock(), b.clock()
    pub.send(publish(4, b.topic(), bytes(1000)) * 200)
    for _ in range(20):
        sub.expect_publish(b.topic())
    assert b.ctl("clients", "show", b.id("taking")).returncode == 0


@limit(120)
def test_beyond_max_output_buffer_qos_0_is_dropped_and_counted(b):
    """256 KB here: the client stays, memory too."""
    before = b.metric("messages/dropped/slow")
    deaf(b, "deaf", PATIENT)
    pub = b.client(4, "pub")
    pub.send(publish(4, b.topic(), bytes(1000)) * 4000)
    pub.quiet()
    # It may be on the other loop, which comes to them later.
    wait_until(lambda: b.metric("messages/dropped/slow") > before + 2000, "messages to be dropped")
    shown = b.ctl("clients", "show", b.id("deaf")).stdout
    assert int(re.search(r"output_pending +: (\d+)", shown)[1]) < 300_000, shown


@limit(120)
def test_who_does_not_take_answers_is_not_read(b):
    """Pings without end and not one answer read: the broker stops reading, and goes on when the client does."""
    c = b.raw(4, "c", port=PATIENT, rcvbuf=4096).connect(b.id("c"), keepalive=0)
    before, sent = b.memory(), 0
    data = pingreq() * 32_768
    c.sock.settimeout(2)
    try:
        while sent < 64 << 20:
            sent += c.sock.send(data)
    except TimeoutError:
        pass
    assert sent < 64 << 20, "64 MB of pings were read although nobody took the answers"
    assert b.memory() - before < 16 << 20
    got, c.sock = 0, c.sock
    c.sock.settimeout(DEADLINE)
    while got < (sent & ~1):
        got += len(c.sock.recv(1 << 16))
    assert got == (sent & ~1)


@limit(120)
def test_keep_alive_ends_who_neither_takes_nor_is_read(b):
    """Its pings cannot be seen, so what it takes shows that it lives: nothing."""
    watcher = b.client(4, "watcher")
    watcher.subscribe(b.topic("will"), 0)
    c = b.raw(4, "c", port=PATIENT, rcvbuf=4096)
    c.connect(b.id("c"), keepalive=2, will=Will(b.topic("will"), b"gone"))
    c.sock.settimeout(1)
    try:
        while True:
            c.sock.send(pingreq() * 32_768)
    except (TimeoutError, ConnectionError):
        pass
    watcher.expect_publish(b.topic("will"), b"gone", timeout=15)
