# SPDX-License-Identifier: Apache-2.0
"""A hundred thousand messages wait for a session and are delivered in order when it resumes."""
import os

from wire import *

COUNT = int(os.environ.get("WIRE_QUEUED", "100000"))
CONFIG = {"mqtt.mqueue.max_length": "0", "mqtt.mqueue.max_bytes": "1GB", "mqtt.session.max_inflight": "100"}
MOSQUITTO = {"max_queued_messages": 0, "max_inflight_messages": 100}
BATCH = 500


def fill(b, topic):
    pub = b.client(4, "pub")
    for first in range(0, COUNT, BATCH):
        pub.send(b"".join(publish(4, topic, str(first + i), 1, pid=i + 1) for i in range(BATCH)))
        for i in range(BATCH):
            pub.expect("PUBACK", pid=i + 1)


def drain(sub, topic, v):
    at = 0
    while at < COUNT:
        pids = []
        while at < COUNT and len(pids) < 50:
            p = sub.expect_publish(topic, str(at), qos=1, dup=0)
            pids.append(p.pid)
            at += 1
        sub.inflight.difference_update(pids)
        sub.send(b"".join(ack(PUBACK, v, pid) for pid in pids))
    sub.quiet()


@versions(4, 5)
@limit(240)
def test_all_of_them_in_order(b, v):
    """3.1.1: [MQTT-3.1.2-5] [MQTT-4.6.0-6]. 5.0: [MQTT-4.5.0-1] [MQTT-4.6.0-5]."""
    keep = {"clean": 0, **({"props": {"session_expiry_interval": 600}} if v == 5 else {})}
    sub = b.client(v, "sub", **keep)
    sub.subscribe(b.topic(), 1)
    sub.disconnect()
    fill(b, b.topic())
    drain(b.client(v, "sub", session_present=1, **keep), b.topic(), v)


@limit(240)
def test_with_a_window_of_one(b):
    """5.0: [MQTT-3.3.4-9]: a tenth of them, one at a time."""
    keep = {"clean": 0, "props": {"session_expiry_interval": 600, "receive_maximum": 1}}
    sub = b.client(5, "sub", **keep)
    sub.subscribe(b.topic(), 1)
    sub.disconnect()
    pub = b.client(4, "pub")
    count = min(3000, COUNT // 10)
    for first in range(0, count, 100):
        pub.send(b"".join(publish(4, b.topic(), str(first + i), 1, pid=i + 1) for i in range(min(100, count - first))))
        for i in range(min(100, count - first)):
            pub.expect("PUBACK", pid=i + 1)
    sub = b.client(5, "sub", session_present=1, **keep)
    for i in range(count):
        sub.take(b.topic(), str(i))
    sub.quiet()
