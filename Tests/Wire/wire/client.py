# SPDX-License-Identifier: Apache-2.0
"""A raw MQTT client: sends what it is told, reads strictly, waits for packets and never for time."""
import os
import socket
import time
from collections import deque

from . import build, parse
from .marks import Skip
from .parse import Violation
from .ws import WebSocket

DEADLINE = float(os.environ.get("WIRE_TIMEOUT", "10"))  # how long a packet may take before its absence is a failure
ACK_OF = {1: "PUBACK", 2: "PUBREC"}


class Closed(AssertionError):
    """The broker closed the connection while a packet was expected."""


class Client:
    """One network connection. Every packet read is also held against what this client told the broker it accepts."""

    def __init__(self, port, v, trace, label="", rcvbuf=None, source=None, host="127.0.0.1",
                 web=False, tls=None, first=b""):
        self.v, self.trace, self.label, self.tls = v, trace, label, tls
        self.sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(DEADLINE)
        if source:
            self.sock.bind((source, 0))
        self.sock.connect((host, port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if first:
            self.sock.sendall(first)
        if tls:  # an ssl.SSLContext
            self.sock = tls.wrap_socket(self.sock, server_hostname="localhost", suppress_ragged_eofs=False)
        if web:
            self.sock = WebSocket(self.sock)
        self.buffer, self.next_pid, self.connack = bytearray(), 1, None
        self.asked, self.method = {}, None  # the properties of our CONNECT, its authentication method
        self.inflight, self.aliases, self.ended = set(), {}, False
        self.early = deque()  # publishes that arrived while an acknowledgement was awaited

    # -- sending -----------------------------------------------------------------------------------------------

    def send(self, *packets):
        """Bytes as they are, in one write."""
        data = b"".join(packets)
        self.trace.append(f"{self.label} > {build.NAMES[data[0] >> 4] if data else ''} {data[:80].hex(' ')}")
        self.sock.sendall(data)
        return self

    def try_send(self, data):
        """Bytes to a broker that may already have closed; False when it has."""
        try:
            self.sock.sendall(data)
            return True
        except OSError:
            return False

    def close(self):
        """End the connection without DISCONNECT: the network failed, as the broker sees it."""
        self.sock.close()

    def half_close(self):
        """Nothing more will be sent; what the broker says can still be read."""
        if self.tls:
            raise Skip("Python has no half of a TLS connection")
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        """End the connection with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.sock.close()

    # -- reading -----------------------------------------------------------------------------------------------

    def packet(self, timeout=None):
        """The next packet; None when the broker closed the connection. Nothing within the deadline is a failure."""
        return self.early.popleft() if self.early else self._read(timeout)

    def _read(self, timeout=None):
        end = time.monotonic() + (DEADLINE if timeout is None else timeout)
        while True:
            raw = parse.frame(self.buffer)
            if raw:
                del self.buffer[:len(raw)]
                return self._checked(raw)
            left = end - time.monotonic()
            if left <= 0:
                raise AssertionError(f"{self.label}: nothing arrived")
            self.sock.settimeout(left)
            try:
                data = self.sock.recv(1 << 16)
            except TimeoutError:
                continue
            except ConnectionError:
                data = b""
            if not data:
                if self.buffer:
                    begun = bytes(self.buffer[:40]).hex(" ")
                    raise Violation(f"{self.label}: closed in the middle of a packet: {begun}")
                self.trace.append(f"{self.label} < closed")
                return None
            self.buffer += data

    def _checked(self, raw):
        try:
            p = parse.parse(raw, self.v)
        except Violation as error:
            raise Violation(f"{self.label}: {error} in {raw[:80].hex(' ')}") from None
        self.trace.append(f"{self.label} < {p!r}")
        if self.ended:
            raise Violation(f"{self.label}: a packet after DISCONNECT: {p!r}")  # [MQTT-3.14.4-1]
        if self.connack is None and p.name not in ("CONNACK", "AUTH"):
            raise Violation(f"{self.label}: {p!r} before CONNACK")  # [MQTT-3.2.0-1]
        if len(raw) > self.asked.get("maximum_packet_size", len(raw)):
            raise Violation(f"{self.label}: {len(raw)} bytes, more than our maximum packet size")  # [MQTT-3.1.2-24]
        getattr(self, "_saw_" + p.name.lower(), lambda p: None)(p)
        if self.asked.get("request_problem_information") == 0 and p.name not in ("PUBLISH", "CONNACK", "DISCONNECT"):
            if "reason_string" in p.props or "user_property" in p.props:
                raise Violation(f"{self.label}: problem information we did not ask for: {p!r}")  # [MQTT-3.1.2-29]
        return p

    def _saw_connack(self, p):
        if self.connack:
            raise Violation(f"{self.label}: a second CONNACK")  # [MQTT-3.2.0-2]
        self.connack = p
        if p.code == 0 and p.props.get("authentication_method") != self.method:
            raise Violation(f"{self.label}: wrong authentication method: {p!r}")  # [MQTT-4.12.0-5] [MQTT-4.12.0-6]

    def _saw_auth(self, p):
        if self.method is None or p.props.get("authentication_method") != self.method:
            raise Violation(f"{self.label}: AUTH we did not ask for: {p!r}")

    def _saw_disconnect(self, p):
        self.ended = True

    def _saw_publish(self, p):
        if self.v == 5:
            self._resolve_alias(p)
        if not p.qos:
            return
        if p.pid in self.inflight and not p.dup:
            raise Violation(f"{self.label}: packet identifier {p.pid} is in use: {p!r}")  # [MQTT-2.2.1-4]
        self.inflight.add(p.pid)
        if len(self.inflight) > self.asked.get("receive_maximum", 65535):
            raise Violation(f"{self.label}: more in flight than our receive maximum: {p!r}")  # [MQTT-3.3.4-9]

    def _resolve_alias(self, p):
        alias = p.props.get("topic_alias")
        if alias is None:
            return
        if alias > self.asked.get("topic_alias_maximum", 0):
            raise Violation(f"{self.label}: topic alias {alias} is above our maximum")  # [MQTT-3.1.2-26]
        if p.topic:
            self.aliases[alias] = p.topic
        elif alias in self.aliases:
            p.topic = self.aliases[alias]
        else:
            raise Violation(f"{self.label}: topic alias {alias} was never set")

    # -- expecting ---------------------------------------------------------------------------------------------

    def expect(self, name, timeout=None, has=None, without=(), **fields):
        """The next packet is `name` with these fields, the properties of `has` and none of `without`."""
        p = self.packet(timeout)
        if p is None:
            raise Closed(f"{self.label}: closed instead of {name} {fields}")
        wrong = p.name != name or any(getattr(p, field) != value for field, value in fields.items())
        wrong = wrong or any(p.props.get(key) != value for key, value in (has or {}).items())
        if wrong or any(key in p.props for key in without):
            raise AssertionError(f"{self.label}: expected {name} {fields} {has or ''} {without or ''}, got {p!r}")
        return p

    def expect_ack(self, name, pid):
        """The next packet other than PUBLISH is this acknowledgement; the publishes are kept for later."""
        while True:
            p = self._read()
            if p is None:
                raise Closed(f"{self.label}: closed instead of {name} {pid}")
            if p.name != "PUBLISH":
                break
            self.early.append(p)
        assert p.name == name and getattr(p, "pid", None) == pid, f"{self.label}: expected {name} {pid}, got {p!r}"
        return p

    def expect_publish(self, topic=None, payload=None, **more):
        if topic is not None:
            more["topic"] = topic
        if payload is not None:
            more["payload"] = payload.encode() if isinstance(payload, str) else payload
        return self.expect("PUBLISH", **more)

    def expect_eof(self, timeout=None):
        p = self.packet(timeout)
        if p is not None:
            raise AssertionError(f"{self.label}: expected the connection to close, got {p!r}")
        self.sock.close()

    def until_eof(self):
        """Whatever bytes arrive until the broker closes the connection."""
        data, self.buffer = bytes(self.buffer), bytearray()
        self.sock.settimeout(DEADLINE)
        try:
            while more := self.sock.recv(1 << 16):
                data += more
        except ConnectionError:
            pass
        except TimeoutError:
            raise AssertionError(f"{self.label}: the connection stays open; so far {data[:40].hex(' ')!r}") from None
        return data

    def expect_closed(self, *codes, timeout=None):
        """An established connection ends: MQTT 5 with a DISCONNECT that carries one of these codes, before without."""
        if self.v == 5:
            p = self.expect("DISCONNECT", timeout)
            if p.code not in codes:
                raise AssertionError(f"{self.label}: closed with 0x{p.code:02x} and not {[hex(c) for c in codes]}")
        self.expect_eof(timeout)

    def expect_refused(self, *codes):
        """The connection ends before it was established: CONNACK with one of these codes (MQTT 5), or just closed."""
        p = self.packet()
        if p is None:
            return
        if p.name != "CONNACK" or p.code not in codes or self.v != 5:
            raise AssertionError(f"{self.label}: expected to be refused with {[hex(c) for c in codes]}, got {p!r}")
        self.expect_eof()

    def quiet(self):
        """Nothing is on its way: PINGREQ is answered next."""
        self.send(build.pingreq())
        self.expect("PINGRESP")
        return self

    def quiet_or_publish(self):
        """The next PUBLISH, or None when nothing is on its way."""
        self.send(build.pingreq())
        p = self.packet()
        if p.name == "PINGRESP":
            return None
        self.expect_ack("PINGRESP", None)
        return p

    # -- exchanges ---------------------------------------------------------------------------------------------

    def hello(self, client_id="", props=None, **more):
        """Send CONNECT."""
        if isinstance(props, dict):
            self.asked, self.method = props, props.get("authentication_method")
        return self.send(build.connect(self.v, client_id, props=props, **more))

    def connect(self, client_id="", session_present=None, code=0, **more):
        """CONNECT and its CONNACK."""
        self.hello(client_id, **more)
        more = {} if session_present is None else {"session_present": session_present}
        self.expect("CONNACK", code=code, **more)
        return self

    def pid(self):
        self.next_pid += 1
        return self.next_pid - 1

    def subscribe(self, filters, qos=0, props=None, codes=None, **opts):
        """SUBSCRIBE to one filter, or to pairs of filter and options; returns the SUBACK's codes, which come next."""
        if isinstance(filters, str):
            filters = [(filters, build.options(qos, **opts))]
        pid = self.pid()
        self.send(build.subscribe(self.v, pid, filters, props))
        got = self.expect("SUBACK", pid=pid).codes
        if codes is None:
            assert len(got) == len(filters) and max(got) < 0x80, f"{self.label}: SUBACK {got}"
        else:
            assert got == codes, f"{self.label}: SUBACK {got}, expected {codes}"
        return got

    def unsubscribe(self, *filters, codes=None):
        pid = self.pid()
        self.send(build.unsubscribe(self.v, pid, filters))
        got = self.expect("UNSUBACK", pid=pid).codes
        if self.v == 5:
            assert len(got) == len(filters) and codes in (None, got), f"{self.label}: UNSUBACK {got}, expected {codes}"

    def publish(self, topic, payload=b"", qos=0, pid=None, **more):
        """PUBLISH, nothing more; returns its packet identifier."""
        if qos and pid is None:
            pid = self.pid()
        self.send(build.publish(self.v, topic, payload, qos, pid=pid, **more))
        return pid

    def deliver(self, topic, payload=b"", qos=1, codes=(0, 0x10), **more):
        """PUBLISH with its whole handshake; returns the reason code of PUBACK or PUBREC."""
        pid = self.publish(topic, payload, qos, **more)
        if not qos:
            return 0
        p = self.expect_ack(ACK_OF[qos], pid)
        assert p.code in codes, f"{self.label}: {p!r}, expected one of {codes}"
        if qos == 2 and p.code < 0x80:
            self.send(build.ack(build.PUBREL, self.v, pid))
            assert self.expect_ack("PUBCOMP", pid).code == 0
        return p.code

    def ack(self, p, code=None):
        """Acknowledge a PUBLISH, QoS 2 to its end."""
        if p.qos == 1:
            self.send_ack(build.PUBACK, p.pid, code)
        elif p.qos == 2:
            self.send_ack(build.PUBREC, p.pid, code)
            if (code or 0) < 0x80:
                self.expect_ack("PUBREL", p.pid)
                self.send_ack(build.PUBCOMP, p.pid)
        return p

    def send_ack(self, kind, pid, code=None, props=None):
        if kind in (build.PUBACK, build.PUBCOMP) or (code or 0) >= 0x80:
            self.inflight.discard(pid)
        self.send(build.ack(kind, self.v, pid, code, props))

    def take(self, topic=None, payload=None, **more):
        """The next packet is this PUBLISH; acknowledge it."""
        return self.ack(self.expect_publish(topic, payload, **more))

    def disconnect(self, code=None, props=None):
        """DISCONNECT, then wait until the broker has closed: what follows from it has happened."""
        self.send(build.disconnect(self.v, code, props))
        if not self.tls:
            self.half_close()
        self.expect_eof()
