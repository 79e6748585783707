# SPDX-License-Identifier: Apache-2.0
"""Waiting for what the broker notices by itself and tells nobody."""
import time

from .client import DEADLINE

PAUSE = 0.01  # between two questions at the most, s


def wait_until(check, what="it", seconds=None):
    """check()'s first answer that counts as true. what: names it when none comes in time, a text or a function."""
    end, pause = time.monotonic() + (seconds or max(10, DEADLINE)), PAUSE / 64
    while not (value := check()):
        assert time.monotonic() < end, f"waited in vain for {what() if callable(what) else what}"
        time.sleep(pause)
        pause = min(PAUSE, pause * 2)
    return value


def in_time(attempt, tries=3):
    """attempt() says what came too late, or nothing. A core that is taken away makes anything late, but not three times
    in a row; whatever must not come too early is asserted in attempt itself."""
    for _ in range(tries):
        if not (late := attempt()):
            return
    raise AssertionError(f"{tries} times too late, at last {late}")


def wait_listening(process, port):
    """Until a program of the test's own listens; it is not connected to, for some take one client only."""

    def listens():
        assert process.poll() is None, f"{process.args[0]} has ended"
        with open("/proc/net/tcp", encoding="ascii") as table:
            return any(f":{port:04X} 00000000:0000 0A" in line for line in table)

    wait_until(listens, f"{process.args[0]} to listen")
