# SPDX-License-Identifier: Apache-2.0
"""HTTP listeners behind a proxy that names the client (PROXY protocol 1 and 2), and how fast they accept."""
import socket
import struct
import subprocess
import tempfile
import time
from pathlib import Path

from wire import *
from wire.certs import Authority
from wire.cplugin import compile_plugin, quoted
from wire.people import tool
from wire.web import *

MARTLET_ONLY = True
CA = Authority()
PROXIED, SECURE, RATED = (free_port() for _ in range(3))
CONFIG = {
    "listener.api.management": f"127.0.0.1:{PROXIED}",
    "listener.api.management.proxy_protocol": "on",
    "listener.api.management.proxy_protocol_timeout": "3s",
    "listener.api.management.access.1": "deny 203.0.113.0/24",
    "listener.apis.management": f"127.0.0.1:{SECURE}",
    "listener.apis.management.certfile": CA["cert.pem"],
    "listener.apis.management.keyfile": CA["key.pem"],
    "listener.apis.management.proxy_protocol": "on",
    "listener.api.rated": f"127.0.0.1:{RATED}",
    "listener.api.rated.max_conn_rate": "4",
}
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v2(source, port, command=0x21):
    body = socket.inet_aton(source) + socket.inet_aton("127.0.0.1") + struct.pack(">HH", port, 80)
    return SIGNATURE + struct.pack(">BBH", command, 0x11, len(body)) + body


def loaded(b):
    compile_plugin(b, "http", "http", ['ID="http"', quoted("VERSION", "1.0.0"), quoted("FOLDER", b.dir / "www")])
    (b.dir / "www").mkdir(exist_ok=True)
    b.ctl("plugins", "unload", "http")
    b.load("http")


def ask(port=PROXIED, first=b"", pieces=None):
    """What the plugin says the peer is."""
    request = b"GET /peer HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    r = Raw(port)
    data = first + request
    for at in range(0, len(data), pieces or len(data)):
        r.send(data[at:at + (pieces or len(data))])
        if pieces:
            time.sleep(0.0005)
    answer = r.eof()
    r.close()
    return answer.partition(b"\r\n\r\n")[2].decode()


def test_both_forms_of_header(b):
    """The client's address is what the proxy says; a proxy that speaks for itself is itself."""
    loaded(b)
    assert ask(first=b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\r\n") == "192.0.2.7:4711"
    assert ask(first=b"PROXY TCP6 2001:db8::7 ::1 4711 80\r\n") == "[2001:db8::7]:4711"
    assert ask(first=v2("192.0.2.8", 4712)) == "192.0.2.8:4712"
    assert ask(first=b"PROXY UNKNOWN\r\n").startswith("127.0.0.1:")
    assert ask(first=v2("192.0.2.8", 4712, command=0x20)).startswith("127.0.0.1:")


def test_header_in_single_bytes(b):
    loaded(b)
    assert ask(first=b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\r\n", pieces=1) == "192.0.2.7:4711"
    assert ask(first=v2("192.0.2.8", 4712), pieces=1) == "192.0.2.8:4712"


def test_requests_on_one_connection_are_the_same_clients(b):
    loaded(b)
    r = Raw(PROXIED, v2("192.0.2.9", 4713))
    for _ in range(3):
        r.got = b""
        r.send(b"GET /peer HTTP/1.1\r\nHost: a\r\n\r\n")
        r.until(b"192.0.2.9:4713")
    r.close()


def test_without_a_header_nobody_comes_in(b):
    """Malformed, missing, cut off: closed without an answer, and counted."""
    malformed = b.ended("api:management", "proxy_malformed")
    assert Raw(PROXIED, b"GET /status HTTP/1.1\r\nHost: a\r\n\r\n").eof() == b""
    assert Raw(PROXIED, b"PROXY TCP4 nobody 127.0.0.1 1 80\r\n").eof() == b""
    wait_until(lambda: b.ended("api:management", "proxy_malformed") == malformed + 2, "both are counted")
    late, begun = b.ended("api:management", "proxy_timeout"), time.monotonic()
    assert Raw(PROXIED, b"PROXY TCP4 192.0.2.7 ").eof() == b""
    assert 2.9 < time.monotonic() - begun < DEADLINE
    wait_until(lambda: b.ended("api:management", "proxy_timeout") == late + 1, "it is counted")
    gone = b.ended("api:management", "proxy_closed")
    Raw(PROXIED, b"PROXY").close()
    wait_until(lambda: b.ended("api:management", "proxy_closed") == gone + 1, "it is counted")
    wait_until(lambda: b.current("api:management") == 0, "their end")


def test_access_rules_hold_for_the_client(b):
    denied = b.ended("api:management", "access_denied")
    assert Raw(PROXIED, v2("203.0.113.9", 1) + b"GET /status HTTP/1.1\r\nHost: a\r\n\r\n").eof() == b""
    wait_until(lambda: b.ended("api:management", "access_denied") == denied + 1, "it is counted")


def test_curl_says_it(b):
    """curl --haproxy-protocol: version 1."""
    loaded(b)
    got = curl(PROXIED, "/peer", "--haproxy-protocol")
    assert got.status == 200 and got.text.startswith("127.0.0.1:"), got


def test_the_header_comes_before_tls(b):
    loaded(b)
    with socket.create_connection(("127.0.0.1", SECURE), DEADLINE) as s:
        s.sendall(v2("192.0.2.10", 4714))
        with CA.context().wrap_socket(s, server_hostname="localhost") as c:
            c.sendall(b"GET /peer HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            got = b""
            while more := c.recv(65536):
                got += more
            assert got.endswith(b"192.0.2.10:4714"), got


HAPROXY = """
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen one
  bind 127.0.0.1:{0}
  server martlet 127.0.0.1:{plain} send-proxy
listen two
  bind 127.0.0.1:{1}
  server martlet 127.0.0.1:{plain} send-proxy-v2
listen three
  bind 127.0.0.1:{2}
  server martlet 127.0.0.1:{secure} send-proxy-v2
listen web
  mode http
  bind 127.0.0.1:{3}
  server martlet 127.0.0.1:{plain} send-proxy-v2
"""



def test_haproxy_in_front(b):
    """send-proxy and send-proxy-v2, in front of HTTP and HTTPS: clients keep their own addresses."""
    program = tool("haproxy")
    loaded(b)
    ports = [free_port() for _ in range(4)]
    with tempfile.TemporaryDirectory(prefix="mw-haproxy-") as folder:
        path = Path(folder, "haproxy.cfg")
        path.write_text(HAPROXY.format(*ports, plain=PROXIED, secure=SECURE))
        proxy = subprocess.Popen([program, "-db", "-f", str(path)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        try:
            for port in ports:
                wait_listening(proxy, port)
            for n, port in enumerate(ports):
                scheme = "https" if n == 2 else "http"
                done = subprocess.run(
                    curl_command("--interface", f"127.0.0.{n + 5}", "--cacert", CA["cacert.pem"],
                                 f"{scheme}://localhost:{port}/peer", "-4"), capture_output=True)
                got = Answer(done.stdout, done.returncode)
                assert got.status == 200 and got.text.startswith(f"127.0.0.{n + 5}:"), (n, got)
        finally:
            proxy.terminate()
            proxy.wait(20)


def test_who_comes_too_fast_waits(b):
    """max_conn_rate: nobody is closed; twelve at once are all answered, four in a second."""
    pauses = int(b.listener("api:rated")["accept_pauses"])
    begun = time.monotonic()
    clients = [Raw(RATED, b"GET /status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") for _ in range(12)]
    # They all have a connection, in the kernel's backlog; only some are let in.
    assert b.current("api:rated") <= 4
    times = []
    for c in clients:
        assert c.eof().startswith(b"HTTP/1.1 200"), c.got
        times.append(time.monotonic() - begun)
    assert sum(t < 0.9 for t in times) <= 4 and sum(t < 1.9 for t in times) <= 8, times
    assert int(b.listener("api:rated")["accept_pauses"]) >= pauses + 2
    assert b.ended("api:rated", "conn_rate") == 0
