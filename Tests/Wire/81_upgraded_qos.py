# SPDX-License-Identifier: Apache-2.0
"""mqtt.session.upgrade_qos = on: the higher QoS of message and subscription, on every way to a client."""
from wire import *

CONFIG = {"mqtt.session.upgrade_qos": "on"}
PLUGINS = ("retainer",)


@martlet_only
@versions(4, 5)
def test_upgraded(b, v):
    """A live message, a retained one and one of a shared subscription."""
    b.client(4, "publisher").deliver(b.topic(), b"kept", 1, retain=1)
    c = b.client(v)
    c.subscribe(b.topic(), 2)
    c.take(b.topic(), b"kept", qos=2, retain=1)
    b.client(4, "publisher").publish(b.topic(), b"live", 0)
    c.take(b.topic(), b"live", qos=2)
    shared = b.client(v, "member")
    shared.subscribe(f"$share/g/{b.topic('s')}", 1)
    b.client(4, "publisher").publish(b.topic("s"), b"shared", 0)
    shared.take(b.topic("s"), b"shared", qos=1)
    b.clear(b.topic())
