# SPDX-License-Identifier: Apache-2.0
"""A broker of its own for each test script: a scratch directory, a free loopback port, a configuration."""
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections import deque
from pathlib import Path

from .certs import Authority
from .client import Client, DEADLINE
from .waiting import wait_until

CRASH = re.compile(r"Fatal error|AddressSanitizer|ThreadSanitizer|LeakSanitizer|Program crashed|panicked")


# The kernel gives these to nobody who has not asked for them, unless it was told to.
PORTS = range(20_000, int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0]))
reserved = []  # sockets whose names tell the other test processes which ports are spoken for


def free_port():
    """A port that nobody else is given while this process lives, though nothing may listen on it for a while."""
    while True:
        mark = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", random.choice(PORTS) if len(PORTS) > 5000 else 0))
                port = s.getsockname()[1]
                mark.bind(f"\0martlet-wire-port-{port}")
            except OSError:
                mark.close()
                continue
        reserved.append(mark)
        return port


class Broker:
    """A running broker. Subclasses say how to lay out its directory and how to start it."""

    kind = ""

    def __init__(self, config=None, plugins=(), plugin_config=None, wrap=(), transport="tcp"):
        self.config, self.plugins, self.plugin_config, self.wrap = config or {}, plugins, plugin_config or {}, wrap
        self.dir = Path(tempfile.mkdtemp(prefix="mw-"))
        self.process, self.port, self.trace, self.unique, self.test = None, 0, deque(maxlen=40), 0, ""
        self.clients = []
        self.transport, self.door = transport, free_port() if transport != "tcp" else 0
        self.authority = Authority() if transport in ("ssl", "wss") else None

    # -- life -----------------------------------------------------------------------------------------------------

    def start(self):
        """Start and wait until it accepts connections."""
        self.port = self.port or free_port()
        command = self.layout()
        self.output = open(self.dir / "output", "ab")
        self.process = subprocess.Popen([*self.wrap, *command], cwd=self.dir, stdout=self.output, stderr=self.output,
                                        stdin=subprocess.DEVNULL, start_new_session=True)
        wait_until(self.accepts, lambda: f"a broker that accepts connections: {self.tail()}",
                   30 * max(1, DEADLINE / 10))
        self.started()
        return self

    def accepts(self):
        """Whether it accepts connections; that it has ended is a failure."""
        if self.process.poll() is not None:
            raise AssertionError(f"the broker did not start: {self.tail()}")
        try:
            for port in filter(None, (self.port, self.door)):
                socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            return False

    def started(self):
        """What has to be done once it accepts connections."""

    def stop(self):
        """SIGTERM; returns what is wrong with the way it ended, or an empty string."""
        if not self.process:
            return ""
        wrong = self.died()
        if not wrong:
            self.process.terminate()
            try:
                code = self.process.wait(20 * max(1, DEADLINE / 10))
                wrong = "" if code in self.clean_exits else f"SIGTERM ended it with {code}: {self.tail()}"
            except subprocess.TimeoutExpired:
                wrong = "SIGTERM did not end it within 20 s"
        self.kill()
        return wrong or self.crash()

    clean_exits = (0,)

    def kill(self):
        if self.process:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait()
            self.output.close()
            self.process = None

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    def died(self):
        """How the process ended although nobody asked, or an empty string."""
        code = self.process.poll() if self.process else None
        return "" if code is None else f"the broker ended with {code}: {self.tail()}"

    def crash(self):
        """The first line of its output or log that tells of a crash, or an empty string."""
        for path in [self.dir / "output", *self.dir.glob("log/*")]:
            for line in path.read_text(errors="replace").splitlines() if path.is_file() else []:
                if CRASH.search(line):
                    return f"{path.name}: {line.strip()}"
        return ""

    def tail(self):
        path = self.dir / "output"
        return " | ".join(path.read_text(errors="replace").splitlines()[-5:]) if path.exists() else ""

    # -- for tests ----------------------------------------------------------------------------------------------

    def begin(self, test):
        """A new test: fresh names, an empty transcript."""
        self.test, self.unique = re.sub(r"\W", "", test), self.unique + 1
        self.trace.clear()

    def end(self):
        for client in self.clients:
            client.close()
        self.clients.clear()

    def id(self, name="c"):
        """A client identifier no other test uses."""
        return f"{name}{self.unique}"

    def topic(self, name="t"):
        """A topic no other test uses."""
        return f"w{self.unique}/{name}"

    def raw(self, v=4, label="raw", port=None, **more):
        """A TCP connection on which nothing was sent; more: rcvbuf, host, the source address, an
        ssl.SSLContext as tls, and first, what is sent before its handshake."""
        if self.door and not port:
            more.setdefault("web", self.transport in ("ws", "wss"))
            more.setdefault("tls", self.authority and self.authority.context())
        client = Client(port or self.door or self.port, v, self.trace, label, **more)
        self.clients.append(client)
        return client

    def client(self, v, name="c", session_present=None, code=0, client_id=None, **connect):
        """A connected client called name, whose client identifier is id(name)."""
        c = self.raw(v, name)
        return c.connect(self.id(name) if client_id is None else client_id, session_present, code, **connect)

    def visits(self, count=20, **connect):
        """So many clients, one after the other, come, get what they publish, and go. connect: of their CONNECT."""
        for i in range(count):
            c = self.client(4 + i % 2, f"visitor{i}", **connect)
            c.subscribe(self.topic(), 1)
            c.deliver(self.topic(), b"x", 1)
            c.take(self.topic(), b"x")
            c.disconnect()

    def nothing_for(self, subscriber, publisher=None):
        """Nothing is on its way from publisher to subscriber: a marker sent now is what arrives next."""
        self.marks = getattr(self, "marks", 0) + 1
        topic, publisher = f"$marker/{self.marks}", publisher or subscriber
        subscriber.subscribe(topic)
        publisher.publish(topic, b"marker")
        subscriber.expect_publish(topic, b"marker")

    def clear(self, *topics):
        """Remove retained messages."""
        c = self.client(4, f"clear{time.monotonic_ns()}")
        for topic in topics:
            c.deliver(topic, b"", 1, retain=1)
        c.disconnect()

    def clock(self):
        """Returns once a client with a keep alive of 1 s was timed out: the broker's own clock moved on by 1.5 s."""
        self.client(4, f"clock{time.monotonic_ns()}", keepalive=1).expect_eof(60)

    def memory(self):
        """Resident memory in bytes."""
        return self.status_bytes("VmRSS")

    def own_memory(self):
        """Bytes of its own, without files that are mapped."""
        return self.status_bytes("RssAnon")

    def status_bytes(self, name):
        """Always 0 under a sanitizer, which takes a multiple of what the broker takes."""
        if os.environ.get("WIRE_SANITIZED"):
            return 0
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"{name}:\s+(\d+)", text)[1]) * 1024

    def maps(self):
        return Path(f"/proc/{self.process.pid}/maps").read_text()


class Mosquitto(Broker):
    """Debian's mosquitto, to find out whether the tests are right."""

    kind = "mosquitto"

    def layout(self):
        lines = {"allow_anonymous": "true", "max_queued_messages": 0, "sys_interval": 1, **self.config}
        text = f"listener {self.port} 127.0.0.1\n"
        if self.door:
            text += f"listener {self.door} 127.0.0.1\n"
            text += "protocol websockets\n" if self.transport in ("ws", "wss") else ""
            text += f"certfile {self.authority['cert.pem']}\nkeyfile {self.authority['key.pem']}\n" \
                if self.authority else ""
        text += "".join(f"{k} {v}\n" for k, v in lines.items())
        (self.dir / "mosquitto.conf").write_text(text)
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        return [program, "-c", str(self.dir / "mosquitto.conf")]


class Martlet(Broker):
    """A release tree of Martlet, copied so that its etc, data and log are this test's own."""

    kind = "martlet"

    def __init__(self, tree, *args, **more):
        super().__init__(*args, **more)
        self.tree = Path(tree)

    def layout(self):
        if not (self.dir / "bin").exists():
            for name in ("bin", "plugins", "include", "pluginkit"):
                if (self.tree / name).is_dir():
                    shutil.copytree(self.tree / name, self.dir / name, symlinks=True)
            shutil.copytree(self.tree / "etc", self.dir / "etc")
            for name in ("data", "log"):
                (self.dir / name).mkdir()
        self.write_config()
        return [str(self.dir / "bin/martlet-broker")]

    def write_config(self):
        lines = {"listener.tcp.test": f"127.0.0.1:{self.port}", "mqtt.allow_anonymous": "true",
                 "plugins.default": ",".join(self.plugins), **self.config}
        if self.door:
            door = f"listener.{self.transport}.test"
            for key in [key for key in lines if key.startswith("listener.tcp.test.")]:
                lines[key.replace("listener.tcp.test", door, 1)] = lines[key]
            lines[door] = f"127.0.0.1:{self.door}"
            if self.authority:
                lines |= {f"{door}.certfile": self.authority["cert.pem"], f"{door}.keyfile": self.authority["key.pem"]}
        text = "".join(f"{key} = {value}\n" for key, value in lines.items())
        (self.dir / "etc/martlet.conf").write_text(text)
        for name, keys in self.plugin_config.items():
            self.configure_plugin(name, keys)

    def configure_plugin(self, name, keys):
        """Write etc/plugins/NAME.conf."""
        path = self.dir / f"etc/plugins/{name}.conf"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"{key} = {value}\n" for key, value in keys.items()))

    def started(self):
        # Its socket opens after the listeners.
        active = wait_until(lambda: (listed := self.ctl("plugins", "list")).returncode == 0 and listed, "plugins list",
                            20).stdout
        for name in self.plugins:
            if not re.search(rf"Plugin\({name},.*active=true\)", active):
                self.load(name)

    def load(self, name):
        result = self.ctl("plugins", "load", name)
        assert result.returncode == 0, f"plugins load {name}: {result.stderr or result.stdout}"

    def listener(self, name):
        """What `listeners` says about "ws:NAME": a dictionary of text, shutdown_count a dictionary of numbers."""
        text = self.ctl("listeners").stdout
        for part in text.split("listener on ")[1:]:
            rows = dict(re.findall(r"^  (\w+) *: (.*)$", part, re.M))
            if rows["name"] == name:
                counts = re.findall(r"\{(\w+),(\d+)\}", rows["shutdown_count"])
                return {**rows, "shutdown_count": {reason: int(n) for reason, n in counts}}
        raise AssertionError(f"no listener {name} in {text}")

    def lines(self, *words):
        """What a command of martlet_ctl that succeeds prints."""
        done = self.ctl(*words)
        assert done.returncode == 0, f"{words}: {done}"
        return done.stdout.splitlines()

    def metric(self, name):
        """A counter of `broker metrics`."""
        return int(re.search(rf"^{name} *: (\d+)$", self.ctl("broker", "metrics").stdout, re.M)[1])

    def current(self, name):
        """How many connections a listener has."""
        return int(self.listener(name)["current_clients"])

    def ended(self, name, reason=None):
        """How many connections of a listener have ended, for this reason or at all."""
        counts = self.listener(name)["shutdown_count"]
        return counts.get(reason, 0) if reason else sum(counts.values())

    def wait_counted(self, name, reason, count):
        """Until so many connections of a listener have ended for this reason."""

        def counted():
            got = self.ended(name, reason)
            assert got <= count, f"{reason} of {name}: {got}, not {count}"
            return got == count

        wait_until(counted, lambda: f"{count} {reason} of {name}: {self.ended(name, reason)}")

    def wait_ctl_gone(self):
        """Until the broker has closed its ends of martlet_ctl's connections too, after martlet_ctl has gone."""

        def gone():
            lines = Path("/proc/net/unix").read_text().splitlines()
            # One listens.
            return sum(line.endswith(f"{self.dir.name}/data/martlet.sock") for line in lines) == 1

        wait_until(gone, "the end of martlet_ctl's connections")

    def ctl(self, *words, timeout=30):
        """bin/martlet_ctl WORDS: returncode, stdout, stderr."""
        return subprocess.run([str(self.dir / "bin/martlet_ctl"), *words], cwd=self.dir, capture_output=True, text=True,
                              timeout=timeout, stdin=subprocess.DEVNULL)
