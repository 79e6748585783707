# SPDX-License-Identifier: Apache-2.0
"""What a test function says about itself, and whether it can run here."""
import resource


class Skip(Exception):
    """Raised by a test that cannot run here; the text says why."""


def versions(*numbers):
    """Run the test once for each protocol version; it takes the version as its second argument."""
    def mark(function):
        function.versions = numbers
        return function
    return mark


def not_on_mosquitto(why, v=None):
    """mosquitto 2.0.11 is known to differ here (in version v, or in all): skipped under --mosquitto."""
    def mark(function):
        function.differs = {**getattr(function, "differs", {}), v: why}
        return function
    return mark


def martlet_only(function):
    """About Martlet's own doors: its command line, its plugins."""
    return not_on_mosquitto("about Martlet alone")(function)


def measures(function):
    """About time, memory or the size of files, which are not the broker's own under a sanitizer: skipped there."""
    function.measures = True
    return function


def limit(seconds):
    """How long the test may run at most, in seconds (60 unless told)."""
    def mark(function):
        function.limit = seconds
        return function
    return mark


def room_for(count):
    """This process may hold so many sockets beside its other files, or the test cannot run."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count + 200:
        if hard < count + 200:
            raise Skip(f"a process may open {hard} files here")
        resource.setrlimit(resource.RLIMIT_NOFILE, (count + 200, hard))
