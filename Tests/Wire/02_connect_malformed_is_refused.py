# SPDX-License-Identifier: Apache-2.0
"""A CONNECT that breaks the format is refused: closed without CONNACK in 3.x, with its reason in MQTT 5."""
from wire import *

MALFORMED, PROTOCOL = 0x81, 0x82
EITHER = (MALFORMED, PROTOCOL)


def refuse(b, v, bytes_, *codes, half_close=False):
    """The bytes are refused, and a client beside them does not notice."""
    bystander = b.client(4, "bystander")
    c = b.raw(v)
    c.send(bytes_)
    if half_close:
        c.half_close()
    c.expect_refused(*(codes or EITHER))
    bystander.quiet()
    bystander.close()


@versions(4, 5)
def test_reserved_connect_flag(b, v):
    """3.1.1: [MQTT-3.1.2-3] [MQTT-3.1.4-1] [MQTT-3.2.2-6]. 5.0: [MQTT-3.1.2-3] [MQTT-3.1.4-1] [MQTT-4.13.1-1]."""
    refuse(b, v, connect(v, b.id(), flags=3), MALFORMED, PROTOCOL)


@versions(4, 5)
def test_will_qos_without_will_flag(b, v):
    """3.1.1: [MQTT-3.1.2-11] [MQTT-3.1.2-13]. 5.0: [MQTT-3.1.2-11]."""
    for qos in (1, 2):
        refuse(b, v, connect(v, b.id(), flags=2 | qos << 3))


@versions(4, 5)
def test_will_retain_without_will_flag(b, v):
    """3.1.1: [MQTT-3.1.2-11] [MQTT-3.1.2-15]. 5.0: [MQTT-3.1.2-13]."""
    refuse(b, v, connect(v, b.id(), flags=2 | 0x20))


@versions(4, 5)
def test_will_qos_3(b, v):
    """3.1.1: [MQTT-3.1.2-14]. 5.0: [MQTT-3.1.2-12]."""
    refuse(b, v, connect(v, b.id(), will=Will(b.topic(), b"x"), flags=2 | 4 | 3 << 3))


def test_password_without_user_name(b):
    """3.1.1: [MQTT-3.1.2-22] forbids it; MQTT 5 allows it."""
    refuse(b, 4, connect(4, b.id(), password="secret"))


@not_on_mosquitto("2.0.11 wants a user name")
def test_password_alone_is_allowed_in_5(b):
    """5.0: [MQTT-3.1.2-19] §3.1.2.9."""
    b.client(5, password="secret").quiet()


@versions(3, 4, 5)
def test_fields_that_flags_announce_are_missing(b, v):
    """3.1.1: [MQTT-3.1.2-9] [MQTT-3.1.3-1] [MQTT-3.1.2-19] [MQTT-3.1.2-21] [MQTT-3.1.3-3].
    5.0: [MQTT-3.1.2-9] [MQTT-3.1.3-1] [MQTT-3.1.2-17] [MQTT-3.1.2-19] [MQTT-3.1.3-3]."""
    ident, none = utf8(b.id()), (b"\x00" if v == 5 else b"")
    for flags, payload in ((2, b""), (2 | 0x80, ident), (2 | 0xC0, ident + utf8("user")), (2 | 4, ident),
                           (2 | 4, ident + none + utf8("topic")), (2, b"\x00"), (2, b"\x00\x05abc"),
                           (2 | 0x80, ident + b"\x00\x09user")):
        if v > 3 or flags & 0xC0 == 0:
            refuse(b, v, connect(v, flags=flags, payload=payload))


def test_31_user_name_may_be_missing(b):
    """3.1 §3.1: the remaining length takes precedence over the user name and password flags."""
    for flags, more in ((0x80, b""), (0xC0, b""), (0xC0, utf8("user"))):
        c = b.raw(3)
        c.send(connect(3, flags=2 | flags, payload=utf8(b.id()) + more))
        c.expect("CONNACK", code=0)
        c.close()


@versions(3, 4, 5)
@not_on_mosquitto("2.0.11 ignores what follows the payload", 3)
@not_on_mosquitto("2.0.11 ignores what follows the payload", 4)
@not_on_mosquitto("2.0.11 ignores what follows the payload", 5)
def test_fields_that_no_flag_announces(b, v):
    """3.1.1: [MQTT-3.1.2-18] [MQTT-3.1.2-20] [MQTT-3.1.2-11]. 5.0: [MQTT-3.1.2-16] [MQTT-3.1.2-18]."""
    for extra in (b"\x00", utf8("user"), utf8("user") + utf8("password")):
        refuse(b, v, connect(v, flags=2, payload=utf8(b.id()) + extra))


@versions(4, 5)
def test_reserved_bits_of_the_fixed_header(b, v):
    """3.1.1: [MQTT-2.2.2-1] [MQTT-2.2.2-2]. 5.0: [MQTT-2.1.3-1]."""
    for flags in (1, 2, 4, 8, 15):
        data = bytearray(connect(v, b.id()))
        data[0] |= flags
        refuse(b, v, bytes(data))


@versions(3, 4, 5)
def test_variable_header_cut_short(b, v):
    """3.1.1: [MQTT-3.1.4-1]. 5.0: [MQTT-3.1.4-1] [MQTT-4.13.1-1]."""
    whole = connect(v, b.id())[2:]
    for size in (0, 1, 2, 5, 6, 7, 8, 9, 10):
        refuse(b, v, packet(CONNECT, 0, whole[:size]))


def not_utf8(b, v, place, bad):
    if place == "client id":
        return connect(v, bad)
    if place == "user name":
        return connect(v, b.id(), username=bad)
    return connect(v, b.id(), will=Will(bad, b"x"))


@versions(3, 4, 5)
def test_strings_must_be_utf8(b, v):
    """3.1.1: [MQTT-1.5.3-1] [MQTT-1.5.3-2] [MQTT-3.1.3-4] [MQTT-3.1.3-10] [MQTT-3.1.3-11].
    5.0: [MQTT-1.5.4-1] [MQTT-1.5.4-2] [MQTT-3.1.3-4] [MQTT-3.1.3-11] [MQTT-3.1.3-12]."""
    for place in ("client id", "user name", "will topic"):
        for bad in (b"a\xffb", b"a\xed\xa0\x80b", b"a\x00b", b"a\xc0\xafb", b"a\xe2\x82", b"a\xf4\x90\x80\x80"):
            if v == 3 and place != "will topic":
                continue  # 3.1 takes client ids and user names as they are
            refuse(b, v, not_utf8(b, v, place, bad), MALFORMED, PROTOCOL, 0x85, 0x90)


@versions(3, 4, 5)
def test_will_topic_must_be_a_topic_name(b, v):
    """3.1.1: [MQTT-4.7.1-1] [MQTT-4.7.3-1]. 5.0: [MQTT-4.7.0-1] [MQTT-4.7.3-1]."""
    for topic in ("a/+/b", "a/#", "#", ""):
        refuse(b, v, connect(v, b.id(), will=Will(topic, b"x")), MALFORMED, PROTOCOL, 0x90)


def test_property_twice(b):
    """5.0: [MQTT-3.1.4-1], §3.1.2.11: each property at most once, user properties excepted."""
    for name, value in (("session_expiry_interval", 1), ("receive_maximum", 2), ("maximum_packet_size", 99),
                        ("topic_alias_maximum", 3), ("request_response_information", 0),
                        ("request_problem_information", 1), ("authentication_method", "M")):
        refuse(b, 5, connect(5, b.id(), props={name: [value, value]}), PROTOCOL, 0x8C)


def test_property_of_another_packet(b):
    """5.0: [MQTT-3.1.4-1], §2.2.2.2."""
    for name, value in (("payload_format_indicator", 1), ("will_delay_interval", 1), ("topic_alias", 1),
                        ("subscription_identifier", 1), ("reason_string", "x"), ("server_keep_alive", 5),
                        ("assigned_client_identifier", "x"), ("maximum_qos", 1)):
        refuse(b, 5, connect(5, b.id(), props={name: value}))


def test_unknown_property(b):
    """5.0: [MQTT-3.1.4-1], §2.2.2.2."""
    for ident in (0x00, 0x04, 0x0A, 0x2B, 0x7F):
        refuse(b, 5, connect(5, b.id(), props=bytes([2, ident, 0])))


def test_property_values_out_of_range(b):
    """5.0: §3.1.2.11: receive maximum and maximum packet size are not 0, flags are 0 or 1."""
    for name, value in (("receive_maximum", 0), ("maximum_packet_size", 0), ("request_response_information", 2),
                        ("request_problem_information", 2)):
        refuse(b, 5, connect(5, b.id(), props={name: value}), PROTOCOL)


@not_on_mosquitto("2.0.11 accepts it")
def test_authentication_data_without_method(b):
    """5.0: §3.1.2.11.10 a Protocol Error."""
    refuse(b, 5, connect(5, b.id(), props={"authentication_data": b"x"}), PROTOCOL)


def test_property_length_that_does_not_fit(b):
    """5.0: [MQTT-1.5.5-1] [MQTT-2.2.2-1] [MQTT-3.1.4-1]."""
    for block in (b"\x7f", b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff\x01", b"\x02\x11\x00", b"\x01\x26",
                  b"\x80\x80\x80\x80\x00"):
        refuse(b, 5, connect(5, b.id(), props=block))


@not_on_mosquitto("2.0.11 accepts a payload format of 2")
def test_will_properties_out_of_place(b):
    """5.0: §3.1.3.2, [MQTT-3.1.4-1]."""
    for props in ({"payload_format_indicator": 2}, {"will_delay_interval": [1, 1]}, {"receive_maximum": 3},
                  {"topic_alias": 1}, {"content_type": ["a", "b"]}, {"subscription_identifier": 3}, b"\x02\x7f\x01"):
        refuse(b, 5, connect(5, b.id(), will=Will(b.topic(), b"x", props=props)))


def test_user_property_must_be_utf8(b):
    """5.0: [MQTT-1.5.7-1]."""
    for pair in ((b"\xff", b"x"), (b"x", b"\xc0\x80"), (b"a\x00", b"")):
        refuse(b, 5, connect(5, b.id(), props={"user_property": pair}), MALFORMED, PROTOCOL)


@versions(3, 4, 5)
def test_remaining_length_of_five_bytes(b, v):
    """3.1.1: §2.2.3. 5.0: [MQTT-1.5.5-1]."""
    refuse(b, v, b"\x10\xff\xff\xff\xff\x01" + connect(v, b.id())[2:])


@versions(3, 4, 5)
def test_connection_that_ends_inside_connect(b, v):
    """Half a CONNECT and then the end: nothing comes back, nobody else notices."""
    refuse(b, v, connect(v, b.id())[:9], half_close=True)
