# SPDX-License-Identifier: Apache-2.0
"""paho-mqtt and aiomqtt through WebSocket, where they are installed, and haproxy in front. (Debian 12's mosquitto_pub
and mosquitto_sub do not speak it.)"""
import subprocess
import tempfile
from pathlib import Path

from wire import *
from wire.people import AIOMQTT, PAHO, python, tool
from wire.ws import *

MARTLET_ONLY = True
WEB, OTHER, PROXIED = (free_port() for _ in range(3))
CONFIG = {
    "listener.ws.web": f"127.0.0.1:{WEB}",
    "listener.ws.other": f"127.0.0.1:{OTHER}",
    "listener.ws.other.mqtt_path": "/somewhere/else",
    "listener.ws.proxied": f"127.0.0.1:{PROXIED}",
    "listener.ws.proxied.proxy_address_header": "X-Forwarded-For",
}

REFUSED = """
    import paho.mqtt.client as mqtt
    from paho.mqtt.enums import CallbackAPIVersion
    c = mqtt.Client(CallbackAPIVersion.VERSION2, transport=TRANSPORT)
    c.ws_set_options(path=PATH)
    try:
        c.connect("127.0.0.1", PORT)
    except mqtt.WebsocketConnectionError:
        print("OK")
"""


def test_paho(b):
    """paho-mqtt in 3.1, 3.1.1 and 5, on the path it takes by itself."""
    python(b, "paho.mqtt.enums", PAHO, WEB, "")


def test_paho_on_a_path(b):
    python(b, "paho.mqtt.enums", PAHO, OTHER, "/somewhere/else")


def test_paho_is_refused_on_another_path(b):
    python(b, "paho.mqtt.enums", REFUSED, WEB, "/nowhere")
    b.wait_counted("ws:web", "ws_not_found", 1)


def test_aiomqtt(b):
    python(b, "aiomqtt", AIOMQTT, WEB, "/mqtt")


HAPROXY = """
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout tunnel 60s
frontend web
  bind 127.0.0.1:{port}
  option forwardfor
  default_backend broker
backend broker
  server martlet 127.0.0.1:{broker}
"""


def test_haproxy_in_front(b):
    """It passes the upgrade on, and what it says of the client is believed: clients keep their own addresses."""
    program = tool("haproxy")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="mw-haproxy-") as folder:
        path = Path(folder, "haproxy.cfg")
        path.write_text(HAPROXY.format(port=port, broker=PROXIED))
        proxy = subprocess.Popen([program, "-db", "-f", str(path)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        try:
            through_haproxy(b, port, proxy)
        finally:
            proxy.terminate()
            proxy.wait(20)


def through_haproxy(b, port, proxy):
    wait_listening(proxy, port)
    clients = []
    for i in range(2, 6):
        c = Client(port, 5, b.trace, f"c{i}", source=f"127.0.0.{i}", web=True)
        b.clients.append(c)
        clients.append(c.connect(b.id(f"c{i}")))
        assert f"peername=127.0.0.{i}:0" in b.ctl("clients", "show", b.id(f"c{i}")).stdout
        c.subscribe(b.topic(), 1)
    payload = bytes(range(256)) * 2000
    clients[0].publish(b.topic(), payload)
    for c in clients:
        c.expect_publish(b.topic(), payload)
    for c in clients:
        c.disconnect()
    # A path of its own answer comes through as well.
    f = Frames(plain_socket(port, DEADLINE), opens=False)
    f.sock.sendall(request(path="/nowhere"))
    while b"\r\n" not in f.buffer:
        assert f.fill()
    assert bytes(f.buffer).startswith(b"HTTP/1.1 404 "), bytes(f.buffer)
