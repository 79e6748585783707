# SPDX-License-Identifier: Apache-2.0
"""Packets as bytes, exactly as asked, also those no client may send. v is 3 (MQIsdp), 4 (3.1.1) or 5."""
from .props import encode, utf8, varint

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, \
    PINGRESP, DISCONNECT, AUTH = range(1, 16)
NAMES = ["RESERVED", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE", "SUBACK",
         "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH"]


def packet(kind, flags, body=b"", length=None):
    """A fixed header and a body. length replaces the remaining length: a number, or the bytes to put there."""
    if length is None:
        length = len(body)
    head = length if isinstance(length, bytes) else varint(length)
    return bytes([kind << 4 | flags]) + head + body


class Will:
    """The last will of a CONNECT."""

    def __init__(self, topic, payload=b"", qos=0, retain=0, props=None):
        self.topic, self.payload, self.qos, self.retain, self.props = topic, payload, qos, retain, props


def connect(v, client_id="", clean=1, keepalive=60, props=None, will=None, username=None, password=None,
            name=None, level=None, flags=None, payload=None):
    """CONNECT. name, level, flags and payload replace what would follow from the rest."""
    bits = (2 if clean else 0)
    fields = utf8(client_id)
    if will is not None:
        bits |= 4 | will.qos << 3 | (0x20 if will.retain else 0)
        fields += (encode(will.props) if v == 5 else b"") + utf8(will.topic) + utf8(will.payload)
    if username is not None:
        bits |= 0x80
        fields += utf8(username)
    if password is not None:
        bits |= 0x40
        fields += utf8(password)
    body = utf8(name if name is not None else "MQIsdp" if v == 3 else "MQTT")
    body += bytes([v if level is None else level, bits if flags is None else flags]) + keepalive.to_bytes(2, "big")
    if v == 5:
        body += encode(props)
    return packet(CONNECT, 0, body + (fields if payload is None else payload))


def publish(v, topic, payload=b"", qos=0, retain=0, dup=0, pid=None, props=None):
    payload = payload.encode() if isinstance(payload, str) else payload
    body = utf8(topic) + (pid.to_bytes(2, "big") if pid is not None else b"")
    body += (encode(props) if v == 5 else b"") + payload
    return packet(PUBLISH, dup << 3 | qos << 1 | retain, body)


def ack(kind, v, pid, code=None, props=None):
    """PUBACK, PUBREC, PUBREL or PUBCOMP; code and props only in MQTT 5, and left out when None."""
    body = pid.to_bytes(2, "big")
    if v == 5 and (code is not None or props is not None):
        body += bytes([code or 0]) + (encode(props) if props is not None else b"")
    return packet(kind, 2 if kind == PUBREL else 0, body)


def subscribe(v, pid, filters, props=None):
    """filters: pairs of filter and options byte (the QoS alone in 3.1 and 3.1.1)."""
    body = pid.to_bytes(2, "big") + (encode(props) if v == 5 else b"")
    return packet(SUBSCRIBE, 2, body + b"".join(utf8(f) + bytes([o]) for f, o in filters))


def unsubscribe(v, pid, filters, props=None):
    body = pid.to_bytes(2, "big") + (encode(props) if v == 5 else b"")
    return packet(UNSUBSCRIBE, 2, body + b"".join(utf8(f) for f in filters))


def disconnect(v, code=None, props=None):
    body = b""
    if v == 5 and (code is not None or props is not None):
        body = bytes([code or 0]) + (encode(props) if props is not None else b"")
    return packet(DISCONNECT, 0, body)


def auth(code=None, props=None):
    body = b"" if code is None else bytes([code]) + encode(props)
    return packet(AUTH, 0, body)


def pingreq():
    return packet(PINGREQ, 0)


def options(qos=0, no_local=0, retain_as_published=0, retain_handling=0):
    """The subscription options byte of MQTT 5 (§3.8.3.1)."""
    return qos | no_local << 2 | retain_as_published << 3 | retain_handling << 4
