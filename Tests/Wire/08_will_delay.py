# SPDX-License-Identifier: Apache-2.0
"""MQTT 5: a will that waits, for its delay or for the end of the session, whichever comes first."""
import time

from wire import *


def watch(b):
    w = b.client(4, "watcher")
    w.subscribe(b.topic("#"), 1)
    return w


def willing(b, delay, expiry, payload=b"late", **more):
    props = {"session_expiry_interval": expiry} if expiry is not None else None
    return b.client(5, will=Will(b.topic(), payload, 1, props={"will_delay_interval": delay}), props=props, **more)


def test_waits_for_the_delay(b):
    """5.0: [MQTT-3.1.2-8] §3.1.3.2.2."""
    watcher = watch(b)
    c = willing(b, 2, 60, clean=0)
    begun = time.monotonic()
    c.close()
    watcher.take(b.topic(), b"late", timeout=15)
    assert time.monotonic() - begun > 1.9


def test_resuming_in_time_cancels_it(b):
    """5.0: [MQTT-3.1.3-9]."""
    watcher = watch(b)
    willing(b, 4, 60, clean=0).close()
    c = b.client(5, clean=0, session_present=1, props={"session_expiry_interval": 60})
    for _ in range(3):
        b.clock()
    b.nothing_for(watcher, b.client(4, "publisher"))
    c.quiet()


@not_on_mosquitto("2.0.11 waits for the whole delay")
def test_session_without_expiry_ends_at_once(b):
    """5.0: [MQTT-3.1.2-8]: the end of the session comes before the delay."""
    watcher = watch(b)
    willing(b, 3600, None).close()
    watcher.take(b.topic(), b"late")


def test_end_of_the_session_publishes_it(b):
    """5.0: §3.1.3.2.2: the delay is bounded by the session expiry."""
    watcher = watch(b)
    willing(b, 3600, 1, clean=0).close()
    watcher.take(b.topic(), b"late", timeout=15)


@not_on_mosquitto("2.0.11 waits for the whole delay")
def test_disconnect_that_ends_the_session_with_will(b):
    """5.0: §3.14.2.2.2 with §3.1.3.2.2: expiry 0 at DISCONNECT 0x04 publishes it now."""
    watcher = watch(b)
    willing(b, 3600, 60, clean=0).disconnect(4, {"session_expiry_interval": 0})
    watcher.take(b.topic(), b"late")


def test_disconnect_with_will_waits_too(b):
    """5.0: [MQTT-3.1.2-8]: 0x04 does not shorten the delay."""
    watcher = watch(b)
    c = willing(b, 2, 60, clean=0)
    begun = time.monotonic()
    c.disconnect(4)
    watcher.take(b.topic(), b"late", timeout=15)
    assert time.monotonic() - begun > 1.9


def test_normal_disconnect_discards_it(b):
    """5.0: [MQTT-3.14.4-3]."""
    watcher = watch(b)
    willing(b, 1, 60, clean=0).disconnect()
    b.clock()
    b.clock()
    b.nothing_for(watcher, b.client(4, "publisher"))


@not_on_mosquitto("2.0.11 waits for the whole delay")
def test_clean_start_ends_the_session_and_publishes_it(b):
    """5.0: [MQTT-3.1.2-8] [MQTT-3.1.4-4]: a clean start ends the old session."""
    watcher = watch(b)
    willing(b, 3600, 3600, clean=0).close()
    b.client(5, clean=1, session_present=0)
    watcher.take(b.topic(), b"late")


@not_on_mosquitto("2.0.11 closes without DISCONNECT")
def test_take_over_that_resumes_cancels_it(b):
    """5.0: [MQTT-3.1.3-9] §3.1.4: resumed within the delay."""
    watcher = watch(b)
    old = willing(b, 3600, 3600, clean=0)
    b.client(5, clean=0, session_present=1, props={"session_expiry_interval": 3600})
    old.expect_closed(0x8E)
    b.nothing_for(watcher, b.client(4, "publisher"))


@not_on_mosquitto("2.0.11 closes without DISCONNECT")
def test_take_over_with_clean_start_publishes_it(b):
    """5.0: [MQTT-3.1.2-8]."""
    watcher = watch(b)
    old = willing(b, 3600, 3600, clean=0)
    b.client(5, clean=1, session_present=0)
    old.expect_closed(0x8E)
    watcher.take(b.topic(), b"late")


def test_zero_delay_is_none(b):
    """5.0: §3.1.3.2.2."""
    watcher = watch(b)
    willing(b, 0, 60, clean=0).close()
    watcher.take(b.topic(), b"late")


@not_on_mosquitto("2.0.11 closes without DISCONNECT")
def test_taken_over_without_delay_is_published(b):
    """5.0: [MQTT-3.1.2-8]."""
    watcher = watch(b)
    old = willing(b, 0, 60, clean=0)
    b.client(5, clean=0, session_present=1, props={"session_expiry_interval": 60})
    old.expect_closed(0x8E)
    watcher.take(b.topic(), b"late")
