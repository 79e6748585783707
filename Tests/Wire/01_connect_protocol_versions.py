# SPDX-License-Identifier: Apache-2.0
"""Which protocol names and levels are spoken, and how the first packet is read."""
from wire import *


@versions(3, 4, 5)
def test_each_version_connects(b, v):
    """3.1.1: [MQTT-3.1.4-4] [MQTT-3.2.0-1]. 5.0: [MQTT-3.1.4-5] [MQTT-3.2.0-1] [MQTT-3.2.2-1]."""
    c = b.client(v, session_present=0)
    c.quiet()
