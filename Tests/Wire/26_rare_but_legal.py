# SPDX-License-Identifier: Apache-2.0
"""Sequences that few clients send and every broker has to take."""
from wire import *


def keep(v, **props):
    return {"clean": 0, **({"props": {"session_expiry_interval": 60, **props}} if v == 5 else {})}


@versions(3, 4, 5)
def test_empty_levels(b, v):
    """3.1.1: [MQTT-4.7.1-3] [MQTT-4.7.2-1] [MQTT-4.7.3-4]. 5.0: [MQTT-4.7.1-2] [MQTT-4.7.2-1] [MQTT-4.7.3-4]."""
    c = b.client(v)
    for filter_, hits, misses in (
            ("/", ["/"], ["//", "a"]), ("+/+", ["/", "a/", "/a"], ["//", "a"]), ("/+", ["/", "/a"], ["//", "a/b"]),
            ("+", ["a"], ["/"]), ("/#", ["/", "//a"], ["a/"]), ("+/+/+", ["//", "a//"], ["/"]),
            ("a//#", ["a/", "a//", "a//b"], ["a", "a/b"]), ("$x/+", ["$x/", "$x/a"], ["$x"]), ("+/x", ["/x"], ["$x/x"]),
            ("$", ["$"], ["$x"]), ("$/#", ["$", "$/a"], ["$x"])):
        c.subscribe(filter_)
        for name in hits:
            c.publish(name, name)
            c.expect_publish(name, name)
        for name in misses:
            c.publish(name, b"x")
            c.quiet()
        c.unsubscribe(filter_)


@versions(3, 4, 5)
def test_empty_levels_retained(b, v):
    """3.1.1: [MQTT-3.3.1-6] [MQTT-4.7.2-1]. 5.0: [MQTT-3.3.1-9] [MQTT-4.7.2-1]."""
    c, names = b.client(v), ("/", "//", "$r", "$r/a", "a/")
    for name in names:
        c.publish(name, name, retain=1)
    c.quiet()
    for filter_, hits in (("/+", {"/"}), ("$r/#", {"$r", "$r/a"}), ("+/a", set()), ("a/+", {"a/"}), ("+/+/+", {"//"})):
        c.subscribe(filter_)
        assert {c.expect_publish(retain=1).topic for _ in hits} == hits
        c.quiet()
        c.unsubscribe(filter_)
    b.clear(*names)


@versions(3, 4, 5)
def test_longest_filter_of_a_group(b, v):
    """3.1.1: [MQTT-4.7.3-3]. 5.0: [MQTT-4.7.3-3] [MQTT-4.8.2-2]."""
    c, name = b.client(v), "x" * (65535 - len("$share/g/"))
    c.subscribe("$share/g/" + name, 1)
    c.deliver(name, b"x", 1)
    c.take(name, b"x")
    c.unsubscribe("$share/g/" + name)


@versions(4, 5)
@not_on_mosquitto("2.0.11 refuses it")
def test_longest_client_identifier(b, v):
    """3.1.1: [MQTT-3.1.3-2]. 5.0: [MQTT-3.1.3-2]: two of 65,535 bytes that differ in the last."""
    clients = [b.raw(v, end).connect("i" * 65534 + end) for end in "ab"]
    for c in clients:
        c.subscribe(b.topic(c.label), 1)
        c.deliver(b.topic(c.label), b"x", 1)
        c.take(b.topic(c.label), b"x")


@versions(3, 4, 5)
def test_a_whole_life_in_one_write(b, v):
    """Nothing behind DISCONNECT counts, garbage least. 3.1.1: [MQTT-3.14.4-3]. 5.0: [MQTT-3.14.4-3]."""
    watcher, name = b.client(4, "watcher"), b.topic("a")
    watcher.subscribe(b.topic("#"), 2)
    c = b.raw(v)
    c.send(connect(v, b.id(), will=Will(b.topic("will"), b"never")), subscribe(v, 1, [(name, 1)]),
           publish(v, name, b"1", 1, pid=2), publish(v, name, b"2", 2, pid=3), ack(PUBREL, v, 3),
           publish(v, name, b"3"), disconnect(v), b"\xff\xff\xff\xff\xff", publish(v, name, b"never"))
    for payload in "123":
        watcher.take(name, payload)
    assert c.until_eof()[0] == 0x20
    b.nothing_for(watcher, b.client(4, "other"))


@versions(3, 4, 5)
def test_half_a_disconnect_is_none(b, v):
    """3.1.1: [MQTT-3.1.2-8]. 5.0: [MQTT-3.1.2-8]."""
    watcher = b.client(4, "watcher")
    watcher.subscribe(b.topic())
    c = b.client(v, will=Will(b.topic(), b"gone"))
    c.send(disconnect(v)[:1])
    c.close()
    watcher.expect_publish(b.topic(), b"gone")


@versions(3, 4, 5)
@not_on_mosquitto("2.0.11 closes without DISCONNECT", 5)
def test_half_a_packet_does_not_keep_alive(b, v):
    """3.1.1: [MQTT-3.1.2-24]. 5.0: [MQTT-3.1.2-22]."""
    c = b.client(v, keepalive=1)
    c.send(publish(v, b.topic(), bytes(50))[:10])
    c.expect_closed(0x8D)


@versions(3, 4, 5)
def test_every_way_to_an_empty_retained_message(b, v):
    """3.1.1: [MQTT-3.3.1-10] [MQTT-3.3.1-11] [MQTT-3.3.1-12]. 5.0: [MQTT-3.3.1-6] [MQTT-3.3.1-7] [MQTT-3.3.1-8]."""
    c = b.client(v)
    for qos in (0, 1, 2):
        c.deliver(b.topic(), b"x", 1, retain=1)
        sub = b.client(v, f"sub{qos}")
        sub.subscribe(b.topic(), 2)
        sub.take(b.topic(), b"x", retain=1, qos=1)
        for retain, kept in ((0, True), (1, False), (1, False)):
            c.deliver(b.topic(), b"", qos, retain=retain)
            sub.take(b.topic(), b"", retain=0, qos=qos)
            late = b.client(v, f"late{qos}")
            late.subscribe(b.topic(), 0)
            if kept:
                late.expect_publish(b.topic(), b"x", retain=1, qos=0)
            late.quiet().disconnect()
        sub.disconnect()


@versions(3, 4, 5)
def test_empty_will_removes_what_was_kept(b, v):
    """3.1.1: [MQTT-3.1.2-17] [MQTT-3.3.1-10]. 5.0: [MQTT-3.1.2-15] [MQTT-3.3.1-6]."""
    b.client(4, "publisher").deliver(b.topic(), b"x", 1, retain=1)
    watcher = b.client(4, "watcher")
    watcher.subscribe(b.topic(), 1)
    watcher.take(b.topic(), b"x", retain=1)
    b.client(v, will=Will(b.topic(), b"", 1, retain=1)).close()
    watcher.take(b.topic(), b"", retain=0)
    late = b.client(4, "late")
    late.subscribe(b.topic(), 1)
    late.quiet()


@versions(3, 4, 5)
@not_on_mosquitto("2.0.11 passes a message on at its PUBREL")
def test_qos_2_received_over_a_reconnect(b, v):
    """3.1.1: [MQTT-4.3.3-2] [MQTT-4.4.0-1]. 5.0: [MQTT-4.3.3-10] [MQTT-4.3.3-12]: an identifier released after the
    reconnect is free at once, one that is not stands for its message."""
    watcher, pub = b.client(v, "watcher"), b.client(v, "publisher", **keep(v))
    watcher.subscribe(b.topic(), 2)
    for pid in (1, 2, 3):
        pub.publish(b.topic(), str(pid), 2, pid=pid)
        pub.expect("PUBREC", pid=pid)
    pub.close()
    pub = b.client(v, "publisher", **keep(v))
    pub.publish(b.topic(), b"2", 2, pid=2, dup=1)
    pub.expect("PUBREC", pid=2)
    pub.send(ack(PUBREL, v, 1))
    pub.expect("PUBCOMP", pid=1, code=0)
    pub.publish(b.topic(), b"new", 2, pid=1)
    pub.expect("PUBREC", pid=1)
    assert [watcher.take().payload for _ in range(4)] == [b"1", b"2", b"3", b"new"]
    watcher.quiet()


@versions(3, 4, 5)
@not_on_mosquitto("2.0.11 answers 0", 5)
def test_qos_2_sent_over_a_reconnect(b, v):
    """3.1.1: [MQTT-4.3.3-1] [MQTT-4.4.0-1]. 5.0: [MQTT-4.3.3-5] [MQTT-4.3.3-6] [MQTT-4.4.0-1]."""
    sub, pub = b.client(v, **keep(v)), b.client(4, "publisher")
    sub.subscribe(b.topic(), 2)
    for i in range(4):
        pub.deliver(b.topic(), str(i), 2)
    pids = [sub.expect_publish(b.topic(), str(i)).pid for i in range(4)]
    for pid in (pids[1], pids[0]):
        sub.send_ack(PUBREC, pid)
        sub.expect("PUBREL", pid=pid)
    sub.close()
    sub = b.client(v, **keep(v))
    got = [sub.packet() for _ in range(4)]
    assert {p.pid for p in got if p.name == "PUBREL"} == set(pids[:2]), got
    assert [(p.pid, p.dup) for p in got if p.name == "PUBLISH"] == [(pid, 1) for pid in pids[2:]], got
    sub.send_ack(PUBCOMP, pids[1])
    sub.send_ack(PUBREC, pids[1])
    assert v < 5 or sub.expect("PUBREL", pid=pids[1]).code == 0x92


@versions(3, 4, 5)
def test_unsubscribed_while_in_flight_comes_again(b, v):
    """3.1.1: [MQTT-3.10.4-3] [MQTT-4.4.0-1]. 5.0: [MQTT-3.10.4-3] [MQTT-4.4.0-1]."""
    sub, pub = b.client(v, **keep(v)), b.client(4, "publisher")
    sub.subscribe(b.topic(), 1)
    pub.deliver(b.topic(), b"x", 1)
    sub.expect_publish(b.topic(), b"x")
    sub.unsubscribe(b.topic())
    sub.close()
    sub = b.client(v, **keep(v))
    sub.take(b.topic(), b"x", dup=1)
    b.nothing_for(sub, pub)


@not_on_mosquitto("2.0.11 drops the will with its session")
def test_will_between_delay_take_over_and_expiry(b):
    """5.0: [MQTT-3.1.2-8] [MQTT-3.1.3-9]."""
    watcher, long = b.client(5, "watcher"), {"session_expiry_interval": 100}
    watcher.subscribe(b.topic(), 1)

    def dying(payload, delay, clean, props, **more):
        return b.client(5, clean=clean, props=props,
                        will=Will(b.topic(), payload, 1, props={"will_delay_interval": delay, **more}))

    dying(b"kept back", 1, 0, long)
    resumed = b.client(5, clean=0, props=long, session_present=1)
    b.clock()
    b.clock()
    watcher.quiet()
    resumed.disconnect()
    dying(b"a clean start ends the session", 50, 0, long)
    b.client(5, clean=1, props=long).disconnect()
    watcher.take(b.topic(), b"a clean start ends the session")
    dying(b"no session to wait for", 50, 1, None)
    b.client(5, clean=0, props=long).disconnect()
    watcher.take(b.topic(), b"no session to wait for")
    dying(b"DISCONNECT ends the session", 50, 1, long).disconnect(4, {"session_expiry_interval": 0})
    watcher.take(b.topic(), b"DISCONNECT ends the session")
    dying(b"the session ends first", 50, 1, {"session_expiry_interval": 1}).close()
    watcher.take(b.topic(), b"the session ends first")
    dying(b"expiry begins with the end", 2, 1, long, message_expiry_interval=1).close()
    watcher.take(b.topic(), b"expiry begins with the end", has={"message_expiry_interval": 1})


@not_on_mosquitto("2.0.11 sends a copy for each")
def test_shared_beside_plain(b):
    """5.0: [MQTT-3.3.4-3] §4.8.2: a shared subscription is another one, with a copy of its own."""
    c, group = b.client(5), "$share/g/" + b.topic()
    c.subscribe(b.topic(), 1, {"subscription_identifier": 1})
    c.subscribe(group, 1, {"subscription_identifier": 2})
    c.deliver(b.topic(), b"x", 1)
    assert sorted(c.take().props["subscription_identifier"] for _ in range(2)) == [[1], [2]]
    c.unsubscribe(group, codes=[0])
    c.deliver(b.topic(), b"x", 1)
    c.take(has={"subscription_identifier": [1]})
    c.quiet()


@not_on_mosquitto("2.0.11 opens the window with the reconnect")
def test_window_of_one_with_qos_2_over_a_reconnect(b):
    """5.0: [MQTT-3.3.4-9] [MQTT-4.9.0-2] [MQTT-3.3.2-5]: a PUBREL that waits for PUBCOMP keeps the window
    full; what waits behind it may expire."""
    more = {"clean": 0, "props": {"session_expiry_interval": 60, "receive_maximum": 1}}
    sub, pub = b.client(5, **more), b.client(5, "publisher")
    sub.subscribe(b.topic(), 2)
    pub.deliver(b.topic(), b"1", 2)
    pub.deliver(b.topic(), b"2", 2, props={"message_expiry_interval": 1})
    pub.deliver(b.topic(), b"3", 2)
    pid = sub.expect_publish(b.topic(), b"1").pid
    sub.send_ack(PUBREC, pid)
    sub.expect("PUBREL", pid=pid)
    b.clock()
    b.clock()
    sub.close()
    sub = b.client(5, session_present=1, **more)
    sub.expect("PUBREL", pid=pid)
    sub.quiet()
    sub.send_ack(PUBCOMP, pid)
    sub.take(b.topic(), b"3")
    sub.quiet()


@versions(3, 4, 5)
@not_on_mosquitto("2.0.11 lets some of them pass")
def test_acknowledgements_of_the_wrong_size(b, v):
    """3.1.1: [MQTT-4.8.0-1] [MQTT-2.2.2-2]. 5.0: [MQTT-4.13.1-1] [MQTT-2.1.3-1]."""
    bad = [b"\x40\x01\x00", b"\x40\x02\x00\x00", b"\xc0\x01\x00"]
    bad += [b"\x40\x03\x00\x01\x00", b"\xe0\x01\x00"] if v < 5 else []
    bad += [bytes([kind << 4 | 2]) + ack(kind, v, 1)[1:] for kind in (PUBACK, PUBREC, PUBCOMP)] if v > 3 else []
    for data in bad:
        c = b.client(v)
        c.send(data)
        c.expect_closed(0x81, 0x82)
