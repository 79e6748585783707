# SPDX-License-Identifier: Apache-2.0
"""The properties of MQTT 5 (§2.2.2.2): name, type, the packets each may appear in."""

BYTE, U16, U32, VARINT, UTF8, BINARY, PAIR = "byte", "u16", "u32", "varint", "utf8", "binary", "pair"

ACKS = {"CONNACK", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBACK", "UNSUBACK", "DISCONNECT", "AUTH"}
EVERYWHERE = ACKS | {"CONNECT", "PUBLISH", "WILL", "SUBSCRIBE", "UNSUBSCRIBE"}

TABLE = {
    0x01: ("payload_format_indicator", BYTE, {"PUBLISH", "WILL"}),
    0x02: ("message_expiry_interval", U32, {"PUBLISH", "WILL"}),
    0x03: ("content_type", UTF8, {"PUBLISH", "WILL"}),
    0x08: ("response_topic", UTF8, {"PUBLISH", "WILL"}),
    0x09: ("correlation_data", BINARY, {"PUBLISH", "WILL"}),
    0x0B: ("subscription_identifier", VARINT, {"PUBLISH", "SUBSCRIBE"}),
    0x11: ("session_expiry_interval", U32, {"CONNECT", "CONNACK", "DISCONNECT"}),
    0x12: ("assigned_client_identifier", UTF8, {"CONNACK"}),
    0x13: ("server_keep_alive", U16, {"CONNACK"}),
    0x15: ("authentication_method", UTF8, {"CONNECT", "CONNACK", "AUTH"}),
    0x16: ("authentication_data", BINARY, {"CONNECT", "CONNACK", "AUTH"}),
    0x17: ("request_problem_information", BYTE, {"CONNECT"}),
    0x18: ("will_delay_interval", U32, {"WILL"}),
    0x19: ("request_response_information", BYTE, {"CONNECT"}),
    0x1A: ("response_information", UTF8, {"CONNACK"}),
    0x1C: ("server_reference", UTF8, {"CONNACK", "DISCONNECT"}),
    0x1F: ("reason_string", UTF8, ACKS),
    0x21: ("receive_maximum", U16, {"CONNECT", "CONNACK"}),
    0x22: ("topic_alias_maximum", U16, {"CONNECT", "CONNACK"}),
    0x23: ("topic_alias", U16, {"PUBLISH"}),
    0x24: ("maximum_qos", BYTE, {"CONNACK"}),
    0x25: ("retain_available", BYTE, {"CONNACK"}),
    0x26: ("user_property", PAIR, EVERYWHERE),
    0x27: ("maximum_packet_size", U32, {"CONNECT", "CONNACK"}),
    0x28: ("wildcard_subscription_available", BYTE, {"CONNACK"}),
    0x29: ("subscription_identifier_available", BYTE, {"CONNACK"}),
    0x2A: ("shared_subscription_available", BYTE, {"CONNACK"}),
}
BY_NAME = {name: (ident, kind) for ident, (name, kind, _) in TABLE.items()}

ZERO_OR_ONE = {
    "payload_format_indicator", "request_problem_information", "request_response_information", "maximum_qos",
    "retain_available", "wildcard_subscription_available", "subscription_identifier_available",
    "shared_subscription_available",
}
NEVER_ZERO = {"receive_maximum", "maximum_packet_size", "topic_alias", "subscription_identifier"}
REPEATABLE = {"user_property"}  # and subscription_identifier, in a PUBLISH only


def varint(value):
    """A Variable Byte Integer in its shortest form (§1.5.5)."""
    out = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)


def utf8(text):
    data = text if isinstance(text, bytes) else text.encode()
    return len(data).to_bytes(2, "big") + data


def one(name, value):
    """One property: its identifier and its value, as bytes."""
    ident, kind = BY_NAME[name]
    if kind == BYTE:
        body = bytes([value])
    elif kind == U16:
        body = value.to_bytes(2, "big")
    elif kind == U32:
        body = value.to_bytes(4, "big")
    elif kind == VARINT:
        body = varint(value)
    elif kind == PAIR:
        body = utf8(value[0]) + utf8(value[1])
    else:
        body = utf8(value)
    return bytes([ident]) + body


def encode(properties):
    """Properties with their length in front. A dict (a list as value repeats the property), or raw bytes."""
    if properties is None:
        return b"\x00"
    if isinstance(properties, bytes):
        return properties
    body = b""
    for name, value in properties.items():
        for each in value if isinstance(value, list) else [value]:
            body += one(name, each)
    return varint(len(body)) + body
