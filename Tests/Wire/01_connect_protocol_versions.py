# SPDX-License-Identifier: Apache-2.0
"""Which protocol names and levels are spoken."""
from wire import *

WRONG_VERSION = {b"\x20\x02\x00\x01", b"\x20\x03\x00\x84\x00"}


def refused_version(b, **connect_fields):
    """CONNECT, and what the broker said before it closed: nothing, or that the version is not spoken."""
    c = b.raw(4)
    c.send(connect(4, b.id(), **connect_fields))
    return c.until_eof()


@versions(3, 4, 5)
def test_each_version_connects(b, v):
    """3.1.1: [MQTT-3.1.4-4] [MQTT-3.2.0-1]. 5.0: [MQTT-3.1.4-5] [MQTT-3.2.0-1] [MQTT-3.2.2-1]."""
    b.client(v, session_present=0).quiet()


def test_unknown_levels_are_refused(b):
    """3.1.1: [MQTT-3.1.2-2] CONNACK 1, then closed. 5.0: [MQTT-3.1.2-2] it may say 0x84."""
    for level in (0, 1, 2, 3, 6, 7, 0x7F):
        said = refused_version(b, level=level)
        assert said in WRONG_VERSION, f"level {level}: {said.hex(' ')}"


def test_31_name_with_another_level_is_refused(b):
    """3.1.1: [MQTT-3.1.2-1] [MQTT-3.1.2-2]."""
    for level in (0, 2, 4, 5):
        said = refused_version(b, name="MQIsdp", level=level)
        assert said in WRONG_VERSION | {b""}, f"level {level}: {said.hex(' ')}"


def test_unknown_names_are_refused(b):
    """3.1.1: [MQTT-3.1.2-1]. 5.0: [MQTT-3.1.2-1]."""
    for name in ("MQTQ", "mqtt", "MQTTT", "MQT", "", "MQIsdq", "HTTP/1.1", "MQTT\0"):
        said = refused_version(b, name=name)
        assert said in WRONG_VERSION | {b""}, f"name {name!r}: {said.hex(' ')}"


@versions(3, 4)
def test_bridge_bit_in_level_is_accepted(b, v):
    """Level 0x83 and 0x84: a bridge of mosquitto or EMQ, spoken to as 3.1 and 3.1.1."""
    c = b.raw(v)
    c.send(connect(v, b.id(), level=0x80 | v))
    c.expect("CONNACK", code=0)
    c.quiet()


@versions(3, 4)
def test_bridge_sees_retain_as_published(b, v):
    """A client with the bridge bit gets RETAIN as it was published, so that the other side can retain too."""
    c = b.raw(v)
    c.send(connect(v, b.id(), level=0x80 | v))
    c.expect("CONNACK", code=0)
    c.subscribe(b.topic(), 0)
    b.client(4, "publisher").publish(b.topic(), b"x", retain=1)
    c.expect_publish(b.topic(), retain=1)
    b.clear(b.topic())


@versions(3, 4)
def test_bridge_does_not_get_back_what_it_brought(b, v):
    """Two brokers with a bridge that takes a topic both ways would hand a message back and forth."""
    c = b.raw(v)
    c.send(connect(v, b.id(), clean=0, level=0x80 | v))
    c.expect("CONNACK", code=0)
    c.subscribe(b.topic("#"), 1)
    c.deliver(b.topic(), b"brought", 1)
    b.client(4, "publisher").deliver(b.topic(), b"fetched", 1, retain=1)
    c.take(b.topic(), b"fetched", qos=1, retain=1)
    c.quiet().reset()  # which would take an acknowledgement along that was not read yet
    b.client(4, "publisher").deliver(b.topic(), b"kept", 1, retain=1)
    c = b.raw(v)
    c.send(connect(v, b.id(), clean=0, level=0x80 | v))
    c.expect("CONNACK", code=0)
    c.take(b.topic(), b"kept", qos=1, retain=1)
    c.send(disconnect(v))
    b.clear(b.topic())


@versions(3, 4)
def test_bridge_may_share_a_subscription(b, v):
    """No Local goes with no shared subscription, here neither: a member gets its own message too."""
    c = b.raw(v)
    c.send(connect(v, b.id(), level=0x80 | v))
    c.expect("CONNACK", code=0)
    c.subscribe(f"$share/g/{b.topic()}", 0)
    c.publish(b.topic(), b"own", 0)
    c.expect_publish(b.topic(), b"own")


@versions(3, 4, 5)
def test_connect_in_single_bytes(b, v):
    """A packet may arrive in any number of pieces. 3.1.1: [MQTT-7.1.1-1]. 5.0: [MQTT-4.2-1]."""
    c = b.raw(v)
    for byte in connect(v, b.id(), keepalive=60, username="u", password="p", will=Will(b.topic(), b"w")):
        c.sock.sendall(bytes([byte]))
    c.expect("CONNACK", code=0)
    c.quiet()


@versions(3, 4, 5)
def test_packets_right_behind_connect_are_processed(b, v):
    """A client need not wait for CONNACK (3.1.1 §3.1.4, 5.0 §3.1.4)."""
    c = b.raw(v)
    c.send(connect(v, b.id()), subscribe(v, 1, [(b.topic(), 1)]), publish(v, b.topic(), b"early", 1, pid=2), pingreq())
    c.expect("CONNACK", code=0)
    c.expect("SUBACK", pid=1)
    got = sorted(c.packet().name for _ in range(3))
    assert got == ["PINGRESP", "PUBACK", "PUBLISH"], got
