# SPDX-License-Identifier: Apache-2.0
"""How large a packet may be, to the broker and from it."""
from wire import *

CONFIG = {"mqtt.max_packet_size": "64KB"}
MOSQUITTO = {"max_packet_size": 65536}


@versions(3, 4, 5)
@not_on_mosquitto("2.0.11 closes without DISCONNECT", 5)
def test_larger_than_allowed_is_closed(b, v):
    """3.1.1: [MQTT-4.8.0-1]. 5.0: §3.2.2.3.6: DISCONNECT 0x95."""
    c = b.client(v)
    c.try_send(publish(v, b.topic(), bytes(70_000)))
    c.expect_closed(0x95)


@versions(3, 4, 5)
@not_on_mosquitto("2.0.11 waits for the packet")
def test_announced_size_is_enough_to_be_closed(b, v):
    """The broker does not wait for 256 MB to come in."""
    c = b.client(v)
    c.send(b"\x30\xff\xff\xff\x7f")
    c.expect_closed(0x95)


@versions(3, 4, 5)
def test_exactly_as_large_as_allowed(b, v):
    """5.0: §3.2.2.3.6: the size of the whole packet counts."""
    c = b.client(v)
    c.subscribe(b.topic(), 0)
    size = 65536 - len(publish(v, b.topic(), bytes(60_000))) + 60_000
    packet_ = publish(v, b.topic(), bytes(size))
    assert len(packet_) == 65536
    c.send(packet_)
    c.expect_publish(b.topic(), bytes(size))


@versions(3, 4, 5)
@not_on_mosquitto("2.0.11 closes without CONNACK", 5)
def test_connect_larger_than_allowed(b, v):
    """5.0: §3.1.4: CONNACK 0x95, or just closed."""
    c = b.raw(v)
    c.try_send(connect(v, b.id(), will=Will(b.topic(), bytes(65000)), username="u" * 5000))
    c.expect_refused(0x95, 0x81)


def test_too_large_for_the_subscriber_is_skipped(b):
    """5.0: [MQTT-3.1.2-24] [MQTT-3.1.2-25]: as if it had been sent; the next one follows."""
    for qos in (0, 1, 2):
        sub = b.client(5, f"sub{qos}", props={"maximum_packet_size": 100})
        sub.subscribe(b.topic(f"q{qos}"), qos)
        pub = b.client(4, f"pub{qos}")
        pub.deliver(b.topic(f"q{qos}"), bytes(200), qos)
        pub.deliver(b.topic(f"q{qos}"), b"small", qos)
        sub.take(b.topic(f"q{qos}"), b"small")
        sub.quiet()


def test_skipped_for_one_and_delivered_to_the_other(b):
    """5.0: [MQTT-3.1.2-25]."""
    small = b.client(5, "small", props={"maximum_packet_size": 60})
    large = b.client(5, "large")
    for sub in (small, large):
        sub.subscribe(b.topic(), 1)
    pub = b.client(5, "publisher")
    pub.deliver(b.topic(), bytes(100), 1)
    large.take(b.topic(), bytes(100))
    pub.deliver(b.topic(), b"x", 1)
    small.take(b.topic(), b"x")


def test_skipped_on_resume_too(b):
    """5.0: [MQTT-3.1.2-24] [MQTT-3.1.2-25]: the limit is the new connection's."""
    keep = {"session_expiry_interval": 60}
    sub = b.client(5, "sub", clean=0, props=keep)
    sub.subscribe(b.topic(), 1)
    sub.disconnect()
    pub = b.client(4, "publisher")
    pub.deliver(b.topic(), bytes(300), 1)
    pub.deliver(b.topic(), b"x", 1)
    sub = b.client(5, "sub", clean=0, session_present=1, props={**keep, "maximum_packet_size": 100})
    sub.take(b.topic(), b"x")
    sub.quiet()


def test_reason_strings_never_burst_the_limit(b):
    """5.0: [MQTT-3.4.2-2] [MQTT-3.4.2-3] [MQTT-3.5.2-2] [MQTT-3.5.2-3] [MQTT-3.6.2-2] [MQTT-3.6.2-3] [MQTT-3.7.2-2]
    [MQTT-3.7.2-3] [MQTT-3.9.2-1] [MQTT-3.9.2-2] [MQTT-3.11.2-1] [MQTT-3.11.2-2] [MQTT-3.14.2-3] [MQTT-3.14.2-4]
    [MQTT-3.15.2-2] [MQTT-3.15.2-3]: the reader measures every packet of this exchange."""
    c = b.client(5, props={"maximum_packet_size": 40})
    c.deliver(b.topic(), b"x", 1)
    c.deliver(b.topic(), b"x", 2)
    c.send(ack(PUBREL, 5, 3333))
    c.expect("PUBCOMP", pid=3333)
    c.subscribe("bad/#/filter" if b.kind == "martlet" else "x", 0, codes=[0x8F] if b.kind == "martlet" else None)
    c.unsubscribe("never/subscribed")
    c.publish("#", b"x")
    p = c.packet()
    assert p is None or p.name == "DISCONNECT"


def test_sent_again_only_as_the_new_limit_allows(b):
    """5.0: [MQTT-3.1.2-24] [MQTT-3.1.2-25]: what was in flight and is too large now counts as sent and as acknowledged,
    or it would hold its place in the window for ever."""
    keep = {"session_expiry_interval": 60}
    for qos in (1, 2):
        name, pub = b.topic(f"q{qos}"), b.client(4, f"pub{qos}")
        sub = b.client(5, f"sub{qos}", clean=0, props=keep)
        sub.subscribe(name, qos)
        for payload in (bytes(300), b"small"):
            pub.deliver(name, payload, qos)
            sub.expect_publish(name, payload)
        sub.close()
        sub = b.client(5, f"sub{qos}", clean=0, session_present=1,
                       props={**keep, "maximum_packet_size": 100, "receive_maximum": 1})
        sub.take(name, b"small", dup=1)
        pub.deliver(name, b"next", qos)
        sub.take(name, b"next")
        sub.quiet().close()
        b.client(5, f"sub{qos}", clean=0, session_present=1, props=keep).quiet()


@not_on_mosquitto("2.0.11 ends the connection")
def test_suback_and_unsuback_too_large_to_send(b):
    """5.0: [MQTT-3.1.2-24] [MQTT-3.1.2-25]: not sent, and what they answer is done."""
    c = b.client(5, props={"maximum_packet_size": 60})
    names = [b.topic(str(i)) for i in range(100)]
    c.send(subscribe(5, 1, [(name, 1) for name in names]))
    c.quiet()
    c.deliver(names[7], b"x", 1)
    c.take(names[7], b"x")
    c.send(unsubscribe(5, 2, names))
    c.quiet()
    assert c.deliver(names[7], b"x", 1) in (0, 0x10)
    c.quiet()


def test_connack_too_large_to_send(b):
    """5.0: [MQTT-3.1.2-24] [MQTT-3.2.0-1]: the connection ends, with CONNACK 0x95 if at least that fits."""
    for size in (1, 2, 4, 5, 8):
        c = b.raw(5)
        c.hello("", props={"maximum_packet_size": size})
        c.expect_refused(0x95)
