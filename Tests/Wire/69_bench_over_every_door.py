# SPDX-License-Identifier: Apache-2.0
"""The load generator of the tree, each of its scenarios over tcp, ssl, ws and wss: all it sends is received."""
import json
import subprocess

from wire import *
from wire.certs import Authority

MARTLET_ONLY = True
CA = Authority()
PORTS = {name: free_port() for name in ("tcp", "ssl", "ws", "wss")}
PLUGINS = ["retainer"]
CONFIG = {
    "node.loops": "2", "mqtt.mqueue.max_length": 0, "mqtt.session.max_inflight": 0,
    **{f"listener.{name}.bench": f"127.0.0.1:{port}" for name, port in PORTS.items()},
    **{f"listener.{name}.bench.{key}": CA[file] for name in ("ssl", "wss")
       for key, file in (("certfile", "cert.pem"), ("keyfile", "key.pem"))},
    # 2,000 handshakes at once take their time where two busy cores are all there is.
    **{f"listener.{name}.bench.handshake_timeout": "60s" for name in ("ssl", "wss")},
}


def bench(b, scenario, *words):
    for name, port in PORTS.items():
        done = subprocess.run(
            [str(b.dir / "bin/martlet_bench"), scenario, "--transport", name, "--port", str(port), "--json", "--quiet",
             "--pid", str(b.process.pid), *words], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, (name, done.stderr[-500:] or done.stdout[-500:])
        result = json.loads(done.stdout)
        assert result["transport"] == ("tls" if name == "ssl" else name), result
        yield name, result


def delivered(b, scenario, count, *words):
    for name, result in bench(b, scenario, "--count", str(count), *words):
        assert result["messages"]["sent"] >= count and result["messages"]["lost"] == 0, (name, result)


@limit(120)
def test_messages(b):
    """Each QoS, one to many, many to one, packets of many frames and records."""
    for qos in ("0", "1", "2"):
        delivered(b, "pairs", 5000, "-q", qos)
    delivered(b, "pairs", 300, "--size", "100000")
    delivered(b, "fanin", 5000)
    delivered(b, "fanout", 500)


@limit(120)
def test_what_is_kept(b):
    for scenario, words in (("retain", ()), ("offline", ()), ("wildcard", ("--filters", "1000"))):
        for _ in bench(b, scenario, "--count", "1000", *words):
            pass


@limit(120)
def test_connections(b):
    for _ in bench(b, "conn", "--clients", "200", "--count", "200"):
        pass


def test_options_that_cannot_be(b):
    """One sentence and exit status 64, before anything is connected."""
    for words, said in ((("pairs", "--pubs", "3", "--subs", "5"), "pairs need as many subscribers as publishers"),
                        (("compare", "nonsense"), "there is no run called nonsense; there are fanout, "),
                        (("compare", "pairs", "--version", "7"), "--version must be 4 (MQTT 3.1.1) or 5"),
                        (("compare", "pairs", "--threads", "0"), "--threads must be 1 to 64"),
                        (("counts", "conn"), "there is no run called conn; there are "),
                        (("pub", "-q", "3"), "--qos must be 0, 1 or 2")):
        done = subprocess.run([str(b.dir / "bin/martlet_bench"), *words], capture_output=True, text=True, timeout=30)
        assert done.returncode == 64 and done.stderr.startswith("Error: " + said) and not done.stdout, done
