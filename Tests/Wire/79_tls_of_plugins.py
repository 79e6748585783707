# SPDX-License-Identifier: Apache-2.0
"""TLS on the sockets of plugins, by the profiles of martlet.conf: listeners, outgoing connections, upgrades."""
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading

from wire import *
from wire.broker import free_port
from wire.certs import Authority
from wire.client import DEADLINE
from wire.cplugin import compile_plugin, install, quoted
from wire.people import tool

MARTLET_ONLY = True
CA, OTHER = Authority("gateway.example"), Authority("other.example")
PORT, MUTUAL = free_port(), free_port()
KEY = "2b7e151628aed2a6abf7158809cf4f3c"
FILES = {"certfile": CA["cert.pem"], "keyfile": CA["key.pem"], "cacertfile": CA["cacert.pem"]}
CONFIG = {
    **{f"tls.gateway.{k}": v for k, v in FILES.items()},
    **{f"tls.mutual.{k}": v for k, v in FILES.items()},
    "tls.mutual.verify": "verify_peer", "tls.mutual.fail_if_no_peer_cert": "on",
    **{f"tls.shared.{k}": v for k, v in FILES.items()}, "tls.shared.psk": "on",
    "tls.strange.cacertfile": OTHER["cacert.pem"],
    "tls.keys.psk_identity": "gateway-1", "tls.keys.psk_key": KEY, "tls.keys.tls_versions": "tlsv1.2",
}
# The profile whose certificate changes has files of its own.
LIVE = CA.dir / "live"
LIVE.mkdir()
CONFIG |= {"tls.live.certfile": str(LIVE / "cert.pem"), "tls.live.keyfile": str(LIVE / "key.pem")}
FIRST, SECOND = (CA.issue(name, f"/CN={name}", hosts="DNS:localhost") for name in ("first", "second"))
KEYS = CA["psk.conf"]
with open(os.open(KEYS, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="ascii") as keys:
    keys.write(f"sensor-1:{KEY}\n")
PLUGINS = ["auth_psk", "echo"]
ECHO = {"echo.tcp": f"127.0.0.1:{PORT}", "echo.udp": f"127.0.0.1:{PORT}", "echo.tls": "gateway"}
PLUGIN_CONFIG = {"auth_psk": {"auth.psk.file": KEYS}, "echo": ECHO}


def tls(port=PORT, context=None):
    s = socket.create_connection(("127.0.0.1", port), DEADLINE)
    return (context or CA.context()).wrap_socket(s, server_hostname="localhost")


def same(s, data):
    s.sendall(data)
    got = b""
    while len(got) < len(data):
        more = s.recv(65536)
        assert more, f"the connection ended after {len(got)} of {len(data)} bytes"
        got += more
    assert got == data


def test_echo_over_tls(b):
    """In large and small pieces, in both versions; UDP beside it stays plain."""
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with tls(context=CA.context(version=version)) as s:
            same(s, b"x")
            same(s, os.urandom(60000))
    with socket.socket(type=socket.SOCK_DGRAM) as u:
        u.settimeout(DEADLINE)
        u.connect(("127.0.0.1", PORT))
        u.send(b"plain")
        assert u.recv(10) == b"plain"


def test_who_does_not_speak_tls_is_counted(b):
    with socket.create_connection(("127.0.0.1", PORT), DEADLINE) as s:
        s.sendall(b"GET / HTTP/1.1\r\n\r\n")
        while s.recv(100):
            pass
    wait_until(lambda: b.ended("echo:tcp", "tls_not_tls") == 1, "its end to be counted")


def test_clients_stay_through_upgrades(b):
    """A TLS session is not begun again."""
    image = (b.dir / "plugins/echo.so").read_bytes()
    with tls() as s:
        for n in range(20):
            (b.dir / "image").write_bytes(image + b"%d" % n)
            install(b.dir / "image", b, "echo")
            done = b.ctl("plugins", "reload", "echo")
            assert done.returncode == 0, done
            same(s, os.urandom(5000))


def test_a_profile_may_ask_for_certificates(b):
    b.configure_plugin("echo", {"echo.tcp": f"127.0.0.1:{MUTUAL}", "echo.tls": "mutual"})
    assert b.ctl("plugins", "reload", "echo").returncode == 0
    with tls(MUTUAL, CA.context(CA.client)) as s:
        same(s, b"with a certificate")
    try:
        with tls(MUTUAL) as s:
            s.sendall(b"x")
            assert s.recv(1) == b""
    except (ssl.SSLError, ConnectionError):
        pass
    b.wait_counted("echo:tcp", "tls_no_peer_cert", 1)


COMMON, DN, SUBJECT, SHA256, DER, PEM, IDENTITY = range(7)


def net_plugin(b, profile, name="net"):
    """A test plugin with a TLS listener and a DTLS one: their ports."""
    compile_plugin(b, "net", name, [quoted("ID", name), quoted("SECURE", profile)])
    b.load(name)
    out = b.ctl(name).stdout
    return (int(re.search(rf"^{kind}=(\d+)", out, re.M)[1]) for kind in ("tcp", "udp"))


def proof(s, what):
    """What the plugin is told of this peer."""
    s.sendall(b"who %d\n" % what)
    line = b""
    while not line.endswith(b"\n"):
        more = s.recv(1)
        assert more, line
        line += more
    count, got = int(line), b""
    while len(got) < count:
        got += s.recv(count - len(got))
    return got


def openssl(*words):
    return subprocess.run(["openssl", *words], capture_output=True, check=True).stdout


def expected(certificate):
    """By openssl: each proof of a certificate in a file."""
    def x509(*more):
        return openssl("x509", "-in", certificate, "-noout", *more).decode().strip().partition("=")[2]
    return {
        COMMON: b"client", DN: x509("-subject", "-nameopt", "RFC2253").encode(), SUBJECT: b"/O=Martlet/CN=client",
        SHA256: x509("-fingerprint", "-sha256").replace(":", "").lower().encode(),
        DER: openssl("x509", "-in", certificate, "-outform", "DER"),
        PEM: openssl("x509", "-in", certificate, "-outform", "PEM"), IDENTITY: b""}


def test_what_a_client_has_proven(b):
    """net.h MARTLET_PROOF_*: names, fingerprint, DER and PEM of its certificate, before and after an upgrade."""
    port, _ = net_plugin(b, "mutual")
    wanted = expected(CA.client[0])
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with tls(port, CA.context(CA.client, version=version)) as s:
            assert {what: proof(s, what) for what in wanted} == wanted
            assert proof(s, 7) == b"" and proof(s, 9) == b""
            done = b.ctl("plugins", "reload", "net")
            assert done.returncode == 0, done
            assert proof(s, SHA256) == wanted[SHA256]
    out = b.ctl("net", "bad").stdout
    assert "proof=0\ndgram_proof=0" in out, out
    b.ctl("plugins", "unload", "net")


def test_first_words_with_the_end_of_the_handshake(b):
    """A TLS 1.3 client may send both in one segment: the plugin hears `opened` before `data`."""
    port, _ = net_plugin(b, "gateway")
    for context in (CA.context(version=ssl.TLSVersion.TLSv1_2), CA.context(version=ssl.TLSVersion.TLSv1_3)):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        c = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
        with socket.create_connection(("127.0.0.1", port), DEADLINE) as s:
            while True:
                try:
                    c.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    s.sendall(outgoing.read())
                    incoming.write(s.recv(1 << 16))
            c.write(b"lines\nhello\n")
            s.sendall(outgoing.read())
            got = b""
            while len(got) < 14:
                try:
                    got += c.read(100)
                except ssl.SSLWantReadError:
                    more = s.recv(1 << 16)
                    assert more, got
                    incoming.write(more)
            assert got == b"1.0.0 1\nhello\n", got
    b.ctl("plugins", "unload", "net")


def test_a_client_without_a_certificate_has_proven_nothing(b):
    port, _ = net_plugin(b, "gateway")
    with tls(port) as s:
        assert [proof(s, what) for what in range(7)] == [b""] * 7
    b.ctl("plugins", "unload", "net")


def test_a_client_with_a_shared_key_has_proven_its_identity(b):
    port, _ = net_plugin(b, "shared")
    for version in ("-tls1_2", "-tls1_3"):
        done = subprocess.run(
            ["openssl", "s_client", version, "-quiet", "-connect", f"127.0.0.1:{port}", "-psk", KEY,
             "-psk_identity", "sensor-1", *(["-cipher", "PSK"] if version == "-tls1_2" else [])],
            input=b"who 6\nwho 0\nwho 3\nclose\n", capture_output=True, timeout=DEADLINE)
        assert done.stdout == b"8\nsensor-10\n0\nbye\n", done
    b.ctl("plugins", "unload", "net")


def test_the_kit_says_it_in_swift(b):
    """The echo plugin greets by Connection.proof."""
    wanted = expected(CA.client[0])
    b.configure_plugin("echo", {"echo.tcp": f"127.0.0.1:{MUTUAL}", "echo.tls": "mutual", "echo.greet": "on"})
    assert b.ctl("plugins", "reload", "echo").returncode == 0
    with tls(MUTUAL, CA.context(CA.client)) as s:
        line = wanted[DN] + b" " + wanted[SHA256] + b"\n"
        got = b""
        while len(got) < len(line):
            got += s.recv(len(line) - len(got))
        assert got == line
        same(s, b"and then what comes")
    b.configure_plugin("echo", {"echo.tcp": f"127.0.0.1:{MUTUAL}", "echo.tls": "mutual"})
    assert b.ctl("plugins", "reload", "echo").returncode == 0


def put(certificate):
    """A certificate and its key where the profile `live` reads them."""
    shutil.copy(certificate[1], LIVE / "key.pem")
    shutil.copy(certificate[0], LIVE / "cert.pem")


def served(port):
    """The common name of the certificate that a new connection gets."""
    with tls(port) as s:
        return dict(x[0] for x in s.getpeercert()["subject"])["commonName"]


@limit(120)
def test_certificates_are_loaded_anew(b):
    """listeners reload-certs and SIGHUP: none of the connections drops, new handshakes get the new certificate."""
    put(FIRST)
    port, _ = net_plugin(b, "live")
    clients = [tls(port) for _ in range(200)]
    assert served(port) == "first"
    put(SECOND)
    assert served(port) == "first"
    done = b.ctl("listeners", "reload-certs", "net:tcp")
    assert done.returncode == 0 and "certificates of net:tcp are loaded, valid until 2" in done.stdout, done
    assert served(port) == "second"
    assert "cert_not_after" in b.listener("net:tcp")
    put(FIRST)
    done = b.ctl("listeners", "reload-certs")
    assert done.returncode == 0, done
    assert {"net:tcp", "net:udp"} <= set(re.findall(r"of (\S+) are loaded", done.stdout)), done
    assert served(port) == "first"
    # What cannot be used is refused, and the old one stays.
    shutil.copy(SECOND[1], LIVE / "key.pem")
    done = b.ctl("listeners", "reload-certs", "net:tcp")
    assert done.returncode == 1 and "net:tcp keeps its certificates" in done.stderr, done
    assert "not the key" in done.stderr, done
    assert served(port) == "first"
    put(SECOND)
    b.process.send_signal(signal.SIGHUP)
    wait_until(lambda: served(port) == "second", "the second certificate")
    # The log is written when all listeners have theirs.
    wait_until(lambda: "The certificates of net:tcp are loaded." in (b.dir / "output").read_text(), "a line in the log")
    for n, s in enumerate(clients):
        same(s, b"still here, number %d\n" % n)
        s.close()
    # A profile that is gone from its listener, and a listener without one.
    b.ctl("plugins", "unload", "net")
    done = b.ctl("listeners", "reload-certs", "tcp:test")
    assert done.returncode == 1 and "tcp:test is no TLS listener" in done.stderr, done


def test_profiles_that_are_not_there(b):
    """The load says what is missing, and the running plugin stays."""
    for name, sentence in (("nobody", "there is no TLS profile nobody"), ("strange", "has no tls.strange.certfile")):
        b.configure_plugin("echo", {"echo.tcp": f"127.0.0.1:{MUTUAL}", "echo.tls": name})
        done = b.ctl("plugins", "reload", "echo")
        assert done.returncode and sentence in done.stderr + done.stdout, done
    with tls(MUTUAL, CA.context(CA.client)) as s:
        same(s, b"still there")


class Server:
    """One TLS connection: what the other side says first."""

    def __init__(self):
        self.door = socket.create_server(("127.0.0.1", 0))
        self.door.settimeout(DEADLINE)
        self.port, self.heard = self.door.getsockname()[1], None
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(CA["cert.pem"], CA["key.pem"])
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        try:
            s, _ = self.door.accept()
            s.settimeout(DEADLINE)
            with self.context.wrap_socket(s, server_side=True) as s:
                self.heard = s.recv(100)
        except OSError as error:
            self.heard = error

    def result(self):
        self.thread.join()
        self.door.close()
        return self.heard


def outgoing(b, profile, port):
    """Has the net plugin connect with a profile."""
    compile_plugin(b, "net", "net", [quoted("ID", "net"), quoted("PROFILE", profile)])
    b.load("net")
    done = b.ctl("net", "connect", f"127.0.0.1:{port}")
    assert done.returncode == 0, done


def why(b):
    """The status with which the outgoing connection ended; 99: it has not."""
    return int(re.search(r"out_why=(-?\d+)", b.ctl("net").stdout)[1])


def test_outgoing_connections(b):
    """The server's certificate is checked: a stranger's is refused."""
    server = Server()
    outgoing(b, "gateway", server.port)
    assert server.result() == b"hello from 1.0.0\n"
    b.ctl("plugins", "unload", "net")
    server = Server()
    outgoing(b, "strange", server.port)
    assert isinstance(server.result(), OSError)
    # The server hears of it before the plugin does.
    assert wait_until(lambda: (status := why(b)) != 99 and status, "its end") == -5
    b.ctl("plugins", "unload", "net")


def test_outgoing_with_a_shared_key(b):
    program = tool("openssl")
    port = free_port()
    server = subprocess.Popen(
        [program, "s_server", "-accept", f"127.0.0.1:{port}", "-nocert", "-psk", KEY, "-psk_identity", "gateway-1",
         "-tls1_2", "-cipher", "PSK", "-quiet", "-naccept", "1"], stdout=subprocess.PIPE, stdin=subprocess.PIPE)
    try:
        wait_listening(server, port)
        outgoing(b, "keys", port)
        assert server.stdout.readline() == b"hello from 1.0.0\n"
    finally:
        server.kill()
        server.wait()
    b.ctl("plugins", "unload", "net")
