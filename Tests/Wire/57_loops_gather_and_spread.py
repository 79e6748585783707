# SPDX-License-Identifier: Apache-2.0
"""One thread serves all loops while there is little to do, and each its own when there is more. While that changes to
and fro, connections of every kind come, move between loops and are kicked, plugins are replaced, and one blocks the
thread that serves them all: no message is lost or out of order. WIRE_SOAK says how many seconds; 12 unless told."""
import os
import random
import ssl
import subprocess
import sys
import threading
import time
from collections import deque

from wire import *
from wire.certs import Authority
from wire.cplugin import compile_plugin, quoted

MARTLET_ONLY = True
CA = Authority()
PORTS = {name: free_port() for name in ("ssl", "ws", "wss")}
PLUGINS = ["retainer", "plugin_template"]
SECONDS = max(12, int(os.environ.get("WIRE_SOAK", "12")))
CONFIG = {
    "node.loops": "4", "mqtt.mqueue.max_length": 0,
    **{f"listener.{name}.test": f"127.0.0.1:{port}" for name, port in PORTS.items()},
    **{f"listener.{name}.test.{key}": CA[file] for name in ("ssl", "wss")
       for key, file in (("certfile", "cert.pem"), ("keyfile", "key.pem"))},
}
SIZES = (10, 10, 100, 1500, 9000, 70_000, 300_000)
AHEAD = 64  # messages a publisher is ahead of its subscriber at most
PAUSE = 0.02
KEEP = {"clean": 0, "props": {"session_expiry_interval": 600}}


def body(n, size):
    """Says its number, and differs from place to place."""
    head = b"%d:" % n
    word = b"".join(((n + 1) * 7919 + i).to_bytes(4, "big") for i in range(64))
    return head + (word * (size // len(word) + 1))[:size]


class Ended(Exception):
    """The broker has ended the connection."""


class Party:
    """Somebody with a thread, who comes back through some door whenever the connection has ended."""

    def __init__(self, stress, name, seed):
        self.stress, self.name, self.dice, self.client, self.visits = stress, name, random.Random(seed), None, 0
        self.thread = threading.Thread(target=self._guard, daemon=True)

    def come(self, **how):
        """A connection; one that is open is taken over by it."""
        old, door = self.client, self.dice.choice(("tcp", "tcp", "ssl", "ws", "wss"))
        tls = None
        if door in ("ssl", "wss"):
            tls = ssl.create_default_context(cafile=CA["cacert.pem"])
        c = Client(PORTS.get(door, self.stress.broker.port), 5, deque(maxlen=3), f"{self.name} by {door}",
                   web=door in ("ws", "wss"), tls=tls)
        self.visits += 1
        c.hello(self.name, **how)
        self.client = c
        connack = self.packet()
        assert connack.name == "CONNACK" and connack.code == 0, connack
        if old:
            old.close()
        return connack.session_present

    def packet(self):
        try:
            p = self.client.packet()
        except (OSError, EOFError):
            raise Ended from None
        except Violation as error:
            if "closed in the middle" in str(error) or "ends without a close frame" in str(error):
                raise Ended from None
            raise
        if p is None or p.name == "DISCONNECT":
            raise Ended
        return p

    def send(self, *packets):
        try:
            self.client.send(*packets)
        except OSError:
            raise Ended from None

    def until_done(self, work):
        """Over as many connections as it takes."""
        while True:
            try:
                return work()
            except Ended:
                self.client.close()
                self.client = None

    def _guard(self):
        try:
            self.run()
        except Exception as error:
            self.stress.wrong.append(f"{self.name}: {type(error).__name__}: {error}")


class Line:
    """Numbered messages from one publisher to one subscriber."""

    def __init__(self, stress, number):
        self.topic, self.sent, self.next, self.again, self.last = f"line/{number}", 0, 0, set(), None
        self.subscribed = threading.Event()
        self.moved = threading.Condition()
        self.parties = [Publisher(stress, f"pub-{number}", number, self),
                        Subscriber(stress, f"sub-{number}", -number, self)]


class Publisher(Party):
    def __init__(self, stress, name, seed, line):
        super().__init__(stress, name, seed)
        self.line, self.waiting = line, {}

    def run(self):
        self.line.subscribed.wait(120)
        self.until_done(self._work)
        self.client.close()

    def _work(self):
        if not self.client:
            self.come()
            self.line.again.update(self.waiting)
            for n in sorted(self.waiting):
                self._publish(n, dup=1)
        while not self.stress.stop.is_set():
            with self.line.moved:
                self.line.moved.wait_for(lambda: self.line.sent - self.line.next < AHEAD or self.stress.wrong, 120)
            for _ in range(self.dice.randrange(1, 8)):
                self._next()
            while len(self.waiting) > 8:
                self._acked()
            time.sleep(PAUSE)
        if self.line.last is None:
            self.line.last = self.line.sent
            self._next()
        while self.waiting:
            self._acked()

    def _next(self):
        n, self.line.sent = self.line.sent, self.line.sent + 1
        self.waiting[n] = self.dice.choice(SIZES)
        self._publish(n)

    def _publish(self, n, dup=0):
        self.send(publish(5, self.line.topic, body(n, self.waiting[n]), 1, pid=n % 60000 + 1, dup=dup))

    def _acked(self):
        p = self.packet()
        assert p.name == "PUBACK" and p.code == 0, p
        n = min(self.waiting)
        assert n % 60000 + 1 == p.pid, f"acknowledged {p.pid}, {n % 60000 + 1} was next"
        del self.waiting[n]


class Subscriber(Party):
    def __init__(self, stress, name, seed, line):
        super().__init__(stress, name, seed)
        self.line, self.repeated = line, 0

    def run(self):
        self.until_done(self._work)
        self.client.close()

    def _work(self):
        if not self.client:
            self._come()
        while self.line.last is None or self.line.next <= self.line.last:
            if self.dice.randrange(60) == 0:
                self._come()
            p = self.packet()
            if p.name == "PUBLISH":
                self._take(p)

    def _come(self):
        if not self.come(**KEEP):
            assert not self.line.subscribed.is_set(), "the session is lost"
            self.send(subscribe(5, 1, [(self.line.topic, 1)]))
            assert self.packet().name == "SUBACK"
            self.line.subscribed.set()

    def _take(self, p):
        n = int(p.payload[:p.payload.index(b":")])
        assert p.payload == body(n, len(p.payload) - len(b"%d:" % n)), f"message {n} is not what was sent"
        line = self.line
        assert n <= line.next, f"message {n} instead of {line.next}"
        if n == line.next:
            with line.moved:
                line.next += 1
                line.moved.notify()
        else:
            assert p.dup or n in line.again, f"message {n} once more, {line.next} was next"
            self.repeated += 1
        self.client.inflight.discard(p.pid)
        self.send(ack(PUBACK, 5, p.pid))


class Keeper(Party):
    """Publishes large retained messages and looks at each with a new connection."""

    def run(self):
        self.rounds = 0
        while not self.stress.stop.is_set():
            self.rounds += 1
            size = self.dice.choice(SIZES)
            for which in (self._store, self._look):
                self.client = None
                which(body(self.rounds, size))
            time.sleep(PAUSE)

    def _store(self, bytes):
        self.come()
        self.client.deliver(f"kept/{self.name}", bytes, 1, retain=1)
        self.client.close()

    def _look(self, bytes):
        self.come()
        self.client.send(subscribe(5, 1, [(f"kept/{self.name}", 1)]))
        got = [self.packet(), self.packet()]
        assert sorted(p.name for p in got) == ["PUBLISH", "SUBACK"], got
        p = next(p for p in got if p.name == "PUBLISH")
        assert p.payload == bytes and p.retain, f"round {self.rounds}: {p.payload[:20]}"
        self.client.close()


class Member(Party):
    """One of those that share what the sharer sends."""

    def __init__(self, stress, name, seed):
        super().__init__(stress, name, seed)
        self.got, self.subscribed = [], threading.Event()

    def run(self):
        self.come()
        self.send(subscribe(5, 1, [("$share/group/shared", 1)]))
        assert self.packet().name == "SUBACK"
        self.subscribed.set()
        while (p := self.packet()).payload:
            n = int(p.payload[:p.payload.index(b":")])
            assert p.payload == body(n, len(p.payload) - len(b"%d:" % n)), f"message {n} is not what was sent"
            assert not self.got or n > self.got[-1], f"{n} after {self.got[-1]}"
            self.got.append(n)
            self.client.inflight.discard(p.pid)
            self.send(ack(PUBACK, 5, p.pid))


class Sharer(Party):
    def __init__(self, stress, members):
        super().__init__(stress, "sharer", 5)
        self.members, self.sent = members, 0

    def run(self):
        for member in self.members:
            member.subscribed.wait(60)
        self.come()
        while not self.stress.stop.is_set():
            self.client.deliver("shared", body(self.sent, self.dice.choice(SIZES)), 1)
            self.sent += 1
            time.sleep(PAUSE)
        wait_until(lambda: sum(len(member.got) for member in self.members) == self.sent, "all that is shared",
                   5 * DEADLINE)
        while any(member.thread.is_alive() for member in self.members):
            self.client.deliver("shared", b"", 1)


class Stress:
    """Everybody, until stop is set and each message has arrived."""

    def __init__(self, broker, lines=4):
        self.broker, self.stop, self.wrong = broker, threading.Event(), []
        self.lines = [Line(self, i + 1) for i in range(lines)]
        self.members = [Member(self, f"member-{i}", i) for i in range(3)]
        self.sharer = Sharer(self, self.members)
        self.keepers = [Keeper(self, f"keeper-{i}", i) for i in range(2)]
        self.parties = [p for line in self.lines for p in line.parties] + self.members + self.keepers + [self.sharer]

    def __enter__(self):
        for party in self.parties:
            party.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.stop.set()
        end = time.monotonic() + 10 * DEADLINE
        while time.monotonic() < end and not self.wrong and any(party.thread.is_alive() for party in self.parties):
            for party in self.parties:
                party.thread.join(0.1)
        if kind is None:
            assert not self.wrong, self.wrong[0]
            late = [party.name for party in self.parties if party.thread.is_alive()]
            assert not late, f"still at work: {late}; {[(line.next, line.sent) for line in self.lines]}"
            got = sorted(n for member in self.members for n in member.got)
            assert got == list(range(self.sharer.sent)), f"shared: {len(got)} of {self.sharer.sent} arrived once"

    def check(self):
        assert not self.wrong, self.wrong[0]
        assert not self.broker.died(), self.broker.died()

    def kick(self, dice):
        line = dice.choice(self.lines)
        self.broker.ctl("clients", "kick", dice.choice(line.parties).name)


def change_plugins(b):
    """One is replaced while another one, whose publish hook sleeps 30 ms, is there."""
    for words in (("load", "hostile"), ("reload", "plugin_template"), ("unload", "hostile")):
        done = b.ctl("plugins", *words)
        assert done.returncode == 0, done


def burst(b):
    """More than one thread should do."""
    count = "2000" if os.environ.get("WIRE_SANITIZED") else "200000"
    done = subprocess.run(
        [str(b.dir / "bin/martlet_bench"), "pairs", "--port", str(b.port), "--pairs", "20", "-q", "0", "--count", count,
         "--quiet", "--json"], capture_output=True, text=True, timeout=12 * DEADLINE)
    assert done.returncode == 0, done.stderr[-300:] or done.stdout[-300:]


@limit(120 + 4 * SECONDS)
def test_nothing_is_lost_while_loops_gather_and_spread(b):
    compile_plugin(b, "hostile", "hostile", ["BLOCKS", quoted("ID", "hostile")])
    dice, end, spread = random.Random(1), time.monotonic() + SECONDS, b.metric("loops/spread")
    with Stress(b) as stress:
        for line in stress.lines:
            assert line.subscribed.wait(60), stress.wrong
        while time.monotonic() < end:
            burst(b)
            # Quiet for as long as it takes to gather again, with all that may happen meanwhile.
            quiet = time.monotonic() + 5.5
            while time.monotonic() < quiet:
                stress.kick(dice)
                change_plugins(b)
                stress.check()
        spread = b.metric("loops/spread") - spread
        numbers = [line.next for line in stress.lines]
    print(f"gather: spread {spread} times; {sum(numbers)} messages in lines, {stress.sharer.sent} shared, "
          f"{sum(k.rounds for k in stress.keepers)} retained; "
          f"{sum(p.visits for p in stress.parties)} connections", file=sys.stderr)
    assert spread > 0, "the loops were never spread"
