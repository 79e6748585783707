# SPDX-License-Identifier: Apache-2.0
"""What suites of other brokers send and ours did not: order of acknowledgements, wrong ones, odd characters."""
from wire import *

CONTROL = ("\x01", "\x1f", "\x7f", "\u0080", "\u009f")


@versions(3, 4, 5)
def test_acknowledged_before_the_own_copy(b, v):
    """A client that subscribes to what it publishes finds PUBACK or PUBREC in front of its own message."""
    c = b.client(v)
    c.subscribe(b.topic(), 2)
    c.publish(b.topic(), b"one", 1, pid=301)
    c.expect("PUBACK", pid=301, code=0)
    c.take(b.topic(), b"one", qos=1)
    c.publish(b.topic(), b"two", 2, pid=302)
    c.expect("PUBREC", pid=302, code=0)
    c.expect_publish(b.topic(), b"two", qos=2)
    c.send(ack(PUBREL, v, 302))
    c.expect("PUBCOMP", pid=302, code=0)


@versions(3, 4, 5)
@not_on_mosquitto("2.0.11 takes some of them")
def test_wrong_acknowledgement_of_an_open_exchange(b, v):
    """3.1.1: [MQTT-4.8.0-1]. 5.0: [MQTT-4.13.1-1]: PUBACK for QoS 2, PUBREC or PUBCOMP for QoS 1, PUBCOMP too early."""
    for qos, wrong in ((1, PUBREC), (1, PUBCOMP), (2, PUBACK), (2, PUBCOMP)):
        c = b.client(v)
        c.subscribe(b.topic(), qos)
        c.publish(b.topic(), b"x", 0)
        c.expect_publish(b.topic(), qos=0)
        b.client(4, "publisher").publish(b.topic(), b"x", qos, pid=1)
        got = c.expect_publish(b.topic(), qos=qos)
        c.send(ack(wrong, v, got.pid))
        c.expect_closed(0x82)


@versions(3, 4, 5)
@not_on_mosquitto("2.0.11 takes some of them")
def test_puback_after_pubrel_is_a_wrong_one(b, v):
    """3.1.1: [MQTT-4.8.0-1]. 5.0: [MQTT-4.13.1-1]."""
    c = b.client(v)
    c.subscribe(b.topic(), 2)
    b.client(4, "publisher").publish(b.topic(), b"x", 2, pid=1)
    got = c.expect_publish(b.topic(), qos=2)
    c.send(ack(PUBREC, v, got.pid))
    c.expect("PUBREL", pid=got.pid)
    c.send(ack(PUBACK, v, got.pid))
    c.expect_closed(0x82)


@versions(3, 4, 5)
@not_on_mosquitto("2.0.11 ends the connection")
def test_late_acknowledgements_mean_nothing(b, v):
    """An identifier that is free again: PUBACK and PUBCOMP of it are disregarded."""
    c = b.client(v)
    c.subscribe(b.topic(), 2)
    for qos in (1, 2):
        b.client(4, "publisher").publish(b.topic(), b"x", qos, pid=1)
        got = c.take(b.topic(), qos=qos)
        c.send(ack(PUBACK if qos == 1 else PUBCOMP, v, got.pid))
    c.quiet()


@versions(3, 4, 5)
def test_control_characters_in_topics_and_names_are_refused(b, v):
    """3.1.1: §1.5.3. 5.0: §1.5.4 lets a receiver refuse them."""
    for character in CONTROL:
        for name in (f"a{character}b", f"0123456789{character}abcdefghijklm"):
            c = b.client(v)
            c.publish(name)
            c.expect_closed(0x81)
            c = b.client(v)
            c.send(subscribe(v, 1, [(name, 0)]))
            c.expect_closed(0x81)
            c = b.client(v)
            c.send(unsubscribe(v, 1, [name]))
            c.expect_closed(0x81)
            for more in ({"client_id": name}, {"username": name}, {"will": Will(name, b"w")}):
                c = b.raw(v)
                c.send(connect(v, **{"client_id": b.id(), **more}))
                c.expect_refused(0x81)


@versions(4, 5)
def test_other_characters_beyond_ascii_are_not(b, v):
    """Their neighbours: U+00A0, U+00BF, U+007E, a space, an umlaut, an emoji."""
    topic = b.topic("\u00a0\u00bf~ ü🐦/0123456789")
    c = b.client(v)
    c.subscribe(topic, 1)
    c.publish(topic, b"x", 0)
    c.expect_publish(topic, b"x")


@versions(5)
def test_control_characters_in_what_passes_through(b, v):
    """5.0: [MQTT-3.3.2-17]: a user property with a line break arrives as it is."""
    c = b.client(v)
    c.subscribe(b.topic(), 0)
    pairs = [("key", "two\nlines\t")]
    c.publish(b.topic(), b"x", props={"user_property": pairs})
    got = c.expect_publish(b.topic(), b"x")
    assert got.props["user_property"] == pairs, got


def test_flags_of_connect_are_unused_in_31(b):
    """3.1 §3.1 does not use them in CONNECT; reserved in 3.1.1: [MQTT-2.2.2-2] and in 5.0: [MQTT-2.1.3-1]."""
    for v in (3, 4, 5):
        for flags in (1, 2, 4, 8):
            c = b.raw(v)
            packet = bytearray(connect(v, b.id()))
            packet[0] |= flags
            c.send(bytes(packet))
            if v == 3:
                c.expect("CONNACK", code=0)
            else:
                c.expect_refused(0x81)


def test_unknown_level_is_told_so_in_the_words_of_311(b):
    """3.1.1: [MQTT-3.1.2-2]: CONNACK 1 whatever the level; 5.0 §3.1.2.2 only says that a server may answer."""
    for name, level in (("MQTT", 6), ("MQTT", 0x7F), ("MQIsdp", 6)):
        c = b.raw(4)
        c.send(connect(4, b.id(), name=name, level=level))
        assert c.until_eof() == b"\x20\x02\x00\x01", (name, level)
