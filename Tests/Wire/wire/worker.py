# SPDX-License-Identifier: Apache-2.0
"""Runs the test functions of one script against one broker and reports each as a line of JSON."""
import importlib.util
import inspect
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path

from .broker import Martlet, Mosquitto
from .client import DEADLINE
from .marks import Skip

DEFAULT_PLUGINS = ["retainer"]


class TooLong(AssertionError):
    """The test ran into its limit."""


def load(path):
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cases(module, pattern=""):
    """(name, function, version or None) in the order of the file."""
    for name, function in inspect.getmembers(module, inspect.isfunction):
        if not name.startswith("test_") or function.__module__ != module.__name__:
            continue
        for v in getattr(function, "versions", (None,)):
            label = name[5:] + (f"[{ {3: '3.1', 4: '3.1.1', 5: '5'}[v] }]" if v else "")
            if pattern in f"{module.__name__} {label}":
                yield function.__code__.co_firstlineno, label, function, v


def make_broker(module, options):
    plugins = getattr(module, "PLUGINS", DEFAULT_PLUGINS)
    if options.mosquitto:
        return Mosquitto(getattr(module, "MOSQUITTO", {}), wrap=options.wrap, transport=options.transport)
    return Martlet(options.martlet, getattr(module, "CONFIG", {}), plugins, getattr(module, "PLUGIN_CONFIG", {}),
                   wrap=options.wrap, transport=options.transport)


def run_one(broker, label, function, v):
    """(result, message) of one test; result is ok, FAIL or skip."""
    differs = getattr(function, "differs", {})
    if broker.kind == "mosquitto" and (None in differs or v in differs):
        return "skip", differs.get(v) or differs.get(None)
    if os.environ.get("WIRE_SANITIZED") and getattr(function, "measures", False):
        return "skip", "a sanitizer's time and memory are not the broker's"
    broker.begin(label)

    def expired(*_):
        raise TooLong("took longer than its limit")

    signal.signal(signal.SIGALRM, expired)
    signal.setitimer(signal.ITIMER_REAL, getattr(function, "limit", 60) * max(1, DEADLINE / 10))
    try:
        function(broker, v) if v else function(broker)
        message = broker.died()
    except Skip as reason:
        return "skip", str(reason)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)
        place = next((f for f in reversed(last) if f"{os.sep}wire{os.sep}" not in f.filename), last[-1])
        kind = "" if type(error) is AssertionError else type(error).__name__ + ": "
        message = f"{Path(place.filename).name}:{place.lineno}: {kind}{error}"
        message += "".join(f"\n      {line}" for line in broker.trace)
        message += f"\n      {broker.died()}" if broker.died() else ""
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        broker.end()
    return ("FAIL", message) if message else ("ok", "")


def report(script, label, result, message, seconds):
    print(json.dumps([script, label, result, message, round(seconds, 3)]), flush=True)


def run(path, options):
    """Every test of one script."""
    module = load(path)
    script, todo = Path(path).stem, sorted(cases(module, options.k), key=lambda case: case[0])
    if not todo:
        return
    broker = make_broker(module, options)
    begun = time.monotonic()
    try:
        if not (broker.kind == "mosquitto" and getattr(module, "MARTLET_ONLY", False)):
            broker.start()
        for _, label, function, v in todo:
            begun = time.monotonic()
            if broker.process is None:
                result, message = "skip", "about Martlet alone"
            else:
                result, message = run_one(broker, label, function, v)
            report(script, label, result, message, time.monotonic() - begun)
            if broker.process and broker.died():
                broker.kill()
                broker.port = 0
                broker.start()
        begun = time.monotonic()
        wrong = broker.stop()
        report(script, "the broker stops cleanly", "FAIL" if wrong else "ok", wrong, time.monotonic() - begun)
    except Exception as error:
        report(script, "the broker runs", "FAIL", f"{type(error).__name__}: {error}", time.monotonic() - begun)
    finally:
        broker.kill()
        if options.keep:
            print(f"kept {broker.dir}", file=sys.stderr)
        else:
            broker.remove()
