# SPDX-License-Identifier: Apache-2.0
"""QoS 1 traffic in the background, of which every message is accounted for."""
import threading

from . import build
from .client import Client
from collections import deque

WINDOW = 16


class Traffic:
    """Pairs of a publisher and a subscriber that run until stop(). Each subscriber must see 0, 1, 2 ... and no gap."""

    def __init__(self, broker, pairs=4, pace=0):
        self.broker, self.stopping, self.wrong = broker, threading.Event(), []
        self.sent, self.received = [0] * pairs, [0] * pairs
        self.threads = [threading.Thread(target=self._guard, args=(self._pair, i), daemon=True) for i in range(pairs)]
        self.ready = threading.Barrier(pairs + 1)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        self.ready.wait(30)
        return self

    def __exit__(self, kind, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)
        if kind is None:
            assert not self.wrong, self.wrong[0]
            assert self.sent == self.received, f"sent {self.sent}, received {self.received}"
            assert min(self.sent) > 0

    def check(self):
        assert not self.wrong, self.wrong[0]

    def _guard(self, run, index):
        try:
            run(index)
        except Exception as error:
            self.wrong.append(f"pair {index}, after {self.received[index]} messages: {type(error).__name__}: {error}")

    def _pair(self, index):
        topic = f"traffic/{index}"
        sub = Client(self.broker.port, 5, deque(maxlen=5), f"traffic sub {index}").connect(f"traffic-sub-{index}")
        sub.subscribe(topic, 1)
        pub = Client(self.broker.port, 4, deque(maxlen=5), f"traffic pub {index}").connect(f"traffic-pub-{index}")
        self.ready.wait(30)
        while not self.stopping.is_set():
            first = self.sent[index]
            pub.send(b"".join(build.publish(4, topic, str(first + i), 1, pid=i + 1) for i in range(WINDOW)))
            self.sent[index] += WINDOW
            for i in range(WINDOW):
                pub.expect("PUBACK", pid=i + 1)
            pids = [sub.expect_publish(topic, str(first + i), qos=1, dup=0).pid for i in range(WINDOW)]
            sub.inflight.clear()
            sub.send(b"".join(build.ack(build.PUBACK, 5, pid) for pid in pids))
            self.received[index] += WINDOW
        sub.quiet().disconnect()
        pub.quiet().disconnect()
