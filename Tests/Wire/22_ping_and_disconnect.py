# SPDX-License-Identifier: Apache-2.0
"""PINGREQ and DISCONNECT."""
from wire import *


@versions(3, 4, 5)
def test_ping(b, v):
    """3.1.1: [MQTT-3.12.4-1]. 5.0: [MQTT-3.12.4-1]."""
    c = b.client(v)
    for _ in range(5):
        c.quiet()
    c.send(pingreq() * 1000)
    for _ in range(1000):
        c.expect("PINGRESP")


@versions(4, 5)
@not_on_mosquitto("2.0.11 answers")
def test_ping_with_flags_or_body(b, v):
    """3.1.1: [MQTT-2.2.2-2]. 5.0: [MQTT-2.1.3-1]."""
    for data in (b"\xc1\x00", b"\xc8\x00", b"\xc0\x01\x00", b"\xcf\x00"):
        c = b.client(v)
        c.send(data)
        c.expect_closed(0x81, 0x82)


@versions(3, 4, 5)
def test_disconnect_is_closed_without_a_word(b, v):
    """3.1.1: [MQTT-3.14.4-3]. 5.0: [MQTT-3.14.4-3]."""
    b.client(v).disconnect()


@versions(3, 4, 5)
def test_nothing_behind_disconnect_is_processed(b, v):
    """3.1.1: §3.14.4. 5.0: §3.14.4."""
    sub = b.client(4, "sub")
    sub.subscribe(b.topic(), 1)
    c = b.client(v)
    c.send(disconnect(v), publish(v, b.topic(), b"too late"))
    c.expect_eof()
    b.nothing_for(sub, b.client(4, "publisher"))


@versions(4, 5)
@not_on_mosquitto("2.0.11 closes without DISCONNECT", 5)
def test_disconnect_with_flags(b, v):
    """3.1.1: [MQTT-3.14.1-1]. 5.0: [MQTT-3.14.1-1]: DISCONNECT 0x81; the will is published."""
    sub = b.client(4, "sub")
    sub.subscribe(b.topic(), 0)
    for flags in (1, 2, 8, 15):
        c = b.client(v, will=Will(b.topic(), b"will"))
        c.send(bytes([0xE0 | flags, 0]))
        c.expect_closed(0x81)
        sub.expect_publish(b.topic(), b"will")


@not_on_mosquitto("2.0.11 ignores the body")
def test_disconnect_with_a_body_in_311(b):
    """3.1.1: [MQTT-4.8.0-1]: the remaining length is zero."""
    c = b.client(4)
    c.send(b"\xe0\x01\x00")
    c.expect_eof()


def test_disconnect_reasons_a_client_may_give(b):
    """5.0: [MQTT-3.14.2-1]."""
    for code in (0, 4, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99):
        b.client(5).disconnect(code)
        b.client(5).disconnect(code, {"reason_string": "because", "user_property": [("a", "b")] * 3})


@not_on_mosquitto("2.0.11 accepts them")
def test_disconnect_malformed(b):
    """5.0: [MQTT-3.14.2-1] §3.14.2: wrong reason codes, properties of other packets, twice the same."""
    for data in (b"\xe0\x01\x03", b"\xe0\x01\x8e", b"\xe0\x01\x8d", b"\xe0\x01\x01", b"\xe0\x02\x00\x05",
                 b"\xe0\x03\x00\x00\x00",
                 disconnect(5, 0, {"topic_alias": 1}), disconnect(5, 0, {"session_expiry_interval": [0, 0]}),
                 disconnect(5, 0, {"reason_string": ["a", "b"]}), disconnect(5, 0, {"reason_string": b"\xff"}),
                 disconnect(5, 0, {"server_reference": "x"})):
        c = b.client(5)
        c.send(data)
        c.expect_closed(0x81, 0x82)


def test_the_reason_arrives_even_while_the_client_keeps_sending(b):
    """After its own DISCONNECT the broker half-closes and reads on, so that no reset swallows the reason.
    5.0: [MQTT-4.13.2-1] [MQTT-3.14.4-2]."""
    if b.kind == "mosquitto":
        raise Skip("2.0.11 resets")
    for _ in range(20):
        c = b.client(5)
        c.send(publish(5, "#", b"x"), *[publish(5, b.topic(), bytes(1000))] * 200)
        c.try_send(publish(5, b.topic(), bytes(60_000)))
        c.expect_closed(0x81, 0x82, 0x90)
