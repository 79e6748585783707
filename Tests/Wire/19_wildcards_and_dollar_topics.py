# SPDX-License-Identifier: Apache-2.0
"""Which filters match which topics."""
import itertools
import random

from wire import *

MATCHES = [
    ("sport/tennis/player1/#", "sport/tennis/player1", True),
    ("sport/tennis/player1/#", "sport/tennis/player1/ranking", True),
    ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", True), ("sport/#", "sport", True),
    ("sport/#", "sports", False), ("#", "a", True), ("#", "/", True), ("#", "a/b/c/d", True), ("+", "a", True),
    ("+", "/a", False), ("+/+", "/finance", True), ("/+", "/finance", True), ("+", "a/b", False),
    ("sport/+", "sport", False),
    ("sport/+", "sport/", True), ("sport/+/player1", "sport/tennis/player1", True), ("a/+/c", "a//c", True),
    ("a/+/+/d", "a/b/c/d", True), ("+/#", "a", True), ("+/#", "a/b/c", True), ("a/b", "a/b/", False),
    ("a/b/", "a/b", False),
    ("/a", "a", False), ("A", "a", False), ("a//b", "a/b", False), ("a/+/#", "a", False), ("a/+/#", "a/b", True),
    ("+/b/#", "a/b", True), ("+/b/#", "a/c/b", False), ("/#", "/", True), ("/#", "a", False), ("+/+/+", "//", True),
    ("a/#", "a/", True), ("a b/+", "a b/c d", True), ("é/+", "é/ü", True), ("x/+/z", "x/$y/z", True),
]


@versions(3, 4, 5)
def test_filters_match_as_the_specification_says(b, v):
    """3.1.1: [MQTT-4.7.1-2] [MQTT-4.7.1-3] [MQTT-4.7.3-4] [MQTT-3.3.2-3].
    5.0: [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.3-4] [MQTT-3.3.2-3]."""
    c, pub = b.client(v), b.client(4, "publisher")
    for filter_, topic, expected in MATCHES:
        c.subscribe(filter_, 0)
        c.subscribe("$marker", 0)
        pub.publish(topic, b"x")
        pub.publish("$marker", b"$marker")
        p = c.expect_publish()
        assert (p.topic == topic) == expected, f"{filter_} and {topic}"
        if expected:
            c.expect_publish("$marker")
        c.unsubscribe(filter_)
        c.unsubscribe("$marker")


@versions(3, 4, 5)
def test_retained_messages_match_alike(b, v):
    """The store of retained messages follows the same rules. 3.1.1: [MQTT-3.3.1-6]. 5.0: [MQTT-3.3.1-9]."""
    pub, topics = b.client(4, "publisher"), sorted({topic for _, topic, _ in MATCHES})
    for topic in topics:
        pub.deliver("m/" + topic, b"x", 1, retain=1)
    for filter_, topic, expected in MATCHES:
        c = b.client(v, "reader")
        c.subscribe("m/" + filter_, 0)
        found = set()
        while (p := c.quiet_or_publish()) is not None:
            found.add(p.topic)
        assert ("m/" + topic in found) == expected, f"{filter_} and {topic}"
        c.close()
    b.clear(*("m/" + topic for topic in topics))


@versions(3, 4, 5)
def test_leading_wildcards_miss_dollar_topics(b, v):
    """3.1.1: [MQTT-4.7.2-1]. 5.0: [MQTT-4.7.2-1]."""
    c, pub = b.client(v), b.client(4, "publisher")
    c.subscribe([("#", 0), ("+/dollar", 0), ("+/#", 0)])
    explicit = b.client(v, "explicit")
    explicit.subscribe("$mine/#", 0)
    pub.publish("$mine/dollar", b"x")
    explicit.expect_publish("$mine/dollar", b"x")
    pub.publish("ends", b"here")
    p = c.expect_publish()
    assert p.topic == "ends", p


@versions(4, 5)
def test_leading_wildcards_miss_retained_dollar_topics(b, v):
    """3.1.1: [MQTT-4.7.2-1]. 5.0: [MQTT-4.7.2-1]."""
    b.client(4, "publisher").deliver("$mine/kept", b"x", 1, retain=1)
    c = b.client(v)
    c.subscribe([("+/kept", 0), ("#", 0)])
    c.send(pingreq())
    while (p := c.packet()).name != "PINGRESP":
        assert not p.topic.startswith("$mine"), p
    b.clear("$mine/kept")


@versions(4, 5)
def test_a_dollar_inside_is_nothing_special(b, v):
    """3.1.1: §4.7.2. 5.0: §4.7.2."""
    c = b.client(v)
    c.subscribe("+/$x", 0)
    c.publish("a/$x", b"x")
    c.expect_publish("a/$x")


def test_many_filters_one_topic(b):
    """One message, a thousand filters that match and a thousand that do not."""
    c = b.client(4)
    c.subscribe([(b.topic(f"{i}/+/x"), 0) for i in range(1000)] + [(b.topic(f"+/{i}/#"), 0) for i in range(1000)])
    c.publish(b.topic("7/8/x"), b"hit")
    c.expect_publish(b.topic("7/8/x"), b"hit")
    c.publish(b.topic("nothing/nowhere"), b"miss")
    while (p := c.quiet_or_publish()) is not None:
        assert p.topic == b.topic("7/8/x")


@versions(3, 4, 5)
def test_deep_topics(b, v):
    """A hundred levels."""
    deep = b.topic("/".join("l" * 100))
    c = b.client(v)
    c.subscribe([(deep, 0), (b.topic("l/" + "+/" * 98 + "l"), 0), (b.topic("l/l/l/#"), 0)])
    c.publish(deep, b"down there")
    c.expect_publish(deep, b"down there")


def matches(filter_, topic):
    """For topics without $ in the first level."""
    for f, t in itertools.zip_longest(filter_.split("/"), topic.split("/")):
        if f == "#":
            return True
        if f is None or t is None or f not in ("+", t):
            return False
    return True


@limit(120)
def test_topics_of_a_kind_while_filters_come_and_go(b):
    """5.0: [MQTT-3.3.2-3]. What is known of topics that no filter tells apart ends with one that does."""
    dice, root = random.Random(5), b.topic("kinds")
    level = lambda: dice.choice(["a", "b", "long-level-name"])
    pub, readers = b.client(4, "publisher"), [b.client(5, f"reader{i}") for i in range(4)]
    wanted = {c: [] for c in readers}
    for c in readers:
        c.subscribe(f"{root}/end", 0)
    for turn in range(120):
        c = dice.choice(readers)
        if len(wanted[c]) < 3:
            levels = [dice.choice(["+", level()]) for _ in range(dice.randint(1, 4))]
            levels += dice.choice([[], ["#"], [str(turn * 8 + 4)]])
            filter_ = f"{root}/{'/'.join(levels)}"
            if filter_ not in wanted[c]:
                c.subscribe(filter_, 0)
                wanted[c].append(filter_)
        else:
            filter_ = wanted[c].pop(dice.randrange(3))
            c.unsubscribe(filter_)
        stem = [level() for _ in range(dice.randint(1, 4))]
        topics = [f"{root}/{'/'.join(stem)}/{turn * 8 + i}" for i in range(8)]
        for topic in topics + [f"{root}/end"]:
            pub.publish(topic, b"x")
        for c in readers:
            expected = [t for t in topics if any(matches(f, t) for f in wanted[c])]
            got = []
            while (p := c.expect_publish()).topic != f"{root}/end":
                got.append(p.topic)
            assert got == expected, (turn, wanted[c], got, expected)
