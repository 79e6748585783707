# SPDX-License-Identifier: Apache-2.0
"""HTTP for the tests: curl where a client people use is wanted, plain sockets where its bytes matter."""
import json
import re
import shutil
import socket
import subprocess
import threading

from .client import DEADLINE
from .marks import Skip


class Answer:
    """What curl printed with -i: the last answer's status, headers (names in lower case) and body."""

    def __init__(self, raw, code):
        self.exit, self.raw = code, raw
        head, _, rest = raw.partition(b"\r\n\r\n")
        while re.match(rb"HTTP/[\d.]+ 1\d\d", head):
            head, _, rest = rest.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1]) if " " in lines[0] else 0
        self.fields = [(k.lower(), v.strip()) for k, _, v in (line.partition(":") for line in lines[1:])]
        self.headers, self.body = dict(self.fields), rest

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"exit {self.exit}: {self.raw[:600]!r}"


def curl_command(*words):
    if not shutil.which("curl"):
        raise Skip("there is no curl")
    return ["curl", "-s", "-i", "--max-time", str(max(20, DEADLINE * 2)), *words]


def curl(port, path="/", *words, data=None):
    """curl -i WORDS http://127.0.0.1:PORT/PATH; data: standard input, for -T - or --data-binary @-."""
    done = subprocess.run(curl_command(*words, "--path-as-is", f"http://127.0.0.1:{port}{path}"),
                          input=data, capture_output=True)
    return Answer(done.stdout, done.returncode)


class Stream:
    """curl -N that keeps reading; lines come as they arrive."""

    def __init__(self, port, path, *words, scheme="http"):
        self.process = subprocess.Popen(curl_command("-N", *words, f"{scheme}://127.0.0.1:{port}{path}"),
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.seen, self.more = b"", threading.Condition()
        self.ended = False
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        while chunk := self.process.stdout.read1(65536):
            with self.more:
                self.seen += chunk
                self.more.notify_all()
        with self.more:
            self.ended = True
            self.more.notify_all()

    def expect(self, text):
        """Wait until this has arrived."""
        with self.more:
            found = self.more.wait_for(lambda: text in self.seen or self.ended, max(10, DEADLINE))
            assert found and text in self.seen, f"{text!r} is not in {self.seen[-500:]!r}"

    def expect_end(self):
        """Wait until curl ends; its exit status."""
        with self.more:
            assert self.more.wait_for(lambda: self.ended, max(10, DEADLINE)), self.seen[-300:]
        return self.process.wait(10)

    def stop(self):
        self.process.kill()
        self.process.wait()


class Raw:
    """One TCP connection of plain bytes."""

    def __init__(self, port, send=b""):
        self.socket = socket.create_connection(("127.0.0.1", port), max(10, DEADLINE))
        self.got = bytearray()  # bytes would be copied with each piece
        if send:
            self.send(send)

    def send(self, data):
        self.socket.sendall(data)

    def until(self, text):
        """Read until this is there; returns all that came."""
        while text not in self.got:
            chunk = self.socket.recv(65536)
            assert chunk, f"the connection ended with {self.got[-300:]!r}"
            self.got += chunk
        return self.got

    def eof(self):
        """Read to the end; returns all that came."""
        try:
            while chunk := self.socket.recv(65536):
                self.got += chunk
        except ConnectionResetError:
            pass
        return self.got

    def close(self):
        self.socket.close()
