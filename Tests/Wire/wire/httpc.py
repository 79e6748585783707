# SPDX-License-Identifier: Apache-2.0
"""Tests/PluginABI/httpc.c from outside: requests through a plugin, and what its callbacks were told."""
import re

from .cplugin import compile_plugin
from .waiting import wait_until

LINE = re.compile(r"status=(-?\d+) failure=(\d+) http=(\d+) version=(\d+) attempts=(\d+) where=(-?\d+) length=(\d+) "
                  r"sum=(\d+) headers=(.*?) body=(.*?) error=(.*)")
WHOLE, URL, RESOLVE, CONNECT, TLS, TIMEOUT, CLOSED, TOO_LARGE, PROTOCOL = range(9)


class Response:
    def __init__(self, line):
        match = LINE.fullmatch(line)
        assert match, line
        (self.status, self.failure, self.http, self.version, self.attempts, self.where, self.length,
         self.sum) = map(int, match.groups()[:8])
        self.headers = dict(pair.split(":", 1) for pair in match[9].split(";") if pair)
        self.body, self.error = match[10], match[11]

    def __repr__(self):
        return str(vars(self))


def loaded(b):
    if not (b.dir / "plugins/httpc.so").exists():
        compile_plugin(b, "httpc", "httpc", ['ID="httpc"'])
    if b.ctl("httpc", "results").returncode:
        b.load("httpc")


def collect(b, count, seconds=20):
    """The next count results, in the order of their callbacks."""
    found = []

    def more():
        found.extend(Response(line) for line in b.ctl("httpc", "results").stdout.splitlines())
        return len(found) >= count

    wait_until(more, "the results", seconds)
    assert len(found) == count, found
    return found


def send(b, url, *options, method="GET", count=1):
    loaded(b)
    done = b.ctl("httpc", "send", str(count), method, url, *options)
    assert done.returncode == 0, done.stderr
    return collect(b, count)


def fetch(b, url, *options, method="GET"):
    return send(b, url, *options, method=method)[0]


def client(b, *options):
    loaded(b)
    done = b.ctl("httpc", "client", *options)
    assert done.returncode == 0, done.stderr
    return "client=" + done.stdout.strip().split("=")[1]


def shown(b, name):
    """The line of a client in plugins show, as a dictionary."""
    for line in b.ctl("plugins", "show", "httpc").stdout.splitlines():
        if line.startswith(f"httpc {name}"):
            return {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", line)}
    raise AssertionError(f"plugins show names no client {name}")


def checksum(data):
    total = 0
    for byte in data:
        total = (total * 31 + byte) & 0xFFFFFFFF
    return total
