# SPDX-License-Identifier: Apache-2.0
"""Everything at once for a while: memory, descriptors and tables end where they were once the load had settled.
WIRE_SOAK says how many seconds; 20 unless told, 600 in the long run."""
import os
import random
import sys
import threading
import time
from collections import deque

from wire import *
from wire.client import Client
from wire.traffic import Traffic

MARTLET_ONLY = True
PLUGINS = ["retainer", "acl_file", "plugin_template"]
SECONDS = int(os.environ.get("WIRE_SOAK", "20"))
WORKERS = 6
IDS = 40  # client identifiers a worker draws from, so that sessions are resumed and taken over


class Load:
    """Clients that come, do something of everything and go, until stop is set."""

    def __init__(self, broker):
        self.broker, self.stop, self.wrong, self.rounds = broker, threading.Event(), [], 0
        self.threads = [threading.Thread(target=self._guard, args=(i,), daemon=True) for i in range(WORKERS)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, kind, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join(60)
        if kind is None:
            assert not self.wrong, self.wrong[0]
            assert self.rounds > SECONDS, f"only {self.rounds} visits in {SECONDS} s"

    def _guard(self, worker):
        dice = random.Random(worker)
        try:
            while not self.stop.is_set():
                self._visit(dice, worker)
                self.rounds += 1
        except Exception as error:
            self.wrong.append(f"worker {worker}, seed {worker}: {type(error).__name__}: {error}")

    def _visit(self, dice, worker):
        v = dice.choice((3, 4, 5))
        c = Client(self.broker.port, v, deque(maxlen=20), f"soak {worker}")
        name = f"soak-{worker}-{dice.randrange(IDS)}"
        props = {"session_expiry_interval": dice.choice((0, 60))} if v == 5 else None
        c.connect(name, clean=dice.choice((0, 1)), props=props,
                  will=Will(f"soak/will/{worker}", b"gone", 0) if dice.random() < 0.3 else None)
        for _ in range(dice.randrange(1, 8)):
            self._act(dice, c, worker)
        if dice.random() < 0.7:
            c.send(disconnect(v))
        c.close()

    def _act(self, dice, c, worker):
        what = dice.randrange(5)
        topic = f"soak/{worker}/{dice.randrange(200)}"
        if what == 0:
            c.send(subscribe(c.v, c.pid(), [(dice.choice((topic, f"soak/{worker}/+", "soak/#")), dice.randrange(3))]))
        elif what == 1:
            c.send(unsubscribe(c.v, c.pid(), [topic, f"soak/{worker}/+", "soak/#"]))
        elif what == 2:
            c.send(publish(c.v, topic, bytes(dice.randrange(2000)), 0, retain=dice.choice((0, 0, 1))))
        elif what == 3:
            c.send(publish(c.v, topic, b"", 1, pid=c.pid(), retain=1))
        else:
            c.send(publish(c.v, topic, bytes(dice.randrange(200)), dice.choice((1, 2)), pid=c.pid()))


def descriptors(b):
    return len(os.listdir(f"/proc/{b.process.pid}/fd"))


def listed(b):
    return [line for line in b.ctl("clients", "list").stdout.splitlines() if "soak-" in line]


@limit(120 + 2 * SECONDS)
def test_memory_and_descriptors_are_bounded(b):
    """Connects, disconnects, sessions, filters, retained messages, wills, and a plugin that is replaced meanwhile."""
    warm, end = time.monotonic() + max(8, SECONDS / 3), time.monotonic() + max(12, SECONDS)
    open_before, memory = descriptors(b), 0
    with Traffic(b, pairs=2) as traffic, Load(b) as load:
        while time.monotonic() < end:
            done = b.ctl("plugins", "reload", "plugin_template")
            assert done.returncode == 0, done
            traffic.check()
            assert not load.wrong, load.wrong[0]
            if time.monotonic() < warm:
                memory = max(memory, b.memory())
        grown = b.memory() - memory
        print(f"soak: {load.rounds} visits, {sum(traffic.received)} messages accounted for, "
              f"{memory >> 10} KB once warm, {grown >> 10} KB more after {SECONDS} s", file=sys.stderr)
    assert grown < (16 << 20), f"memory grew by {grown >> 10} KB"
    b.client(4, "last").quiet()
    # The last ones did not wait for the broker to close.
    wait_until(lambda: not listed(b), lambda: f"the end of those that are still listed: {listed(b)[:3]}")
    wait_until(lambda: descriptors(b) <= open_before + 4,
               lambda: f"the end of descriptors: {descriptors(b)} are open, {open_before} were")
