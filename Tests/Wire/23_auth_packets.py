# SPDX-License-Identifier: Apache-2.0
"""Enhanced authentication of MQTT 5 where no plugin offers a method."""
from wire import *


def test_unknown_method_is_refused(b):
    """5.0: [MQTT-4.12.0-1]: CONNACK 0x8C, or 0x87."""
    for props in ({"authentication_method": "no-such-method"},
                  {"authentication_method": "SCRAM-NONE", "authentication_data": b"n,,n=user"}):
        c = b.raw(5)
        c.hello(b.id(), props)
        c.expect_refused(0x8C, 0x87)


@not_on_mosquitto("2.0.11 closes without DISCONNECT")
def test_auth_without_a_method_at_connect(b):
    """5.0: [MQTT-4.12.0-7] [MQTT-4.12.0-6]: a Protocol Error."""
    for data in (auth(), auth(0x18, {"authentication_method": "M"}), auth(0x19, {"authentication_method": "M"})):
        c = b.client(5)
        c.send(data)
        c.expect_closed(0x82, 0x81, 0x8C)


@versions(3, 4)
def test_auth_before_5_is_unknown(b, v):
    """3.1.1: [MQTT-4.8.0-1]: packet type 15 is reserved."""
    c = b.client(v)
    c.send(auth(0x18, {"authentication_method": "M"}))
    c.expect_eof()


@not_on_mosquitto("2.0.11 closes without DISCONNECT")
def test_auth_malformed(b):
    """5.0: [MQTT-3.15.1-1] [MQTT-3.15.2-1]."""
    for data in (b"\xf1\x00", b"\xf8\x00", b"\xff\x00", b"\xf0\x01\x05", b"\xf0\x02\x18\x09", b"\xf0\x03\x18\x01\x7f"):
        c = b.client(5)
        c.send(data)
        c.expect_closed(0x81, 0x82)


def test_auth_while_connect_is_refused(b):
    """5.0: [MQTT-3.1.4-6] [MQTT-4.12.0-4]: refused is refused, whatever follows."""
    c = b.raw(5)
    c.hello(b.id(), {"authentication_method": "no-such-method"})
    c.try_send(auth(0x18, {"authentication_method": "no-such-method", "authentication_data": b"x"}))
    c.expect_refused(0x8C, 0x87)
