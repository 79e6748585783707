# SPDX-License-Identifier: Apache-2.0
"""A listener's mountpoint, and a limit of subscriptions: what is counted is what the broker stores."""
from wire import *

OWN, NAMED = free_port(), free_port()
CONFIG = {"listener.tcp.test.mountpoint": "m/", "mqtt.session.max_subscriptions": "2", "mqtt.reason_strings": "on",
          "listener.tcp.own": f"127.0.0.1:{OWN}", "listener.tcp.own.mountpoint": "own/%c/",
          "listener.tcp.named": f"127.0.0.1:{NAMED}", "listener.tcp.named.mountpoint": "named/%u/"}
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


@versions(3, 4, 5)
def test_no_name_reaches_into_the_topics_of_others(b, v):
    """A mountpoint keeps clients apart: one called + or a/b is refused where its name stands in it, nowhere else, and
    leaves no will."""
    refused, will = 0x87 if v == 5 else 5, Will("x", b"stolen")
    ada = b.raw(v, "ada", port=NAMED).connect(b.id("ada"), username="ada")
    ada.subscribe("#", 1)
    for name in ("+", "#", b.id("a") + "/b", "/", "+/" + b.id("a")):
        c = b.raw(v, "stranger", port=OWN).connect(name, code=refused)
        if v == 5:
            assert c.connack.props["reason_string"] == "The client's names do not fit into its mountpoint."
        c.expect_eof()
        b.raw(v, "stranger", port=NAMED).connect(b.id("x"), code=refused, username=name, will=will).expect_eof()
        b.raw(v, "elsewhere", port=NAMED).connect(name, username="bob").disconnect()
    ada.quiet()
    for port, words in ((OWN, {}), (NAMED, {"username": "bob"}), (NAMED, {})):
        c = b.raw(v, "at home", port=port).connect(b.id("home"), **words)
        c.subscribe("x/#", 1)
        c.deliver("x/y", b"x", 1)
        c.take("x/y", b"x")
        c.disconnect()
    ada.quiet()
