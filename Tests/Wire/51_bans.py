# SPDX-License-Identifier: Apache-2.0
"""The banned list: client ids, user names, addresses and networks, over restarts and for clients that are connected."""
import re

from wire import *
from wire.broker import free_port

MARTLET_ONLY = True
LENIENT = free_port()
CONFIG = {"log.to": "both", "listener.tcp.lenient": f"127.0.0.1:{LENIENT}", "listener.tcp.lenient.zone": "lenient",
          "zone.lenient.enable_ban": "off"}


def banned(b, *words, fails=None):
    """banned WORDS; returns its output, or checks the sentence it fails with."""
    done = b.ctl("banned", *words)
    if fails is None:
        assert (done.returncode, done.stderr) == (0, ""), done
    else:
        assert done.returncode == 1 and fails in done.stderr, done
    return done.stdout


def listed(b):
    return {line.split(", until=")[0][len("Banned("):]: line for line in banned(b, "list").splitlines()}


def refused(b, v, client_id, **more):
    """0x8A in MQTT 5, not authorized before."""
    c = b.raw(v)
    c.hello(client_id, **more)
    c.expect("CONNACK", code=0x8A if v == 5 else 5, session_present=0)
    c.expect_eof()


def kicked(c):
    """DISCONNECT has no 0x8A [MQTT-3.14.2-1]: administrative action."""
    c.expect_closed(0x98)


@versions(3, 4, 5)
def test_a_client_id(b, v):
    """5.0: §3.2.2.2: 0x8A. Who is connected goes at once."""
    c, other = b.client(v), b.client(v, "other")
    assert banned(b, "add", "clientid", b.id(), "0", "too", "loud") == "ok\n"
    kicked(c)
    refused(b, v, b.id())
    other.quiet()
    b.client(v, "third").quiet()
    assert listed(b)[f"clientid={b.id()}"] == f"Banned(clientid={b.id()}, until=never, reason=too loud, by=ctl)"
    assert banned(b, "del", "clientid", b.id()) == "ok\n"
    b.client(v).quiet()
    banned(b, "del", "clientid", b.id(), fails=f'there is no ban of "{b.id()}"')


@versions(4, 5)
def test_a_user_name(b, v):
    ada = [b.client(v, f"ada{i}", username="ada") for i in range(20)]
    bob = b.client(v, "bob", username="bob")
    banned(b, "add", "username", "ada")
    for c in ada:
        kicked(c)
    refused(b, v, b.id(), username="ada")
    bob.quiet()
    b.client(v, "ada0", username="adah").quiet()
    banned(b, "del", "username", "ada")
    b.client(v, "ada1", username="ada").quiet()


@versions(4, 5)
def test_an_address_and_its_networks(b, v):
    for who, shown in (("127.0.0.1", "127.0.0.1"), ("127.0.0.1/32", "127.0.0.1"), ("127.99.0.1/8", "127.0.0.0/8"),
                       ("0.0.0.0/0", "0.0.0.0/0")):
        c = b.client(v)
        banned(b, "add", "ipaddr", who)
        kicked(c)
        refused(b, v, b.id())
        assert f"ipaddr={shown}" in listed(b), listed(b)
        banned(b, "del", "ipaddr", shown)
        b.client(v).quiet()
    for elsewhere in ("127.0.0.2", "128.0.0.0/8", "127.0.0.0/32", "::/0", "2001:db8::/32", "::1"):
        c = b.client(v)
        banned(b, "add", "ipaddr", elsewhere)
        c.quiet()
        b.client(v, "second").quiet()
    assert "ipaddr=2001:db8::/32" in listed(b)
    for elsewhere in ("127.0.0.2", "128.0.0.0/8", "127.0.0.0/32", "::/0", "2001:db8:1::/32", "::1"):
        banned(b, "del", "ipaddr", elsewhere)
    assert banned(b, "list") == ""


def test_a_zone_without_bans(b):
    banned(b, "add", "ipaddr", "127.0.0.0/8")
    c = Client(LENIENT, 5, b.trace)
    c.connect(b.id())
    banned(b, "add", "clientid", b.id())
    c.quiet()
    refused(b, 5, b.id("other"))
    banned(b, "del", "ipaddr", "127.0.0.0/8")
    banned(b, "del", "clientid", b.id())
    c.disconnect()


def test_what_is_no_ban(b):
    for who in ("127.0.0.1/33", "127.0.0.1/", "127.0.0", "::1/129", "x", "10.0.0.0/8/8", "127.0.0.1/-1"):
        banned(b, "add", "ipaddr", who, fails="is neither an IP address nor a network")
        banned(b, "del", "ipaddr", who, fails="is neither an IP address nor a network")
    for seconds in ("-1", "x", "9223372036854775807", "99999999999999999999"):
        banned(b, "add", "clientid", "c", seconds, fails="is not a number of seconds")
    banned(b, "add", "clientid", "", fails="has 1 to 1024 bytes")
    banned(b, "add", "clientid", "x" * 1025, fails="has 1 to 1024 bytes")
    banned(b, "add", "clientid", "c", "0", "x" * 1025, fails="at most 1024 bytes")
    banned(b, "add", "nothing", "c", fails="banned add")
    banned(b, "add", "clientid", fails="banned add")
    assert banned(b, "list") == ""


def test_a_ban_ends(b):
    """When its time has come, and it is gone from the list and the store."""
    banned(b, "add", "clientid", b.id(), "4")
    refused(b, 5, b.id())
    wait_until(lambda: banned(b, "list") == "", "its end")
    b.client(5).quiet()


def test_banning_again_replaces(b):
    banned(b, "add", "clientid", b.id(), "1", "first")
    banned(b, "add", "clientid", b.id(), "1000", "second")
    line = banned(b, "list")
    assert line.count("\n") == 1 and "reason=second" in line
    banned(b, "del", "clientid", b.id())


def restart(b, kill=False):
    if kill:
        b.process.kill()
        b.process.wait()
    else:
        assert b.stop() == ""
    b.kill()
    b.start()


def test_bans_survive_the_broker(b):
    """Also one that is killed: the ban is on disk when ok is printed."""
    banned(b, "add", "clientid", "kept", "0", "for", "ever")
    banned(b, "add", "username", "kept", "3600")
    banned(b, "add", "ipaddr", "10.9.0.0/16")
    banned(b, "add", "clientid", "brief", "5")
    before = listed(b)
    for kill in (True, False):
        restart(b, kill)
        refused(b, 5, "kept")
        refused(b, 5, "other", username="kept")
    del before["clientid=brief"]
    wait_until(lambda: "clientid=brief" not in listed(b), "the end of the brief one")
    assert listed(b) == before, (listed(b), before)
    restart(b)
    assert listed(b) == before
    b.client(5, client_id="brief").quiet()
    for kind, who in (("clientid", "kept"), ("username", "kept"), ("ipaddr", "10.9.0.0/16")):
        banned(b, "del", kind, who)
    restart(b, True)
    assert banned(b, "list") == ""
    b.client(5, client_id="kept", username="kept").quiet()


def test_only_so_many(b):
    """100,000, and a sentence beyond; replacing one still works."""
    import sqlite3
    assert b.stop() == ""
    with sqlite3.connect(b.dir / "data/martlet.db") as db:
        db.executemany("INSERT INTO kv (plugin, tbl, key, value) VALUES ('$broker', CAST('banned' AS BLOB), ?, ?)",
                       ((f"clientid:n{i}".encode(), b"never\nctl\n") for i in range(100_000)))
    db.close()
    b.kill()
    b.start()
    banned(b, "add", "clientid", "one-more", fails="The list of bans is full: it has 100000 entries.")
    refused(b, 5, "n99999")
    b.client(5, client_id="one-more").quiet()
    banned(b, "add", "clientid", "n5", "60")
    banned(b, "del", "clientid", "n6")
    banned(b, "add", "clientid", "one-more")
    refused(b, 5, "one-more")
    assert len(banned(b, "list").splitlines()) == 100_000
    assert b.stop() == ""
    (b.dir / "data/martlet.db").unlink()
    for path in b.dir.glob("data/martlet.db-*"):
        path.unlink()
    b.kill()
    b.start()
    assert banned(b, "list") == ""


def test_a_store_that_cannot_be_written(b):
    """Then there is no ban, and the command says why."""
    assert b.stop() == ""
    (b.dir / "data/martlet.db").write_bytes(b"this is no database" * 100)
    b.kill()
    b.start()
    c = b.client(5)
    banned(b, "add", "clientid", b.id(), fails="the store")
    c.quiet()
    assert banned(b, "list") == ""
    log = "".join(path.read_text() for path in [b.dir / "output", *b.dir.glob("log/*")] if path.is_file())
    assert re.search(r"The banned list could not be read: the store .* failed: ", log), log[-500:]
