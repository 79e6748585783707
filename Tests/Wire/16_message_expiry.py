# SPDX-License-Identifier: Apache-2.0
"""Message Expiry Interval of MQTT 5. b.clock() returns when the broker's own clock has moved on by 1.5 s or more."""
from wire import *

KEEP = {"clean": 0, "props": {"session_expiry_interval": 600}}


def expiry(seconds):
    return {"message_expiry_interval": seconds}


def offline(b):
    sub = b.client(5, "sub", **KEEP)
    sub.subscribe(b.topic(), 1)
    sub.disconnect()
    return b.client(5, "publisher")


def test_passed_on_at_once(b):
    """5.0: [MQTT-3.3.2-6]: nothing was waited."""
    sub, pub = b.client(5, "sub"), b.client(5, "publisher")
    sub.subscribe(b.topic(), 1)
    for seconds in (1, 60, 0xFFFFFFFF):
        pub.deliver(b.topic(), b"x", 1, props=expiry(seconds))
        got = sub.take(b.topic()).props["message_expiry_interval"]
        assert seconds - 1 <= got <= seconds, got


def test_counts_down_in_the_queue(b):
    """5.0: [MQTT-3.3.2-6]."""
    pub = offline(b)
    pub.deliver(b.topic(), b"x", 1, props=expiry(100))
    b.clock()
    p = b.client(5, "sub", session_present=1, **KEEP).take(b.topic(), b"x")
    assert 80 <= p.props["message_expiry_interval"] <= 99, p


def test_expired_in_the_queue(b):
    """5.0: [MQTT-3.3.2-5]."""
    pub = offline(b)
    pub.deliver(b.topic(), b"gone", 1, props=expiry(1))
    pub.deliver(b.topic(), b"stays", 1, props=expiry(100))
    pub.deliver(b.topic(), b"for ever", 1)
    b.clock()
    b.clock()
    sub = b.client(5, "sub", session_present=1, **KEEP)
    sub.take(b.topic(), b"stays")
    sub.take(b.topic(), b"for ever", without=("message_expiry_interval",))
    sub.quiet()


def test_expired_before_an_old_client_comes_back(b):
    """5.0: [MQTT-3.3.2-5]: it holds for 3.1.1 subscribers as well."""
    sub = b.client(4, "sub", clean=0)
    sub.subscribe(b.topic(), 1)
    sub.disconnect()
    b.client(5, "publisher").deliver(b.topic(), b"gone", 1, props=expiry(1))
    b.clock()
    b.clock()
    b.client(4, "sub", clean=0, session_present=1).quiet()


def test_not_applied_once_sent(b):
    """5.0: [MQTT-4.3.3-7] [MQTT-4.3.3-13]: the delivery that began is completed."""
    sub = b.client(5, "sub", **KEEP)
    sub.subscribe(b.topic(), 2)
    b.client(5, "publisher").deliver(b.topic(), b"x", 2, props=expiry(1))
    p = sub.expect_publish(b.topic(), b"x", qos=2)
    b.clock()
    b.clock()
    sub.ack(p)
    sub.quiet()


@not_on_mosquitto("2.0.11 delivers nothing more")
def test_expired_while_the_window_was_full(b):
    """5.0: [MQTT-3.3.2-5]: what waits for a place may expire."""
    sub = b.client(5, "sub", props={"receive_maximum": 1})
    sub.subscribe(b.topic(), 1)
    pub = b.client(5, "publisher")
    pub.deliver(b.topic(), b"first", 1)
    pub.deliver(b.topic(), b"gone", 1, props=expiry(1))
    pub.deliver(b.topic(), b"last", 1, props=expiry(100))
    p = sub.expect_publish(b.topic(), b"first")
    b.clock()
    b.clock()
    sub.ack(p)
    sub.take(b.topic(), b"last")


def test_retained_counts_down(b):
    """5.0: [MQTT-3.3.2-6]."""
    b.client(5, "publisher").deliver(b.topic(), b"x", 1, retain=1, props=expiry(100))
    b.clock()
    sub = b.client(5, "sub")
    sub.subscribe(b.topic(), 1)
    p = sub.take(b.topic(), b"x", retain=1)
    assert 80 <= p.props["message_expiry_interval"] <= 99, p
    b.clear(b.topic())


def test_retained_expires(b):
    """5.0: [MQTT-3.3.2-5]."""
    b.client(5, "publisher").deliver(b.topic(), b"gone", 1, retain=1, props=expiry(1))
    b.clock()
    b.clock()
    sub = b.client(5, "sub")
    sub.subscribe(b.topic(), 1)
    sub.quiet()


def test_will_has_its_own(b):
    """5.0: §3.1.3.2.4."""
    sub = b.client(5, "sub")
    sub.subscribe(b.topic(), 1)
    b.client(5, will=Will(b.topic(), b"x", props=expiry(50))).close()
    assert 49 <= sub.take(b.topic(), b"x").props["message_expiry_interval"] <= 50


@not_on_mosquitto("2.0.11 drops it")
def test_not_applied_to_what_is_sent_again(b):
    """5.0: [MQTT-4.3.3-7]: it has been sent once, so it comes again however old it is."""
    sub = b.client(5, "sub", **KEEP)
    sub.subscribe(b.topic(), 2)
    b.client(5, "publisher").deliver(b.topic(), b"x", 2, props=expiry(1))
    sub.expect_publish(b.topic(), b"x", qos=2)
    sub.close()
    b.clock()
    b.clock()
    b.client(5, "sub", session_present=1, **KEEP).take(b.topic(), b"x", qos=2, dup=1)


def test_receiving_goes_on_though_it_expired(b):
    """5.0: [MQTT-4.3.3-13]: PUBREC and PUBCOMP come for a message that nobody can get any more."""
    sub = b.client(5, "sub", **KEEP)
    sub.subscribe(b.topic(), 2)
    sub.disconnect()
    pub = b.client(5, "publisher")
    pub.publish(b.topic(), b"x", 2, pid=1, props=expiry(1))
    pub.expect("PUBREC", pid=1, code=0)
    b.clock()
    b.clock()
    b.client(5, "sub", session_present=1, **KEEP).quiet()
    pub.publish(b.topic(), b"x", 2, pid=1, dup=1, props=expiry(1))
    pub.expect("PUBREC", pid=1)
    pub.send(ack(PUBREL, 5, 1))
    pub.expect("PUBCOMP", pid=1, code=0)
