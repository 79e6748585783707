# SPDX-License-Identifier: Apache-2.0
"""Packets that break the format on an established connection: refused with their reason, nobody else affected."""
from wire import *


def refuse(b, v, data, *codes):
    bystander = b.client(4, "bystander")
    bystander.subscribe(b.topic("calm"), 1)
    c = b.client(v)
    c.send(data)
    c.expect_closed(*(codes or (0x81, 0x82)))
    bystander.deliver(b.topic("calm"), b"still here", 1)
    bystander.take(b.topic("calm"), b"still here")
    bystander.close()


@versions(3, 4, 5)
@not_on_mosquitto("2.0.11 accepts some")
def test_packets_only_a_server_sends(b, v):
    """3.1.1: [MQTT-4.8.0-1]. 5.0: [MQTT-4.13.1-1]."""
    for data in (b"\x20\x02\x00\x00", b"\x90\x03\x00\x01\x00", b"\xb0\x02\x00\x01", b"\xd0\x00",
                 b"\x90\x04\x00\x01\x00\x00", b"\x20\x03\x00\x00\x00"):
        refuse(b, v, data)


@versions(3, 4, 5)
def test_reserved_packet_type(b, v):
    """3.1.1: [MQTT-4.8.0-1]. 5.0: [MQTT-4.13.1-1]."""
    for data in (b"\x00\x00", b"\x05\x02ab") + ((b"\xf0\x00",) if v < 5 else ()):
        refuse(b, v, data)


@versions(4, 5)
@not_on_mosquitto("2.0.11 accepts some")
def test_flags_of_acknowledgements(b, v):
    """3.1.1: [MQTT-3.6.1-1] [MQTT-2.2.2-1] [MQTT-2.2.2-2]. 5.0: [MQTT-3.6.1-1] [MQTT-2.1.3-1]."""
    for first in (0x41, 0x42, 0x48, 0x51, 0x52, 0x60, 0x61, 0x63, 0x66, 0x6A, 0x71, 0x72):
        refuse(b, v, bytes([first, 2, 0, 1]))


@versions(3, 4, 5)
@not_on_mosquitto("2.0.11 closes without DISCONNECT", 5)
def test_acknowledgements_cut_short(b, v):
    """3.1.1: [MQTT-4.8.0-1]. 5.0: [MQTT-4.13.1-1]."""
    for first in (0x40, 0x50, 0x62, 0x70):
        for body in (b"", b"\x00"):
            refuse(b, v, bytes([first, len(body)]) + body)


def test_acknowledgements_too_long_in_311(b):
    """3.1.1: [MQTT-4.8.0-1]: two bytes, no more."""
    if b.kind == "mosquitto":
        raise Skip("2.0.11 ignores the rest")
    for first in (0x40, 0x50, 0x62, 0x70):
        refuse(b, 4, bytes([first, 3, 0, 1, 0]))


@not_on_mosquitto("2.0.11 accepts some of these")
def test_acknowledgement_identifier_zero(b):
    """A packet identifier is not 0 (3.1.1 §2.3.1, 5.0 §2.2.1)."""
    for v in (4, 5):
        for first in (0x40, 0x50, 0x62, 0x70):
            refuse(b, v, bytes([first, 2, 0, 0]))


@not_on_mosquitto("2.0.11 accepts some of these")
def test_reason_codes_and_properties_of_acknowledgements(b):
    """5.0: [MQTT-3.4.2-1] [MQTT-3.5.2-1] [MQTT-3.6.2-1] [MQTT-3.7.2-1] §3.4.2."""
    for first, wrong in ((0x40, 0x92), (0x50, 0x92), (0x62, 0x10), (0x70, 0x10), (0x40, 0x01), (0x50, 0x7F),
                         (0x62, 0x80), (0x70, 0x80)):
        refuse(b, 5, bytes([first, 3, 0, 9, wrong]))
    for first in (0x40, 0x50, 0x62, 0x70):
        for block in (b"\x05", b"\x02\x7f\x00", b"\x02\x01\x01", encode({"reason_string": ["a", "b"]}),
                      encode({"reason_string": b"\xff"}), encode({"content_type": "x"}), b"\x00\x00"):
            refuse(b, 5, packet(first >> 4, first & 15, b"\x00\x09\x00" + block))


@versions(3, 4, 5)
@not_on_mosquitto("2.0.11 waits")
def test_remaining_length_of_five_bytes(b, v):
    """3.1.1: §2.2.3. 5.0: [MQTT-1.5.5-1]: malformed before it is complete."""
    refuse(b, v, b"\x30\xff\xff\xff\xff")
    refuse(b, v, b"\xc0\x80\x80\x80\x80\x00")


@versions(4, 5)
@not_on_mosquitto("2.0.11 accepts it")
def test_remaining_length_longer_than_needed(b, v):
    """5.0: [MQTT-1.5.5-1]: as short as possible. 3.1.1 says nothing; we accept it there."""
    if v == 5:
        refuse(b, v, b"\xc0\x80\x00")
    else:
        c = b.client(v)
        c.send(b"\xc0\x80\x00")
        c.expect("PINGRESP")


@versions(3, 4, 5)
def test_publish_cut_short(b, v):
    """3.1.1: [MQTT-3.3.2-1]. 5.0: [MQTT-3.3.2-1] [MQTT-4.13.1-1]."""
    for data in (b"\x30\x00", b"\x30\x01\x00", b"\x30\x04\x00\x05ab", b"\x32\x04\x00\x02ab", b"\x32\x05\x00\x02ab\x00",
                 b"\x30\x02\xff\xff", b"\x34\x03\x00\x01a"):
        refuse(b, v, data)


@versions(3, 4, 5)
def test_subscribe_cut_short(b, v):
    """3.1.1: [MQTT-4.8.0-1]. 5.0: [MQTT-4.13.1-1]."""
    whole = subscribe(v, 1, [(b.topic(), 0)])[2:]
    for size in range(len(whole)):
        if v > 3 or size not in (2,):
            refuse(b, v, packet(SUBSCRIBE, 2, whole[:size]))


@versions(3, 4, 5)
@not_on_mosquitto("2.0.11 closes without DISCONNECT", 5)
def test_good_packets_before_the_bad_one_count(b, v):
    """What came before was right and is done. 3.1.1: [MQTT-4.8.0-1]. 5.0: [MQTT-4.13.1-1]."""
    sub = b.client(4, "sub")
    sub.subscribe(b.topic(), 1)
    c = b.client(v)
    c.send(publish(v, b.topic(), b"one", 1, pid=1), publish(v, b.topic(), b"two", 0), b"\x00\x00",
           publish(v, b.topic(), b"three", 0))
    sub.take(b.topic(), b"one")
    sub.take(b.topic(), b"two")
    c.expect("PUBACK", pid=1)
    c.expect_closed(0x81, 0x82)
    b.nothing_for(sub, b.client(4, "publisher"))
