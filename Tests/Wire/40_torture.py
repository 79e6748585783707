# SPDX-License-Identifier: Apache-2.0
"""Three thousand broken packets, before and after CONNECT, beside a client whose messages must flow.
WIRE_TORTURE says how many, WIRE_SEED which."""
import os
import random
from pathlib import Path

from wire import *

COUNT = int(os.environ.get("WIRE_TORTURE", "3000"))
SEED = int(os.environ.get("WIRE_SEED", "1883"))
PROPS = {"user_property": [("a", "b")], "content_type": "x", "response_topic": "r", "correlation_data": b"\0\1"}


# Where a topic is copied, goes by reference or ends.
EDGES = (127, 128, 4095, 4096, 4097, 16383, 65534, 65535)


def some_topic(rng):
    """Short, or of a length or a depth at which something else happens to it."""
    topic = f"torture/{rng.randrange(50)}"
    if rng.random() < 0.8:
        return topic
    return rng.choice((topic.ljust(rng.choice(EDGES), "x"), topic + "/l" * rng.choice((126, 127, 128, 254, 255, 4000))))


def some_filters(rng, topic):
    """Pairs of filter and options: of a share group with a short or an endless name, and of many levels."""
    group = rng.choice(("g", f"g{rng.randrange(40)}", "g" * rng.choice((4096, 65000))))
    deep = rng.choice(("torture/+/#", "torture/" + "+/" * rng.choice((2, 126, 127, 253)) + rng.choice("+#")))
    return [(topic, 1), (deep, 2), (f"$share/{group}/torture/#"[:65535], 0)]


def good_packets(rng, v):
    """One well-formed packet of every kind a client sends, as a base to break."""
    topic = some_topic(rng)
    return [
        connect(v, f"torture{rng.randrange(99)}", will=Will(topic, b"w", rng.randrange(3)), username="u", password="p",
                props={"session_expiry_interval": 0, "receive_maximum": 9, "user_property": ("a", "b")}),
        publish(v, topic, bytes(rng.randrange(300)), 0, props=PROPS),
        publish(v, topic, b"x", 1, pid=rng.randrange(1, 9)),
        publish(v, topic, b"x", 2, pid=rng.randrange(1, 9), retain=rng.randrange(2)), ack(PUBACK, v, 3, 0x10, {}),
        ack(PUBREC, v, 3, 0, {"reason_string": "x"}), ack(PUBREL, v, 3), ack(PUBCOMP, v, 3),
        subscribe(v, 5, some_filters(rng, topic), {"subscription_identifier": 300}),
        publish(v, rng.choice((topic, "")), b"a", 0, props={"topic_alias": rng.randrange(12)}),
        unsubscribe(v, 6, [topic, "x/+"]), pingreq(), disconnect(v, 4, {"reason_string": "x"}),
        auth(0x18, {"authentication_method": "M", "authentication_data": b"d"}),
    ]


def flip(rng, data):
    for _ in range(rng.randrange(1, 6)):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data


def overwrite(rng, data):
    for _ in range(rng.randrange(1, 4)):
        data[rng.randrange(len(data))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    return data


def cut(rng, data):
    return data[:rng.randrange(1, len(data) + 1)]


def grow(rng, data):
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.randbytes(rng.randrange(1, 400)) + data[at:]


def lie_about_length(rng, data):
    return data[:1] + rng.choice((varint(rng.randrange(1 << 28)), b"\xff\xff\xff\xff\x7f", b"\x80\x80\x00")) + data[2:]


def noise(rng, data):
    return bytearray(rng.randbytes(rng.randrange(1, 600)))


def splice(rng, data):
    other = rng.choice(good_packets(rng, 5))
    return data[:rng.randrange(1, len(data))] + other[rng.randrange(len(other)):] if len(data) > 1 else data


WAYS = [flip, overwrite, cut, grow, lie_about_length, noise, splice]


def one(b, rng, v, established):
    """Send something broken on a connection of its own, in pieces now and then, and leave it in some way."""
    c = b.raw(v, "torturer")
    if established:
        c.connect(f"torturer{rng.randrange(20)}", clean=1)
    data = bytearray(rng.choice(good_packets(rng, v)))
    if not established and rng.random() < 0.7:
        data = bytearray(good_packets(rng, v)[0])
    for _ in range(rng.randrange(1, 3)):
        data = rng.choice(WAYS)(rng, bytearray(data)) or data
    pieces = [bytes(data)]
    if rng.random() < 0.2:
        at = rng.randrange(len(data) + 1)
        pieces = [bytes(data[:at]), bytes(data[at:])]
    for piece in pieces:
        if piece and not c.try_send(piece):
            break
    if rng.random() < 0.3:
        c.try_send(b"".join(good_packets(rng, v)[:rng.randrange(14)]))
    getattr(c, rng.choice(("close", "reset")))()
    b.clients.remove(c)


def flow(b, sub, pub, number):
    pub.publish("bystander", str(number), 1, pid=number % 60000 + 1)
    pub.expect("PUBACK")
    sub.take("bystander", str(number))


@limit(240)
def test_broken_packets_do_not_reach_anyone(b):
    """3.1.1: [MQTT-4.8.0-1]. 5.0: [MQTT-4.13.1-1]."""
    rng = random.Random(SEED)
    sub, pub = b.client(5, "sub"), b.client(4, "pub")
    sub.subscribe("bystander", 1)
    held = []
    for n in range(COUNT):
        one(b, rng, rng.choice((3, 4, 5)), established=n % 2 == 1)
        if n % 100 == 0:
            slow = b.raw(5, "slow")
            slow.send(connect(5, f"slow{n}")[:-1 - n // 100 % 9])
            held.append(slow)
        if n % 10 == 0:
            flow(b, sub, pub, n)
            assert not b.died(), b.died()
        if n == COUNT // 3:
            memory = b.memory()
    flow(b, sub, pub, COUNT)
    sub.quiet()
    grown = b.memory() - memory
    assert grown < 32 << 20, f"memory grew by {grown >> 20} MB"
    for c in held:
        c.close()


@limit(120)
def test_slow_packets_hold_nobody_up(b):
    """A hundred clients that send a byte now and then: 3.1.1 and 5.0 say nothing, users do."""
    sub, pub = b.client(5, "sub"), b.client(4, "pub")
    sub.subscribe("bystander", 1)
    slow = [(b.raw(4, f"slow{i}"), connect(4, f"slow-{i}", username="u" * 20)) for i in range(100)]
    length = len(slow[0][1])
    for at in range(length):
        for c, data in slow:
            c.sock.sendall(data[at:at + 1])
        flow(b, sub, pub, at)
    for c, data in slow:
        c.sock.sendall(data[length:])
        c.expect("CONNACK", code=0)


@limit(120)
def test_connections_that_come_and_go(b):
    """Two thousand connects and ends of every kind leave nothing behind."""
    sub, pub = b.client(5, "sub"), b.client(4, "pub")
    sub.subscribe("bystander", 1)
    files = Path(f"/proc/{b.process.pid}/fd")
    before = None
    for n in range(2000):
        c = b.raw(4)
        if n % 4:
            c.connect(f"passing{n % 7}")
        if n % 4 == 2:
            c.subscribe(f"passing/{n}", 1)
        if n % 20 == 5:
            c.quiet().disconnect()
        else:
            (c.reset if n % 3 == 0 else c.close)()
        b.clients.remove(c)
        if n == 200:
            before = len(list(files.iterdir()))
    flow(b, sub, pub, 1)
    wait_until(lambda: len(list(files.iterdir())) <= before + 20,
               lambda: f"{before} descriptors or little more: {len(list(files.iterdir()))}")


@limit(60)
def test_oversized_packet_is_not_kept(b):
    """A client that announces 256 MB and sends much of it costs no memory."""
    before = b.memory()
    c = b.raw(5)
    c.connect(b.id())
    c.send(b"\x30\xff\xff\xff\x7f" + b"\x00\x05topic")
    for _ in range(300):
        if not c.try_send(bytes(100_000)):
            break
    c.close()
    b.client(4).quiet()
    if b.kind == "martlet":
        assert b.memory() - before < 16 << 20
