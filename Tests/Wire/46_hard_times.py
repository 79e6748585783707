# SPDX-License-Identifier: Apache-2.0
"""What an operator's machine may do to a broker: full discs, closed descriptors, limits, files that are damaged. It
starts and serves, or says in one sentence why it cannot; what it acknowledged is there again."""
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time

from wire import *
from wire.place import Place

MARTLET_ONLY = True
PLUGINS = []
NOBODY = 65534


def as_root():
    if os.geteuid():
        raise Skip("only root can take another user's rights")


# -- configuration files ------------------------------------------------------------------------------------------


def test_files_as_other_systems_write_them(b):
    """CRLF, a byte order mark, no newline at the end, comments of another encoding."""
    changes = (lambda t: t.replace(b"\n", b"\r\n"), lambda t: b"\xef\xbb\xbf" + t, lambda t: t.rstrip(b"\n"),
               lambda t: t + b"## caf\xe9\n")
    for n, change in enumerate(changes):
        with Place(b, f"conf{n}-") as p:
            p.conf.write_bytes(change(p.conf.read_bytes()))
            p.start().ready().serves()
            assert p.end() == 0


def test_files_that_are_no_configuration(b):
    """NUL, UTF-16, far too long, a folder, nothing at all: a sentence with the file's name."""
    def write(change):
        return lambda p: p.conf.write_bytes(change(p.conf.read_bytes()))

    cases = ((write(lambda t: t + b"node.name = a\0b\n"), "martlet.conf:6"),
             (write(lambda t: t.decode().encode("utf-16")), "UTF-8"),
             (write(lambda t: t + b"# " + b"x" * (5 << 20)), "4MB"),
             (lambda p: (p.conf.unlink(), p.conf.mkdir()), "directory"),
             (lambda p: p.conf.unlink(), "No such file"))
    for n, (change, word) in enumerate(cases):
        with Place(b, f"no-conf{n}-") as p:
            change(p)
            p.start().refuses("martlet.conf", word)


# -- descriptors --------------------------------------------------------------------------------------------------


def test_closed_descriptors(b):
    """0, 1 and 2 are given to no file that the broker opens: what is printed would end up in it."""
    with Place(b, plugins="retainer") as p:
        p.start(command=["sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', b.dir / "bin/martlet-broker"]).ready().serves()
        for number in range(3):
            assert os.readlink(f"/proc/{p.process.pid}/fd/{number}") == "/dev/null"
        assert p.end() == 0


def test_a_console_nobody_reads(b):
    """A full pipe holds nothing up; the lines it did not take are counted, and told when it takes some again."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with Place(b, log__to="console") as p:
        p.start(stdout=writing, stderr=writing).ready()
        os.set_blocking(writing, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writing, b"#" * 4096)
        os.set_blocking(writing, True)
        for _ in range(3):
            p.ctl("plugins", "load", "retainer")
            p.ctl("plugins", "unload", "retainer")
        p.serves()
        assert "log/lines_lost" in p.ctl("broker", "metrics").stdout
        lost = next(line for line in p.ctl("broker", "metrics").stdout.splitlines() if "lines_lost" in line)
        assert int(lost.split(":")[1]) > 0, lost
        text = b""
        with contextlib.suppress(BlockingIOError):
            while more := os.read(reading, 1 << 20):
                text += more
        assert p.end() == 0
        # Whatever it wrote while the pipe was emptied counts too.
        text = (text + os.read(reading, 1 << 20)).decode()
        assert "lines were lost here" in text and "Martlet has stopped" in text, text
    os.close(reading)
    os.close(writing)


def test_a_console_that_is_gone(b):
    reading, writing = os.pipe()
    os.close(reading)
    with Place(b, log__to="console") as p:
        p.start(stdout=writing, stderr=writing).ready().serves()
        assert p.end() == 0
    os.close(writing)


def descriptors(p):
    return len(os.listdir(f"/proc/{p.process.pid}/fd"))


def test_no_descriptor_left(b):
    """Clients have them all: who is in is served, commands get through, and others wait until there is room."""
    with Place(b) as p:
        p.start(files=32 + 2 * os.cpu_count() + 20).ready()
        inside = p.client("inside")
        before = descriptors(p)
        many = [socket.create_connection(("127.0.0.1", p.port)) for _ in range(100)]
        p.says("Too many open files")
        inside.subscribe("x", 1)
        inside.deliver("x", b"1", 1)
        inside.take("x", b"1", qos=1)
        assert "is running" in p.ctl("status").stdout
        done = p.ctl("plugins", "load", "retainer")
        assert done.returncode == 1 and "Too many open files" in done.stderr, done
        for s in many:
            s.close()
        p.serves()
        # Who is let in last may be served before all who left are gone.
        wait_until(lambda: descriptors(p) <= before, "the end of those that left")
        assert p.ctl("plugins", "load", "retainer").returncode == 0
        assert p.end() == 0


def test_too_few_descriptors_to_start(b):
    with Place(b, node__loops="4") as p:
        p.start(files=30).refuses("at least 40 open files", "30")


# -- discs --------------------------------------------------------------------------------------------------------


@measures
def test_files_may_not_grow(b):
    """A limit of file sizes is as a full disc: loads and bans are refused with a sentence, nothing ends."""
    with Place(b) as p:
        p.start(size=3000).ready().serves()
        done = p.ctl("plugins", "load", "retainer")
        assert done.returncode == 1 and "File too large" in done.stderr, done
        done = p.ctl("banned", "add", "clientid", "x", "0")
        assert done.returncode == 1 and "the store" in done.stderr, done
        p.serves()
        assert p.end() == 0


@contextlib.contextmanager
def small_disc(folder, size):
    """A file system of this size, where one may be mounted."""
    as_root()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], capture_output=True).returncode:
        raise Skip("no file system can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(folder):
    with open(folder / "fill", "wb", buffering=0) as f, contextlib.suppress(OSError):
        while True:
            f.write(b"x" * 4096)


@measures
def test_a_full_disc(b):
    """Retained messages wait in memory, bans and loads are refused with a sentence. With room again, all is written."""
    p = Place(b, plugins="retainer")
    with small_disc(p.dir / "data", "4m"), p:
        p.start().ready()
        c = p.client("c")
        c.deliver("kept/before", b"1", 1, retain=1)
        fill(p.dir / "data")
        for n in range(100):
            c.deliver(f"kept/{n}", bytes(1000), 1, retain=1)
        p.says("cannot be written")
        p.serves()
        for words in (("banned", "add", "clientid", "evil", "0"), ("plugins", "load", "acl_file")):
            done = p.ctl(*words)
            assert done.returncode == 1 and len(done.stderr.strip().splitlines()) == 1, done
        (p.dir / "data/fill").unlink()
        p.says("are written again")
        assert p.ctl("banned", "add", "clientid", "evil", "0").returncode == 0
        p.end(signal.SIGKILL)
        p.start().ready()
        assert p.ctl("retainer", "info").stdout.strip() == "retained/total: 101"
        # A start on a full disc: what is banned stays out.
        assert p.end() == 0
        fill(p.dir / "data")
        p.start().ready().serves()
        assert "clientid=evil" in p.ctl("banned", "list").stdout, p.output()
        assert p.end() == 0


def test_no_listener(b):
    """A configuration without a door is no error, plugins may open theirs; but it is said."""
    with Place(b, plugins="") as p:
        p.conf.write_text("".join(line for line in p.conf.open() if not line.startswith("listener.")))
        p.start().ready().says("the configuration has no listener")
        assert p.end() == 0


@measures
def test_the_first_start_on_a_full_disc(b):
    """The default plugins stay the default: no empty list of loaded ones is left behind."""
    p = Place(b, plugins="retainer")
    with small_disc(p.dir / "data", "1m"), p:
        fill(p.dir / "data")
        p.start().ready().serves()
        assert p.end() == 0 and not (p.dir / "data/loaded_plugins").exists()
        (p.dir / "data/fill").unlink()
        subprocess.run(["mount", "-o", "remount,size=8m", p.dir / "data"], check=True)
        p.start().ready()
        assert "Plugin(retainer" in p.ctl("plugins", "list").stdout and p.ctl("retainer", "info").returncode == 0
        assert p.end() == 0


def test_the_log_on_a_full_disc(b):
    """Lines are lost, and counted where they would have stood."""
    p = Place(b, log__to="file", log__level="debug")
    with small_disc(p.dir / "log", "64k"), p:
        p.start().ready()
        fill(p.dir / "log")
        # What is left of the last page is used up first.
        for _ in range(60):
            p.ctl("plugins", "load", "retainer")
            p.ctl("plugins", "unload", "retainer")
        p.serves()
        (p.dir / "log/fill").unlink()
        assert p.end() == 0
        lines = (p.dir / "log/martlet.log").read_text().splitlines()
        assert any("lines were lost here: No space left" in line for line in lines), lines[-5:]
        assert all(line.startswith("20") for line in lines[1:]), "a cut line was not ended"


def test_no_right_to_write(b):
    """The data folder: no start. The log folder: a start that says so."""
    as_root()
    with Place(b, "data-of-root-") as p:
        b.dir.chmod(0o755)
        p.start(user=NOBODY).refuses("data cannot be written to")
    with Place(b, "log-of-root-") as p:
        os.chown(p.dir / "data", NOBODY, NOBODY)
        p.start(user=NOBODY).ready().serves()
        assert "martlet.log cannot be written" in p.output()
        assert p.end() == 0


# -- two brokers, signals -----------------------------------------------------------------------------------------


def test_started_twice(b):
    """The second one touches nothing of the first one's data and says who is in the way; after a kill there is none."""
    with Place(b, plugins="retainer") as p:
        p.start().ready()
        first, p.port = p.process, free_port()
        p.conf.write_text(p.conf.read_text().replace("listener.tcp.test", "listener.tcp.other", 1))
        p.start().refuses("another broker keeps its data in", str(p.dir / "data"))
        first.kill()
        # Dead, and not waited for: its number is still in use.
        os.waitid(os.P_PID, first.pid, os.WEXITED | os.WNOWAIT)
        p.port = int(p.conf.read_text().split("127.0.0.1:")[1].split()[0])
        p.start().ready().serves()
        first.wait()
        assert p.end() == 0


def test_a_kill_loses_nothing_that_is_on_disc(b):
    with Place(b, plugins="retainer") as p:
        p.start().ready()
        c = p.client("c")
        for n in range(50):
            c.deliver(f"kept/{n}", f"<payload {n}>", 1, retain=1)
        assert p.ctl("banned", "add", "clientid", "evil", "0").returncode == 0
        data = p.dir / "data/retainer/data.mdb"
        wait_until(lambda: all(f"<payload {n}>".encode() in data.read_bytes() for n in range(50)),
                   "the retained messages on the disc")
        # What is in the file counts once its transaction has ended, and the next begins after that.
        c.deliver("after", "<after>", 1, retain=1)
        wait_until(lambda: b"<after>" in data.read_bytes(), "the next transaction")
        p.end(signal.SIGKILL)
        p.start().ready()
        assert p.ctl("retainer", "info").stdout.strip() in ("retained/total: 50", "retained/total: 51")
        assert "clientid=evil" in p.ctl("banned", "list").stdout
        assert p.end() == 0


@measures
def test_stopped_and_continued(b):
    """SIGSTOP, longer than a keep alive lasts: who sent something meanwhile is no dead client."""
    with Place(b) as p:
        p.start().ready()
        # More than a loop reads from at once. They connect beside each other: the first must not be out of time when
        # the last one comes.
        clients = [Client(p.port, 5, b.trace, f"c{n}") for n in range(600)]
        for c in clients:
            c.hello(c.label, keepalive=3)
        for c in clients:
            c.expect("CONNACK", code=0)
        os.kill(p.process.pid, signal.SIGSTOP)
        for c in clients:
            c.publish("t", b"a", 1, pid=7)
        b.client(4, "clock", keepalive=3).expect_eof(60)  # another broker's, which goes on
        os.kill(p.process.pid, signal.SIGCONT)
        for c in clients:
            c.expect("PUBACK", pid=7)
            c.close()
        assert p.end() == 0


def test_ended_while_it_starts(b):
    """SIGTERM at any moment: it is gone, and the next start finds nothing wrong."""
    with Place(b, plugins="retainer") as p:
        for wait in (0.002, 0.01, 0.02, 0.04, 0.08):
            p.start()
            time.sleep(wait)
            assert p.end() in (0, -signal.SIGTERM), p.output()
        p.start().ready().serves()
        assert "[error]" not in p.output(), p.output()
        assert p.end() == 0


# -- surroundings ---------------------------------------------------------------------------------------------------


def test_nothing_in_the_environment(b):
    """No HOME, no PATH, a locale and a time zone that do not exist, a folder with a blank and an umlaut in its name."""
    for n, environment in enumerate(({}, {"LC_ALL": "xx_YY", "TZ": "Nowhere/None"})):
        with Place(b, f"blänk {n} ") as p:
            p.start(env=environment).ready().serves()
            assert p.end() == 0


def test_a_relative_path_of_the_configuration(b):
    with Place(b) as p:
        p.conf.rename(p.dir / "my own.conf")
        command = [b.dir / "bin/martlet-broker", "--config", "../my own.conf"]
        p.start(command=command, cwd=p.dir / "log").ready().serves()
        assert p.end() == 0


def test_a_port_in_use(b):
    """An MQTT listener's: no start. An HTTP listener's: its routes are missing, and the log says how to get them."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        for kind in ("tcp", "ws"):
            with Place(b, kind, **{f"listener.{kind}.taken": taken}) as p:
                p.start().refuses(f"{kind}:taken", taken, "another program")
        with Place(b, "api", **{"listener.api.taken": taken}) as p:
            p.start().ready().serves()
            assert "listeners start api:taken" in p.output(), p.output()
            assert p.end() == 0


def test_an_address_of_another_machine(b):
    with Place(b, **{"listener.tcp.far": "203.0.113.1:1883"}) as p:
        p.start().refuses("tcp:far", "203.0.113.1:1883")


# -- damaged files --------------------------------------------------------------------------------------------------


def test_damaged_data(b):
    """Each file that is kept, emptied, cut, overwritten or gone: the broker serves, and says what is wrong."""
    with Place(b, plugins="retainer,auth_username") as p:
        p.start().ready()
        c = p.client("c")
        for n in range(100):
            c.deliver(f"kept/{n}", bytes(500), 1, retain=1)
        p.ctl("banned", "add", "clientid", "evil", "0")
        assert p.end() == 0
        whole = p.dir / "whole"
        (p.dir / "data").rename(whole)
        files = [f.relative_to(whole) for f in whole.rglob("*") if f.is_file()]
        assert {"martlet.db", "loaded_plugins", "data.mdb"} <= {f.name for f in files}, files
        for file in files:
            for damage in (lambda t: b"", lambda t: t[:len(t) // 2], lambda t: b"\xa5" * len(t)):
                shutil.rmtree(p.dir / "data", ignore_errors=True)
                shutil.copytree(whole, p.dir / "data")
                changed = p.dir / "data" / file
                changed.write_bytes(damage(changed.read_bytes()))
                (p.dir / "output").write_text("")
                p.start().ready().serves()
                assert p.end() == 0, file
                errors = [line for line in p.output().splitlines() if "[error]" in line]
                if file.name in ("data.mdb", "martlet.db") and changed.stat().st_size > 1000 and b"\xa5" * 1000 in \
                        changed.read_bytes():
                    assert errors, f"not a word about {file}"
