# SPDX-License-Identifier: Apache-2.0
"""The first packet is CONNECT, and there is one of it."""
from wire import *

OTHERS = {
    "CONNACK": packet(CONNACK, 0, b"\0\0"), "PUBLISH": publish(4, "a", b"x"), "PUBACK": ack(PUBACK, 4, 1),
    "PUBREC": ack(PUBREC, 4, 1), "PUBREL": ack(PUBREL, 4, 1), "PUBCOMP": ack(PUBCOMP, 4, 1),
    "SUBSCRIBE": subscribe(4, 1, [("a", 0)]), "SUBACK": packet(SUBACK, 0, b"\0\1\0"),
    "UNSUBSCRIBE": unsubscribe(4, 1, ["a"]), "UNSUBACK": packet(UNSUBACK, 0, b"\0\1"), "PINGREQ": pingreq(),
    "PINGRESP": packet(PINGRESP, 0), "DISCONNECT": packet(DISCONNECT, 0), "AUTH": auth(0x18), "reserved": packet(0, 0),
}


def test_any_other_first_packet_closes(b):
    """3.1.1: [MQTT-3.1.0-1] [MQTT-4.8.0-1]. 5.0: [MQTT-3.1.0-1] [MQTT-3.14.0-1] [MQTT-4.13.1-1]."""
    for name, data in OTHERS.items():
        c = b.raw(4, name)
        c.send(data)
        assert c.until_eof() == b"", name


def test_text_instead_of_mqtt_closes(b):
    """3.1.1: [MQTT-3.1.0-1]. 5.0: [MQTT-3.1.0-1]."""
    for data in (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
                 b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(512),
                 b"SSH-2.0-OpenSSH_9.2\r\n" * 3, bytes(64), b"\xff" * 64):
        c = b.raw(4)
        c.send(data)
        assert c.until_eof() == b"", data[:16]


@versions(3, 4, 5)
@not_on_mosquitto("2.0.11 closes without DISCONNECT", 5)
def test_second_connect_closes(b, v):
    """3.1.1: [MQTT-3.1.0-2]. 5.0: [MQTT-3.1.0-2] [MQTT-3.2.0-2] [MQTT-4.13.1-1] [MQTT-4.13.2-1]."""
    c = b.client(v)
    c.send(connect(v, b.id()))
    c.expect_closed(0x82)


@versions(3, 4, 5)
@not_on_mosquitto("2.0.11 gives the will up")
def test_second_connect_publishes_the_will(b, v):
    """A protocol error is no DISCONNECT. 3.1.1: [MQTT-3.1.2-8]. 5.0: [MQTT-3.1.2-8]."""
    watcher = b.client(4, "watcher")
    watcher.subscribe(b.topic())
    c = b.client(v, will=Will(b.topic(), b"gone"))
    c.send(connect(v, b.id()))
    c.expect_closed(0x82)
    watcher.expect_publish(b.topic(), b"gone")


@versions(3, 4, 5)
def test_nothing_behind_a_refused_connect_is_processed(b, v):
    """3.1.1: [MQTT-3.1.4-5]. 5.0: [MQTT-3.1.4-6]."""
    watcher = b.client(4, "watcher")
    watcher.subscribe(b.topic())
    c = b.raw(v)
    c.send(connect(v, b.id(), flags=3 if v > 3 else 2 | 4 | 3 << 3), publish(v, b.topic(), b"sneaked in"))
    c.until_eof()
    if v < 5:  # refused with a code, not for its format
        c = b.raw(v)
        c.send(connect(v, "", clean=0), publish(v, b.topic(), b"sneaked in"))
        c.expect("CONNACK", code=2)
        c.expect_eof()
    b.nothing_for(watcher, b.client(4, "publisher"))


@versions(3, 4, 5)
def test_end_right_behind_the_last_packet_is_seen(b, v):
    """Bytes and the end of the stream in one go: the end counts at once, not when the keep alive is over."""
    watcher = b.client(4, "watcher")
    watcher.subscribe(b.topic("#"), 1)
    for n in range(50):
        c = b.client(v, keepalive=0, will=Will(b.topic("will"), str(n)))
        c.send(publish(v, b.topic("last"), str(n)))
        c.close()
        watcher.expect_publish(b.topic("last"), str(n))
        watcher.expect_publish(b.topic("will"), str(n))


def test_refused_connect_leaves_no_will(b):
    """3.1.1: [MQTT-3.1.2-8]: the will is stored if the connection is accepted."""
    watcher = b.client(4, "watcher")
    watcher.subscribe(b.topic())
    c = b.raw(4)
    c.send(connect(4, "", clean=0, will=Will(b.topic(), b"x")))
    c.expect("CONNACK", code=2)
    c.expect_eof()
    b.nothing_for(watcher, b.client(4, "publisher"))
