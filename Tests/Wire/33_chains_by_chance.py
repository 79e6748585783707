# SPDX-License-Identifier: Apache-2.0
"""Three plugins in every chain, each of which decides at once, later, from any thread, twice or after announcing an
answer it does not owe, as the names say; a model of a few lines knows what must come out."""
import os
import random

from wire import *
from wire import build
from wire.cplugin import compile_plugin, quoted

MARTLET_ONLY = True
PLUGINS = []
RANKS = 3
ROUNDS = int(os.environ.get("WIRE_CHANCE", "60"))
SEED = int(os.environ.get("WIRE_SEED", "1"))
CONFIG = {"node.loops": "3", "listener.tcp.test.mountpoint": "q/", "mqtt.max_topic_alias": "100"}
# Topics are under a mountpoint where clients come over TCP.
# At once; later from the pool, this loop, the next loop, inside the call; announced and then given at once.
HOW = "ssspppliox"
ACL, PUBLISH, SUBSCRIBE = "iiiiaaade", "nnnnnrrttss", "nnnnnrtf"


def loaded(b):
    for rank in range(RANKS):
        name = f"chance_{rank}"
        if not (b.dir / f"plugins/{name}.so").exists():
            compile_plugin(b, "chance", name, [quoted("ID", name), f"RANK={rank}"])
            b.load(name)


def watching(b, v):
    """A client that sees all that gets through."""
    watch = b.client(5, f"watch-{v}")
    watch.subscribe([("m/#", 0), ("x/#", 0)])
    return watch


class Name:
    """A topic, filter or client id, and what becomes of it."""

    serial = 0

    def __init__(self, r, hooks, acl=ACL, first="m"):
        Name.serial += 1
        self.acl = [r.choice(acl) for _ in range(RANKS)]
        self.hook = [r.choice(hooks) for _ in range(RANKS)]
        letters = "".join(a + r.choice(HOW) + h + r.choice(HOW) for a, h in zip(self.acl, self.hook))
        self.rest = f"/{letters}/{Name.serial}"
        self.text = first + self.rest
        self.allowed = next((a == "a" for a in self.acl if a != "i"), True)

    def published(self, payload):
        """(topic, payload) for the subscribers, or None."""
        topic = self.text
        for rank, what in enumerate(self.hook):
            if what == "s":
                return None
            if what in "rt":
                payload += b"%d" % rank
            if what == "t":
                topic = "x" + self.rest
        return topic, payload

    def subscribed(self, qos):
        """(filter, code)."""
        topic, code = self.text, qos if self.allowed else 0x87
        for what in self.hook:
            if what == "r" and code < 3:
                code = 0
            if what == "f":
                code = 0x97
            if what == "t":
                topic = "x" + self.rest
        return topic, code if self.allowed else 0x87


def sent(r, c, data):
    """In pieces, now and then."""
    while data:
        n = len(data) if r.random() < 0.7 else r.randrange(1, len(data) + 1)
        c.send(data[:n])
        data = data[n:]


def messages(r, c, v, count):
    """PUBLISH packets at one go; what is to be answered and what subscribers must see."""
    data, answers, seen = b"", [], []
    for _ in range(count):
        name, qos = Name(r, PUBLISH), r.randrange(3)
        payload = b"P" * r.choice((1, 2, 3, 40, 2000)) if r.random() < 0.95 else b"L" * 70_000
        pid = c.pid() if qos else None
        props = None
        if v == 5 and r.random() < 0.3:
            props = {"topic_alias": Name.serial % 50 + 1}
        packet = build.publish(v, name.text, payload, qos, pid=pid, props=props)
        out = name.published(payload) if name.allowed else None
        repeats = 1
        if qos == 2 and r.random() < 0.3:
            packet += build.publish(v, name.text, payload, qos, pid=pid, dup=True)
            repeats = 2
        if props and r.random() < 0.5:
            packet += build.publish(v, "", payload, 0, props=props)
            seen.append(out)
        data += packet
        code = 0 if name.allowed or v < 5 else 0x87
        answers += [(("PUBACK", "PUBREC")[qos - 1], pid, code)] * repeats if qos else []
        seen.append(out)
    sent(r, c, data)
    return answers, [one for one in seen if one]


def settled(c, v, answers):
    for kind, pid, code in answers:
        p = c.expect_ack(kind, pid)
        assert p.code in ((0, 0x10) if code == 0 else (code,)), f"{p} for {pid}: {code:#x}"
    for pid in {pid for kind, pid, code in answers if kind == "PUBREC" and code == 0}:
        c.send(build.ack(build.PUBREL, v, pid))
        c.expect_ack("PUBCOMP", pid)


@limit(300)
@versions(4, 5)
def test_what_is_published(b, v):
    """Order, acknowledgements, replacements: as if everybody had answered at once."""
    loaded(b)
    r = random.Random(SEED * 1000 + v)
    watch = watching(b, v)
    c = b.client(v, f"source-{v}")
    for _ in range(ROUNDS):
        answers, seen = messages(r, c, v, r.randrange(1, 9))
        settled(c, v, answers)
        for topic, payload in seen:
            p = watch.expect("PUBLISH")
            assert (p.topic, p.payload) == (topic, payload), f"got {p.topic} {p.payload[:9]}, not {topic} {payload[:9]}"
    watch.quiet()


@limit(300)
@versions(4, 5)
def test_what_is_subscribed(b, v):
    """Each filter as if it stood alone, some shared, some local, while others' answers come later."""
    loaded(b)
    r = random.Random(SEED * 1000 + v)
    for n in range(ROUNDS):
        c = b.client(v, f"sub-{n}")
        names = [Name(r, SUBSCRIBE, ACL + "a" * 9) for _ in range(r.randrange(1, 9))]
        ways = [r.choice(("", "", "$local/", "$share/g/") if v == 5 else ("",)) for _ in names]
        qos = [r.randrange(3) for _ in names]
        want = [name.subscribed(q) for name, q in zip(names, qos)]
        codes = [code if v == 5 or code < 3 else 0x80 for _, code in want]
        c.subscribe([(way + name.text, q) for way, name, q in zip(ways, names, qos)], codes=codes)
        for i in {r.randrange(len(names)) for _ in range(2)}:
            c.unsubscribe(ways[i] + want[i][0], codes=[0 if want[i][1] < 3 else 0x11])
        c.send(build.disconnect(v))
        c.expect_eof()


@limit(300)
@versions(4, 5)
def test_who_comes_in_and_with_which_will(b, v):
    """Auth and the permission for the will's topic, each decided in its own way."""
    loaded(b)
    r = random.Random(SEED * 1000 + v)
    watch = watching(b, v)
    before = b.metric("auth/allowed"), b.metric("auth/denied")
    allowed = 0
    for _ in range(ROUNDS):
        who, will = Name(r, "n", "iiiaaad", "c"), Name(r, PUBLISH)
        c = b.raw(v).hello(who.text, will=Will(will.text, b"W"))
        p = c.expect("CONNACK")
        assert (p.code == 0) == who.allowed, f"{who.text}: {p}"
        allowed += who.allowed
        c.close()
        out = will.published(b"W") if will.allowed and who.allowed else None
        if out:
            p = watch.expect("PUBLISH")
            assert (p.topic, p.payload) == out, f"got {p}, not {out}"
    watch.quiet()
    assert b.metric("auth/allowed") - before[0] == allowed
    assert b.metric("auth/denied") - before[1] == ROUNDS - allowed


@limit(300)
def test_exchanges_of_several_steps(b):
    """Enhanced authentication, and the same once more while connected."""
    loaded(b)
    r = random.Random(SEED)
    method = {"authentication_method": "steps"}
    for _ in range(ROUNDS):
        who, will = Name(r, "n", "iiicccad", "c"), Name(r, PUBLISH)
        first = next((a for a in who.acl if a != "i"), "i")
        c = b.raw(5).hello(who.text, props=method, will=Will(will.text, b"W"))
        for _ in range(2 if first == "c" else 0):
            c.expect("AUTH", code=0x18)
            sent(r, c, auth(0x18, method))
        c.expect("CONNACK", code={"c": 0, "a": 0, "d": 0x86, "i": 0x8C}[first])
        if first in "di":
            c.expect_eof()
            continue
        sent(r, c, auth(0x19, method) + build.pingreq())
        for step in range(2 if first == "c" else 0):
            c.expect("AUTH", code=0x18)
            if step == 0:
                c.expect("PINGRESP")
            sent(r, c, auth(0x18, method))
        c.expect("AUTH", code=0)
        if first == "a":
            c.expect("PINGRESP")
        c.quiet()
        c.send(build.disconnect(5))


@limit(300)
def test_comings_and_goings(b):
    """Clients that leave, come back elsewhere or are sent away, and plugins that go, while answers are owed: nothing of
    it is left behind."""
    loaded(b)
    r = random.Random(SEED)
    ids = [f"z/{'ip' * RANKS * 2}/{i}" for i in range(12)]
    open_clients = []
    for n in range(ROUNDS * 4):
        v = r.choice((4, 5))
        c = b.raw(v).hello(r.choice(ids), clean=r.randrange(2), will=Will(Name(r, PUBLISH).text, b"W"))
        data = b""
        for _ in range(r.randrange(6)):
            name, qos = Name(r, PUBLISH), r.randrange(3)
            data += build.publish(v, name.text, b"x" * r.choice((1, 3000)), qos, pid=c.pid() if qos else None)
            names = [(Name(r, SUBSCRIBE).text, r.randrange(3)) for _ in range(r.randrange(1, 4))]
            data += build.subscribe(v, c.pid(), names)
        c.try_send(data)
        open_clients.append(c)
        if r.random() < 0.7:
            gone = open_clients.pop(r.randrange(len(open_clients)))
            r.choice((gone.close, gone.reset, gone.close))()
        if n % 10 == 9:
            b.ctl("clients", "kick", r.choice(ids))
        if n % 20 == 19:
            name = f"chance_{r.randrange(RANKS)}"
            if r.random() < 0.5:
                b.ctl("plugins", "reload", name)
            else:
                b.ctl("plugins", "unload", name)
                b.load(name)
    for c in open_clients:
        c.close()
    for rank in range(RANKS):
        wait_until(lambda: "deferrals_open" in (text := b.ctl("plugins", "show", f"chance_{rank}").stdout)
                   and [line for line in text.splitlines() if "deferrals_open" in line][0].split()[-1] == "0")
    b.visits()


@measures
@limit(300)
def test_nothing_is_kept(b):
    """The broker's memory after a warm-up, and after ten times as many packets."""
    loaded(b)
    r = random.Random(SEED)
    watch, c = b.client(5, "watch"), b.client(5, "source")
    watch.subscribe([("m/#", 0), ("x/#", 0)])

    def round():
        answers, seen = messages(r, c, 5, 20)
        settled(c, 5, answers)
        for topic, _ in seen:
            watch.expect("PUBLISH", topic=topic)
        names = [(Name(r, SUBSCRIBE).text, 0) for _ in range(10)]
        pid = c.pid()
        c.send(build.subscribe(5, pid, names), build.unsubscribe(5, pid + 1, ["x" + n[1:] for n, _ in names]),
               build.unsubscribe(5, pid + 2, [n for n, _ in names]))
        c.expect("SUBACK", pid=pid)
        c.expect("UNSUBACK", pid=pid + 1)
        c.expect("UNSUBACK", pid=pid + 2)
        c.next_pid = 1 if pid > 60_000 else pid + 3

    for _ in range(max(30, ROUNDS // 10)):
        round()
    before = b.own_memory()
    for _ in range(ROUNDS):
        round()
    grown = b.own_memory() - before
    assert grown < 8 << 20, f"{grown >> 10} KiB"
