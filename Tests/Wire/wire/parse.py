# SPDX-License-Identifier: Apache-2.0
"""A strict reader of what a broker sends. Whatever the specification forbids a server is a Violation, in every test."""
from . import build
from .props import BINARY, BYTE, NEVER_ZERO, PAIR, REPEATABLE, TABLE, U16, U32, UTF8, VARINT, ZERO_OR_ONE


class Violation(AssertionError):
    """The broker sent something no conformant server sends."""


# The reason codes a server may use, by packet (MQTT 5 §2.4 and the table of each packet).
CODES = {
    "CONNACK": {0, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95, 0x97, 0x99, 0x9A,
                0x9B, 0x9C, 0x9D, 0x9F},
    "PUBACK": {0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99},
    "PUBREC": {0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99},
    "PUBREL": {0, 0x92},
    "PUBCOMP": {0, 0x92},
    "SUBACK": {0, 1, 2, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2},
    "UNSUBACK": {0, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91},
    "DISCONNECT": {0, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97,
                   0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2},
    "AUTH": {0, 0x18},
}
SERVER_SENDS = {"CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBACK", "UNSUBACK", "PINGRESP",
                "DISCONNECT", "AUTH"}


class Reader:
    """Bytes from the front; running out is a violation."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if self.at + count > len(self.data):
            raise Violation("the packet ends in the middle of a field")
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self, size):
        return int.from_bytes(self.take(size), "big")

    def varint(self):
        value, start = 0, self.at
        for shift in (0, 7, 14, 21):
            byte = self.number(1)
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                if byte == 0 and self.at - start > 1:
                    raise Violation("a variable byte integer is longer than it need be")
                return value
        raise Violation("a variable byte integer has five bytes")

    def binary(self):
        return self.take(self.number(2))

    def text(self):
        try:
            text = self.binary().decode("utf-8")
        except UnicodeDecodeError as error:
            raise Violation(f"a string is not UTF-8: {error}") from None
        if "\0" in text:
            raise Violation("a string holds U+0000")
        return text

    def rest(self):
        return self.take(len(self.data) - self.at)

    @property
    def left(self):
        return len(self.data) - self.at


class Packet:
    """One packet from the broker. Fields as attributes: code, codes, pid, topic, payload, qos, retain, dup, props."""

    def __init__(self, raw, v):
        self.raw, self.v, self.props = raw, v, {}
        self.kind, self.flags = raw[0] >> 4, raw[0] & 15
        self.name = build.NAMES[self.kind]

    def __repr__(self):
        hidden = ("raw", "v", "kind", "name", "flags")
        shown = {k: x for k, x in vars(self).items() if k not in hidden and x not in ({}, None)}
        if len(shown.get("payload", b"")) > 60:
            shown["payload"] = shown["payload"][:60] + b"..."
        return self.name + " " + ", ".join(f"{k}={x!r}" for k, x in shown.items())


def properties(reader, where):
    """The property block at the reader: name → value; what may come more than once → list."""
    block = Reader(reader.take(reader.varint()))
    found = {}
    while block.left:
        ident = block.varint()
        if ident not in TABLE:
            raise Violation(f"unknown property 0x{ident:02x} in {where}")
        name, kind, allowed = TABLE[ident]
        if where not in allowed:
            raise Violation(f"property {name} may not appear in {where}")
        value = {BYTE: lambda: block.number(1), U16: lambda: block.number(2), U32: lambda: block.number(4),
                 VARINT: block.varint, UTF8: block.text, BINARY: block.binary,
                 PAIR: lambda: (block.text(), block.text())}[kind]()
        if name in ZERO_OR_ONE and value not in (0, 1) or name in NEVER_ZERO and value == 0:
            raise Violation(f"property {name} is {value} in {where}")
        if name in REPEATABLE or name == "subscription_identifier":
            found.setdefault(name, []).append(value)
        elif name in found:
            raise Violation(f"property {name} twice in {where}")
        else:
            found[name] = value
    return found


def frame(buffer):
    """The first whole packet of the buffer and its length, or None when more bytes are needed."""
    length, at = 0, 1
    while True:
        if at >= len(buffer):
            return None
        byte = buffer[at]
        length |= (byte & 0x7F) << 7 * (at - 1)
        if byte == 0 and at > 1:
            raise Violation("the remaining length is longer than it need be")
        at += 1
        if not byte & 0x80:
            break
        if at > 4:
            raise Violation("the remaining length has five bytes")
    return bytes(buffer[:at + length]) if len(buffer) >= at + length else None


def parse(raw, v):
    """One whole packet, checked against everything a server must observe in protocol version v."""
    p = Packet(raw, v)
    if p.name not in SERVER_SENDS or (p.name == "AUTH" and v != 5):
        raise Violation(f"a server does not send {p.name}: {raw[:40].hex()}")
    start = 2
    while raw[start - 1] & 0x80:
        start += 1
    r = Reader(raw[start:])
    if p.name == "PUBLISH":
        _publish(p, r)
        return p
    if p.flags != (2 if p.name == "PUBREL" else 0):
        raise Violation(f"{p.name} with flags {p.flags}")
    _BODIES[p.name](p, r)
    if r.left:
        raise Violation(f"{r.left} bytes after the end of {p!r}")
    if v == 5 and p.name in CODES:
        for code in getattr(p, "codes", [getattr(p, "code", 0)]):
            if code not in CODES[p.name]:
                raise Violation(f"{p.name} with reason code 0x{code:02x}")
    return p


def _publish(p, r):
    p.dup, p.qos, p.retain = p.flags >> 3, p.flags >> 1 & 3, p.flags & 1
    if p.qos == 3 or (p.qos == 0 and p.dup):
        raise Violation(f"PUBLISH with flags {p.flags}")
    p.topic = r.text()
    p.pid = r.number(2) if p.qos else None
    if p.pid == 0:
        raise Violation("PUBLISH with packet identifier 0")
    if p.v == 5:
        p.props = properties(r, "PUBLISH")
    if "+" in p.topic or "#" in p.topic or not p.topic and "topic_alias" not in p.props:
        raise Violation(f"PUBLISH to the topic {p.topic!r}")
    p.payload = r.rest()


def _connack(p, r):
    flags = r.number(1)
    p.session_present, p.code = flags & 1, r.number(1)
    if flags & 0xFE or (p.v == 3 and flags):
        raise Violation(f"CONNACK with flags {flags}")
    if p.code and p.session_present:
        raise Violation("CONNACK with a code other than 0 and session present")
    if p.v == 5:
        p.props = properties(r, "CONNACK")
    elif p.code > 5:
        raise Violation(f"CONNACK with return code {p.code}")


def _ack(p, r):
    p.pid, p.code = r.number(2), 0
    if p.v == 5 and r.left:
        p.code = r.number(1)
        if r.left:
            p.props = properties(r, p.name)


def _suback(p, r):
    p.pid = r.number(2)
    if p.v == 5:
        p.props = properties(r, p.name)
    p.codes = list(r.rest()) if p.name == "SUBACK" or p.v == 5 else []
    if p.name == "SUBACK" and p.v != 5 and set(p.codes) - {0, 1, 2, 0x80}:
        raise Violation(f"SUBACK with {p.codes}")


def _disconnect(p, r):
    if p.v != 5:
        raise Violation("a server does not send DISCONNECT before MQTT 5")
    p.code = r.number(1) if r.left else 0
    if r.left:
        p.props = properties(r, p.name)
    if "session_expiry_interval" in p.props:
        raise Violation("a server does not send a session expiry interval in DISCONNECT")  # [MQTT-3.14.2-2]


def _auth(p, r):
    p.code = r.number(1) if r.left else 0
    if r.left:
        p.props = properties(r, p.name)


_BODIES = {"CONNACK": _connack, "PUBACK": _ack, "PUBREC": _ack, "PUBREL": _ack, "PUBCOMP": _ack, "SUBACK": _suback,
           "UNSUBACK": _suback, "PINGRESP": lambda p, r: None, "DISCONNECT": _disconnect, "AUTH": _auth}
