# SPDX-License-Identifier: Apache-2.0
"""Plugins without which the broker shall not run, how many loops it has, and signals it has no use for."""
import os
import signal
from pathlib import Path

from wire import *
from wire.place import Place

MARTLET_ONLY = True


def test_a_required_plugin_that_does_not_run(b):
    """Whatever keeps it from running: no door opens, and the sentence names the key, the plugin and the reason."""
    with Place(b, "absent", plugins="retainer", plugins__required="retainer,no_such_guard") as p:
        p.start()
        assert p.process.wait(30) == 1, p.output()
        last = p.output().strip().splitlines()[-1]
        assert last.startswith("plugins.required names no_such_guard, which does not run: "), p.output()
        assert "listener" not in p.output(), p.output()
    with Place(b, "mistaken", plugins="acl_file", plugins__required="emq_acl_file") as p:
        (p.dir / "etc/plugins/acl_file.conf").write_text("acl.flie = x\n")
        p.start()
        assert p.process.wait(30) == 1, p.output()
        assert "acl_file, which does not run: " in p.output() and "did you mean acl.file?" in p.output(), p.output()


def test_a_required_plugin_stays(b):
    """It cannot be unloaded, but replaced; another can be unloaded."""
    with Place(b, plugins="retainer,echo", plugins__required="retainer") as p:
        p.start().ready().serves()
        done = p.ctl("plugins", "unload", "retainer")
        assert done.returncode == 1 and "plugins.required" in done.stderr, done
        assert p.ctl("plugins", "reload", "retainer").returncode == 0
        assert p.ctl("plugins", "unload", "echo").returncode == 0
        assert "Plugin(retainer, " in p.ctl("plugins", "list").stdout
        assert p.end() == 0


def test_signals_of_other_brokers(b):
    """SIGUSR1 and SIGUSR2, which scripts send to other daemons, do not end this one."""
    with Place(b) as p:
        p.start().ready()
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            os.kill(p.process.pid, number)
        p.serves()
        assert p.end() == 0


def test_a_loop_for_each_core_it_may_run_on(b):
    """node.loops = auto: one for a broker that is bound to one core, however many the machine has."""
    core = str(min(os.sched_getaffinity(0)))
    with Place(b) as p:
        p.start(command=["taskset", "-c", core, b.dir / "bin/martlet-broker"]).ready()
        threads = [one.read_text().strip() for one in Path(f"/proc/{p.process.pid}/task").glob("*/comm")]
        assert [name for name in threads if name.startswith("loop-")] == ["loop-0"], threads
        assert p.end() == 0
