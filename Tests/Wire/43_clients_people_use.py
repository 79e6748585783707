# SPDX-License-Identifier: Apache-2.0
"""mosquitto_pub, mosquitto_sub and mosquitto_rr, and from PyPI paho-mqtt, aiomqtt and gmqtt where they are there."""
import subprocess

from wire import *
from wire.people import AIOMQTT, PAHO, Sub, pub, python, tool

NAMES = {3: "mqttv31", 4: "mqttv311", 5: "mqttv5"}


def at(b, v):
    """The broker's port and a version, for mosquitto's clients."""
    return b.port, "-V", NAMES[v]


@versions(3, 4, 5)
def test_mosquitto_every_qos(b, v):
    """From each version to this one, at every QoS. 3.1.1: [MQTT-7.0.0-2]: no extension is needed."""
    sub = Sub(*at(b, v), "-t", b.topic("#"), "-q", "2", "-v", "-C", "9")
    for other in (3, 4, 5):
        for qos in (0, 1, 2):
            pub(*at(b, other), "-t", b.topic(f"{other}/{qos}"), "-m", f"{other} {qos}", "-q", str(qos))
    assert sorted(sub.messages()) == sorted(f"{b.topic(f'{o}/{q}')} {o} {q}" for o in (3, 4, 5) for q in (0, 1, 2))


@versions(3, 4, 5)
def test_mosquitto_retained(b, v):
    """Retained, read, removed."""
    pub(*at(b, v), "-t", b.topic(), "-m", "kept", "-r", "-q", "1")
    assert Sub(*at(b, v), "-t", b.topic(), "-C", "1", "-F", "%r %p").messages() == ["1 kept"]
    pub(*at(b, v), "-t", b.topic(), "-n", "-r", "-q", "1")
    c = b.client(4)
    c.subscribe(b.topic())
    c.quiet()


@versions(3, 4, 5)
def test_mosquitto_will(b, v):
    """mosquitto_sub is killed, its will is published."""
    watcher = b.client(4)
    watcher.subscribe(b.topic("will"), 1)
    sub = Sub(*at(b, v), "-t", b.topic(), "--will-topic", b.topic("will"), "--will-payload", "gone", "--will-qos", "1")
    sub.process.kill()
    sub.process.communicate()
    watcher.take(b.topic("will"), b"gone", qos=1)


def test_mosquitto_properties(b):
    """User properties, content type and the rest come through mosquitto's own tools."""
    sub = Sub(*at(b, 5), "-t", b.topic(), "-C", "1", "-F", "%C|%R|%D|%P|%p")
    pub(*at(b, 5), "-t", b.topic(), "-m", "x", "-D", "publish", "content-type", "text/plain", "-D", "publish",
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
    Sub(*at(b, v), *more, "-E").process.communicate(timeout=30)
    for i in range(20):
        pub(*at(b, v), "-t", b.topic(), "-m", str(i), "-q", "1")
    done = subprocess.run([tool("mosquitto_sub"), "-p", str(b.port), "-V", NAMES[v], *more, "-C", "20", "-W", "30"],
                          capture_output=True, text=True, timeout=40)
    assert done.stdout.split() == [str(i) for i in range(20)], done


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
    python(b, "paho.mqtt.enums", PAHO, b.port)


def test_aiomqtt(b):
    """aiomqtt in 3.1.1 and 5."""
    python(b, "aiomqtt", AIOMQTT, b.port)


def test_gmqtt(b):
    """gmqtt in 3.1.1 and 5."""
    python(b, "gmqtt", GMQTT, b.port)
