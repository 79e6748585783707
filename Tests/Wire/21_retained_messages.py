# SPDX-License-Identifier: Apache-2.0
"""Retained messages: kept, replaced, removed, handed out."""
from wire import *


def read(b, v, filter_, qos=2):
    """What a new subscriber gets: topic → (payload, qos)."""
    c = b.client(v, "reader")
    c.send(subscribe(v, 1, [(filter_, qos)]))
    c.expect("SUBACK")
    c.send(pingreq())
    got = {}
    while (p := c.packet()).name != "PINGRESP":
        assert p.retain == 1, p
        got[p.topic] = (p.payload, p.qos)
    c.close()
    return got


@versions(3, 4, 5)
def test_kept_for_who_comes_later(b, v):
    """3.1.1: [MQTT-3.3.1-5] [MQTT-3.3.1-6] [MQTT-3.3.1-8]. 5.0: [MQTT-3.3.1-5] [MQTT-3.3.1-9]."""
    pub = b.client(v, "publisher")
    for qos in (0, 1, 2):
        pub.deliver(b.topic(str(qos)), f"q{qos}", qos, retain=1)
    pub.quiet().disconnect()
    for granted in (0, 1, 2):
        expected = {b.topic(str(q)): (f"q{q}".encode(), min(q, granted)) for q in (0, 1, 2)}
        assert read(b, v, b.topic("#"), granted) == expected
    b.clear(*(b.topic(str(q)) for q in (0, 1, 2)))


@versions(3, 4, 5)
def test_last_one_is_kept(b, v):
    """3.1.1: [MQTT-3.3.1-5] [MQTT-3.3.1-7]. 5.0: [MQTT-3.3.1-5]."""
    pub = b.client(v, "publisher")
    for i in range(5):
        pub.deliver(b.topic(), str(i), i % 3, retain=1)
    pub.quiet()
    assert read(b, v, b.topic()) == {b.topic(): (b"4", 1)}
    b.clear(b.topic())


@versions(3, 4, 5)
def test_empty_one_removes(b, v):
    """3.1.1: [MQTT-3.3.1-10] [MQTT-3.3.1-11]. 5.0: [MQTT-3.3.1-6] [MQTT-3.3.1-7]: and it is delivered as any other."""
    pub, sub = b.client(v, "publisher"), b.client(v, "sub")
    sub.subscribe(b.topic(), 1)
    pub.deliver(b.topic(), b"x", 1, retain=1)
    sub.take(b.topic(), b"x", retain=0)
    pub.deliver(b.topic(), b"", 1, retain=1)
    sub.take(b.topic(), b"", retain=0)
    assert read(b, v, b.topic()) == {}


@versions(3, 4, 5)
def test_not_retained_changes_nothing(b, v):
    """3.1.1: [MQTT-3.3.1-12] [MQTT-3.3.1-9]. 5.0: [MQTT-3.3.1-8] [MQTT-3.3.1-12]."""
    pub, sub = b.client(v, "publisher"), b.client(v, "sub")
    sub.subscribe(b.topic(), 1)
    pub.deliver(b.topic(), b"passes", 1)
    sub.take(b.topic(), b"passes", retain=0)
    assert read(b, v, b.topic()) == {}
    pub.deliver(b.topic(), b"kept", 1, retain=1)
    sub.take(b.topic(), b"kept", retain=0)
    pub.deliver(b.topic(), b"passes", 1)
    pub.deliver(b.topic(), b"", 1)
    assert read(b, v, b.topic()) == {b.topic(): (b"kept", 1)}
    b.clear(b.topic())


@versions(3, 4, 5)
def test_wildcards_find_all(b, v):
    """3.1.1: [MQTT-3.3.1-6]. 5.0: [MQTT-3.3.1-9]."""
    pub = b.client(4, "publisher")
    names = [b.topic(f"{x}/{y}") for x in "abc" for y in "123"]
    for name in names:
        pub.deliver(name, name, 1, retain=1)
    assert set(read(b, v, b.topic("#"))) == set(names)
    assert set(read(b, v, b.topic("+/2"))) == {n for n in names if n.endswith("2")}
    assert set(read(b, v, b.topic("a/#"))) == {n for n in names if "/a/" in n}
    assert read(b, v, b.topic("+")) == {}
    b.clear(*names)
    assert read(b, v, b.topic("#")) == {}


@versions(4, 5)
def test_several_filters_of_one_subscribe(b, v):
    """Each filter counts as its own subscription. 3.1.1: [MQTT-3.8.4-4]. 5.0: [MQTT-3.8.4-5]."""
    pub, c = b.client(4, "publisher"), b.client(v)
    for name in "abc":
        pub.deliver(b.topic(name), name, 1, retain=1)
    c.subscribe([(b.topic("a"), 1), (b.topic("c"), 0)])
    got = {c.take().topic for _ in range(2)}
    assert got == {b.topic("a"), b.topic("c")}
    c.quiet()
    b.clear(*(b.topic(n) for n in "abc"))


def test_properties_are_kept(b):
    """5.0: [MQTT-3.3.2-4] [MQTT-3.3.2-17] [MQTT-3.3.2-18]."""
    props = {"content_type": "a/b", "user_property": [("b", "1"), ("a", "2")], "correlation_data": b"\0"}
    b.client(5, "publisher").deliver(b.topic(), b"x", 1, retain=1, props=props)
    c = b.client(5)
    c.subscribe(b.topic(), 1)
    assert c.take(b.topic(), retain=1).props == props
    b.clear(b.topic())


@limit(120)
def test_five_thousand_of_them_all_arrive(b):
    """No silent cap, whatever the window of the subscriber."""
    pub = b.client(4, "publisher")
    for start in range(0, 5000, 500):
        pub.send(b"".join(publish(4, b.topic(f"{i // 100}/{i}"), str(i), 1, pid=i + 1, retain=1)
                          for i in range(start, start + 500)))
        for i in range(500):
            pub.expect("PUBACK")
    c = b.client(5, props={"receive_maximum": 7})
    c.subscribe(b.topic("#"), 1)
    got = {int(c.take(retain=1).payload) for _ in range(5000)}
    assert got == set(range(5000))
    c.quiet()
    c.disconnect()
    for start in range(0, 5000, 500):
        pub.send(b"".join(publish(4, b.topic(f"{i // 100}/{i}"), b"", 1, pid=i + 1, retain=1)
                          for i in range(start, start + 500)))
        for i in range(500):
            pub.expect("PUBACK")
    assert read(b, 4, b.topic("#")) == {}


def test_large_retained_message(b):
    """Half a megabyte comes back whole."""
    payload = bytes(range(256)) * 2000
    b.client(4, "publisher").deliver(b.topic(), payload, 1, retain=1)
    assert read(b, 5, b.topic()) == {b.topic(): (payload, 1)}
    b.clear(b.topic())


def test_unsubscribed_in_the_middle(b):
    """UNSUBSCRIBE while retained messages flow: UNSUBACK comes and nothing new behind it; the connection lives.
    3.1.1: [MQTT-3.10.4-3]. 5.0: [MQTT-3.10.4-2]."""
    pub = b.client(4, "publisher")
    names = [b.topic(str(i)) for i in range(300)]
    for name in names:
        pub.publish(name, b"x", retain=1)
    pub.quiet()
    c = b.client(4)
    c.send(subscribe(4, 1, [(b.topic("#"), 0)]), unsubscribe(4, 2, [b.topic("#")]), pingreq())
    seen = [c.packet().name]
    while seen[-1] != "PINGRESP":
        seen.append(c.packet().name)
    assert "SUBACK" in seen and "UNSUBACK" in seen
    assert "PUBLISH" not in seen[seen.index("UNSUBACK"):], "more of them after UNSUBACK"
    b.clear(*names)


@versions(4, 5)
def test_retained_messages_are_those_of_the_subscription(b, v):
    """5.0: [MQTT-3.3.1-9] [MQTT-4.6.0-6]: a client whose window is full still gets what was retained when it
    subscribed, and before what was published after that, which comes once."""
    more = {"props": {"receive_maximum": 1}} if v == 5 else {}
    c, pub = b.client(v, "c", **more), b.client(4, "publisher")
    c.subscribe(b.topic("full"), 1)
    window = 1 if v == 5 else 32
    for i in range(window):
        pub.deliver(b.topic("full"), b"%d" % i, 1)
    held = [c.expect_publish(b.topic("full"), b"%d" % i) for i in range(window)]
    for name in "abc":
        pub.deliver(b.topic("r/" + name), b"old", 1, retain=1)
    c.subscribe(b.topic("r/#"), 1)
    pub.deliver(b.topic("r/a"), b"passing", 1)
    pub.deliver(b.topic("r/b"), b"new", 1, retain=1)
    pub.deliver(b.topic("r/c"), b"", 1, retain=1)
    c.quiet()
    for p in held:
        c.ack(p)
    got = [c.take() for _ in range(6)]
    of = {name: [(p.payload, p.retain) for p in got if p.topic == b.topic("r/" + name)] for name in "abc"}
    assert of == {
        "a": [(b"old", 1), (b"passing", 0)], "b": [(b"old", 1), (b"new", 0)], "c": [(b"old", 1), (b"", 0)]}, of
    c.quiet()
