# SPDX-License-Identifier: Apache-2.0
"""What is long but allowed, cut at each place where a reader might look at half of it: through TCP and WebSocket, to
receivers on other loops."""
import os

from wire import *

WEB = free_port()
LARGEST = 1 << 20
CONFIG = {"node.loops": "3", "listener.ws.test": f"127.0.0.1:{WEB}", "mqtt.max_packet_size": "1MB",
          "mqtt.max_topic_alias": "100"}
MARTLET_ONLY = True
DOORS = ({}, {"port": WEB, "web": True})
# A parcel between loops carries so much; a chunk of them has so much room; a receive buffer too.
INLINE, SMALL, CHUNK = 4096, 4096, 65536


def receivers(b, filters, count=6):
    """Clients on all loops, which are dealt out by chance."""
    clients = [b.client(5, f"r{i}") for i in range(count)]
    for c in clients:
        c.subscribe(filters, 1)
    return clients


def publisher(b, door, name="p"):
    return b.raw(5, name, **door).connect(b.id(name), props={"topic_alias_maximum": 100})


def all_get(clients, topic, payload):
    for c in clients:
        p = c.take()
        assert p.topic == topic and p.payload == payload, f"{c.label}: {len(p.topic)} {len(p.payload)} bytes"


@limit(120)
def test_split_at_each_place(b):
    """5.0: [MQTT-4.6.0-6]: a message with all its properties, cut in two at each byte of its head."""
    subs = receivers(b, b.topic("#"), 4)
    topic = b.topic("s")
    props = {"topic_alias": 7, "content_type": "x", "user_property": [("k", "v")], "message_expiry_interval": 99}
    for door in DOORS:
        c = publisher(b, door)
        data = publish(5, topic, b"y" * 40, 1, pid=9, props=props)
        for at in range(1, len(data)):
            c.send(data[:at])
            c.send(data[at:])
            c.expect_ack("PUBACK", 9)
        for sub in subs:
            for _ in range(1, len(data)):
                p = sub.take(topic)
                assert p.payload == b"y" * 40 and p.props["user_property"] == [("k", "v")], p


@limit(120)
def test_largest_packets_in_two(b):
    """The largest packet that is allowed, cut where buffers end; a byte more ends the connection with 0x95."""
    subs = receivers(b, b.topic("#"), 3)
    topic = b.topic("large")
    head = len(publish(5, topic, b"", 1, pid=1)) + 2
    payload = os.urandom(LARGEST - head)
    data = publish(5, topic, payload, 1, pid=1)
    assert len(data) == LARGEST, len(data)
    cuts = [1, 4, 5, head - 1, head, head + 1, 65535, 65536, 65537, 131072, LARGEST - 65536, LARGEST - 1]
    for door in DOORS:
        c = publisher(b, door)
        for at in cuts:
            c.send(data[:at])
            c.send(data[at:])
            c.expect_ack("PUBACK", 1)
            all_get(subs, topic, payload)
        c.try_send(publish(5, topic, payload + b"x", 1, pid=1))
        c.expect_closed(0x95)


@limit(120)
def test_lengths_around_every_limit(b):
    """Topic, payload, properties and client id, around the lengths at which they travel another way between loops."""
    subs = receivers(b, b.topic("#"))
    for i, n in enumerate((INLINE - 1, INLINE, INLINE + 1, SMALL // 2, SMALL - 200, CHUNK - 300, 65000)):
        door = DOORS[i % 2]
        c = b.raw(5, "p", **door).connect((b.id("p") + "i" * n)[:n])
        long = b.topic("x").ljust(n, "x")
        for topic, payload, props in ((long, b"", None), (b.topic("x"), b"p" * n, None), (long, b"p" * n, None),
                                      (b.topic("x"), b"p", {"user_property": [("k", "v" * n)]}),
                                      (long, b"p" * n, {"user_property": [("k", "v" * n)]})):
            c.deliver(topic, payload, 1, props=props)
            c.publish(topic, payload, 0, props=props)
            for _ in (0, 1):
                all_get(subs, topic, payload)
        c.disconnect()


@limit(120)
def test_bursts_fill_chunks_of_both_sizes(b):
    """Messages of each size one after the other in one write arrive whole and in order. 5.0: [MQTT-4.6.0-6]."""
    subs = receivers(b, b.topic("#"), 4)
    c = publisher(b, {})
    for size in (0, 1, 100, 1000, SMALL // 2, SMALL, INLINE + 1, 20_000):
        count = max(4, min(400, 200_000 // (size + 50)))
        bodies = [b"%08d" % i + b"b" * size for i in range(count)]
        c.send(b"".join(publish(5, b.topic("x").ljust(i % 5 * 1000, "t"), body, 0) for i, body in enumerate(bodies)))
        for sub in subs:
            for body in bodies:
                assert sub.take().payload == body


def test_aliases_of_long_topics(b):
    """5.0: [MQTT-3.3.2-12]: a hundred aliases for topics of every length, each used again from both sides."""
    sub = b.raw(5, "sub").connect(b.id("sub"), props={"topic_alias_maximum": 100})
    sub.subscribe(b.topic("#"), 1)
    c = publisher(b, {})
    topics = [b.topic(f"{i}-").ljust(i * 655, "a") for i in range(1, 101)]
    for _ in range(2):
        for alias, topic in enumerate(topics, 1):
            c.deliver(topic, b"full", 1, props={"topic_alias": alias})
            c.deliver("", b"alias", 1, props={"topic_alias": alias})
            for body in (b"full", b"alias"):
                p = sub.take()
                assert p.topic == topic and p.payload == body, (len(p.topic), p.payload)
        topics.reverse()
    c.publish("", b"x", 0, props={"topic_alias": 101})
    c.expect_closed(0x94)


def test_share_groups_with_endless_names(b):
    """5.0: [MQTT-4.8.2-1]: names of any length, twenty members, groups that come and go on one filter."""
    names = ["g", "g" * 255, "g" * 4096, "g" * (65535 - len("$share//") - len(b.topic("s")))]
    members = [b.client(5, f"m{i}") for i in range(20)]
    for name in names:
        for c in members:
            c.subscribe(f"$share/{name}/{b.topic('s')}", 1)
    pub = b.client(5, "p")
    for _ in range(40):
        pub.deliver(b.topic("s"), b"x", 1)
    got = []
    for c in members:
        while p := c.quiet_or_publish():
            c.ack(p)
            got.append(p)
    # A message for each group, none twice.
    assert len(got) == 40 * len(names), len(got)
    for c in members[1:]:
        c.unsubscribe(*(f"$share/{name}/{b.topic('s')}" for name in names))
    pub.deliver(b.topic("s"), b"last", 1)
    for _ in names:
        members[0].take(b.topic("s"), b"last")
    members[0].unsubscribe(*(f"$share/{name}/{b.topic('s')}" for name in names))
    assert pub.deliver(b.topic("s"), b"x", 1, codes=(0x10,)) == 0x10


@limit(120)
def test_filters_of_128_levels(b):
    """Every mixture of names and + in filters with 128 levels matches its topic once, and nothing takes long."""
    levels = ["l%d" % i for i in range(126)]
    first = b.topic("d").split("/")
    filters = []
    for step in (1, 2, 3, 5, 64, 127):
        filters += ["/".join(first + [name if i % step else "+" for i, name in enumerate(levels)])]
        filters += ["/".join(first + [name if i % step else "+" for i, name in enumerate(levels[:step])] + ["#"])]
    filters += ["/".join(first + ["+"] * 126), "/".join(first + ["+"] * 60 + ["#"])]
    filters = list(dict.fromkeys(filters))
    c = b.client(5, "deep")
    c.subscribe([(f, options(1)) for f in filters], props={"subscription_identifier": 5})
    topic = "/".join(first + levels)
    pub = b.client(5, "p")
    for _ in range(20):
        pub.deliver(topic, b"x", 1)
        c.take(topic, b"x")
        pub.deliver("/".join(first + ["other"] * 127), b"x", 1)
        c.take()
    c.unsubscribe(*filters)
    assert pub.deliver(topic, b"x", 1, codes=(0x10,)) == 0x10
