# SPDX-License-Identifier: Apache-2.0
"""HTTP for plugins: doors, routes, bodies, credentials, limits. martlet.http/1"""
import os
import re
import socket
import struct
import threading

from wire import *
from wire.http_plugin import counts, loaded
from wire.web import *

MARTLET_ONLY = True
DOOR, SHORT, RULED, CORS = (free_port() for _ in range(4))
CONFIG = {
    "listener.api.management": f"127.0.0.1:{DOOR}",
    "listener.api.management.max_body": "64KB",
    "listener.api.short": f"127.0.0.1:{SHORT}",
    "listener.api.short.header_timeout": "3s",
    "listener.api.short.idle_timeout": "3s",
    "listener.api.short.max_connections": "8",
    "listener.api.ruled": f"127.0.0.1:{RULED}",
    "listener.api.ruled.access.1": "deny all",
    "listener.api.mgmt": f"127.0.0.1:{CORS}",
    "listener.api.mgmt.cors_origins": "https://good.example",
}


# -- the host's own ------------------------------------------------------------------------------------------------


def test_status(b):
    """As EMQ says it: Node N is started, martlet is running."""
    got = curl(DOOR, "/status")
    assert got.status == 200 and got.headers["content-type"].startswith("text/plain"), got
    assert got.text == "Node martlet@127.0.0.1 is started\nmartlet is running\n", got.text
    head = curl(DOOR, "/status", "-I")
    assert head.status == 200 and head.body == b"" and head.headers["content-length"] == str(len(got.body)), head
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT", got.headers["date"]), got


def test_status_is_only_read(b):
    for method in ("POST", "DELETE", "OPTIONS"):
        got = curl(DOOR, "/status", "-X", method)
        assert got.status == 405 and got.headers["allow"] == "GET, HEAD", (method, got)


def test_smuggled_requests(b):
    """RFC 9112 §11.2: wherever two readers might see different ends of a body, nothing behind it is answered."""
    loaded(b)
    hidden = b"GET /hello/hidden HTTP/1.1\r\nHost: a\r\n\r\n"
    bodies = [
        (b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", b"0\r\n\r\n"),
        (b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
        (b"Content-Length: 0\r\nContent-Length: 45\r\n", b""), (b"Content-Length: 0, 45\r\n", b""),
        (b"Content-Length: +0\r\n", b""), (b"Content-Length: 0x0\r\n", b""), (b"Content-Length : 0\r\n", b""),
        (b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n"), (b"Transfer-Encoding: chunked, identity\r\n", b"0\r\n\r\n"),
        (b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n"), (b"Transfer-Encoding:\x0bchunked\r\n", b"0\r\n\r\n"),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", b"0\r\n\r\n"),
        (b"X: y\r\n Transfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
        (b"Transfer-Encoding: chunked\r\n", b"fffffffffffffffff0\r\n\r\n"),
        (b"Transfer-Encoding: chunked\r\n", b"0\n\n"), (b"Transfer-Encoding: chunked\r\n", b"-0\r\n\r\n"),
        (b"Transfer-Encoding: chunked\r\n", b"1\r\nXY0\r\n\r\n"),
    ]
    for header, body in bodies:
        got = Raw(DOOR, b"POST /echo HTTP/1.1\r\nHost: a\r\n" + header + b"\r\n" + body + hidden).eof()
        assert b"hidden" not in got and not got.startswith(b"HTTP/1.1 2"), (header, got)


def test_what_is_not_there_is_one_line_of_json(b):
    loaded(b)
    got = curl(DOOR, "/nothing")
    assert got.status == 404 and got.json["code"] == 404, got
    got = curl(DOOR, "/hello/x", "-X", "DELETE")
    assert got.status == 405 and got.headers["allow"] == "GET, HEAD" and got.json["code"] == 405, got
    for bad in ("/a%zz", "/a%00b", "/..%2f..", "/a/../b", "/%ff"):
        assert curl(DOOR, bad).status in (400, 404), bad
    assert curl(DOOR, "/a/../b").status == 400


def test_listeners_shows_and_commands_it(b):
    row = b.listener("api:short")
    assert row["running"] == "true" and row["max_clients"] == "8" and row["current_clients"] == "0", row
    done = b.ctl("listeners", "stop", "api:short")
    assert done.stdout == f"Stop http:api listener on 127.0.0.1:{SHORT} successfully.\n", done
    assert curl(SHORT, "/status").exit == 7
    assert b.listener("api:short")["running"] == "false"
    taken = socket.create_server(("127.0.0.1", SHORT))
    done = b.ctl("listeners", "start", "api:short")
    assert done.returncode == 1 and "another program uses this address" in done.stderr, done
    taken.close()
    assert b.ctl("listeners", "start", "api:short").returncode == 0
    assert curl(SHORT, "/status").status == 200
    done = b.ctl("listeners", "restart", "http:api", str(SHORT))
    assert done.returncode == 0 and curl(SHORT, "/status").status == 200, done


def test_stop_lets_clients_finish(b):
    loaded(b)
    stream = Stream(DOOR, "/events")
    stream.expect(b"first")
    assert b.ctl("listeners", "restart", "api:management").returncode == 0
    assert "sent=1" in b.ctl("http", "event", "still here").stdout
    stream.expect(b"still here")
    assert curl(DOOR, "/status").status == 200
    stream.stop()


def test_access_rules(b):
    got = curl(RULED, "/status")
    assert got.exit in (52, 56) and got.raw == b"", got
    wait_until(lambda: b.ended("api:ruled", "access_denied") >= 1, "its end to be counted")


def test_a_port_in_use_costs_one_door(b):
    """The broker starts all the same, and says which door is closed and how to open it."""
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    other = type(b)(b.tree, {"listener.api.management": f"127.0.0.1:{port}"})
    try:
        other.start()
        other.client(4)
        said = (other.dir / "output").read_text()
        assert f"Listener api:management on 127.0.0.1:{port}: it could not be bound: another program uses this " \
            "address." in said, said
        assert other.listener("api:management")["running"] == "false"
        taken.close()
        assert other.ctl("listeners", "start", "api:management").returncode == 0
        assert curl(port, "/status").status == 200
        assert other.stop() == ""
    finally:
        taken.close()
        other.kill()
        other.remove()


# -- routes and bodies -----------------------------------------------------------------------------------------------


def test_parameters_query_and_headers(b):
    loaded(b)
    got = curl(DOOR, "/hello/J%C3%B6rg%20a%2Fb?x=1&loud=yes", "-H", "X-Agent: curl")
    assert got.status == 200 and got.text == "1.0.0 hello Jörg a/b! agent=curl user=\n", got
    assert curl(DOOR, "/hello/a/").status == 200
    assert curl(DOOR, "/hello").status == 404
    assert curl(DOOR, "/hello/a/b").status == 404


def test_head_has_no_body(b):
    """RFC 9110 §9.3.2, and the connection goes on."""
    loaded(b)
    r = Raw(DOOR, b"HEAD /hello/x HTTP/1.1\r\nHost: a\r\n\r\nHEAD /parts HTTP/1.1\r\nHost: a\r\n\r\n")
    got = r.eof()
    assert got.count(b"HTTP/1.") == 2 and b"hello" not in got and b"part\n" not in got, got
    r = Raw(DOOR, b"HEAD /hello/x HTTP/1.1\r\nHost: a\r\n\r\nGET /hello/y HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"hello y" in r.until(b"user=\n")


def test_whole_body_and_its_limit(b):
    loaded(b)
    body = os.urandom(64 << 10)
    got = curl(DOOR, "/echo", "--data-binary", "@-", data=body)
    assert got.status == 200 and got.body == body, got
    got = curl(DOOR, "/echo", "-T", "-", data=body)  # in chunks
    assert got.status == 200 and got.body == body, got
    got = curl(DOOR, "/echo", "--data-binary", "@-", data=body + b"x")
    assert got.status == 413 and got.json["code"] == 413, got
    got = curl(DOOR, "/echo", "-T", "-", "-H", "Expect:", data=body * 20)
    assert got.status == 413 or got.exit in (55, 56), got
    assert curl(DOOR, "/echo", "-X", "PATCH", "-d", "").body == b""


def test_expect_100_continue(b):
    """RFC 9110 §10.1.1: the word comes when the body is wanted, and not when the request is refused."""
    loaded(b)
    head = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    r = Raw(DOOR, head)
    r.until(b"HTTP/1.1 100 Continue\r\n\r\n")
    r.send(b"abc")
    assert r.until(b"abc").count(b"HTTP/1.1 200") == 1
    r = Raw(DOOR, head.replace(b"/echo", b"/secret"))
    assert b"100 Continue" not in r.until(b"401")


def test_expect_what_the_header_decides(b):
    """RFC 9110 §10.1.1: what is refused for its header is refused at once, and HTTP/1.0 knows no such word."""
    loaded(b)
    for path, length in (("echo", 65537), ("upload", (64 << 20) + 1), ("echo", 10**30)):
        head = f"POST /{path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
        got = Raw(DOOR, head.encode()).eof()
        assert got.startswith((b"HTTP/1.1 413", b"HTTP/1.1 400")) and b"100 Continue" not in got, (head, got)
    got = Raw(DOOR, b"GET /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n").eof()
    assert got.startswith(b"HTTP/1.1 200"), got
    got = Raw(DOOR, b"POST /echo HTTP/1.0\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc").eof()
    assert got.startswith(b"HTTP/1.0 200") and got.endswith(b"abc") and b"100 Continue" not in got, got


def test_every_answer_has_its_date(b):
    """RFC 9110 §6.6.1: those of the host, too, when no request or no whole body came."""
    loaded(b)
    for request in (b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
                    b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
                    b"GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"):
        got = Raw(DOOR, request).eof()
        dates = re.findall(rb"\r\n[Dd]ate: \w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT\r\n", got)
        assert got.startswith(b"HTTP/1.1 4") and len(dates) == 1, (request, got)


def test_options_of_the_server(b):
    """RFC 9110 §9.3.7"""
    got = Raw(DOOR, b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").eof()
    assert got.startswith(b"HTTP/1.1 204"), got
    got = Raw(DOOR, b"GET * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").eof()
    assert got.startswith(b"HTTP/1.1 400"), got


def test_streamed_upload(b):
    loaded(b)
    body = os.urandom(5 << 20)
    for words in (("-T", "-"), ("--data-binary", "@-")):
        got = curl(DOOR, "/upload", "-X", "POST", *words, data=body)
        assert got.status == 200 and got.text.split()[0] == str(len(body)), got
    total = 0
    for byte in body:
        total = (total * 31 + byte) & 0xFFFFFFFFFFFFFFFF
    assert got.text.split()[1] == str(total), got


def test_headers_cannot_be_forged(b):
    loaded(b)
    got = curl(DOOR, "/bad", "-X", "POST", "-d", "")
    assert got.status == 204 and "set-cookie" not in got.headers and got.body == b"", got


def test_pipelining_keeps_the_order(b):
    """RFC 9112 §9.3.2"""
    loaded(b)
    many = b"".join(b"GET /hello/n%d HTTP/1.1\r\nHost: a\r\n\r\n" % n for n in range(50))
    got = Raw(DOOR, many + b"GET /status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").eof()
    assert [int(n) for n in re.findall(rb"hello n(\d+)", got)] == list(range(50)), got[-500:]
    assert got.endswith(b"running\n")


def test_http_1_0(b):
    """Answered without chunks; the end of the connection is the end of the answer."""
    loaded(b)
    got = Raw(DOOR, b"GET /parts HTTP/1.0\r\n\r\n").eof()
    assert got.startswith(b"HTTP/1.0 200") and got.endswith(b"\r\n\r\npart\npart\npart\n"), got
    assert b"chunked" not in got
    got = Raw(DOOR, b"GET /hello/x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").eof()
    assert b"hello x" in got and b"connection: close" in got.lower(), got


def test_wrong_requests(b):
    """RFC 9112 §3.2, §6.3 and what is no HTTP at all: 400, 431, 505, and the connection ends."""
    wrong = {
        b"GET / HTTP/1.1\r\n\r\n": 400, b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n": 400,
        b"\x10\x0c\0\x04MQTT\n\n": 400,
        b"GET / HTTP/1.1\r\nHost: a\r\nX Y: 1\r\n\r\n": 400,
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx": 400,
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": 400,
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n": 501,
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\nabc": 501,
        b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n": 400, b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n": 400,
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 20000 + b"\r\n\r\n": 431,
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X%d: y\r\n" % n for n in range(200)) + b"\r\n": 431,
    }
    for request, status in wrong.items():
        got = Raw(DOOR, request).eof()
        assert got.startswith(b"HTTP/1.1 %d" % status), (request[:60], got[:100])
    for host in (b"a.example:8080", b"[::1]:8080", b"127.0.0.1", b""):
        got = Raw(DOOR, b"GET /status HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % host).eof()
        assert got.startswith(b"HTTP/1.1 200"), (host, got)
    got = Raw(DOOR, b"GET /status HTTP/1.1\r\nHost: a\r\n\r\n\x00\x01nonsense\r\n\r\n").eof()
    assert got.startswith(b"HTTP/1.1 200") and b"HTTP/1.1 400" in got, got
    wait_until(lambda: b.ended("api:management", "bad_request") >= len(wrong), "its end to be counted")


def test_restarts_while_clients_come(b):
    """Who is being let in while the listener stops is served or closed, and the broker lives on."""
    done, served = threading.Event(), []

    def come():
        while not done.is_set():
            try:
                got = Raw(CORS, b"GET /status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").eof()
            except ConnectionError:
                continue
            assert got == b"" or got.startswith(b"HTTP/1.1 200") and got.endswith(b"is running\n"), got
            served.append(got)

    threads = [threading.Thread(target=come) for _ in range(6)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(40):
            assert b.ctl("listeners", "restart", "api:mgmt").returncode == 0
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert any(served), "nobody was served"
    wait_until(lambda: b.current("api:mgmt") == 0, "all have gone")
    assert curl(CORS, "/status").status == 200


def test_clients_that_reset_at_once(b):
    """Nobody denied them anything: they are counted as what they are."""
    wait_until(lambda: b.current("api:mgmt") == 0, "all have gone")
    before = b.listener("api:mgmt")["shutdown_count"]
    for _ in range(200):
        with socket.create_connection(("127.0.0.1", CORS), DEADLINE) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert curl(CORS, "/status").status == 200
    wait_until(lambda: b.ended("api:mgmt") >= sum(before.values()) + 201, "all are counted")
    after = b.listener("api:mgmt")["shutdown_count"]
    assert after.get("access_denied", 0) == before.get("access_denied", 0), (before, after)
    assert after["socket_error"] > before.get("socket_error", 0), (before, after)


# -- who may ----------------------------------------------------------------------------------------------------------


def test_credentials(b):
    """RFC 7617, RFC 6750"""
    loaded(b)
    got = curl(DOOR, "/basic/x")
    assert got.status == 401 and got.headers["www-authenticate"].startswith('Basic realm="martlet"'), got
    assert "user=anna\n" in curl(DOOR, "/basic/x", "-u", "anna:secret").text
    assert curl(DOOR, "/basic/x", "-u", "anna:wrong").status == 401
    assert curl(DOOR, "/basic/x", "-u", "nobody:x").status == 401
    assert curl(DOOR, "/basic/x", "-u", "broken:x").status == 503
    assert curl(DOOR, "/basic/x", "-H", "Authorization: Bearer token").status == 401
    assert "user=robot\n" in curl(DOOR, "/bearer/x", "-H", "Authorization: Bearer token").text
    assert curl(DOOR, "/bearer/x", "-H", "Authorization: Bearer to").status == 401
    both = curl(DOOR, "/any/x")
    assert [v.split()[0] for k, v in both.fields if k == "www-authenticate"] == ["Basic", "Bearer"], both
    assert "user=anna\n" in curl(DOOR, "/any/x", "-u", "anna:secret").text


def test_no_provider_no_entry(b):
    loaded(b, "AUTHENTICATE=0")
    assert curl(DOOR, "/basic/x", "-u", "anna:secret").status == 401
    assert curl(DOOR, "/hello/x").status == 200


def test_a_verdict_that_comes_later(b):
    loaded(b)
    stream = Stream(DOOR, "/basic/x", "-u", "late:x")
    wait_until(lambda: "first=0\nsecond=-12" in b.ctl("http", "judge").stdout, "a verdict")
    stream.expect(b"user=late")


def test_refused_before_the_body(b):
    """Nobody's body is collected who may not send one."""
    loaded(b)
    r = Raw(DOOR, b"POST /secret HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n")
    assert b"401" in r.until(b"HTTP/1.1")[:20] or b"401" in r.until(b"401")


def test_failures_are_limited_by_address(b):
    loaded(b)
    for _ in range(12):
        got = curl(DOOR, "/basic/x", "-u", "anna:guess")
    assert got.status == 429 and 0 < int(got.headers["retry-after"]) <= 60, got
    assert curl(DOOR, "/basic/x", "-u", "anna:secret").status == 429
    assert curl(DOOR, "/hello/x").status == 200
    metrics = dict(re.findall(r"(http/\w+) *: (\d+)", b.ctl("broker", "metrics").stdout))
    assert int(metrics["http/auth_failed"]) >= 10 and int(metrics["http/auth_limited"]) >= 3, metrics
    assert int(metrics["http/answers"]) > int(metrics["http/status_4xx"]) >= 13, metrics


def test_cors(b):
    """WHATWG Fetch: preflight and answers; an EMQ user's listener.api.mgmt serves the management routes."""
    loaded(b)
    ask = ("-X", "OPTIONS", "-H", "Access-Control-Request-Method: POST",
           "-H", "Access-Control-Request-Headers: authorization")
    got = curl(CORS, "/secret", *ask, "-H", "Origin: https://good.example")
    assert got.status == 204 and got.headers["access-control-allow-origin"] == "https://good.example", got
    assert got.headers["access-control-allow-methods"] == "POST", got
    assert got.headers["access-control-allow-headers"] == "authorization", got
    got = curl(CORS, "/secret", *ask, "-H", "Origin: https://evil.example")
    assert got.status == 405 and "access-control-allow-origin" not in got.headers, got
    got = curl(CORS, "/hello/x", "-H", "Origin: https://good.example")
    assert got.status == 200 and got.headers["access-control-allow-origin"] == "https://good.example", got
    assert "Origin" in got.headers["vary"], got
    got = curl(DOOR, "/hello/x", "-H", "Origin: https://good.example")
    assert "access-control-allow-origin" not in got.headers, got


# -- slow and many --------------------------------------------------------------------------------------------


def test_headers_that_never_end(b):
    """Slow-loris: many connections that never finish a header; others are served, memory and places are bounded."""
    before, open_ = b.memory(), []
    for n in range(300):
        open_.append(Raw(SHORT, b"GET /status HTTP/1.1\r\nHost: a\r\nX-%d: " % n))
        if n % 50 == 0:
            assert curl(SHORT, "/status").status == 200, n
    # Its eight places, and for a moment those that are being put out of them.
    wait_until(lambda: b.current("api:short") <= 8, lambda: f"eight: {b.current('api:short')}")
    wait_until(lambda: b.current("api:short") == 0, "their end")
    reasons = b.listener("api:short")["shutdown_count"]
    assert reasons["evicted"] + reasons["header_timeout"] >= 290, reasons
    assert b.memory() - before < 16 << 20
    for r in open_:
        r.close()


def test_a_kept_connection_ends(b):
    r = Raw(SHORT, b"GET /status HTTP/1.1\r\nHost: a\r\n\r\n")
    assert r.eof().startswith(b"HTTP/1.1 200")
    wait_until(lambda: b.ended("api:short", "idle_timeout") >= 1, "its end to be counted")


def test_all_places_taken_by_requests(b):
    """Who is being answered keeps its place; one more is turned away and counted."""
    loaded(b)
    streams = [Stream(CORS, "/late") for _ in range(40)] + [Stream(CORS, "/events") for _ in range(24)]
    wait_until(lambda: counts(b)["held"] + counts(b)["streams"] == 64, "64 requests")
    got = curl(CORS, "/status")
    assert got.exit in (52, 56), got
    wait_until(lambda: b.ended("api:mgmt", "maxlimit") >= 1, "its end to be counted")
    b.ctl("http", "answer")
    assert curl(CORS, "/status").status == 200
    for stream in streams:
        stream.stop()
