# SPDX-License-Identifier: Apache-2.0
"""mosquitto_pub, mosquitto_sub and mosquitto_rr, and from PyPI paho-mqtt, aiomqtt and gmqtt where they are installed.
WIRE_PYTHON names a Python that has them."""
import os
import shutil
import subprocess
import sys
import textwrap

from wire import *

PYTHON = os.environ.get("WIRE_PYTHON", sys.executable)
NAMES = {3: "mqttv31", 4: "mqttv311", 5: "mqttv5"}


def tool(name):
    path = shutil.which(name)
    if not path:
        raise Skip(f"there is no {name}")
    return path


class Sub:
    """mosquitto_sub -d, ready when it says Subscribed."""

    def __init__(self, b, v, *more):
        command = [tool("stdbuf"), "-oL", tool("mosquitto_sub"), "-d", "-p", str(b.port), "-V", NAMES[v], "-W", "30"]
        self.process = subprocess.Popen([*command, *more], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        bufsize=1)
        for line in self.process.stdout:
            if line.startswith("Subscribed"):
                return
        raise AssertionError("mosquitto_sub did not subscribe")

    def messages(self):
        """What it printed until its -C count was reached."""
        lines = [line.rstrip("\n") for line in self.process.stdout if not line.startswith(("Client ", "Subscribed"))]
        assert self.process.wait(30) == 0, lines
        return lines


def pub(b, v, *more):
    done = subprocess.run([tool("mosquitto_pub"), "-p", str(b.port), "-V", NAMES[v], *more],
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done


@versions(3, 4, 5)
def test_mosquitto_every_qos(b, v):
    """From each version to this one, at every QoS. 3.1.1: [MQTT-7.0.0-2]: no extension is needed."""
    sub = Sub(b, v, "-t", b.topic("#"), "-q", "2", "-v", "-C", "9")
    for other in (3, 4, 5):
        for qos in (0, 1, 2):
            pub(b, other, "-t", b.topic(f"{other}/{qos}"), "-m", f"{other} {qos}", "-q", str(qos))
    assert sorted(sub.messages()) == sorted(f"{b.topic(f'{o}/{q}')} {o} {q}" for o in (3, 4, 5) for q in (0, 1, 2))


@versions(3, 4, 5)
def test_mosquitto_retained(b, v):
    """Retained, read, removed."""
    pub(b, v, "-t", b.topic(), "-m", "kept", "-r", "-q", "1")
    assert Sub(b, v, "-t", b.topic(), "-C", "1", "-F", "%r %p").messages() == ["1 kept"]
    pub(b, v, "-t", b.topic(), "-n", "-r", "-q", "1")
    c = b.client(4)
    c.subscribe(b.topic())
    c.quiet()


@versions(3, 4, 5)
def test_mosquitto_will(b, v):
    """mosquitto_sub is killed, its will is published."""
    watcher = b.client(4)
    watcher.subscribe(b.topic("will"), 1)
    sub = Sub(b, v, "-t", b.topic(), "--will-topic", b.topic("will"), "--will-payload", "gone", "--will-qos", "1")
    sub.process.kill()
    sub.process.communicate()
    watcher.take(b.topic("will"), b"gone", qos=1)


def test_mosquitto_properties(b):
    """User properties, content type and the rest come through mosquitto's own tools."""
    sub = Sub(b, 5, "-t", b.topic(), "-C", "1", "-F", "%C|%R|%D|%P|%p")
    pub(b, 5, "-t", b.topic(), "-m", "x", "-D", "publish", "content-type", "text/plain", "-D", "publish",
        "response-topic", "r/t", "-D", "publish", "correlation-data", "abc", "-D", "publish", "user-property", "k", "v")
    assert sub.messages() == ["text/plain|r/t|abc|k:v|x"]


def test_mosquitto_rr(b):
    """A request and its answer."""
    server = b.client(5)
    server.subscribe(b.topic("ask"), 1)
    rr = subprocess.Popen([tool("mosquitto_rr"), "-p", str(b.port), "-t", b.topic("ask"), "-e", b.topic("answer"), "-m",
                           "2+2", "-q", "1", "-W", "30"], stdout=subprocess.PIPE, text=True)
    p = server.take(b.topic("ask"), b"2+2")
    same = {key: value for key, value in p.props.items() if key == "correlation_data"}
    server.deliver(p.props["response_topic"], b"4", 1, props=same)
    assert rr.communicate(timeout=30)[0] == "4\n" and rr.returncode == 0


@versions(4, 5)
def test_mosquitto_durable_session(b, v):
    """mosquitto_sub -c goes and comes back."""
    more = ("-i", b.id(), "-c", "-q", "1", "-t", b.topic(), *(("-x", "60") if v == 5 else ()))
    Sub(b, v, *more, "-E").process.communicate(timeout=30)
    for i in range(20):
        pub(b, v, "-t", b.topic(), "-m", str(i), "-q", "1")
    done = subprocess.run([tool("mosquitto_sub"), "-p", str(b.port), "-V", NAMES[v], *more, "-C", "20", "-W", "30"],
                          capture_output=True, text=True, timeout=40)
    assert done.stdout.split() == [str(i) for i in range(20)], done


def python(b, needs, source):
    """Run source with PYTHON; it prints OK at its end."""
    if subprocess.run([PYTHON, "-c", f"import {needs}"], capture_output=True).returncode:
        raise Skip(f"{needs} is not installed")
    text = f"PORT = {b.port}\nTOPIC = {b.topic()!r}\n" + textwrap.dedent(source)
    done = subprocess.run([PYTHON, "-c", text], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout.endswith("OK\n"), done.stdout[-500:] + done.stderr[-2000:]


PAHO = """
    import threading
    import paho.mqtt.client as mqtt
    from paho.mqtt.enums import CallbackAPIVersion
    for version in (mqtt.MQTTv31, mqtt.MQTTv311, mqtt.MQTTv5):
        got, subscribed, done = [], threading.Event(), threading.Event()
        def on_message(client, _, message):
            got.append((message.payload, message.qos))
            if len(got) == 300:
                done.set()
        c = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"paho{version}", protocol=version)
        c.on_subscribe = lambda *_: subscribed.set()
        c.on_connect = lambda client, *_: client.subscribe(TOPIC, 2)
        c.on_message = on_message
        c.connect("127.0.0.1", PORT)
        c.loop_start()
        assert subscribed.wait(20)
        sent = [c.publish(TOPIC, f"{qos} {i}", qos) for i in range(100) for qos in (0, 1, 2)]
        for one in sent:
            one.wait_for_publish(20)
        assert done.wait(20), len(got)
        for qos in (0, 1, 2):
            mine = [p for p, q in got if q == qos]
            assert mine == [f"{qos} {i}".encode() for i in range(100)], mine[:5]
        c.disconnect()
        c.loop_stop()
    print("OK")
"""

AIOMQTT = """
    import asyncio, aiomqtt
    async def main():
        for protocol in (aiomqtt.ProtocolVersion.V311, aiomqtt.ProtocolVersion.V5):
            async with aiomqtt.Client("127.0.0.1", PORT, protocol=protocol) as c:
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

GMQTT = """
    import asyncio, gmqtt
    from gmqtt.mqtt.constants import MQTTv311, MQTTv50
    async def main():
        for version in (MQTTv311, MQTTv50):
            got, ready, done = [], asyncio.Event(), asyncio.Event()
            c = gmqtt.Client(f"gmqtt{version}")
            def on_message(client, topic, payload, qos, properties):
                got.append(int(payload))
                if len(got) == 12:
                    done.set()
                return 0
            c.on_message = on_message
            c.on_subscribe = lambda *_: ready.set()
            await c.connect("127.0.0.1", PORT, version=version)
            c.subscribe(TOPIC, qos=2)
            await asyncio.wait_for(ready.wait(), 20)
            for i in range(12):
                c.publish(TOPIC, str(i), qos=i % 3)
            await asyncio.wait_for(done.wait(), 20)
            assert sorted(got) == list(range(12)), got
            await c.disconnect()
    asyncio.run(main())
    print("OK")
"""


def test_paho(b):
    """paho-mqtt in 3.1, 3.1.1 and 5."""
    python(b, "paho.mqtt.enums", PAHO)


def test_aiomqtt(b):
    """aiomqtt in 3.1.1 and 5."""
    python(b, "aiomqtt", AIOMQTT)


def test_gmqtt(b):
    """gmqtt in 3.1.1 and 5."""
    python(b, "gmqtt", GMQTT)
