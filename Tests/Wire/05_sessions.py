# SPDX-License-Identifier: Apache-2.0
"""What a session keeps, how long, and when it is gone."""
from wire import *


def keep(v, seconds=60):
    """CONNECT fields of a session that outlives its connection."""
    return {"clean": 0, "props": {"session_expiry_interval": seconds}} if v == 5 else {"clean": 0}


def present(v, flag):
    return None if v == 3 else flag  # 3.1 has no session present flag


@versions(3, 4, 5)
def test_new_then_present(b, v):
    """3.1.1: [MQTT-3.1.2-4] [MQTT-3.2.2-2] [MQTT-3.2.2-3]. 5.0: [MQTT-3.1.2-5] [MQTT-3.1.2-6] [MQTT-3.2.2-3]."""
    b.client(v, session_present=present(v, 0), **keep(v)).disconnect()
    b.client(v, session_present=present(v, 1), **keep(v)).disconnect()


@versions(3, 4, 5)
def test_clean_start_discards(b, v):
    """3.1.1: [MQTT-3.1.2-6] [MQTT-3.2.2-1]. 5.0: [MQTT-3.1.2-4] [MQTT-3.2.2-2]."""
    c = b.client(v, **keep(v))
    c.subscribe(b.topic(), 1)
    c.disconnect()
    publisher = b.client(4, "publisher")
    publisher.deliver(b.topic(), b"queued", 1)
    c = b.client(v, session_present=present(v, 0))
    publisher.deliver(b.topic(), b"not subscribed any more", 1)
    b.nothing_for(c, publisher)
    c.disconnect()
    b.client(v, session_present=present(v, 0), **keep(v))


@versions(3, 4, 5)
def test_subscriptions_survive(b, v):
    """3.1.1: [MQTT-3.1.2-4] [MQTT-4.1.0-1]. 5.0: [MQTT-3.1.2-5] [MQTT-3.1.2-23]."""
    c = b.client(v, **keep(v))
    c.subscribe([(b.topic("one"), 1), (b.topic("two"), 0), (b.topic("+/three"), 2)])
    c.unsubscribe(b.topic("two"))
    c.close()
    c = b.client(v, session_present=present(v, 1), **keep(v))
    publisher = b.client(4, "publisher")
    for name, qos in (("one", 1), ("two", 0), ("x/three", 2)):
        publisher.deliver(b.topic(name), name, qos)
    c.take(b.topic("one"), "one", qos=1)
    c.take(b.topic("x/three"), "x/three", qos=2)
    b.nothing_for(c, publisher)


@versions(3, 4, 5)
def test_messages_wait_in_order(b, v):
    """3.1.1: [MQTT-3.1.2-5] [MQTT-4.5.0-1] [MQTT-4.6.0-6]. 5.0: [MQTT-3.1.2-23] [MQTT-4.5.0-1] [MQTT-4.6.0-5]."""
    c = b.client(v, **keep(v))
    c.subscribe(b.topic("#"), 2)
    c.disconnect()
    publisher = b.client(5, "publisher")
    for i in range(50):
        assert publisher.deliver(b.topic(f"q{i % 2 + 1}"), f"{i}", i % 2 + 1) == 0
    c = b.client(v, **keep(v))
    got = [c.take().payload for _ in range(50)]
    assert sorted(got, key=int) == [str(i).encode() for i in range(50)]
    for odd in (0, 1):
        mine = [int(x) for x in got if int(x) % 2 == odd]
        assert mine == sorted(mine), mine
    c.quiet()


@versions(3, 4, 5)
def test_messages_are_delivered_once_over_resumes(b, v):
    """An acknowledged message does not come again. 3.1.1: [MQTT-4.3.2-1]. 5.0: [MQTT-4.3.2-3]."""
    c = b.client(v, **keep(v))
    c.subscribe(b.topic(), 2)
    c.disconnect()
    publisher = b.client(4, "publisher")
    publisher.deliver(b.topic(), b"one", 1)
    publisher.deliver(b.topic(), b"two", 2)
    c = b.client(v, **keep(v))
    c.take(b.topic(), b"one")
    c.take(b.topic(), b"two")
    c.disconnect()
    b.client(v, **keep(v)).quiet()


@versions(3, 4, 5)
def test_clean_session_ends_with_its_connection(b, v):
    """3.1.1: [MQTT-3.1.2-6]. 5.0: [MQTT-4.1.0-2]."""
    c = b.client(v, clean=1)
    c.subscribe(b.topic(), 1)
    c.disconnect()
    c = b.client(v, session_present=present(v, 0), clean=0)
    publisher = b.client(4, "publisher")
    publisher.deliver(b.topic(), b"x", 1)
    b.nothing_for(c, publisher)


def test_retained_messages_are_not_session_state(b):
    """3.1.1: [MQTT-3.1.2-7]: they stay when the session ends."""
    c = b.client(4, clean=1)
    c.deliver(b.topic(), b"stays", 1, retain=1)
    c.disconnect()
    reader = b.client(4, "reader")
    reader.subscribe(b.topic())
    reader.expect_publish(b.topic(), b"stays", retain=1)
    b.clear(b.topic())


def test_no_expiry_ends_with_the_connection(b):
    """5.0: [MQTT-4.1.0-2] §3.1.2.11.2: absent means 0."""
    for props in (None, {"session_expiry_interval": 0}):
        c = b.client(5, clean=0, props=props)
        c.subscribe(b.topic(), 1)
        c.disconnect()
        b.client(5, clean=0, session_present=0).disconnect()


def test_clean_start_with_expiry_is_kept(b):
    """5.0: [MQTT-3.1.2-23]: clean start says how a session begins, the expiry how it ends."""
    b.client(5, clean=1, props={"session_expiry_interval": 60}).disconnect()
    b.client(5, clean=0, session_present=1).disconnect()


def test_expiry_for_ever(b):
    """5.0: §3.1.2.11.2: 0xFFFFFFFF does not expire."""
    b.client(5, clean=0, props={"session_expiry_interval": 0xFFFFFFFF}).disconnect()
    b.clock()
    b.client(5, clean=0, session_present=1)


def test_expiry_passes(b):
    """5.0: [MQTT-4.1.0-2]."""
    c = b.client(5, clean=0, props={"session_expiry_interval": 1})
    c.subscribe(b.topic(), 1)
    c.disconnect()
    b.clock()
    b.clock()
    b.client(5, clean=0, session_present=0)


def test_session_outlasts_its_expiry_while_connected(b):
    """5.0: [MQTT-4.1.0-1]. 3.1.1: [MQTT-4.1.0-2]."""
    c = b.client(5, clean=0, props={"session_expiry_interval": 1})
    c.subscribe(b.topic(), 1)
    b.clock()
    b.client(4, "publisher").deliver(b.topic(), b"still here", 1)
    c.take(b.topic(), b"still here")


def test_expiry_counts_from_the_last_disconnect(b):
    """A connection in between stops the clock. 5.0: §3.1.2.11.2."""
    b.client(5, clean=0, props={"session_expiry_interval": 4}).disconnect()
    c = b.client(5, clean=0, props={"session_expiry_interval": 60}, session_present=1)
    for _ in range(3):
        b.clock()
    c.disconnect()
    b.client(5, clean=0, session_present=1)


def test_disconnect_shortens_the_expiry(b):
    """5.0: §3.14.2.2.2."""
    b.client(5, clean=0, props={"session_expiry_interval": 60}).disconnect(0, {"session_expiry_interval": 0})
    b.client(5, clean=0, session_present=0)


def test_disconnect_lengthens_the_expiry(b):
    """5.0: §3.14.2.2.2."""
    b.client(5, clean=0, props={"session_expiry_interval": 1}).disconnect(0, {"session_expiry_interval": 60})
    b.clock()
    b.clock()
    b.client(5, clean=0, session_present=1)


@not_on_mosquitto("2.0.11 closes without DISCONNECT")
def test_disconnect_cannot_revive_an_expiry_of_zero(b):
    """5.0: §3.14.2.2.2: from 0 to something else is a Protocol Error."""
    c = b.client(5, clean=0)
    c.send(disconnect(5, 0, {"session_expiry_interval": 5}))
    c.expect_closed(0x82)


def test_session_of_311_resumed_by_5_and_back(b):
    """One session, whichever version speaks. 3.1.1: [MQTT-3.1.2-4]. 5.0: [MQTT-3.1.2-5]."""
    c = b.client(4, **keep(4))
    c.subscribe(b.topic(), 1)
    c.disconnect()
    publisher = b.client(4, "publisher")
    publisher.deliver(b.topic(), b"one", 1)
    c = b.client(5, session_present=1, **keep(5))
    c.take(b.topic(), b"one", qos=1)
    c.disconnect()
    publisher.deliver(b.topic(), b"two", 1)
    c = b.client(4, session_present=1, **keep(4))
    c.take(b.topic(), b"two", qos=1)


def test_session_lives_through_the_abrupt_end_of_its_connection(b):
    """3.1.1: [MQTT-4.1.0-1]. 5.0: [MQTT-3.1.2-23]."""
    c = b.client(5, **keep(5))
    c.subscribe(b.topic(), 1)
    c.reset()
    b.client(4, "publisher").deliver(b.topic(), b"x", 1)
    c = b.client(5, session_present=1, **keep(5))
    c.take(b.topic(), b"x", qos=1)
