# SPDX-License-Identifier: Apache-2.0
"""User names, passwords and rules, with the plugins auth_username and acl_file."""
from wire import *
from wire.cplugin import compile_plugin, quoted

MARTLET_ONLY = True
CONFIG = {"mqtt.allow_anonymous": "false"}
PLUGINS = ["auth_username", "acl_file"]
PLUGIN_CONFIG = {"auth_username": {"auth.user.1.username": "ada", "auth.user.1.password": "lovelace"}}
ADA = {"username": "ada", "password": "lovelace"}
RULES = """{allow, {user, "ada"}, pubsub, ["open/#"]}.
{allow, {user, "ada"}, subscribe, ["read/only"]}.
{deny, all}.
"""


def rules(b):
    """Put RULES in place of etc/acl.conf."""
    (b.dir / "etc/acl.conf").write_text(RULES)
    done = b.ctl("acl", "reload")
    assert done.returncode == 0, done


def test_rules_as_shipped(b):
    """Everybody may everything but look at all that the broker says of itself; on its own machine that, too."""
    far = b.raw(5, "far", source="127.0.0.2").connect(b.id("far"), **ADA)
    far.subscribe([("$SYS/#", 1), ("#", 1), ("+/a", 1)], codes=[0x87, 0x87, 1])
    b.client(5, "near", **ADA).subscribe([("$SYS/#", 1), ("#", 1)], codes=[1, 1])


@versions(3, 4, 5)
def test_right_password(b, v):
    """3.1.1: [MQTT-3.1.4-4]. 5.0: [MQTT-3.1.4-5]."""
    b.client(v, **ADA).quiet()


@versions(3, 4, 5)
def test_wrong_or_no_password(b, v):
    """3.1.1: [MQTT-3.2.2-5] [MQTT-3.2.2-4]. 5.0: [MQTT-3.1.4-2] [MQTT-3.2.2-6] [MQTT-3.2.2-7] [MQTT-3.2.2-8]."""
    for who in ({"username": "ada", "password": "byron"}, {"username": "ada"},
                {"username": "grace", "password": "x"}, {}):
        c = b.raw(v)
        c.hello(b.id(), **who)
        p = c.expect("CONNACK", session_present=0)
        assert p.code in ((0x86, 0x87) if v == 5 else (4, 5)), p
        c.expect_eof()


def test_a_method_is_not_answered_with_a_password(b):
    """5.0: [MQTT-4.12.0-1]: no module knows the method, whatever the password."""
    c = b.raw(5)
    c.hello(b.id(), props={"authentication_method": "SCRAM-SHA-1"}, **ADA)
    c.expect_refused(0x8C)


@versions(3, 4, 5)
def test_password_of_any_bytes(b, v):
    """A password is binary: it is compared, not decoded."""
    c = b.raw(v)
    c.hello(b.id(), username="ada", password=b"\xff\x00\xfe")
    assert c.packet().code in (4, 5, 0x86, 0x87)


@versions(4, 5)
def test_denied_subscription_fails_alone(b, v):
    """3.1.1: [MQTT-3.9.3-2]: 0x80. 5.0: [MQTT-3.8.4-7]: 0x87."""
    rules(b)
    denied = 0x87 if v == 5 else 0x80
    b.client(v, **ADA).subscribe([("open/a", 1), ("closed/a", 1), ("read/only", 0)], codes=[1, denied, 0])


@versions(4, 5)
def test_denied_publish(b, v):
    """3.1.1: [MQTT-3.3.5-2]: acknowledged and dropped. 5.0: §3.4.2.1: 0x87."""
    rules(b)
    sub, c = b.client(5, "sub", **ADA), b.client(v, **ADA)
    sub.subscribe("read/only", 1)
    for qos in (1, 2):
        got = c.deliver("read/only", b"x", qos, codes=(0x87,) if v == 5 else (0,))
        assert got == (0x87 if v == 5 else 0)
    c.publish("read/only", b"x", 0)
    c.quiet()
    sub.quiet()
    c.deliver("open/x", b"x", 1)


def test_one_answer_for_all_topics_lasts_until_the_rules_change(b):
    """acl_file says so where no rule had to look at the topic; another client's rules are nobody else's."""
    (b.dir / "etc/acl.conf").write_text('{allow, {user, "ada"}, publish, ["#"]}. {deny, all}.')
    assert b.ctl("acl", "reload").returncode == 0
    c = b.client(5, **ADA)
    for topic in ("a", "b", "a"):
        c.deliver(topic, b"x", 1, codes=(0x10,))
    c.subscribe("a", codes=[0x87])
    rules(b)
    for topic in ("a", "c"):
        c.deliver(topic, b"x", 1, codes=(0x87,))
    c.deliver("open/x", b"x", 1, codes=(0x10,))
    c.deliver("d", b"x", 1, codes=(0x87,))


def test_answers_for_any_topic(b):
    """Asked once where the module says that it looks at no topic; each time anew where it, or one before, does not."""
    (b.dir / "etc/acl.conf").write_text("{allow, all}.")
    assert b.ctl("acl", "reload").returncode == 0
    compile_plugin(b, "any_acl", "any_acl", [quoted("ID", "any_acl")])
    b.load("any_acl")
    said = lambda: dict(pair.split("=") for pair in b.ctl("any_acl").stdout.split())
    asked = lambda: int(said()["calls"])
    topics = [f"t/{i}" for i in range(10)]

    def ask(user, wanted, calls, topics=topics):
        before, c = asked(), users[user]
        for topic in topics:
            c.deliver(topic, b"x", 1, codes=(wanted,))
        assert asked() - before == calls, (user, asked() - before)

    users = {}
    for user in ("any", "none", "some", "pass", "later"):
        add = b.ctl("users", "add", user, "secret")
        assert add.returncode == 0, add
        users[user] = b.client(5, user, username=user, password="secret")
    ask("any", 0x10, 1)
    ask("none", 0x87, 1)
    ask("some", 0x10, 10)
    ask("some", 0x10, 0)
    ask("pass", 0x10, 10)
    ask("pass", 0x87, 1, ["no"])
    ask("later", 0x10, 10)
    ask("later", 0x87, 1, ["no"])
    assert b.ctl("any_acl", "forget").returncode == 0
    ask("any", 0x10, 1)
    ask("none", 0x87, 1)
    assert said()["outside"] == "-8", said()
    assert b.ctl("plugins", "unload", "any_acl").returncode == 0
    users["none"].deliver("t/1", b"x", 1, codes=(0x10,))
    rules(b)


def test_identifier_is_free_after_a_refused_pubrec(b):
    """5.0: [MQTT-4.3.3-9]: the same identifier afterwards is a new message, and no receive quota is lost."""
    rules(b)
    sub, c = b.client(5, "sub", **ADA), b.client(5, **ADA)
    sub.subscribe("open/#", 2)
    for n in range(c.connack.props.get("receive_maximum", 100) + 5):
        c.publish("closed", b"x", 2, pid=7)
        c.expect("PUBREC", pid=7, code=0x87)
    c.deliver("open/x", b"new", 2, pid=7)
    sub.take("open/x", b"new", qos=2)


def test_denied_will_is_not_published(b):
    """A will is a publish of its client and obeys the same rules."""
    rules(b)
    sub = b.client(5, "sub", **ADA)
    sub.subscribe("read/only", 1)
    b.client(4, will=Will("read/only", b"x", 1), **ADA).close()
    other = b.client(4, "other", **ADA)
    other.quiet()
    sub.quiet()
