# SPDX-License-Identifier: Apache-2.0
"""Frames of WebSocket, right and wrong ones: what a server answers, how it ends, and what it counts."""
import struct
from random import Random

from wire import *
from wire.ws import *

MARTLET_ONLY = True
WEB = free_port()
CONFIG = {"node.loops": "2", "listener.ws.web": f"127.0.0.1:{WEB}", "mqtt.max_packet_size": "2MB"}


def connected(b, v=4, **more):
    f = Frames(plain_socket(WEB, DEADLINE))
    f.v = v
    f.sock.sendall(frame(BINARY, connect(v, b.id(), **more)))
    opcode, payload = f.frame()
    assert opcode == BINARY and payload[0] == 0x20 and payload[3] == 0, payload
    return f


def alive(f):
    f.sock.sendall(frame(BINARY, pingreq()))
    assert f.frame() == (BINARY, b"\xd0\0"), "PINGREQ is answered"
    return f


def fails(b, code, reason, data, v=4):
    """The bytes end the connection with this close code, and the reason is counted once."""
    before = b.ended("ws:web", reason)
    f = connected(b, v)
    f.sock.sendall(data)
    f.expect_close(code)
    b.wait_counted("ws:web", reason, before + 1)


def protocol_error(b, data):
    fails(b, 1002, "ws_protocol_error", data)


# -- what breaks a rule --------------------------------------------------------------------------------------------

def test_text_frames(b):
    """[MQTT-6.0.0-1]"""
    for data in (frame(TEXT, pingreq()), frame(TEXT), frame(TEXT, b"x", fin=0), b"\x81"):
        fails(b, 1003, "ws_text_frame", data)


def test_unmasked_frames(b):
    protocol_error(b, frame(BINARY, pingreq(), key=None))
    protocol_error(b, frame(PING, b"", key=None))
    protocol_error(b, frame(CLOSE, b"\x03\xe8", key=None))


def test_reserved_bits(b):
    for bits in (0x40, 0x20, 0x10, 0x70):
        protocol_error(b, frame(BINARY, pingreq(), bits=bits))
    protocol_error(b, frame(PING, bits=0x40))


def test_reserved_opcodes(b):
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        protocol_error(b, frame(opcode, pingreq()))


def test_control_frames_in_fragments(b):
    for opcode in (PING, PONG, CLOSE):
        protocol_error(b, frame(opcode, b"", fin=0))


def test_control_frames_too_long(b):
    for opcode in (PING, PONG, CLOSE):
        protocol_error(b, frame(opcode, b"\x03\xe8" + b"x" * 124))


def test_continuation_of_nothing(b):
    protocol_error(b, frame(0, pingreq()))
    protocol_error(b, frame(0, pingreq(), fin=0))
    protocol_error(b, frame(BINARY, b"", fin=0) + frame(0) + frame(0))


def test_message_inside_a_message(b):
    protocol_error(b, frame(BINARY, b"\xc0", fin=0) + frame(BINARY, b"\0"))
    protocol_error(b, frame(BINARY, b"\xc0", fin=0) + frame(TEXT, b"\0"))


def test_lengths_longer_than_need_be(b):
    protocol_error(b, frame(BINARY, b"x" * 125, size=2))
    protocol_error(b, frame(BINARY, b"x" * 125, size=8))
    protocol_error(b, frame(BINARY, b"x" * 65535, size=8))


def test_length_with_its_highest_bit(b):
    protocol_error(b, frame(BINARY, size=8, length=1 << 63))
    protocol_error(b, frame(BINARY, size=8, length=(1 << 64) - 1))


def test_close_frames_that_are_wrong(b):
    protocol_error(b, frame(CLOSE, b"\x03"))
    for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535):
        protocol_error(b, close_frame(code))
    for reason in (b"\xff", b"\xc3", b"ok\xed\xa0\x80", b"\xf4\x90\x80\x80"):
        fails(b, 1007, "ws_protocol_error", close_frame(1000, reason))


# -- what is right -----------------------------------------------------------------------------------------------

def test_close_is_answered_with_its_code(b):
    wait_until(lambda: b.current("ws:web") == 0, "those of before are counted")
    before = b.ended("ws:web", "closed")
    codes = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999)
    for code in codes:
        f = connected(b)
        f.sock.sendall(close_frame(code, "Grüße".encode()))
        f.expect_close(code)
    f = connected(b)
    f.sock.sendall(frame(CLOSE))
    f.expect_close(None)
    b.wait_counted("ws:web", "closed", before + len(codes) + 1)


def test_nothing_counts_after_a_close(b):
    f, watcher = connected(b), b.client(4, "watcher")
    watcher.subscribe(b.topic("#"))
    f.sock.sendall(close_frame() + frame(BINARY, publish(4, b.topic(), b"late")) + frame(PING, b"late") + b"\xff" * 99)
    f.expect_close(1000)
    b.nothing_for(watcher)


def test_close_without_disconnect_publishes_the_will(b):
    """The MQTT connection ends without DISCONNECT. [MQTT-3.1.2-8]"""
    watcher = b.client(4, "watcher")
    watcher.subscribe(b.topic("#"))
    f = connected(b, will=Will(b.topic("will"), b"gone"))
    f.sock.sendall(close_frame())
    f.expect_close(1000)
    watcher.expect_publish(b.topic("will"), b"gone")


def test_ping_is_answered_with_its_body(b):
    f = connected(b)
    for body in (b"", b"x", b"\0\xff" * 62 + b"!"):
        f.sock.sendall(frame(PING, body))
        assert f.frame() == (PONG, body)


def test_unasked_pongs(b):
    f = connected(b)
    f.sock.sendall(frame(PONG) + frame(PONG, b"x" * 125))
    alive(f)


def test_ping_between_fragments(b):
    f = connected(b)
    f.sock.sendall(frame(BINARY, b"\xc0", fin=0) + frame(PING, b"now"))
    assert f.frame() == (PONG, b"now")
    f.sock.sendall(frame(PONG) + frame(0, b"\0"))
    assert f.frame() == (BINARY, b"\xd0\0")


def test_close_between_fragments(b):
    f = connected(b)
    f.sock.sendall(frame(BINARY, b"\xc0", fin=0) + close_frame())
    f.expect_close(1000)


def test_one_packet_over_many_frames(b):
    """[MQTT-6.0.0-2]"""
    f, watcher = connected(b), b.client(4, "watcher")
    watcher.subscribe(b.topic())
    data = publish(4, b.topic(), b"abc" * 100)
    f.sock.sendall(b"".join(frame(BINARY, data[i:i + 1]) for i in range(len(data))))
    watcher.expect_publish(b.topic(), b"abc" * 100)
    pieces = [frame(0 if i else BINARY, data[i:i + 1], fin=0) for i in range(len(data))]
    f.sock.sendall(b"".join(pieces) + frame(0))
    watcher.expect_publish(b.topic(), b"abc" * 100)


def test_many_packets_in_one_frame(b):
    """[MQTT-6.0.0-2] CONNECT among them, and half of one at the end."""
    watcher = b.client(4, "watcher")
    watcher.subscribe(b.topic("#"))
    f = Frames(plain_socket(WEB, DEADLINE))
    packets = [publish(4, b.topic(str(i)), str(i)) for i in range(100)]
    f.sock.sendall(frame(BINARY, connect(4, b.id()) + b"".join(packets) + b"\xc0"))
    for i in range(100):
        watcher.expect_publish(b.topic(str(i)), str(i))
    f.sock.sendall(frame(BINARY, b"\0"))
    data = b""
    while len(data) < 6:
        data += f.frame()[1]
    assert data == b"\x20\x02\0\0\xd0\0"


def test_empty_frames(b):
    f = connected(b)
    f.sock.sendall(frame(BINARY) * 50 + frame(BINARY, fin=0) + frame(0, fin=0) * 50 + frame(0))
    alive(f)


def test_head_in_single_bytes(b):
    f = connected(b)
    for data in (frame(BINARY, pingreq()), frame(BINARY, pingreq() * 100), frame(BINARY, pingreq() * 40_000)):
        for i in range(14):
            f.sock.sendall(data[i:i + 1])
        f.sock.sendall(data[14:])
    data = b""
    while len(data) < 2 * 40_101:
        data += f.frame()[1]
    assert data == b"\xd0\0" * 40_101


def test_megabyte(b):
    """There and back, QoS 1, in one frame and in fragments."""
    payload = bytes(range(256)) * 4096
    for cut in (None, 100_000, 65_536, 125):
        f, watcher = connected(b), b.raw(4, "watcher")
        watcher.connect(b.id("watcher"))
        watcher.subscribe(b.topic(), 1)
        data = publish(4, b.topic(), payload, 1, pid=1)
        step = cut or len(data)
        pieces = [data[i:i + step] for i in range(0, len(data), step)]
        f.sock.sendall(b"".join(frame(0 if i else BINARY, piece, fin=int(i == len(pieces) - 1))
                                for i, piece in enumerate(pieces)))
        watcher.expect_publish(b.topic(), payload, qos=1)
        assert f.frame() == (BINARY, b"\x40\x02\0\x01")
        f.sock.close()


def test_megabyte_to_a_client(b):
    """What the broker sends is whole messages, however large; packets and frames do not line up. [MQTT-6.0.0-2]"""
    f, payload = connected(b), bytes(range(256)) * 4096
    f.sock.sendall(frame(BINARY, subscribe(4, 1, [(b.topic(), 0)])))
    assert f.frame()[1][:1] == b"\x90"
    b.client(4, "publisher").deliver(b.topic(), payload)
    want, data = publish(4, b.topic(), payload), b""
    while len(data) < len(want):
        opcode, more = f.frame()
        assert opcode == BINARY
        data += more
    assert data == want


def test_all_lengths_around_the_forms(b):
    """125, 126, 65535 and 65536 bytes of payload, both ways."""
    f = connected(b)
    f.sock.sendall(frame(BINARY, subscribe(4, 1, [(b.topic(), 0)])))
    assert f.frame()[1][:1] == b"\x90"
    for size in (124, 125, 126, 127, 128, 65_534, 65_535, 65_536, 65_537):
        packet = publish(4, b.topic(), b"")
        packet = publish(4, b.topic(), b"x" * (size - len(packet) - (2 if size > 16_384 else 1 if size > 129 else 0)))
        f.sock.sendall(frame(BINARY, packet))
        data = b""
        while len(data) < len(packet):
            data += f.frame()[1]
        assert data == packet


# -- how MQTT ends -------------------------------------------------------------------------------------------------

ENDS = {  # what a client says last, and the code it hears
    "close": (1000, close_frame(1000, b"bye")), "disconnect": (1000, frame(BINARY, disconnect(4))),
    "text": (1003, frame(TEXT, b"x")), "unmasked": (1002, frame(BINARY, b"x", key=b"")),
    "reserved": (1002, frame(11, b"x")), "long ping": (1002, frame(PING, bytes(126))),
}


def conversation(b, random, end):
    """Packets in fragments of any size with pings and pongs between them, cut anywhere: pongs and the closing code."""
    f = Frames(plain_socket(WEB, DEADLINE))
    packets = connect(4, b.id(f"r{random.random()}")) + pingreq() * random.randrange(5) + subscribe(4, 1, [("a", 0)])
    packets += publish(4, "a", bytes(random.randrange(300)))
    data, at, pings, inside = b"", 0, 0, False
    while at < len(packets):
        part = packets[at:at + random.choice((0, 1, 2, 5, 50, 400))]
        at += len(part)
        final = at == len(packets) or random.random() < 0.6
        data += frame(0 if inside else BINARY, part, fin=int(final), key=random.randbytes(4))
        inside = not final
        if random.random() < 0.3:
            data += frame(PING, bytes(random.randrange(126)))
            pings += 1
        data += frame(PONG, b"x") * (random.random() < 0.2)
    data += ENDS[end][1]
    while data:
        count = random.choice((1, 3, 17, 1000, 100_000))
        f.sock.sendall(data[:count])
        data = data[count:]
    pongs = 0
    while got := f.frame():
        pongs += got[0] == PONG
        if got[0] == CLOSE:
            return pings, pongs, int.from_bytes(got[1][:2], "big")
    return pings, pongs, None


def test_random_conversations(b):
    """RFC 6455 section 5.4: however it is cut, all pings are answered and the end is told for what it is."""
    for seed in range(10):
        for end, (code, _) in ENDS.items():
            pings, pongs, heard = conversation(b, Random(seed), end)
            assert (pongs, heard) == (pings, code), (seed, end, pings, pongs, heard)


def test_disconnect_ends_with_1000(b):
    for v in (3, 4, 5):
        f = connected(b, v)
        f.sock.sendall(frame(BINARY, disconnect(v)))
        f.expect_close(1000)


def test_disconnect_and_close_at_once(b):
    """As clients do it: both, and the end of their side. The will stays unpublished. [MQTT-3.14.4-3]"""
    watcher = b.client(4, "watcher")
    watcher.subscribe(b.topic("#"))
    f = connected(b, will=Will(b.topic("will"), b"gone"))
    f.sock.sendall(frame(BINARY, disconnect(4)) + close_frame())
    f.sock.shutdown(1)
    f.expect_close(1000)
    b.nothing_for(watcher)


def test_codes_when_mqtt_fails(b):
    """MQTT 5 hears it in DISCONNECT, all hear it in the close code."""
    for v in (4, 5):
        for data, code, why in ((b"\xc1\x00", 0x81, 1002), (b"\x30\xff\xff\xff\x7f", 0x95, 1009),
                                (connect(v, "x"), 0x82, 1002)):
            f = connected(b, v)
            f.sock.sendall(frame(BINARY, data))
            if v == 5:
                opcode, payload = f.frame()
                assert opcode == BINARY and payload[0] == 0xE0 and payload[2] in (code, 0x82), payload
            f.expect_close(why)


def test_code_when_taken_over(b):
    first = connected(b)
    connected(b)
    first.expect_close(1008)


def test_code_when_kicked(b):
    f = connected(b)
    assert b.ctl("clients", "kick", b.id()).returncode == 0
    f.expect_close(1008)


def test_code_when_refused(b):
    f = Frames(plain_socket(WEB, DEADLINE))
    f.sock.sendall(frame(BINARY, connect(4, "", clean=0)))
    assert f.frame() == (BINARY, b"\x20\x02\0\x02")
    f.expect_close(1008)


def test_reset_in_the_middle_of_a_frame(b):
    f = connected(b)
    f.sock.sendall(frame(BINARY, b"x" * 1000)[:500])
    f.sock.setsockopt(1, 13, struct.pack("ii", 1, 0))
    f.sock.close()
    alive(connected(b))
