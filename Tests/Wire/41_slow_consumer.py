# SPDX-License-Identifier: Apache-2.0
"""A subscriber that does not read: bounded memory, nobody else delayed, its QoS 1 kept as far as its queue goes."""
import time

from wire import *

CONFIG = {"mqtt.mqueue.max_length": "2000", "mqtt.mqueue.max_bytes": "4MB", "mqtt.session.max_inflight": "32"}
MOSQUITTO = {"max_queued_messages": 2000, "max_inflight_messages": 32}
PAYLOAD = bytes(1000)


def deaf(b, name, v=5, qos=0, **more):
    """A client with a tiny receive buffer that subscribes and then stops reading."""
    c = b.raw(v, name, rcvbuf=4096)
    c.connect(b.id(name), **more)
    c.subscribe(b.topic(), qos)
    return c


@limit(120)
def test_memory_stays_bounded_and_others_are_served(b):
    """QoS 0 for who does not read is dropped and counted, never piled up."""
    slow = deaf(b, "slow")
    quick, pub = b.client(5, "quick"), b.client(4, "pub")
    quick.subscribe(b.topic(), 0)
    before, worst = b.memory(), 0.0
    for n in range(400):
        pub.send(publish(4, b.topic(), PAYLOAD) * 100)
        begun = time.monotonic()
        for _ in range(100):
            quick.expect_publish()
        worst = max(worst, time.monotonic() - begun)
    grown = b.memory() - before
    if b.kind == "martlet":
        assert grown < 24 << 20, f"40 MB went past a deaf client and memory grew by {grown >> 20} MB"
        assert worst < 2, f"the quick one waited {worst:.2f} s"
    slow.close()


@limit(120)
def test_qos_1_waits_in_the_queue_and_comes_in_order(b):
    """What fits in the queue arrives once it reads again; the newest of what it missed are there, in order."""
    slow = deaf(b, "slow", qos=1, clean=0, props={"session_expiry_interval": 60})
    pub = b.client(4, "pub")
    for n in range(100):
        pub.send(b"".join(publish(4, b.topic(), f"{n * 10 + i}".encode() + PAYLOAD, 1, pid=i + 1) for i in range(10)))
        for i in range(10):
            pub.expect("PUBACK")
    got = [int(bytes(slow.take().payload).rstrip(b"\0")) for _ in range(1000)]
    assert got == list(range(1000)), got[:50]


@limit(120)
def test_queue_drops_the_oldest_when_full(b):
    """mqtt.mqueue.max_length messages stay for an offline session: the newest."""
    if b.kind == "mosquitto":
        raise Skip("2.0.11 drops the newest")
    keep = {"clean": 0, "props": {"session_expiry_interval": 60}}
    c = b.client(5, **keep)
    c.subscribe(b.topic(), 1)
    c.disconnect()
    pub = b.client(4, "pub")
    for n in range(250):
        pub.send(b"".join(publish(4, b.topic(), str(n * 10 + i), 1, pid=i + 1) for i in range(10)))
        for i in range(10):
            pub.expect("PUBACK")
    c = b.client(5, session_present=1, **keep)
    got = [int(c.take().payload) for _ in range(2000)]
    assert got == list(range(500, 2500)), (got[:3], got[-3:])
    c.quiet()


@limit(120)
def test_deaf_client_is_kicked_by_its_keep_alive(b):
    """It does not ping either: the ordinary clock ends it, its will is published."""
    watcher = b.client(4, "watcher")
    watcher.subscribe(b.topic("will"), 0)
    deaf(b, "slow", keepalive=1, will=Will(b.topic("will"), b"gone"))
    pub = b.client(4, "pub")
    for _ in range(100):
        pub.send(publish(4, b.topic(), PAYLOAD) * 100)
    watcher.expect_publish(b.topic("will"), b"gone", timeout=30)
