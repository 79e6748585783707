# SPDX-License-Identifier: Apache-2.0
"""Sessions and subscriptions by the thousand: lists are whole, and what concerns all of them is done in parts."""
import re

from wire import *

MARTLET_ONLY = True
PLUGINS = []
SESSIONS = 4500  # more than the sweeps look at in one tick
CONFIG = {"node.loops": "1", "mqtt.session.retry_interval": "1s", "mqtt.max_packet_size": "1MB"}


def stat(b, name):
    return next(int(line.split(":")[1]) for line in b.lines("broker", "stats") if line.split(":")[0].strip() == name)


def test_lists_are_whole(b):
    """topics, routes and subscriptions of a client that has thousands, each once; a share group's with its name."""
    name = b.id("many")
    c = b.client(4, client_id=name)
    filters = [f"{b.topic()}/{n}" for n in range(3000)]
    c.subscribe([(f, 1) for f in filters])
    c.subscribe(f"$share/g/{b.topic()}/0")
    assert [t for t in b.lines("topics", "list") if t.startswith(b.topic())] == sorted(filters)
    assert [r for r in b.lines("routes", "list") if r.startswith(b.topic())] == [
        f"{t} -> martlet@127.0.0.1" for t in sorted(filters)]
    whole = {f"{name} -> {f}" for f in [*filters, f"$share/g/{b.topic()}/0"]}
    listed = [s for s in b.lines("subscriptions", "list") if s.startswith(name)]
    assert len(listed) == len(whole) and set(listed) == whole
    shown = [s for s in b.lines("subscriptions", "show", name) if " -> " in s]
    assert len(shown) == len(whole) and set(shown) == whole
    assert b.lines("topics", "show", filters[7]) == [f"{filters[7]} -> martlet@127.0.0.1"]
    nobody = b.ctl("topics", "show", b.topic())
    assert (nobody.returncode, nobody.stderr) == (1, f'Not Found: there is no topic "{b.topic()}".\n')


@versions(4, 5)
def test_nothing_comes_after_the_end(b, v):
    """A session with 5,000 filters ends: its successor has none of them, and none is left in the table.
    3.1.1: [MQTT-3.1.2-6]. 5.0: [MQTT-3.1.2-4]."""
    old = b.client(v, client_id=b.id("many"))
    old.subscribe([(f"{b.topic()}/{n}", 1) for n in range(5000)])
    new, publisher = b.client(v, client_id=b.id("many")), b.client(4, "publisher")
    new.subscribe(f"{b.topic()}/1", 1)
    for n in (0, 1, 2, 4999):
        publisher.deliver(f"{b.topic()}/{n}", str(n), 1)
    new.take(f"{b.topic()}/1", "1", qos=1)
    b.nothing_for(new, publisher)
    left = lambda: [t for t in b.lines("topics", "list") if t.startswith(b.topic())]
    wait_until(lambda: len(left()) == 1, "the filters to leave the table")
    assert left() == [f"{b.topic()}/1"]


@limit(120)
def test_every_session_is_listed_and_looked_at(b):
    """Thousands of sessions: each is listed and counted, and a message of the last one is sent again."""
    before = stat(b, "sessions/persistent/count")
    for n in range(SESSIONS):
        b.raw(4).connect(b.id(f"kept-{n}"), clean=0).disconnect()
    last, publisher = b.raw(4, "last").connect(b.id("last")), b.client(4, "publisher")
    last.subscribe(b.topic(), 1)
    publisher.deliver(b.topic(), b"x", 1)
    first, again = last.packet(), last.packet()
    assert (first.pid, first.payload, first.dup, again.pid, again.payload, again.dup) == (
        first.pid, b"x", 0, first.pid, b"x", 1), (first, again)
    assert stat(b, "sessions/persistent/count") == before + SESSIONS
    kept = [re.match(r"Session\((.*?),", line)[1] for line in b.lines("sessions", "list", "persistent")]
    assert sorted(k for k in kept if k.startswith("kept-")) == sorted(b.id(f"kept-{n}") for n in range(SESSIONS))
    assert sum(b.id("last") in line for line in b.lines("clients", "list")) == 1
