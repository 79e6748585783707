# SPDX-License-Identifier: Apache-2.0
"""What MQTT 5 says without a number, where its features meet."""
from wire import *

KEEP = {"clean": 0, "props": {"session_expiry_interval": 60}}


def test_retained_and_wills_too_large_for_a_subscriber(b):
    """5.0: §3.1.2.11.4 [MQTT-3.1.2-24] [MQTT-3.1.2-25]: left out as if they had been sent; the others come."""
    pub = b.client(4, "pub")
    for name, size in (("large", 200), ("small", 10)):
        pub.deliver(b.topic(name), bytes(size), 1, retain=1)
    for qos in (0, 1, 2):
        sub = b.client(5, f"sub{qos}", props={"maximum_packet_size": 100})
        sub.subscribe(b.topic("+"), qos)
        sub.take(b.topic("small"), bytes(10), retain=1)
        for size in (200, 20):
            b.client(4, "dying", will=Will(b.topic("will"), bytes(size), 2)).close()
        sub.take(b.topic("will"), bytes(20), qos=qos)
        sub.quiet()
    b.clear(b.topic("large"), b.topic("small"))


@not_on_mosquitto("2.0.11 delivers nothing that was queued")
def test_too_large_for_the_next_connection(b):
    """5.0: §3.1.2.11.4: the limit belongs to the connection, not to the session."""
    sub = b.client(5, "sub", **KEEP)
    sub.subscribe(b.topic(), 1)
    sub.disconnect()
    pub = b.client(4, "pub")
    for payload in (bytes(10), bytes(200), bytes(20)):
        pub.deliver(b.topic(), payload, 1)
    sub = b.client(5, "sub", clean=0, session_present=1,
                   props={"session_expiry_interval": 60, "maximum_packet_size": 100})
    sub.take(b.topic(), bytes(10))
    sub.take(b.topic(), bytes(20))
    sub.quiet()


@not_on_mosquitto("2.0.11 does without")
def test_message_expiry_of_zero(b):
    """5.0: §3.3.2.3.3: who is there gets it, nobody later."""
    away = b.client(5, "away", **KEEP)
    away.subscribe(b.topic(), 1)
    away.disconnect()
    here = b.client(5, "here")
    here.subscribe(b.topic(), 1)
    b.client(5, "pub").deliver(b.topic(), b"now", 1, retain=1, props={"message_expiry_interval": 0})
    here.take(b.topic(), b"now", has={"message_expiry_interval": 0})
    # Not still on its way to the session's loop, where a client who has come back meanwhile would be there.
    wait_until(lambda: "mqueue_len=1," in b.ctl("sessions", "show", b.id("away")).stdout, "the queued message")
    b.client(5, "away", session_present=1, **KEEP).quiet()
    late = b.client(5, "late")
    late.subscribe(b.topic(), 1)
    late.quiet()


@versions(3, 4, 5)
@not_on_mosquitto("2.0.11 refuses them", 3)
@not_on_mosquitto("2.0.11 refuses them", 4)
@not_on_mosquitto("2.0.11 refuses them", 5)
def test_rare_characters_are_passed_on(b, v):
    """Non-characters may be refused (5.0 §1.5.4) and are not; the largest code point is one like others."""
    c = b.client(v)
    for name in ("\ufffe", "\uffff", "\ufdd0", "\U0001ffff", "\U0010ffff", "\ufffd", "\u2028", "\ue000"):
        c.subscribe(b.topic(name), 0)
        c.publish(b.topic(name), b"x")
        c.expect_publish(b.topic(name), b"x")


@versions(4, 5)
def test_control_characters_are_refused(b, v):
    """5.0: §1.5.4, 3.1.1: §1.5.3: a receiver may: in topics and filters we do, in payloads and properties not."""
    if b.kind == "mosquitto":
        raise Skip("2.0.11 differs by place")
    for bad in ("a\x01", "\x1f", "a\x7fb", "\x80", "\x9f"):
        for data in (publish(v, bad, b""), subscribe(v, 1, [(bad, 0)])):
            c = b.client(v)
            c.send(data)
            c.expect_closed(0x81, 0x90, 0x8F)
    if v == 5:
        c = b.client(v)
        c.subscribe(b.topic(), 0)
        props = {"user_property": [("\x01", "\x7f\x9f")], "content_type": "a\tb"}
        c.publish(b.topic(), b"\x01", props=props)
        c.expect_publish(b.topic(), b"\x01", has=props)


def test_an_identifier_in_two_exchanges(b):
    """5.0: §2.2.1: QoS 1 and QoS 2 of a client share their identifiers; who does not mind that is served."""
    if b.kind == "mosquitto":
        raise Skip("2.0.11 ends the connection")
    c = b.client(5)
    c.publish(b.topic(), b"two", 2, pid=5)
    c.expect("PUBREC", pid=5)
    c.publish(b.topic(), b"one", 1, pid=5)
    c.expect("PUBACK", pid=5)
    c.send(ack(PUBREL, 5, 5))
    c.expect("PUBCOMP", pid=5, code=0)


@not_on_mosquitto("2.0.11 publishes with PUBREL")
def test_our_identifiers_and_the_clients_are_apart(b):
    """5.0: §2.2.1: each side counts its own, so 1 may be under way in both directions."""
    c = b.client(5)
    c.subscribe(b.topic(), 2)
    c.publish(b.topic(), b"x", 2, pid=1)
    c.expect("PUBREC", pid=1)
    p = c.expect_publish(b.topic(), b"x", pid=1)
    c.send_ack(PUBREC, p.pid)
    c.expect("PUBREL", pid=1)
    c.send(ack(PUBREL, 5, 1))
    c.expect("PUBCOMP", pid=1, code=0)
    c.send_ack(PUBCOMP, 1)
    c.quiet()


def test_disconnect_may_repeat_an_expiry_of_zero(b):
    """5.0: §3.14.2.2.2: only from 0 to something else is a Protocol Error; the will is discarded as always."""
    watcher = b.client(4, "watcher")
    watcher.subscribe(b.topic())
    c = b.client(5, will=Will(b.topic(), b"not this"))
    c.disconnect(0, {"session_expiry_interval": 0})
    b.client(5, clean=0, session_present=0)
    b.nothing_for(watcher, b.client(4, "pub"))


@not_on_mosquitto("2.0.11 closes without DISCONNECT")
def test_disconnect_that_is_an_error_is_none(b):
    """5.0: §3.14.2.2.2 [MQTT-3.1.2-8]: the connection ends with 0x82 and its will goes out."""
    watcher = b.client(4, "watcher")
    watcher.subscribe(b.topic())
    c = b.client(5, will=Will(b.topic(), b"broken"))
    c.send(disconnect(5, 0, {"session_expiry_interval": 7}))
    c.expect_closed(0x82)
    watcher.expect_publish(b.topic(), b"broken")


def test_authentication_data_twice(b):
    """5.0: §3.1.2.11.10: a Protocol Error."""
    c = b.raw(5)
    c.hello(b.id(), {"authentication_method": ["m"], "authentication_data": [b"a", b"b"]})
    c.expect_refused(0x82, 0x8C)


def test_alias_set_by_a_message_nobody_gets(b):
    """5.0: §3.3.2.3.4: the alias stands, whatever became of the message that brought it."""
    c = b.client(5)
    for qos in (0, 1, 2):
        topic = b.topic(f"q{qos}")
        c.deliver(topic, b"for nobody", qos, props={"topic_alias": 1})
        c.subscribe(topic, 0)
        c.deliver("", b"by number", qos, props={"topic_alias": 1})
        c.expect_publish(topic, b"by number")


@not_on_mosquitto("2.0.11 ends the connection on a second publish")
def test_alias_in_a_qos_2_message_sent_again(b):
    """5.0: §3.3.2.3.4 §4.3.3: on a new connection the alias is new, and the message is known by its identifier."""
    sub = b.client(5, "sub")
    sub.subscribe(b.topic(), 2)
    c = b.client(5, **KEEP)
    c.publish(b.topic(), b"once", 2, pid=3, props={"topic_alias": 2})
    c.expect("PUBREC", pid=3)
    c.close()
    c = b.client(5, session_present=1, **KEEP)
    c.publish(b.topic(), b"once", 2, pid=3, dup=1, props={"topic_alias": 2})
    c.expect("PUBREC", pid=3)
    c.send(ack(PUBREL, 5, 3))
    c.expect("PUBCOMP", pid=3, code=0)
    c.deliver("", b"by number", 2, pid=4, props={"topic_alias": 2})
    for payload in (b"once", b"by number"):
        sub.take(b.topic(), payload)
    sub.quiet()


@versions(3, 4, 5)
def test_empty_identifier_in_each_version(b, v):
    """3.1 §3.1: refused. 3.1.1: [MQTT-3.1.3-7] [MQTT-3.1.3-8]: with clean session only. 5.0: [MQTT-3.1.3-6]."""
    for clean in (0, 1):
        c = b.raw(v)
        c.hello("", clean=clean)
        p = c.expect("CONNACK", session_present=0)
        taken = v == 5 or v == 4 and clean
        assert p.code == (0 if taken else 2), f"clean {clean}: {p}"
        assert bool(p.props.get("assigned_client_identifier")) == (v == 5), p
        if not taken:
            c.expect_eof()
