# SPDX-License-Identifier: Apache-2.0
"""What a client may send: rate_limit, publish_limit. Resending to 3.x, and the memory of ACL answers."""
import re
import threading
import time

from wire import *

MARTLET_ONLY = True
BYTES, SLOW, MINUTE, RETRY, TIGHT = (free_port() for _ in range(5))
# How much later than on its own machine an answer may come, under a sanitizer.
SLOWER = max(1, DEADLINE / 10)
# What is sent again every second comes within two, or when the machine lets it; the other zones' interval is 20.
LATE = 6 * SLOWER
PLUGINS = ["retainer", "acl_file"]
CONFIG = {
    "node.loops": "2",
    "mqtt.acl_cache_size": "2",
    "mqtt.acl_cache_max_size": "32",
    "mqtt.publish_limit": "20,1s",
    "zone.free.publish_limit": "0",
    "zone.slow.publish_limit": "10,1s",
    "zone.minute.publish_limit": "3,1m",
    "zone.retry.publish_limit": "0",
    "zone.retry.retry_interval": "1s",
    "listener.tcp.test.zone": "free",
    "listener.tcp.bytes": f"127.0.0.1:{BYTES}",
    "listener.tcp.bytes.zone": "free",
    "listener.tcp.bytes.rate_limit": "100KB,100KB",
    "listener.tcp.slow": f"127.0.0.1:{SLOW}",
    "listener.tcp.slow.zone": "slow",
    "listener.tcp.minute": f"127.0.0.1:{MINUTE}",
    "listener.tcp.minute.zone": "minute",
    "listener.tcp.inherits": f"127.0.0.1:{TIGHT}",
    "listener.tcp.inherits.zone": "inherits",
    "listener.tcp.retry": f"127.0.0.1:{RETRY}",
    "listener.tcp.retry.zone": "retry",
    "mqtt.output_high_water": "64KB",
    "mqtt.max_output_buffer": "256KB",
}


def pinged(c, seconds):
    """Pings for some seconds: the longest wait."""
    end, longest = time.monotonic() + seconds, 0
    while (begun := time.monotonic()) < end:
        c.quiet()
        longest = max(longest, time.monotonic() - begun)
    return longest


# -- what a client may send -------------------------------------------------------------------------------------------


@limit(90)
@versions(4, 5)
def test_bytes_beyond_the_rate_wait(b, v):
    """300 KB at 100 KB a second with 100 KB saved up: two seconds; all arrive, in order, and nobody else waits."""
    sub, beside = b.client(4, "sub"), b.client(5, "beside")
    sub.subscribe(b.topic(), 0)
    data = b"".join(publish(v, b.topic(), str(n).encode().ljust(1000, b".")) for n in range(300))

    def sent():
        pub = b.raw(v, "pub", port=BYTES).connect(b.id("pub"))
        before = b.metric("clients/throttled")
        begun = time.monotonic()
        sender = threading.Thread(target=pub.sock.sendall, args=(data,))
        sender.start()
        waited = pinged(beside, 0.5)
        for n in range(300):
            sub.expect_publish(b.topic(), str(n).encode().ljust(1000, b"."))
        spent = time.monotonic() - begun
        sender.join()
        assert spent > 1.8, f"{spent:.2f} s"
        assert b.metric("clients/throttled") > before
        pub.quiet().disconnect()
        return "" if spent < 4 and waited < 1 else f"{spent:.2f} s, {waited:.2f} s for another client"

    in_time(sent)


@limit(90)
def test_bytes_are_evenly_spread(b):
    """The pause follows the rate: no second passes without a message."""
    sub = b.client(4, "sub")
    sub.subscribe(b.topic(), 0)

    def sent():
        pub = b.raw(4, "pub", port=BYTES).connect(b.id("pub"))
        sender = threading.Thread(target=pub.sock.sendall, args=(publish(4, b.topic(), bytes(1000)) * 300,))
        sender.start()
        times = [time.monotonic()]
        for _ in range(300):
            sub.expect_publish(b.topic())
            times.append(time.monotonic())
        sender.join()
        longest = max(later - earlier for earlier, later in zip(times, times[1:]))
        return "" if longest < 0.5 else f"{longest:.2f} s without a message"

    in_time(sent)


@limit(90)
def test_packet_larger_than_the_burst(b):
    """It passes, late: the next bytes wait for what it cost."""
    sub = b.client(4, "sub")
    sub.subscribe(b.topic(), 0)
    pub = b.raw(4, "pub", port=BYTES).connect(b.id("pub"))
    begun = time.monotonic()
    pub.publish(b.topic(), bytes(300_000))
    sub.expect_publish(b.topic(), bytes(300_000))
    pub.quiet()
    assert 1.5 < time.monotonic() - begun < 5


def test_below_the_rate_nothing_waits(b):
    """50 KB out of the burst go through at once."""
    sub = b.client(4, "sub")
    sub.subscribe(b.topic(), 0)

    def sent():
        pub = b.raw(4, "pub", port=BYTES).connect(b.id("pub"))
        begun = time.monotonic()
        pub.send(publish(4, b.topic(), bytes(1000)) * 50)
        for _ in range(50):
            sub.expect_publish()
        spent = time.monotonic() - begun
        return "" if spent < 0.5 else f"{spent:.2f} s"

    in_time(sent)


@limit(90)
@versions(3, 4, 5)
def test_publishes_beyond_the_limit_wait(b, v):
    """10,1s: ten at once, then ten a second; in one piece or not, every QoS, nothing dropped."""
    sub = b.client(4, "sub")
    sub.subscribe(b.topic(), 0)

    def sent(piece):
        pub = b.raw(v, "pub", port=SLOW).connect(b.id("pub"))
        begun, times = time.monotonic(), []
        packets = [publish(v, b.topic(), str(n), n % 2, pid=n + 1 if n % 2 else None) for n in range(30)]
        for n in range(0, 30, piece):
            pub.sock.sendall(b"".join(packets[n:n + piece]))
        for n in range(30):
            sub.expect_publish(b.topic(), str(n))
            times.append(time.monotonic() - begun)
        assert times[29] > 1.8, times
        for n in range(1, 30, 2):
            pub.expect("PUBACK", pid=n + 1)
        pub.quiet().disconnect()
        return "" if times[9] < 0.5 * SLOWER and times[10] < SLOWER and times[29] < 3.5 * SLOWER else times

    for piece in (30, 1):
        in_time(lambda: sent(piece))


@limit(90)
def test_limit_of_the_zone_comes_from_mqtt_publish_limit(b):
    """zone.NAME.publish_limit that is not set: 20,1s here."""
    sub = b.client(4, "sub")
    sub.subscribe(b.topic(), 0)

    def sent():
        pub = b.raw(4, "pub", port=TIGHT).connect(b.id("pub"))
        begun = time.monotonic()
        pub.send(publish(4, b.topic(), b"x") * 40)
        for _ in range(40):
            sub.expect_publish()
        spent = time.monotonic() - begun
        assert spent > 0.8, f"{spent:.2f} s"
        return "" if spent < 2 else f"{spent:.2f} s"

    in_time(sent)


def test_over_the_limit_other_packets_pass_until_a_publish_waits(b):
    """3,1m: pings and subscriptions go on after the third message; the fourth holds back what comes after it."""
    c = b.raw(4, "c", port=MINUTE).connect(b.id("c"))
    c.subscribe(b.topic(), 0)
    for n in range(3):
        c.publish(b.topic(), str(n))
        c.expect_publish(b.topic(), str(n))
    begun = time.monotonic()
    c.quiet().quiet()
    c.subscribe(b.topic("other"), 0)
    assert time.monotonic() - begun < 5  # the next message is earned after twenty
    c.publish(b.topic(), b"late")
    c.send(pingreq())
    c.sock.settimeout(1)
    try:
        raise AssertionError(f"not held back: {c.sock.recv(100)!r}")
    except TimeoutError:
        pass


def test_publish_limit_and_a_large_packet_in_pieces(b):
    """A packet that arrives in pieces counts once."""

    def sent():
        c = b.raw(4, "c", port=SLOW).connect(b.id("c"))
        c.subscribe(b.topic(), 0)
        for n in range(5):
            data = publish(4, b.topic(), bytes([n]) * 100_000)
            for at in range(0, len(data), 30_000):
                c.sock.sendall(data[at:at + 30_000])
            c.expect_publish(b.topic(), bytes([n]) * 100_000)
        begun = time.monotonic()
        for n in range(5):
            c.publish(b.topic(), str(n))
            c.expect_publish(b.topic(), str(n))
        spent = time.monotonic() - begun
        return "" if spent < 0.5 else f"{spent:.2f} s"

    in_time(sent)


def test_limited_client_whose_session_is_on_another_loop(b):
    """CONNECT moves the connection: its limits go with it."""
    for n in range(6):
        c = b.raw(5, "c", port=SLOW)
        c.connect(b.id("c"), clean=0, props={"session_expiry_interval": 60})
        c.deliver(b.topic(), b"x", 1)
        c.close()


@limit(90)
def test_throttled_client_is_not_timed_out(b):
    """The silence is the broker's: its keep alive of 1 s does not end it while its bytes wait."""
    sub = b.client(4, "sub")
    sub.subscribe(b.topic(), 0)
    pub = b.raw(4, "pub", port=BYTES).connect(b.id("pub"), keepalive=1)
    pub.publish(b.topic("nobody"), bytes(500_000))
    pub.send(publish(4, b.topic(), b"end"))
    sub.expect_publish(b.topic(), b"end", timeout=15)
    pub.quiet()


# -- sent again -------------------------------------------------------------------------------------------------------


@limit(90)
@versions(3, 4)
def test_unacknowledged_message_is_sent_again(b, v):
    """retry_interval 1s, MQTT 3.x: with DUP and its packet identifier, once an interval, until it is acknowledged."""
    sub, pub = b.raw(v, "sub", port=RETRY).connect(b.id("sub")), b.client(4, "pub")
    sub.subscribe(b.topic(), 2)
    before = b.metric("messages/retried")
    begun = time.monotonic()
    for n in range(3):
        pub.deliver(b.topic(), str(n), 1 if n < 2 else 2)
    # On a busy machine one of them may be due before another that was sent a moment later.
    first, came = [], {}

    def take(p):
        if p.pid not in came:
            assert (p.name, p.payload, p.dup) == ("PUBLISH", b"%d" % len(first), 0), p
            first.append(p)
            came[p.pid] = [begun]
            return
        n = next(n for n in range(3) if first[n].pid == p.pid)
        assert (p.name, p.payload, p.dup, p.qos) == ("PUBLISH", b"%d" % n, 1, first[n].qos), p
        came[p.pid].append(time.monotonic())

    while len(first) < 3 or min(map(len, came.values())) < 3:
        take(sub.packet())
    for times in came.values():
        # One that was read late makes the next one seem early: at most so many by then.
        assert all(later - begun >= 0.9 * n for n, later in enumerate(times)), times
        assert all(later - earlier < LATE for earlier, later in zip(times, times[1:])), times
    again = lambda: sum(len(times) - 1 for times in came.values())
    seen, counted = again(), b.metric("messages/retried") - before
    sub.send(pingreq())
    while (p := sub.packet()).name != "PINGRESP":
        take(p)  # sent again since
    assert seen <= counted <= again(), (seen, counted, again())
    sub.ack(first[0])
    sub.ack(first[1])
    begun = time.monotonic()
    sub.send(ack(PUBREC, v, first[2].pid))
    # The PUBREL is what is sent again now. [MQTT-4.3.3-1]
    for _ in range(2):
        sub.expect_ack("PUBREL", first[2].pid)
    assert 0.9 < time.monotonic() - begun < LATE
    sub.send(ack(PUBCOMP, v, first[2].pid), pingreq())
    sub.early.clear()
    while (p := sub.packet()).name != "PINGRESP":
        assert p.name in ("PUBLISH", "PUBREL"), p  # sent before the broker had the last acknowledgements
    b.clock(), b.clock()
    sub.quiet()


@limit(90)
def test_mqtt_5_is_sent_nothing_twice(b):
    """5.0: [MQTT-4.4.0-1]: only a new connection."""
    props = {"session_expiry_interval": 60}
    sub, pub = b.raw(5, "sub", port=RETRY).connect(b.id("sub"), props=props), b.client(4, "pub")
    sub.subscribe(b.topic(), 1)
    pub.deliver(b.topic(), b"once", 1)
    p = sub.expect_publish(b.topic(), b"once", dup=0)
    b.clock(), b.clock()
    sub.quiet()
    sub.close()
    again = b.raw(5, "sub", port=RETRY).connect(b.id("sub"), 1, clean=0, props=props)
    again.expect_publish(b.topic(), b"once", dup=1, pid=p.pid)


@limit(90)
def test_retry_interval_of_20_s_is_not_shorter(b):
    """The default of the other zones: nothing within three seconds."""
    sub, pub = b.client(4, "sub"), b.client(4, "pub")
    sub.subscribe(b.topic(), 1)
    pub.deliver(b.topic(), b"x", 1)
    sub.expect_publish(b.topic(), b"x", dup=0)
    b.clock(), b.clock()
    sub.quiet()


@limit(90)
def test_deaf_client_is_sent_nothing_twice(b):
    """What it has not taken once does not pile up."""
    sub = b.raw(4, "sub", port=RETRY, rcvbuf=4096).connect(b.id("sub"), keepalive=0)
    sub.subscribe(b.topic(), 1)
    pub = b.client(4, "pub")
    for n in range(20):
        pub.deliver(b.topic(), bytes(400_000), 1)

    def shown():
        text = b.ctl("clients", "show", b.id("sub")).stdout
        return [int(re.search(rf"{name} +: (\d+)", text)[1]) for name in ("output_pending", "inflight", "mqueue_len")]

    # The publisher may hear of the last one before the subscriber's loop has it.
    wait_until(lambda: sum(shown()[1:]) == 20, lambda: f"20 messages: {shown()}")
    pending = shown()[0]
    b.clock(), b.clock()
    assert shown()[0] <= pending > 0, (pending, shown())


# -- remembered answers -----------------------------------------------------------------------------------------------


def test_acl_cache_size_is_that_of_a_loop(b):
    """Two answers are remembered here: the same topics again ask nobody, three in turn push each other out. Where no
    rule looked at the topic one answer would be for all."""
    shipped = (b.dir / "etc/acl.conf").read_text()
    (b.dir / "etc/acl.conf").write_text('{deny, all, publish, ["never"]}. {allow, all}.')
    assert b.ctl("acl", "reload").returncode == 0
    c = b.client(4)

    def hits(*topics):
        before = b.metric("acl/cache_hits")
        for topic in topics:
            c.deliver(b.topic(topic), b"x", 1)
        return b.metric("acl/cache_hits") - before

    assert hits("a", "a", "a", "b", "a") == 3
    assert hits("c", "d", "b", "c", "d", "b") == 0
    assert hits("b", "d") == 2
    (b.dir / "etc/acl.conf").write_text(shipped)
    assert b.ctl("acl", "reload").returncode == 0
    assert hits("any", "topic", "at all") == 2


def test_the_size_by_client_of_emq_has_no_effect_and_says_so(b):
    """mqtt.acl_cache_max_size = 32 does not make a table of 32 for all."""
    warning = r"mqtt\.acl_cache_max_size: no effect here: all clients of an event loop share one table"
    assert re.search(warning, (b.dir / "output").read_text())
