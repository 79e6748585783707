# SPDX-License-Identifier: Apache-2.0
"""Flow control of MQTT 5 in both directions. The client library itself counts what is in flight to it."""
from wire import *

CONFIG = {"mqtt.session.max_awaiting_rel": "5", "mqtt.session.max_inflight": "32"}
MOSQUITTO = {"max_inflight_messages": 5}


def subscriber(b, maximum, qos=2, **more):
    sub = b.client(5, "sub", props={"receive_maximum": maximum, "session_expiry_interval": 60}, **more)
    sub.subscribe(b.topic(), qos)
    return sub


def test_one_at_a_time(b):
    """5.0: [MQTT-3.3.4-9] [MQTT-4.9.0-1] [MQTT-4.9.0-2]."""
    sub, pub = subscriber(b, 1), b.client(4, "publisher")
    for i in range(20):
        pub.deliver(b.topic(), str(i), 1 + i % 2)
    for i in range(20):
        p = sub.expect_publish(b.topic(), str(i))
        sub.quiet()
        sub.ack(p)


@not_on_mosquitto("2.0.11 loses count when acknowledgements come out of order")
def test_window_of_three(b):
    """5.0: [MQTT-3.3.4-9] [MQTT-4.9.0-2]."""
    sub, pub = subscriber(b, 3), b.client(4, "publisher")
    for i in range(10):
        pub.deliver(b.topic(), str(i), 1)
    first = [sub.expect_publish(b.topic(), str(i)) for i in range(3)]
    sub.quiet()
    sub.send_ack(PUBACK, first[1].pid)
    sub.expect_publish(b.topic(), b"3")
    sub.quiet()


def test_pubrec_does_not_open_the_window(b):
    """5.0: [MQTT-4.9.0-2]: a QoS 2 message counts until PUBCOMP."""
    sub, pub = subscriber(b, 1), b.client(4, "publisher")
    pub.deliver(b.topic(), b"one", 2)
    pub.deliver(b.topic(), b"two", 2)
    pid = sub.expect_publish(b.topic(), b"one").pid
    sub.send_ack(PUBREC, pid)
    sub.expect("PUBREL", pid=pid)
    sub.quiet()
    sub.send_ack(PUBCOMP, pid)
    sub.take(b.topic(), b"two")


def test_pubrec_with_an_error_opens_it(b):
    """5.0: [MQTT-4.9.0-2] §4.9: PUBREC of 0x80 and above ends the message."""
    sub, pub = subscriber(b, 1), b.client(4, "publisher")
    pub.deliver(b.topic(), b"one", 2)
    pub.deliver(b.topic(), b"two", 2)
    sub.ack(sub.expect_publish(b.topic(), b"one"), 0x80)
    sub.take(b.topic(), b"two")


def test_qos_0_passes_a_full_window(b):
    """5.0: [MQTT-4.9.0-3] §4.9: only QoS 1 and 2 count."""
    sub, pub = subscriber(b, 1), b.client(4, "publisher")
    sub.subscribe(b.topic("free"), 0)
    pub.deliver(b.topic(), b"held", 1)
    sub.expect_publish(b.topic(), b"held")
    pub.deliver(b.topic("free"), b"passes", 1)
    sub.expect_publish(b.topic("free"), b"passes", qos=0)


def test_everything_else_goes_on_with_a_full_window(b):
    """5.0: [MQTT-3.3.4-10] [MQTT-4.9.0-3]."""
    sub, pub = subscriber(b, 1), b.client(4, "publisher")
    pub.deliver(b.topic(), b"one", 1)
    pub.deliver(b.topic(), b"two", 1)
    p = sub.expect_publish(b.topic(), b"one")
    sub.subscribe(b.topic("more"), 0)
    sub.unsubscribe(b.topic("more"))
    sub.deliver(b.topic("up"), b"x", 2)
    sub.quiet()
    sub.ack(p)
    sub.take(b.topic(), b"two")


@not_on_mosquitto("2.0.11 resends more than the new maximum")
def test_window_is_new_with_each_connection(b):
    """5.0: [MQTT-4.9.0-1]: it belongs to the connection; what is sent again counts."""
    sub, pub = subscriber(b, 3), b.client(4, "publisher")
    for i in range(5):
        pub.deliver(b.topic(), str(i), 1)
    for i in range(3):
        sub.expect_publish(b.topic(), str(i))
    sub.close()
    sub = b.client(5, "sub", clean=0, session_present=1,
                   props={"receive_maximum": 2, "session_expiry_interval": 60})
    for i in range(5):
        p = sub.expect_publish(b.topic(), str(i))
        if i % 2:
            sub.quiet()
            sub.ack(p)
            sub.send_ack(PUBACK, min(sub.inflight))


@not_on_mosquitto("2.0.11 does not count QoS 2 towards its own maximum")
def test_client_above_our_maximum_is_closed(b):
    """5.0: [MQTT-3.3.4-7] §3.3.4: DISCONNECT 0x93."""
    c = b.client(5)
    limit = c.connack.props["receive_maximum"]
    for pid in range(1, limit + 1):
        c.publish(b.topic(), b"x", 2, pid=pid)
        c.expect("PUBREC", pid=pid)
    c.publish(b.topic(), b"one too many", 2, pid=limit + 1)
    c.expect_closed(0x93)


def test_client_at_our_maximum_is_served(b):
    """5.0: §3.3.4: exactly the maximum, again and again; QoS 1 and QoS 0 pass beside it."""
    c = b.client(5)
    limit = c.connack.props["receive_maximum"]
    for _ in range(3):
        pids = [c.publish(b.topic(), b"x", 2) for _ in range(limit)]
        for pid in pids:
            c.expect("PUBREC", pid=pid)
        c.publish(b.topic(), b"x", 0)
        c.quiet()
        for pid in pids:
            c.send(ack(PUBREL, 5, pid))
            c.expect("PUBCOMP", pid=pid)


def test_duplicate_does_not_count_twice(b):
    """5.0: §3.3.4: a PUBLISH sent again with its identifier is the same one."""
    c = b.client(5)
    limit = c.connack.props["receive_maximum"]
    for pid in range(1, limit + 1):
        c.publish(b.topic(), b"x", 2, pid=pid)
        c.expect("PUBREC", pid=pid)
    c.publish(b.topic(), b"x", 2, pid=limit, dup=1)
    c.expect("PUBREC", pid=limit)
    c.quiet()


def test_qos_1_flood_above_the_maximum_in_one_write(b):
    """5.0: §4.9: QoS 1 is acknowledged as it is read, so a burst may pass; it is served or refused with 0x93."""
    c = b.client(5)
    c.send(b"".join(publish(5, b.topic(), b"x", 1, pid=i) for i in range(1, 101)))
    for pid in range(1, 101):
        p = c.packet()
        if p.name == "DISCONNECT":
            assert p.code == 0x93
            c.expect_eof()
            return
        assert p.name == "PUBACK" and p.pid == pid
