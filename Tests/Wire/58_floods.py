# SPDX-License-Identifier: Apache-2.0
"""Clients that write each message on its own, faster than the broker wakes up: it pauses so that they gather."""
from wire import *

MARTLET_ONLY = True
PLUGINS = []
CONFIG = {"node.loops": "1"}


@measures
def test_a_flood_is_read_in_gulps(b):
    """loops/paused counts, and every message arrives."""
    clients = [b.client(4, f"flood{i}") for i in range(40)]
    before, sent = b.metric("messages/qos0/received"), 0
    pair = publish(4, "flood", b"x" * 20) * 2

    def flood():
        nonlocal sent
        for _ in range(200):
            for c in clients:
                c.sock.sendall(pair)
        sent += 2 * 200 * len(clients)
        return b.metric("loops/paused") > 0

    wait_until(flood, "a pause")
    for c in clients:
        c.deliver("end", b"x", 1)
    assert b.metric("messages/qos0/received") - before == sent


def test_who_waits_for_answers_is_not_paced(b):
    """One packet at a time, however fast."""
    c, paused = b.client(4, "steps"), b.metric("loops/paused")
    for _ in range(5000):
        c.deliver("step", b"x", 1)
    assert b.metric("loops/paused") == paused
