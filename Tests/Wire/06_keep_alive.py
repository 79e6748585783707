# SPDX-License-Identifier: Apache-2.0
"""Who is silent for one and a half times the keep alive is taken for lost."""
import time

from wire import *


@versions(3, 4, 5)
@not_on_mosquitto("2.0.11 closes without DISCONNECT", 5)
def test_silence_ends_the_connection(b, v):
    """3.1.1: [MQTT-3.1.2-24]. 5.0: [MQTT-3.1.2-22] [MQTT-3.2.2-22], DISCONNECT 0x8D."""
    def silence():
        begun = time.monotonic()
        b.client(v, keepalive=1).expect_closed(0x8D)
        spent = time.monotonic() - begun
        assert spent > 1.4, f"after {spent:.2f} s"
        return "" if spent < (10 if b.kind == "mosquitto" else 3) else f"{spent:.2f} s"

    in_time(silence)


@versions(3, 4, 5)
@not_on_mosquitto("2.0.11 looks every 5 s only")
def test_pings_keep_it_alive(b, v):
    """3.1.1: [MQTT-3.1.2-24] [MQTT-3.12.4-1]. 5.0: [MQTT-3.1.2-22] [MQTT-3.12.4-1]."""
    c, other = b.client(v, keepalive=3), b.client(4, "other", keepalive=1)
    for _ in range(4):
        c.quiet()
        b.clock()
    other.expect_eof()
    c.quiet()


@versions(4, 5)
@not_on_mosquitto("2.0.11 looks every 5 s only")
def test_every_packet_counts(b, v):
    """Not only PINGREQ. 3.1.1: [MQTT-3.1.2-24]. 5.0: [MQTT-3.1.2-22]."""
    ways = (lambda c: c.publish(b.topic(), b"x"), lambda c: c.deliver(b.topic(), b"x", 1), lambda c: c.subscribe("s"),
            lambda c: c.unsubscribe("s"))
    clients = [b.client(v, f"c{i}", keepalive=3) for i in range(len(ways))]
    for _ in range(4):
        for c, send in zip(clients, ways):
            send(c)
        b.clock()
    for c in clients:
        c.quiet()


@versions(4, 5)
def test_receiving_is_no_sign_of_life(b, v):
    """Only what the client sends counts. 3.1.1: [MQTT-3.1.2-24]. 5.0: [MQTT-3.1.2-22]."""
    c, publisher = b.client(v, keepalive=1), b.client(4, "publisher", keepalive=0)
    begun = time.monotonic()
    c.subscribe(b.topic(), 0)
    while time.monotonic() < begun + 30:
        publisher.publish(b.topic(), b"x")
        publisher.quiet()
        p = c.packet()
        if p is None or p.name == "DISCONNECT":
            break
        assert p.name == "PUBLISH"
    else:
        raise AssertionError("it is still connected")
    assert time.monotonic() - begun > 1.4


@versions(4, 5)
@not_on_mosquitto("2.0.11 looks every 5 s only")
def test_a_packet_that_trickles_in_is_none(b, v):
    """Packets count, not bytes: a client that never finishes one is silent. 3.1.1: [MQTT-3.1.2-24].
    5.0: [MQTT-3.1.2-22]."""
    begun = time.monotonic()
    c = b.client(v, keepalive=1)
    c.sock.settimeout(0.1)
    c.try_send(publish(v, b.topic(), b"x" * 1000)[:20])
    while time.monotonic() < begun + 30:
        try:
            if c.sock.recv(100) == b"" or v == 5:
                break
        except TimeoutError:
            c.try_send(b"x")
        except ConnectionError:
            break  # closed while one more byte was on its way
    assert 1.4 < time.monotonic() - begun < 10


@versions(3, 4, 5)
def test_zero_means_for_ever(b, v):
    """3.1.1: §3.1.2.10. 5.0: §3.1.2.10."""
    c = b.client(v, keepalive=0)
    b.clock()
    c.quiet()


@versions(3, 4, 5)
def test_will_is_published_when_time_is_up(b, v):
    """As if the network had failed. 3.1.1: [MQTT-3.1.2-24] [MQTT-3.1.2-8]. 5.0: [MQTT-3.1.2-22] [MQTT-3.1.2-8]."""
    watcher = b.client(4, "watcher")
    watcher.subscribe(b.topic())
    b.client(v, keepalive=1, will=Will(b.topic(), b"lost"))
    watcher.expect_publish(b.topic(), b"lost", timeout=20)


@versions(4, 5)
def test_largest_keep_alive(b, v):
    """Two bytes of seconds: 18 h 12 min 15 s."""
    b.client(v, keepalive=65535).quiet()
