# SPDX-License-Identifier: Apache-2.0
"""HTTP for plugins: answers whole, streamed and late, files, and plugins that come and go meanwhile. martlet.http/1"""
import threading

from wire import *
from wire.cplugin import compile_plugin, install, quoted
from wire.http_plugin import counts, loaded
from wire.web import *

MARTLET_ONLY = True
DOOR, HASTY = (free_port() for _ in range(2))
CONFIG = {
    "listener.api.management": f"127.0.0.1:{DOOR}",
    "listener.api.mgmt": f"127.0.0.1:{HASTY}",
    "listener.api.mgmt.send_timeout": "500ms",
}


# -- answers --------------------------------------------------------------------------------------------------------


def test_streamed_answer(b):
    loaded(b)
    got = curl(DOOR, "/parts")
    assert got.status == 200 and got.text == "part\n" * 3, got


def test_back_pressure(b):
    """martlet.http/1: write answers BUSY while the client takes nothing, and writable calls when there is room."""
    loaded(b)
    before = b.memory()
    r = Raw(DOOR, b"GET /flood/64 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    r.until(b"200 OK")
    wait_until(lambda: counts(b)["busy"] > 0, "a write that had to wait")
    assert b.memory() - before < 32 << 20
    assert curl(DOOR, "/hello/other").status == 200
    total = len(r.eof())
    assert total > 64 << 20, total
    assert counts(b)["writable"] > 10


def test_a_client_that_takes_nothing(b):
    """It is closed after send_timeout, and the plugin told so."""
    loaded(b)
    r = Raw(HASTY, b"GET /flood/64 HTTP/1.1\r\nHost: a\r\n\r\n")
    wait_until(lambda: b.ended("api:mgmt", "send_timeout"), "its end")
    wait_until(lambda: counts(b)["timeouts"] == 1, "the plugin to be told")
    assert len(r.eof()) < 64 << 20


def test_late_answers(b):
    loaded(b)
    streams = [Stream(DOOR, "/late") for _ in range(20)]
    wait_until(lambda: counts(b)["held"] == 20, "20 requests")
    assert "answered=20" in b.ctl("http", "answer").stdout
    for stream in streams:
        assert stream.expect_end() == 0
        stream.expect(b"1.0.0 late")


def test_no_answer_is_504(b):
    loaded(b)
    got = curl(DOOR, "/hurry")
    assert got.status == 504 and got.json["code"] == 504, got
    wait_until(lambda: counts(b)["timeouts"] == 1 and counts(b)["held"] == 0, "the plugin to be told")
    assert "answered=0" in b.ctl("http", "answer").stdout


def test_a_client_that_leaves(b):
    """gone is called, and every further call is stale."""
    loaded(b)
    stream = Stream(DOOR, "/events")
    stream.expect(b"first")
    stream.stop()
    wait_until(lambda: counts(b)["streams"] == 0, "gone")
    assert "sent=0" in b.ctl("http", "event", "x").stdout


def test_requests_of_a_route_are_limited(b):
    loaded(b)
    streams = [Stream(DOOR, "/few") for _ in range(2)]
    wait_until(lambda: counts(b)["held"] == 2, "2 requests")
    got = curl(DOOR, "/few")
    assert got.status == 503 and "retry-after" in got.headers, got
    b.ctl("http", "answer")
    for stream in streams:
        stream.expect(b"late")


def test_server_sent_events(b):
    """WHATWG HTML §9.2: id, event, retry, one data line each."""
    loaded(b)
    stream = Stream(DOOR, "/events")
    stream.expect(b"text/event-stream")
    stream.expect(b"retry: 3000\nid: 1\nevent: hello\ndata: first\ndata: second\n\n")
    b.ctl("http", "event", "one\r\ntwo")
    stream.expect(b"data: one\ndata: two\n\n")
    b.ctl("http", "close")
    assert stream.expect_end() == 0


# -- files ----------------------------------------------------------------------------------------------------------


def test_files_and_caching(b):
    """RFC 9110 §13: ETag, Last-Modified, and 304 for who has it."""
    loaded(b)
    got = curl(DOOR, "/static/page.html")
    assert got.status == 200 and got.text == "<p>page</p>\n", got
    assert got.headers["content-type"] == "text/html; charset=utf-8", got
    assert got.headers["cache-control"] == "public, max-age=60", got
    for header in (f"If-None-Match: {got.headers['etag']}", f"If-None-Match: W/\"x\", {got.headers['etag']}",
                   f"If-Modified-Since: {got.headers['last-modified']}"):
        again = curl(DOOR, "/static/page.html", "-H", header)
        assert again.status == 304 and again.body == b"" and again.headers["etag"] == got.headers["etag"], again
    assert curl(DOOR, "/static/page.html", "-H", 'If-None-Match: "x"').status == 200
    head = curl(DOOR, "/static/page.html", "-I")
    assert head.status == 200 and head.headers["content-length"] == "12" and head.body == b"", head


def test_files_that_changed(b):
    """RFC 9110 §13.1.1, §13.1.4: who wants to go on with what it has is told that the file is another now."""
    loaded(b)
    got = curl(DOOR, "/static/ten.txt")
    tag, date = got.headers["etag"], got.headers["last-modified"]
    for header in (f"If-Match: {tag}", f'If-Match: "x", {tag}', "If-Match: *", f"If-Unmodified-Since: {date}",
                   "If-Unmodified-Since: long ago"):
        again = curl(DOOR, "/static/ten.txt", "-H", header)
        assert again.status == 200 and again.body == b"0123456789", (header, again)
    for header in ('If-Match: "x"', f"If-Match: W/{tag}", "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT",
                   "If-Unmodified-Since: Sunday, 06-Nov-94 08:49:37 GMT"):
        again = curl(DOOR, "/static/ten.txt", "-H", header, "-H", "Range: bytes=2-4")
        assert again.status == 412 and again.json["code"] == 412, (header, again)
        assert "cache-control" not in again.headers and "content-range" not in again.headers, again
    old = "If-Unmodified-Since: Sun Nov  6 08:49:37 1994"
    got = curl(DOOR, "/static/ten.txt", "-H", f"If-Match: {tag}", "-H", old, "-H", f"If-None-Match: {tag}")
    assert got.status == 304, got


def test_ranges(b):
    """RFC 9110 §14"""
    loaded(b)
    for asked, (status, body, place) in {
        "bytes=2-4": (206, b"234", "bytes 2-4/10"), "bytes=7-": (206, b"789", "bytes 7-9/10"),
        "bytes=-2": (206, b"89", "bytes 8-9/10"), "bytes=5-99": (206, b"56789", "bytes 5-9/10"),
        "bytes=4-2": (200, b"0123456789", None), "bytes=0-1,4-5": (200, b"0123456789", None),
        "lines=1-2": (200, b"0123456789", None), "bytes=10-": (416, None, "bytes */10"),
    }.items():
        got = curl(DOOR, "/static/ten.txt", "-H", f"Range: {asked}")
        assert got.status == status and got.headers.get("content-range") == place, (asked, got)
        assert body is None or got.body == body, (asked, got)
    got = curl(DOOR, "/static/ten.txt", "-H", "Range: bytes=2-4", "-H", 'If-Range: "old"')
    assert got.status == 200 and got.body == b"0123456789", got


def test_folders_and_what_is_outside(b):
    folder = loaded(b)
    got = curl(DOOR, "/static/sub")
    assert got.status == 308 and got.headers["location"] == "/static/sub/", got
    assert curl(DOOR, "/static/sub/").text == "<p>index</p>\n"
    assert curl(DOOR, "/static/").status == 404
    for path in ("/static/../../outside.txt", "/static/%2e%2e/outside.txt", "/static/..%2foutside.txt",
                 "/static/%2e%2e%2foutside.txt", "/static//etc/passwd", "/static/.secret", "/static/way-out",
                 "/static/sub/../../../outside.txt", "/static/..\\outside.txt", f"/static/{folder}/../outside.txt"):
        got = curl(DOOR, path)
        assert got.status in (400, 404) and b"outside" != got.body and b"hidden" not in got.body, (path, got)
    got = curl(DOOR, "/static/big.bin")
    assert got.body == (folder / "big.bin").read_bytes()


# -- plugins come and go -----------------------------------------------------------------------------------------------


def test_unload_ends_what_is_open(b):
    loaded(b)
    late, events = [Stream(DOOR, "/late") for _ in range(5)], Stream(DOOR, "/events")
    events.expect(b"first")
    wait_until(lambda: counts(b)["held"] == 5, "5 requests")
    done = b.ctl("plugins", "unload", "http")
    assert done.returncode == 0, done
    for stream in late:
        stream.expect(b"HTTP/1.1 503")
        stream.expect_end()
    assert events.expect_end() == 0
    assert curl(DOOR, "/hello/x").status == 404
    assert curl(DOOR, "/status").status == 200
    assert "libhttp" not in b.maps() and "http.so" not in b.maps()


def test_a_route_is_taken_back(b):
    loaded(b)
    assert curl(DOOR, "/removable/x").status == 200
    assert b.ctl("http", "remove").stdout == "removed=0\nagain=-12\n"
    assert curl(DOOR, "/removable/x").status == 404


def test_reload_without_a_gap(b):
    """Every request is answered by one image or the other; those the old one owed are asked again."""
    loaded(b)
    # Made before: those that are held do not wait for a compiler.
    images = {version: compile_plugin(b, "http", "http", ['ID="http"', quoted("VERSION", version)],
                                      b.dir / f"http{version}.so") for version in ("2.0.0", "3.0.0", "4.0.0")}
    held = [Stream(DOOR, "/late") for _ in range(3)]
    posted = Stream(DOOR, "/late", "-d", "x")
    wait_until(lambda: counts(b)["held"] == 4, "4 requests")
    stop, wrong, versions = threading.Event(), [], set()

    def asker():
        r = Raw(DOOR)
        while not stop.is_set():
            r.got = b""
            r.send(b"GET /hello/x HTTP/1.1\r\nHost: a\r\n\r\n")
            got = r.until(b"user=\n")
            versions.add(got.split(b"\r\n\r\n")[1][:5])
            if b" 200 " not in got:
                wrong.append(got)

    askers = [threading.Thread(target=asker) for _ in range(4)]
    for thread in askers:
        thread.start()
    for version, image in images.items():
        install(image, b, "http")
        done = b.ctl("plugins", "reload", "http")
        assert done.returncode == 0, done
        wait_until(lambda: version.encode() in versions, "the new image answers")
    stop.set()
    for thread in askers:
        thread.join()
    assert not wrong, wrong[:1]
    posted.expect(b"HTTP/1.1 503")
    wait_until(lambda: counts(b)["held"] == 3, "they are asked again")
    b.ctl("http", "answer")
    for stream in held:
        stream.expect(b"4.0.0 late")


def test_load_and_unload_under_requests(b):
    """50 requests in flight all the time: each gets an answer, 200, 404 or 503."""
    loaded(b)
    stop, seen, wrong = threading.Event(), {}, []

    def asker(n):
        while not stop.is_set():
            try:
                r = Raw(DOOR, b"GET /%s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
                        % (b"late" if n % 5 == 0 else b"hello/x"))
                got = r.eof()
                r.close()
                status = int(got.split()[1])
                seen[status] = seen.get(status, 0) + 1
            except (OSError, IndexError) as error:
                wrong.append(error)

    askers = [threading.Thread(target=asker, args=(n,)) for n in range(50)]
    for thread in askers:
        thread.start()
    for n in range(20):
        assert b.ctl("plugins", "unload", "http").returncode == 0
        b.load("http")
    stop.set()
    b.ctl("plugins", "unload", "http")
    for thread in askers:
        thread.join(30)
        assert not thread.is_alive()
    assert not wrong, wrong[:3]
    assert set(seen) <= {200, 404, 503} and seen[200] > 50, seen
