# SPDX-License-Identifier: Apache-2.0
"""The opening handshake of WebSocket: every request gets the HTTP answer it deserves, and its reason is counted."""

from wire import *
from wire.ws import *

MARTLET_ONLY = True
WEB, LAX, ORIGIN, PROXY = (free_port() for _ in range(4))
CONFIG = {
    "node.loops": "2",
    "listener.ws.web": f"127.0.0.1:{WEB}",
    "listener.ws.lax": f"127.0.0.1:{LAX}",
    "listener.ws.lax.verify_protocol_header": "off",
    "listener.ws.lax.mqtt_path": "/other/path",
    "listener.ws.origin": f"127.0.0.1:{ORIGIN}",
    "listener.ws.origin.allowed_origins": "https://a.example, https://b.example:8443",
    "listener.ws.proxy": f"127.0.0.1:{PROXY}",
    "listener.ws.proxy.proxy_address_header": "X-Forwarded-For",
    "listener.ws.proxy.proxy_port_header": "X-Forwarded-Port",
    "listener.ws.proxy.access.1": "deny 192.0.2.66",
}


def opened(port=WEB, protocol="mqtt", **more):
    """The request is accepted, and MQTT works behind it."""
    f = Frames(plain_socket(port, DEADLINE), opens=False)
    f.sock.sendall(request(**more))
    f.expect_open(protocol=protocol)
    f.sock.sendall(frame(BINARY, connect(4, "handshake")))
    assert f.frame() == (BINARY, b"\x20\x02\0\0")
    return f


def refused(b, status, reason, data=None, port=WEB, name="ws:web", body=None, **more):
    """The request gets this answer, the connection ends, and the reason is counted once. Returns the fields."""
    before = b.ended(name, reason)
    f = Frames(plain_socket(port, DEADLINE), opens=False)
    f.sock.sendall(data or request(**more))
    got, fields, text = f.read_answer()
    assert got == f"HTTP/1.1 {status}", (got, more)
    assert text == (body or status[4:]), text
    assert "close" in fields["connection"].split(", ")
    f.sock.close()
    b.wait_counted(name, reason, before + 1)
    return fields


def test_accepted_in_every_spelling(b):
    opened()
    opened(Connection="keep-alive, Upgrade")
    opened(Connection="UPGRADE", Upgrade="WebSocket")
    opened(Connection=None, more=["Connection: keep-alive", "connection:upgrade"])
    opened(Upgrade="h2c, websocket")
    opened(Host="[::1]:8083", more=["Origin: https://any.example", "Cookie: a=b", "X-Empty:"])
    opened(path="/mqtt?token=x")
    opened(path="http://localhost/mqtt")
    opened(more=["Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"])


def test_subprotocols(b):
    """[MQTT-6.0.0-3] [MQTT-6.0.0-4]"""
    opened(Sec_WebSocket_Protocol="chat, mqtt")
    opened(Sec_WebSocket_Protocol="mqttv3.1,mqtt")
    opened(Sec_WebSocket_Protocol=None, more=["Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: mqtt"])
    opened(protocol="mqttv3.1", Sec_WebSocket_Protocol="mqttv3.1")
    opened(protocol="mqttv3.1.1", Sec_WebSocket_Protocol="mqttv3.1.1")
    opened(protocol=None, Sec_WebSocket_Protocol=None, more=["EMQ-WebSocket-Protocol: mqttv3.1.1"])
    for offered in ("chat", None, "", "MQTT", "mqttx"):
        refused(b, "400 Bad Request", "ws_bad_protocol", body="Bad WebSocket Protocol", Sec_WebSocket_Protocol=offered)


def test_subprotocols_where_nobody_asks(b):
    """verify_protocol_header = off"""
    opened(LAX, None, path="/other/path", Sec_WebSocket_Protocol=None)
    opened(LAX, "chat", path="/other/path", Sec_WebSocket_Protocol="chat")
    opened(LAX, "mqtt", path="/other/path", Sec_WebSocket_Protocol="chat, mqtt")


def test_paths(b):
    for path in ("/", "/mqtt/", "/mqttx", "/MQTT", "/mqt", "*", "http://localhost/", "/other/path"):
        refused(b, "404 Not Found", "ws_not_found", path=path)
    refused(b, "404 Not Found", "ws_not_found", port=LAX, name="ws:lax")
    refused(b, "404 Not Found", "ws_not_found", method="POST", path="/", Upgrade=None)


def test_not_an_upgrade(b):
    bad = "400 Bad Request", "ws_bad_request"
    refused(b, *bad, method="POST")
    refused(b, *bad, method="get")
    refused(b, *bad, version="HTTP/1.0")
    refused(b, *bad, version="HTTP/2.0")
    refused(b, *bad, Host=None)
    refused(b, *bad, more=["Host: twice"])
    refused(b, *bad, Upgrade=None)
    refused(b, *bad, Upgrade="h2c")
    refused(b, *bad, Connection=None)
    refused(b, *bad, Connection="keep-alive")
    refused(b, *bad, more=["Content-Length: 3"])
    refused(b, *bad, more=["Transfer-Encoding: chunked"])


def test_keys(b):
    bad = "400 Bad Request", "ws_bad_request"
    for key in (None, "", "AAAA", KEY[:-1], KEY + "=", "*" * 22 + "==", "A" * 24, KEY.replace("=", "A")):
        refused(b, *bad, Sec_WebSocket_Key=key)
    refused(b, *bad, more=[f"Sec-WebSocket-Key: {KEY}"])


def test_an_empty_line_in_front(b):
    """RFC 9112 §2.2: of one the server takes no notice, in pieces or not."""
    for cut in (0, 1, 2, 3):
        f = Frames(plain_socket(WEB, DEADLINE), opens=False)
        data = b"\r\n" + request()
        f.sock.sendall(data[:cut])
        f.sock.sendall(data[cut:] + frame(BINARY, connect(4, "line")))
        f.expect_open(protocol="mqtt")
        assert f.frame() == (BINARY, b"\x20\x02\0\0")
        f.sock.close()
    refused(b, "400 Bad Request", "ws_bad_request", b"\r\n\r\n" + request())


def test_versions(b):
    for version in (None, "8", "7", "0", "14", "x", "13, 8"):
        fields = refused(b, "426 Upgrade Required", "ws_bad_version", Sec_WebSocket_Version=version)
        assert fields["sec-websocket-version"] == "13"
        assert fields["upgrade"] == "websocket" and fields["connection"] == "Upgrade, close", "RFC 9110 §7.8"


def test_malformed_requests(b):
    bad = "400 Bad Request", "ws_bad_request"
    for line in ("no colon", ": no name", "Bad Name: x", "Name : x", "X: a\0b", "X: a\rb", "X: a\nb",
                 "X: a\r\n folded"):
        refused(b, *bad, more=[line])
    for data in (b"GET /mqtt\r\n\r\n", b"GET  /mqtt HTTP/1.1\r\n\r\n", b"GET /mqtt HTTP/1.1 \r\n\r\n",
                 b"\r\n\r\n", b"\r\r", b"\n"):
        refused(b, *bad, data=data)


def test_who_speaks_something_else_is_told_at_once(b):
    """MQTT without WebSocket, and TLS: by the first byte, not after a timeout."""
    for data in (connect(4, "x"), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"):
        refused(b, "400 Bad Request", "ws_bad_request", data=data)


def test_size_of_a_request(b):
    room = 8192 - len(request(more=["X: "]))
    opened(more=["X: " + "x" * room])
    opened(more=[f"X-{i}: {i}" for i in range(300)])
    large = "431 Request Header Fields Too Large", "ws_header_too_large"
    refused(b, *large, more=["X: " + "x" * (room + 1)])
    refused(b, *large, data=b"GET /" + b"x" * 100_000)
    refused(b, *large, more=["X: y"] * 5000)


def test_request_in_single_bytes(b):
    f = Frames(plain_socket(WEB, DEADLINE), opens=False)
    for byte in request():
        f.sock.sendall(bytes([byte]))
    f.expect_open()


def test_frames_right_behind_the_request(b):
    f = Frames(plain_socket(WEB, DEADLINE), opens=False)
    f.sock.sendall(request() + frame(BINARY, connect(5, b.id())) + frame(PING, b"x"))
    f.expect_open()
    # A pong does not wait for what MQTT has to say.
    assert sorted((op, payload[:1]) for op, payload in (f.frame(), f.frame())) == [(BINARY, b"\x20"), (PONG, b"x")]


def test_origins(b):
    def line(origin):
        return [f"Origin: {origin}"]
    opened(ORIGIN)
    opened(ORIGIN, more=line("https://a.example"))
    opened(ORIGIN, more=line("HTTPS://B.example:8443"))
    for origin in ("https://c.example", "http://a.example", "https://a.example.c", "null", ""):
        refused(b, "403 Forbidden", "ws_bad_origin", port=ORIGIN, name="ws:origin", more=line(origin))


def test_client_behind_a_proxy(b):
    """The first address of the field is the client's, for `clients show` and for the access rules."""
    def shown(v, *more):
        f = Frames(plain_socket(PROXY, DEADLINE), more=list(more))
        f.sock.sendall(frame(BINARY, connect(v, b.id())))
        assert f.frame()[1][:1] == b"\x20"
        return b.ctl("clients", "show", b.id()).stdout
    assert "peername=192.0.2.7:4711" in shown(4, "X-Forwarded-For: 192.0.2.7, 10.0.0.1", "X-Forwarded-Port: 4711")
    assert "peername=[2001:db8::7]:0" in shown(5, "x-forwarded-for: 2001:db8::7")
    assert "peername=192.0.2.8:99" in shown(5, "X-Forwarded-For: 192.0.2.8:99")
    assert "peername=127.0.0.1:" in shown(5)
    assert "peername=127.0.0.1:" in shown(5, "X-Forwarded-For: unknown")
    denied = ["X-Forwarded-For: 192.0.2.66, 192.0.2.7"]
    refused(b, "403 Forbidden", "access_denied", port=PROXY, name="ws:proxy", more=denied)
    for text in ("192.0.2", "localhost", "300.1.1.1", "<script>"):
        refused(b, "400 Bad Request", "ws_bad_request", port=PROXY, name="ws:proxy", more=[f"X-Forwarded-For: {text}"])


def test_header_of_a_proxy_nobody_trusts(b):
    f = opened(more=["X-Forwarded-For: 192.0.2.7"])
    assert "peername=127.0.0.1:" in b.ctl("clients", "show", "handshake").stdout
    f.sock.close()


def test_connection_that_ends_in_its_request(b):
    # Those of earlier tests are on their way out.
    wait_until(lambda: b.current("ws:web") == 0, "the end of earlier connections")
    ended = b.ended("ws:web")
    for length in (0, 1, 10, 100):
        sock = plain_socket(WEB, DEADLINE)
        sock.sendall(request()[:length])
        sock.close()
    wait_until(lambda: b.ended("ws:web") >= ended + 4 and b.current("ws:web") == 0, "the end of the connections")
