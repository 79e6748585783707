# SPDX-License-Identifier: Apache-2.0
"""Several plugins that change, hold back and answer late or twice: what each of them sees, and what is left behind."""
import re

from wire import *
from wire.cplugin import compile_plugin, quoted

MARTLET_ONLY = True
PLUGINS = []
STRICT, HASTY = free_port(), free_port()
CONFIG = {
    "node.loops": "2", "auth.defer_timeout": "3s", "hook.defer_timeout": "10m", "mqtt.acl_cache_ttl": "1h",
    "listener.tcp.strict": f"127.0.0.1:{STRICT}", "listener.tcp.strict.zone": "strict",
    "zone.strict.acl_nomatch": "deny",
    "listener.tcp.hasty": f"127.0.0.1:{HASTY}", "listener.tcp.hasty.zone": "hasty", "zone.hasty.idle_timeout": "1s",
}


def loaded(b):
    if not (b.dir / "plugins/corners.so").exists():
        compile_plugin(b, "corners", "corners", [quoted("ID", "corners")])
    if b.ctl("corners").returncode:
        b.load("corners")
    return lambda *words: {k: int(v) for k, v in (pair.split("=") for pair in b.ctl("corners", *words).stdout.split())}


def shown(b, key):
    return re.search(rf"^ *{key} *[:=] *(.*)$", b.ctl("plugins", "show", "corners").stdout, re.M)[1]


def metrics(b, *names):
    return [b.metric(name) for name in names]


def published(b, topic, count):
    """The broker's growth while a client publishes to it."""
    sub, c = b.client(5, "watch"), b.client(5, "source")
    sub.subscribe(topic, 0)

    def round(n):
        for _ in range(n):
            c.deliver(topic, b"x", 1)
            sub.expect("PUBLISH", topic=topic)

    round(50)
    before = b.own_memory()
    round(count)
    return b.own_memory() - before


@measures
@limit(60)
def test_a_message_that_was_replaced_twice_is_given_up(b):
    """Two hooks put 64 KiB in place, one after the other."""
    loaded(b)
    grown = published(b, "double", 400)
    assert grown < 12 << 20, f"{grown >> 20} MiB"
    sub, c = b.client(5, "watch"), b.client(5, "source")
    sub.subscribe("double")
    c.deliver("double", b"x")
    assert set(sub.expect("PUBLISH").payload) == {ord("8")}


@measures
@limit(60)
def test_an_answer_that_comes_too_late_keeps_nothing(b):
    """The replacement of a second resume() goes to the host as that of the first."""
    said = loaded(b)
    grown = published(b, "stale", 400)
    # The plugin counts after its second answer; the client has heard of the first.
    wait_until(lambda: said()["stale"] >= 450, lambda: f"450 late answers: {said()}")
    assert said()["stale"] == 450
    assert grown < 12 << 20, f"{grown >> 20} MiB"


def test_who_answers_at_once_owes_nothing(b):
    """defer(), then MARTLET_STOP: nobody waits for a second answer."""
    loaded(b)
    c = b.client(5)
    for _ in range(10):
        c.deliver("stop", b"x", 1)
    assert shown(b, "deferrals_open") == "0"


def test_hooks_are_shown_what_concerns_them_now(b):
    """A hook with a topic filter sees the message that the hooks before it have left, also after one that waited."""
    said = loaded(b)
    sub, c = b.client(5, "watch"), b.client(5, "source")
    sub.subscribe("moved/#")
    before = said()
    for payload in (b"now", b"later"):
        c.deliver("away", payload, 1)
        sub.expect("PUBLISH", topic="moved/away", payload=payload)
    after = said()
    assert (after["moved"] - before["moved"], after["away"] - before["away"]) == (2, 0)


def test_a_message_that_waits_stays_the_same(b):
    """Its id and the time of its arrival, from which its expiry counts, are those the first hook has seen."""
    said, c = loaded(b), b.client(5)
    for i in range(20):
        c.deliver(f"wait/{i}", b"x", i % 2 + 1)
    for i in range(20):
        c.deliver("slow/wait", b"x", 1)
    assert said()["strangers"] == 0


def test_what_nobody_decided_is_not_remembered(b):
    """A module that does not answer in time, or could not decide, denies this message and no other."""
    said, c = loaded(b), b.client(5)
    before, errors, timeouts = said()["asked"], shown(b, "acl"), metrics(b, "auth/timeouts", "hooks/timeouts")
    c.deliver("never/1", b"x", 1, codes=(0x87,))
    c.deliver("never/1", b"x", 1)
    c.deliver("never/1", b"x", 1)
    assert said()["asked"] - before == 2
    # auth.defer_timeout is for both.
    assert metrics(b, "auth/timeouts", "hooks/timeouts") == [timeouts[0] + 1, timeouts[1]]
    for _ in range(3):
        c.deliver("error/1", b"x", 1, codes=(0x87,))
    assert said()["asked"] - before == 5
    count = [int(re.search(r"errors=(\d+)", text)[1]) for text in (errors, shown(b, "acl"))]
    assert count[1] - count[0] == 3, "MARTLET_ERROR is counted"
    assert "could not decide" in b.tail()


def test_decisions_are_counted_once(b):
    """However often their packet is looked at."""
    loaded(b)
    names = ("acl/checks", "acl/cache_hits", "auth/allowed", "messages/received")
    before = metrics(b, *names)
    c = b.client(5, will=Will("will/1", b"gone"))
    assert metrics(b, *names)[2] == before[2] + 1
    c.subscribe([(name, 0) for name in ("a", "slow/b", "c", "slow/d", "e")])
    c.subscribe([(name, 0) for name in ("a", "slow/b", "c")])
    assert metrics(b, *names)[:2] == [before[0] + 8, before[1] + 3]
    for _ in range(2):
        c.deliver("wait/here", b"x", 1)
        c.deliver("slow/here", b"x", 1)
    assert metrics(b, *names) == [before[0] + 12, before[1] + 5, before[2] + 1, before[3] + 4]


def test_a_proof_is_taken_once(b):
    """One module ignores later, the next allows, and then the will's topic is asked about."""
    loaded(b)("pass", "1")
    b.client(5, client_id="once-will", will=Will("will/once", b"gone"))


def test_a_proof_is_taken_once_on_another_loop(b):
    """While a module thinks, another connection with the client id gets in, on another loop perhaps."""
    said = loaded(b)
    before = b.metric("connections/moved")
    for i in range(12):
        said("hold", "2")
        for n, c in enumerate([b.raw(5), b.raw(5)]):
            c.hello(f"once-moved-{i}")
            wait_until(lambda: said("hold", "2")["held"] == n + 1)
            clients = [c] if n == 0 else [*clients, c]
        for c in clients:
            said("go")
            c.expect("CONNACK", code=0)
    assert b.metric("connections/moved") > before, "none of them was on another loop"


def test_a_plugin_may_take_longer_than_a_client(b):
    """`mqtt.idle_timeout` is for a client that does not send its CONNECT, not for a module that thinks about it."""
    said = loaded(b)
    said("hold", "1")
    c = b.raw(5, port=HASTY).hello("once-hasty")
    wait_until(lambda: said("hold", "1")["held"] == 1)
    for silent in [b.raw(5, port=HASTY) for _ in range(3)]:
        silent.expect_eof()
    said("go")
    c.expect("CONNACK", code=0)


@versions(4, 5)
def test_a_will_needs_permission_also_when_nobody_is_asked(b, v):
    """`acl_nomatch = deny` without an ACL module."""
    if not b.ctl("corners").returncode:
        assert not b.ctl("plugins", "unload", "corners").returncode
    sub = b.client(5, "watch")
    sub.subscribe("#")
    c = b.raw(v, port=STRICT).connect(b.id("dies"), will=Will("last/words", b"gone"))
    c.close()
    sub.quiet()
