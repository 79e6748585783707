# SPDX-License-Identifier: Apache-2.0
"""AUTH in several steps, with a plugin in C whose method is "echo"."""
from wire import *
from wire.cplugin import compile_plugin

MARTLET_ONLY = True
PLUGINS = []


def props(data=None, method="echo"):
    return {"authentication_method": method, **({"authentication_data": data} if data is not None else {})}


def ready(b):
    if not (b.dir / "plugins/step_auth.so").exists():
        compile_plugin(b, "step_auth", "step_auth")
        b.load("step_auth")


def begin(b):
    """CONNECT and the challenge that answers it."""
    ready(b)
    c = b.raw(5)
    c.hello(b.id(), props(b"ada"))
    p = c.expect("AUTH", code=0x18, has=props(b"challenge"))
    assert p
    return c


def established(b):
    c = begin(b)
    c.send(auth(0x18, props(b"challenge")))
    c.expect("CONNACK", code=0, has=props(b"welcome"))
    return c


def test_two_steps(b):
    """5.0: [MQTT-4.12.0-2] [MQTT-4.12.0-3] [MQTT-4.12.0-5] [MQTT-3.15.2-1]."""
    established(b).quiet()


def test_auth_too_large_to_send(b):
    """5.0: [MQTT-3.1.2-24]: an AUTH above the client's maximum packet size is not sent, and the CONNECT is refused."""
    ready(b)
    size = 23  # two bytes of header, reason, length, the method "echo" and the data "challenge"
    c = b.raw(5)
    c.hello(b.id(), {**props(b"ada"), "maximum_packet_size": size})
    assert len(c.expect("AUTH", code=0x18).raw) == size
    c = b.raw(5)
    c.hello(b.id(), {**props(b"ada"), "maximum_packet_size": size - 1})
    c.expect("CONNACK", code=0x95)
    c.expect_eof()


def test_wrong_answer(b):
    """5.0: [MQTT-4.12.0-4] [MQTT-3.1.4-2]."""
    c = begin(b)
    c.send(auth(0x18, props(b"something else")))
    c.expect("CONNACK", code=0x87)
    c.expect_eof()


def test_refused_at_once(b):
    """5.0: [MQTT-4.12.0-4]."""
    ready(b)
    c = b.raw(5)
    c.hello(b.id(), props(b"wrong"))
    c.expect_refused(0x87)


def test_no_auth_for_a_client_without_a_method(b):
    """5.0: [MQTT-4.12.0-6]: a module that wants to go on is not let, and CONNACK names no method."""
    ready(b)
    c = b.raw(5)
    c.hello("plain")
    c.expect("CONNACK", code=0x86, without=["authentication_method", "authentication_data"])
    c.expect_eof()


def test_other_packets_before_connack(b):
    """5.0: [MQTT-3.1.2-30]: only AUTH and DISCONNECT."""
    for data in (publish(5, b.topic(), b"x"), pingreq(), subscribe(5, 1, [("a", 0)])):
        c = begin(b)
        c.send(data)
        p = c.packet()
        assert p is None or p.name == "CONNACK" and p.code in (0x82, 0x81), p


def test_disconnect_before_connack(b):
    """5.0: [MQTT-3.1.2-30]."""
    begin(b).send(disconnect(5)).expect_eof()


def test_method_may_not_change(b):
    """5.0: [MQTT-4.12.0-5] [MQTT-4.12.1-1]: during CONNECT and when authenticating again."""
    c = begin(b)
    c.send(auth(0x18, props(b"challenge", "other")))
    p = c.packet()
    assert p is None or p.name == "CONNACK" and p.code >= 0x80, p
    c = established(b)
    c.send(auth(0x19, props(b"ada", "other")))
    c.expect_closed(0x82, 0x8C)


def test_authenticate_again(b):
    """5.0: [MQTT-4.12.1-1] §4.12.1: messages flow meanwhile."""
    c = established(b)
    c.subscribe(b.topic(), 1)
    c.send(auth(0x19, props(b"ada")))
    c.expect("AUTH", code=0x18, has=props(b"challenge"))
    c.deliver(b.topic(), b"x", 1)
    c.take(b.topic(), b"x")
    c.send(auth(0x18, props(b"challenge")))
    c.expect("AUTH", code=0, has=props())
    c.quiet()


def test_failed_authentication_again_ends_the_connection(b):
    """5.0: [MQTT-4.12.1-2]."""
    c = established(b)
    c.send(auth(0x19, props(b"wrong")))
    c.expect_closed(0x87)


def test_auth_out_of_turn(b):
    """5.0: §3.15.2.1: 0x18 when nothing was asked, 0x00 never from a client."""
    for data in (auth(0x18, props(b"challenge")), auth(0, props())):
        c = established(b)
        c.send(data)
        c.expect_closed(0x82, 0x81)


def test_auth_without_method(b):
    """5.0: [MQTT-4.12.0-5]: a Protocol Error."""
    c = established(b)
    c.send(auth(0x19, {"authentication_data": b"x"}))
    c.expect_closed(0x82, 0x81, 0x8C)
