# SPDX-License-Identifier: Apache-2.0
"""The properties of CONNACK, and that what they say is so."""
from wire import *

CONFIG = {"mqtt.server_keepalive": "10", "mqtt.max_packet_size": "64KB", "mqtt.max_topic_alias": "5",
          "mqtt.session.expiry_interval": "1h", "mqtt.session.max_awaiting_rel": "12",
          "mqtt.response_topic_prefix": "answers/"}
MOSQUITTO = {"max_keepalive": 10, "max_packet_size": 65536, "max_topic_alias": 5, "max_inflight_messages": 12}


def test_absent_means_offered(b):
    """5.0: §3.2.2.3: what is not said has its default: QoS 2, retained, wildcards, identifiers, shared."""
    p = b.client(5).connack.props
    for name in ("retain_available", "wildcard_subscription_available", "subscription_identifier_available",
                 "shared_subscription_available"):
        assert p.get(name, 1) == 1, p
    assert "maximum_qos" not in p, "a Maximum QoS of 2 may not be sent"


def test_no_properties_before_5(b):
    """3.1.1: §3.2: CONNACK has two bytes."""
    for v in (3, 4):
        assert len(b.client(v).connack.raw) == 4


def test_maximum_packet_size_and_alias_maximum(b):
    """5.0: §3.2.2.3.6, §3.2.2.3.8."""
    p = b.client(5).connack.props
    assert p["maximum_packet_size"] == 65536 and p["topic_alias_maximum"] == 5, p


def test_receive_maximum(b):
    """5.0: §3.2.2.3.3."""
    assert b.client(5).connack.props["receive_maximum"] == 12


def test_server_keep_alive(b):
    """5.0: §3.2.2.3.14 [MQTT-3.1.2-21]: sent when it differs from what the client asked for."""
    assert b.client(5, keepalive=60).connack.props["server_keep_alive"] == 10


@not_on_mosquitto("max_session_expiry is not in 2.0.11")
def test_session_expiry_is_told_when_capped(b):
    """5.0: §3.2.2.3.2: the value in use when it is not the one asked for."""
    p = b.client(5, props={"session_expiry_interval": 0xFFFFFFFF}).connack.props
    assert p["session_expiry_interval"] == 3600, p
    assert "session_expiry_interval" not in b.client(5, props={"session_expiry_interval": 30}).connack.props


def test_response_information_only_when_asked(b):
    """5.0: [MQTT-3.1.2-28]."""
    for props in (None, {"request_response_information": 0}):
        assert "response_information" not in b.client(5, props=props).connack.props


@not_on_mosquitto("does not offer it")
def test_response_information(b):
    """5.0: §3.2.2.3.15: a topic prefix the client may use for its answers."""
    p = b.client(5, props={"request_response_information": 1}).connack.props
    assert p["response_information"].startswith("answers/"), p


def test_no_authentication_method_unasked(b):
    """5.0: [MQTT-4.12.0-6]."""
    assert "authentication_method" not in b.client(5).connack.props


def test_connack_fits_the_maximum_packet_size(b):
    """5.0: [MQTT-3.2.2-19] [MQTT-3.2.2-20] [MQTT-3.1.2-24]: the reader measures each packet."""
    b.client(5, props={"maximum_packet_size": 60}).quiet()
    c = b.raw(5)
    c.asked = {"maximum_packet_size": 20}
    c.send(connect(5, b.id(), props={"maximum_packet_size": 20, "authentication_method": "none-such"}))
    p = c.packet()
    assert p is None or p.code in (0x8C, 0x87), p


def test_every_user_property_and_request_is_taken(b):
    """5.0: §3.1.2.11: all properties of CONNECT together."""
    b.client(5, props={"session_expiry_interval": 10, "receive_maximum": 10, "maximum_packet_size": 1000,
                       "topic_alias_maximum": 3, "request_response_information": 1, "request_problem_information": 1,
                       "user_property": [("a", "b"), ("a", "c")]}).quiet()
