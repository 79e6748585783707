# SPDX-License-Identifier: Apache-2.0
"""martlet.httpc/1 against web servers that behave well, badly, and not at all."""
import re
import socket
import time

from wire import *
from wire.httpc import *
from wire.webserver import WebServer, make_certificates, tls_context

MARTLET_ONLY = True
PLUGINS = []


def test_statuses_are_responses(b):
    """200, 404 and 500 with headers and body: all of them MARTLET_OK."""
    with WebServer() as web:
        r = fetch(b, web.url("/ok"))
        assert (r.status, r.failure, r.http, r.version, r.body) == (0, WHOLE, 200, 11, "hello"), r
        assert r.headers == {"X-Name": "here", "X-Two": "spaced"}, r
        for code in (404, 500, 204, 418):
            r = fetch(b, web.url(f"/status/{code}"))
            assert (r.status, r.http) == (0, code) and (code == 204 or r.body == f"status {code}"), r


def test_methods_headers_and_body(b):
    """The method, the headers and the body arrive as given; libcurl adds no form type and no Expect."""
    with WebServer() as web:
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            r = fetch(b, web.url("/echo"), "body=some", "header=X-Mine:a b", method=method)
            assert (r.http, r.body) == (200, "some"), r
            assert r.headers["X-Method"] == method and r.headers["X-Mine"] == "a b", r
            assert r.headers["X-Type"] == "none" and r.headers["X-Agent"].startswith("Martlet/"), r
        assert fetch(b, web.url("/echo"), method="POST").length == 0
        assert fetch(b, web.url("/echo"), "header=Content-Type:text/x", method="PUT").headers["X-Type"] == "text/x"
        head = fetch(b, web.url("/status/200"), method="HEAD")
        assert head.http == 200 and head.length == 0, head


def test_megabyte_both_ways(b):
    """A body of 1 MB arrives whole and comes back whole."""
    with WebServer() as web:
        begun = time.monotonic()
        r = fetch(b, web.url("/echo"), "size=1000000", method="POST")
        data = bytes(i * 7 & 255 for i in range(1000000))
        assert (r.http, r.length, r.sum) == (200, 1000000, checksum(data)), r
        assert time.monotonic() - begun < 5, "something waited"


def test_chunked_response_with_trailer(b):
    with WebServer() as web:
        r = fetch(b, web.url("/chunked"))
        assert (r.body, r.headers) == ("one two three", {"X-Trailer": "end"}), r


def test_response_over_the_limit(b):
    """Known from Content-Length, or only found out; a head without end too. One byte less is fine."""
    with WebServer() as web:
        assert fetch(b, web.url("/big/50000"), "max=50000").length == 50000
        assert fetch(b, web.url("/bigchunks/50000"), "max=50000").length == 50000
        for path in ("/big/50001", "/bigchunks/51000"):
            r = fetch(b, web.url(path), "max=50000")
            assert (r.failure, r.length) == (TOO_LARGE, 0) and "longer than 50000 bytes" in r.error, r
        r = fetch(b, web.url("/long-head"))
        assert r.failure == TOO_LARGE and "head" in r.error, r
        assert fetch(b, web.url("/big/1048577")).failure == TOO_LARGE, "1 MiB unless told"


def test_server_that_never_answers(b):
    """The time limit, with a sentence; another request to the same server is not held up."""
    with WebServer() as web:
        loaded(b)
        begun = time.monotonic()
        b.ctl("httpc", "send", "1", "GET", web.url("/never"), "timeout=3000")
        assert fetch(b, web.url("/ok")).body == "hello", "the only one that is over"
        r = collect(b, 1)[0]
        assert 2.9 < time.monotonic() - begun < 10
        assert (r.status, r.failure, r.http) == (-11, TIMEOUT, 0) and "no response within 3000 ms" in r.error, r


def test_nobody_listens(b):
    """Refused at once, and told with the place; the time to connect has a limit of its own."""
    r = fetch(b, f"http://127.0.0.1:{free_port()}/secret?token=1")
    assert (r.status, r.failure) == (-10, CONNECT) and "127.0.0.1" in r.error and "token" not in r.error, r
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(8)]
        for s in fillers:
            s.setblocking(False)
            s.connect_ex(("127.0.0.1", port))
        r = fetch(b, f"http://127.0.0.1:{port}/", "connect=300")
        assert r.failure == TIMEOUT and r.error, r
        for s in fillers:
            s.close()


def test_wrong_names_and_urls(b):
    assert fetch(b, "http://no-such-host.invalid/").failure == RESOLVE
    assert fetch(b, "http://127.0.0.1:99999/").failure == URL
    assert fetch(b, "http://[::1/").failure == URL


def test_connection_closed_in_the_middle(b):
    """Of the response: CLOSED, nothing of it is passed on. Before it: CLOSED. What is no HTTP: PROTOCOL."""
    with WebServer() as web:
        r = fetch(b, web.url("/cut"), "retries=3")
        assert (r.failure, r.length, r.attempts) == (CLOSED, 0, 1), r
        assert fetch(b, web.url("/close")).failure == CLOSED
        r = fetch(b, web.url("/garbage"))
        assert r.failure == PROTOCOL, r


def test_connections_are_used_again(b):
    """500 requests one after the other and 8 at a time make at most 8 connections. RFC 9112 §9.3."""
    with WebServer() as web:
        c = client(b, "name=reuse", "hosts=8", "open=1000")
        responses = send(b, web.url("/ok"), c, count=500)
        assert all(r.http == 200 for r in responses)
        assert len(web.requests) == 500 and 1 <= web.connections <= 8, web.connections
        stats = wait_until(lambda: (s := shown(b, "reuse"))["open"] == 0 and s, "the end of all")
        assert stats["connections"] == web.connections and stats["responses"] == 500 and stats["open"] == 0, stats
        assert 0 < stats["p50"] <= stats["p99"], stats


def test_queue_is_bounded(b):
    """max_open requests are taken, the next is MARTLET_E_BUSY at once and counted; then there is room again."""
    with WebServer() as web:
        c = client(b, "name=bounded", "hosts=2", "open=10")
        before = b.ctl("httpc", "count").stdout
        b.ctl("httpc", "send", "25", "GET", web.url("/held"), c)
        after = b.ctl("httpc", "count").stdout
        counts = [dict(line.split("=") for line in text.splitlines()) for text in (before, after)]
        assert int(counts[1]["accepted"]) - int(counts[0]["accepted"]) == 10, counts
        assert int(counts[1]["busy"]) - int(counts[0]["busy"]) == 15, counts
        stats = wait_until(lambda: (s := shown(b, "bounded"))["queued"] == 8 and s)
        assert stats["open"] == 10 and stats["busy"] == 15, stats
        assert web.connections <= 2
        web.release()
        assert {r.http for r in collect(b, 10)} == {200}
        assert fetch(b, web.url("/ok"), c).http == 200


def test_waiting_counts_against_the_time_limit(b):
    """A request that gets no connection in time fails as one that gets no answer does."""
    with WebServer() as web:
        c = client(b, "name=narrow", "hosts=1")
        b.ctl("httpc", "send", "1", "GET", web.url("/held"), c)
        r = fetch(b, web.url("/ok"), c, "timeout=200")
        assert r.failure == TIMEOUT and "no free connection within 200 ms" in r.error, r
        web.release()
        assert collect(b, 1)[0].http == 200
        assert ("GET", "/ok") not in web.requests


def test_cancel(b):
    """MARTLET_OK: no callback follows. A second time, or too late: MARTLET_E_STALE."""
    with WebServer() as web:
        loaded(b)
        token = b.ctl("httpc", "one", "GET", web.url("/held")).stdout.strip().split("=")[1]
        wait_until(lambda: web.requests)
        assert b.ctl("httpc", "cancel", token).returncode == 0
        assert b.ctl("httpc", "cancel", token).returncode == 1
        web.release()
        assert fetch(b, web.url("/slow/500")).http == 200, "by now the cancelled one would have been answered"
        token = b.ctl("httpc", "one", "GET", web.url("/ok")).stdout.strip().split("=")[1]
        collect(b, 1)
        assert b.ctl("httpc", "cancel", token).returncode == 1


def test_callback_comes_where_the_request_was_made(b):
    """On the loop, or on the control thread: also for a thread of the blocking pool."""
    with WebServer() as web:
        for place, where in (("from=0", 0), ("from=1", 1), ("from=pool", -1)):
            assert fetch(b, web.url("/ok"), place).where == where
        assert fetch(b, web.url("/ok")).where == -1


def test_redirects(b):
    """A response unless asked for; followed, the last one counts; five are enough; a POST is not followed."""
    with WebServer() as web:
        r = fetch(b, web.url("/redirect"))
        assert (r.http, r.body) == (302, "elsewhere"), r
        r = fetch(b, web.url("/redirect"), "follow=1")
        assert (r.http, r.body, r.attempts) == (200, "hello", 1) and "X-Name" in r.headers, r
        assert fetch(b, web.url("/loop"), "follow=1").failure == PROTOCOL
        assert web.requests.count(("GET", "/loop")) == 6
        assert fetch(b, web.url("/redirect"), "follow=1", "body=x", method="POST").http == 302


def test_retry_where_it_is_safe(b):
    """A GET is repeated, a POST only when the plugin says so. RFC 9110 §9.2.2."""
    with WebServer() as web:
        assert fetch(b, web.url("/flaky/1")).failure == CLOSED, "no retries unless asked for"
        r = fetch(b, web.url("/flaky/2"), "retries=3")
        assert (r.http, r.attempts, r.body) == (200, 3, "at last"), r
        r = fetch(b, web.url("/flaky/3"), "retries=3", method="POST")
        assert (r.failure, r.attempts) == (CLOSED, 1), r
        assert web.requests.count(("POST", "/flaky/3")) == 1
        r = fetch(b, web.url("/flaky/3"), "retries=3", "repeat=1", method="POST")
        assert (r.http, r.attempts) == (200, 3), r
    r = fetch(b, f"http://127.0.0.1:{free_port()}/", "retries=2", "body=x", method="POST")
    assert (r.failure, r.attempts) == (CONNECT, 3), "nothing of it was sent: any method may try again"


def test_server_that_comes_back(b):
    """Between two attempts the server starts: the request succeeds."""
    c = client(b, "name=back")
    port = free_port()
    b.ctl("httpc", "send", "1", "GET", f"http://127.0.0.1:{port}/ok", "retries=10", c)
    wait_until(lambda: shown(b, "back")["retries"] > 0)
    with WebServer(port=port):
        r = collect(b, 1)[0]
        assert r.http == 200 and r.attempts > 1, r


def test_kept_connection_that_dies(b):
    """A GET on a connection the server closes just then is sent again; a POST is not, unless the plugin allows it."""
    with WebServer() as web:
        for method, options, outcome in (("GET", (), WHOLE), ("POST", ("body=x",), CLOSED),
                                         ("POST", ("body=x", "repeat=1"), WHOLE), ("POST", (), CLOSED)):
            c = client(b, f"name=dies{len(web.requests)}", "hosts=1")
            del web.requests[:]
            assert fetch(b, web.url("/once"), c, *options, method=method).http == 200
            r = fetch(b, web.url("/once"), c, *options, method=method)
            assert r.failure == outcome, (method, options, r)
            assert len(web.requests) == (3 if outcome == WHOLE else 2), (method, options, web.requests)
            if outcome == CLOSED:
                assert "not sent twice" in r.error, r
            b.ctl("httpc", "close", c.split("=")[1])


def test_tls(b):
    """Verified against the CA that is named; another CA, another name and no CA fail; a switch turns it off."""
    folder = make_certificates(b.dir / "certs")
    with WebServer(context=tls_context(folder)) as web:
        good = client(b, "name=good", f"ca={folder}/ca.pem")
        r = fetch(b, web.url("/ok"), good)
        assert (r.http, r.body) == (200, "hello"), r
        assert fetch(b, web.url("/echo"), good, "size=300000", method="POST").length == 300000
        assert fetch(b, f"https://localhost:{web.port}/ok", good).http == 200
        for options in ((), (client(b, f"ca={folder}/other.pem"),)):
            r = fetch(b, web.url("/ok"), *options, "retries=3")
            assert (r.status, r.failure, r.attempts) == (-5, TLS, 1) and "certificate" in r.error, r
        assert fetch(b, web.url("/ok"), client(b, "any=1")).http == 200
        assert "believes any certificate" in "".join(p.read_text() for p in [b.dir / "output", *b.dir.glob("log/*")])
        r = fetch(b, f"http://127.0.0.1:{web.port}/ok", good)
        assert r.failure in (CLOSED, PROTOCOL), r
        assert len({r[1] for r in web.requests}) == 2


def test_tls_name_must_match(b):
    """The certificate is for localhost and 127.0.0.1, not for 127.0.0.2."""
    folder = make_certificates(b.dir / "certs2")
    with WebServer(host="127.0.0.2", context=tls_context(folder)) as web:
        c = client(b, f"ca={folder}/ca.pem")
        r = fetch(b, web.url("/ok"), c)
        assert r.failure == TLS and not web.requests, r
        b.ctl("httpc", "close", c.split("=")[1])


def test_client_certificate(b):
    """The server wants one: with it, without it. Wrong files fail when the client is made, with their name."""
    folder = make_certificates(b.dir / "certs3")
    with WebServer(context=tls_context(folder, wants_client=True)) as web:
        c = client(b, f"ca={folder}/ca.pem", f"cert={folder}/client.pem", f"key={folder}/client.key")
        assert fetch(b, web.url("/ok"), c).http == 200
        without = client(b, f"ca={folder}/ca.pem")
        assert fetch(b, web.url("/ok"), without).failure in (TLS, CLOSED)
        done = b.ctl("httpc", "client", f"ca={folder}/none.pem")
        assert done.returncode == 1 and f"{folder}/none.pem cannot be read" in done.stderr, done
        done = b.ctl("httpc", "client", f"cert={folder}/client.pem")
        assert done.returncode == 1 and "come together" in done.stderr, done
        for used in (c, without):
            b.ctl("httpc", "close", used.split("=")[1])


def test_clients_are_bounded_and_end(b):
    """16 per plugin; close cancels what is open."""
    with WebServer() as web:
        b.ctl("plugins", "unload", "httpc")
        made = [client(b) for _ in range(16)]
        done = b.ctl("httpc", "client")
        assert done.returncode == 1 and "16 clients are the limit" in done.stderr, done
        b.ctl("httpc", "send", "3", "GET", web.url("/held"), made[0])
        wait_until(lambda: len(web.requests) == 3)
        for one in made:
            assert b.ctl("httpc", "close", one.split("=")[1]).returncode == 0
        assert b.ctl("httpc", "close", made[0].split("=")[1]).returncode == 1
        web.release()
        assert fetch(b, web.url("/slow/500")).http == 200
        assert "called=1\n" in b.ctl("httpc", "count").stdout


def test_wrong_arguments(b):
    """One error code each, and nothing is sent."""
    loaded(b)
    found = dict(line.split("=") for line in b.ctl("httpc", "bad").stdout.splitlines())
    stale = {"client", "cancel", "close"}
    keys = ("size", "scheme", "space", "host", "method", "header", "null", "flags", "client", "fn", "cancel", "close")
    assert {key: int(value) for key, value in found.items()} == {key: -12 if key in stale else -1 for key in keys}
    done = b.ctl("httpc", "send", "1", "GET", "ftp://x/")
    assert done.returncode == 1 and "httpc.request: the URL must begin with http:// or https://" in done.stderr, done


@measures
def test_unload_with_a_hundred_under_way(b):
    """At once, nothing is called any more, nothing stays mapped; the servers' answers find nobody."""
    with WebServer() as web:
        loaded(b)
        b.ctl("httpc", "send", "100", "GET", web.url("/held"), client(b, "hosts=200"))
        b.ctl("httpc", "send", "50", "GET", web.url("/held"), "from=0")
        wait_until(lambda: len(web.requests) >= 100)
        begun = time.monotonic()
        done = b.ctl("plugins", "unload", "httpc")
        # Each of them has ten seconds.
        assert done.returncode == 0 and time.monotonic() - begun < 3, done
        assert "httpc.so" not in b.maps()
        web.release()
        for _ in range(2):
            b.clock()
        b.client(5).quiet()
        stats = b.ctl("broker", "metrics").stdout
        assert int(re.search(r"httpc/cancelled *: (\d+)", stats)[1]) >= 150, stats


def test_metrics(b):
    """Counters go on when the plugin is gone; each kind of failure has its own."""
    def numbers():
        text = b.ctl("broker", "metrics").stdout + b.ctl("broker", "stats").stdout
        return {k: int(v) for k, v in re.findall(r"(httpc/\S+) *: (\d+)", text)}

    with WebServer() as web:
        fetch(b, web.url("/ok"))
        before = numbers()
        fetch(b, web.url("/ok"))
        fetch(b, web.url("/never"), "timeout=50")
        after = numbers()
        assert after["httpc/requests"] - before["httpc/requests"] == 2, (before, after)
        assert after["httpc/responses"] - before["httpc/responses"] == 1, (before, after)
        assert after["httpc/failed/timeout"] - before["httpc/failed/timeout"] == 1
        assert after["httpc/open"] == 0 and after["httpc/queued"] == 0
        b.ctl("plugins", "unload", "httpc")
        assert numbers()["httpc/requests"] == after["httpc/requests"]
