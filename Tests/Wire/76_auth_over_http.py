# SPDX-License-Identifier: Apache-2.0
"""An auth plugin that asks a web server: the client's CONNECT waits for its answer, and nobody else does."""
import json
import re
import select
import subprocess
import sys
import time

from wire import *
from wire.httpc import *
from wire.webserver import WebServer

MARTLET_ONLY = True
PLUGINS = []
CONFIG = {"auth.defer_timeout": "10s"}
RATE, SECONDS = 2000, 3


def asking(b, web):
    loaded(b)
    done = b.ctl("httpc", "auth", web.url("/auth"))
    assert done.returncode == 0, done.stderr


@versions(3, 4, 5)
def test_the_server_decides(b, v):
    """200 allows; 403, a connection that breaks and a server that is not there deny."""
    with WebServer() as web:
        asking(b, web)
        b.client(v, username="good").quiet()
        for user in ("bad", "cut"):
            c = b.raw(v)
            c.hello(f"c-{user}", username=user)
            assert c.expect("CONNACK").code in ((0x86, 0x87) if v == 5 else (4, 5))
            c.expect_eof()
        assert ("GET", "/auth/good") in web.requests
    c = b.raw(v)
    c.hello("late", username="good")
    assert c.expect("CONNACK").code != 0


def test_a_slow_answer_delays_only_its_own_client(b):
    """Fifty clients whose answers do not come yet wait; others, judged by the same server, come in at once."""
    with WebServer() as web:
        asking(b, web)
        slow = [b.raw(5, f"s{i}").hello(f"slow{i}", username=f"held-{i}") for i in range(50)]
        wait_until(lambda: len(web.requests) == 50)
        begun = time.monotonic()
        b.visits(username="good")
        assert time.monotonic() - begun < 5, "they were slowed down"
        assert not select.select([c.sock for c in slow], [], [], 0)[0], "somebody did not wait"
        web.release()
        for c in slow:
            c.expect("CONNACK", code=0)


def test_unload_while_clients_wait(b):
    """Who waits for the server's answer gets the chain's default; nothing of the plugin is left."""
    with WebServer() as web:
        asking(b, web)
        waiting = [b.raw(5, f"w{i}").hello(f"w{i}", username=f"slow-1000-{i}") for i in range(40)]
        wait_until(lambda: len(web.requests) == 40)
        done = b.ctl("plugins", "unload", "httpc")
        assert done.returncode == 0, done
        for c in waiting:
            p = c.packet()
            assert p is None or p.name == "CONNACK", p
        assert "httpc.so" not in b.maps()
        b.client(5).quiet()


def test_reload_while_clients_wait(b):
    """The old image still gives the answers it owes."""
    with WebServer() as web:
        asking(b, web)
        waiting = [b.raw(5, f"r{i}").hello(f"r{i}", username=f"slow-300-{i}") for i in range(40)]
        wait_until(lambda: len(web.requests) == 40)
        done = b.ctl("plugins", "reload", "httpc")
        assert done.returncode == 0, done
        for c in waiting:
            c.expect("CONNACK", code=0)


def over(process, seconds):
    """Whether a process has ended by then."""
    try:
        return process.wait(seconds) is not None
    except subprocess.TimeoutExpired:
        return False


@measures
@limit(120)
def test_two_thousand_connects_a_second(b):
    """Each of them asks the web server. Printed: what they waited, and what a client that is connected noticed."""
    if not (b.dir / "bin/martlet_bench").exists():
        raise Skip("there is no martlet_bench")
    with WebServer() as web:
        asking(b, web)
        witness = b.client(5, "witness", username="good")
        command = [str(b.dir / "bin/martlet_bench"), "conn", "-p", str(b.port), "-u", "good", "--count",
                   str(RATE * SECONDS), "--clients", "0", "--parallel", "100", "--json", "--quiet"]
        load = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        pings = []
        while not over(load, 0.002):
            begun = time.monotonic()
            witness.quiet()
            pings.append(time.monotonic() - begun)
        out, err = load.communicate()
        assert load.returncode == 0, err
        figures = {f["name"]: f["value"] for f in json.loads(out)["figures"]}
        pings.sort()
        stats = shown(b, "auth")
        print(f"auth over HTTP: {figures['connects per second']:.0f} connects/s, p99 "
              f"{figures['connect p99'] / 1000:.1f} ms; the requests p50 {stats['p50'] / 1000:.1f} ms, p99 "
              f"{stats['p99'] / 1000:.1f} ms over {stats['connections']} connections; meanwhile a ping of another "
              f"client p99 {pings[len(pings) * 99 // 100] * 1000:.1f} ms, longest {pings[-1] * 1000:.1f} ms",
              file=sys.stderr)
        assert stats["responses"] >= RATE * SECONDS and stats["failed"] == 0 and stats["busy"] == 0, stats
        assert stats["connections"] <= 64, stats
        shows = b.ctl("plugins", "show", "httpc").stdout
        # One that lost its core in the middle counts as slow.
        assert int(re.search(r"slow_callbacks *: (\d+)", shows)[1]) * 100 <= stats["responses"], shows
