# SPDX-License-Identifier: Apache-2.0
"""HTTPS for plugins: the same routes behind TLS, with the certificates and options of the MQTT listeners."""
import os
import socket
import ssl
import subprocess
from pathlib import Path

from wire import *
from wire import http_plugin
from wire.cplugin import compile_program
from wire.web import *

MARTLET_ONLY = True
MAKE_CERTS = Path(__file__).resolve().parents[2] / "tools/make-certs"
DOOR, MUTUAL, CLOSED, SMALL = (free_port() for _ in range(4))
CONFIG = {
    "listener.apis.management": f"127.0.0.1:{DOOR}",
    "listener.apis.management.certfile": "etc/certs/cert.pem",
    "listener.apis.management.keyfile": "etc/certs/key.pem",
    "listener.apis.management.header_timeout": "2s",
    "listener.apis.mgmt": f"127.0.0.1:{MUTUAL}",
    "listener.apis.mgmt.verify": "verify_peer",
    "listener.apis.mgmt.fail_if_no_peer_cert": "on",
    "listener.apis.mgmt.cacertfile": "etc/certs/cacert.pem",
    "listener.apis.small": f"127.0.0.1:{SMALL}",
    "listener.apis.small.sndbuf": "16KB",
    # A flood of new keys takes its time on a slow machine.
    "listener.apis.small.header_timeout": "2m",
    "listener.apis.closed": f"127.0.0.1:{CLOSED}",
    "listener.apis.closed.certfile": "etc/certs/missing.pem",
}


def certificates(b):
    """Make the development certificates once, and open the doors that were closed for want of them."""
    folder = b.dir / "etc/certs"
    if not (folder / "client-cert.pem").exists():
        done = subprocess.run([str(MAKE_CERTS), str(folder)], capture_output=True, text=True)
        assert done.returncode == 0, done
    for name in ("apis:management", "apis:mgmt", "apis:small"):
        b.ctl("listeners", "start", name)
    return folder


def https(b, path, *words, port=DOOR, data=None):
    """curl https://localhost:PORT/PATH, which trusts the development authority."""
    done = subprocess.run(curl_command("--cacert", str(b.dir / "etc/certs/cacert.pem"), *words,
                                       f"https://localhost:{port}{path}"), input=data, capture_output=True)
    return Answer(done.stdout, done.returncode)


def loaded(b):
    """The certificates, and then the plugin with a folder to serve."""
    certificates(b)
    return http_plugin.loaded(b)


def test_routes_and_bodies(b):
    loaded(b)
    assert https(b, "/status").status == 200
    got = https(b, "/hello/you", "-H", "X-Agent: x")
    assert got.text == "1.0.0 hello you agent=x user=\n", got
    body = os.urandom(900_000)
    got = https(b, "/echo", "--data-binary", "@-", data=body)
    assert got.body == body, got
    body = os.urandom(5 << 20)
    got = https(b, "/upload", "-X", "POST", "-T", "-", data=body)
    assert got.text.split()[0] == str(len(body)), got


def test_large_answers(b):
    folder = loaded(b)
    assert https(b, "/static/big.bin").body == (folder / "big.bin").read_bytes()
    got = https(b, "/flood/16")
    assert got.exit == 0 and len(got.body) == 16 << 20, got.exit


def test_versions_and_protocol(b):
    certificates(b)
    for version in ("--tlsv1.3", "--tls-max=1.2"):
        words = version.split("=") if "=" in version else [version]
        assert https(b, "/status", *words).status == 200, version
    got = https(b, "/status", "--tls-max", "1.1")
    assert got.exit == 35, got
    context = ssl.create_default_context(cafile=str(b.dir / "etc/certs/cacert.pem"))
    context.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_connection(("127.0.0.1", DOOR)) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as s:
            assert s.selected_alpn_protocol() == "http/1.1"
            s.sendall(b"GET /status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            got = b""
            while chunk := s.recv(4096):  # to the server's goodbye: a truncated stream would be an error here
                got += chunk
            assert got.endswith(b"running\n"), got


def test_events_over_tls(b):
    loaded(b)
    stream = Stream(DOOR, "/events", "-k", scheme="https")
    stream.expect(b"data: second\n\n")
    b.ctl("http", "event", "next")
    stream.expect(b"data: next\n\n")
    b.ctl("plugins", "unload", "http")
    assert stream.expect_end() == 0


def test_client_certificates(b):
    folder = certificates(b)
    got = https(b, "/status", port=MUTUAL)
    assert got.exit in (35, 52, 55, 56), got
    got = https(b, "/status", "--cert", str(folder / "client-cert.pem"), "--key", str(folder / "client-key.pem"),
                port=MUTUAL)
    assert got.status == 200, got
    wait_until(lambda: b.ended("apis:mgmt"), "its end to be counted")


def test_what_is_no_tls(b):
    certificates(b)
    before = b.ended("apis:management")
    assert Raw(DOOR, b"GET /status HTTP/1.1\r\nHost: a\r\n\r\n").eof().find(b"running") == -1
    silent = Raw(DOOR)
    half = Raw(DOOR, b"\x16\x03\x01\x02\x00\x01")
    assert silent.eof() == half.eof() == b""
    wait_until(lambda: b.ended("apis:management") >= before + 3, "three ends")
    wait_until(lambda: b.ended("apis:management", "header_timeout") >= 2, "its end to be counted")
    assert https(b, "/status").status == 200


@limit(120)
def test_new_keys_without_end(b):
    """RFC 8446 section 4.6.3: each request is answered, so who reads none of the answers is sent away."""
    certificates(b)
    before, memory = b.ended("apis:small", "tls_flood"), b.memory()
    done = subprocess.run([compile_program("tls_abuse", b.dir / "tls_abuse"), str(SMALL), "400000"],
                          capture_output=True, text=True, timeout=100)
    assert done.returncode == 0 and int(done.stdout) < 400_000, done
    b.wait_counted("apis:small", "tls_flood", before + 1)
    assert b.memory() - memory < 6_000_000


def test_a_certificate_that_is_missing_costs_one_door(b):
    said = (b.dir / "output").read_text()
    assert "Listener apis:closed" in said and "missing.pem" in said, said
    done = b.ctl("listeners", "start", "apis:closed")
    assert done.returncode == 1 and "missing.pem" in done.stderr, done


def test_certificates_are_loaded_anew(b):
    """New connections get the new certificate, an open one goes on with its own."""
    loaded(b)
    folder = certificates(b)
    stream = Stream(DOOR, "/events", "-k", scheme="https")
    stream.expect(b"first")
    serial = subprocess.run(["openssl", "x509", "-noout", "-serial", "-in", str(folder / "cert.pem")],
                            capture_output=True, text=True).stdout
    for name in ("cert.pem", "key.pem"):
        (folder / name).rename(folder / f"old-{name}")
    certs = subprocess.run([str(MAKE_CERTS), str(folder)], capture_output=True, text=True)
    assert certs.returncode == 0, certs
    done = b.ctl("listeners", "reload-certs", "apis:management")
    assert done.returncode == 0, done
    shown = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{DOOR}", "-servername", "localhost"],
                           input="", capture_output=True, text=True).stdout
    got = subprocess.run(["openssl", "x509", "-noout", "-serial"], input=shown, capture_output=True, text=True).stdout
    assert got.startswith("serial=") and got != serial, (got, serial)
    b.ctl("http", "event", "still")
    stream.expect(b"data: still")
    stream.stop()
