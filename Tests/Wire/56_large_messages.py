# SPDX-License-Identifier: Apache-2.0
"""Messages of a kilobyte to a megabyte arrive as they were sent, whoever is slow and whatever is sent meanwhile."""
import threading

from wire import *

SIZES = (1000, 1023, 1024, 4096, 8192, 8193, 16384, 65536, 131072, 262144, 1000000)
PROPS = {"content_type": "text/plain", "user_property": [("a", "b")]}


def body(seed, size):
    """Differs from place to place and from message to message."""
    word = b"".join((seed * 7919 + i).to_bytes(4, "big") for i in range(256))
    return (word * (size // len(word) + 1))[:size]


def receivers(b, name, qos=0):
    """Enough of each version for every loop of the broker to have some."""
    subs = [b.client(v, f"{name}{v}{i}") for v in (4, 5) for i in range(4)]
    for sub in subs:
        sub.subscribe(b.topic(name), qos)
    return subs


def in_background(send):
    thread = threading.Thread(target=send)
    thread.start()
    return thread


@versions(4, 5)
@limit(120)
def test_every_size_to_one_receiver(b, v):
    """QoS 0 from 3.1.1 to 3.1.1, 5 to 5, and between them; with RETAIN, which the receiver does not see."""
    pub = b.client(v, "pub")
    for to in (4, 5):
        for i in range(4):
            sub = b.client(to, f"sub{to}{i}")
            sub.subscribe(b.topic("one"), 0)
            for n, size in enumerate(SIZES):
                for retain in (0, 1):
                    pub.send(publish(v, b.topic("one"), body(n, size), retain=retain))
                    p = sub.expect_publish(b.topic("one"), body(n, size), qos=0)
                    assert p.retain == 0, "RETAIN is for those that subscribe later"
            pub.publish(b.topic("one"), b"", retain=1)
            sub.expect_publish(b.topic("one"), b"")
            sub.disconnect()


@limit(120)
def test_every_size_to_many_receivers(b):
    """One body for all of them, whatever their version."""
    subs = receivers(b, "many")
    for v in (4, 5):
        pub = b.client(v, f"pub{v}")
        for n, size in enumerate(SIZES):
            sender = in_background(lambda: pub.send(publish(v, b.topic("many"), body(n, size))))
            for sub in subs:
                sub.expect_publish(b.topic("many"), body(n, size))
            sender.join()


@limit(120)
def test_properties_of_large_messages(b):
    """Passed on with the payload, with a subscription identifier and without."""
    pub, plain, marked = b.client(5, "pub"), b.client(5, "plain"), b.client(5, "marked")
    old = b.client(4, "old")
    plain.subscribe(b.topic(), 0)
    old.subscribe(b.topic(), 0)
    marked.subscribe(b.topic(), 0, props={"subscription_identifier": 77})
    for n, size in enumerate(SIZES[:-2]):
        pub.send(publish(5, b.topic(), body(n, size), props=PROPS))
        p = plain.expect_publish(b.topic(), body(n, size))
        assert p.props["content_type"] == "text/plain" and "subscription_identifier" not in p.props, p.props
        p = marked.expect_publish(b.topic(), body(n, size))
        assert p.props["content_type"] == "text/plain" and p.props["subscription_identifier"] in (77, [77]), p.props
        old.expect_publish(b.topic(), body(n, size))


@limit(120)
def test_streams_beside_each_other(b):
    """Batches of all sizes from several publishers, cut by the network as it likes, each to one receiver."""
    pairs = []
    for i in range(6):
        pub, sub = b.client(4, f"pub{i}"), b.client(4, f"sub{i}")
        sub.subscribe(b.topic(str(i)), 0)
        pairs.append((i, pub, sub))
    sizes = [SIZES[(n * 5) % 8] if n % 9 else 100 for n in range(60)]

    def send(i, pub):
        for at in range(0, len(sizes), 6):
            pub.send(b"".join(publish(4, b.topic(str(i)), body(i * 100 + n, sizes[n])) for n in range(at, at + 6)))

    senders = [in_background(lambda i=i, pub=pub: send(i, pub)) for i, pub, _ in pairs]
    for n, size in enumerate(sizes):
        for i, _, sub in pairs:
            sub.expect_publish(b.topic(str(i)), body(i * 100 + n, size))
    for sender in senders:
        sender.join()


@limit(120)
def test_who_reads_late_gets_the_same_bytes(b):
    """What waits for a slow receiver is not overwritten by what is received after it."""
    for size in (2000, 16384, 200000):
        slow = b.raw(4, f"slow{size}", rcvbuf=4096)
        slow.connect(b.id(f"slow{size}"))
        slow.subscribe(b.topic(str(size)), 0)
        pub, other = b.client(4, f"pub{size}"), b.client(4, f"other{size}")
        other.subscribe(b.topic("other"), 0)
        count = max(2, 600_000 // size)
        pub.send(b"".join(publish(4, b.topic(str(size)), body(n, size)) for n in range(count)))
        for n in range(100):
            pub.send(publish(4, b.topic("other"), body(1000 + n, 20000)))
            other.expect_publish(b.topic("other"), body(1000 + n, 20000))
        for n in range(count):
            slow.expect_publish(b.topic(str(size)), body(n, size))


@limit(120)
def test_acknowledged_ones(b):
    """QoS 1 of every size to many, one of them away meanwhile."""
    keep = {"clean": 0, "props": {"session_expiry_interval": 60}}
    away = b.client(5, "away", **keep)
    away.subscribe(b.topic("many"), 1)
    away.disconnect()
    subs = receivers(b, "many", 1)
    pub = b.client(4, "pub")
    for n, size in enumerate(SIZES[:-1]):
        sender = in_background(lambda: pub.send(publish(4, b.topic("many"), body(n, size), 1, pid=n + 1)))
        for sub in subs:
            sub.take(b.topic("many"), body(n, size), qos=1)
        sender.join()
        pub.expect("PUBACK", pid=n + 1)
    away = b.client(5, "away", session_present=1, **keep)
    for n, size in enumerate(SIZES[:-1]):
        away.take(b.topic("many"), body(n, size), qos=1)
