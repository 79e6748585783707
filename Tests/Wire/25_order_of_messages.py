# SPDX-License-Identifier: Apache-2.0
"""Messages of one publisher on one topic arrive in the order they were sent."""
from wire import *

COUNT = 2000


@versions(3, 4, 5)
@limit(120)
def test_each_qos_from_many_publishers(b, v):
    """3.1.1: [MQTT-4.6.0-5] [MQTT-4.6.0-6]. 5.0: [MQTT-4.6.0-5] [MQTT-4.6.0-6]."""
    for qos in (0, 1, 2):
        subs = [b.client(v, f"sub{qos}{i}") for i in range(3)]
        for sub in subs:
            sub.subscribe(b.topic(f"q{qos}/#"), qos)
        pubs = [b.client(4, f"pub{qos}{i}") for i in range(4)]
        for n in range(COUNT // 40):
            for i, pub in enumerate(pubs):
                topic, pids = b.topic(f"q{qos}/{i}"), range(1, 11) if qos else [None] * 10
                pub.send(b"".join(publish(4, topic, f"{i} {n * 10 + k}", qos, pid=pid) for k, pid in enumerate(pids)))
            for pub in pubs:
                finish(pub, qos, 10)
            for sub in subs:
                read(sub, qos, 40)
        for sub in subs:
            for i in range(4):
                mine = [int(p.split()[1]) for p in sub.got if p.startswith(b"%d " % i)]
                assert mine == list(range(COUNT // 4)), f"{sub.label} from {i}: {mine[:20]}"
            sub.close()


def finish(pub, qos, count):
    """Take the acknowledgements of count messages in order."""
    for k in range(count if qos else 0):
        pub.expect("PUBACK" if qos == 1 else "PUBREC", pid=k + 1)
    if qos == 2:
        pub.send(b"".join(ack(PUBREL, 4, k + 1) for k in range(count)))
        for k in range(count):
            pub.expect("PUBCOMP", pid=k + 1)


def read(sub, qos, count):
    sub.got = getattr(sub, "got", [])
    for _ in range(count):
        p = sub.take(qos=qos)
        sub.got.append(p.payload)


@versions(4, 5)
def test_order_holds_over_a_reconnect(b, v):
    """3.1.1: [MQTT-4.6.0-1] [MQTT-4.6.0-6]. 5.0: [MQTT-4.6.0-5] [MQTT-4.4.0-1]."""
    keep = {"clean": 0, **({"props": {"session_expiry_interval": 60}} if v == 5 else {})}
    sub, pub = b.client(v, "sub", **keep), b.client(4, "publisher")
    sub.subscribe(b.topic(), 1)
    for i in range(10):
        pub.deliver(b.topic(), str(i), 1)
    for i in range(10):
        p = sub.expect_publish(b.topic(), str(i))
        if i % 2:
            sub.send_ack(PUBACK, p.pid)
    sub.quiet().close()
    for i in range(10, 60):
        pub.deliver(b.topic(), str(i), 1)
    sub = b.client(v, "sub", **keep)
    got = [int(sub.take(b.topic()).payload) for _ in range(55)]
    assert got == [0, 2, 4, 6, 8] + list(range(10, 60)), got


@versions(4, 5)
def test_acknowledgements_come_in_order(b, v):
    """3.1.1: [MQTT-4.3.2-2]. 5.0: [MQTT-4.3.2-4]."""
    c = b.client(v)
    c.subscribe(b.topic(), 0)
    c.send(b"".join(publish(v, b.topic(), str(i), 1, pid=i) for i in range(1, 51)))
    acks, got = [], []
    while len(acks) < 50 or len(got) < 50:
        p = c.packet()
        (acks if p.name == "PUBACK" else got).append(p.pid if p.name == "PUBACK" else int(p.payload))
    assert acks == list(range(1, 51)) and got == acks


@not_on_mosquitto("2.0.11 does not keep QoS 0")
def test_qos_0_does_not_overtake_what_was_stored(b):
    """3.1.1: [MQTT-4.6.0-6]. 5.0: [MQTT-4.6.0-5]: stored QoS 0 behind a full window, and more of it comes."""
    keep = {"session_expiry_interval": 60}
    c, pub = b.client(5, clean=0, props=keep), b.client(4, "publisher")
    c.subscribe(b.topic("#"), 1)
    c.disconnect()
    for qos in (1, 0):
        for i in range(3):
            pub.deliver(b.topic(f"q{qos}"), str(i), qos)
    pub.quiet()
    c = b.client(5, clean=0, session_present=1, props={**keep, "receive_maximum": 1})
    for i in range(3, 6):
        pub.deliver(b.topic("q0"), str(i), 0)
    pub.quiet()
    got = [c.take() for _ in range(9)]
    assert [int(p.payload) for p in got if p.qos == 0] == list(range(6)), got
