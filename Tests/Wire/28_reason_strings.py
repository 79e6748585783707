# SPDX-License-Identifier: Apache-2.0
"""Reason Strings: what was refused and why, in words, for MQTT 5 clients that want them. mqtt.reason_strings"""
import re

from wire import *
from wire.cplugin import compile_plugin

MARTLET_ONLY = True
PLUGINS = ["acl_file", "auth_username"]
PLUGIN_CONFIG = {"auth_username": {"auth.user.1.username": "ada", "auth.user.1.password": "lovelace"}}
SILENT, ELSEWHERE, CLOSING, NAMED = (free_port() for _ in range(4))
CONFIG = {
    "mqtt.reason_strings": "on", "mqtt.session.max_awaiting_rel": "2", "mqtt.max_packet_size": "1KB",
    "mqtt.session.max_subscriptions": "4", "mqtt.max_topic_levels": "5", "mqtt.max_topic_alias": "2",
    "listener.tcp.silent": f"127.0.0.1:{SILENT}", "listener.tcp.silent.zone": "silent",
    "zone.silent.reason_strings": "off", "zone.silent.payload_format_check": "off",
    "listener.tcp.elsewhere": f"127.0.0.1:{ELSEWHERE}", "listener.tcp.elsewhere.zone": "elsewhere",
    "zone.elsewhere.redirect": "server_moved", "zone.elsewhere.server_reference": "new.example.com",
    "listener.tcp.closing": f"127.0.0.1:{CLOSING}", "listener.tcp.closing.zone": "closing",
    "zone.closing.acl_deny_action": "disconnect", "zone.closing.max_qos_allowed": "1",
    "zone.closing.retain_available": "off", "zone.closing.subscription_ids": "off",
    "zone.closing.wildcard_subscription": "off", "zone.closing.shared_subscription": "off",
    "zone.closing.max_clientid_len": "20",
    "listener.tcp.named": f"127.0.0.1:{NAMED}", "listener.tcp.named.zone": "named",
    "zone.named.allow_anonymous": "false",
}
RULES = '{deny, all, pubsub, ["closed/#"]}.\n{allow, all}.\n'


def words(p, pattern):
    """The packet says so, in one sentence of ours."""
    text = p.props.get("reason_string", "")
    assert re.search(pattern, text), f"{text!r} is not about {pattern!r}: {p!r}"
    assert text.endswith(".") and text[0].isupper() and len(text) < 120, text
    return p


def closed(c, code, pattern):
    words(c.expect("DISCONNECT", code=code), pattern)
    c.expect_eof()


def refused(b, code, pattern, port=None, data=None, props=None, **more):
    """CONNACK says no, in words; returns it."""
    c = b.raw(5, port=port)
    c.send(data) if data else c.hello(more.pop("client_id", b.id()), props, **more)
    p = words(c.expect("CONNACK", code=code), pattern)
    c.expect_eof()
    return p


def rules(b):
    (b.dir / "etc/acl.conf").write_text(RULES)
    assert b.ctl("acl", "reload").returncode == 0


def test_refused_connect(b):
    """5.0: [MQTT-3.1.4-2] §3.2.2.3.9: each check has its words."""
    refused(b, 0x82, "Receive Maximum", props={"receive_maximum": 0})
    refused(b, 0x81, "reserved flag", data=bytes.fromhex("10 10 00044d51545405 03 003c 00 0003 616263"))
    refused(b, 0x85, "longer than the server allows", CLOSING, client_id="x" * 21)
    refused(b, 0x90, "will", will=Will("a/b/c/d/e/f"))
    refused(b, 0x99, "UTF-8", will=Will("a", b"\xff", props={"payload_format_indicator": 1}))
    refused(b, 0x9B, "QoS", CLOSING, will=Will("a", b"", 2))
    refused(b, 0x9A, "retained", CLOSING, will=Will("a", b"", 0, 1))
    refused(b, 0x87, "anonymous", NAMED)
    refused(b, 0x8C, "authentication method", props={"authentication_method": "none such"})


def test_banned(b):
    assert b.ctl("banned", "add", "clientid", b.id("bad")).returncode == 0
    refused(b, 0x8A, "banned", client_id=b.id("bad"))


def test_a_refused_login_does_not_say_what_was_wrong(b):
    """The same words for a wrong user name and for a wrong password."""
    said = {refused(b, 0x86, "user name and password", NAMED, username=user, password=word).props["reason_string"]
            for user, word in (("ada", "byron"), ("grace", "lovelace"), ("grace", ""))}
    assert len(said) == 1, said


def test_server_reference_stays_with_it(b):
    """5.0: §3.2.2.3.16; too small a maximum packet size costs the words, not the reference. [MQTT-3.2.2-19]"""
    has = {"server_reference": "new.example.com"}
    p = refused(b, 0x9D, "moved", ELSEWHERE)
    assert p.props["server_reference"] == has["server_reference"], p
    c = b.raw(5, port=ELSEWHERE)
    c.hello(b.id(), {"maximum_packet_size": len(p.raw) - 1})
    c.expect("CONNACK", code=0x9D, has=has, without=["reason_string"])


def test_protocol_errors(b):
    """5.0: [MQTT-4.13.1-1] §3.14.2.2.3: the DISCONNECT says which rule was broken."""
    for data, code, pattern in (
            (connect(5, "again"), 0x82, "CONNECT before"),
            (packet(SUBSCRIBE, 0, b"\0\1\0\0\1a\0"), 0x81, "reserved flag"),
            (packet(SUBSCRIBE, 2, b"\0\0\0\0\1a\0"), 0x82, "packet identifier is 0"),
            (packet(PUBLISH, 6, b"\0\1a\0\1\0"), 0x81, "QoS 3"),
            (publish(5, "a/+", b""), 0x90, "wildcard"),
            (publish(5, "", b""), 0x82, "topic"),
            (publish(5, "", b"", props={"topic_alias": 1}), 0x82, "alias"),
            (publish(5, "a", b"", props={"topic_alias": 3}), 0x94, "alias"),
            (publish(5, "a/b/c/d/e/f", b""), 0x90, "levels"),
            (publish(5, "a", b"\xff", props={"payload_format_indicator": 1}), 0x99, "UTF-8"),
            (publish(5, "a", b"", props={"subscription_identifier": 7}), 0x82, "subscription identifier"),
            (publish(5, "a", b"x" * 1024), 0x95, "larger"),
            (subscribe(5, 1, [("$share/g/a", options(0, no_local=1))]), 0x82, "No Local"),
            (auth(0x19, {"authentication_method": "x"}), 0x82, "AUTH"),
            (disconnect(5, 0, {"session_expiry_interval": 60}), 0x82, "expiry"),
            (packet(PINGRESP, 0), 0x82, "not allowed here")):
        c = b.client(5)
        c.send(data)
        closed(c, code, pattern)


def test_what_the_zone_does_not_offer(b):
    """5.0: [MQTT-3.2.2-11] [MQTT-3.2.2-14] and the subscriptions that are not available."""
    rules(b)
    for data, code, pattern in (
            (publish(5, "a", b"", 2, pid=1), 0x9B, "QoS"), (publish(5, "a", b"", retain=1), 0x9A, "retained"),
            (publish(5, "closed/a", b""), 0x87, "access rules"),
            (subscribe(5, 1, [("a", 0)], {"subscription_identifier": 1}), 0xA1, "subscription identifiers")):
        c = b.raw(5, port=CLOSING).connect(b.id())
        c.send(data)
        closed(c, code, pattern)


def test_receive_maximum_exceeded(b):
    """5.0: [MQTT-3.3.4-7]: 0x93."""
    c = b.client(5)
    for pid in (1, 2, 3):
        c.publish(b.topic(), b"", 2, pid=pid)
    c.expect("PUBREC", pid=1)
    c.expect("PUBREC", pid=2)
    closed(c, 0x93, "Receive Maximum")


def test_wrong_acknowledgement(b):
    """5.0: [MQTT-4.13.1-1]: PUBCOMP for a message of QoS 1."""
    c = b.client(5)
    c.subscribe(b.topic(), 1)
    c.publish(b.topic(), b"", 1)
    c.expect("PUBACK")
    c.send_ack(PUBCOMP, c.expect_publish(b.topic()).pid)
    closed(c, 0x82, "acknowledgement")


def test_the_broker_ends_connections(b):
    """5.0: [MQTT-3.1.4-3]: 0x8E; 0x8D; 0x98."""
    c = b.client(5)
    b.client(5)
    closed(c, 0x8E, "Another connection")
    closed(b.client(5, keepalive=1), 0x8D, "keep alive")
    c = b.client(5)
    assert b.ctl("clients", "kick", b.id()).returncode == 0
    closed(c, 0x98, "administrator")
    c = b.client(5)
    assert b.ctl("banned", "add", "clientid", b.id()).returncode == 0
    closed(c, 0x98, "banned")


def test_denied_publish(b):
    """5.0: §3.4.2.2.2 §3.5.2.2.2: PUBACK and PUBREC with 0x87."""
    rules(b)
    c = b.client(5)
    for qos, name in ((1, "PUBACK"), (2, "PUBREC")):
        words(c.expect_ack(name, c.publish("closed/a", b"", qos)), "access rules")
    c.deliver(b.topic(), b"", 2)


def test_unknown_identifiers(b):
    """5.0: §3.6.2.2.2 §3.7.2.2.2: PUBREL and PUBCOMP with 0x92."""
    c = b.client(5)
    c.send(ack(PUBREL, 5, 7))
    words(c.expect("PUBCOMP", pid=7, code=0x92), "packet identifier")
    c.send(ack(PUBREC, 5, 8))
    words(c.expect("PUBREL", pid=8, code=0x92), "packet identifier")


def answered(c, data, name, pattern):
    c.send(data)
    return words(c.expect(name), pattern)


def test_refused_filters(b):
    """5.0: §3.9.2.1.2 §3.11.2.1.2: SUBACK and UNSUBACK about the first filter that failed."""
    rules(b)
    c = b.client(5)
    for filters, pattern in (([("a", 0), ("closed/a", 0), ("a/#/b", 0)], "access rules"), ([("a/#/b", 0)], "filter"),
                             ([("a/b/c/d/e/f", 0)], "levels"), ([(f"f{i}", 0) for i in range(5)], "subscriptions")):
        answered(c, subscribe(5, c.pid(), filters), "SUBACK", pattern)
    answered(c, unsubscribe(5, c.pid(), ["none", "a/#/b"]), "UNSUBACK", "filter")
    c = b.raw(5, port=CLOSING).connect(b.id("other"))
    for filter_, pattern in (("a/+", "wildcards"), ("$share/g/a", "shared")):
        answered(c, subscribe(5, c.pid(), [(filter_, 0)]), "SUBACK", pattern)


def test_success_says_nothing(b):
    """Not in CONNACK, acknowledgements, SUBACK, UNSUBACK."""
    c = b.client(5)
    seen = [c.connack]
    for data in (subscribe(5, 1, [(b.topic(), 0)]), publish(5, b.topic("x"), b"", 1, pid=2),
                 unsubscribe(5, 3, [b.topic(), "none"]), publish(5, b.topic("x"), b"", 2, pid=4),
                 ack(PUBREL, 5, 4)):
        c.send(data)
        seen.append(c.packet())
    assert not any(p.props.get("reason_string") for p in seen), seen


def test_declined(b):
    """5.0: [MQTT-3.1.2-29]: with Request Problem Information 0 there are no words, in no packet."""
    rules(b)
    mute = {"request_problem_information": 0}
    c = b.client(5, props=mute)
    bare = {"without": ["reason_string", "user_property"]}
    c.send(publish(5, "closed/a", b"", 1, pid=1)).expect("PUBACK", code=0x87, **bare)
    c.send(publish(5, "closed/a", b"", 2, pid=1)).expect("PUBREC", code=0x87, **bare)
    c.send(ack(PUBREL, 5, 7)).expect("PUBCOMP", code=0x92, **bare)
    c.send(ack(PUBREC, 5, 7)).expect("PUBREL", code=0x92, **bare)
    c.send(subscribe(5, 1, [("closed/a", 0)])).expect("SUBACK", codes=[0x87], **bare)
    c.send(unsubscribe(5, 1, ["a/#/b"])).expect("UNSUBACK", codes=[0x8F], **bare)
    c.send(pingreq()[:1] + b"\1\0").expect("DISCONNECT", **bare)
    c = b.raw(5)
    c.hello(b.id(), mute, will=Will("a/b/c/d/e/f"))
    c.expect("CONNACK", code=0x90, **bare)


def test_maximum_packet_size(b):
    """5.0: [MQTT-3.2.2-19] [MQTT-3.4.2-2] [MQTT-3.5.2-2] [MQTT-3.6.2-2] [MQTT-3.7.2-2] [MQTT-3.9.2-1] [MQTT-3.11.2-1]
    [MQTT-3.14.2-3] [MQTT-3.15.2-2]: the words are left out before a packet gets larger than the client takes."""
    rules(b)
    small = {"maximum_packet_size": 30}
    for data, name, field in (
            (publish(5, "closed/a", b"", 1, pid=1), "PUBACK", {"code": 0x87}),
            (publish(5, "closed/a", b"", 2, pid=1), "PUBREC", {"code": 0x87}),
            (ack(PUBREL, 5, 7), "PUBCOMP", {"code": 0x92}), (ack(PUBREC, 5, 7), "PUBREL", {"code": 0x92}),
            (subscribe(5, 1, [("closed/a", 0)]), "SUBACK", {"codes": [0x87]}),
            (unsubscribe(5, 1, ["a/#/b"]), "UNSUBACK", {"codes": [0x8F]}),
            (connect(5, "again"), "DISCONNECT", {"code": 0x82})):
        c = b.client(5, props=small)
        c.send(data).expect(name, without=["reason_string"], **field)
        c.close()
        c = b.client(5)
        whole = c.send(data).expect(name, **field)
        c.close()
        c = b.client(5, props={"maximum_packet_size": len(whole.raw)})
        assert c.send(data).expect(name, **field).raw == whole.raw, "what just fits is sent"
        c.close()
    c = b.raw(5)
    c.hello(b.id(), small, will=Will("a/b/c/d/e/f"))
    c.expect("CONNACK", code=0x90, without=["reason_string"])


def test_a_zone_without(b):
    """zone.NAME.reason_strings = off."""
    c = b.raw(5, port=SILENT).connect(b.id())
    c.send(connect(5, "again"))
    assert c.packet().raw == bytes.fromhex("e0 01 82"), "the shortest DISCONNECT"
    c = b.raw(5, port=SILENT)
    c.hello(b.id(), will=Will("a/b/c/d/e/f"))
    c.expect("CONNACK", code=0x90, without=["reason_string"])


def test_payload_format_unchecked(b):
    """5.0: §3.3.2.3.2: a receiver may check it; zone.NAME.payload_format_check = off does not."""
    text = {"payload_format_indicator": 1}
    c = b.raw(5, port=SILENT).connect(b.id(), will=Will("a", b"\xff", props=text))
    c.subscribe(b.topic(), 0)
    c.publish(b.topic(), b"\xff", props=text)
    c.expect_publish(b.topic(), b"\xff", has=text)


@versions(3, 4)
def test_three_gets_none(b, v):
    """3.1.1: §3.2: there is no place for them."""
    c = b.client(v)
    c.send(ack(PUBREL, v, 7))
    assert c.packet().raw == bytes.fromhex("70 02 00 07")


def test_words_of_a_plugin(b):
    """5.0: §3.15.2.2.4: with the challenge and with the refusal; what is no text and what no CONNACK may have is not
    passed on. [MQTT-3.2.2-8] [MQTT-1.5.4-1]"""
    compile_plugin(b, "step_auth", "step_auth")
    b.load("step_auth")

    def begin(**more):
        c = b.raw(5)
        c.hello(b.id(), {"authentication_method": "echo", "authentication_data": b"ada", **more})
        return c, c.expect("AUTH", code=0x18)

    def step(data):
        return auth(0x18, {"authentication_method": "echo", "authentication_data": data})

    c, challenge = begin()
    words(challenge, "Send it back")
    c.send(step(b"what?"))
    words(c.expect("CONNACK", code=0x87), "no echo")
    c, _ = begin(request_problem_information=0)
    c.send(step(b"what?")).expect("CONNACK", code=0x87, without=["reason_string"])
    c, bare = begin(maximum_packet_size=len(challenge.raw) - 1)
    assert "reason_string" not in bare.props, bare  # [MQTT-3.15.2-2]
    c, _ = begin()
    c.send(step(b"bytes"))
    words(c.expect("CONNACK", code=0x87), "not authorized")
    c, _ = begin()
    c.send(step(b"code"))
    words(c.expect("CONNACK", code=0x80), "no echo")


def test_the_broker_stops(b):
    """5.0: §3.14.2.1: 0x8B."""
    c = b.client(5)
    b.process.terminate()
    closed(c, 0x8B, "shutting down")
    assert b.process.wait(DEADLINE) == 0
    b.kill()
    b.start()
