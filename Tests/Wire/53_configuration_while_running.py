# SPDX-License-Identifier: Apache-2.0
"""plugins show, plugins reconfigure and SIGHUP: values, where they come from, and changing them under traffic."""
import os
import re
import signal

from wire import *

MARTLET_ONLY = True
PLUGINS = ["retainer", "acl_file", "auth_username"]
PLUGIN_CONFIG = {
    "retainer": {"retainer.max_payload_size": "1KB"},
    "auth_username": {"auth.user.1.username": "ada", "auth.user.1.password": "lovelace"},
}


def shown(b, name):
    """key → value of plugins show."""
    done = b.ctl("plugins", "show", name)
    assert done.returncode == 0 and not done.stderr, done
    return dict(re.split(r"\s*: ", line, maxsplit=1) for line in done.stdout.splitlines())


def retained(b, topic, size):
    """Whether a retained message of this size is there for a later subscriber."""
    b.client(5, "p").deliver(topic, b"x" * size, 1, retain=1)
    return topic in b.ctl("retainer", "topics").stdout.split()


def until_denied(b, pub, denied=True):
    """Rules that have changed reach each event loop when it comes to it: after the command has answered, perhaps."""
    wait_until(lambda: (pub.deliver(b.topic(), b"x", 1, codes=(0, 0x10, 0x87)) == 0x87) == denied, "the new rules")


def test_show_tells_values_and_sources(b):
    """File and line, or default; a secret is never shown."""
    keys = shown(b, "retainer")
    assert re.fullmatch(r"1KB \(\S*etc/plugins/retainer\.conf:1\)", keys["retainer.max_payload_size"]), keys
    assert keys["retainer.storage_type"] == "disc (default)", keys
    assert keys["retainer.max_retained_messages"] == "not set", keys
    done = b.ctl("plugins", "show", "auth_username")
    assert "lovelace" not in done.stdout, done.stdout
    keys = shown(b, "auth_username")
    assert re.fullmatch(r"\*{6} \(\S*auth_username\.conf:2\)", keys["auth.user.1.password"]), keys
    assert re.fullmatch(r"ada \(\S*auth_username\.conf:1\)", keys["auth.user.1.username"]), keys


def test_reconfigure_takes_live_changes(b):
    """One line with the keys that changed and those that wait; the next message meets the new limit."""
    c = b.client(5)
    assert retained(b, b.topic("small"), 1000) and not retained(b, b.topic("large"), 2000)
    b.configure_plugin("retainer", {"retainer.max_payload_size": "4KB", "retainer.storage_type": "ram"})
    done = b.ctl("plugins", "reconfigure", "retainer")
    assert (done.returncode, done.stderr) == (0, ""), done
    assert done.stdout == ("Plugin retainer: retainer.max_payload_size changed; "
                           "retainer.storage_type waits for the next load.\n"), done
    assert retained(b, b.topic("large"), 2000)
    kept = shown(b, "retainer")["retainer.storage_type"]
    assert re.fullmatch(r"disc \(default\), at the next load ram \(\S*retainer\.conf:2\)", kept), kept
    b.configure_plugin("retainer", PLUGIN_CONFIG["retainer"])
    assert b.ctl("plugins", "reconfigure", "retainer").stdout == "Plugin retainer: retainer.max_payload_size changed.\n"
    assert b.ctl("plugins", "reconfigure", "retainer").stdout == "Plugin retainer: nothing has changed.\n"
    c.quiet()


def test_a_mistake_changes_nothing(b):
    """One sentence with file and line, exit status 1; what was in force stays so."""
    b.configure_plugin("retainer", {"retainer.max_payload_size": "8KB", "retainer.max_mesage_num": "3"})
    done = b.ctl("plugins", "reconfigure", "retainer")
    assert done.returncode == 1 and not done.stdout and len(done.stderr.strip().splitlines()) == 1, done
    assert "retainer.conf:2: retainer.max_mesage_num: unknown key" in done.stderr, done
    assert shown(b, "retainer")["retainer.max_payload_size"].startswith("1KB "), "it is still the old one"
    b.configure_plugin("retainer", PLUGIN_CONFIG["retainer"])
    for words in (("reconfigure", "no_such_plugin"), ("reconfigure", "plugin_template")):
        done = b.ctl("plugins", *words)
        assert done.returncode == 1 and len(done.stderr.strip().splitlines()) == 1, done


def test_sighup_reads_conf_files_and_rules_again(b):
    """All plugins at once, the access rules with them; connections stay, and the log tells what changed."""
    pub, rules = b.client(5, "pub", username="ada", password="lovelace"), b.dir / "etc/acl.conf"
    before = rules.read_text()
    until_denied(b, pub, False)
    rules.write_text("{deny, all, publish, [\"%s\"]}.\n{allow, all}.\n" % b.topic())
    b.configure_plugin("retainer", {"retainer.max_payload_size": "2KB"})
    os.kill(b.process.pid, signal.SIGHUP)
    wait_until(lambda: shown(b, "retainer")["retainer.max_payload_size"].startswith("2KB "), "a change by SIGHUP")
    until_denied(b, pub)
    log = (b.dir / "output").read_text() + "".join(p.read_text() for p in b.dir.glob("log/*"))
    assert "retainer: retainer.max_payload_size was 1KB and is now 2KB" in log, log[-2000:]
    assert "configuration of acl_file: acl.file read again" in log, log[-2000:]

    # Rules with a mistake: the old ones stay, and the other plugins get their values all the same.
    rules.write_text("{allow, nobody_knows}.\n")
    b.configure_plugin("retainer", PLUGIN_CONFIG["retainer"])
    os.kill(b.process.pid, signal.SIGHUP)
    wait_until(lambda: shown(b, "retainer")["retainer.max_payload_size"].startswith("1KB "), "a second change")
    assert pub.deliver(b.topic(), b"x", 1, codes=(0x87,)) == 0x87
    done = b.ctl("plugins", "reconfigure", "acl_file")
    assert done.returncode == 1 and "acl.conf:1" in done.stderr, done

    rules.write_text(before)
    assert b.ctl("plugins", "reconfigure", "acl_file").stdout == "Plugin acl_file: acl.file read again.\n"
    until_denied(b, pub, False)
    pub.quiet()


def test_sighup_checks_the_brokers_own_file(b):
    """martlet.conf is read at the start; SIGHUP says what is wrong with it, or what waits, and stops nothing."""
    conf, c = b.dir / "etc/martlet.conf", b.client(5, "c", username="ada", password="lovelace")
    good = conf.read_text()
    output = b.dir / "output"

    def said():
        size = len(output.read_text())
        os.kill(b.process.pid, signal.SIGHUP)
        wait_until(lambda: re.search(r"martlet\.conf is (not )?valid.*\n", output.read_text()[size:]), "a word of it")
        return output.read_text()[size:]

    assert "martlet.conf is valid and sets what is in force." in said()
    lines = good.count("\n")
    conf.write_text(good + "mqtt.max_paket_size = 1KB\nmqtt.retain_available = perhaps\nlog.level = info\n")
    log = said()
    assert re.search(rf"error\S* .*martlet\.conf:{lines + 1}: mqtt\.max_paket_size: unknown key; "
                     r"did you mean mqtt\.max_packet_size\?\n", log), log
    assert f"martlet.conf:{lines + 2}: mqtt.retain_available: \"perhaps\" is not valid, expected" in log, log
    assert "martlet.conf is not valid: what it read at its start stays in force" in log, log
    conf.write_text(good + "mqtt.max_packet_size = 2KB\nmqtt.retain_available = off\n")
    log = said()
    assert "mqtt.max_packet_size, mqtt.retain_available changed and wait for the next start." in log, log
    c.deliver(b.topic(), b"x" * 4096, 1, retain=1)
    c.deliver(b.topic(), b"", 1, retain=1)
    conf.unlink()
    os.kill(b.process.pid, signal.SIGHUP)
    wait_until(lambda: "martlet.conf: cannot be read" in output.read_text(), "a word of the missing file")
    conf.write_text(good)
    c.quiet()
    assert b.died() == ""
