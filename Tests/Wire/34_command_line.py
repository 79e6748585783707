# SPDX-License-Identifier: Apache-2.0
"""martlet_ctl: what it prints in EMQ's words, its exit status, its socket."""
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

from wire import *

MARTLET_ONLY = True
CONFIG = {"broker.sys_heartbeat": "200ms"}


def test_status(b):
    """Two lines: the node is started, the broker is running."""
    first, second = b.lines("status")[:2]
    assert re.fullmatch(r"Node '?martlet@127\.0\.0\.1'? is started", first), first
    assert re.fullmatch(r"martlet \S+ is running", second), second


def test_broker(b):
    """sysdescr, version, uptime, datetime."""
    names = [line.split(":")[0].strip() for line in b.lines("broker")]
    assert [n for n in ("sysdescr", "version", "uptime", "datetime") if n in names] == ["sysdescr", "version", "uptime",
                                                                                       "datetime"], names


def test_clients_list_show_kick(b):
    """A kicked MQTT 5 client is told 0x98; who is not there is Not Found."""
    c = b.client(5, username="ada")
    assert any(line.startswith(f"Client({b.id()},") and "username=ada" in line for line in b.lines("clients", "list"))
    assert b.lines("clients", "show", b.id())[0].startswith(f"Client({b.id()},")
    b.lines("clients", "kick", b.id())
    c.expect_closed(0x98)
    done = b.ctl("clients", "show", "nobody-here")
    assert done.returncode == 1 and "Not Found" in done.stderr + done.stdout, done
    assert b.ctl("clients", "kick", "nobody-here").returncode == 1


def test_subscriptions(b):
    """Client and filter in one line."""
    b.client(4).subscribe(b.topic("+/x"), 1)
    assert any(b.id() in line and b.topic("+/x") in line for line in b.lines("subscriptions", "list"))
    assert any(b.topic("+/x") in line for line in b.lines("subscriptions", "show", b.id()))
    assert b.ctl("subscriptions", "show", "nobody-here").returncode == 1


def test_retainer(b):
    """info, topics, clean."""
    pub = b.client(4)
    for i in range(3):
        pub.deliver(b.topic(str(i)), b"x", 1, retain=1)
    assert re.fullmatch(r"retained/total: \d+", b.lines("retainer", "info")[0])
    topics = b.lines("retainer", "topics")
    assert {b.topic(str(i)) for i in range(3)} <= set(topics), topics
    assert re.match(r"Cleaned \d+ retained messages", b.lines("retainer", "clean")[0])
    assert b.lines("retainer", "topics") == []


def test_options_of_the_broker(b):
    """What is missing or unknown is named, in a sentence before the usage."""
    broker = Path(b.tree) / "bin/martlet-broker"
    for arguments, said in ((["--root"], "--root needs a folder."), (["--check", "--config"], "--config needs a file."),
                            (["--config", ""], "--config needs a file."), (["--chekc"], "There is no option --chekc."),
                            (["--print-plugin-config"], "--print-plugin-config needs a file.")):
        done = subprocess.run([broker, *arguments], capture_output=True, text=True, timeout=20)
        assert done.returncode == 1 and not done.stdout, done
        assert done.stderr.startswith(said + "\nUsage: martlet-broker "), done
    done = subprocess.run([broker, "--help"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0 and done.stdout.startswith("Usage: martlet-broker ") and not done.stderr, done


def test_help_and_unknown_commands(b):
    """help shows every command; an unknown one fails in a sentence."""
    shown = "\n".join(b.lines("help"))
    for word in ("status", "plugins load", "clients kick", "subscriptions list", "retainer info"):
        assert word in shown, f"{word} is not in help"
    done = b.ctl("no_such_command")
    assert done.returncode == 1 and done.stderr.strip(), done
    done = b.ctl("plugins", "dance")
    assert done.returncode == 1 and "plugins list" in done.stdout + done.stderr, done


def test_words_too_many(b):
    """EMQ prints the usage of a command with words it does not take."""
    for words in (("status", "x"), ("broker", "stats", "x"), ("hooks", "x"), ("clients", "list", "x")):
        done = b.ctl(*words)
        assert done.returncode == 1 and not done.stdout, done
        assert done.stderr.startswith(words[0]) and " # " in done.stderr, done


def test_asked_for_help(b):
    """--help and -h are no mistakes, in either program."""
    for word in ("--help", "-h"):
        assert b.lines(word) == b.lines("help")
        done = subprocess.run([b.dir / "bin/martlet", word], capture_output=True, text=True, timeout=20)
        assert done.returncode == 0 and done.stdout.startswith("Usage: martlet COMMAND") and not done.stderr, done
    done = subprocess.run([b.dir / "bin/martlet", "dance"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1 and done.stderr.startswith("Usage: martlet COMMAND") and not done.stdout, done


def metric(b, name):
    return next(int(line.split(":")[1]) for line in b.lines("broker", "metrics") if line.split(":")[0].strip() == name)


def test_retained_messages_among_the_metrics(b):
    """messages/retained is the number of retained messages, as in EMQ."""
    pub = b.client(4)
    b.lines("retainer", "clean")
    for i in range(3):
        pub.deliver(b.topic(str(i)), b"x", 1, retain=1)
    wait_until(lambda: metric(b, "messages/retained") == 3, "three to be counted")
    b.lines("retainer", "clean")
    wait_until(lambda: metric(b, "messages/retained") == 0, "none to be left")


def test_system_messages_are_no_traffic(b):
    """What the broker says under $SYS counts as packets, not as messages."""
    c = b.client(4)
    c.subscribe("$SYS/brokers/+/uptime")
    before = metric(b, "messages/sent"), metric(b, "messages/qos0/sent"), metric(b, "packets/publish/sent")
    for _ in range(2):
        c.expect("PUBLISH")
    # Those two may have been on their way before the counters were read.
    wait_until(lambda: metric(b, "packets/publish/sent") > before[2], "another one to be counted")
    after = metric(b, "messages/sent"), metric(b, "messages/qos0/sent")
    assert after == before[:2], (before, after)


def test_the_socket_is_private(b):
    """Mode 0600: only the broker's user commands it."""
    mode = os.stat(b.dir / "data/martlet.sock").st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600, oct(mode)


def test_in_a_pipe(b):
    """Output that nobody reads to its end does no harm."""
    done = subprocess.run(f"{b.dir}/bin/martlet_ctl help | head -1", shell=True, capture_output=True, text=True)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 1, done
    b.client(4).quiet()


def test_many_at_once(b):
    """Thirty commands side by side."""
    command = [b.dir / "bin/martlet_ctl", "status"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(30)]
    for process in running:
        assert "is running" in process.communicate(timeout=30)[0] and process.returncode == 0


def test_without_a_broker(b):
    """Nobody answers: one sentence, exit status 1."""
    assert b.stop() == ""
    done = b.ctl("status")
    b.start()
    assert done.returncode == 1 and len(done.stderr.strip().splitlines()) >= 1, done


def documented():
    """Each `martlet_ctl WORDS` in the text or a command block of the documents."""
    root = Path(__file__).resolve().parents[2]
    for path in (root / "README.md", *root.glob("docs/*.md"), *root.glob("Plugins/*/README.md")):
        for words in re.findall(r"(?:^ {4}|`)(?:\S*/)?martlet_ctl +([a-z][^`\n#]*)", path.read_text(), re.M):
            yield path.relative_to(root), words.split()


def test_documented_commands_exist(b):
    """What the documents tell to type begins with a command that help names once all plugins are loaded."""
    keys = b.dir / "etc/psk.conf"
    keys.touch(0o600)
    for image in (b.dir / "plugins").glob("*.so"):
        if f"Plugin({image.stem}, " in b.ctl("plugins", "list").stdout:
            b.ctl("plugins", "load", image.stem)
    commands = []
    for line in b.lines("help"):
        literal = re.match(r"[a-z][\w-]*(?: +[a-z][\w-]*)*(?= |$)", line.split("#")[0])
        commands += [literal[0].split()] if literal else []
    assert len(commands) > 40, commands
    commands.append(["greeter"])  # the guide's example
    for path, words in documented():
        assert any(all(w == c for w, c in zip(words, command)) for command in commands), f"{path}: {words}"


def test_first_start_with_other_folders(b):
    """Data kept elsewhere, a loaded-plugins file that cannot be written: plugins.default is loaded all the same."""
    before = b.config
    for more in ({"node.data_dir": "elsewhere"}, {"plugins.loaded_file": "no/such/folder/loaded_plugins"}):
        assert b.stop() == ""
        shutil.rmtree(b.dir / "data")
        b.config = {**before, **more}
        b.start()
        assert any("Plugin(retainer," in line and "active=true" in line for line in b.lines("plugins", "list")), more
        said = (b.dir / "output").read_text()
        assert ("no/such/folder/loaded_plugins cannot be written" in said) == ("plugins.loaded_file" in more), said
    assert b.stop() == ""
    b.config = before
    b.start()
