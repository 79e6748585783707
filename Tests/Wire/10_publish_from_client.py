# SPDX-License-Identifier: Apache-2.0
"""PUBLISH from a client: QoS 0, 1 and 2, duplicates, unknown packet identifiers."""
from wire import *


def watch(b, name="watcher", qos=2, v=4):
    w = b.client(v, name)
    w.subscribe(b.topic("#"), qos)
    return w


@versions(3, 4, 5)
def test_qos_0(b, v):
    """3.1.1: [MQTT-4.3.1-1] [MQTT-2.3.1-5] [MQTT-3.3.4-1]. 5.0: [MQTT-4.3.1-1] [MQTT-2.2.1-2] [MQTT-3.3.4-1]."""
    watcher, c = watch(b), b.client(v)
    c.publish(b.topic(), b"x")
    c.quiet()
    watcher.take(b.topic(), b"x", qos=0, dup=0, retain=0)


@versions(3, 4, 5)
def test_qos_1(b, v):
    """3.1.1: [MQTT-4.3.2-2] [MQTT-2.3.1-6] [MQTT-3.3.4-1]. 5.0: [MQTT-4.3.2-4] [MQTT-2.2.1-5] [MQTT-3.3.4-1]."""
    watcher, c = watch(b), b.client(v)
    for pid in (1, 77, 65535):
        c.publish(b.topic(), str(pid), 1, pid=pid)
        c.expect("PUBACK", pid=pid, code=0)
        watcher.take(b.topic(), str(pid), qos=1)


@versions(3, 4, 5)
def test_qos_2(b, v):
    """3.1.1: [MQTT-4.3.3-2] [MQTT-2.3.1-6]. 5.0: [MQTT-4.3.3-8] [MQTT-4.3.3-11] [MQTT-2.2.1-5] [MQTT-3.6.2-1]."""
    watcher, c = watch(b), b.client(v)
    for pid in (1, 77, 65535):
        c.publish(b.topic(), str(pid), 2, pid=pid)
        c.expect("PUBREC", pid=pid, code=0)
        c.send(ack(PUBREL, v, pid))
        c.expect("PUBCOMP", pid=pid, code=0)
        watcher.take(b.topic(), str(pid), qos=2)


@versions(3, 4, 5)
@not_on_mosquitto("2.0.11 ends the connection")
def test_qos_2_duplicate_before_pubrel(b, v):
    """3.1.1: [MQTT-4.3.3-2]. 5.0: [MQTT-4.3.3-10]: acknowledged again, delivered once."""
    watcher, c = watch(b), b.client(v)
    for dup in (0, 1, 1):
        c.publish(b.topic(), b"once", 2, pid=9, dup=dup)
        c.expect("PUBREC", pid=9, code=0)
    c.send(ack(PUBREL, v, 9))
    c.expect("PUBCOMP", pid=9, code=0)
    watcher.take(b.topic(), b"once", qos=2)
    b.nothing_for(watcher, c)


@versions(3, 4, 5)
def test_qos_2_identifier_is_new_after_pubcomp(b, v):
    """3.1.1: [MQTT-4.3.3-2]. 5.0: [MQTT-4.3.3-12]."""
    watcher, c = watch(b), b.client(v)
    for n in (1, 2):
        c.deliver(b.topic(), str(n), 2, pid=4)
        watcher.take(b.topic(), str(n), qos=2)
    c.publish(b.topic(), b"3", 2, pid=4, dup=1)
    c.expect("PUBREC", pid=4, code=0)
    c.send(ack(PUBREL, v, 4))
    c.expect("PUBCOMP", pid=4)
    watcher.take(b.topic(), b"3", qos=2, dup=0)


@versions(3, 4, 5)
def test_qos_1_same_identifier_is_a_new_message(b, v):
    """3.1.1: [MQTT-4.3.2-2]. 5.0: [MQTT-4.3.2-5]: whatever DUP says."""
    watcher, c = watch(b), b.client(v)
    for n, dup in ((1, 0), (2, 0), (3, 1)):
        c.publish(b.topic(), str(n), 1, pid=5, dup=dup)
        c.expect("PUBACK", pid=5)
        watcher.take(b.topic(), str(n), qos=1, dup=0)


@versions(3, 4, 5)
def test_qos_2_survives_a_reconnect(b, v):
    """The identifier is remembered with the session. 3.1.1: [MQTT-4.3.3-2] [MQTT-4.1.0-1].
    5.0: [MQTT-4.3.3-10] [MQTT-3.1.2-23]."""
    more = {"clean": 0, **({"props": {"session_expiry_interval": 60}} if v == 5 else {})}
    watcher, c = watch(b), b.client(v, **more)
    c.publish(b.topic(), b"once", 2, pid=3)
    c.expect("PUBREC", pid=3)
    c.close()
    c = b.client(v, **more)
    c.publish(b.topic(), b"once", 2, pid=3, dup=1)
    c.expect("PUBREC", pid=3)
    c.send(ack(PUBREL, v, 3))
    c.expect("PUBCOMP", pid=3)
    watcher.take(b.topic(), b"once", qos=2)
    b.nothing_for(watcher, c)


@versions(3, 4, 5)
def test_pubrel_again_is_answered_again(b, v):
    """3.1.1: [MQTT-4.3.3-2]. 5.0: [MQTT-4.3.3-11]: the second time 0x92 may say that it is unknown."""
    c = b.client(v)
    c.deliver(b.topic(), b"x", 2, pid=8)
    for _ in range(2):
        c.send(ack(PUBREL, v, 8))
        assert c.expect("PUBCOMP", pid=8).code in (0, 0x92)


@not_on_mosquitto("2.0.11 answers 0")
def test_pubrel_unknown_is_told(b):
    """5.0: [MQTT-3.7.2-1] §3.6.2.1: 0x92 Packet Identifier not found, and the connection goes on."""
    c = b.client(5)
    c.send(ack(PUBREL, 5, 1234))
    c.expect("PUBCOMP", pid=1234, code=0x92)
    c.quiet()


@versions(3, 4, 5)
def test_unexpected_acknowledgements_do_no_harm(b, v):
    """PUBACK, PUBREC and PUBCOMP for nothing. 5.0: §4.3: PUBREC unknown is answered by PUBREL 0x92."""
    c = b.client(v)
    c.send(ack(PUBACK, v, 999))
    c.send(ack(PUBCOMP, v, 999))
    c.quiet()


@not_on_mosquitto("2.0.11 ends the connection")
def test_pubrec_unknown_is_told(b):
    """5.0: [MQTT-3.6.2-1] §3.5.2.1: PUBREL with 0x92."""
    c = b.client(5)
    c.send(ack(PUBREC, 5, 999))
    c.expect("PUBREL", pid=999, code=0x92)
    c.send(ack(PUBCOMP, 5, 999))
    c.quiet()


@not_on_mosquitto("2.0.11 has no per-publish answer for QoS 2 here")
def test_no_matching_subscribers(b):
    """5.0: [MQTT-3.4.2-1] [MQTT-3.5.2-1]: 0x10 in PUBACK and PUBREC when nobody subscribes."""
    c = b.client(5)
    for qos in (1, 2):
        assert c.deliver(b.topic(), b"x", qos) == 0x10
    c.subscribe(b.topic(), 0)
    for qos in (1, 2):
        assert c.deliver(b.topic(), b"x", qos) == 0


@versions(3, 4, 5)
def test_packet_identifier_zero(b, v):
    """3.1.1: [MQTT-2.3.1-1]. 5.0: [MQTT-2.2.1-3] [MQTT-4.13.1-1]."""
    for qos in (1, 2):
        c = b.client(v)
        c.publish(b.topic(), b"x", qos, pid=0)
        c.expect_closed(0x81, 0x82)


@versions(4, 5)
@not_on_mosquitto("2.0.11 accepts it")
def test_dup_with_qos_0(b, v):
    """3.1.1: [MQTT-3.3.1-2]. 5.0: [MQTT-3.3.1-2]."""
    c = b.client(v)
    c.publish(b.topic(), b"x", 0, dup=1)
    c.expect_closed(0x81, 0x82)


@versions(3, 4, 5)
def test_qos_3(b, v):
    """3.1.1: [MQTT-3.3.1-4]. 5.0: [MQTT-3.3.1-4]."""
    c = b.client(v)
    c.publish(b.topic(), b"x", 3, pid=1)
    c.expect_closed(0x81, 0x82)


@versions(3, 4, 5)
def test_topic_names_without_wildcards(b, v):
    """3.1.1: [MQTT-3.3.2-2] [MQTT-4.7.1-1]. 5.0: [MQTT-3.3.2-2] [MQTT-4.7.0-1]."""
    for topic in ("+", "#", "a/+", "a/#", "a/b+", "#/a"):
        c = b.client(v)
        c.publish(topic, b"x")
        c.expect_closed(0x81, 0x82, 0x90)


@versions(3, 4, 5)
def test_topic_names_are_not_empty(b, v):
    """3.1.1: [MQTT-4.7.3-1]. 5.0: [MQTT-4.7.3-1] §3.3.2.1: a Protocol Error without an alias."""
    c = b.client(v)
    c.publish("", b"x")
    c.expect_closed(0x81, 0x82, 0x90)


@versions(3, 4, 5)
def test_topic_names_are_utf8(b, v):
    """3.1.1: [MQTT-3.3.2-1] [MQTT-1.5.3-1] [MQTT-1.5.3-2] [MQTT-4.7.3-2].
    5.0: [MQTT-3.3.2-1] [MQTT-1.5.4-1] [MQTT-1.5.4-2] [MQTT-4.7.3-2]."""
    for topic in (b"a\xff", b"\xed\xbf\xbf", b"a\x00b", b"\xc1\x81", b"\xf8\x88\x80\x80\x80", b"\xe2\x28\xa1"):
        c = b.client(v)
        c.publish(topic, b"x")
        c.expect_closed(0x81, 0x82, 0x90)


@versions(3, 4, 5)
def test_longest_topic_name(b, v):
    """3.1.1: [MQTT-4.7.3-3]. 5.0: [MQTT-4.7.3-3]: 65,535 bytes are a topic."""
    topic = b.topic("x" * (65535 - len(b.topic("")))) if b.kind != "mosquitto" else b.topic("x" * 60000)
    c = b.client(v)
    c.subscribe(topic, 0)
    c.publish(topic, b"long")
    c.expect_publish(topic, b"long")


@versions(4, 5)
def test_longest_topic_name_reaches_every_loop(b, v):
    """[MQTT-4.7.3-3]: with a payload and a client id beside it, from and to clients that are spread over all loops."""
    room = 65535 if b.kind != "mosquitto" else 60000
    subs = [b.client(v, "s" * 100 + str(i)) for i in range(8)]
    for sub in subs:
        sub.subscribe(b.topic("#"), 1)
    for i in range(8):
        topic = b.topic(str(i) * (room - len(b.topic(""))))
        pub = b.client(v, "p" * 3000 + str(i) if b.kind != "mosquitto" else "p" + str(i))
        for payload in (b"%d" % i, bytes([i]) * 4000):
            pub.deliver(topic, payload, 1)
            for sub in subs:
                p = sub.take(qos=1)
                assert (p.topic, p.payload) == (topic, payload)


@versions(3, 4, 5)
def test_topics_are_not_normalised(b, v):
    """3.1.1: [MQTT-4.7.3-4] [MQTT-1.5.3-3]. 5.0: [MQTT-4.7.3-4] [MQTT-1.5.4-3]."""
    c = b.client(v)
    names = ("é", "e\u0301", "\ufeffa", "a", "A", "a ", " a", "/a", "a/", "a//", "ﬁ", "fi", "ſ", "s")
    for name in map(b.topic, names):
        c.subscribe(name, 0)
        c.publish(name, name)
        c.expect_publish(name, name)
        b.nothing_for(c)


@versions(3, 4, 5)
def test_payloads_of_every_size(b, v):
    """Lengths around the steps of the remaining length (3.1.1 §2.2.3, 5.0 §1.5.5)."""
    watcher, c = watch(b, v=v), b.client(v)
    base = len(publish(v, b.topic(), b"", 1, pid=1)) - 2
    for total in (base, 126, 127, 128, 129, 16382, 16383, 16384, 16385, 65536, 200_000):
        payload = bytes(i % 251 for i in range(max(0, total - base)))
        c.deliver(b.topic(), payload, 1)
        watcher.take(b.topic(), payload)


@versions(4, 5)
def test_payload_above_two_megabytes_when_allowed(b, v):
    """Four length bytes are read right, whatever the limit says about the packet."""
    c = b.client(v)
    c.try_send(publish(v, b.topic(), bytes(2_100_000)))
    if b.kind == "mosquitto":
        c.quiet()
    else:
        c.expect_closed(0x95)


@versions(3, 4, 5)
def test_flood_of_qos_2_is_acknowledged_in_order(b, v):
    """3.1.1: [MQTT-4.6.0-6]. 5.0: [MQTT-4.6.0-5] [MQTT-3.3.4-1]."""
    watcher, c = watch(b), b.client(v)
    limit = min(20, c.connack.props.get("receive_maximum", 20))
    c.send(b"".join(publish(v, b.topic(), str(i), 2, pid=i) for i in range(1, limit + 1)))
    for i in range(1, limit + 1):
        c.expect("PUBREC", pid=i)
    c.send(b"".join(ack(PUBREL, v, i) for i in range(1, limit + 1)))
    for i in range(1, limit + 1):
        c.expect("PUBCOMP", pid=i)
    got = [watcher.take(b.topic()).payload for _ in range(limit)]
    assert got == [str(i).encode() for i in range(1, limit + 1)]
