# SPDX-License-Identifier: Apache-2.0
"""What the tests of Tests/Wire are written with: from wire import *"""
from .broker import free_port
from .build import (AUTH, CONNACK, CONNECT, DISCONNECT, PINGREQ, PINGRESP, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL,
                    SUBACK, SUBSCRIBE, UNSUBACK, UNSUBSCRIBE, Will, ack, auth, connect, disconnect, options, packet,
                    pingreq, publish, subscribe, unsubscribe)
from .client import DEADLINE, Client, Closed
from .marks import Skip, limit, martlet_only, measures, not_on_mosquitto, room_for, versions
from .parse import Violation, parse
from .props import encode, utf8, varint
from .waiting import in_time, wait_listening, wait_until
