# SPDX-License-Identifier: Apache-2.0
"""What a publisher says about its message reaches each subscriber unaltered."""
from wire import *

ALL = {"payload_format_indicator": 1, "content_type": "text/plain; charset=utf-8", "response_topic": "answers/to/me",
       "correlation_data": bytes(range(256)),
       "user_property": [("z", "1"), ("a", "2"), ("z", "1"), ("", ""), ("é", "\ufeff")]}


def pair(b, v=5, filter_=None, qos=2, **more):
    sub = b.client(v, "sub", **more)
    sub.subscribe(filter_ or b.topic("#"), qos)
    return sub, b.client(5, "publisher")


def test_all_of_them(b):
    """5.0: [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18] [MQTT-3.3.2-20]."""
    sub, pub = pair(b)
    for qos in (0, 1, 2):
        pub.deliver(b.topic(), "gr\u00fc\u00df", qos, props=ALL)
        assert sub.take(b.topic(), "gr\u00fc\u00df", qos=qos).props == ALL


def test_each_alone(b):
    """5.0: [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-20]."""
    sub, pub = pair(b)
    for name, value in ALL.items():
        pub.publish(b.topic(), b"x", props={name: value})
        assert sub.take(b.topic()).props == {name: value}
    pub.publish(b.topic(), b"x")
    assert sub.take(b.topic()).props == {}


def test_to_every_subscriber(b):
    """5.0: [MQTT-3.3.2-4] [MQTT-3.3.2-17]: wildcards, shared subscriptions, retained and queued messages."""
    sub, pub = pair(b, filter_=b.topic("+"))
    shared = b.client(5, "shared")
    shared.subscribe("$share/g/" + b.topic(), 1)
    queued = b.client(5, "queued", clean=0, props={"session_expiry_interval": 60})
    queued.subscribe(b.topic(), 1)
    queued.disconnect()
    pub.deliver(b.topic(), b"x", 1, retain=1, props=ALL)
    late = b.client(5, "late")
    late.subscribe(b.topic(), 1)
    queued = b.client(5, "queued", clean=0, session_present=1, props={"session_expiry_interval": 60})
    for c in (sub, shared, late, queued):
        assert c.take(b.topic(), b"x").props == ALL, c.label
    b.clear(b.topic())


def test_sent_again_with_them(b):
    """5.0: [MQTT-4.4.0-1] [MQTT-3.3.2-17]."""
    more = {"clean": 0, "props": {"session_expiry_interval": 60}}
    sub, pub = pair(b, **more)
    pub.deliver(b.topic(), b"x", 2, props=ALL)
    sub.expect_publish(b.topic(), b"x")
    sub.close()
    sub = b.client(5, "sub", session_present=1, **more)
    assert sub.take(b.topic(), b"x", dup=1).props == ALL


def test_old_clients_get_the_message_without(b):
    """3.1 and 3.1.1 have no properties; their messages arrive in MQTT 5 with none."""
    for v in (3, 4):
        sub, pub = pair(b, v)
        pub.deliver(b.topic(), b"x", 1, props=ALL)
        sub.take(b.topic(), b"x")
        sub.close()
    sub, _ = pair(b)
    b.client(4, "old").deliver(b.topic(), b"x", 1)
    assert sub.take(b.topic(), b"x").props == {}


def test_payload_format_zero_is_passed_on_too(b):
    """5.0: [MQTT-3.3.2-4]."""
    sub, pub = pair(b)
    pub.publish(b.topic(), b"\xff", props={"payload_format_indicator": 0})
    assert sub.take(b.topic()).props in ({"payload_format_indicator": 0}, {})


def test_many_user_properties_keep_their_order(b):
    """5.0: [MQTT-3.3.2-18]."""
    sub, pub = pair(b)
    pairs = [(f"k{i % 7}", str(i)) for i in range(300)]
    pub.deliver(b.topic(), b"x", 1, props={"user_property": pairs})
    assert sub.take(b.topic()).props["user_property"] == pairs


@not_on_mosquitto("2.0.11 accepts some of these")
def test_wrong_properties_close(b):
    """5.0: [MQTT-3.3.2-14] [MQTT-3.3.2-13] [MQTT-3.3.2-19] [MQTT-3.3.4-6] [MQTT-4.13.1-1], §3.3.2.3."""
    for props in ({"response_topic": "a/+"}, {"response_topic": "#"}, {"response_topic": b"\xff"},
                  {"content_type": b"\xc0\x80"}, {"payload_format_indicator": 2}, {"subscription_identifier": 1},
                  {"payload_format_indicator": [1, 1]}, {"message_expiry_interval": [1, 1]},
                  {"content_type": ["a", "a"]},
                  {"response_topic": ["a", "a"]}, {"correlation_data": [b"a", b"a"]}, {"user_property": (b"\xff", b"")},
                  {"session_expiry_interval": 1}, {"receive_maximum": 1}, {"reason_string": "x"},
                  {"will_delay_interval": 1},
                  b"\x02\x7f\x00", b"\x05\x01", b"\xff\xff\xff\xff\x7f", b"\x03\x26\x00\x09"):
        c = b.client(5)
        c.publish(b.topic(), b"x", 1, props=props)
        c.expect_closed(0x81, 0x82, 0x90)


def test_response_topic_must_be_utf8(b):
    """5.0: [MQTT-3.3.2-13]."""
    c = b.client(5)
    c.publish(b.topic(), b"x", 1, props={"response_topic": b"a\x00"})
    assert (p := c.packet()) is None or p.name == "DISCONNECT"


def test_request_and_answer(b):
    """The pattern the properties are for: 5.0 §4.10."""
    server, asker = b.client(5, "server"), b.client(5, "asker")
    server.subscribe(b.topic("ask"), 1)
    asker.subscribe(b.topic("answer"), 1)
    asker.deliver(b.topic("ask"), b"2+2", 1, props={"response_topic": b.topic("answer"), "correlation_data": b"#1"})
    p = server.take(b.topic("ask"), b"2+2")
    server.deliver(p.props["response_topic"], b"4", 1, props={"correlation_data": p.props["correlation_data"]})
    assert asker.take(b.topic("answer"), b"4").props["correlation_data"] == b"#1"


def test_problem_information_is_not_forced_on_anyone(b):
    """5.0: [MQTT-3.1.2-29]: the client library refuses reason strings and user properties outside the three packets."""
    c = b.client(5, props={"request_problem_information": 0})
    c.deliver(b.topic(), b"x", 1)
    c.deliver(b.topic(), b"x", 2)
    c.subscribe([(b.topic(), 0), (b.topic("#"), 1)])
    c.unsubscribe(b.topic(), "unknown")
    c.publish(b.topic(), b"x", props={"user_property": ("a", "b")})
    c.expect_publish(b.topic(), has={"user_property": [("a", "b")]})
