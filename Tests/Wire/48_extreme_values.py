# SPDX-License-Identifier: Apache-2.0
"""The smallest and the largest value of every number in the shipped files: the broker starts and works, or says which
line of which file it does not take.

The values are those of etc/martlet.conf and etc/plugins/*.conf, "## Value: 1s.." above a key: a new key is tried here
without being named here. WIRE_EACH=1 tries each value by itself, too, which takes minutes."""
import http.client
import os
import re
from contextlib import contextmanager, suppress

from wire import *
from wire.broker import Martlet
from wire.certs import Authority

MARTLET_ONLY = True
PLUGINS = []
LARGEST = 2**63 - 1
CA = Authority()
LOADED = ["retainer", "acl_file", "auth_username", "auth_scram", "echo"]
PLUGIN_CONFIG = {"auth_username": {"auth.user.1.username": "u", "auth.user.1.password": "p"}}

# What a range alone does not tell.
KNOWN = {
    "mqtt.session.expiry_interval": ("0", "infinity"),
    "mqtt.max_output_buffer": ("8KB", "4GB"),
    "mqtt.mqueue.low_watermark": ("0%", "99%"),
    "mqtt.mqueue.high_watermark": ("1%", "100%"),
    # A message each hundred thousand years is no limit to test with.
    "mqtt.publish_limit": ("1,1ms", f"{LARGEST}"),
    # A password takes longer than 10 ms on a slow machine, and is refused then as it should.
    "auth.defer_timeout": ("2s", "10m"),
    "mqtt.keepalive_backoff": ("0.75", "10"),
    # A handshake of TLS has a few thousand bytes.
    "rate_limit": ("100KB,100KB", f"{LARGEST},{LARGEST}"),
    # As many as the machine has is enough of them; more threads than cores are no number that is too large.
    "node.loops": ("1", "16"),
}
# The other one of a pair, and its value where one is changed alone.
PAIRS = {"mqtt.max_output_buffer": ("mqtt.output_high_water", "4KB"),
         "mqtt.output_high_water": ("mqtt.max_output_buffer", "4GB"),
         "mqtt.mqueue.high_watermark": ("mqtt.mqueue.low_watermark", "0%"),
         "mqtt.mqueue.low_watermark": ("mqtt.mqueue.high_watermark", "100%")}
# Which together leave too little to work with, or take too long to be refused.
APART = {"auth.username.iterations", "auth.scram.iterations"}


# Times that even a right client does not keep on a busy machine: with the smallest of them a broker lives, whoever
# comes in; with these everybody does.
PATIENT = {"handshake_timeout": "10s", "header_timeout": "10s", "idle_timeout": "10s", "request_timeout": "10s",
           "send_timeout": "10s"}


def extremes(key, values):
    """(smallest, largest) of what "## Value:" says, None when it is no number."""
    if known := KNOWN.get(key) or KNOWN.get(key.split(".")[-1]):
        return known
    words = {"ms, s, m, h, d, w": ("0", f"{LARGEST}ms"), "bytes, KB, MB, GB": ("0", f"{LARGEST}"),
             "a whole number": (f"{-LARGEST}", f"{LARGEST}"), "0 | RATE,BURST": ("1,1", f"{LARGEST},{LARGEST}"),
             "0 | COUNT | COUNT,TIME": ("1,1ms", f"{LARGEST},{LARGEST}ms")}
    if values in words:
        return words[values]
    found = re.fullmatch(r"(?:auto \| )?(\w+)\.\.(\w*)(?: seconds)?", values)
    if not found:
        return None
    unit = "ms" if re.search("[smhdw]$", found[1]) else ""
    return found[1], found[2] or f"{LARGEST}{unit}"


def numbers(path):
    """key → (smallest, largest) of a shipped file. An option of a listener is described at its first family."""
    found, described, values = {}, {}, None
    for line in path.read_text().splitlines():
        if line.startswith("## Value: "):
            values = line.removeprefix("## Value: ").split(". Waits")[0]
        elif key := re.fullmatch(r"(?:## )?([a-z_]+(?:\.\w+)+) = .*", line):
            option = key[1].split(".", 3)[-1] if key[1].startswith("listener.") else key[1]
            values = values or described.get(option)
            described.setdefault(option, values)
            if values and (both := extremes(key[1], values)):
                found[re.sub(r"^(listener\.\w+)\.\w+", r"\1.test", key[1])] = both
            values = None
    return found


def shipped(b):
    """(key → values, plugin → key → values)"""
    core = {key: both for key, both in numbers(b.tree / "etc/martlet.conf").items() if ".external." not in key}
    plugins = {path.stem: numbers(path) for path in sorted((b.tree / "etc/plugins").glob("*.conf"))}
    return core, {name: keys for name, keys in plugins.items() if name in LOADED}


@contextmanager
def broker(b, core, plugins=None):
    """A broker, not running yet, with a listener of every family and these values beside its own."""
    ports = {family: free_port() for family in ("tcp", "ssl", "ws", "wss", "api", "apis")}
    config = {f"listener.{family}.test": f"127.0.0.1:{port}" for family, port in ports.items()}
    for family in ("ssl", "wss", "apis"):
        config |= {f"listener.{family}.test.certfile": CA["cert.pem"], f"listener.{family}.test.keyfile": CA["key.pem"]}
    given = {name: {**PLUGIN_CONFIG.get(name, {}), **keys} for name, keys in (plugins or {}).items()}
    other = Martlet(b.tree, {**config, **core}, LOADED, {**PLUGIN_CONFIG, **given})
    other.port, other.ports = ports.pop("tcp"), ports
    try:
        yield other
    finally:
        other.end()
        other.kill()
        other.remove()


def visit(b, v, port, **door):
    """A client that publishes to itself with each QoS."""
    c = b.raw(v, "door", port, **door)
    c.connect("c", username="u", password="p")
    c.subscribe("t", 2)
    if v == 5:
        b.most_qos = c.connack.props.get("maximum_qos", 2)
    for qos in range(b.most_qos + 1):
        c.deliver("t", b"x", qos)
        c.take("t", b"x")
    c.disconnect()


def exercise(b):
    """By every door, one client at a time: there may be room for one only. Then a queue, a share group, a retained
    message and HTTP."""
    tls = CA.context()
    for family, door in (("ssl", {"tls": tls}), ("ws", {"web": True}), ("wss", {"tls": tls, "web": True})):
        visit(b, 5, b.ports[family], **door)
    visit(b, 4, None)
    b.client(4, client_id="q", clean=0).subscribe("q", 1)
    b.clients[-1].disconnect()
    c = b.client(5, client_id="p")
    c.deliver("q", b"queued", min(1, b.most_qos))
    c.publish("r", b"kept", 0, retain=1)
    c.subscribe("$share/g/s", 1)
    c.deliver("s", b"shared", 0)
    c.take("s", b"shared")
    c.disconnect()
    c = b.client(4, client_id="q", clean=0)
    c.quiet_or_publish()
    c.close()
    for connection in (http.client.HTTPConnection("127.0.0.1", b.ports["api"], timeout=DEADLINE),
                       http.client.HTTPSConnection("localhost", b.ports["apis"], timeout=DEADLINE, context=tls)):
        connection.request("GET", "/status")
        assert connection.getresponse().status == 200
        connection.close()
    assert not b.died(), b.died()


def patient(core, which):
    return {key: PATIENT.get(key.split(".")[-1], value) if which == 0 else value for key, value in core.items()}


def survive(b):
    with suppress(AssertionError, OSError):
        exercise(b)
    assert not b.died(), b.died()


def run_with(b, which, core, plugins=None):
    """What is wrong with a broker with these values, or an empty string."""
    kept = patient(core, which)
    return (kept != core and visited(b, core, plugins, survive)) or visited(b, kept, plugins, exercise)


def visited(b, core, plugins, by):
    with broker(b, core, plugins) as other:
        try:
            other.start()
            by(other)
            return other.stop()
        except (AssertionError, OSError) as error:
            return f"{error} {other.died()} {other.crash()}".strip()


def together(b, which):
    core, plugins = shipped(b)
    wrong = run_with(b, which, {key: both[which] for key, both in core.items()},
                     {name: {key: both[which] for key, both in keys.items() if key not in APART}
                      for name, keys in plugins.items()})
    assert not wrong, wrong


def test_there_are_numbers(b):
    """Those that are known to be there are found."""
    core, plugins = shipped(b)
    assert core["mqtt.acl_cache_ttl"] == ("1s", f"{LARGEST}ms") and len(core) > 70, core
    assert core["listener.wss.test.send_timeout"] == ("100ms", f"{LARGEST}ms"), core
    assert plugins["retainer"]["retainer.expiry_interval"] == ("0", f"{LARGEST}ms"), plugins


@limit(120)
def test_largest_together(b):
    together(b, 1)


@limit(120)
def test_smallest_together(b):
    together(b, 0)


@limit(120)
def test_largest_without_a_bound(b):
    """Each number that may be as large as 64 bits hold, by itself: none hides behind another."""
    core, plugins = shipped(b)
    tried = each(b, 1, {key: both for key, both in core.items() if str(LARGEST) in both[1] and "wss" not in key},
                 {name: {key: both for key, both in keys.items() if str(LARGEST) in both[1]}
                  for name, keys in plugins.items()})
    assert tried > 20, tried


@limit(1800)
def test_each(b):
    """Each value by itself."""
    if not os.environ.get("WIRE_EACH"):
        raise Skip("WIRE_EACH is not set")
    for which in (0, 1):
        each(b, which, *shipped(b))


def each(b, which, core, plugins):
    """How many values were tried."""
    tries = [(key, {key: both[which]}, {}) for key, both in core.items()]
    tries += [(key, {}, {name: {key: both[which]}}) for name, keys in plugins.items() for key, both in keys.items()]
    wrong = []
    for key, ours, theirs in tries:
        ours |= dict([PAIRS[key]]) if key in PAIRS else {}
        if key not in APART and (found := run_with(b, which, ours, theirs)):
            wrong.append(f"{key}: {found[:300]}")
    assert not wrong, "\n      ".join(wrong)
    return len(tries)
