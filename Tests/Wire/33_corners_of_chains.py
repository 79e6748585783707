# SPDX-License-Identifier: Apache-2.0
"""Several plugins that change, hold back and answer late or twice: what each of them sees, and what is left behind."""
import re

from wire import *
from wire.cplugin import compile_plugin, quoted

MARTLET_ONLY = True
PLUGINS = []
STRICT = free_port()
CONFIG = {
    "node.loops": "2", "auth.defer_timeout": "1s", "hook.defer_timeout": "10m", "mqtt.acl_cache_ttl": "1h",
    "listener.tcp.strict": f"127.0.0.1:{STRICT}", "listener.tcp.strict.zone": "strict",
    "zone.strict.acl_nomatch": "deny",
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
