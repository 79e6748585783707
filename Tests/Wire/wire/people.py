# SPDX-License-Identifier: Apache-2.0
"""The clients people use: mosquitto's, and those for Python from PyPI. WIRE_PYTHON names a Python that has them."""
import os
import shutil
import subprocess
import sys
import textwrap

from .marks import Skip

PYTHON = os.environ.get("WIRE_PYTHON", sys.executable)


def tool(name):
    """Where a program is; without it there is no test."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin")
    if not path:
        raise Skip(f"there is no {name}")
    return path


def pub(port, *more, ok=True):
    """mosquitto_pub, which succeeds, or fails when ok is False."""
    done = subprocess.run([tool("mosquitto_pub"), "-p", str(port), *more], capture_output=True, text=True, timeout=30)
    assert (done.returncode == 0) == ok, done
    return done


class Sub:
    """mosquitto_sub -d, ready when it says Subscribed."""

    def __init__(self, port, *more):
        command = [tool("stdbuf"), "-oL", tool("mosquitto_sub"), "-d", "-W", "30", "-p", str(port), *more]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1)
        seen = []
        for line in self.process.stdout:
            seen.append(line)
            if line.startswith("Subscribed"):
                return
        raise AssertionError(f"mosquitto_sub did not subscribe: {seen}")

    def messages(self):
        """What it printed until its -C count was reached."""
        lines = [line.rstrip("\n") for line in self.process.stdout if not line.startswith(("Client ", "Subscribed"))]
        assert self.process.wait(30) == 0, lines
        return lines


def python(b, module, script, port, path=None):
    """Run a script, which prints OK at its end, with PORT, TOPIC, PATH and TRANSPORT.

    path: through WebSocket on that path; "" for the one the client takes by itself."""
    if subprocess.run([PYTHON, "-c", f"import {module}"], capture_output=True).returncode:
        raise Skip(f"{module} is not installed for {PYTHON}")
    transport = "tcp" if path is None else "websockets"
    head = f"PORT, TOPIC, PATH, TRANSPORT = {port}, {b.topic()!r}, {path!r}, {transport!r}\n"
    done = subprocess.run([PYTHON, "-c", head + textwrap.dedent(script)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout.endswith("OK\n"), done.stdout[-500:] + done.stderr[-2000:]


# Every version of MQTT at every QoS, and a message of 512 KB.
PAHO = """
    import threading
    import paho.mqtt.client as mqtt
    from paho.mqtt.enums import CallbackAPIVersion
    for version in (mqtt.MQTTv31, mqtt.MQTTv311, mqtt.MQTTv5):
        got, subscribed, done = [], threading.Event(), threading.Event()
        def on_message(client, _, message):
            got.append((message.payload, message.qos))
            if len(got) == 301:
                done.set()
        c = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"paho{version}", protocol=version, transport=TRANSPORT)
        if PATH:
            c.ws_set_options(path=PATH)
        c.on_subscribe = lambda *_: subscribed.set()
        c.on_connect = lambda client, *_: client.subscribe(TOPIC, 2)
        c.on_message = on_message
        c.connect("127.0.0.1", PORT)
        c.loop_start()
        assert subscribed.wait(20)
        big = bytes(range(256)) * 2000
        sent = [c.publish(TOPIC, f"{qos} {i}", qos) for i in range(100) for qos in (0, 1, 2)]
        sent.append(c.publish(TOPIC, big, 1))
        for one in sent:
            one.wait_for_publish(20)
        assert done.wait(20), len(got)
        for qos in (0, 1, 2):
            mine = [p for p, q in got if q == qos and p != big]
            assert mine == [f"{qos} {i}".encode() for i in range(100)], mine[:5]
        assert (big, 1) in got
        c.disconnect()
        c.loop_stop()
    print("OK")
"""

AIOMQTT = """
    import asyncio, aiomqtt
    async def main():
        for protocol in (aiomqtt.ProtocolVersion.V311, aiomqtt.ProtocolVersion.V5):
            async with aiomqtt.Client("127.0.0.1", PORT, protocol=protocol, transport=TRANSPORT,
                                      websocket_path=PATH or None) as c:
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
