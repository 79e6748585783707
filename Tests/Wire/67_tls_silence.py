# SPDX-License-Identifier: Apache-2.0
"""Thousands of connections to a TLS listener that say nothing, or begin a handshake and leave it at that."""
import os
import socket
import ssl
import time

from wire import *
from wire.certs import Authority

MARTLET_ONLY = True
CA = Authority()
PORT, PATIENT = free_port(), free_port()
MANY = int(os.environ.get("WIRE_SILENT", "1500"))
PLACES = 500
PLUGINS = []
CONFIG = {"node.loops": "4"}
for name, port, more in (("quick", PORT, {"handshake_timeout": "3s"}),
                         ("patient", PATIENT, {"handshake_timeout": "5m", "max_handshakes": str(PLACES)})):
    prefix = f"listener.ssl.{name}"
    CONFIG |= {prefix: f"127.0.0.1:{port}", f"{prefix}.certfile": CA["cert.pem"], f"{prefix}.keyfile": CA["key.pem"],
               f"{prefix}.backlog": "4096", **{f"{prefix}.{k}": v for k, v in more.items()}}
CONTEXT = CA.context()


def hello():
    """The first flight of a client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        CONTEXT.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def come(port, count, first=b""):
    socks = []
    for _ in range(count):
        socks.append(socket.create_connection(("127.0.0.1", port), DEADLINE))
        if first:
            socks[-1].sendall(first)
    return socks


def others_are_served(b, port):
    """A client that comes now is answered, behind the handshakes that came before its own."""
    begun = time.monotonic()
    b.raw(4, "other", port=port, tls=CONTEXT).connect(b.id(f"other{begun}"))
    took = time.monotonic() - begun
    assert took < DEADLINE / 2, f"{took:.2f} s"


@limit(180)
def test_connections_that_never_speak(b):
    """They cost next to nothing, disturb nobody, and are gone when their time is up."""
    room_for(MANY)
    before = b.memory()
    socks = come(PORT, MANY)
    others_are_served(b, PORT)
    each = (b.memory() - before) / MANY
    assert each < 4096, f"{each:.0f} bytes for each silent connection"
    wait_until(lambda: b.ended("ssl:quick", "tls_handshake_timeout") >= MANY, "their end", 30)
    for sock in socks:
        sock.close()


@limit(180)
def test_handshakes_left_half_way(b):
    """No more than max_handshakes of them take memory at once; the oldest go, and others come in all the same."""
    room_for(MANY)
    flight = hello()
    socks = come(PATIENT, PLACES // 2, flight)
    others_are_served(b, PATIENT)
    full = b.memory()
    socks += come(PATIENT, MANY - PLACES // 2, flight)
    others_are_served(b, PATIENT)
    wait_until(lambda: b.ended("ssl:patient", "tls_handshakes_full") >= MANY - PLACES - 4, "their end", 30)
    grown = b.memory() - full
    # The other half of the places, and sockets that linger.
    assert grown < PLACES // 2 * 80_000 + MANY * 8192, f"{grown} bytes more"
    others_are_served(b, PATIENT)
    for sock in socks:
        sock.close()
