# SPDX-License-Identifier: Apache-2.0
"""Topic aliases of MQTT 5, in both directions. The client library resolves and checks those the broker sends."""
from wire import *

CONFIG = {"mqtt.max_topic_alias": "10"}
MOSQUITTO = {"max_topic_alias": 10}


def alias(number):
    return {"topic_alias": number}


def pair(b):
    sub = b.client(4, "sub")
    sub.subscribe(b.topic("#"), 2)
    return sub, b.client(5, "publisher")


def test_alias_stands_for_its_topic(b):
    """5.0: §3.3.2.3.4 [MQTT-3.3.2-12]."""
    sub, pub = pair(b)
    for qos in (0, 1, 2):
        pub.deliver(b.topic(f"q{qos}"), b"set", qos, props=alias(qos + 1))
        sub.take(b.topic(f"q{qos}"), b"set", qos=qos)
        pub.deliver("", b"used", qos, props=alias(qos + 1))
        sub.take(b.topic(f"q{qos}"), b"used", qos=qos)


def test_every_alias_up_to_the_maximum(b):
    """5.0: [MQTT-3.3.2-12]."""
    sub, pub = pair(b)
    limit = pub.connack.props["topic_alias_maximum"]
    for n in range(1, limit + 1):
        pub.publish(b.topic(str(n)), b"x", props=alias(n))
        sub.expect_publish(b.topic(str(n)))
    for n in range(limit, 0, -1):
        pub.publish("", b"y", props=alias(n))
        sub.expect_publish(b.topic(str(n)), b"y")


def test_alias_set_anew(b):
    """5.0: §3.3.2.3.4: a topic name with an alias in use gives it a new meaning."""
    sub, pub = pair(b)
    for name in ("one", "two", "three"):
        pub.publish(b.topic(name), b"x", props=alias(1))
        sub.expect_publish(b.topic(name))
        pub.publish("", b"y", props=alias(1))
        sub.expect_publish(b.topic(name), b"y")


@not_on_mosquitto("2.0.11 closes without DISCONNECT or with another code")
def test_alias_out_of_range(b):
    """5.0: [MQTT-3.3.2-8] [MQTT-3.3.2-9] [MQTT-3.2.2-17]: 0 and above the maximum, DISCONNECT 0x94."""
    for number in (0, 11, 65535):
        c = b.client(5)
        c.publish(b.topic(), b"x", props=alias(number))
        c.expect_closed(0x94)


@not_on_mosquitto("2.0.11 closes without DISCONNECT")
def test_alias_never_set(b):
    """5.0: §3.3.2.3.4: unknown alias without topic is a Protocol Error."""
    c = b.client(5)
    c.publish("", b"x", props=alias(3))
    c.expect_closed(0x82, 0x94)


@not_on_mosquitto("2.0.11 closes without DISCONNECT")
def test_alias_ends_with_the_connection(b):
    """5.0: [MQTT-3.3.2-7]."""
    keep = {"clean": 0, "props": {"session_expiry_interval": 60}}
    c = b.client(5, **keep)
    c.publish(b.topic(), b"x", props=alias(1))
    c.quiet().disconnect()
    c = b.client(5, session_present=1, **keep)
    c.publish("", b"x", props=alias(1))
    c.expect_closed(0x82, 0x94)


@not_on_mosquitto("2.0.11 closes without DISCONNECT")
def test_alias_twice_in_a_packet(b):
    """5.0: §3.3.2.3.4: a Protocol Error."""
    c = b.client(5)
    c.publish(b.topic(), b"x", props={"topic_alias": [1, 1]})
    c.expect_closed(0x81, 0x82)


def test_retained_under_an_alias_keeps_its_topic(b):
    """5.0: [MQTT-3.3.1-5]: what is stored is the topic, not the alias."""
    _, pub = pair(b)
    pub.deliver(b.topic(), b"old", 1, props=alias(2))
    pub.deliver("", b"kept", 1, retain=1, props=alias(2))
    late = b.client(5, "late")
    late.subscribe(b.topic(), 1)
    late.take(b.topic(), b"kept", retain=1, without=("topic_alias",))
    b.clear(b.topic())


def test_no_alias_to_who_offers_none(b):
    """5.0: [MQTT-3.1.2-27] [MQTT-3.3.2-11]."""
    for props in (None, {"topic_alias_maximum": 0}):
        sub, pub = b.client(5, props=props), b.client(5, "publisher")
        sub.subscribe(b.topic(), 1)
        for i in range(5):
            pub.deliver(b.topic(), str(i), 1, props=alias(1))
            sub.take(b.topic(), str(i), without=("topic_alias",))


@not_on_mosquitto("does not send aliases")
def test_broker_uses_aliases_from_the_first_message(b):
    """5.0: [MQTT-3.1.2-26] [MQTT-3.3.2-10]: with the name the first time, without it from then on."""
    sub, pub = b.client(5, props={"topic_alias_maximum": 2}), b.client(5, "publisher")
    sub.subscribe(b.topic("#"), 1)
    plain = 0
    for i in range(30):
        name = b.topic(f"a long topic name {i % 3}")
        pub.deliver(name, str(i), 1)
        p = sub.take(name, str(i))
        assert p.props.get("topic_alias", 0) <= 2
        plain += len(p.raw) > len(name)
    assert plain < 30, "no alias was ever used"


@not_on_mosquitto("does not send aliases")
def test_broker_sets_its_aliases_anew_on_a_new_connection(b):
    """5.0: [MQTT-3.3.2-7]."""
    keep = {"clean": 0, "props": {"topic_alias_maximum": 5, "session_expiry_interval": 60}}
    pub = b.client(5, "publisher")
    sub = b.client(5, **keep)
    sub.subscribe(b.topic(), 1)
    for round_ in range(3):
        for i in range(3):
            pub.deliver(b.topic(), f"{round_} {i}", 1)
            sub.take(b.topic(), f"{round_} {i}")
        sub.quiet().close()
        sub = b.client(5, session_present=1, **keep)


def test_message_sent_again_names_its_topic(b):
    """5.0: [MQTT-3.3.2-7] [MQTT-4.4.0-1]: an alias of the old connection means nothing on the new one."""
    keep = {"clean": 0, "props": {"topic_alias_maximum": 5, "session_expiry_interval": 60}}
    pub, sub = b.client(5, "publisher"), b.client(5, **keep)
    sub.subscribe(b.topic(), 1)
    for i in range(4):
        pub.deliver(b.topic(), str(i), 1)
        sub.expect_publish(b.topic(), str(i))
    sub.close()
    sub = b.client(5, session_present=1, **keep)
    for i in range(4):
        sub.take(b.topic(), str(i), dup=1)


@not_on_mosquitto("does not send aliases")
def test_alias_does_not_make_a_packet_too_large(b):
    """5.0: [MQTT-3.1.2-24] [MQTT-3.3.2-11]: what fits without an alias arrives, and no alias is set by a
    packet that was not sent."""
    for qos in (0, 1, 2):
        pub, name = b.client(5, f"pub{qos}"), b.topic(f"q{qos}")
        size = len(publish(5, name, bytes(50), qos, pid=1 if qos else None))
        sub = b.client(5, f"sub{qos}",
                       props={"maximum_packet_size": size, "topic_alias_maximum": 5, "receive_maximum": 1})
        sub.subscribe(name, qos)
        for payload in (bytes(50), bytes(50), b"x", b"x", bytes(50), bytes(60), b"x"):
            pub.deliver(name, payload, qos)
            if len(payload) <= 50:
                sub.take(name, payload)
