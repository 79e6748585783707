# SPDX-License-Identifier: Apache-2.0
"""Client identifiers: which are taken, which are assigned, and that each lives once."""
from wire import *

ALNUM = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@versions(3, 4, 5)
def test_one_to_23_letters_and_digits(b, v):
    """3.1.1: [MQTT-3.1.3-5] [MQTT-3.1.3-3]. 5.0: [MQTT-3.1.3-5] [MQTT-3.1.3-3]."""
    for ident in ("a", ALNUM[:23], ALNUM[20:43], ALNUM[-23:]):
        b.client(v, client_id=ident).disconnect()


@versions(4, 5)
def test_longer_and_stranger_identifiers(b, v):
    """The server may take more, and we do: 5.0 §3.1.3.1."""
    for ident in ("x" * 200, "a/b/c", "Zürich-時計", "with space", "a+#$", '"quote"', "\ufeffbom"):
        b.client(v, client_id=ident).quiet().disconnect()


def test_31_empty_identifier_is_rejected(b):
    """3.1 §3.1: an identifier has 1 to 23 characters, otherwise return code 2."""
    for clean in (0, 1):
        c = b.raw(3)
        c.hello("", clean=clean)
        c.expect("CONNACK", code=2)
        c.expect_eof()


def test_311_empty_identifier_with_clean_session(b):
    """3.1.1: [MQTT-3.1.3-6] the server makes one up."""
    first, second = (b.client(4, name, client_id="") for name in ("first", "second"))
    first.quiet()
    second.quiet()


def test_311_empty_identifier_without_clean_session(b):
    """3.1.1: [MQTT-3.1.3-8] [MQTT-3.1.3-9] [MQTT-3.2.2-4] [MQTT-3.2.2-5]."""
    c = b.raw(4)
    c.hello("", clean=0)
    c.expect("CONNACK", code=2, session_present=0)
    c.expect_eof()


def test_5_empty_identifier_is_assigned_one(b):
    """5.0: [MQTT-3.1.3-6] [MQTT-3.1.3-7] [MQTT-3.2.2-16]."""
    seen = set()
    for clean in (0, 1, 0, 1):
        c = b.client(5, client_id="", clean=clean, session_present=0)
        seen.add(c.connack.props["assigned_client_identifier"])
        c.quiet()
    assert len(seen) == 4 and "" not in seen, seen


def test_5_assigned_identifier_names_the_session(b):
    """5.0: [MQTT-3.1.3-7] [MQTT-3.1.3-2]."""
    c = b.client(5, client_id="", clean=0, props={"session_expiry_interval": 60})
    ident = c.connack.props["assigned_client_identifier"]
    c.disconnect()
    again = b.client(5, "again", client_id=ident, clean=0, session_present=1)
    assert "assigned_client_identifier" not in again.connack.props


def test_5_no_identifier_is_assigned_to_who_has_one(b):
    """5.0: §3.2.2.3.7."""
    assert "assigned_client_identifier" not in b.client(5).connack.props


def test_identifiers_differ_by_case_and_byte(b):
    """3.1.1: [MQTT-3.1.3-2] [MQTT-1.5.3-3]. 5.0: [MQTT-3.1.3-2] [MQTT-1.5.4-3]."""
    name = b.id("case")
    clients = [b.client(5, client_id=ident) for ident in (name, name.upper(), name + " ", "\ufeff" + name, "é" + name,
                                                          "e\u0301" + name)]
    for c in clients:
        c.quiet()


@versions(3, 4, 5)
@not_on_mosquitto("2.0.11 closes without DISCONNECT", 5)
def test_second_connection_takes_over(b, v):
    """3.1.1: [MQTT-3.1.4-2]. 5.0: [MQTT-3.1.4-3]: DISCONNECT 0x8E to the first."""
    old = b.client(v, "same")
    new = b.client(v, "same")
    old.expect_closed(0x8E)
    new.quiet()


@versions(3, 4, 5)
@not_on_mosquitto("2.0.11 closes without DISCONNECT", 5)
def test_take_over_across_versions(b, v):
    """An identifier lives once, whatever is spoken. 3.1.1: [MQTT-3.1.4-2]. 5.0: [MQTT-3.1.4-3]."""
    for other in (3, 4, 5):
        old = b.client(v, "same")
        new = b.client(other, "same")
        old.expect_closed(0x8E)
        new.quiet().disconnect()


@versions(3, 4, 5)
@not_on_mosquitto("2.0.11 closes without DISCONNECT", 5)
def test_take_over_keeps_the_session(b, v):
    """3.1.1: [MQTT-3.1.4-3] [MQTT-3.2.2-2] [MQTT-3.1.2-4]. 5.0: [MQTT-3.1.4-4] [MQTT-3.2.2-3] [MQTT-3.1.2-5]."""
    more = {"props": {"session_expiry_interval": 60}} if v == 5 else {}
    old = b.client(v, "same", clean=0, **more)
    old.subscribe(b.topic(), 1)
    new = b.client(v, "same", clean=0, session_present=None if v == 3 else 1, **more)
    old.expect_closed(0x8E)
    b.client(4, "publisher").deliver(b.topic(), b"for the new one", 1)
    new.take(b.topic(), b"for the new one", qos=1)


@versions(3, 4, 5)
@not_on_mosquitto("2.0.11 closes without DISCONNECT", 5)
def test_take_over_with_clean_start_drops_the_session(b, v):
    """3.1.1: [MQTT-3.1.2-6] [MQTT-3.2.2-1]. 5.0: [MQTT-3.1.2-4] [MQTT-3.2.2-2]."""
    more = {"props": {"session_expiry_interval": 60}} if v == 5 else {}
    old = b.client(v, "same", clean=0, **more)
    old.subscribe(b.topic(), 1)
    new = b.client(v, "same", clean=1, session_present=0)
    old.expect_closed(0x8E)
    publisher = b.client(4, "publisher")
    publisher.deliver(b.topic(), b"for nobody", 1)
    b.nothing_for(new, publisher)


@not_on_mosquitto("2.0.11 closes without DISCONNECT")
def test_take_over_again_and_again(b):
    """A hundred connections fight for one identifier: the last one has it, the others are told."""
    last = b.client(5, "same", clean=0, props={"session_expiry_interval": 60})
    last.subscribe(b.topic(), 1)
    for _ in range(100):
        old, last = last, b.client(5, "same", clean=0, session_present=1, props={"session_expiry_interval": 60})
        old.expect_closed(0x8E)
    b.client(4, "publisher").deliver(b.topic(), b"winner", 1)
    last.take(b.topic(), b"winner", qos=1)


@not_on_mosquitto("2.0.11 closes without DISCONNECT")
def test_take_over_resends_what_was_in_flight(b):
    """5.0: [MQTT-4.4.0-1] [MQTT-3.3.1-1]."""
    more = {"clean": 0, "props": {"session_expiry_interval": 60}}
    old = b.client(5, "same", **more)
    old.subscribe(b.topic(), 2)
    publisher = b.client(4, "publisher")
    publisher.deliver(b.topic(), b"one", 1)
    publisher.deliver(b.topic(), b"two", 2)
    pids = [old.expect_publish(b.topic()).pid for _ in range(2)]
    new = b.client(5, "same", session_present=1, **more)
    old.expect_closed(0x8E)
    got = [new.expect_publish(b.topic(), dup=1) for _ in range(2)]
    assert [(p.pid, p.payload) for p in got] == list(zip(pids, (b"one", b"two")))
