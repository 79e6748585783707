# SPDX-License-Identifier: Apache-2.0
"""The will: when it is published, how, and when not."""
from wire import *


def watch(b, qos=2, v=4, name="watcher", **opts):
    w = b.client(v, name)
    w.subscribe(b.topic("#"), qos, **opts)
    return w


@versions(3, 4, 5)
def test_published_when_the_network_fails(b, v):
    """3.1.1: [MQTT-3.1.2-8] [MQTT-3.1.2-9] [MQTT-3.1.2-16]. 5.0: [MQTT-3.1.2-7] [MQTT-3.1.2-8] [MQTT-3.1.2-14]."""
    watcher = watch(b)
    for qos in (0, 1, 2):
        for end in ("close", "reset"):
            c = b.client(v, will=Will(b.topic(f"will{qos}"), f"{qos} {end}", qos))
            getattr(c, end)()
            watcher.take(b.topic(f"will{qos}"), f"{qos} {end}", qos=qos, retain=0)


@versions(3, 4, 5)
def test_not_published_after_disconnect(b, v):
    """3.1.1: [MQTT-3.14.4-3] [MQTT-3.1.2-10]. 5.0: [MQTT-3.14.4-3] [MQTT-3.1.2-10]."""
    watcher = watch(b)
    b.client(v, will=Will(b.topic(), b"x", 1)).disconnect()
    b.nothing_for(watcher, b.client(v, "publisher"))


@versions(3, 4, 5)
def test_no_will_no_message(b, v):
    """3.1.1: [MQTT-3.1.2-12]. 5.0: §3.1.2.5."""
    watcher = watch(b)
    b.client(v).reset()
    b.client(v).disconnect()
    b.nothing_for(watcher, b.client(v, "publisher"))


@versions(3, 4, 5)
def test_published_once(b, v):
    """It is gone when it was published. 3.1.1: [MQTT-3.1.2-10]. 5.0: [MQTT-3.1.2-10]."""
    watcher = watch(b)
    more = {"clean": 0, **({"props": {"session_expiry_interval": 60}} if v == 5 else {})}
    b.client(v, will=Will(b.topic(), b"once"), **more).close()
    watcher.expect_publish(b.topic(), b"once")
    b.client(v, **more).close()
    c = b.client(v, **more)
    c.disconnect()
    b.nothing_for(watcher, b.client(v, "publisher"))


@versions(3, 4, 5)
def test_replaced_by_the_next_connection(b, v):
    """Each connection brings its own will. 3.1.1: [MQTT-3.1.2-8]. 5.0: [MQTT-3.1.2-7]."""
    watcher = watch(b)
    b.client(v, will=Will(b.topic(), b"first")).disconnect()
    b.client(v, will=Will(b.topic(), b"second")).close()
    watcher.expect_publish(b.topic(), b"second")
    b.nothing_for(watcher, b.client(v, "publisher"))


@versions(3, 4, 5)
def test_retained(b, v):
    """3.1.1: [MQTT-3.1.2-17]. 5.0: [MQTT-3.1.2-15]."""
    watcher = watch(b)
    b.client(v, will=Will(b.topic(), b"stays", 1, retain=1)).close()
    watcher.take(b.topic(), b"stays", qos=1, retain=0)
    late = watch(b, name="late")
    late.take(b.topic(), b"stays", qos=1, retain=1)
    b.clear(b.topic())


@versions(3, 4, 5)
def test_not_retained(b, v):
    """3.1.1: [MQTT-3.1.2-16]. 5.0: [MQTT-3.1.2-14]."""
    watcher = watch(b)
    b.client(v, will=Will(b.topic(), b"passes", 1, retain=0)).close()
    watcher.take(b.topic(), b"passes")
    watch(b, name="late").quiet()


@versions(3, 4, 5)
def test_empty_message(b, v):
    """A will may have no payload. 3.1.1: §3.1.3.3. 5.0: §3.1.3.4."""
    watcher = watch(b)
    b.client(v, will=Will(b.topic(), b"")).close()
    watcher.expect_publish(b.topic(), b"")


@versions(3, 4, 5)
@not_on_mosquitto("2.0.11 gives the will up on a protocol error", 3)
@not_on_mosquitto("2.0.11 gives the will up on a protocol error", 4)
def test_published_on_a_protocol_error(b, v):
    """3.1.1: [MQTT-3.1.2-8] [MQTT-4.8.0-1]. 5.0: [MQTT-3.1.2-8] [MQTT-4.13.1-1]."""
    watcher = watch(b)
    c = b.client(v, will=Will(b.topic(), b"broken"))
    c.send(publish(v, "bad/+/topic", b"x"))
    c.until_eof()
    watcher.expect_publish(b.topic(), b"broken")


@versions(3, 4, 5)
def test_published_on_take_over(b, v):
    """The connection was closed and no DISCONNECT received. 3.1.1: [MQTT-3.1.2-8]. 5.0: [MQTT-3.1.2-8]."""
    watcher = watch(b)
    b.client(v, "same", will=Will(b.topic(), b"taken"))
    b.client(v, "same")
    watcher.expect_publish(b.topic(), b"taken")


@versions(3, 4, 5)
def test_goes_through_share_and_wildcards_like_any_message(b, v):
    """3.1.1: [MQTT-3.1.2-8] [MQTT-4.5.0-1]. 5.0: [MQTT-3.1.2-8] [MQTT-4.5.0-1]."""
    watcher = b.client(5, "watcher")
    watcher.subscribe("$share/" + b.id("g") + "/" + b.topic("+"), 1)
    b.client(v, will=Will(b.topic("x"), b"shared", 2)).close()
    watcher.take(b.topic("x"), b"shared", qos=1)


def test_reaches_an_offline_session(b):
    """3.1.1: [MQTT-3.1.2-5]. 5.0: [MQTT-4.5.0-1]."""
    more = {"clean": 0, "props": {"session_expiry_interval": 60}}
    watcher = b.client(5, "watcher", **more)
    watcher.subscribe([(b.topic(), 1), (b.topic("seen"), 1)])
    watcher.disconnect()
    seer = b.client(4, "seer")
    seer.subscribe(b.topic())
    b.client(4, will=Will(b.topic(), b"waits", 1)).close()
    seer.expect_publish(b.topic(), b"waits")
    b.client(5, "watcher", session_present=1, **more).take(b.topic(), b"waits", qos=1)


def test_disconnect_with_will(b):
    """5.0: §3.14.2.1: reason 0x04 asks for the will."""
    watcher = watch(b)
    b.client(5, will=Will(b.topic(), b"asked for")).disconnect(4)
    watcher.expect_publish(b.topic(), b"asked for")


@not_on_mosquitto("2.0.11 discards it")
def test_disconnect_with_an_error_publishes_it(b):
    """5.0: [MQTT-3.14.4-3]: only reason 0x00 discards the will."""
    watcher = watch(b)
    for code in (0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99):
        b.client(5, will=Will(b.topic(), f"{code}")).disconnect(code)
        watcher.expect_publish(b.topic(), f"{code}")


def test_properties_are_passed_on(b):
    """5.0: [MQTT-3.1.3-10] user properties keep their order; §3.1.3.2."""
    watcher = watch(b, v=5)
    pairs = [("b", "1"), ("a", "2"), ("b", "1"), ("", "")]
    props = {"payload_format_indicator": 1, "content_type": "text/plain", "response_topic": "answers/here",
             "correlation_data": b"\x00\xff", "message_expiry_interval": 100, "user_property": pairs}
    b.client(5, will=Will(b.topic(), b"x", 1, props=props)).close()
    p = watcher.take(b.topic(), b"x")
    expiry = p.props.pop("message_expiry_interval")
    assert 98 <= expiry <= 100
    props.pop("message_expiry_interval")
    assert p.props == props, p.props
