# SPDX-License-Identifier: Apache-2.0
"""Sockets that plugins listen on and the broker owns: the echo plugin over TCP and UDP, its limits, and upgrades that
its clients do not notice."""
import os
import re
import socket
import threading
import time

from wire import *
from wire.broker import free_port
from wire.client import DEADLINE
from wire.cplugin import compile_plugin, install, quoted

MARTLET_ONLY = True
PORT = free_port()
PLUGINS = ["echo"]
PLUGIN_CONFIG = {"echo": {"echo.tcp": f"127.0.0.1:{PORT}", "echo.udp": f"127.0.0.1:{PORT}",
                          "echo.max_connections": 2000}}
ID = quoted("ID", "net")
UPGRADES = int(os.environ.get("WIRE_CYCLES", "100"))


def tcp(port=None, rcvbuf=None):
    s = socket.socket()
    if rcvbuf:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
    s.settimeout(DEADLINE)
    s.connect(("127.0.0.1", port or PORT))
    return s


def take(s, count):
    data = bytearray()  # bytes would be copied with each piece
    while len(data) < count:
        more = s.recv(min(65536, count - len(data)))
        assert more, f"the connection ended after {len(data)} of {count} bytes"
        data += more
    return data


def same(s, data):
    s.sendall(data)
    assert take(s, len(data)) == data


def seen(b, what):
    """A number of `martlet_ctl echo`."""
    return int(re.search(rf"{what} *: (\d+)", b.ctl("echo").stdout)[1])


def succeed(b, *words):
    done = b.ctl(*words)
    assert done.returncode == 0, f"{words}: {done}"
    return done.stdout


def test_tcp_and_udp(b):
    """Bytes and datagrams come back, and the listeners are shown."""
    with tcp() as s:
        same(s, b"hello")
        same(s, os.urandom(1 << 20)[:60000])
        shown = b.ctl("listeners").stdout
        assert f"listener on tcp:echo:127.0.0.1:{PORT}\n" in shown and b.current("echo:tcp") == 1, shown
        assert f"tcp=tcp/127.0.0.1:{PORT}/1" in succeed(b, "plugins", "show", "echo")
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        s.settimeout(DEADLINE)
        s.connect(("127.0.0.1", PORT))
        for data in (b"x", b"", os.urandom(60000)):
            s.send(data)
            assert s.recv(65536) == data
    assert f"listener on udp:echo:127.0.0.1:{PORT}\n" in b.ctl("listeners").stdout
    refused = b.ctl("listeners", "stop", "echo:tcp")
    assert refused.returncode, refused
    assert "it starts and stops with the plugin echo." in refused.stderr + refused.stdout, refused


def test_a_flood_of_datagrams(b):
    """What is lost is lost in the kernel or counted; the rest comes back, and the next one passes."""
    before = seen(b, "datagrams")
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        s.settimeout(DEADLINE)
        s.connect(("127.0.0.1", PORT))
        for n in range(20000):
            s.send(b"%d" % n)
        s.send(b"last")
        try:
            while s.recv(100) != b"last":
                pass
        except TimeoutError:
            s.send(b"once more")
            while s.recv(100) != b"once more":
                pass
    assert seen(b, "datagrams") > before


@limit(240)
def test_a_slow_reader_costs_bounded_memory(b):
    """A client that sends and does not read is held back by TCP."""
    with tcp(rcvbuf=4096) as slow, tcp() as other:
        same(other, b"x")
        before = b.memory()
        slow.setblocking(False)
        sent, idle = 0, time.monotonic()
        while time.monotonic() < idle + 0.5 and sent < 200 << 20:
            try:
                sent += slow.send(bytes(65536))
                idle = time.monotonic()
            except BlockingIOError:
                pass
        assert sent < 200 << 20, "nothing held it back"
        grown = b.memory() - before
        assert grown < 8 << 20, f"{grown >> 10} KB for one client that does not read"
        same(other, b"nobody else waits")
        slow.settimeout(DEADLINE)
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        assert take(slow, sent) == bytes(sent)


@limit(120)
def test_two_thousand_idle_connections_and_one_more(b):
    """As many as the limit says, at a price that can be paid; the next is refused."""
    room_for(2000)
    wait_until(lambda: seen(b, "connections") == 0, "the end of earlier tests' connections")
    before = b.memory()
    clients = [tcp() for _ in range(2000)]
    wait_until(lambda: seen(b, "connections") == 2000, "2000 connections")
    grown = b.memory() - before
    assert grown < 2000 * 4096, f"{grown // 2000} bytes for an idle connection"
    with tcp() as s:
        assert s.recv(1) == b""
    wait_until(lambda: b.ended("echo:tcp", "maxlimit") == 1, "its end to be counted")
    for s in clients[::100]:
        same(s, b"still there")
    for s in clients:
        s.close()
    wait_until(lambda: seen(b, "connections") == 0, "the end of all that were closed")


class Talkers:
    """Clients that send and compare, on the connections they began with, until they are stopped."""

    def __init__(self, count, ask):
        self.failed, self.rounds, self.over = [], 0, False
        self.threads = [threading.Thread(target=self.talk, args=(ask, n)) for n in range(count)]
        for t in self.threads:
            t.start()

    def talk(self, ask, n):
        try:
            with ask() as s:
                number = 0
                while not self.over:
                    number += 1
                    same(s, f"{n} {number}\n".encode() * (number % 50 + 1))
                    self.rounds += 1
        except Exception as error:
            self.failed.append(error)

    def stop(self):
        self.over = True
        for t in self.threads:
            t.join()
        assert not self.failed, self.failed


@limit(60 + 2 * UPGRADES)
def test_clients_of_echo_stay_through_upgrades(b):
    """The file changes each time; the connections are the same to the end, and datagrams are answered."""
    image = (b.dir / "plugins/echo.so").read_bytes()
    udp = socket.socket(type=socket.SOCK_DGRAM)
    udp.settimeout(DEADLINE)
    udp.connect(("127.0.0.1", PORT))
    with udp, tcp() as idle:
        same(idle, b"x")
        talkers = Talkers(4, tcp)
        for n in range(UPGRADES):
            if n == 10:
                memory = b.memory()
            (b.dir / "image").write_bytes(image + b"%d" % n)
            install(b.dir / "image", b, "echo")
            succeed(b, "plugins", "reload", "echo")
            udp.send(b"%d" % n)
            assert udp.recv(100) == b"%d" % n
            if n % 10 == 0:
                same(idle, b"round %d" % n)
        talkers.stop()
        same(idle, b"the end")
    assert talkers.rounds > UPGRADES
    if UPGRADES > 10:
        grown = b.memory() - memory
        assert grown < 12 << 20, f"memory grew by {grown >> 10} KB"


@limit(60 + 2 * UPGRADES)
def test_clients_of_a_c_plugin_stay_through_upgrades(b):
    """Each image is another one, and tells its version and what it knows of the connection."""
    images = [compile_plugin(b, "net", "net", [ID, quoted("VERSION", f"{i}.0.0")], b.dir / f"net{i}.so")
              for i in range(5)]
    install(images[0], b, "net")
    b.load("net")
    port = int(re.search(r"tcp=(\d+)", b.ctl("net").stdout)[1])
    with tcp(port) as s:
        lines = s.makefile("rwb", buffering=0)
        for n in range(UPGRADES):
            lines.write(b"half ")
            install(images[(n + 1) % 5], b, "net")
            succeed(b, "plugins", "reload", "net")
            lines.write(b"line\n")
            assert lines.readline() == b"half line\n"
            lines.write(b"lines\n")
            assert lines.readline() == b"%d.0.0 %d\n" % ((n + 1) % 5, 2 * n + 2)
        assert "rebound=1" in b.ctl("net").stdout
    succeed(b, "plugins", "unload", "net")
    assert "net" not in [line.split("/")[-1] for line in b.maps().splitlines()]


def test_a_plugins_connection_becomes_mqtt(b):
    """After its own first line the plugin hands the connection to the broker."""
    compile_plugin(b, "net", "net", [ID])
    b.load("net")
    port = int(re.search(r"tcp=(\d+)", b.ctl("net").stdout)[1])
    sub = b.client(4, "sub")
    sub.subscribe(b.topic(), 1)
    c = b.raw(5, "through", port=port)
    c.sock.sendall(b"mqtt\n")
    assert take(c.sock, 5) == b"mqtt\n"
    c.connect(b.id("through"))
    c.deliver(b.topic(), b"x", 1)
    sub.take(b.topic(), b"x", qos=1)
    assert b.current("net:tcp") == 1
    succeed(b, "plugins", "unload", "net")
    c.deliver(b.topic(), b"y", 1)
    sub.take(b.topic(), b"y", qos=1)


@limit(60)
def test_the_templates_echo(b):
    """In Swift and in C, and their clients stay through an upgrade."""
    for name in ("plugin_template", "plugin_template_c"):
        port = free_port()
        where = f"127.0.0.1:{port}"
        b.configure_plugin(name, {"template.tcp_echo": where, "template.udp_echo": where})
        b.load(name)
        with tcp(port) as s, socket.socket(type=socket.SOCK_DGRAM) as u:
            u.settimeout(DEADLINE)
            u.connect(("127.0.0.1", port))
            for _ in range(3):
                same(s, os.urandom(100_000))
                u.send(b"x")
                assert u.recv(10) == b"x"
                succeed(b, "plugins", "reload", name)
        succeed(b, "plugins", "unload", name)


def test_unload_ends_what_is_open(b):
    """The last test: the plugin goes, and its clients are told by the end of the stream."""
    with tcp() as s:
        same(s, b"x")
        succeed(b, "plugins", "unload", "echo")
        assert s.recv(1) == b""
    try:
        tcp().close()
        raise AssertionError("somebody still listens")
    except ConnectionRefusedError:
        pass
