# SPDX-License-Identifier: Apache-2.0
"""Shared subscriptions: each message to one member, and no message lost with a member."""
from wire import *


def share(b, name="#", group=None):
    return f"$share/{group or b.id('g')}/{b.topic(name)}"


def members(b, count, qos=1, v=5, filter_=None, **more):
    made = [b.client(v, f"m{i}", **more) for i in range(count)]
    for m in made:
        m.subscribe(filter_ or share(b), qos)
    return made


def drain(clients, acknowledge=True):
    """What each client has received so far: client → payloads. A PINGREQ bounds the wait."""
    got = {c: [] for c in clients}
    for c in clients:
        c.send(pingreq())
        while (p := c.packet()).name != "PINGRESP":
            if p.name == "PUBLISH":
                got[c].append(p.payload)
                if acknowledge:
                    c.ack(p)
    return got


def collect(clients, count, acknowledge=True):
    """Drain until count messages came in."""
    got = {c: [] for c in clients}
    while sum(map(len, got.values())) < count:
        for c, payloads in drain(clients, acknowledge).items():
            got[c] += payloads
        assert sum(map(len, got.values())) <= count, got
    return got


@versions(3, 4, 5)
def test_members_take_turns(b, v):
    """As shipped: a few messages are enough to see that everybody works, whoever publishes them."""
    made = members(b, 3, v=v)
    publishers = [b.client(4, f"p{i}") for i in range(4)]
    for i in range(6):
        publishers[i % 4].deliver(b.topic(), b"%d" % i, 1 + i % 2)  # of QoS 0 nobody hears when it is there
    got = collect(made, 6)
    order = [c for payload in range(6) for c in made if b"%d" % payload in got[c]]
    assert order[:3] == order[3:] and len(set(order[:3])) == 3, got


@versions(3, 4, 5)
def test_one_member_gets_each(b, v):
    """5.0: §4.8.2 [MQTT-4.8.2-3]; the same in 3.x, as EMQ does."""
    group, pub = members(b, 3, v=v), b.client(4, "publisher")
    for i in range(60):
        pub.deliver(b.topic(), str(i), 1)
    got = collect(group, 60)
    assert sorted(sum(got.values(), [])) == sorted(str(i).encode() for i in range(60))
    assert all(got.values()), {c.label: len(x) for c, x in got.items()}
    drained = drain(group)
    assert not any(drained.values()), drained


def test_plain_subscribers_beside_it_get_all(b):
    """5.0: §4.8.2."""
    group, plain, pub = members(b, 2), b.client(4, "plain"), b.client(4, "publisher")
    plain.subscribe(b.topic("#"), 1)
    for i in range(20):
        pub.deliver(b.topic(), str(i), 1)
        plain.take(b.topic(), str(i))
    collect(group, 20)


def test_each_group_gets_each(b):
    """5.0: §4.8.2: a group is its name and its filter."""
    one = members(b, 2, filter_=share(b, group="one"))
    pub = b.client(4, "publisher")
    two = [b.client(5, "n1"), b.client(5, "n2")]
    for c in two:
        c.subscribe(share(b, group="two"), 1)
    other = b.client(5, "o1")
    other.subscribe(share(b, "+", group="one"), 1)
    for i in range(10):
        pub.deliver(b.topic(), str(i), 1)
    for group in (one, two, [other]):
        collect(group, 10)


def test_shared_and_plain_of_one_client(b):
    """5.0: §4.8.2: they are two subscriptions."""
    c, pub = b.client(5), b.client(4, "publisher")
    c.subscribe(share(b), 1)
    c.subscribe(b.topic("#"), 1)
    pub.deliver(b.topic(), b"x", 1)
    collect([c], 2)


def test_qos_of_the_member(b):
    """5.0: [MQTT-4.8.2-3]."""
    c, pub = b.client(5), b.client(4, "publisher")
    for granted in (0, 1, 2):
        c.subscribe(share(b), granted)
        for sent in (0, 1, 2):
            pub.deliver(b.topic(), b"x", sent)
            c.take(b.topic(), qos=min(granted, sent))


@not_on_mosquitto("2.0.11 sends them")
def test_no_retained_messages(b):
    """5.0: §4.8.2: none are sent for a shared subscription."""
    b.client(4, "publisher").deliver(b.topic(), b"kept", 1, retain=1)
    c = b.client(5)
    c.subscribe(share(b), 1)
    c.quiet()
    b.clear(b.topic())


def test_identifier_of_a_shared_subscription(b):
    """5.0: [MQTT-3.3.4-3]."""
    c = b.client(5)
    c.subscribe(share(b), 1, {"subscription_identifier": 42})
    b.client(4, "publisher").deliver(b.topic(), b"x", 1)
    c.take(b.topic(), has={"subscription_identifier": [42]})


def test_unsubscribe_leaves_the_group(b):
    """5.0: [MQTT-3.10.4-1] [MQTT-3.10.4-2]."""
    (first, second), pub = members(b, 2), b.client(4, "publisher")
    first.unsubscribe(share(b), codes=[0])
    first.unsubscribe(share(b), codes=[0x11])
    for i in range(10):
        pub.deliver(b.topic(), str(i), 1)
        second.take(b.topic(), str(i))
    first.quiet()


@not_on_mosquitto("2.0.11 keeps the messages of a lost member")
def test_unacknowledged_qos_1_goes_to_another_member(b):
    """5.0: §4.8.2: the session of the member ends, its messages do not."""
    lost, stays = members(b, 2)
    pub = b.client(4, "publisher")
    for i in range(40):
        pub.deliver(b.topic(), str(i), 1)
    held = len(drain([lost], acknowledge=False)[lost])
    lost.close()
    seen = set(collect([stays], 40)[stays])
    assert seen == {str(i).encode() for i in range(40)}, f"{len(seen)} of 40, the lost member held {held}"


@versions(4, 5)
def test_a_new_group_gets_nothing_of_one_that_is_gone(b, v):
    """A message outlives its group: it stays with the session that has it, whoever makes groups meanwhile. MQTT 5
    §4.8.2: it may only go to another client that subscribes to the same shared subscription."""
    keep = KEEP if v == 5 else {"clean": 0}
    first, other, pub = b.client(v, "first", **keep), b.client(v, "other"), b.client(4, "publisher")
    first.subscribe(share(b, "mine"), 1)
    pub.deliver(b.topic("mine"), b"for the first", 1)
    sent = first.expect_publish(b.topic("mine"), b"for the first", qos=1, dup=0)
    first.unsubscribe(share(b, "mine"))
    for i in range(8):
        other.subscribe(share(b, f"other/{i}"), 1)
    first.close()
    other.quiet()
    first = b.client(v, "first", session_present=1, **keep)
    first.take(b.topic("mine"), b"for the first", qos=1, dup=1, pid=sent.pid)
    pub.deliver(b.topic("other/0"), b"for the other", 1)
    other.take(b.topic("other/0"), b"for the other", qos=1)
    first.quiet()


@not_on_mosquitto("2.0.11 keeps the messages of a lost member")
def test_member_that_leaves_by_disconnect_loses_nothing(b):
    """What it held unacknowledged goes on, too."""
    lost, stays = members(b, 2)
    pub = b.client(4, "publisher")
    for i in range(20):
        pub.deliver(b.topic(), str(i), 1)
    drain([lost], acknowledge=False)
    lost.disconnect()
    assert set(collect([stays], 20)[stays]) == {str(i).encode() for i in range(20)}


def sent_qos_2(b, first, count=1):
    """The messages first, alone in its group, was sent at QoS 2; then another member joins it."""
    first.subscribe(share(b), 2)
    pub = b.client(4, "publisher")
    for i in range(count):
        pub.deliver(b.topic(), str(i), 2)
    pids = [first.expect_publish(b.topic(), str(i), qos=2).pid for i in range(count)]
    second = b.client(5, "second")
    second.subscribe(share(b), 2)
    return pids, second


KEEP = {"clean": 0, "props": {"session_expiry_interval": 60}}


def test_qos_2_under_way_stays_with_its_member(b):
    """5.0: [MQTT-4.8.2-4] [MQTT-4.3.3-6]: whether PUBREC came or not, it is completed when the member is back."""
    (pid, other), second = sent_qos_2(b, first := b.client(5, "first", **KEEP), 2)
    first.send_ack(PUBREC, pid)
    first.expect("PUBREL", pid=pid)
    first.close()
    first = b.client(5, "first", session_present=1, **KEEP)
    first.expect("PUBREL", pid=pid)
    p = first.expect_publish(b.topic(), "1", qos=2, dup=1)
    assert p.pid == other, p
    first.send_ack(PUBCOMP, pid)
    first.ack(p)
    first.quiet()
    second.quiet()


@not_on_mosquitto("2.0.11 keeps what was not sent, too")
def test_qos_2_not_yet_sent_goes_to_another_member(b):
    """5.0: §4.8.2: beyond the member's receive maximum nothing was sent that had to be completed. [MQTT-4.8.2-4]"""
    (pid,), second = sent_qos_2(b, first := b.client(5, "first", clean=0,
                                                     props=KEEP["props"] | {"receive_maximum": 1}))
    second.disconnect()
    pub = b.client(4, "publisher2")
    for i in "ab":
        pub.deliver(b.topic(), i, 2)
    second = b.client(5, "second")
    second.subscribe(share(b), 2)
    first.close()
    for i in "ab":
        second.take(b.topic(), i, qos=2)
    first = b.client(5, "first", session_present=1, **KEEP)
    assert first.expect_publish(b.topic(), "0", dup=1).pid == pid
    second.quiet()


@not_on_mosquitto("3.1.1 knows no shared subscriptions")
@versions(4, 5)
def test_qos_2_of_a_member_whose_session_ended(b, v):
    """5.0: [MQTT-4.8.2-5]: nobody else gets it. 3.1.1 says nothing of shared subscriptions: another member does."""
    _, second = sent_qos_2(b, first := b.client(v, "first"))
    first.close()
    if v == 4:
        second.take(b.topic(), "0", qos=2)
    b.client(5, "first", session_present=0).quiet()
    second.quiet()


@not_on_mosquitto("3.1.1 knows no shared subscriptions")
def test_qos_2_of_a_3_1_1_session_that_lives_on(b):
    """3.1.1: [MQTT-4.4.0-1]: it is sent again to the client it was sent to."""
    (pid,), second = sent_qos_2(b, first := b.client(4, "first", clean=0))
    first.close()
    first = b.client(4, "first", clean=0, session_present=1)
    assert first.take(b.topic(), "0", dup=1).pid == pid
    second.quiet()


def test_refused_message_goes_to_nobody_else(b):
    """5.0: [MQTT-4.8.2-6]."""
    group, pub = members(b, 2), b.client(4, "publisher")
    pub.deliver(b.topic(), b"refused", 1)
    while True:
        for c in group:
            p = c.quiet_or_publish()
            if p:
                c.ack(p, 0x97)
                break
        else:
            continue
        break
    assert not any(drain(group).values())


def test_online_members_are_preferred(b):
    """A member that is away does not swallow messages others could have."""
    keep = {"clean": 0, "props": {"session_expiry_interval": 60}}
    away = b.client(5, "away", **keep)
    away.subscribe(share(b), 1)
    away.disconnect()
    here, pub = b.client(5, "here"), b.client(4, "publisher")
    here.subscribe(share(b), 1)
    for i in range(20):
        pub.deliver(b.topic(), str(i), 1)
    if b.kind == "martlet":
        assert len(collect([here], 20)[here]) == 20


@not_on_mosquitto("an EMQ form")
@versions(3, 4, 5)
def test_queue_is_a_group(b, v):
    """EMQ: $queue/FILTER is a share group of its own."""
    group, pub = members(b, 2, v=v, filter_="$queue/" + b.topic("#")), b.client(4, "publisher")
    for i in range(30):
        pub.deliver(b.topic(), str(i), 1)
    got = collect(group, 30)
    assert all(got.values()), {c.label: len(x) for c, x in got.items()}
    group[0].unsubscribe("$queue/" + b.topic("#"))


@not_on_mosquitto("2.0.11 ends the connection")
def test_bad_shared_filters_fail_alone(b):
    """5.0: [MQTT-4.8.2-1] [MQTT-4.8.2-2]."""
    c = b.client(5)
    for bad in ("$share/", "$share/g", "$share/g/", "$share//t", "$share/g+/t", "$share/#/t", "$share/+/t",
                "$share/g#x/t", "$share/g/a/#/b"):
        c.subscribe([(b.topic("fine"), 1), (bad, 1)], codes=[1, 0x8F])


def test_order_for_a_single_member(b):
    """One member sees one publisher's messages in order. 5.0: [MQTT-4.6.0-5]."""
    (only,), pub = members(b, 1), b.client(4, "publisher")
    for i in range(100):
        pub.deliver(b.topic(), str(i), 1)
    assert collect([only], 100)[only] == [str(i).encode() for i in range(100)]


def test_messages_wait_for_a_group_that_is_away(b):
    """A group of one durable member: nothing is lost while it is away."""
    keep = {"clean": 0, "props": {"session_expiry_interval": 60}}
    c = b.client(5, **keep)
    c.subscribe(share(b), 1)
    c.disconnect()
    pub = b.client(4, "publisher")
    for i in range(10):
        pub.deliver(b.topic(), str(i), 1)
    c = b.client(5, session_present=1, **keep)
    assert collect([c], 10)[c] == [str(i).encode() for i in range(10)]
