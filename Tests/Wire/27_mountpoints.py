# SPDX-License-Identifier: Apache-2.0
"""A listener's mountpoint, and a limit of subscriptions: what is counted is what the broker stores."""
from wire import *

CONFIG = {"listener.tcp.test.mountpoint": "m/", "mqtt.session.max_subscriptions": "2"}
MARTLET_ONLY = True


@versions(3, 4, 5)
def test_no_topic_grows_beyond_its_limit(b, v):
    """3.1.1: [MQTT-4.7.3-3]. 5.0: [MQTT-4.7.3-3]: 65,535 bytes, the mountpoint included."""
    longest = "x" * 65535
    c = b.client(v)
    c.subscribe(longest[2:], 1)
    c.deliver(longest[2:], b"x", 1)
    c.take(longest[2:], b"x")
    c.unsubscribe(longest[2:])
    c.subscribe(longest, 1, codes=[0x8F if v == 5 else 0x80])
    c.unsubscribe(longest)
    c.publish(longest, b"x")
    c.expect_closed(0x90)


@versions(3, 4, 5)
def test_will_too_long_for_its_mountpoint_is_not_published(b, v):
    """3.1.1: [MQTT-4.7.3-3]. 5.0: [MQTT-4.7.3-3]."""
    watcher = b.client(v, "watcher")
    watcher.subscribe("#", 1)
    b.client(v, will=Will("x" * 65535, b"x")).close()
    b.client(v, will=Will(b.topic(), b"x")).close()
    watcher.expect_publish(b.topic(), b"x")


@versions(4, 5)
def test_replacing_a_subscription_needs_no_room(b, v):
    """3.1.1: [MQTT-3.8.4-3]. 5.0: [MQTT-3.8.4-3]: at the limit, under a mountpoint and in a group as well."""
    c, full = b.client(v), 0x97 if v == 5 else 0x80
    plain, shared = b.topic("a"), "$share/g/" + b.topic("b")
    for qos in (0, 1):
        c.subscribe([(plain, qos), (shared, qos)], codes=[qos, qos])
    c.subscribe(b.topic("c"), 1, codes=[full])
    c.subscribe("$share/h/" + b.topic("b"), 1, codes=[full])
    for name in ("a", "b"):
        c.deliver(b.topic(name), b"x", 1)
        c.take(b.topic(name), b"x", qos=1)
