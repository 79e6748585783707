# SPDX-License-Identifier: Apache-2.0
"""A plugin that blocks an event loop is named while it does so, in the log and under $SYS."""
from wire import *
from wire.cplugin import compile_plugin, quoted

MARTLET_ONLY = True
PLUGINS = []


def test_the_plugin_that_blocks_is_named(b):
    """Its publish hook sleeps 30 ms: $SYS/brokers/NODE/sysmon/long_schedule says who."""
    compile_plugin(b, "hostile", "hostile", ["BLOCKS", quoted("ID", "hostile")])
    b.load("hostile")
    watcher, publisher = b.client(4, "watcher"), b.client(4, "publisher")
    watcher.subscribe("$SYS/brokers/+/sysmon/long_schedule")
    for _ in range(20):
        publisher.deliver(b.topic(), b"x", 1)
        if said := watcher.quiet_or_publish():
            assert b"hostile has been blocking event loop" in said.payload, said
            break
    else:
        raise AssertionError("nobody noticed in 20 calls of 30 ms")
    assert b.ctl("plugins", "unload", "hostile").returncode == 0
