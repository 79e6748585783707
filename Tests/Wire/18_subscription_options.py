# SPDX-License-Identifier: Apache-2.0
"""The options of an MQTT 5 subscription: no local, retain as published, retain handling, identifiers."""
from wire import *


def ident(number):
    return {"subscription_identifier": number}


def test_no_local(b):
    """5.0: [MQTT-3.8.3-3]."""
    c, other = b.client(5), b.client(5, "other")
    c.subscribe(b.topic(), 1, no_local=1)
    other.subscribe(b.topic(), 1)
    c.deliver(b.topic(), b"mine", 1)
    other.take(b.topic(), b"mine")
    other.deliver(b.topic(), b"other's", 1)
    c.take(b.topic(), b"other's")
    b.nothing_for(c, other)


def test_no_local_holds_for_the_client_not_the_connection(b):
    """5.0: [MQTT-3.8.3-3]: the client identifier counts."""
    keep = {"clean": 0, "props": {"session_expiry_interval": 60}}
    c = b.client(5, **keep)
    c.subscribe(b.topic(), 1, no_local=1)
    c.deliver(b.topic(), b"mine", 1)
    c.disconnect()
    c = b.client(5, session_present=1, **keep)
    c.deliver(b.topic(), b"mine again", 1)
    c.quiet()


@not_on_mosquitto("2.0.11 sends them")
def test_no_local_holds_for_retained_messages(b):
    """5.0: [MQTT-3.8.3-3]: an application message is not forwarded to who published it, kept in between or not."""
    c, other = b.client(5), b.client(5, "other")
    for i in range(300):
        c.deliver(b.topic(f"mine/{i}"), b"mine", 1, retain=1)
    c.deliver(b.topic("taken"), b"mine", 1, retain=1)
    other.deliver(b.topic("taken"), b"other's", 1, retain=1)
    c.subscribe(b.topic("mine/7"), 1, no_local=1)
    c.quiet()
    c.subscribe(b.topic("#"), 1, no_local=1)
    c.take(b.topic("taken"), b"other's", qos=1, retain=1)
    c.quiet()
    c.subscribe(b.topic("mine/7"), 1)
    c.take(b.topic("mine/7"), b"mine", qos=1, retain=1)
    other.subscribe(b.topic("mine/8"), 1, no_local=1)
    other.take(b.topic("mine/8"), b"mine", qos=1, retain=1)


@not_on_mosquitto("2.0.11 keeps the option")
def test_no_local_can_be_switched(b):
    """5.0: [MQTT-3.8.4-3]: subscribing anew replaces the options."""
    c = b.client(5)
    c.subscribe(b.topic(), 1, no_local=1)
    c.subscribe(b.topic(), 1, no_local=0)
    c.deliver(b.topic(), b"x", 1)
    c.take(b.topic(), b"x")


@not_on_mosquitto("2.0.11 closes without DISCONNECT")
def test_no_local_on_a_shared_subscription(b):
    """5.0: [MQTT-3.8.3-4]: a Protocol Error."""
    c = b.client(5)
    c.send(subscribe(5, 1, [("$share/g/" + b.topic(), options(1, no_local=1))]))
    c.expect_closed(0x82)


def test_retain_as_published(b):
    """5.0: [MQTT-3.3.1-12] [MQTT-3.3.1-13]."""
    plain, as_is, pub = b.client(5, "plain"), b.client(5, "as_is"), b.client(4, "publisher")
    plain.subscribe(b.topic(), 1, retain_as_published=0)
    as_is.subscribe(b.topic(), 1, retain_as_published=1)
    for retain in (1, 0):
        pub.deliver(b.topic(), b"x", 1, retain=retain)
        plain.take(b.topic(), retain=0)
        as_is.take(b.topic(), retain=retain)
    b.clear(b.topic())


def test_retained_has_its_flag_either_way(b):
    """5.0: §3.3.1.3: sent because of the subscription, RETAIN is 1."""
    b.client(4, "publisher").deliver(b.topic(), b"x", 1, retain=1)
    for keep in (0, 1):
        c = b.client(5, f"c{keep}")
        c.subscribe(b.topic(), 1, retain_as_published=keep)
        c.take(b.topic(), retain=1)
    b.clear(b.topic())


def test_retain_handling(b):
    """5.0: [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11]."""
    b.client(4, "publisher").deliver(b.topic(), b"kept", 1, retain=1)
    c = b.client(5)
    c.subscribe(b.topic(), 1, retain_handling=2)
    c.quiet()
    c.subscribe(b.topic(), 1, retain_handling=1)
    c.quiet()
    c.subscribe(b.topic(), 1, retain_handling=0)
    c.take(b.topic(), b"kept", retain=1)
    c.unsubscribe(b.topic())
    c.subscribe(b.topic(), 1, retain_handling=1)
    c.take(b.topic(), b"kept", retain=1)
    c.subscribe(b.topic(), 1, retain_handling=1)
    c.quiet()
    b.clear(b.topic())


def test_retain_handling_1_over_a_resume(b):
    """5.0: [MQTT-3.3.1-10]: the subscription of the session exists already."""
    keep = {"clean": 0, "props": {"session_expiry_interval": 60}}
    b.client(4, "publisher").deliver(b.topic(), b"kept", 1, retain=1)
    c = b.client(5, **keep)
    c.subscribe(b.topic(), 1, retain_handling=1)
    c.take(b.topic(), b"kept")
    c.disconnect()
    c = b.client(5, session_present=1, **keep)
    c.subscribe(b.topic(), 1, retain_handling=1)
    c.quiet()
    b.clear(b.topic())


def test_identifier_comes_with_the_message(b):
    """5.0: [MQTT-3.3.4-3] §3.8.2.1.2."""
    c = b.client(5)
    for number in (1, 127, 128, 16383, 16384, 268435455):
        c.subscribe(b.topic(str(number)), 1, ident(number))
        c.deliver(b.topic(str(number)), b"x", 1)
        c.take(b.topic(str(number)), has={"subscription_identifier": [number]})
    c.subscribe(b.topic("none"), 1)
    c.deliver(b.topic("none"), b"x", 1)
    c.take(b.topic("none"), without=("subscription_identifier",))


def test_identifier_of_the_last_subscription_counts(b):
    """5.0: [MQTT-3.8.4-3]."""
    c = b.client(5)
    for props, expected in ((ident(5), [5]), (ident(6), [6]), (None, None)):
        c.subscribe(b.topic(), 1, props)
        c.deliver(b.topic(), b"x", 1)
        c.take(b.topic(), has={"subscription_identifier": expected})


@not_on_mosquitto("2.0.11 sends a copy for each")
def test_overlapping_subscriptions_one_copy_with_all_identifiers(b):
    """5.0: [MQTT-3.3.4-2] [MQTT-3.3.4-3] [MQTT-3.3.4-4]: one copy, the highest QoS, every identifier."""
    c = b.client(5)
    c.subscribe(b.topic("#"), 0, ident(1))
    c.subscribe(b.topic("a/+"), 2, ident(2))
    c.subscribe(b.topic("a/b"), 1)
    c.subscribe(b.topic("+/b"), 1, ident(2))
    c.deliver(b.topic("a/b"), b"x", 2)
    p = c.take(b.topic("a/b"), b"x", qos=2)
    assert sorted(p.props["subscription_identifier"]) in ([1, 2], [1, 2, 2]), p
    c.quiet()


@versions(3, 4)
@not_on_mosquitto("2.0.11 takes the QoS of one of them")
def test_overlapping_subscriptions_in_3(b, v):
    """3.1.1: [MQTT-3.3.5-1]: at least one copy has the highest QoS of all that match."""
    c, pub = b.client(v), b.client(4, "publisher")
    c.subscribe([(b.topic("#"), 0), (b.topic("a/+"), 2), (b.topic("a/b"), 1)])
    c.subscribe("marker")
    pub.deliver(b.topic("a/b"), b"x", 2)
    pub.publish("marker", b"", 0)
    got = []
    while (p := c.packet()).name != "PUBLISH" or p.topic != "marker":
        if p.name == "PUBLISH":
            got.append(p.qos)
    assert 2 in got, got


def test_overlap_with_no_local(b):
    """5.0: [MQTT-3.8.3-3]: the subscription without it still delivers."""
    c = b.client(5)
    c.subscribe(b.topic("#"), 1, ident(1), no_local=1)
    c.subscribe(b.topic("a"), 1, ident(2))
    c.deliver(b.topic("a"), b"x", 1)
    c.take(b.topic("a"), has={"subscription_identifier": [2]})
    c.quiet()


def test_identifiers_survive_the_connection(b):
    """5.0: [MQTT-3.1.2-23] [MQTT-3.3.4-3]: queued and sent again they are still there."""
    keep = {"clean": 0, "props": {"session_expiry_interval": 60}}
    c, pub = b.client(5, **keep), b.client(5, "publisher")
    c.subscribe(b.topic(), 1, ident(77))
    c.disconnect()
    pub.deliver(b.topic(), b"x", 1)
    c = b.client(5, session_present=1, **keep)
    c.expect_publish(b.topic(), has={"subscription_identifier": [77]})
    c.close()
    c = b.client(5, session_present=1, **keep)
    c.take(b.topic(), dup=1, has={"subscription_identifier": [77]})


def test_retained_comes_with_the_identifier(b):
    """5.0: [MQTT-3.3.4-3]."""
    b.client(4, "publisher").deliver(b.topic(), b"x", 1, retain=1)
    c = b.client(5)
    c.subscribe(b.topic(), 1, ident(9))
    c.take(b.topic(), retain=1, has={"subscription_identifier": [9]})
    b.clear(b.topic())


@not_on_mosquitto("2.0.11 closes without DISCONNECT")
def test_identifier_out_of_range(b):
    """5.0: §3.8.2.1.2: 0 and a second one are Protocol Errors."""
    for props in (ident(0), ident([3, 4]), b"\x06\x0b\xff\xff\xff\xff\x7f"):
        c = b.client(5)
        c.send(subscribe(5, 1, [(b.topic(), 1)], props))
        c.expect_closed(0x81, 0x82)


def test_no_local_keeps_a_client_from_its_own_will(b):
    """5.0: [MQTT-3.8.3-3]: the will was published by the client whose identifier it has."""
    keep = {"clean": 0, "props": {"session_expiry_interval": 60}}
    seer = b.client(4, "seer")
    seer.subscribe(b.topic("seen"))
    c = b.client(5, will=Will(b.topic("seen"), b"mine", 1), **keep)
    c.subscribe([(b.topic("#"), options(1, no_local=1))])
    c.close()
    seer.expect_publish(b.topic("seen"), b"mine")
    b.client(5, session_present=1, **keep).quiet()


@not_on_mosquitto("2.0.11 sends a copy for each")
def test_overlap_keeps_the_flag_only_for_those_that_deliver(b):
    """5.0: [MQTT-3.3.1-12] [MQTT-3.8.3-3]: a subscription with no local has no say in how a client's own message
    comes to it."""
    c = b.client(5)
    c.subscribe(b.topic("#"), 1, no_local=1, retain_as_published=1)
    c.subscribe(b.topic("a"), 1)
    c.deliver(b.topic("a"), b"x", 1, retain=1)
    c.take(b.topic("a"), b"x", retain=0)
    b.clear(b.topic("a"))
