# SPDX-License-Identifier: Apache-2.0
"""broker.shared_redispatch = all: a QoS 2 message whose member left unacknowledged goes to another member."""
from wire import *

MARTLET_ONLY = True
CONFIG = {"broker.shared_redispatch": "all"}
KEEP = {"clean": 0, "props": {"session_expiry_interval": 60}}


@versions(4, 5)
def test_qos_2_without_pubrec_moves(b, v):
    """What [MQTT-4.8.2-4] and [MQTT-4.8.2-5] forbid and an operator may want: no message waits for a lost member."""
    for more in (KEEP, {}) if v == 5 else ({"clean": 0}, {}):
        first, pub = b.client(v, "first", **more), b.client(4, "publisher")
        filter_ = f"$share/g/{b.topic()}"
        first.subscribe(filter_, 2)
        for payload in (b"received", b"lost"):
            pub.deliver(b.topic(), payload, 2)
        received, _ = first.expect_publish(b.topic()), first.expect_publish(b.topic())
        first.send_ack(PUBREC, received.pid)
        first.expect("PUBREL", pid=received.pid)
        second = b.client(5, "second")
        second.subscribe(filter_, 2)
        first.close()
        second.take(b.topic(), b"lost", qos=2, dup=0)
        if more:
            first = b.client(v, "first", session_present=1, **more)
            first.expect("PUBREL", pid=received.pid)
            first.send_ack(PUBCOMP, received.pid)
            first.unsubscribe(filter_)
            first.quiet()
        second.quiet()
        second.disconnect()
