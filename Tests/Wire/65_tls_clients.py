# SPDX-License-Identifier: Apache-2.0
"""Clients people use over TLS: mosquitto_pub and mosquitto_sub with certificates and shared keys, openssl s_client."""
import os
import re
import subprocess

from wire import *
from wire.certs import Authority
from wire.people import Sub, pub, tool

MARTLET_ONLY = True
CA, OTHER = Authority("mqtt.example"), Authority("second.example")
EXPIRED = CA.issue("expired", "/CN=expired", end="20210101000000Z")
REVOKED = CA.issue("revoked", "/CN=revoked")
CA.revoke(REVOKED[0])
OLD, NEW, BOTH, MUTUAL, NAMED, KEYS, OLDKEYS, STRICT = (free_port() for _ in range(8))
KEY = "2b7e151628aed2a6abf7158809cf4f3c"


def listener(name, port, **options):
    prefix = f"listener.ssl.{name}"
    files = {"certfile": CA["cert.pem"], "keyfile": CA["key.pem"]}
    return {prefix: f"127.0.0.1:{port}", **{f"{prefix}.{k}": v for k, v in {**files, **options}.items()}}


CLIENTS = {"verify": "verify_peer", "cacertfile": CA["cacert.pem"], "crlfile": CA["crl.pem"]}
PSK_FILE = str(CA.dir / "psk.conf")
with open(os.open(PSK_FILE, os.O_CREAT | os.O_WRONLY, 0o600), "w") as out:
    out.write(f"sensor-1:{KEY}\n")
PLUGINS = ["retainer", "auth_psk"]
PLUGIN_CONFIG = {"auth_psk": {"auth.psk.file": PSK_FILE}}
CONFIG = {
    "node.loops": "2",
    "mqtt.allow_anonymous": "false",
    "zone.open.allow_anonymous": "true",
    **listener("old", OLD, tls_versions="tlsv1.2", zone="open"),
    **listener("new", NEW, tls_versions="tlsv1.3", zone="open"),
    **listener("both", BOTH, zone="open", **{"sni.1": f"second.example,{OTHER['cert.pem']},{OTHER['key.pem']}"}),
    **listener("mutual", MUTUAL, fail_if_no_peer_cert="on", peer_cert_as_username="cn", **CLIENTS),
    **listener("named", NAMED, peer_cert_as_username="dn", zone="open", **CLIENTS),
    **listener("keys", KEYS, psk="on", peer_cert_as_username="cn"),
    **listener("oldkeys", OLDKEYS, psk="only", tls_versions="tlsv1.2", psk_hint="martlet", zone="open"),
    **listener("strict", STRICT, alpn_required="on", zone="open"),
    "listener.tcp.test.zone": "open",
}


def trusting(ca=CA):
    return ["-h", "localhost", "--cafile", ca["cacert.pem"]]


class Counted:
    """with Counted(b, listener, reason): one more connection of that listener ends for that reason."""

    def __init__(self, b, name, reason):
        self.b, self.name, self.reason = b, f"ssl:{name}", reason

    def __enter__(self):
        self.before = self.b.ended(self.name, self.reason)

    def __exit__(self, kind, *_):
        if kind:
            return
        # A client that ends by itself may be gone before the broker has read its last word.
        self.b.wait_counted(self.name, self.reason, self.before + 1)


def s_client(port, *more, ca=CA, text="Q\n"):
    done = subprocess.run([tool("openssl"), "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", ca["cacert.pem"],
                           *more], input=text, capture_output=True, text=True, timeout=30)
    return done.stdout + done.stderr


# -- mosquitto ------------------------------------------------------------------------------------------------------


def test_mosquitto_over_both_versions_at_every_qos(b):
    """From a TLS 1.2 publisher and a TLS 1.3 one to subscribers of the other version."""
    subs = [Sub(port, *trusting(), "-t", b.topic("#"), "-q", "2", "-v", "-C", "6") for port in (OLD, NEW)]
    for port in (OLD, NEW):
        for qos in (0, 1, 2):
            pub(port, *trusting(), "-t", b.topic(f"{port}/{qos}"), "-m", "x" * 20_000, "-q", str(qos))
    wanted = sorted(f"{b.topic(f'{port}/{qos}')} {'x' * 20_000}" for port in (OLD, NEW) for qos in (0, 1, 2))
    for sub in subs:
        assert sorted(sub.messages()) == wanted


def certificate(pair):
    return ["--cert", pair[0], "--key", pair[1]]


def test_mosquitto_with_a_certificate(b):
    """It is let in by its certificate alone, and its common name is its user name."""
    sub = Sub(MUTUAL, *trusting(), *certificate(CA.client), "-i", b.id(), "-u", "somebody", "-t", b.topic(), "-C", "1")
    shown = b.ctl("clients", "show", b.id()).stdout
    assert re.search(r"username *[:=] *client\b", shown), shown
    pub(MUTUAL, *trusting(), *certificate(CA.client), "-t", b.topic(), "-m", "hi", "-q", "1")
    assert sub.messages() == ["hi"]


def test_the_whole_name_as_user_name(b):
    """dn is the subject as RFC 2253 writes it."""
    sub = Sub(NAMED, *trusting(), *certificate(CA.client), "-i", b.id(), "-t", b.topic(), "-C", "1")
    shown = b.ctl("clients", "show", b.id()).stdout
    assert "CN=client,O=Martlet" in shown, shown
    pub(NAMED, *trusting(), "-t", b.topic(), "-m", "hi")
    sub.messages()


def test_without_a_certificate_nobody_has_its_name(b):
    """Where certificates name clients, a user name in CONNECT is nobody's."""
    sub = Sub(NAMED, *trusting(), "-i", b.id(), "-u", "CN=client,O=Martlet", "-t", b.topic(), "-C", "1")
    shown = b.ctl("clients", "show", b.id()).stdout
    assert "CN=client" not in shown, shown
    pub(NAMED, *trusting(), "-t", b.topic(), "-m", "hi")
    sub.messages()


def test_certificates_that_are_refused(b):
    """None, one of another authority, one that has ended, one that was revoked: counted, and logged in words."""
    cases = [([], "tls_no_peer_cert", "peer did not return a certificate"),
             (certificate(OTHER.client), "tls_bad_peer_cert", "unable to get local issuer certificate"),
             (certificate(EXPIRED), "tls_bad_peer_cert", "certificate has expired"),
             (certificate(REVOKED), "tls_bad_peer_cert", "certificate revoked")]
    for more, reason, words in cases:
        with Counted(b, "mutual", reason):
            pub(MUTUAL, *trusting(), *more, "-t", b.topic(), "-m", "x", ok=False)
        log = (b.dir / "output").read_text()
        assert re.search(rf"TLS with 127\.0\.0\.1:\d+ on ssl:mutual ended \({reason}\): {words}", log), words


def test_a_client_that_does_not_trust_the_server(b):
    """Its alert is counted."""
    with Counted(b, "new", "tls_refused_by_peer"):
        pub(NEW, *trusting(OTHER), "-t", b.topic(), "-m", "x", ok=False)


def test_mosquitto_with_a_shared_key(b):
    """In TLS 1.3 and 1.2; its identity is its user name, and it is nobody anonymous."""
    key = ["-h", "localhost", "--psk-identity", "sensor-1", "--psk", KEY]
    sub = Sub(KEYS, *key, "-i", b.id(), "-t", b.topic(), "-C", "2")
    assert re.search(r"username *[:=] *sensor-1\b", b.ctl("clients", "show", b.id()).stdout)
    pub(KEYS, *key, "-t", b.topic(), "-m", "one", "-q", "1")
    pub(OLDKEYS, *key, "-t", b.topic(), "-m", "two", "-q", "1")
    assert sub.messages() == ["one", "two"]


def test_shared_keys_that_are_refused(b):
    """Another identity, another key: both fail in the handshake and are counted."""
    for identity, key in (("sensor-2", KEY), ("sensor-1", "00" * 16)):
        for name, port in (("keys", KEYS), ("oldkeys", OLDKEYS)):
            with Counted(b, name, "tls_unknown_psk"):
                pub(port, "-h", "localhost", "--psk-identity", identity, "--psk", key, "-t", "x", "-m", "x", ok=False)


def test_shared_keys_come_and_go(b):
    """psk reload takes the file as it is now; a mistake in it changes nothing."""
    def come(identity, ok):
        pub(KEYS, "-h", "localhost", "--psk-identity", identity, "--psk", KEY, "-t", "x", "-m", "x", ok=ok)
    come("sensor-9", False)
    with open(PSK_FILE, "a") as out:
        out.write(f"sensor-9:{KEY}\n")
    done = b.ctl("psk", "reload")
    assert (done.returncode, done.stdout) == (0, "2 shared keys are loaded.\n"), done
    assert b.ctl("psk", "list").stdout == "sensor-1\nsensor-9\n"
    come("sensor-9", True)
    with open(PSK_FILE, "w") as out:
        out.write(f"sensor-1:{KEY}\nsensor-9:xyz\n")
    done = b.ctl("psk", "reload")
    assert done.returncode == 1 and done.stderr.startswith(f"{PSK_FILE}:2: "), done
    come("sensor-9", True)
    with open(PSK_FILE, "w") as out:
        out.write(f"sensor-1:{KEY}\n")
    assert b.ctl("psk", "reload").returncode == 0
    come("sensor-9", False)


# -- openssl s_client -----------------------------------------------------------------------------------------------


def test_versions(b):
    """What is offered is spoken, and nothing older than TLS 1.2."""
    for port, option, spoken in ((BOTH, "-tls1_2", "TLSv1.2"), (BOTH, "-tls1_3", "TLSv1.3"), (OLD, "", "TLSv1.2")):
        text = s_client(port, *filter(None, [option]))
        assert f"New, {spoken}, Cipher is" in text, text
    for name, port, option in (("old", OLD, "-tls1_3"), ("new", NEW, "-tls1_2"), ("both", BOTH, "-tls1_1")):
        with Counted(b, name, "tls_version"):
            text = s_client(port, option, "-cipher", "ALL:@SECLEVEL=0")
            assert "alert protocol version" in text or "unsupported protocol" in text, text


def test_resumption(b):
    """A ticket makes the next handshake short, in both versions; another listener does not know it."""
    saved = str(CA.dir / "session")
    for port, option in ((BOTH, "-tls1_3"), (BOTH, "-tls1_2")):
        # A CONNECT and its answer: in TLS 1.3 the ticket comes after the handshake, in front of the first bytes.
        command = [tool("openssl"), "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", CA["cacert.pem"], option,
                   "-sess_out", saved, "-quiet"]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as first:
            first.stdin.write(connect(4, b.id("first")))
            first.stdin.flush()
            assert first.stdout.read(4) == b"\x20\x02\0\0"
            first.stdin.write(disconnect(4))
            first.stdin.flush()
            assert first.wait(30) == 0
        text = s_client(port, option, "-sess_in", saved)
        assert "Reused, " in text, text
        text = s_client(NEW if option == "-tls1_3" else OLD, option, "-sess_in", saved)
        assert "New, " in text and "Reused, " not in text, text


def test_application_protocol(b):
    """mqtt is taken; another or none is let in, except where it is required."""
    assert "ALPN protocol: mqtt" in s_client(BOTH, "-alpn", "h2,mqtt")
    assert "No ALPN negotiated" in s_client(BOTH, "-alpn", "h2")
    assert "No ALPN negotiated" in s_client(BOTH)
    assert "ALPN protocol: mqtt" in s_client(STRICT, "-alpn", "mqtt")
    for more in ([], ["-alpn", "h2"]):
        with Counted(b, "strict", "tls_no_alpn"):
            assert "no application protocol" in s_client(STRICT, *more)


def test_server_names(b):
    """The host a client asks for has its own certificate; everybody else gets the listener's."""
    text = s_client(BOTH, "-servername", "second.example", "-verify_hostname", "second.example", ca=OTHER)
    assert "Verification: OK" in text, text
    for name in ("localhost", "mqtt.example", "unknown.example"):
        assert "Verification: OK" in s_client(BOTH, "-servername", name), name
    assert "Verification: OK" in s_client(BOTH, "-noservername")


def test_no_renegotiation(b):
    """A client of TLS 1.2 that asks for another handshake is refused it."""
    text = s_client(BOTH, "-tls1_2", text="R\n")
    assert "no renegotiation" in text, text
