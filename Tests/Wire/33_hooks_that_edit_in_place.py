# SPDX-License-Identifier: Apache-2.0
"""Filters that a hook has edited in place, and a feed that starts another one: the broker looks before it uses them."""
from wire import *
from wire.cplugin import compile_plugin, quoted

MARTLET_ONLY = True
PLUGINS = []
CONFIG = {"listener.tcp.test.mountpoint": "m/", "mqtt.session.max_subscriptions": "2"}


def loaded(b):
    if not (b.dir / "plugins/in_place.so").exists():
        compile_plugin(b, "in_place", "in_place", [quoted("ID", "in_place")])
        b.load("in_place")
    return lambda: {k: int(v) for k, v in (pair.split("=") for pair in b.ctl("in_place").stdout.split())}


@versions(4, 5)
def test_a_filter_without_bytes_is_refused(b, v):
    """Under a mountpoint too, and when the session has all the subscriptions it may have."""
    loaded(b)
    c, invalid = b.client(v), 0x8F if v == 5 else 0x80
    c.subscribe("gone", 1, codes=[invalid])
    c.subscribe([("a", 1), ("b", 1), ("gone", 1)], codes=[1, 1, invalid])
    c.unsubscribe("gone", codes=[invalid])
    c.quiet()


def test_no_filter_stands_before_the_first(b):
    """An index that C gives as (size_t)-1 is none."""
    said = loaded(b)
    b.client(5).subscribe("outside", 1, codes=[1])
    assert said()["outside"] < 0


def test_a_feed_that_starts_another(b):
    """While a feed is asked for a message nobody asks it again, and it does not end."""
    said, c = loaded(b), b.client(5)
    before = said()["ends"]
    c.subscribe("fed", 1)
    for payload in (b"1", b"2"):
        assert c.expect("PUBLISH").payload == payload
    c.quiet()
    wait_until(lambda: said()["ends"] >= before + 2, "the ends of both")
    after = said()
    assert after["ends"] - before == 2 and after["deepest"] == 1, after
