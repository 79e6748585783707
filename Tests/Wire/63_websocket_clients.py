# SPDX-License-Identifier: Apache-2.0
"""paho-mqtt and aiomqtt through WebSocket, where they are installed. WIRE_PYTHON names a Python that has them.
(Debian 12's mosquitto_pub and mosquitto_sub do not speak it.) And haproxy in front."""
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

from wire import *
from wire.ws import *

MARTLET_ONLY = True
PYTHON = os.environ.get("WIRE_PYTHON", sys.executable)
WEB, OTHER, PROXIED = (free_port() for _ in range(3))
CONFIG = {
    "listener.ws.web": f"127.0.0.1:{WEB}",
    "listener.ws.other": f"127.0.0.1:{OTHER}",
    "listener.ws.other.mqtt_path": "/somewhere/else",
    "listener.ws.proxied": f"127.0.0.1:{PROXIED}",
    "listener.ws.proxied.proxy_address_header": "X-Forwarded-For",
}

PAHO = """
    import threading
    import paho.mqtt.client as mqtt
    from paho.mqtt.enums import CallbackAPIVersion
    for version in (mqtt.MQTTv31, mqtt.MQTTv311, mqtt.MQTTv5):
        got, ready, done = [], threading.Event(), threading.Event()
        def on_message(client, userdata, message):
            got.append((message.qos, message.payload))
            if len(got) == 301:
                done.set()
        c = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"paho{version}", protocol=version,
                        transport="websockets")
        if PATH:
            c.ws_set_options(path=PATH)
        c.on_subscribe = lambda *_: ready.set()
        c.on_connect = lambda client, *_: client.subscribe(TOPIC, 2)
        c.on_message = on_message
        c.connect("127.0.0.1", PORT)
        c.loop_start()
        assert ready.wait(20)
        big = bytes(range(256)) * 2000
        sent = [c.publish(TOPIC, f"{qos} {i}", qos) for i in range(100) for qos in (0, 1, 2)]
        sent.append(c.publish(TOPIC, big, 1))
        for one in sent:
            one.wait_for_publish(20)
        assert done.wait(20), len(got)
        for qos in (0, 1, 2):
            mine = [p for q, p in got if q == qos and len(p) < 100]
            assert mine == [f"{qos} {i}".encode() for i in range(100)], mine[:5]
        assert (1, big) in got
        c.disconnect()
        c.loop_stop()
    print("OK")
"""

REFUSED = """
    import paho.mqtt.client as mqtt
    from paho.mqtt.enums import CallbackAPIVersion
    c = mqtt.Client(CallbackAPIVersion.VERSION2, transport="websockets")
    c.ws_set_options(path="/nowhere")
    try:
        c.connect("127.0.0.1", PORT)
    except mqtt.WebsocketConnectionError:
        print("OK")
"""

AIOMQTT = """
    import asyncio, aiomqtt
    async def main():
        for protocol in (aiomqtt.ProtocolVersion.V311, aiomqtt.ProtocolVersion.V5):
            async with aiomqtt.Client("127.0.0.1", PORT, protocol=protocol, transport="websockets",
                                      websocket_path="/mqtt") as c:
                await c.subscribe(TOPIC, qos=2)
                for i in range(12):
                    await c.publish(TOPIC, str(i), qos=i % 3)
                got = []
                async for message in c.messages:
                    got.append(int(message.payload))
                    if len(got) == 12:
                        break
                assert sorted(got) == list(range(12))
    asyncio.run(main())
    print("OK")
"""


def python(b, module, script, port=WEB, path=""):
    if subprocess.run([PYTHON, "-c", f"import {module}"], capture_output=True).returncode:
        raise Skip(f"{module} is not installed for {PYTHON}")
    head = f"PORT, TOPIC, PATH = {port}, {b.topic()!r}, {path!r}\n"
    done = subprocess.run([PYTHON, "-c", head + textwrap.dedent(script)], capture_output=True, text=True, timeout=50)
    assert done.stdout.endswith("OK\n"), f"{done.stdout}{done.stderr}"


def test_paho(b):
    """paho-mqtt in 3.1, 3.1.1 and 5, on the path it takes by itself."""
    python(b, "paho.mqtt.enums", PAHO)


def test_paho_on_a_path(b):
    python(b, "paho.mqtt.enums", PAHO, OTHER, "/somewhere/else")


def test_paho_is_refused_on_another_path(b):
    python(b, "paho.mqtt.enums", REFUSED)
    b.wait_counted("ws:web", "ws_not_found", 1)


def test_aiomqtt(b):
    python(b, "aiomqtt", AIOMQTT)


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
    program = shutil.which("haproxy") or "/usr/sbin/haproxy"
    if not os.access(program, os.X_OK):
        raise Skip("there is no haproxy")
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
    def listens():
        assert proxy.poll() is None, "haproxy ended"
        try:
            plain_socket(port, 1).close()
            return True
        except ConnectionRefusedError:
            return False

    wait_until(listens, "haproxy to listen")
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
