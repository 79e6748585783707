# SPDX-License-Identifier: Apache-2.0
"""mqtt.use_username_as_clientid: the user name names the session, on whichever loop its client arrives."""
from wire import *

MARTLET_ONLY = True
PLUGINS = []
CONFIG = {"node.loops": "4", "mqtt.use_username_as_clientid": "on", "mqtt.max_clientid_len": "30"}


def keep(v):
    return {"clean": 0, **({"props": {"session_expiry_interval": 60}} if v == 5 else {})}


@versions(3, 4, 5)
def test_session_is_found_from_every_loop(b, v):
    """3.1.1: [MQTT-3.1.2-4]. 5.0: [MQTT-3.1.2-5]: it was made on one of four loops."""
    user = b.id("user")
    c = b.client(v, client_id="first", username=user, **keep(v))
    c.subscribe(b.topic(), 1)
    for i in range(24):
        c.disconnect()
        c = b.client(v, client_id=f"other{i}", username=user, session_present=None if v == 3 else 1, **keep(v))
    c.deliver(b.topic(), b"x", 1)
    c.take(b.topic(), b"x", qos=1)


@versions(4, 5)
def test_it_is_taken_over_by_its_name(b, v):
    """3.1.1: [MQTT-3.1.4-2]. 5.0: [MQTT-3.1.4-3]."""
    for i in range(8):
        old = b.client(v, client_id=f"a{i}", username=b.id("user"))
        new = b.client(v, client_id=f"b{i}", username=b.id("user"))
        old.expect_closed(0x8E)
        new.quiet().disconnect()


def test_who_has_no_identifier_is_told_the_name(b):
    """5.0: [MQTT-3.1.3-6] [MQTT-3.1.3-7] [MQTT-3.2.2-16]."""
    c = b.client(5, client_id="", username=b.id("user"))
    assert c.connack.props["assigned_client_identifier"] == b.id("user"), c.connack
    assert "assigned_client_identifier" not in b.client(5, client_id="x", username=b.id("u2")).connack.props


def test_without_user_name_the_identifier_counts(b):
    """As if the zone said nothing; 3.1.1: [MQTT-3.1.3-8] holds whatever the user name is."""
    b.client(5, client_id=b.id("mine"), **keep(5)).disconnect()
    b.client(5, client_id=b.id("mine"), session_present=1, **keep(5))
    c = b.raw(4)
    c.hello("", clean=0, username="somebody")
    c.expect("CONNACK", code=2)


def test_limits_and_bans_are_about_the_name(b):
    """5.0: [MQTT-3.1.3-8]."""
    c = b.raw(5)
    c.hello("short", username="x" * 31)
    c.expect("CONNACK", code=0x85)
    assert b.ctl("banned", "add", "clientid", b.id("bad")).returncode == 0
    c = b.raw(5)
    c.hello("anything", username=b.id("bad"))
    c.expect("CONNACK", code=0x8A)
