# SPDX-License-Identifier: Apache-2.0
"""DTLS 1.2 on the UDP listeners of plugins: openssl as client, with certificates and with shared keys, lost datagrams,
garbage, and more peers than places."""
import os
import re
import select
import shutil
import socket
import subprocess
import threading
import time

from wire import *
from wire.broker import free_port
from wire.certs import Authority
from wire.client import DEADLINE
from wire.cplugin import compile_plugin, install, quoted
from wire.people import tool

MARTLET_ONLY = True
CA, OTHER = Authority("gateway.example"), Authority("other.example")
PORT = free_port()
KEY = "2b7e151628aed2a6abf7158809cf4f3c"
FILES = {"certfile": CA["cert.pem"], "keyfile": CA["key.pem"], "cacertfile": CA["cacert.pem"]}
CONFIG = {
    **{f"tls.gateway.{k}": v for k, v in FILES.items()}, "tls.gateway.psk": "on",
    **{f"tls.mutual.{k}": v for k, v in FILES.items()},
    "tls.mutual.verify": "verify_peer", "tls.mutual.fail_if_no_peer_cert": "on",
    **{f"tls.new.{k}": v for k, v in FILES.items()}, "tls.new.tls_versions": "tlsv1.3",
}
LIVE = CA.dir / "live"
LIVE.mkdir()
CONFIG |= {"tls.live.certfile": str(LIVE / "cert.pem"), "tls.live.keyfile": str(LIVE / "key.pem")}
KEYS = CA["psk.conf"]
with open(os.open(KEYS, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="ascii") as out:
    out.write(f"sensor-1:{KEY}\n")
PLUGINS = ["auth_psk", "echo"]
ECHO = {"echo.udp": f"127.0.0.1:{PORT}", "echo.dtls": "gateway", "echo.max_connections": 2}
PLUGIN_CONFIG = {"auth_psk": {"auth.psk.file": KEYS}, "echo": ECHO}
CERTIFICATE = ["-CAfile", CA["cacert.pem"], "-verify_return_error"]
SHARED = ["-psk", KEY, "-psk_identity", "sensor-1", "-cipher", "PSK"]


class Client:
    """openssl s_client: a line in is a datagram out, and back again."""

    def __init__(self, *options, port=None):
        program = tool("openssl")
        self.process = subprocess.Popen(
            [program, "s_client", "-dtls1_2", "-quiet", "-no_ign_eof", "-connect", f"127.0.0.1:{port or PORT}",
             *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def same(self, text, answer=None):
        """Also right after the start: openssl reads its input once the handshake is over."""
        self.process.stdin.write(text + b"\n")
        self.process.stdin.flush()
        got, end = b"", time.monotonic() + DEADLINE
        while not got.endswith(b"\n") and time.monotonic() < end:
            if select.select([self.process.stdout], [], [], 0.2)[0]:
                more = os.read(self.process.stdout.fileno(), 65536)
                assert more, f"openssl ended: {self.process.wait()}"
                got += more
        assert got == (text if answer is None else answer) + b"\n", got

    def fails(self):
        assert self.process.wait(DEADLINE) != 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """The end of its input makes it say goodbye."""
        self.process.stdin.close()
        try:
            self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def until(b, done):
    wait_until(done, lambda: f"a change of {b.ctl('listeners').stdout}")


def test_echo_with_a_certificate(b):
    """RFC 6347: datagrams come back, and a goodbye ends the association."""
    before = b.ended("echo:udp", "peer_closed")
    with Client(*CERTIFICATE) as s:
        s.same(b"hello")
        s.same(b"x" * 8000)
        assert b.current("echo:udp") == 1
    until(b, lambda: b.ended("echo:udp", "peer_closed") == before + 1 and b.current("echo:udp") == 0)


def test_echo_with_a_shared_key(b):
    """RFC 4279: who is known by auth_psk comes in, others do not."""
    with Client(*SHARED) as s:
        s.same(b"by key")
    with Client("-psk", KEY, "-psk_identity", "nobody", "-cipher", "PSK") as s:
        s.fails()
    until(b, lambda: b.ended("echo:udp", "tls_unknown_psk") == 1)


def test_garbage_is_counted_and_keeps_nothing(b):
    strays = b.ended("echo:udp", "no_association")
    with Client(*CERTIFICATE) as s, socket.socket(type=socket.SOCK_DGRAM) as u:
        s.same(b"before")
        u.connect(("127.0.0.1", PORT))
        # No more at a time than the kernel's queue holds.
        for n in range(0, 200, 20):
            for more in range(n, n + 20):
                u.send(os.urandom(1 + more * 7))
            until(b, lambda: b.ended("echo:udp", "no_association") == strays + n + 20)
        s.same(b"after")
        assert b.current("echo:udp") == 1, b.listener("echo:udp")
    until(b, lambda: b.current("echo:udp") == 0)


class Proxy:
    """Passes datagrams on between one client and the broker, but for those that `drops` says."""

    def __init__(self, drops=lambda data, number, from_client: False, port=PORT):
        self.drops, self.seen, self.client = drops, [0, 0], None
        self.front, self.back = (socket.socket(type=socket.SOCK_DGRAM) for _ in range(2))
        self.front.bind(("127.0.0.1", 0))
        self.back.connect(("127.0.0.1", port))
        self.port, self.first = self.front.getsockname()[1], []
        self.end, self.wake = socket.socketpair()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while True:
            ready = select.select([self.front, self.back, self.end], [], [])[0]
            if self.end in ready:
                return
            for s in ready:
                data, peer = s.recvfrom(65536)
                if s is self.front:
                    self.client = peer
                    self.first.append(data)
                self.seen[s is self.back] += 1
                if not self.drops(data, self.seen[s is self.back], s is self.front):
                    self.back.send(data) if s is self.front else self.front.sendto(data, self.client)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.wake.send(b"x")
        self.thread.join()
        for s in (self.front, self.back, self.end, self.wake):
            s.close()


def test_a_hello_without_our_cookie_keeps_nothing(b):
    """RFC 6347 section 4.2.1: the answer is a short HelloVerifyRequest; its cookie is worth nothing elsewhere."""
    with Proxy() as proxy, Client(*CERTIFICATE, port=proxy.port) as s:
        s.same(b"x")
        hello, cookie = proxy.first[:2]
    until(b, lambda: b.current("echo:udp") == 0)
    for data in (hello, cookie):
        with socket.socket(type=socket.SOCK_DGRAM) as u:
            u.settimeout(DEADLINE)
            u.connect(("127.0.0.1", PORT))
            u.send(data)
            answer = u.recv(65536)
            # handshake, HelloVerifyRequest
            assert answer[0] == 22 and answer[13] == 3 and len(answer) <= len(data), answer
            assert b.current("echo:udp") == 0


def test_a_lost_flight_is_sent_again(b):
    """RFC 6347 section 4.2.4: the broker's first flight is lost, and nothing reaches it that would remind it."""
    flights, asked = 0, False

    def drops(data, number, from_client):
        # By what they are: a client that waits too long sends its hello again, and then their numbers tell nothing.
        nonlocal flights, asked
        if not from_client:
            flight = (data[0], data[13]) == (22, 2)  # handshake, ServerHello
            flights += flight
            return flight and flights == 1
        before = asked
        asked = asked or (data[0], data[13]) == (22, 1) and data[60 + data[59]] > 0  # a ClientHello with a cookie
        return before and flights < 2

    with Proxy(drops) as proxy, Client(*CERTIFICATE, port=proxy.port) as s:
        s.same(b"late, but here")
    assert flights >= 2
    until(b, lambda: b.current("echo:udp") == 0)


def test_more_peers_than_places(b):
    until(b, lambda: b.current("echo:udp") == 0)
    refused = b.ended("echo:udp", "maxlimit")
    with Client(*CERTIFICATE) as first, Client(*CERTIFICATE) as second:
        first.same(b"1")
        second.same(b"2")
        third = Client(*CERTIFICATE)
        try:
            until(b, lambda: b.ended("echo:udp", "maxlimit") > refused)
            assert b.current("echo:udp") == 2
            first.same(b"1")
        finally:
            third.process.kill()
            with third:
                pass


def test_a_peer_may_begin_anew(b):
    """RFC 6347 section 4.2.8: who has forgotten its association gets a new one, once it has our cookie."""
    until(b, lambda: b.current("echo:udp") == 0)
    with socket.socket(type=socket.SOCK_DGRAM) as u:
        u.bind(("127.0.0.1", 0))
        own = ["-bind", f"127.0.0.1:{u.getsockname()[1]}"]
    with Client(*CERTIFICATE, *own) as s:
        s.same(b"first")
        s.process.kill()
    with Client(*CERTIFICATE, *own) as s:
        s.same(b"second")
        assert b.ended("echo:udp", "begun_anew") == 1 and b.current("echo:udp") == 1, b.listener("echo:udp")
    until(b, lambda: b.current("echo:udp") == 0)


def test_associations_stay_through_upgrades(b):
    image = (b.dir / "plugins/echo.so").read_bytes()
    with Client(*CERTIFICATE) as s:
        s.same(b"before")
        for n in range(5):
            (b.dir / "image").write_bytes(image + b"%d" % n)
            install(b.dir / "image", b, "echo")
            done = b.ctl("plugins", "reload", "echo")
            assert done.returncode == 0, done
            s.same(b"after %d" % n)


def test_silence_ends_an_association(b):
    b.configure_plugin("echo", {**ECHO, "echo.idle_timeout": "2s"})
    assert b.ctl("plugins", "reload", "echo").returncode == 0
    with Client(*CERTIFICATE) as s:
        s.same(b"x")
        until(b, lambda: b.ended("echo:udp", "idle_timeout") == 1 and b.current("echo:udp") == 0)


def test_a_profile_may_ask_for_certificates(b):
    b.configure_plugin("echo", {**ECHO, "echo.dtls": "mutual"})
    assert b.ctl("plugins", "reload", "echo").returncode == 0
    with Client(*CERTIFICATE, "-cert", CA["client-cert.pem"], "-key", CA["client-key.pem"]) as s:
        s.same(b"with a certificate")
    with Client(*CERTIFICATE) as s:
        s.fails()
    until(b, lambda: b.ended("echo:udp", "tls_no_peer_cert") == 1)


def dtls_net(b, profile, *defines):
    """A test plugin with a DTLS listener: its port."""
    compile_plugin(b, "net", "net", [quoted("ID", "net"), quoted("SECURE", profile), *defines])
    b.load("net")
    return int(re.search(r"^udp=(\d+)", b.ctl("net").stdout, re.M)[1])


def test_what_a_peer_has_proven(b):
    """net.h dgram_proof: names and fingerprint of its certificate, or the identity of its key, in its callback."""
    port = dtls_net(b, "mutual")
    digest = subprocess.run(["openssl", "x509", "-in", CA["client-cert.pem"], "-noout", "-fingerprint", "-sha256"],
                            capture_output=True, text=True, check=True).stdout.strip().partition("=")[2]
    wanted = [b"client", b"CN=client,O=Martlet", b"/O=Martlet/CN=client", digest.replace(":", "").lower().encode()]
    with Client(*CERTIFICATE, "-cert", CA["client-cert.pem"], "-key", CA["client-key.pem"], port=port) as s:
        for what, text in enumerate(wanted):
            s.same(b"who %d" % what, text)
        s.same(b"who 6", b"")
    b.ctl("plugins", "unload", "net")
    port = dtls_net(b, "gateway")
    with Client(*SHARED, port=port) as s:
        s.same(b"who 6", b"sensor-1")
        s.same(b"who 0", b"")
    with Client(*CERTIFICATE, port=port) as s:
        s.same(b"who 0", b"")
    b.ctl("plugins", "unload", "net")


def test_the_kit_says_it_in_swift(b):
    b.configure_plugin("echo", {**ECHO, "echo.greet": "on"})
    assert b.ctl("plugins", "reload", "echo").returncode == 0
    with Client(*SHARED) as s:
        s.same(b"hello")
        s.same(b"who", b"psk sensor-1")
    until(b, lambda: b.current("echo:udp") == 0)


def test_certificates_are_loaded_anew(b):
    """listeners reload-certs: associations stay, new handshakes get the new certificate."""
    for name in ("cert.pem", "key.pem"):
        shutil.copy(CA[name], LIVE / name)
    b.configure_plugin("echo", {**ECHO, "echo.dtls": "live"})
    assert b.ctl("plugins", "reload", "echo").returncode == 0
    with Client(*CERTIFICATE) as old:
        old.same(b"before")
        for name in ("cert.pem", "key.pem"):
            shutil.copy(OTHER[name], LIVE / name)
        done = b.ctl("listeners", "reload-certs", "echo:udp")
        assert done.returncode == 0 and "certificates of echo:udp are loaded" in done.stdout, done
        old.same(b"after")
        with Client("-CAfile", OTHER["cacert.pem"], "-verify_return_error") as new:
            new.same(b"with the new one")
        # There are two places.
        until(b, lambda: b.current("echo:udp") == 1)
        with Client(*CERTIFICATE) as stranger:
            stranger.fails()
        old.same(b"still here")
    until(b, lambda: b.current("echo:udp") == 0)


def test_a_handshake_has_its_time(b):
    """options.connect_timeout_ms: who answers our cookie and hears nothing more of us is gone in time."""
    port = dtls_net(b, "gateway", "CONNECT_TIMEOUT=3000")
    before = b.ended("net:udp", "tls_handshake_timeout")
    proxy = Proxy(lambda data, number, from_client: not from_client and number > 1, port)
    begun = time.monotonic()
    with proxy:
        client = Client(*CERTIFICATE, port=proxy.port)
        try:
            until(b, lambda: b.current("net:udp") == 1)
            until(b, lambda: b.ended("net:udp", "tls_handshake_timeout") == before + 1)
            assert time.monotonic() - begun >= 3
        finally:
            client.process.kill()
            with client:
                pass
    b.ctl("plugins", "unload", "net")


def test_a_profile_of_tls13_alone_is_refused(b):
    b.configure_plugin("echo", {**ECHO, "echo.dtls": "new"})
    done = b.ctl("plugins", "reload", "echo")
    assert done.returncode and "DTLS 1.2" in done.stderr + done.stdout, done
