# SPDX-License-Identifier: Apache-2.0
"""What the configuration forbids is told in CONNACK and refused with its reason."""
from wire import *

CONFIG = {"mqtt.max_qos_allowed": "1", "mqtt.retain_available": "off", "mqtt.wildcard_subscription": "off",
          "mqtt.shared_subscription": "off", "mqtt.subscription_ids": "off", "mqtt.max_clientid_len": "23",
          "mqtt.max_topic_levels": "5", "mqtt.session.max_subscriptions": "3", "mqtt.idle_timeout": "2s",
          "mqtt.max_topic_alias": "0"}
MARTLET_ONLY = True


def test_connack_tells_it(b):
    """5.0: [MQTT-3.2.2-9] §3.2.2.3."""
    p = b.client(5).connack.props
    for name, value in (("maximum_qos", 1), ("retain_available", 0), ("wildcard_subscription_available", 0),
                        ("shared_subscription_available", 0), ("subscription_identifier_available", 0)):
        assert p.get(name) == value, p
    assert p.get("topic_alias_maximum", 0) == 0


def test_publish_above_the_maximum_qos(b):
    """5.0: [MQTT-3.2.2-11] §3.2.2.3.4: DISCONNECT 0x9B."""
    c = b.client(5)
    c.publish(b.topic(), b"x", 2, pid=1)
    c.expect_closed(0x9B)


def test_subscribe_at_any_qos(b):
    """5.0: [MQTT-3.2.2-10]: granted at most what is supported."""
    c = b.client(5)
    for qos, granted in ((0, (0,)), (1, (1,)), (2, (1, 2))):
        assert c.subscribe(b.topic(), qos)[0] in granted


def test_will_above_the_maximum_qos(b):
    """5.0: [MQTT-3.2.2-12]: CONNACK 0x9B."""
    c = b.raw(5)
    c.hello(b.id(), will=Will(b.topic(), b"x", 2))
    c.expect_refused(0x9B)


def test_retained_publish_and_will(b):
    """5.0: [MQTT-3.2.2-13] [MQTT-3.2.2-14]: 0x9A."""
    c = b.client(5)
    c.publish(b.topic(), b"x", 0, retain=1)
    c.expect_closed(0x9A)
    c = b.raw(5)
    c.hello(b.id(), will=Will(b.topic(), b"x", 1, retain=1))
    c.expect_refused(0x9A)


@versions(4, 5)
def test_wildcard_and_shared_filters(b, v):
    """3.1.1: [MQTT-3.8.3-2] [MQTT-3.8.4-5]. 5.0: §3.9.3: 0xA2 and 0x9E, each filter by itself."""
    c = b.client(v)
    refused = (0xA2, 0x9E) if v == 5 else (0x80, 0x80)
    c.subscribe([("a/+", 0), (b.topic(), 1), ("$share/g/a", 0), ("#", 0)],
                codes=[refused[0], 1, refused[1], refused[0]])


def test_subscription_identifier(b):
    """5.0: §3.2.2.3.12: 0xA1."""
    c = b.client(5)
    c.send(subscribe(5, 1, [(b.topic(), 1)], {"subscription_identifier": 5}))
    p = c.packet()
    assert p.name == "SUBACK" and p.codes == [0xA1] or p.name == "DISCONNECT" and p.code == 0xA1, p


def test_topic_alias_where_there_is_none(b):
    """5.0: [MQTT-3.2.2-18]."""
    c = b.client(5)
    c.publish(b.topic(), b"x", props={"topic_alias": 1})
    c.expect_closed(0x94)


@versions(3, 4, 5)
def test_client_identifier_too_long(b, v):
    """3.1 §3.1: 23 characters. 3.1.1: [MQTT-3.1.3-9]. 5.0: [MQTT-3.1.3-8]."""
    b.client(v, client_id="x" * 23)
    c = b.raw(v)
    c.hello("x" * 24)
    c.expect("CONNACK", code=0x85 if v == 5 else 2)
    c.expect_eof()


@versions(4, 5)
def test_too_many_levels(b, v):
    """A filter fails alone; a topic is refused."""
    c = b.client(v)
    refused = 0x80 if v == 4 else 0x8F
    got = c.subscribe([("1/2/3/4/5", 0), ("1/2/3/4/5/6", 0)], codes=[0, refused])
    assert got
    c.publish("1/2/3/4/5/6", b"x", 1, pid=9)
    p = c.packet()
    assert p is None or p.name == "DISCONNECT" or p.name == "PUBACK" and (v == 4 or p.code in (0x90, 0x87)), p


@versions(4, 5)
def test_too_many_subscriptions(b, v):
    """5.0: §3.9.3: 0x97 Quota exceeded; replacing one of the three is no fourth."""
    c = b.client(v)
    refused = 0x97 if v == 5 else 0x80
    c.subscribe([(b.topic(str(i)), 0) for i in range(4)], codes=[0, 0, 0, refused])
    c.subscribe(b.topic("1"), 1, codes=[1])
    c.unsubscribe(b.topic("0"))
    c.subscribe(b.topic("3"), 1, codes=[1])


def test_who_says_nothing_is_closed(b):
    """No CONNECT within mqtt.idle_timeout: 3.1.1 §3.1.4, 5.0 §3.1.4."""
    c = b.raw(4)
    assert c.until_eof() == b""
    c = b.raw(4)
    c.send(b"\x10\x20\x00")
    assert c.until_eof() == b""
