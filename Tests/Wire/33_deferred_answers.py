# SPDX-License-Identifier: Apache-2.0
"""An auth plugin that answers later, from a thread of its own: only its own client waits."""
import re
import time

from wire import *
from wire.cplugin import compile_plugin, quoted

MARTLET_ONLY = True
PLUGINS = []
CONFIG = {"node.loops": "4"}


def loaded(b):
    if not (b.dir / "plugins/slow_auth.so").exists():
        compile_plugin(b, "slow_auth", "slow_auth")
    if b.ctl("slow_auth").returncode:
        b.load("slow_auth")


def counters(b):
    return dict(pair.split("=") for pair in b.ctl("slow_auth").stdout.split())


@versions(3, 4, 5)
def test_allowed_later(b, v):
    """CONNACK comes when the answer came."""
    loaded(b)
    begun = time.monotonic()
    c = b.client(v, client_id=f"after-300-{v}")
    assert time.monotonic() - begun > 0.25
    c.quiet()


@versions(3, 4, 5)
def test_denied_later(b, v):
    """4 or 5 in 3.x, 0x86 or 0x87 in MQTT 5, then closed. 3.1.1: [MQTT-3.2.2-5]. 5.0: [MQTT-3.2.2-7] [MQTT-3.1.4-2]."""
    loaded(b)
    c = b.raw(v)
    c.hello(f"deny-100-{v}")
    p = c.expect("CONNACK")
    assert p.code in ((0x86, 0x87) if v == 5 else (4, 5)), p
    c.expect_eof()


def test_others_do_not_wait(b):
    """While fifty clients wait, another connects, publishes and receives."""
    loaded(b)

    def visits():
        waiting = [b.raw(5, f"w{i}").hello(f"after-1500-{i}") for i in range(50)]
        begun = time.monotonic()
        b.visits()
        spent = time.monotonic() - begun
        for c in waiting:
            c.expect("CONNACK", code=0)
            c.disconnect()
        return "" if spent < 1.4 else f"{spent:.2f} s for the others"

    in_time(visits)


def test_never_answered_ends_at_the_time_limit(b):
    """The host owns the timeout: 0x88 server unavailable, 3 in 3.1.1. 3.1.1: [MQTT-4.8.0-2]: a module that does not
    answer is such an error, and the connection ends."""
    loaded(b)
    for v, code in ((5, 0x88), (4, 3), (3, 3)):
        c = b.raw(v)
        c.hello(f"never-{v}")
        c.expect("CONNACK", code=code)
        c.expect_eof()
    b.client(5).quiet()


def outcome(c):
    """The code of CONNACK; who is refused is closed."""
    code = c.expect("CONNACK").code
    if code:
        c.expect_eof()
    return code


@versions(4, 5)
def test_one_identifier_claimed_on_several_loops(b, v):
    """3.1.1: [MQTT-4.8.0-2]: who loses the race for an identifier is told to come again, and closed.
    3.1.1: [MQTT-3.1.4-2]. 5.0: [MQTT-3.1.4-3] [MQTT-3.2.2-7]: one of all is left."""
    loaded(b)
    lost = 3 if v == 4 else 0x89
    # Each loop looks for the session before its module blocks, and finds it taken when it wants to make one.
    racing = [b.raw(v, f"r{i}") for i in range(12)]
    for c in racing:
        c.hello(f"block-200-race{v}")
    codes = [outcome(c) for c in racing]
    assert set(codes) == {0, lost}, codes
    alive = []
    for c, code in zip(racing, codes):
        if code == 0:
            c.try_send(pingreq())
            p = c.packet()
            if p and p.name == "PINGRESP":
                alive.append(c)
            else:
                assert p is None or p.name == "DISCONNECT" and p.code == 0x8E, p
    assert len(alive) == 1, f"{len(alive)} of {len(racing)} clients have one identifier"


@versions(3, 4, 5)
def test_nothing_behind_a_connect_refused_later_is_processed(b, v):
    """3.1.1: [MQTT-3.1.4-5]. 5.0: [MQTT-3.1.4-6]: not while the answer is awaited, not after it."""
    loaded(b)
    watcher = b.client(4, "watcher")
    watcher.subscribe(b.topic())
    c = b.raw(v)
    c.send(connect(v, f"deny-200-behind{v}"), publish(v, b.topic(), b"sneaked in"))
    c.expect("CONNACK", code=0x86 if v == 5 else 4)
    c.try_send(publish(v, b.topic(), b"too late"))
    c.expect_eof()
    b.nothing_for(watcher, b.client(4, "publisher"))


def test_second_answer_is_stale(b):
    """The first one counts."""
    loaded(b)
    before = counters(b)
    c = b.client(5, client_id="twice-50-x")
    c.quiet()
    # The plugin's thread counts once it has answered, which the client may see first.
    wait_until(lambda: int(counters(b)["stale"]) > int(before["stale"]), "the second answer")
    after = counters(b)
    assert int(after["taken"]) == int(before["taken"]) + 1 and int(after["stale"]) == int(before["stale"]) + 1, after


def test_late_answer_is_stale(b):
    """The client was refused at the time limit; what comes then changes nothing."""
    loaded(b)
    before = counters(b)
    c = b.raw(5)
    c.hello("late-600-x")
    c.expect("CONNACK", code=0x88)
    c.expect_eof()
    wait_until(lambda: counters(b)["open"] == "0", "the late answer")
    after = counters(b)
    assert int(after["stale"]) == int(before["stale"]) + 1 and after["taken"] == before["taken"], (before, after)


def test_client_that_leaves_before_the_answer(b):
    """Its answer is stale; nobody else is hurt."""
    loaded(b)
    before = counters(b)
    for i in range(10):
        b.raw(5).hello(f"after-200-gone{i}").close()
    given = lambda said: int(said["taken"]) + int(said["stale"])
    wait_until(lambda: given(counters(b)) >= given(before) + 10, lambda: f"ten answers: {before}, {counters(b)}")
    assert given(counters(b)) == given(before) + 10
    b.client(5).quiet()


def test_packets_behind_connect_wait_in_order(b):
    """What the client sent while its CONNECT was undecided is read afterwards, in order."""
    loaded(b)
    c = b.raw(5)
    c.hello("after-300-order")
    c.send(subscribe(5, 1, [(b.topic(), 1)]), publish(5, b.topic(), b"one", 1, pid=2),
           publish(5, b.topic(), b"two", 1, pid=3))
    c.expect("CONNACK", code=0)
    c.expect("SUBACK", pid=1)
    names = [c.packet() for _ in range(4)]
    assert [p.payload for p in names if p.name == "PUBLISH"] == [b"one", b"two"]
    assert [p.pid for p in names if p.name == "PUBACK"] == [2, 3]


def test_unload_with_answers_open(b):
    """The chain's default decides for who waits; the plugin rests before it goes; no crash, nothing mapped."""
    loaded(b)
    waiting = [b.raw(5, f"w{i}").hello(f"after-800-open{i}") for i in range(20)]
    b.client(5).quiet()
    done = b.ctl("plugins", "unload", "slow_auth")
    assert done.returncode == 0, done
    for c in waiting:
        p = c.packet()
        assert p is None or p.name == "CONNACK", p
    assert "slow_auth" not in b.maps()
    b.client(5).quiet()


def test_an_open_publish_hook_decides_even_when_it_was_the_only_one(b):
    """The chain's default is MARTLET_STOP: acknowledged and dropped, though no hook is left when the packet goes on."""
    compile_plugin(b, "only_retained", "only_retained", [quoted("ID", "only_retained")])
    b.load("only_retained")
    assert b.ctl("only_retained", "on").returncode == 0
    sub, c = b.client(5, "sub"), b.client(5, "pub")
    sub.subscribe("never")
    c.send(publish(5, "never", b"x", 1, pid=7))
    shown = lambda: b.ctl("plugins", "show", "only_retained").stdout
    wait_until(lambda: re.search(r"deferrals_open\W+1\b", shown()), "a deferral")
    assert b.ctl("plugins", "unload", "only_retained").returncode == 0
    c.expect("PUBACK", pid=7)
    c.deliver("never", b"y", 1)
    assert sub.expect("PUBLISH").payload == b"y"
