# SPDX-License-Identifier: Apache-2.0
"""Plugins in C for the tests, compiled against the headers of the installed tree, and clients in C."""
import os
import shutil
import subprocess
from pathlib import Path

from .marks import Skip

SOURCES = Path(__file__).resolve().parents[2] / "PluginABI"


def compile_plugin(broker, source, name, defines=(), target=None, static_name=None):
    """Compile Tests/PluginABI/SOURCE.c to plugins/NAME.so (or to target) of the broker's directory; -D from defines."""
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("cc") or shutil.which("clang")
    if not compiler:
        raise Skip("there is no C compiler")
    target = Path(target or broker.dir / "plugins" / f"{name}.so")
    made = target.with_name(target.name + ".new")
    flags = ["-std=gnu11", "-Wall", "-O1", "-shared", "-fPIC", "-fvisibility=hidden", "-pthread"]
    done = subprocess.run([compiler, *flags, f"-I{broker.dir / 'include'}",
                           *(f"-D{d}" for d in defines), str(SOURCES / f"{source}.c"),
                           "-o", str(made)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    made.chmod(0o755)
    made.rename(target)
    return target


def compile_program(source, target):
    """Compile wire/SOURCE.c, a client that needs more of OpenSSL than Python has, to the file target."""
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("cc") or shutil.which("clang")
    if not compiler or not Path("/usr/include/openssl/ssl.h").exists():
        raise Skip("there is no C compiler with OpenSSL's headers")
    if not Path(target).exists():
        done = subprocess.run([compiler, "-O1", "-Wall", str(Path(__file__).parent / f"{source}.c"), "-o", str(target),
                               "-lssl", "-lcrypto"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    return str(target)


def install(image, broker, name):
    """Put an image in place as plugins/NAME.so, by renaming: a file in use is never written to."""
    made = broker.dir / "plugins" / f"{name}.so.new"
    shutil.copyfile(image, made)
    made.chmod(0o755)
    made.rename(broker.dir / "plugins" / f"{name}.so")


def quoted(name, text):
    """A -D whose value is a C string."""
    return f'{name}="{text}"'
