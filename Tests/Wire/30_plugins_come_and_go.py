# SPDX-License-Identifier: Apache-2.0
"""plugins list, load, unload, reload: what they print, and that it is so."""
import re

from wire import *
from wire.cplugin import compile_plugin, quoted

MARTLET_ONLY = True
PLUGINS = []
LINE = re.compile(r"Plugin\((\w+), version=([^,]+), description=(.*), active=(true|false)\)")


def listed(b):
    """name → (version, active) of plugins list, whose every line has the known form."""
    done = b.ctl("plugins", "list")
    assert done.returncode == 0 and not done.stderr, done
    found = {}
    for line in done.stdout.splitlines():
        match = LINE.fullmatch(line)
        assert match, f"not the form of plugins list: {line}"
        found[match[1]] = (match[2], match[4] == "true")
    return found


def fails(done, *words):
    """Exit status 1 and one line on the standard error that holds these words."""
    assert done.returncode == 1 and not done.stdout, done
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    for word in words:
        assert word in done.stderr, f"{word!r} is not in: {done.stderr}"


def test_load_list_unload(b):
    """The texts of EMQ: loaded successfully, unloaded successfully, active=true and false."""
    compile_plugin(b, "minimal", "minimal")
    assert listed(b)["minimal"] == ("1.0.0", False)
    done = b.ctl("plugins", "load", "minimal")
    assert done.returncode == 0 and "Plugin minimal loaded successfully.\n" in done.stdout, done
    assert listed(b)["minimal"] == ("1.0.0", True)
    c = b.client(4)
    c.deliver(b.topic(), b"x", 1)
    assert b.ctl("minimal").stdout == "1.0.0 1\n"
    done = b.ctl("plugins", "unload", "minimal")
    assert done.returncode == 0 and "Plugin minimal unloaded successfully.\n" in done.stdout, done
    assert listed(b)["minimal"][1] is False
    assert b.ctl("minimal").returncode == 1, "its command must be gone"
    c.quiet()


def test_nothing_stays_mapped(b):
    """After unload /proc/PID/maps has as many regions as before: the image is gone."""
    compile_plugin(b, "minimal", "minimal")
    def regions():
        return sorted(line.split(None, 5)[-1] for line in b.maps().splitlines() if ".so" in line or "(deleted)" in line)
    before = regions()
    b.load("minimal")
    during = regions()
    assert during != before, "loading maps something"
    b.ctl("plugins", "unload", "minimal")
    assert regions() == before, set(regions()) - set(before)


def test_prefixes_of_emq_are_dropped(b):
    """emqx_, emq_ and emqttd_ in front of a name."""
    compile_plugin(b, "minimal", "minimal")
    for prefix in ("emqx_", "emq_", "emqttd_"):
        done = b.ctl("plugins", "load", prefix + "minimal")
        assert done.returncode == 0 and "Plugin minimal loaded successfully." in done.stdout, done
        done = b.ctl("plugins", "unload", prefix + "minimal")
        assert done.returncode == 0, done


def test_wrong_names_and_states(b):
    """One sentence and exit status 1 each; the names of EMQ's errors are in it."""
    compile_plugin(b, "minimal", "minimal")
    fails(b.ctl("plugins", "load", "no_such_plugin"), "no_such_plugin", "not_found")
    fails(b.ctl("plugins", "unload", "minimal"), "not_started")
    fails(b.ctl("plugins", "reload", "minimal"), "not_started")
    fails(b.ctl("plugins", "load", "../etc/passwd"))
    b.load("minimal")
    fails(b.ctl("plugins", "load", "minimal"), "already_started")
    b.ctl("plugins", "unload", "minimal")


def test_near_name_is_suggested(b):
    """A typing error costs one look."""
    compile_plugin(b, "minimal", "minimal")
    fails(b.ctl("plugins", "load", "minimol"), "minimal?")


def test_reload_takes_the_new_file(b):
    """The file on disk replaces the running image; counters start anew, clients notice nothing."""
    c = b.client(5)
    for version in ("1.0.0", "1.1.0", "2.0.0"):
        compile_plugin(b, "minimal", "minimal", [quoted("VERSION", version)])
        if version == "1.0.0":
            b.load("minimal")
        else:
            done = b.ctl("plugins", "reload", "minimal")
            assert done.returncode == 0 and "Plugin minimal reloaded successfully." in done.stdout, done
        assert listed(b)["minimal"] == (version, True)
        c.deliver(b.topic(), b"x", 1)
        assert b.ctl("minimal").stdout == f"{version} 1\n"
    b.ctl("plugins", "unload", "minimal")
    c.quiet()


def test_failed_reload_leaves_the_old_one_running(b):
    """The new image is refused, the old one serves on."""
    compile_plugin(b, "minimal", "minimal")
    b.load("minimal")
    compile_plugin(b, "minimal", "minimal", [quoted("VERSION", "2.0.0"), "FAIL_START"])
    fails(b.ctl("plugins", "reload", "minimal"), "the cellar is flooded")
    assert b.ctl("minimal").stdout.startswith("1.0.0 ")
    c = b.client(4)
    c.deliver(b.topic(), b"x", 1)
    assert b.ctl("minimal").stdout == "1.0.0 1\n"
    b.ctl("plugins", "unload", "minimal")


def test_hook_can_drop_a_message(b):
    """A publish hook that stops: not delivered, and acknowledged all the same. Its topic filter spares the others."""
    compile_plugin(b, "minimal", "minimal", [quoted("STOP_TOPIC", "forbidden/#")])
    b.load("minimal")
    sub, pub = b.client(5, "sub"), b.client(5, "pub")
    sub.subscribe([("forbidden/#", 1), (b.topic("free"), 1)])
    pub.deliver("forbidden/x", b"x", 1, codes=(0, 0x10, 0x87))
    pub.deliver(b.topic("free"), b"y", 1)
    sub.take(b.topic("free"), b"y")
    b.ctl("plugins", "unload", "minimal")
    pub.deliver("forbidden/x", b"now", 1)
    sub.take("forbidden/x", b"now")


def test_loaded_plugins_come_back_after_a_restart(b):
    """data/loaded_plugins is honoured at start and rewritten by load and unload."""
    compile_plugin(b, "minimal", "minimal")
    b.load("minimal")
    assert "minimal." in (b.dir / "data/loaded_plugins").read_text().split()
    assert b.stop() == ""
    b.start()
    assert listed(b)["minimal"][1] is True
    b.ctl("plugins", "unload", "minimal")
    assert "minimal." not in (b.dir / "data/loaded_plugins").read_text().split()
    assert b.stop() == ""
    b.start()
    assert listed(b)["minimal"][1] is False


def test_show_and_hooks_name_the_plugin(b):
    """plugins show tells what it registered; hooks lists the chain."""
    compile_plugin(b, "minimal", "minimal")
    b.load("minimal")
    done = b.ctl("plugins", "show", "minimal")
    assert done.returncode == 0 and "1.0.0" in done.stdout, done
    done = b.ctl("hooks")
    assert done.returncode == 0 and "message.publish" in done.stdout and "minimal" in done.stdout, done
    b.ctl("plugins", "unload", "minimal")
    assert "minimal" not in b.ctl("hooks").stdout
    fails(b.ctl("plugins", "show", "no_such_plugin"), "not_found")


def test_hooks_for_messages_with_the_retain_flag_alone(b):
    """Others are not shown to them, not counted, and not looked at; a hook before them may set the flag."""
    compile_plugin(b, "only_retained", "only_retained", [quoted("ID", "only_retained")])
    b.load("only_retained")
    counters = lambda: [int(pair.split("=")[1]) for pair in b.ctl("only_retained").stdout.split()]
    sub, c = b.client(5, "sub"), b.client(5, "pub")
    sub.subscribe([("a/#", 8), ("turned", 8)])  # Retain As Published
    for topic, retain, seen in (("a/b", 0, [0, 0, 0]), ("a/b", 1, [1, 1, 1]), ("a/b/c", 1, [2, 2, 1]),
                                ("turned", 0, [2, 2, 1])):
        c.deliver(topic, b"x", 1, retain=retain)
        assert sub.expect("PUBLISH").retain == retain
        assert counters() == seen, (topic, retain, counters())
    lines = [line for line in b.ctl("hooks").stdout.splitlines() if "plugin=only_retained" in line]
    assert len(lines) == 3 and all("only=retain" in line for line in lines), lines
    assert "calls=2," in lines[0] and "calls=1," in lines[1] and "calls=2," in lines[2], lines
    assert b.ctl("only_retained", "on").returncode == 0
    for topic, retain, seen in (("turned", 1, [3, 3, 1]), ("a/b", 0, [3, 3, 1])):
        c.deliver(topic, b"x", 1)
        assert sub.expect("PUBLISH").retain == retain
        assert counters() == seen, (topic, counters())
    assert b.ctl("only_retained", "off").returncode == 0
    c.deliver("turned", b"x", 1)
    assert sub.expect("PUBLISH").retain == 0 and counters() == [3, 3, 1]
    assert (got := b.ctl("only_retained", "bad").stdout) == "client=-1\nbit=-1\n"
    assert b.ctl("plugins", "unload", "only_retained").returncode == 0


def test_templates_load_and_unload(b):
    """The two templates that ship, if they ship."""
    for name in ("plugin_template", "plugin_template_c"):
        if not (b.dir / f"plugins/{name}.so").exists():
            raise Skip(f"there is no {name}")
        done = b.ctl("plugins", "load", name)
        assert done.returncode == 0 and f"Plugin {name} loaded successfully." in done.stdout, done
        c = b.client(5)
        c.subscribe(b.topic(), 1)
        c.deliver(b.topic(), b"x", 1)
        c.take(b.topic(), b"x")
        c.disconnect()
        done = b.ctl("plugins", "unload", name)
        assert done.returncode == 0, done
        assert f"{name}" not in b.maps()
