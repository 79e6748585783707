# SPDX-License-Identifier: Apache-2.0
"""The HTTP client and what surrounds it: names that move, a library that is not there, HTTP/2, proxies."""
import os
import resource
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager

from wire import *
from wire.broker import Martlet
from wire.httpc import *
from wire.people import tool
from wire.webserver import WebServer, make_certificates

MARTLET_ONLY = True
PLUGINS = []


@contextmanager
def another(b, wrap, before=None):
    """A broker started by a command of the test's."""
    other = Martlet(b.tree, {"log.to": "both"}, [], wrap=wrap)
    try:
        if before:
            before(other)
        yield other.start()
        assert not (wrong := other.stop()), wrong
    finally:
        other.kill()
        other.remove()


def test_service_that_moves(b):
    """Its name has another address: found within dns_ttl_s, although the old server still answers on the connection."""
    hosts = b.dir / "hosts"
    hosts.write_text("127.0.0.1 localhost\n127.0.0.2 moved.test\n")
    wrap = ["unshare", "-rm", "sh", "-c", f'mount --bind {hosts} /etc/hosts && exec "$@"', "sh"]
    if not shutil.which("unshare") or subprocess.run([*wrap, "true"], capture_output=True).returncode:
        raise Skip("this machine allows no mount namespaces")
    with WebServer("127.0.0.2", name="old") as old, WebServer("127.0.0.3", old.port, name="new") as new:
        with another(b, wrap) as other:
            url = f"http://moved.test:{old.port}/ok"
            quick, slow = client(other, "ttl=1"), client(other, "ttl=60")
            assert fetch(other, url, quick).headers["X-Name"] == "old"
            assert fetch(other, url, slow).headers["X-Name"] == "old"
            hosts.write_text("127.0.0.1 localhost\n127.0.0.3 moved.test\n")
            begun = time.monotonic()
            wait_until(lambda: fetch(other, url, quick).headers["X-Name"] == "new", seconds=10)
            assert time.monotonic() - begun < 4
            assert fetch(other, url, slow).headers["X-Name"] == "old", "it may be believed for a minute"
            assert new.connections == 1


@measures
def test_resolver_that_does_not_answer(b):
    """The request fails when its time is over, and neither others nor the broker's end wait for the resolver."""
    resolver = b.dir / "resolv.conf"
    resolver.write_text("nameserver 127.0.0.53\noptions timeout:30 attempts:1\n")
    wrap = ["unshare", "-rm", "sh", "-c", f'mount --bind {resolver} /etc/resolv.conf && exec "$@"', "sh"]
    if not shutil.which("unshare") or subprocess.run([*wrap, "true"], capture_output=True).returncode:
        raise Skip("this machine allows no mount namespaces")
    with socket.socket(type=socket.SOCK_DGRAM) as silent, WebServer() as web:
        try:
            silent.bind(("127.0.0.53", 53))
        except OSError:
            raise Skip("port 53 cannot be had") from None
        silent.settimeout(10)
        with another(b, wrap) as other:
            loaded(other)
            other.ctl("httpc", "send", "5", "GET", "http://silent.example/", "timeout=3000")
            silent.recv(512)
            begun = time.monotonic()
            assert fetch(other, web.url("/ok")).http == 200
            assert {r.failure for r in collect(other, 5)} == {TIMEOUT}
            assert fetch(other, web.url("/ok")).http == 200
            assert time.monotonic() - begun < 10, "the resolver held everybody up"
        assert time.monotonic() - begun < 20, "the resolver held up the end"


def test_name_with_several_addresses(b):
    """localhost is 127.0.0.1 and ::1: the service is found where it is."""
    with WebServer() as web:
        assert fetch(b, f"http://localhost:{web.port}/ok").http == 200
        port = web.port
    try:
        web = WebServer("::1", port)
    except OSError:
        raise Skip("there is no IPv6") from None
    with web:
        assert fetch(b, f"http://localhost:{port}/ok", "retries=2").http == 200


def test_without_libcurl(b):
    """The broker runs; who makes requests is told what to install, in start or with the request."""
    library = b.dir / "nothing"
    library.mkdir()
    (library / "libcurl.so.4").write_text("this is no library\n")
    with another(b, ["env", f"LD_LIBRARY_PATH={library}"]) as other:
        other.client(5).quiet()
        compile_plugin(other, "httpc", "httpc", ['ID="httpc"', "EAGER"])
        done = other.ctl("plugins", "load", "httpc")
        assert done.returncode == 1 and "install the package libcurl4" in done.stderr, done
        assert done.stderr.count("\n") == 1 and "httpc was not loaded: httpc.client: " in done.stderr, done
        compile_plugin(other, "httpc", "httpc", ['ID="httpc"'])
        other.load("httpc")
        done = other.ctl("httpc", "send", "1", "GET", "http://127.0.0.1:1/")
        assert done.returncode == 1 and "httpc.request: " in done.stderr and "libcurl4" in done.stderr, done
        other.client(5).quiet()


def test_library_is_there_from_the_first_request_on(b):
    """An idle broker maps no libcurl, a plugin that might use it changes nothing; the first client does."""
    with another(b, []) as other:
        loaded(other)
        assert "libcurl" not in other.maps()
        client(other)
        assert "libcurl.so.4" in other.maps()


def test_no_descriptor_for_the_client(b):
    """The first plugin to want HTTP while clients have all descriptors is told so, and gets it once some are free."""
    with WebServer() as web, another(b, []) as other:
        loaded(other)
        pid = other.process.pid
        soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        other.wait_ctl_gone()
        used = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
        free = [n for n in range(len(used) + 4) if n not in used]
        # One is martlet_ctl's. With none left the library cannot be read, with one a loop lacks half of what it needs.
        for room in range(1, 3):
            try:
                resource.prlimit(pid, resource.RLIMIT_NOFILE, (free[room], hard))
                done = other.ctl("httpc", "client")
                other.wait_ctl_gone()
                assert done.returncode and "there are no HTTP requests here" in done.stderr, (room, done)
            finally:
                resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        assert fetch(other, web.url("/ok")).body == "hello"


def test_environment_names_no_proxy(b):
    """http_proxy is for other programs; a proxy of the client's own is used."""
    with WebServer() as web, WebServer(name="proxy") as proxy:
        # A proxy is asked for the whole URL; this one answers anything.
        async def answer(writer, method, path, fields, body, served):
            writer.write(proxy.whole(200, b"by proxy"))
            return True

        proxy.answer = answer
        with another(b, ["env", f"http_proxy={proxy.url('')}", f"all_proxy={proxy.url('')}"]) as other:
            assert fetch(other, web.url("/ok")).body == "hello" and not proxy.requests
            r = fetch(other, web.url("/ok"), client(other, f"proxy={proxy.url('')}"))
            assert r.body == "by proxy" and proxy.requests == [("GET", web.url("/ok"))], r


def test_http2_shares_a_connection(b):
    """Against nghttpd: a hundred requests at once, one connection, HTTP/2. RFC 9113."""
    program = tool("nghttpd")
    folder = make_certificates(b.dir / "h2certs")
    (folder / "index.html").write_text("over two")
    port = free_port()
    server = subprocess.Popen([program, str(port), "server.key", "server.pem", "-d", str(folder)], cwd=folder,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        c = client(b, "name=two", "hosts=4", f"ca={folder}/ca.pem")
        url = f"https://localhost:{port}/index.html"
        r = fetch(b, url, c, "retries=10")
        assert (r.http, r.version, r.body) == (200, 20, "over two"), r
        assert all(r.version == 20 for r in send(b, url, c, count=100))
        stats = shown(b, "two")
        assert stats["connections"] == 1 and stats["responses"] == 101, stats
    finally:
        server.kill()
        server.wait()
