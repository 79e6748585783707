# SPDX-License-Identifier: Apache-2.0
"""WebSocket from the client's side: requests and frames, right and wrong ones, and a socket that speaks it."""
import base64
import hashlib
import os
import socket

from .parse import Violation

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
REQUEST = {"Host": "localhost", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": KEY,
           "Sec-WebSocket-Version": "13", "Sec-WebSocket-Protocol": "mqtt"}


def request(path="/mqtt", method="GET", version="HTTP/1.1", more=(), **fields):
    """An opening request. fields: values by name with _ for -, None leaves the field out; more: further lines."""
    values = {**REQUEST, **{name.replace("_", "-"): value for name, value in fields.items()}}
    lines = [f"{method} {path} {version}"] + [f"{k}: {v}" for k, v in values.items() if v is not None] + list(more)
    return "\r\n".join(lines + ["", ""]).encode("latin-1")


def accept(key):
    """The proof for this key. RFC 6455 §4.2.2"""
    return base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()


def masked(payload, key):
    if not payload:
        return b""
    long_key = int.from_bytes((key * (len(payload) // 4 + 1))[:len(payload)], "big")
    return (int.from_bytes(payload, "big") ^ long_key).to_bytes(len(payload), "big")


def frame(opcode=BINARY, payload=b"", fin=1, key=b"\x37\xfa\x21\x3d", bits=0, size=None, length=None):
    """A client's frame. size: bytes of the long form of the length (0, 2, 8); length: another than the payload's."""
    length = len(payload) if length is None else length
    size = (0 if length < 126 else 2 if length < 65536 else 8) if size is None else size
    short = {0: length, 2: 126, 8: 127}[size]
    head = bytes([fin << 7 | bits | opcode, (128 if key else 0) | short])
    head += length.to_bytes(size, "big") if size else b""
    return head + (key + masked(payload, key) if key else payload)


def close_frame(code=1000, reason=b""):
    return frame(CLOSE, code.to_bytes(2, "big") + reason)


class Frames:
    """What a server sends, read strictly: its answer first, frames then. sock: connected; more: of request()."""

    def __init__(self, sock, *, opens=True, **more):
        self.sock, self.buffer, self.answer = sock, bytearray(), None
        if opens:
            self.sock.sendall(request(**more))
            self.expect_open()

    def fill(self, count=None):
        """Reads more until there are `count` bytes, or once; False at the end."""
        while True:
            data = self.sock.recv(1 << 16)
            self.buffer += data
            if not data or count is None or len(self.buffer) >= count:
                return bool(data)

    def read_answer(self):
        """(status line, fields by lower-case name, body), the connection read to its end unless it is upgraded."""
        while b"\r\n\r\n" not in self.buffer:
            assert self.fill(), f"closed instead of an answer: {bytes(self.buffer)!r}"
        head, _, rest = bytes(self.buffer).partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        self.buffer = bytearray(rest)
        if lines[0].startswith("HTTP/1.1 101 "):
            return lines[0], fields, ""
        while self.fill():
            pass
        body = bytes(self.buffer).decode()
        if int(fields["content-length"]) != len(body):
            raise Violation(f"a body of {len(body)} bytes, announced: {fields}")
        return lines[0], fields, body

    def expect_open(self, key=KEY, protocol="mqtt"):
        status, fields, body = self.read_answer()
        assert status == "HTTP/1.1 101 Switching Protocols", f"{status} {body}"
        assert fields["upgrade"].lower() == "websocket" and fields["connection"].lower() == "upgrade", fields
        assert fields["sec-websocket-accept"] == accept(key), fields
        assert fields.get("sec-websocket-protocol") == protocol, fields
        assert "sec-websocket-extensions" not in fields, fields
        return self

    def frame(self):
        """(opcode, payload) of the next frame; None when the connection ends."""
        if len(self.buffer) < 2 and not self.fill(2):
            if self.buffer:
                raise Violation("closed in the middle of a frame")
            return None
        first, second = self.buffer[:2]
        if first & 0x70 or not first & 0x80 or second & 0x80:
            raise Violation(f"a server's frame is whole, unmasked and without extension: {self.buffer[:2].hex()}")
        size = {126: 2, 127: 8}.get(second, 0)
        while len(self.buffer) < 2 + size:
            assert self.fill(2 + size), "closed in the middle of a frame"
        length = int.from_bytes(self.buffer[2:2 + size], "big") if size else second
        if size == 2 and length < 126 or size == 8 and length < 65536:
            raise Violation("a length is longer than it need be")
        while len(self.buffer) < 2 + size + length:
            assert self.fill(2 + size + length), "closed in the middle of a frame"
        payload = bytes(self.buffer[2 + size:2 + size + length])
        del self.buffer[:2 + size + length]
        if first & 15 not in (BINARY, CLOSE, PING, PONG):  # [MQTT-6.0.0-1]
            raise Violation(f"opcode {first & 15} from a server")
        return first & 15, payload

    def expect_close(self, code):
        """A close frame with this code (None: with none) comes next, then nothing."""
        got = self.frame()
        assert got and got[0] == CLOSE, f"expected a close frame, got {got}"
        assert got[1][:2] == (b"" if code is None else code.to_bytes(2, "big")), f"closed with {got[1]!r}, not {code}"
        self.expect_end()

    def expect_end(self):
        assert self.frame() is None, "something came after the close frame"
        self.sock.close()


class WebSocket:
    """In the place of a client's socket: what is sent goes out in masked frames, cut in changing ways, and what is
    received is their payload. [MQTT-6.0.0-2]"""

    def __init__(self, sock):
        self.sock, self.sent, self.ended, self.shut = sock, 0, False, False
        self.frames = Frames(sock)

    def sendall(self, data):
        self.sent += 1
        key = os.urandom(4)
        if len(data) < 2 or self.sent % 3 == 0:
            out = frame(BINARY, data, key=key)
        elif self.sent % 3 == 1:
            # Two messages, cut somewhere.
            at = 1 + self.sent * 7 % (len(data) - 1)
            out = frame(BINARY, data[:at], key=key) + frame(BINARY, data[at:])
        else:
            # One message in three fragments, the second one empty, a ping in between.
            at = 1 + self.sent * 5 % (len(data) - 1)
            out = (frame(BINARY, data[:at], fin=0, key=key) + frame(0, b"", fin=0) + frame(PING, b"")
                   + frame(0, data[at:], key=key))
        self.sock.sendall(out)

    def recv(self, size):
        """Payload of the next binary frame, whatever its size; nothing once the server has said goodbye."""
        while not self.ended:
            got = self.frames.frame()
            if got is None and self.shut:
                break
            if got is None:
                raise Violation("the connection ends without a close frame")
            if got[0] == BINARY and got[1]:
                return got[1]
            if got[0] == CLOSE:
                self.ended = True
                try:
                    self.sock.sendall(frame(CLOSE, got[1]))
                except OSError:
                    pass
                if self.frames.frame() is not None:
                    raise Violation("a frame after the close frame")
        return b""

    def settimeout(self, seconds):
        self.sock.settimeout(seconds)

    def setsockopt(self, *more):
        self.sock.setsockopt(*more)

    def shutdown(self, how):
        self.shut = True
        self.sock.shutdown(how)

    def fileno(self):
        return self.sock.fileno()

    def close(self):
        self.sock.close()


def plain_socket(port, seconds, host="127.0.0.1", source=None):
    sock = socket.create_connection((host, port), seconds, source_address=(source, 0) if source else None)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock
