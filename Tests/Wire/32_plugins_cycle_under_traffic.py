# SPDX-License-Identifier: Apache-2.0
"""Load, unload and reload while QoS 1 messages flow: none is lost, none comes twice, nothing stays behind.
WIRE_CYCLES says how often; 50 unless told, 1000 in the long run."""
import os
from collections import Counter

from wire import *
from wire.cplugin import compile_plugin, install, quoted
from wire.traffic import Traffic

MARTLET_ONLY = True
PLUGINS = []
CYCLES = int(os.environ.get("WIRE_CYCLES", "50"))
TEMPLATES = ("plugin_template", "plugin_template_c")


def succeed(b, *words):
    done = b.ctl(*words)
    assert done.returncode == 0 and "successfully." in done.stdout, f"{words}: {done}"


def regions(b):
    """How many pieces of each library are mapped."""
    return Counter(line.split(maxsplit=5)[-1] for line in b.maps().splitlines() if ".so" in line or "(deleted)" in line)


def cycles(b, traffic, action):
    """Run action CYCLES times; memory after a tenth of them and at the end must not differ by more than 12 MB."""
    warm = max(10, CYCLES // 10)
    for n in range(CYCLES):
        if n == warm:
            memory = b.memory()
        action(n)
        traffic.check()
    if CYCLES > warm:
        grown = b.memory() - memory
        assert grown < 12 << 20, f"memory grew by {grown >> 10} KB in {CYCLES - warm} cycles"


@limit(60 + 2 * CYCLES)
def test_load_and_unload(b):
    """A plugin in C comes and goes."""
    compile_plugin(b, "minimal", "minimal")
    before = regions(b)

    def action(n):
        succeed(b, "plugins", "load", "minimal")
        if n % 10 == 0:
            b.client(4, f"probe{n}").deliver(b.topic(), b"x", 1)
            assert int(b.ctl("minimal").stdout.split()[1]) > 0
        succeed(b, "plugins", "unload", "minimal")

    with Traffic(b) as traffic:
        cycles(b, traffic, action)
    assert not (left := regions(b) - before), left


@limit(60 + 2 * CYCLES)
def test_reload_with_an_image_that_changes(b):
    """Each reload brings another image than the one that runs."""
    images = [compile_plugin(b, "minimal", "minimal", [quoted("VERSION", f"1.{i}.0")], b.dir / f"image{i}.so")
              for i in range(5)]
    install(images[0], b, "minimal")
    before = regions(b)
    b.load("minimal")

    def action(n):
        install(images[(n + 1) % 5], b, "minimal")
        succeed(b, "plugins", "reload", "minimal")
        assert b.ctl("minimal").stdout.startswith(f"1.{(n + 1) % 5}.0 ")

    with Traffic(b) as traffic:
        cycles(b, traffic, action)
    succeed(b, "plugins", "unload", "minimal")
    assert not (left := regions(b) - before), left


@limit(60 + 4 * CYCLES)
def test_templates_under_traffic(b):
    """The templates that ship: every hook point, auth and ACL."""
    present = [name for name in TEMPLATES if (b.dir / f"plugins/{name}.so").exists()]
    if not present:
        raise Skip("there are no templates")
    before = regions(b)

    def action(n):
        for name in present:
            succeed(b, "plugins", "load", name)
            if n % 2:
                succeed(b, "plugins", "reload", name)
            succeed(b, "plugins", "unload", name)

    with Traffic(b) as traffic:
        cycles(b, traffic, action)
    assert not (left := regions(b) - before), left
    for name in present:
        assert name not in b.maps()
