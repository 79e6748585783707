# SPDX-License-Identifier: Apache-2.0
"""PUBLISH to a client: packet identifiers, acknowledgements, what is sent again and when."""
from wire import *

# Nothing is sent again within the time that 65,535 messages take, under a sanitizer too.
CONFIG = {"mqtt.session.max_inflight": "1000", "mqtt.session.retry_interval": "10m"}
MOSQUITTO = {"max_inflight_messages": 1000}


def keep(v):
    return {"clean": 0, **({"props": {"session_expiry_interval": 60}} if v == 5 else {})}


@versions(3, 4, 5)
def test_packet_identifiers_count_from_one(b, v):
    """3.1.1: [MQTT-2.3.1-4] [MQTT-4.3.2-1] [MQTT-4.3.3-1]. 5.0: [MQTT-2.2.1-4] [MQTT-4.3.2-1] [MQTT-4.3.2-2]
    [MQTT-4.3.3-1] [MQTT-4.3.3-2]."""
    sub, pub = b.client(v), b.client(4, "publisher")
    sub.subscribe(b.topic(), 2)
    for i in range(1, 11):
        pub.deliver(b.topic(), str(i), 1 + i % 2)
        assert sub.take(b.topic(), str(i), qos=1 + i % 2, dup=0).pid == i


@versions(3, 4, 5)
def test_dup_is_not_passed_on(b, v):
    """3.1.1: [MQTT-3.3.1-3]. 5.0: [MQTT-3.3.1-3]."""
    sub, pub = b.client(v), b.client(v, "publisher")
    sub.subscribe(b.topic(), 2)
    for qos in (1, 2):
        pub.deliver(b.topic(), b"x", qos, dup=1)
        sub.take(b.topic(), b"x", qos=qos, dup=0)


@versions(3, 4, 5)
def test_qos_is_the_smaller_of_both(b, v):
    """3.1.1: [MQTT-3.8.4-6]. 5.0: [MQTT-3.8.4-8]."""
    pub = b.client(4, "publisher")
    for granted in (0, 1, 2):
        sub = b.client(v, f"sub{granted}")
        assert sub.subscribe(b.topic(), granted) == [granted]
        for sent in (0, 1, 2):
            pub.deliver(b.topic(), b"x", sent)
            sub.take(b.topic(), b"x", qos=min(granted, sent))


@versions(3, 4, 5)
def test_unacknowledged_qos_1_comes_again(b, v):
    """3.1.1: [MQTT-4.4.0-1] [MQTT-3.3.1-1] [MQTT-4.3.2-1]. 5.0: [MQTT-4.4.0-1] [MQTT-3.3.1-1] [MQTT-4.3.2-3]."""
    sub, pub = b.client(v, **keep(v)), b.client(4, "publisher")
    sub.subscribe(b.topic(), 1)
    for i in range(3):
        pub.deliver(b.topic(), str(i), 1)
    pids = [sub.expect_publish(b.topic(), str(i), qos=1, dup=0).pid for i in range(3)]
    sub.close()
    sub = b.client(v, **keep(v))
    again = [sub.expect_publish(b.topic(), str(i), qos=1, dup=1).pid for i in range(3)]
    assert again == pids
    for pid in pids:
        sub.send_ack(PUBACK, pid)
    sub.quiet().disconnect()
    b.client(v, **keep(v)).quiet()


@versions(3, 4, 5)
def test_unacknowledged_qos_2_comes_again(b, v):
    """3.1.1: [MQTT-4.4.0-1] [MQTT-4.3.3-1]. 5.0: [MQTT-4.4.0-1] [MQTT-4.3.3-2] [MQTT-4.3.3-3] [MQTT-4.3.3-4]."""
    sub, pub = b.client(v, **keep(v)), b.client(4, "publisher")
    sub.subscribe(b.topic(), 2)
    pub.deliver(b.topic(), b"x", 2)
    pid = sub.expect_publish(b.topic(), b"x", qos=2, dup=0).pid
    sub.close()
    sub = b.client(v, **keep(v))
    assert sub.expect_publish(b.topic(), b"x", qos=2, dup=1).pid == pid
    sub.send_ack(PUBREC, pid)
    sub.expect("PUBREL", pid=pid, code=0)
    sub.send_ack(PUBCOMP, pid)
    sub.quiet()


@versions(3, 4, 5)
def test_pubrel_comes_again_and_publish_does_not(b, v):
    """3.1.1: [MQTT-4.4.0-1] [MQTT-4.3.3-1]. 5.0: [MQTT-4.4.0-1] [MQTT-4.3.3-5] [MQTT-4.3.3-6]."""
    sub, pub = b.client(v, **keep(v)), b.client(4, "publisher")
    sub.subscribe(b.topic(), 2)
    pub.deliver(b.topic(), b"x", 2)
    pid = sub.expect_publish(b.topic(), b"x", qos=2).pid
    sub.send_ack(PUBREC, pid)
    sub.expect("PUBREL", pid=pid)
    for _ in range(2):
        sub.close()
        sub = b.client(v, **keep(v))
        sub.expect("PUBREL", pid=pid)
        sub.quiet()
    sub.send_ack(PUBCOMP, pid)
    sub.quiet().disconnect()
    b.client(v, **keep(v)).quiet()


@versions(3, 4, 5)
def test_publishes_and_pubrels_come_again_in_order(b, v):
    """3.1.1: [MQTT-4.6.0-1] [MQTT-4.6.0-4] [MQTT-4.6.0-6]. 5.0: [MQTT-4.6.0-1] [MQTT-4.6.0-4] [MQTT-4.4.0-1]."""
    sub, pub = b.client(v, **keep(v)), b.client(4, "publisher")
    sub.subscribe(b.topic(), 2)
    for i in range(6):
        pub.deliver(b.topic(), str(i), 2)
    pids = [sub.expect_publish(b.topic(), str(i)).pid for i in range(6)]
    for pid in pids[:3]:
        sub.send_ack(PUBREC, pid)
        sub.expect("PUBREL", pid=pid)
    sub.close()
    sub = b.client(v, **keep(v))
    got = [sub.packet() for _ in range(6)]
    assert [p.pid for p in got if p.name == "PUBREL"] == pids[:3], got
    assert [p.pid for p in got if p.name == "PUBLISH"] == pids[3:], got


@versions(3, 4, 5)
def test_nothing_is_sent_again_on_a_living_connection(b, v):
    """5.0: [MQTT-4.4.0-1]: resending only at a reconnect; for 3.1.1 we do the same by default."""
    sub, pub = b.client(v, **keep(v)), b.client(4, "publisher")
    sub.subscribe(b.topic(), 1)
    pub.deliver(b.topic(), b"x", 1)
    sub.expect_publish(b.topic(), b"x", dup=0)
    b.clock()
    b.clock()
    sub.quiet()


def test_error_in_puback_ends_the_message(b):
    """5.0: [MQTT-4.4.0-2]: 0x80 and above are acknowledgements too."""
    sub, pub = b.client(5, **keep(5)), b.client(4, "publisher")
    sub.subscribe(b.topic(), 1)
    for code in (0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99):
        pub.deliver(b.topic(), str(code), 1)
        sub.ack(sub.expect_publish(b.topic(), str(code)), code)
    sub.quiet().disconnect()
    b.client(5, session_present=1, **keep(5)).quiet()


def test_error_in_pubrec_ends_the_message(b):
    """5.0: [MQTT-4.4.0-2] [MQTT-4.3.3-4]: no PUBREL follows a PUBREC of 0x80 and above."""
    sub, pub = b.client(5, **keep(5)), b.client(4, "publisher")
    sub.subscribe(b.topic(), 2)
    for code in (0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99):
        pub.deliver(b.topic(), str(code), 2)
        sub.ack(sub.expect_publish(b.topic(), str(code)), code)
        sub.quiet()
    sub.disconnect()
    b.client(5, session_present=1, **keep(5)).quiet()


@versions(3, 4, 5)
def test_pubrec_again_is_answered_again(b, v):
    """3.1.1: [MQTT-4.3.3-1]. 5.0: [MQTT-4.3.3-4]."""
    sub, pub = b.client(v), b.client(4, "publisher")
    sub.subscribe(b.topic(), 2)
    pub.deliver(b.topic(), b"x", 2)
    pid = sub.expect_publish(b.topic(), b"x").pid
    for _ in range(2):
        sub.send_ack(PUBREC, pid)
        sub.expect("PUBREL", pid=pid)
    sub.send_ack(PUBCOMP, pid)
    sub.quiet()


@versions(3, 4, 5)
@not_on_mosquitto("2.0.11 ends the connection on some of these")
def test_wrong_kind_of_acknowledgement_does_not_free_the_identifier(b, v):
    """A PUBACK for QoS 2, a PUBREC for QoS 1: the message stays unacknowledged. 5.0: [MQTT-4.3.2-3] [MQTT-4.3.3-3].
    3.1.1: [MQTT-4.3.2-1] [MQTT-4.3.3-1]. The broker may also end such a connection."""
    sub, pub = b.client(v, **keep(v)), b.client(4, "publisher")
    sub.subscribe(b.topic(), 2)
    pub.deliver(b.topic(), b"two", 2)
    pid = sub.expect_publish(b.topic(), b"two", qos=2).pid
    sub.send(ack(PUBACK, v, pid), pingreq())
    p = sub.packet()
    assert p is None or p.name == "DISCONNECT" and p.code in (0x81, 0x82) or p.name == "PINGRESP", p
    sub.close()
    sub = b.client(v, **keep(v))
    assert sub.expect_publish(b.topic(), b"two", qos=2, dup=1).pid == pid


@versions(4, 5)
@limit(120)
@not_on_mosquitto("2.0.11 uses an identifier twice")
def test_identifiers_in_use_are_skipped(b, v):
    """3.1.1: [MQTT-2.3.1-4]. 5.0: [MQTT-2.2.1-4]: 65,536 messages while the first stays unacknowledged."""
    sub, pub = b.client(v), b.client(4, "publisher")
    sub.subscribe([(b.topic("held"), 1), (b.topic("flow"), 1)])
    pub.deliver(b.topic("held"), b"held", 1)
    held = sub.expect_publish(b.topic("held")).pid
    batch = 500
    burst = b"".join(publish(4, b.topic("flow"), b"", 1, pid=i + 1) for i in range(batch))
    for _ in range(0, 65536, batch):
        pub.send(burst)
        pids = [sub.expect_publish(b.topic("flow")).pid for _ in range(batch)]
        assert held not in pids
        sub.inflight = {held}
        sub.send(b"".join(ack(PUBACK, v, pid) for pid in pids))
        for _ in range(batch):
            pub.expect("PUBACK")
    sub.send_ack(PUBACK, held)
    sub.quiet()


@versions(3, 4, 5)
def test_half_a_packet_at_the_end_is_not_taken(b, v):
    """A connection that ends within a PUBLISH published nothing."""
    sub, pub = b.client(4), b.client(v, "publisher")
    sub.subscribe(b.topic(), 1)
    pub.send(publish(v, b.topic(), b"whole"), publish(v, b.topic(), b"never whole")[:-3])
    sub.expect_publish(b.topic(), b"whole")
    pub.close()
    b.nothing_for(sub, b.client(4, "other"))


@versions(3, 4, 5)
def test_publisher_may_be_its_own_subscriber(b, v):
    """3.1.1: [MQTT-4.5.0-1]. 5.0: [MQTT-4.5.0-1]."""
    c = b.client(v)
    c.subscribe(b.topic(), 2)
    for qos in (0, 1, 2):
        c.deliver(b.topic(), b"to myself", qos)
        c.take(b.topic(), b"to myself", qos=qos)


@versions(4, 5)
def test_many_subscribers_all_get_it(b, v):
    """3.1.1: [MQTT-4.5.0-1]. 5.0: [MQTT-4.5.0-1]."""
    subs = [b.client(v, f"s{i}") for i in range(60)]
    for i, sub in enumerate(subs):
        sub.subscribe(b.topic(), i % 3)
    b.client(v, "publisher").deliver(b.topic(), b"all", 2)
    for i, sub in enumerate(subs):
        sub.take(b.topic(), b"all", qos=i % 3)
