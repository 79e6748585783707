# SPDX-License-Identifier: Apache-2.0
"""A broker in a folder of its own, started under whatever a test wants to do to it."""
import os
import resource
import signal
import subprocess
import time

from .broker import free_port
from .client import DEADLINE, Client
from .waiting import wait_until


class Place:
    """A folder of its own for a broker that uses the programs and plugins of b."""

    def __init__(self, b, name="place", plugins="", **config):
        self.b, self.dir, self.port = b, b.dir / f"{name}{b.unique}", free_port()
        for folder in ("etc/plugins", "data", "log"):
            (self.dir / folder).mkdir(parents=True)
        self.conf = self.dir / "etc/martlet.conf"
        lines = {"listener.tcp.test": f"127.0.0.1:{self.port}", "mqtt.allow_anonymous": "true", "log.to": "both",
                 "plugins.dir": b.dir / "plugins", "plugins.default": plugins}
        lines |= {key.replace("__", "."): value for key, value in config.items()}
        self.conf.write_text("".join(f"{key} = {value}\n" for key, value in lines.items()))
        self.process = None

    def start(self, files=None, size=None, user=None, **more):
        """Limits: open files, size of files. Returns at once."""
        def prepare():
            for what, limit in ((resource.RLIMIT_NOFILE, files), (resource.RLIMIT_FSIZE, size)):
                if limit:
                    resource.setrlimit(what, (limit, limit))
            if user:
                os.setgroups([])
                os.setgid(user)
                os.setuid(user)
        more = {"stdin": subprocess.DEVNULL, "stdout": open(self.dir / "output", "ab"), "cwd": "/",
                "stderr": subprocess.STDOUT, **more}
        command = more.pop("command", [self.b.dir / "bin/martlet-broker"])
        self.process = subprocess.Popen([*self.b.wrap, *command, "--root", self.dir], preexec_fn=prepare,
                                        start_new_session=True, **more)
        return self

    def ready(self):
        """Returns once it answers commands."""
        wait_until(self.answers, lambda: f"an answer: {self.output()}", 3 * DEADLINE)
        return self

    def answers(self):
        assert self.process.poll() is None, f"it ended with {self.process.returncode}: {self.output()}"
        return self.ctl("status").returncode == 0

    def says(self, text):
        """Returns once this stands in its output."""
        wait_until(lambda: text in self.output(), lambda: f"{text!r}: {self.output()}")

    def refuses(self, *words):
        """Ends by itself, with status 1 and one sentence that holds these words."""
        assert self.process.wait(3 * DEADLINE) == 1, f"{self.process.returncode}: {self.output()}"
        last = self.output().splitlines()[-1]
        for word in words:
            assert word in last, f"{word!r} is not in {last!r}"

    def serves(self):
        c = Client(self.port, 5, self.b.trace, "serves").connect(f"serves{time.monotonic_ns()}")
        c.subscribe("still/here", 1)
        c.deliver("still/here", b"x", 1)
        c.take("still/here", b"x", qos=1)
        c.close()
        return self

    def client(self, name, **more):
        return Client(self.port, 5, self.b.trace, name).connect(name, **more)

    def ctl(self, *words):
        where = {**os.environ, "MARTLET_CTL_SOCKET": str(self.dir / "data/martlet.sock")}
        return subprocess.run([self.b.dir / "bin/martlet_ctl", *words], env=where, capture_output=True, text=True,
                              timeout=3 * DEADLINE, stdin=subprocess.DEVNULL)

    def output(self):
        return (self.dir / "output").read_text(errors="replace")

    def end(self, how=signal.SIGTERM):
        """Its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(3 * DEADLINE)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        crash = [line for line in self.output().splitlines() if "Fatal error" in line or "Sanitizer" in line] \
            if (self.dir / "output").exists() else []
        assert kind or not crash, crash
