# SPDX-License-Identifier: Apache-2.0
"""What an idle TLS connection costs, without and with a client's certificate."""
import os
import re
import ssl

from wire import *
from wire.certs import Authority

MARTLET_ONLY = True
CA = Authority()
OPEN, MUTUAL = free_port(), free_port()
MANY = int(os.environ.get("WIRE_TLS", "400"))
WARM = 150
# Measured with 2,000: 15.4 KB, with a client's certificate 16.1 KB (docs/tls.md). It was 26 KB while the parsed
# certificate was kept.
LIMIT = 20_000
PLUGINS = []
FILES = {"certfile": CA["cert.pem"], "keyfile": CA["key.pem"]}
VERIFIED = {"verify": "verify_peer", "cacertfile": CA["cacert.pem"], "fail_if_no_peer_cert": "on",
            "peer_cert_as_username": "cn"}
CONFIG = {
    "node.loops": "2",
    "listener.ssl.open": f"127.0.0.1:{OPEN}", **{f"listener.ssl.open.{k}": v for k, v in FILES.items()},
    "listener.ssl.mutual": f"127.0.0.1:{MUTUAL}",
    **{f"listener.ssl.mutual.{k}": v for k, v in {**FILES, **VERIFIED}.items()},
}


def come(b, count, port, context, name):
    for i in range(count):
        c = b.raw(4, f"{name}{i}", port=port, tls=context).connect(b.id(f"{name}{i}"), keepalive=0)
        c.subscribe(b.topic(f"{name}{i}"), 0)


def cost(b, port, context):
    room_for(MANY + WARM)
    come(b, WARM, port, context, "warm")
    before = b.own_memory()
    come(b, MANY, port, context, "idle")
    return (b.own_memory() - before) / MANY


@measures
@limit(120)
def test_without_a_certificate(b):
    each = cost(b, OPEN, CA.context(version=ssl.TLSVersion.TLSv1_3))
    assert each < LIMIT, f"{each:.0f} bytes"


@measures
@limit(120)
def test_with_a_certificate(b):
    """Its names are known all the same."""
    each = cost(b, MUTUAL, CA.context(CA.client, version=ssl.TLSVersion.TLSv1_3))
    assert each < LIMIT, f"{each:.0f} bytes"
    assert re.search(r"username=client\b", b.ctl("clients", "show", b.id("idle0")).stdout)
