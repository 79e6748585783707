/* SPDX-License-Identifier: Apache-2.0
 * acl_file against the host in miniature: acl_file IMAGE SHIPPED-ACL-CONF
 */
#include "fakehost.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PUB = MARTLET_ACL_PUBLISH, SUB = MARTLET_ACL_SUBSCRIBE, ALLOW = MARTLET_ALLOW, DENY = MARTLET_DENY,
    NONE = MARTLET_IGNORE };

static char file[64];
static void write_rules(const char *text) {
  FILE *out = fopen(file, "w");
  CHECK(out != NULL && fputs(text, out) >= 0);
  fclose(out);
}
static fake *host_of(const char *path) {
  char conf[256];
  snprintf(conf, sizeof conf, "acl.file = %s\n", path);
  return fake_new(conf);
}
static fake *with_rules(const char *image, const char *rules) {
  write_rules(rules);
  fake *f = host_of(file);
  if (fake_load(f, image) != MARTLET_OK) fprintf(stderr, "%s\n", f->error);
  CHECK(f->error[0] == 0);
  return f;
}
static int ask(fake *f, const char *id, const char *user, const char *peer, int action, const char *topic) {
  return fake_acl(f, (fake_client){id, user, NULL, peer}, action, topic);
}
#define AT "192.0.2.7:5000"

static void shipped_rules(const char *image, const char *shipped) {
  fake *f = host_of(shipped);
  CHECK(fake_load(f, image) == MARTLET_OK);
  CHECK(ask(f, "c", "dashboard", AT, SUB, "$SYS/#") == ALLOW);
  CHECK(ask(f, "c", "dashboard", AT, SUB, "$SYS/broker/uptime") == ALLOW);
  CHECK(ask(f, "c", NULL, "127.0.0.1:40000", SUB, "#") == ALLOW);
  CHECK(ask(f, "c", NULL, AT, SUB, "#") == DENY);
  CHECK(ask(f, "c", NULL, AT, SUB, "$SYS/broker/uptime") == DENY);
  CHECK(ask(f, "c", NULL, AT, SUB, "$SYS/#") == DENY);
  CHECK(ask(f, "c", NULL, AT, SUB, "a/#") == ALLOW); /* {eq, "#"} is # alone */
  CHECK(ask(f, "c", NULL, AT, PUB, "a/b") == ALLOW);
  CHECK(ask(f, "c", NULL, AT, PUB, "$SYS/x") == ALLOW); /* the third rule is about subscribe */
  fake_end(f);
}

static void whom_a_rule_is_about(const char *image) {
  fake *f = with_rules(image,
                       "{allow, {user, \"alice\"}, publish, [\"u\"]}.\n"
                       "{allow, {client, \"c1\"}, publish, [\"c\"]}.\n"
                       "{allow, {user, all}, publish, [\"ua\"]}. {allow, {client, all}, publish, [\"ca\"]}.\n"
                       "{allow, {ipaddr, \"10.1.0.0/16\"}, publish, [\"v4\"]}.\n"
                       "{allow, {ipaddr, \"192.0.2.9\"}, publish, [\"one\"]}.\n"
                       "{allow, {ipaddr, \"2001:db8:7::/48\"}, publish, [\"v6\"]}.\n"
                       "{allow, {ipaddr, \"0.0.0.0/0\"}, publish, [\"any4\"]}.\n"
                       "{allow, {ipaddr, \"::/0\"}, publish, [\"any6\"]}.\n"
                       "{allow, {'and', [{user, \"alice\"}, {ipaddr, \"10.0.0.0/8\"}]}, publish, [\"and\"]}.\n"
                       "{allow, {'or', [{user, \"alice\"}, {client, \"c9\"}]}, publish, [\"or\"]}.\n"
                       "{allow, {'and', [{'or', [{client, \"x\"}, {client, \"y\"}]}, {user, \"alice\"}]}, "
                       "publish, [\"deep\"]}.\n"
                       "{deny, all, pubsub, [\"#\"]}.\n");
  CHECK(ask(f, "c", "alice", AT, PUB, "u") == ALLOW && ask(f, "c", "alic", AT, PUB, "u") == DENY);
  CHECK(ask(f, "c1", NULL, AT, PUB, "c") == ALLOW && ask(f, "c", "c1", AT, PUB, "c") == DENY);
  CHECK(ask(f, "c", NULL, AT, PUB, "ua") == ALLOW && ask(f, "c", NULL, AT, PUB, "ca") == ALLOW);
  CHECK(ask(f, "c", NULL, "10.1.255.1:1", PUB, "v4") == ALLOW && ask(f, "c", NULL, "10.2.0.1:1", PUB, "v4") == DENY);
  CHECK(ask(f, "c", NULL, "[::ffff:10.1.2.3]:1", PUB, "v4") == ALLOW);
  CHECK(ask(f, "c", NULL, "192.0.2.9:1", PUB, "one") == ALLOW && ask(f, "c", NULL, "192.0.2.8:1", PUB, "one") == DENY);
  CHECK(ask(f, "c", NULL, "[2001:db8:7:1::5]:1", PUB, "v6") == ALLOW);
  CHECK(ask(f, "c", NULL, "[2001:db8:8::5]:1", PUB, "v6") == DENY);
  CHECK(ask(f, "c", NULL, AT, PUB, "any4") == ALLOW && ask(f, "c", NULL, "[::1]:1", PUB, "any4") == DENY);
  CHECK(ask(f, "c", NULL, "[::1]:1", PUB, "any6") == ALLOW && ask(f, "c", NULL, AT, PUB, "any6") == DENY);
  static const char *known[] = {"192.0.2.9:65535", "192.0.2.9", "192.0.2.9:", "192.0.2.9:mqtt", "[::ffff:192.0.2.9]:1"};
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) CHECK(ask(f, "c", NULL, known[i], PUB, "one") == ALLOW);
  static const char *unknown[] = {"192.0.2.09:1",   "192.0.2:1", "192.0.2.9.1:1", "192.0.2.265:1",
                                  "192.0.2.9:1:1",  "192.0.2.",  "192.0.2.9 :1",  "0192.0.2.9:1",
                                  "192..2.9:1",     ".0.2.9:1",  "1192.0.2.9:1",  ":1"};
  for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
    CHECK(ask(f, "c", NULL, unknown[i], PUB, "one") == DENY && ask(f, "c", NULL, unknown[i], PUB, "any4") == DENY);
  }
  CHECK(ask(f, "c", NULL, NULL, PUB, "any4") == DENY && ask(f, "c", NULL, "unix", PUB, "any4") == DENY);
  CHECK(ask(f, "c", "alice", "10.1.1.1:1", PUB, "and") == ALLOW && ask(f, "c", "alice", AT, PUB, "and") == DENY);
  CHECK(ask(f, "c", "bob", "10.1.1.1:1", PUB, "and") == DENY);
  CHECK(ask(f, "c9", NULL, AT, PUB, "or") == ALLOW && ask(f, "c8", NULL, AT, PUB, "or") == DENY);
  CHECK(ask(f, "y", "alice", AT, PUB, "deep") == ALLOW && ask(f, "x", "bob", AT, PUB, "deep") == DENY);
  CHECK(ask(f, "z", "alice", AT, PUB, "deep") == DENY);
  fake_end(f);
}

static void what_a_filter_covers(const char *image) {
  fake *f = with_rules(image,
                       "% a comment with {allow, all}.\n"
                       "{allow, all, subscribe, [\"s\"]}.\n"
                       "{allow, all, publish, [\"p\"]}. {allow, all, pubsub, [\"ps\"]}.\n"
                       "{allow, all, pubsub, [\"a/+/c\", \"m/#\", <<\"bin\">>, \"e//x\"]}. %% two filters and more\n"
                       "{allow, all, subscribe, [{eq, \"w/#\"}, {eq, \"l/%c\"}]}.\n"
                       "{allow, all, pubsub, [\"id/%c/#\", \"u/%u\", \"pre%c/x\"]}.\n"
                       "{allow, all, subscribe, [\"p1/+\"]}. {deny, all, subscribe, [\"d1/+\"]}.\n");
  CHECK(ask(f, "c", NULL, AT, SUB, "s") == ALLOW && ask(f, "c", NULL, AT, PUB, "s") == NONE);
  CHECK(ask(f, "c", NULL, AT, PUB, "p") == ALLOW && ask(f, "c", NULL, AT, SUB, "p") == NONE);
  CHECK(ask(f, "c", NULL, AT, PUB, "ps") == ALLOW && ask(f, "c", NULL, AT, SUB, "ps") == ALLOW);
  CHECK(ask(f, "c", NULL, AT, PUB, "a/b/c") == ALLOW && ask(f, "c", NULL, AT, PUB, "a//c") == ALLOW);
  CHECK(ask(f, "c", NULL, AT, PUB, "a/b/d") == NONE && ask(f, "c", NULL, AT, PUB, "a/b/c/d") == NONE);
  CHECK(ask(f, "c", NULL, AT, PUB, "a/b") == NONE && ask(f, "c", NULL, AT, SUB, "a/+/c") == ALLOW);
  CHECK(ask(f, "c", NULL, AT, PUB, "m") == ALLOW && ask(f, "c", NULL, AT, PUB, "m/n/o") == ALLOW);
  CHECK(ask(f, "c", NULL, AT, SUB, "m/#") == ALLOW && ask(f, "c", NULL, AT, PUB, "mm") == NONE);
  CHECK(ask(f, "c", NULL, AT, PUB, "bin") == ALLOW && ask(f, "c", NULL, AT, PUB, "e//x") == ALLOW);
  CHECK(ask(f, "c", NULL, AT, PUB, "e/x") == NONE);
  CHECK(ask(f, "c", NULL, AT, SUB, "w/#") == ALLOW && ask(f, "c", NULL, AT, SUB, "w/x") == NONE);
  CHECK(ask(f, "c", NULL, AT, SUB, "l/%c") == ALLOW && ask(f, "c", NULL, AT, SUB, "l/c") == NONE);
  CHECK(ask(f, "c7", "bob", AT, PUB, "id/c7/x/y") == ALLOW && ask(f, "c7", "bob", AT, PUB, "id/c8/x") == NONE);
  CHECK(ask(f, "c7", "bob", AT, PUB, "u/bob") == ALLOW && ask(f, "c7", "bob", AT, PUB, "u/eve") == NONE);
  CHECK(ask(f, "c7", NULL, AT, PUB, "u/%u") == ALLOW && ask(f, "c7", "bob", AT, PUB, "u/%u") == NONE);
  CHECK(ask(f, "c7", "bob", AT, PUB, "pre%c/x") == ALLOW && ask(f, "c7", "bob", AT, PUB, "prec7/x") == NONE);
  CHECK(ask(f, "a/b", NULL, AT, PUB, "id/a/b") == NONE);
  CHECK(ask(f, "+", NULL, AT, SUB, "id/+/x") == NONE && ask(f, "#", NULL, AT, SUB, "id/#") == NONE);
  CHECK(ask(f, "c", NULL, AT, SUB, "p1/x") == ALLOW && ask(f, "c", NULL, AT, SUB, "p1/#") == NONE);
  CHECK(ask(f, "c", NULL, AT, SUB, "d1/#") == DENY && ask(f, "c", NULL, AT, SUB, "d1/+") == DENY);
  fake_end(f);
}

static bool any(fake *f, const char *user, int action, const char *topic, int verdict) {
  CHECK(ask(f, "c", user, AT, action, topic) == verdict);
  return f->any_topic;
}

/* Only where no rule had to be compared with the topic. */
static void what_holds_for_any_topic(const char *image) {
  fake *f = with_rules(image,
                       "{allow, {user, \"free\"}, publish, [\"$SYS/#\", \"#\"]}.\n"
                       "{deny, {user, \"mute\"}, publish, [\"#\"]}.\n"
                       "{allow, {user, \"exact\"}, publish, [{eq, \"#\"}]}.\n"
                       "{deny, {user, \"some\"}, pubsub, [\"a/#\"]}.\n"
                       "{allow, {user, \"some\"}, pubsub, [\"#\"]}.\n"
                       "{deny, all, subscribe, [\"x\"]}.\n");
  CHECK(any(f, "free", PUB, "t", ALLOW) && any(f, "free", PUB, "$SYS/x", ALLOW) && any(f, "mute", PUB, "t", DENY));
  CHECK(any(f, "eve", PUB, "t", NONE) && !any(f, "exact", PUB, "t", NONE));
  CHECK(!any(f, "some", PUB, "t", ALLOW) && !any(f, "some", PUB, "a/b", DENY));
  CHECK(!any(f, "free", SUB, "t", NONE) && !any(f, "free", SUB, "x", DENY));
  fake_end(f);
  f = with_rules(image, "{allow, {user, \"some\"}, publish, [\"a\"]}. {allow, all}.\n");
  CHECK(!any(f, "some", PUB, "t", ALLOW) && any(f, "free", PUB, "t", ALLOW) && any(f, "some", SUB, "t", ALLOW));
  fake_end(f);
}

static void the_dollar_guard_is_off(const char *image) {
  fake *f = with_rules(image, "{deny, all, pubsub, [\"#\"]}.\n");
  CHECK(ask(f, "c", NULL, AT, PUB, "$SYS/x") == DENY && ask(f, "c", NULL, AT, SUB, "$SYS/#") == DENY);
  fake_end(f);
  f = with_rules(image, "");
  CHECK(ask(f, "c", NULL, AT, PUB, "x") == NONE);
  fake_end(f);
}

static void refused(const char *image, const char *rules, int line, const char *sentence) {
  char want[512];
  write_rules(rules);
  fake *f = host_of(file);
  CHECK(fake_load(f, image) == MARTLET_E_INVAL);
  snprintf(want, sizeof want, "%s:%d: %s", file, line, sentence);
  if (strcmp(f->error, want) != 0) fprintf(stderr, "got  %s\nwant %s\n", f->error, want);
  CHECK(strcmp(f->error, want) == 0);
  fake_free(f);
}
static void errors_name_file_line_and_what_was_expected(const char *image) {
  refused(image, "{allow, all}.\n\n{permit, all}.", 3, "expected allow or deny, found permit.");
  refused(image, "{allow, all}", 1, "expected a full stop after the rule, found the end of the file.");
  refused(image, "{allow, {user, \"x\"}}.", 1, "expected a comma, found }.");
  refused(image, "{allow, all, read, [\"x\"]}.", 1, "expected subscribe, publish or pubsub, found read.");
  refused(image, "{allow, all, publish,\n \"x\"}.", 2, "expected [, found \"x\".");
  refused(image, "{allow, all, publish, [\"x\" \"y\"]}.", 1, "expected a comma or ], found \"y\".");
  refused(image, "{allow, all, publish, [x]}.", 1,
      "expected a topic filter in double quotes or {eq, \"...\"}, found x.");
  refused(image, "{allow, all, publish, [\"a/#/b\"]}.", 1, "# must be the last level in \"a/#/b\".");
  refused(image, "{allow, all, publish, [\"a+/b\"]}.", 1, "+ and # must be a level of their own in \"a+/b\".");
  refused(image, "{allow, all, publish, [\"x]}.\n", 1, "the closing \" is missing.");
  refused(image, "{allow, {ipaddr, \"10.0.0.0/33\"}, publish, [\"x\"]}.", 1,
          "expected an address such as \"192.168.1.0/24\" or \"2001:db8::/32\", found \"10.0.0.0/33\".");
  refused(image, "{allow, {group, \"x\"}, publish, [\"x\"]}.", 1,
      "expected user, client, ipaddr, 'and' or 'or', found group.");
  refused(image, "allow all", 1, "expected {, found allow.");
  refused(image, "{allow, all}. ;", 1, "unexpected ';'.");
  char deep[1024] = "{allow, ";
  for (int i = 0; i < 40; i++) strcat(deep, "{'and', [");
  refused(image, deep, 1, "conditions may stand at most 16 deep in one another.");
}

static void reload(const char *image) {
  fake *f = with_rules(image, "{deny, all, pubsub, [\"x\"]}.\n");
  CHECK(ask(f, "c", NULL, AT, PUB, "x") == DENY && f->invalidations == 0);
  write_rules("{allow, all, pubsub, [\"x\"]}.\n");
  CHECK(fake_ctl(f, "acl reload") == MARTLET_OK);
  CHECK(strcmp(f->out, "reload acl_internal successfully\n") == 0 && f->invalidations == 1);
  CHECK(ask(f, "c", NULL, AT, PUB, "x") == ALLOW);
  f->busy = 1; /* no room in a loop's queue: the old rules are kept until the end, and freed then */
  CHECK(fake_ctl(f, "acl reload") == MARTLET_OK && ask(f, "c", NULL, AT, PUB, "x") == ALLOW);
  f->busy = 0;
  write_rules("{allow, all, pubsub, [\"y\"]}.\n{broken");
  CHECK(fake_ctl(f, "acl reload") == MARTLET_E_INVAL && f->out[0] == 0 && f->invalidations == 2);
  CHECK(strstr(f->error, ":2: expected allow or deny, found broken.") != NULL);
  CHECK(ask(f, "c", NULL, AT, PUB, "x") == ALLOW && ask(f, "c", NULL, AT, PUB, "y") == NONE);
  unlink(file);
  CHECK(fake_ctl(f, "acl reload") == MARTLET_E_IO);
  CHECK(strstr(f->error, ": No such file or directory.") != NULL);
  CHECK(ask(f, "c", NULL, AT, PUB, "x") == ALLOW);
  CHECK(fake_ctl(f, "acl") == MARTLET_E_INVAL && f->error[0] == 0);
  fake_end(f);
}

int main(int argc, char **argv) {
  CHECK(argc == 3);
  snprintf(file, sizeof file, "/tmp/martlet-acl-%d.conf", (int)getpid());
  shipped_rules(argv[1], argv[2]);
  whom_a_rule_is_about(argv[1]);
  what_a_filter_covers(argv[1]);
  what_holds_for_any_topic(argv[1]);
  the_dollar_guard_is_off(argv[1]);
  errors_name_file_line_and_what_was_expected(argv[1]);
  reload(argv[1]);
  unlink(file);
  puts("acl_file ok");
  return 0;
}
