# SPDX-License-Identifier: Apache-2.0
"""A packet with several decisions of which some come later: each answer counts for what was asked, and only there."""
from wire import *
from wire.cplugin import compile_plugin, quoted

MARTLET_ONLY = True
PLUGINS = []
CONFIG = {"mqtt.acl_cache_ttl": "1h"}


COUNTED = ("packets/received", "packets/connect", "packets/subscribe", "packets/publish/received")


def loaded(b):
    if not (b.dir / "plugins/second_thoughts.so").exists():
        compile_plugin(b, "second_thoughts", "second_thoughts", [quoted("ID", "second_thoughts")])
        b.load("second_thoughts")
    return lambda: {k: int(v) for k, v in (pair.split("=") for pair in b.ctl("second_thoughts").stdout.split())}


@versions(4, 5)
def test_answers_stay_with_their_filters(b, v):
    """What was answered at once is cached when the packet is looked at again; the others' answers must not move up.
    3.1.1: [MQTT-3.8.4-5]. 5.0: [MQTT-3.8.4-7]."""
    said, c = loaded(b), b.client(v, f"filters-{v}")
    before, denied = said(), 0x87 if v == 5 else 0x80
    names = ["a/yes", "slow/yes", "slow/no", "b/no", "slow/also/no", "slow/more/yes", "c/yes", "slow/a/no"]
    c.subscribe([(name, 1) for name in names], codes=[denied if name.endswith("no") else 1 for name in names])
    after = said()
    assert after["asked"] - before["asked"] == len(names), "each filter is asked about once"
    assert after["seen"] - before["seen"] == 1, "the hook before the one that answers later is called once"


def test_what_earlier_hooks_changed_stays(b):
    """A hook replaces filters and grants less, refuses one; the next one answers later."""
    loaded(b)
    c, d = b.client(5, "rewritten"), b.client(5, "pub")
    c.subscribe([("from/a", 2), ("plain", 2), ("never", 1), ("from/b", 1)], codes=[0, 2, 0x87, 0])
    for topic in ("to/0", "plain", "to/3", "from/a", "never"):
        d.deliver(topic, topic.encode(), 1)
    assert [c.expect("PUBLISH").payload for _ in range(1)] == [b"to/0"]
    p = c.expect("PUBLISH", topic="plain")
    c.ack(p)
    assert c.expect("PUBLISH").payload == b"to/3"
    c.quiet()


@versions(4, 5)
def test_a_replaced_message_stays_replaced(b, v):
    """A hook puts another message in place; the next one, which answers later, replaces nothing."""
    said, sub, c = loaded(b), b.client(5, f"watch-{v}"), b.client(v, f"source-{v}")
    sub.subscribe("both", 1)
    before = said()
    for qos in (0, 1, 2):
        c.deliver("both", b"old", qos)
        p = sub.expect("PUBLISH", topic="both")
        assert p.payload == b"new", p
        sub.ack(p)
    after = said()
    assert after["seen"] - before["seen"] == 3 and after["asked"] - before["asked"] == 1


def test_decisions_of_one_packet_do_not_count_for_another_question(b):
    """The access check of a PUBLISH and its hook both answer later, in this order."""
    loaded(b)
    sub, c = b.client(5, "watch"), b.client(5, "source")
    sub.subscribe("#", 1)
    for topic, code in (("slow/1/no", 0x87), ("slow/1/yes", 0), ("slow/2/no", 0x87), ("slow/2/yes", 0)):
        c.deliver(topic, topic.encode(), 1, codes=(code,))
    for _ in range(2):
        p = sub.expect("PUBLISH")
        assert p.topic.endswith("yes"), p
        sub.ack(p)
    sub.quiet()


def test_a_packet_that_waits_is_counted_once(b):
    """It is looked at again, perhaps on another loop, where a client of the same name has its session."""
    loaded(b)
    before = [b.metric(name) for name in COUNTED]
    clients = [b.raw(5, "counted") for _ in range(20)]
    for c in clients:
        c.connect("counted")
    clients[-1].subscribe("slow/yes")
    for _ in range(5):
        clients[-1].deliver("both", b"x", 1)
    assert [b.metric(name) - was for name, was in zip(COUNTED, before)] == [26, 20, 1, 5]


def test_what_was_forgotten_meanwhile_is_asked_again(b):
    """An answer that is followed by `invalidate` is not remembered when the packet is looked at again, however early
    both come."""
    said, c = loaded(b), b.client(5)
    before, forgotten = said()["asked"], said()["forgotten"]
    for n, topic in enumerate(["slow/forget/yes"] * 3 + ["slow/forget/early/yes"] * 3, 1):
        c.subscribe(topic)
        # SUBACK may be there before.
        wait_until(lambda n=n: said()["forgotten"] - forgotten == n)
    assert said()["asked"] - before == 6
    for _ in range(3):
        c.subscribe("slow/keep/yes")
    assert said()["asked"] - before == 7
