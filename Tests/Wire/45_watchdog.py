# SPDX-License-Identifier: Apache-2.0
"""A plugin that blocks an event loop is named while it does so, in the log and under $SYS."""
import re
import time
from pathlib import Path

from wire import *
from wire.cplugin import compile_plugin, quoted

MARTLET_ONLY = True
PLUGINS = []


def test_the_plugin_that_blocks_is_named(b):
    """Its publish hook sleeps 30 ms: $SYS/brokers/NODE/sysmon/long_schedule says who."""
    is_named(b)


@measures
@limit(240)
def test_an_idle_broker_sleeps(b):
    """Its threads wake up less than twenty times a second in all; the plugin that blocks then is named all the same."""
    is_named(b, lambda: wait_until(sleeping(b), "the broker to sleep", 60))


def is_named(b, before=lambda: None):
    """before: called before each message to the plugin."""
    compile_plugin(b, "hostile", "hostile", ["BLOCKS", quoted("ID", "hostile")])
    b.load("hostile")
    watcher, publisher = b.client(4, "watcher"), b.client(4, "publisher")
    watcher.subscribe("$SYS/brokers/+/sysmon/long_schedule")
    for _ in range(60):
        before()
        publisher.deliver(b.topic(), b"x", 1)
        if said := watcher.quiet_or_publish():
            assert b"hostile has been blocking event loop" in said.payload, said
            break
    else:
        raise AssertionError("nobody noticed in 60 calls of 30 ms")
    assert b.ctl("plugins", "unload", "hostile").returncode == 0


def sleeping(b):
    """A question whose answer is true after a second in which the broker's threads began to wait less than 20 times."""
    began, before = time.monotonic(), waits(b)

    def check():
        nonlocal began, before
        if time.monotonic() < began + 1:
            return False
        count, before, began = waits(b) - before, waits(b), time.monotonic()
        return count < 20

    return check


def waits(b):
    status = Path(f"/proc/{b.process.pid}/task").glob("*/status")
    return sum(int(re.search(r"\nvoluntary_ctxt_switches:\s+(\d+)", one.read_text())[1]) for one in status)
