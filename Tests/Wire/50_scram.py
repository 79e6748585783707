# SPDX-License-Identifier: Apache-2.0
"""Enhanced authentication of MQTT 5 with SCRAM-SHA-256, by the plugin auth_scram."""
import base64
import hashlib
import hmac

from wire import *
from wire.cplugin import compile_plugin, quoted

MARTLET_ONLY = True
CONFIG = {"mqtt.allow_anonymous": "false", "mqtt.idle_timeout": "2s"}
PLUGINS = ["auth_scram"]
PLUGIN_CONFIG = {"auth_scram": {"auth.scram.user.1.username": "ada", "auth.scram.user.1.password": "lovelace",
                                "auth.scram.user.2.username": "bob", "auth.scram.user.2.password": "builder",
                                "auth.scram.iterations": 4096}}
METHOD = "SCRAM-SHA-256"


def mac(key, text):
    return hmac.new(key, text, hashlib.sha256).digest()


class Scram:
    """The client's side of RFC 5802, from the standard library alone."""

    def __init__(self, user, password, nonce=b"fyko+d2lbbFgONRv9qkxdawL", header=b"n,,"):
        self.password, self.nonce, self.header = password.encode(), nonce, header
        self.bare = b"n=" + user.encode() + b",r=" + nonce

    def first(self):
        return self.header + self.bare

    def final(self, challenge, nonce=None):
        """client-final for a server-first; nonce replaces the one that is asked for."""
        fields = dict(field.split(b"=", 1) for field in challenge.split(b","))
        assert fields[b"r"].startswith(self.nonce) and len(fields[b"r"]) >= len(self.nonce) + 18, challenge
        self.rounds, self.salt = int(fields[b"i"]), base64.b64decode(fields[b"s"], validate=True)
        salted = hashlib.pbkdf2_hmac("sha256", self.password, self.salt, self.rounds)
        without = b"c=" + base64.b64encode(self.header) + b",r=" + (nonce or fields[b"r"])
        messages = b",".join((self.bare, challenge, without))
        key = mac(salted, b"Client Key")
        signature = mac(hashlib.sha256(key).digest(), messages)
        self.verifier = b"v=" + base64.b64encode(mac(mac(salted, b"Server Key"), messages))
        return without + b",p=" + base64.b64encode(bytes(a ^ b for a, b in zip(key, signature)))


def props(data, method=METHOD):
    return {"authentication_method": method, "authentication_data": data}


def challenge(b, scram, name="c", **more):
    """A raw client up to the server's challenge, and that."""
    c = b.raw(5, name)
    c.hello(b.id(name), props(scram.first()), **more)
    return c, c.expect("AUTH", code=0x18, has={"authentication_method": METHOD}).props["authentication_data"]


def login(b, scram, name="c", **more):
    """A raw client that has sent its proof."""
    c, first = challenge(b, scram, name, **more)
    return c.send(auth(0x18, props(scram.final(first))))


def connected(b, scram, name="c", **more):
    """A client that is connected, and has checked that the broker knows its password too."""
    c = login(b, scram, name, **more)
    c.expect("CONNACK", code=0, has=props(scram.verifier))
    return c


def again(c, scram):
    """A re-authentication up to the proof."""
    c.send(auth(0x19, props(scram.first())))
    first = c.expect("AUTH", code=0x18, has={"authentication_method": METHOD}).props["authentication_data"]
    return c.send(auth(0x18, props(scram.final(first))))


def refused(c, code=0x87):
    c.expect("CONNACK", code=code, session_present=0)
    c.expect_eof()


def test_this_client_computes_what_rfc_7677_says(b):
    s = Scram("user", "pencil", b"rOprNGfwEbeRWgbNEkqO")
    final = s.final(b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")
    assert final.endswith(b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="), final
    assert s.verifier == b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_right_password(b):
    """5.0: [MQTT-4.12.0-2] [MQTT-4.12.0-3] [MQTT-4.12.0-5]: the server proves itself too."""
    c = connected(b, Scram("ada", "lovelace"))
    c.quiet()
    assert f"Client({b.id()}, clean_sess=true, username=ada," in b.ctl("clients", "show", b.id()).stdout
    connected(b, Scram("ada", "lovelace"), "same", username="ada").quiet()
    connected(b, Scram("ada", "lovelace", header=b"y,,"), "y").quiet()


def test_wrong_password_and_unknown_user_look_alike(b):
    """5.0: [MQTT-4.12.0-4]: 0x87; the same salt at each attempt, as for a user that exists."""
    seen = {}
    for user in ("ada", "ada", "eve", "eve", "mallory"):
        s = Scram(user, "wrong")
        refused(login(b, s))
        assert len(s.salt) == 16 and s.rounds == 4096 and seen.setdefault(user, s.salt) == s.salt, (user, s.salt)
    assert len(set(seen.values())) == 3


def test_users_of_the_command_line(b):
    assert b.ctl("scram_users", "add", "carol", "first").stdout == "ok\n"
    assert b.ctl("scram_users", "list").stdout == "User(ada)\nUser(bob)\nUser(carol)\n"
    connected(b, Scram("carol", "first"))
    again_ = b.ctl("scram_users", "add", "carol", "first")
    assert again_.returncode == 1 and "exists" in again_.stderr, again_
    b.ctl("scram_users", "passwd", "carol", "second")
    refused(login(b, Scram("carol", "first")))
    connected(b, Scram("carol", "second"))
    data = (b.dir / "data/martlet.db").read_bytes() + (b.dir / "data/martlet.db-wal").read_bytes()
    assert b"SCRAM-SHA-256$4096:" in data and b"second" not in data
    b.ctl("scram_users", "del", "carol")
    refused(login(b, Scram("carol", "second")))
    wrong = b.ctl("scram_users", "add", "tab\t", "x")
    assert wrong.returncode == 1 and "control characters" in wrong.stderr, wrong


def test_a_nonce_that_is_not_the_brokers(b):
    s = Scram("ada", "lovelace")
    for nonce in (s.nonce, s.nonce + b"x" * 32, b"another" * 8):
        c, first = challenge(b, s)
        refused(c.send(auth(0x18, props(s.final(first, nonce)))))


def test_a_proof_works_once(b):
    s = Scram("ada", "lovelace")
    c, first = challenge(b, s, "one")
    proof = s.final(first)
    c.send(auth(0x18, props(proof)))
    c.expect("CONNACK", code=0)
    c, other = challenge(b, s, "two")
    assert other != first
    refused(c.send(auth(0x18, props(proof))))


def test_two_exchanges_at_once_do_not_mix(b):
    one, two = Scram("ada", "lovelace"), Scram("bob", "builder")
    c, first = challenge(b, one, "one")
    d, second = challenge(b, two, "two")
    proof, other = one.final(first), two.final(second)
    refused(c.send(auth(0x18, props(other))))
    d.send(auth(0x18, props(other)))
    d.expect("CONNACK", code=0, has=props(two.verifier))
    e, _ = challenge(b, one, "three")
    refused(e.send(auth(0x18, props(proof))))


def test_malformed_messages(b):
    for data in (b"", b"n,,", b"n,,n=ada", b"n,,r=x", b"n,,n=ada,r=", b"p=tls-exporter,,n=ada,r=x",
                 b"n,a=bob,n=ada,r=x", b"n,,m=x,n=ada,r=x", b"n,,n=a\x01,r=x", b"n,,n=\xff,r=x",
                 b"n,,n=ada,r=" + b"x" * 257, b"\0" * 65535):
        c = b.raw(5)
        c.hello(b.id(), props(data))
        refused(c)
    c = b.raw(5)
    c.hello(b.id(), {"authentication_method": METHOD})
    refused(c)
    for data in (b"", b"c=biws", b"c=biws,r=x,p=AAAA", b"=" * 100):
        c, _ = challenge(b, Scram("ada", "lovelace"))
        refused(c.send(auth(0x18, props(data))))


def test_other_methods(b):
    """5.0: [MQTT-4.12.0-1]: 0x8C for a method nobody knows."""
    for method in ("SCRAM-SHA-1", "SCRAM-SHA-256-PLUS", "scram-sha-256", "X"):
        c = b.raw(5)
        c.hello(b.id(), props(Scram("ada", "lovelace").first(), method))
        refused(c, 0x8C)


def test_the_name_of_connect_must_be_the_same(b):
    c = b.raw(5)
    c.hello(b.id(), props(Scram("ada", "lovelace").first()), username="bob")
    refused(c)


def test_a_banned_user_is_the_one_that_proves_it(b):
    """The name of the exchange counts, although CONNECT carries none."""
    ada, bob = connected(b, Scram("ada", "lovelace")), connected(b, Scram("bob", "builder"), "bob")
    b.ctl("banned", "add", "username", "ada")
    ada.expect_closed(0x98)
    bob.quiet()
    refused(login(b, Scram("ada", "lovelace"), "again"), 0x8A)
    refused(login(b, Scram("ada", "wrong"), "again"))
    b.ctl("banned", "del", "username", "ada")
    c, first = challenge(b, s := Scram("ada", "lovelace"), "late")
    b.ctl("banned", "add", "clientid", b.id("late"))
    refused(c.send(auth(0x18, props(s.final(first)))), 0x8A)
    b.ctl("banned", "del", "clientid", b.id("late"))


def test_the_method_does_not_change(b):
    """5.0: [MQTT-4.12.0-5]: before CONNACK that ends in a CONNACK, [MQTT-3.14.0-1], after it in a DISCONNECT."""
    s = Scram("ada", "lovelace")
    c, first = challenge(b, s)
    refused(c.send(auth(0x18, props(s.final(first), "SCRAM-SHA-1"))), 0x8C)
    c, first = challenge(b, s)
    refused(c.send(auth(0x18)), 0x82)
    c = connected(b, s)
    c.send(auth(0x19, props(s.first(), "SCRAM-SHA-1")))
    c.expect_closed(0x82)


def test_nothing_but_auth_before_connack(b):
    """5.0: §4.12, [MQTT-3.14.0-1]: other packets are a protocol error, told by CONNACK."""
    for data in (publish(5, "t", b"x"), subscribe(5, 1, [("t", 0)]), pingreq(), connect(5, "x"),
                 auth(0x19, props(b"x")), auth(0x00, props(b"x"))):
        c, _ = challenge(b, Scram("ada", "lovelace"))
        c.send(data)
        p = c.expect("CONNACK")
        assert p.code in (0x82, 0x81), p
        c.expect_eof()


def test_disconnect_during_the_exchange(b):
    c, _ = challenge(b, Scram("ada", "lovelace"))
    c.send(disconnect(5))
    c.expect_eof()


def test_packets_sent_with_the_proof_wait_for_it(b):
    """5.0: §3.1.4: what follows the proof in the same write is handled after CONNACK."""
    s = Scram("ada", "lovelace")
    c, first = challenge(b, s)
    c.send(auth(0x18, props(s.final(first))), subscribe(5, 1, [(b.topic(), 1)]), publish(5, b.topic(), b"x", 1, pid=2))
    c.expect("CONNACK", code=0)
    c.expect("SUBACK", pid=1)
    assert {c.packet().name for _ in range(2)} == {"PUBACK", "PUBLISH"}


def test_an_exchange_that_is_not_finished(b):
    """5.0: §4.12: refused after the time a CONNECT may take; what is late is not heard."""
    c, _ = challenge(b, Scram("ada", "lovelace"))
    refused(c)


def test_authenticating_again(b):
    """5.0: [MQTT-4.12.1-1]: the connection goes on meanwhile and afterwards."""
    s = Scram("ada", "lovelace")
    c = connected(b, s)
    c.subscribe(b.topic(), 1)
    for _ in range(3):
        again(c, s).expect("AUTH", code=0, has=props(s.verifier))
        c.quiet()
    c.send(auth(0x19, props(s.first())))
    first = c.expect("AUTH", code=0x18).props["authentication_data"]
    c.publish(b.topic(), b"meanwhile", 1)
    assert {c.packet().name for _ in range(2)} == {"PUBACK", "PUBLISH"}
    c.send(auth(0x18, props(s.final(first))))
    c.expect("AUTH", code=0, has=props(s.verifier))


def test_authenticating_again_fails(b):
    """5.0: [MQTT-4.12.1-2]: DISCONNECT, also for the right password of another user."""
    for other in (Scram("ada", "wrong"), Scram("eve", "x")):
        c = connected(b, Scram("ada", "lovelace"))
        c.send(auth(0x19, props(other.first())))
        p = c.packet()
        if p.name == "AUTH":
            c.send(auth(0x18, props(other.final(p.props["authentication_data"]))))
            p = c.packet()
        assert (p.name, p.code) == ("DISCONNECT", 0x87), p
        c.expect_eof()
    c = connected(b, Scram("ada", "lovelace"))
    c.send(auth(0x19, props(Scram("bob", "builder").first())))
    c.expect_closed(0x87)
    for data in (auth(0x18, props(b"x")), auth(0x00, props(b"x")), auth(0x19, props(b"x")) * 2):
        c = connected(b, Scram("ada", "lovelace"))
        c.send(data)
        c.expect_closed(0x82, 0x87)


def test_other_clients_are_left_to_others(b):
    """A CONNECT without a method is not this plugin's: nobody else knows it here."""
    for v in (3, 4, 5):
        c = b.raw(v)
        c.hello(b.id(), username="ada", password="lovelace")
        p = c.expect("CONNACK")
        assert p.code in ((0x86, 0x87) if v == 5 else (4, 5)), p


def test_the_will_waits_for_its_permission(b):
    """The proof counts although the packet that carries it is handled again once the will's ACL has answered."""
    compile_plugin(b, "late_acl", "late_acl", [quoted("ID", "late_acl")])
    b.load("late_acl")
    watcher = connected(b, Scram("bob", "builder"), "watcher")
    watcher.subscribe("late/#")
    for s in (Scram("ada", "lovelace"), Scram("ada", "wrong")):
        c = login(b, s, will=Will("late/will", b"gone"))
        p = c.expect("CONNACK", code=0 if s.password == b"lovelace" else 0x87)
        assert p.props.get("authentication_data") == (s.verifier if p.code == 0 else None), p
        c.close()
    watcher.expect_publish("late/will", b"gone")
    watcher.quiet()
    b.ctl("plugins", "unload", "late_acl")


@limit(120)
def test_many_that_begin_and_never_go_on(b):
    """Memory stays bounded, and who finishes comes in."""
    before = b.memory()
    for i in range(1500):
        c = b.raw(5)
        c.hello(b.id(f"n{i}"), props(Scram("ada", "x" * 8, b"r" * 256).first()))
        c.expect("AUTH", code=0x18)
        c.close()
    connected(b, Scram("ada", "lovelace")).quiet()
    assert b.memory() - before < 40 << 20


def test_reload_and_unload(b):
    """The plugin may go under a client that is in the middle of an exchange."""
    s = Scram("ada", "lovelace")
    c, first = challenge(b, s)
    assert b.ctl("plugins", "reload", "auth_scram").returncode == 0
    refused(c.send(auth(0x18, props(s.final(first)))))
    kept = connected(b, s)
    assert b.ctl("plugins", "unload", "auth_scram").returncode == 0
    kept.quiet()
    c = b.raw(5)
    c.hello(b.id("late"), props(s.first()))
    refused(c, 0x8C)
    b.load("auth_scram")
    again(kept, s).expect("AUTH", code=0, has=props(s.verifier))
    connected(b, s, "late").quiet()
