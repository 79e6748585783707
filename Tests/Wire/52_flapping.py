# SPDX-License-Identifier: Apache-2.0
"""Client ids whose connections end too often are banned for a while."""

from wire import *

MARTLET_ONLY = True
COUNT = 5
ON = {"log.to": "both", "flapping_detect.enable": "on", "flapping_detect.max_count": COUNT,
      "flapping_detect.window_time": "1m", "flapping_detect.ban_time": "1h"}
CONFIG = dict(ON)


def listed(b):
    return b.ctl("banned", "list").stdout


def log(b):
    return "".join(path.read_text() for path in b.dir.glob("log/*.log"))


def come_and_go(b, v, times, name="c", how=Client.disconnect):
    for _ in range(times):
        how(b.client(v, name))


def is_out(b, v, name="c"):
    c = b.raw(v)
    c.hello(b.id(name))
    c.expect("CONNACK", code=0x8A if v == 5 else 5)
    c.expect_eof()


@versions(3, 4, 5)
def test_one_too_many(b, v):
    before = b.metric("clients/flapping")
    come_and_go(b, v, COUNT)
    last = b.client(v).quiet()
    assert f"={b.id()}," not in listed(b) and b.metric("clients/flapping") == before
    last.disconnect()
    is_out(b, v)
    entry = next(line for line in listed(b).splitlines() if f"clientid={b.id()}," in line)
    assert "reason=flapping, by=flapping_detect" in entry, entry
    assert b.metric("clients/flapping") == before + 1
    said = f"[warning] Client {b.id()} disconnected more than {COUNT} times within 60 s: it is banned for 3600 s."
    assert said in log(b)
    b.client(v, "other").quiet()
    assert b.ctl("banned", "del", "clientid", b.id()).stdout == "ok\n"
    b.client(v).quiet()


def test_the_ban_begins_a_new_count(b):
    come_and_go(b, 5, COUNT + 1)
    is_out(b, 5)
    b.ctl("banned", "del", "clientid", b.id())
    come_and_go(b, 5, COUNT)
    b.client(5).quiet()


def test_each_for_itself(b):
    """Many that end often enough together do not make one that does, on whatever loop they are."""
    for name in range(60):
        come_and_go(b, 5, COUNT, f"n{name}")
    out = listed(b)
    assert not any(f"clientid={b.id(f'n{name}')}," in out for name in range(60)), out
    for name in range(60):
        come_and_go(b, 5, 1, f"n{name}")
    out = listed(b)
    assert all(f"clientid={b.id(f'n{name}')}," in out for name in range(60)), out


def test_failures_and_sessions_count_too(b):
    for i in range(COUNT + 1):
        c = b.client(5, props={"session_expiry_interval": 100}, clean=0)
        c.quiet()
        c.reset()
        wait_until(lambda: f"Client({b.id()}," not in b.ctl("clients", "list").stdout)
    is_out(b, 5)


def test_two_with_one_client_id(b):
    """Each takes the session over from the other: the last one is closed too."""
    fighters = [b.client(5)]
    for _ in range(COUNT):
        fighters.append(b.client(5))
        fighters[-2].expect_closed(0x8E)
    fighters[-1].quiet()
    c = b.raw(5).hello(b.id())
    p = c.packet()
    assert p.name == "CONNACK" and p.code == 0, p
    c.expect_closed(0x98)
    is_out(b, 5)


def test_what_the_broker_ends_does_not_count(b):
    for _ in range(2 * COUNT):
        c = b.client(5)
        assert b.ctl("clients", "kick", b.id()).returncode == 0
        c.expect_closed(0x98)
    b.ctl("banned", "add", "clientid", b.id())
    for _ in range(2 * COUNT):
        is_out(b, 5)
    b.ctl("banned", "del", "clientid", b.id())
    b.client(5).quiet()
    assert f"={b.id()}," not in listed(b)


def test_a_ban_without_end_is_not_shortened(b):
    come_and_go(b, 5, COUNT)
    c = b.client(5)
    b.ctl("banned", "add", "clientid", b.id())
    c.expect_closed(0x98)
    assert f"clientid={b.id()}, until=never" in listed(b)


def restart(b, **config):
    assert b.stop() == ""
    b.kill()
    b.config = {**ON, **config}
    b.start()


def test_the_ban_survives_the_broker(b):
    come_and_go(b, 5, COUNT + 1)
    before = listed(b)
    restart(b)
    is_out(b, 5)
    assert listed(b) == before


def test_what_is_long_ago_does_not_count(b):
    restart(b, **{"flapping_detect.window_time": "1s", "flapping_detect.ban_time": "1s"})
    for _ in range(2):
        come_and_go(b, 5, COUNT)
        b.clock()
    b.client(5).quiet()

    def comes_in():
        c = b.raw(5, "d").hello(b.id("d"))
        p = c.packet()
        if p.code == 0:
            c.disconnect()
        return p.code == 0

    # So often within a second, as soon as this machine can.
    wait_until(lambda: not comes_in(), "a ban")
    wait_until(comes_in, "its end")
    assert f"clientid={b.id('d')}," not in listed(b)


def test_off_is_off(b):
    restart(b, **{"flapping_detect.enable": "off"})
    come_and_go(b, 5, 10 * COUNT)
    b.client(5).quiet()
    assert f"clientid={b.id()}," not in listed(b) and b.metric("clients/flapping") == 0
