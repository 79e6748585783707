# SPDX-License-Identifier: Apache-2.0
"""A broken plugin gives one sentence and exit status 1, and changes nothing."""
import os
import subprocess

from wire import *
from wire.cplugin import compile_plugin, install, quoted

MARTLET_ONLY = True
PLUGINS = []


def state(b):
    """The hooks and the plugins that run."""
    listed = b.ctl("plugins", "list").stdout.splitlines()
    return b.ctl("hooks").stdout, [line for line in listed if "active=true" in line]


def refused(b, name, *words):
    """plugins load NAME says why in one line, the broker is as before and serves on."""
    before = state(b)
    loaded = (b.dir / "data/loaded_plugins")
    file = loaded.read_text() if loaded.exists() else ""
    done = b.ctl("plugins", "load", name)
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 1, f"exit status {done.returncode}: {done}"
    assert len(lines) == 1 and not done.stdout, f"not one sentence: {done.stderr!r} {done.stdout!r}"
    for word in words:
        assert word in lines[0], f"{word!r} is not in: {lines[0]}"
    after = state(b)
    assert after == before, f"{before} became {after}"
    assert (loaded.read_text() if loaded.exists() else "") == file
    b.client(5).quiet().disconnect()


def test_wrong_abi(b):
    """Another major version of the plugin line."""
    compile_plugin(b, "minimal", "minimal", ["ABI=99"])
    refused(b, "minimal", "99", "ABI")


def test_missing_need(b):
    """An extension this broker does not have."""
    compile_plugin(b, "minimal", "minimal", [quoted("NEED", "martlet.teleport/7")])
    refused(b, "minimal", "martlet.teleport/7")


def test_wrong_id(b):
    """The file's name and the plugin's own differ."""
    compile_plugin(b, "minimal", "minimal", [quoted("ID", "somebody_else")])
    refused(b, "minimal", "somebody_else")


def test_entry_too_small(b):
    """An entry struct smaller than any that ever was."""
    compile_plugin(b, "minimal", "minimal", ["ENTRY_SIZE=8"])
    refused(b, "minimal")


def test_entry_is_null(b):
    """martlet_plugin_entry answers nothing."""
    compile_plugin(b, "minimal", "minimal", ["NULL_ENTRY"])
    refused(b, "minimal")


def test_create_fails(b):
    """The plugin's own sentence is what one reads."""
    compile_plugin(b, "minimal", "minimal", ["FAIL_CREATE"])
    refused(b, "minimal", "there is no room in the cellar")


def test_start_fails_half_way(b):
    """What it had registered is rolled back."""
    compile_plugin(b, "minimal", "minimal", ["FAIL_START"])
    refused(b, "minimal", "the cellar is flooded")
    assert b.ctl("minimal").returncode == 1, "its command must be gone"


def test_start_fails_without_a_word(b):
    """The broker finds words for it."""
    compile_plugin(b, "minimal", "minimal", ["FAIL_START", "SILENT"])
    refused(b, "minimal", "minimal")


def test_no_start_function(b):
    """A plugin struct with a hole in it."""
    compile_plugin(b, "minimal", "minimal", ["NO_START"])
    refused(b, "minimal", "start")


def test_bad_configuration(b):
    """Unknown key, bad value, key twice: file, line, key, what was expected, the nearest known key."""
    compile_plugin(b, "minimal", "minimal", ["MUST_SET"])
    for keys, words in (({"minimal.number": "11"}, ["minimal.conf:1", "minimal.number", "11", "from 1 to 10"]),
                        ({"minimal.number": "many"}, ["minimal.conf", "minimal.number"]),
                        ({"minimal.numbr": "3"}, ["minimal.numbr", "minimal.number"])):
        b.configure_plugin("minimal", keys)
        refused(b, "minimal", *words)
    (b.dir / "etc/plugins/minimal.conf").write_text("minimal.number = 1\nminimal.number = 2\n")
    refused(b, "minimal", "minimal.number")
    (b.dir / "etc/plugins/minimal.conf").write_text("this is no key\n")
    refused(b, "minimal", "minimal.conf")
    (b.dir / "etc/plugins/minimal.conf").write_text("## a comment\nminimal.number = 3\n")
    b.load("minimal")
    b.ctl("plugins", "unload", "minimal")
    (b.dir / "etc/plugins/minimal.conf").unlink()


def test_not_a_library(b):
    """Text, an empty file, a library cut short, a library that is no plugin."""
    path = b.dir / "plugins/junk.so"
    for content in (b"", b"#!/bin/sh\necho hello\n", b"\x7fELF", b"\x7fELF" + bytes(60), os.urandom(5000)):
        path.write_bytes(content)
        path.chmod(0o755)
        refused(b, "junk", "junk")
    whole = compile_plugin(b, "minimal", "minimal").read_bytes()
    for size in (200, 1000, len(whole) // 2, len(whole) - 1000):
        path.write_bytes(whole[:size])
        refused(b, "junk", "junk")
    path.unlink()


def test_a_program_is_no_plugin(b):
    """An executable, and a folder with the right name."""
    install("/usr/bin/python3" if os.path.exists("/usr/bin/python3") else "/bin/sh", b, "program")
    refused(b, "program", "program")
    (b.dir / "plugins/program.so").unlink()
    (b.dir / "plugins/folder.so").mkdir()
    refused(b, "folder")
    (b.dir / "plugins/folder.so").rmdir()


def test_other_architecture(b):
    """The machine in the ELF header is another one."""
    image = bytearray(compile_plugin(b, "minimal", "minimal").read_bytes())
    image[18:20] = (243 if image[18] != 243 else 62).to_bytes(2, "little")
    path = b.dir / "plugins/foreign.so"
    path.write_bytes(bytes(image))
    path.chmod(0o755)
    refused(b, "foreign", "RISC-V")
    path.unlink()


def test_writable_by_others(b):
    """Who may write a plugin's file may run code in the broker."""
    path = compile_plugin(b, "minimal", "minimal")
    for mode in (0o777, 0o757, 0o775):
        path.chmod(mode)
        refused(b, "minimal", "written")
    path.chmod(0o755)
    b.load("minimal")
    b.ctl("plugins", "unload", "minimal")


def test_missing_library(b):
    """A symbol nobody has: the linker's own sentence, in one line."""
    source = b.dir / "undefined.c"
    source.write_text("void nobody_has_this(void);\n"
                      "const void *martlet_plugin_entry(void) { nobody_has_this(); return 0; }\n")
    done = subprocess.run(["gcc", "-shared", "-fPIC", str(source), "-o", str(b.dir / "plugins/undefined.so")])
    if done.returncode:
        raise Skip("there is no C compiler")
    refused(b, "undefined", "nobody_has_this")
    (b.dir / "plugins/undefined.so").unlink()


def test_library_without_entry(b):
    """A library, but no plugin."""
    source = b.dir / "plain.c"
    source.write_text("int forty_two(void) { return 42; }\n")
    if subprocess.run(["gcc", "-shared", "-fPIC", str(source), "-o", str(b.dir / "plugins/plain.so")]).returncode:
        raise Skip("there is no C compiler")
    refused(b, "plain", "martlet_plugin_entry")
    (b.dir / "plugins/plain.so").unlink()


def test_broken_plugin_in_the_loaded_file_does_not_stop_the_start(b):
    """A plugin that broke since: the broker starts, says so, and serves."""
    compile_plugin(b, "minimal", "minimal")
    b.load("minimal")
    assert b.stop() == ""
    compile_plugin(b, "minimal", "minimal", ["ABI=99"])
    b.start()
    b.client(5).quiet()
    assert "active=true" not in "".join(x for x in b.ctl("plugins", "list").stdout.splitlines() if "minimal" in x)
