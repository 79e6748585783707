# SPDX-License-Identifier: Apache-2.0
"""SUBSCRIBE and SUBACK."""
from wire import *


@versions(3, 4, 5)
def test_granted_as_asked(b, v):
    """3.1.1: [MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-2.3.1-7] [MQTT-3.8.4-5] [MQTT-3.9.3-2].
    5.0: [MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-2.2.1-6] [MQTT-3.8.4-7] [MQTT-3.9.3-2] [MQTT-3.2.2-10]."""
    c = b.client(v)
    for pid, qos in ((1, 0), (500, 1), (65535, 2)):
        c.send(subscribe(v, pid, [(b.topic(str(pid)), qos)]))
        assert c.expect("SUBACK", pid=pid).codes == [qos]


@versions(3, 4, 5)
def test_several_filters_in_one(b, v):
    """3.1.1: [MQTT-3.8.4-4] [MQTT-3.8.4-5] [MQTT-3.9.3-1]. 5.0: [MQTT-3.8.4-5] [MQTT-3.8.4-6] [MQTT-3.9.3-1]."""
    c, pub = b.client(v), b.client(4, "publisher")
    c.subscribe([(b.topic("a"), 2), (b.topic("b"), 0), (b.topic("c"), 1), (b.topic("a"), 1)], codes=[2, 0, 1, 1])
    for name, qos in (("a", 1), ("b", 0), ("c", 1)):
        pub.deliver(b.topic(name), b"x", 2)
        c.take(b.topic(name), b"x", qos=qos)
    c.quiet()


@versions(3, 4, 5)
def test_two_hundred_filters_in_one(b, v):
    """3.1.1: [MQTT-3.8.4-4]. 5.0: [MQTT-3.8.4-5]."""
    c = b.client(v)
    c.subscribe([(b.topic(str(i)), i % 3) for i in range(200)], codes=[i % 3 for i in range(200)])
    c.deliver(b.topic("199"), b"x", 1)
    c.take(b.topic("199"), b"x")


@versions(3, 4, 5)
def test_same_filter_replaces_the_subscription(b, v):
    """3.1.1: [MQTT-3.8.4-3]. 5.0: [MQTT-3.8.4-3]: one copy, with the QoS of the last."""
    c, pub = b.client(v), b.client(4, "publisher")
    for qos in (2, 0, 1):
        c.subscribe(b.topic(), qos)
        pub.deliver(b.topic(), b"x", 2)
        c.take(b.topic(), b"x", qos=qos)
        c.quiet()


@versions(3, 4, 5)
def test_replacing_resends_retained_and_loses_nothing(b, v):
    """3.1.1: [MQTT-3.8.4-3]. 5.0: [MQTT-3.8.4-4]."""
    c, pub = b.client(v), b.client(4, "publisher")
    pub.deliver(b.topic("kept"), b"kept", 1, retain=1)
    for _ in range(3):
        c.subscribe(b.topic("kept"), 1)
        c.take(b.topic("kept"), b"kept", retain=1)
    b.clear(b.topic("kept"))
    c.take(b.topic("kept"), b"", retain=0)
    c.subscribe(b.topic(), 1)
    for i in range(100):
        pub.send(publish(4, b.topic(), str(i), 1, pid=i + 1))
        if i % 10 == 0:
            c.send(subscribe(v, 1000 + i, [(b.topic(), 1)]))
    got, acks = [], 0
    while len(got) < 100 or acks < 10:
        p = c.packet()
        if p.name == "SUBACK":
            acks += 1
        else:
            got.append(int(c.ack(p).payload))
    assert got == list(range(100)), got


@versions(4, 5)
def test_without_filters(b, v):
    """3.1.1: [MQTT-3.8.3-3]. 5.0: [MQTT-3.8.3-2] [MQTT-4.13.1-1]."""
    c = b.client(v)
    c.send(subscribe(v, 1, []))
    c.expect_closed(0x81, 0x82)


@versions(3, 4, 5)
def test_packet_identifier_zero(b, v):
    """3.1.1: [MQTT-2.3.1-1]. 5.0: [MQTT-2.2.1-3]."""
    c = b.client(v)
    c.send(subscribe(v, 0, [(b.topic(), 0)]))
    c.expect_closed(0x81, 0x82)


@versions(4, 5)
def test_fixed_header_flags(b, v):
    """3.1.1: [MQTT-3.8.1-1] [MQTT-2.2.2-2]. 5.0: [MQTT-3.8.1-1] [MQTT-2.1.3-1]."""
    for flags in (0, 1, 3, 4, 6, 10, 15):
        c = b.client(v)
        data = bytearray(subscribe(v, 1, [(b.topic(), 0)]))
        data[0] = 0x80 | flags
        c.send(bytes(data))
        c.expect_closed(0x81, 0x82)


@versions(4, 5)
def test_reserved_bits_and_qos_3(b, v):
    """3.1.1: [MQTT-3.8.3-4]. 5.0: [MQTT-3.8.3-5] §3.8.3.1."""
    for bad in (3, 0x40, 0x80, 0xC1) + ((4, 8, 0x10, 0xFF) if v == 4 else (0x30, 0x32)):
        c = b.client(v)
        c.send(subscribe(v, 1, [(b.topic(), bad)]))
        c.expect_closed(0x81, 0x82)


@versions(3, 4, 5)
def test_filter_without_options(b, v):
    """A payload that ends behind a filter. 3.1.1: [MQTT-4.8.0-1]. 5.0: [MQTT-4.13.1-1]."""
    c = b.client(v)
    c.send(packet(SUBSCRIBE, 2, subscribe(v, 1, [(b.topic(), 0), (b.topic("b"), 0)])[2:-1]))
    c.expect_closed(0x81, 0x82)


@versions(3, 4, 5)
def test_filters_must_be_utf8(b, v):
    """3.1.1: [MQTT-3.8.3-1] [MQTT-1.5.3-1] [MQTT-1.5.3-2] [MQTT-4.7.3-2].
    5.0: [MQTT-3.8.3-1] [MQTT-1.5.4-1] [MQTT-1.5.4-2] [MQTT-4.7.3-2]."""
    for bad in (b"a\xff", b"\xed\xa0\x80", b"a\x00b", b"\xc0\xaf"):
        c = b.client(v)
        c.send(subscribe(v, 1, [(bad, 0)]))
        c.expect_closed(0x81, 0x82, 0x8F)


BAD_FILTERS = ["a/#/b", "a#", "a/b#", "#a", "##", "a+", "+a", "a/+b/c", "a/b+/c", "++", "a/#/", "#/"]


@versions(3, 4, 5)
@not_on_mosquitto("2.0.11 ends the connection")
def test_bad_filters_fail_alone(b, v):
    """3.1.1: [MQTT-4.7.1-2] [MQTT-4.7.1-3] [MQTT-3.9.3-1]. 5.0: [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-3.8.4-7]."""
    refused = 0x8F if v == 5 else 0x80
    c = b.client(v)
    for bad in BAD_FILTERS:
        c.subscribe([(b.topic("good"), 1), (bad, 1), (b.topic("fine"), 0)], codes=[1, refused, 0])
    c.deliver(b.topic("good"), b"x", 1)
    c.take(b.topic("good"), b"x")


@versions(3, 4, 5)
def test_empty_filter(b, v):
    """3.1.1: [MQTT-4.7.3-1]. 5.0: [MQTT-4.7.3-1]: refused, or the connection ends."""
    c = b.client(v)
    c.send(subscribe(v, 1, [("", 0)]))
    p = c.packet()
    if p is not None and p.name == "SUBACK":
        assert p.codes[0] >= 0x80
    else:
        assert p is None or p.code in (0x81, 0x82, 0x8F), p


@versions(3, 4, 5)
def test_unsubscribe_stops_the_messages(b, v):
    """3.1.1: [MQTT-3.10.4-1] [MQTT-3.10.4-2] [MQTT-3.10.4-4] [MQTT-2.3.1-7].
    5.0: [MQTT-3.10.4-1] [MQTT-3.10.4-2] [MQTT-3.10.4-4] [MQTT-3.10.4-5] [MQTT-2.2.1-6]."""
    c, pub = b.client(v), b.client(4, "publisher")
    c.subscribe([(b.topic("a"), 1), (b.topic("b"), 1)])
    c.unsubscribe(b.topic("a"), codes=[0])
    pub.deliver(b.topic("a"), b"x", 1)
    pub.deliver(b.topic("b"), b"y", 1)
    c.take(b.topic("b"), b"y")
    b.nothing_for(c, pub)


@versions(3, 4, 5)
def test_unsubscribe_compares_byte_for_byte(b, v):
    """3.1.1: [MQTT-3.10.4-1]. 5.0: [MQTT-3.10.4-1]: a filter that merely matches is another filter."""
    c, pub = b.client(v), b.client(4, "publisher")
    c.subscribe(b.topic("a/b"), 1)
    c.unsubscribe(b.topic("a/+"), b.topic("#"), "#", b.topic("A/B"), b.topic("a/b/"), codes=[0x11] * 5)
    pub.deliver(b.topic("a/b"), b"x", 1)
    c.take(b.topic("a/b"), b"x")


@versions(3, 4, 5)
def test_unsubscribe_from_nothing_is_answered(b, v):
    """3.1.1: [MQTT-3.10.4-5]. 5.0: [MQTT-3.10.4-5] [MQTT-3.11.3-2]: 0x11."""
    b.client(v).unsubscribe(b.topic(), codes=[0x11])


@versions(3, 4, 5)
def test_unsubscribe_several(b, v):
    """3.1.1: [MQTT-3.10.4-6]. 5.0: [MQTT-3.10.4-6] [MQTT-3.11.3-1]."""
    c = b.client(v)
    c.subscribe([(b.topic("a"), 1), (b.topic("b"), 1), (b.topic("+"), 0)])
    c.unsubscribe(b.topic("x"), b.topic("b"), b.topic("+"), b.topic("b"), codes=[0x11, 0, 0, 0x11])
    c.deliver(b.topic("b"), b"x", 1)
    c.deliver(b.topic("a"), b"y", 1)
    c.take(b.topic("a"), b"y")


@versions(3, 4, 5)
def test_unsubscribe_completes_what_it_began(b, v):
    """3.1.1: [MQTT-3.10.4-3]. 5.0: [MQTT-3.10.4-3]."""
    c, pub = b.client(v), b.client(4, "publisher")
    c.subscribe(b.topic(), 2)
    pub.deliver(b.topic(), b"x", 2)
    p = c.expect_publish(b.topic(), b"x", qos=2)
    c.unsubscribe(b.topic())
    c.ack(p)
    c.quiet()


@versions(4, 5)
def test_unsubscribe_without_filters(b, v):
    """3.1.1: [MQTT-3.10.3-2]. 5.0: [MQTT-3.10.3-2]."""
    c = b.client(v)
    c.send(unsubscribe(v, 1, []))
    c.expect_closed(0x81, 0x82)


@versions(3, 4, 5)
def test_unsubscribe_malformed(b, v):
    """3.1.1: [MQTT-3.10.1-1] [MQTT-3.10.3-1] [MQTT-2.3.1-1]. 5.0: [MQTT-3.10.1-1] [MQTT-3.10.3-1] [MQTT-2.2.1-3]."""
    good = unsubscribe(v, 1, [b.topic()])
    bad = [unsubscribe(v, 0, [b.topic()]), unsubscribe(v, 1, [b"a\xff"]), unsubscribe(v, 1, [b"a\x00"]),
           packet(UNSUBSCRIBE, 2, good[2:-1])]
    if v > 3:
        bad += [bytes([0xA0 | flags]) + good[1:] for flags in (0, 1, 3, 6, 10)]
    for data in bad:
        c = b.client(v)
        c.send(data)
        c.expect_closed(0x81, 0x82, 0x8F)


def test_subscribe_properties_out_of_place(b):
    """5.0: §3.8.2.1, §3.10.2.1."""
    for build_, props in ((subscribe, {"topic_alias": 1}), (subscribe, {"reason_string": "x"}),
                          (subscribe, b"\x02\x7f\x00"), (subscribe, b"\x7f"),
                          (unsubscribe, {"subscription_identifier": 3}),
                          (unsubscribe, {"content_type": "x"})):
        c = b.client(5)
        c.send(build_(5, 1, [(b.topic(), 0)] if build_ is subscribe else [b.topic()], props))
        c.expect_closed(0x81, 0x82)


def test_user_properties_are_allowed(b):
    """5.0: §3.8.2.1.3, §3.10.2.1.2."""
    c = b.client(5)
    c.subscribe(b.topic(), 1, props={"user_property": [("a", "b"), ("a", "b")]})
    c.send(unsubscribe(5, 9, [b.topic()], {"user_property": ("x", "y")}))
    c.expect("UNSUBACK", pid=9)
