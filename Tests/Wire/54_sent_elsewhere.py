# SPDX-License-Identifier: Apache-2.0
"""Server redirection: a server that is being emptied names another. MQTT 5 §4.11, §4.13."""
from wire import *

MARTLET_ONLY = True
LEAVING, MOVED, SILENT = (free_port() for _ in range(3))
ELSEWHERE = "broker2.example.com:1883 broker3.example.com"
CONFIG = {
    "mqtt.server_reference": ELSEWHERE,
    "listener.tcp.leaving": f"127.0.0.1:{LEAVING}", "listener.tcp.leaving.zone": "leaving",
    "zone.leaving.redirect": "use_another_server",
    "listener.tcp.moved": f"127.0.0.1:{MOVED}", "listener.tcp.moved.zone": "moved",
    "zone.moved.redirect": "server_moved", "zone.moved.server_reference": "new.example.com",
    "listener.tcp.silent": f"127.0.0.1:{SILENT}", "listener.tcp.silent.zone": "silent",
    "zone.silent.redirect": "server_moved", "zone.silent.server_reference": "",
}


def answer(b, v, port):
    c = b.raw(v, "elsewhere", port=port)
    c.hello(b.id("x"))
    ack = c.expect("CONNACK")
    c.expect_eof()
    return ack


def test_connack_names_another_server(b):
    """5.0: §3.2.2.3.16: 0x9C and 0x9D come with the Server Reference."""
    ack = answer(b, 5, LEAVING)
    assert ack.code == 0x9C and ack.props["server_reference"] == ELSEWHERE, ack
    ack = answer(b, 5, MOVED)
    assert ack.code == 0x9D and ack.props["server_reference"] == "new.example.com", ack


def test_without_a_reference_the_client_has_to_know(b):
    """5.0: §4.11: the reference is optional."""
    ack = answer(b, 5, SILENT)
    assert ack.code == 0x9D and "server_reference" not in ack.props, ack


def test_three_has_no_code_for_it(b):
    """3.1.1: §3.2.2.3: return code 3, server unavailable."""
    for v in (3, 4):
        assert answer(b, v, LEAVING).code == 3


def test_clients_that_are_in_are_sent_away_on_demand(b):
    """5.0: §3.14.2.2.5: DISCONNECT 0x9C with the Server Reference; 3.x clients are closed."""
    five, four, other = b.client(5, "five"), b.client(4, "four"), b.client(5, "other")
    assert b.ctl("clients", "redirect", b.id("five")).returncode == 0
    five.expect("DISCONNECT", code=0x9C, has={"server_reference": ELSEWHERE})
    five.expect_eof()
    other.quiet()
    result = b.ctl("clients", "redirect", "all")
    assert result.stdout == "2 clients sent away.\n", result.stdout
    other.expect("DISCONNECT", code=0x9C, has={"server_reference": ELSEWHERE})
    other.expect_eof()
    four.expect_eof()
    last = b.client(5, "last")
    assert b.ctl("clients", "redirect", "all").stdout == "1 client sent away.\n"
    last.expect("DISCONNECT", code=0x9C)
    assert b.ctl("clients", "redirect", "nobody-there").returncode == 1
