# SPDX-License-Identifier: Apache-2.0
"""Tests/PluginABI/http.c from outside: the plugin that the tests of HTTP ask, and what it says of itself."""
import os

from .cplugin import compile_plugin, quoted


def loaded(b, *defines, version="1.0.0"):
    """The plugin http, newly loaded, with a folder to serve."""
    folder = b.dir / "www"
    if not folder.exists():
        (folder / "sub").mkdir(parents=True)
        (folder / "sub/index.html").write_text("<p>index</p>\n")
        (folder / "page.html").write_text("<p>page</p>\n")
        (folder / "ten.txt").write_text("0123456789")
        (folder / ".secret").write_text("hidden")
        (b.dir / "outside.txt").write_text("outside")
        (folder / "way-out").symlink_to(b.dir / "outside.txt")
        (folder / "big.bin").write_bytes(os.urandom(3 << 20))
    compile_plugin(b, "http", "http", ['ID="http"', quoted("VERSION", version), quoted("FOLDER", folder), *defines])
    b.ctl("plugins", "unload", "http")
    b.load("http")
    return folder


def counts(b):
    listed = b.ctl("http", "counts")
    assert listed.returncode == 0, listed
    return {k: int(v) for k, v in (line.split("=") for line in listed.stdout.split())}
