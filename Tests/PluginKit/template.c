/* SPDX-License-Identifier: Apache-2.0
 * plugin_template and its C twin behave alike: template IMAGE COMMAND
 */
#include "fakehost.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const expected =
    "hi there\n"
    "client.connected      : 1\n"
    "client.disconnected   : 1\n"
    "client.subscribe      : 1\n"
    "client.unsubscribe    : 1\n"
    "session.created       : 1\n"
    "session.resumed       : 1\n"
    "session.terminated    : 1\n"
    "session.subscribed    : 1\n"
    "session.unsubscribed  : 1\n"
    "message.publish       : 2\n"
    "message.delivered     : 1\n"
    "message.acked         : 1\n"
    "message.dropped       : 1\n"
    "auth                  : 2\n"
    "acl                   : 1\n";

static void drive(fake *f) {
  char seen[64];
  for (int hook = 0; hook < MARTLET_HOOK_COUNT_V1; hook++) {
    if (hook == MARTLET_HOOK_CLIENT_SUBSCRIBE || hook == MARTLET_HOOK_CLIENT_UNSUBSCRIBE ||
        hook == MARTLET_HOOK_SESSION_SUBSCRIBED || hook == MARTLET_HOOK_SESSION_UNSUBSCRIBED) {
      CHECK(fake_subscribe(f, hook, "c1", "sensor/#", NULL) == MARTLET_NEXT);
    } else if (hook >= MARTLET_HOOK_MESSAGE_PUBLISH) {
      CHECK(fake_message(f, hook, "sensor/1", "21", seen, sizeof seen) == MARTLET_NEXT);
      CHECK(strcmp(seen, "21") == 0);
    } else {
      CHECK(fake_client_hook(f, hook, "c1", 0) == MARTLET_NEXT);
    }
  }
  CHECK(fake_message(f, MARTLET_HOOK_MESSAGE_PUBLISH, "sensor/2", "", NULL, 0) == MARTLET_NEXT);
}

static void command_and_route(fake *f, const char *command) {
  char route[64], wrong[64];
  CHECK(fake_ctl(f, command) == MARTLET_OK);
  if (strcmp(f->out, expected) != 0) fprintf(stderr, "%s", f->out);
  CHECK(strcmp(f->out, expected) == 0);
  snprintf(wrong, sizeof wrong, "%s nonsense", command);
  CHECK(fake_ctl(f, wrong) == MARTLET_E_INVAL && f->error[0] == 0);
  snprintf(route, sizeof route, "GET /%s/hello/:name", command);
  const char *greeted = fake_http(f, route, (fake_web){.param = "world"});
  CHECK(strcmp(greeted, "200 content-type=text/plain; charset=utf-8|hi there, world\n") == 0);
}

static void what_is_logged_and_filtered(fake *f) {
  CHECK(strstr(f->log, "client.connected c1") != NULL);
  CHECK(strstr(f->log, "message.publish sensor/1, QoS 1, 2 bytes") != NULL);
  CHECK(strstr(f->log, "client.subscribe c1 to sensor/#") != NULL);
  CHECK(strstr(f->log, "acl c1 publish a/b") != NULL);
  for (int i = 0; i < FAKE_MAX; i++)
    if (f->now.regs[i].kind == FAKE_HOOK && f->now.regs[i].hook >= MARTLET_HOOK_MESSAGE_PUBLISH)
      CHECK(strcmp(f->now.regs[i].text, "sensor/#") == 0);
}

static void reconfigure(fake *f, const char *command) {
  CHECK(fake_change(f, "template.greeting", "good day") == MARTLET_OK);
  CHECK(fake_ctl(f, command) == MARTLET_OK && strncmp(f->out, "good day\n", 9) == 0);
  char long_greeting[300];
  memset(long_greeting, 'x', sizeof long_greeting);
  long_greeting[201] = 0;
  CHECK(fake_change(f, "template.greeting", long_greeting) != MARTLET_OK);
  CHECK(strcmp(f->error, "A greeting has at most 200 bytes.") == 0);
  CHECK(fake_ctl(f, command) == MARTLET_OK && strncmp(f->out, "good day\n", 9) == 0);
}

int main(int argc, char **argv) {
  CHECK(argc == 3);
  fake *f = fake_new("template.greeting = hi there\ntemplate.topic = sensor/#\ntemplate.deny_username = mallory\n");
  f->log_level = MARTLET_LOG_DEBUG;
  CHECK(fake_load(f, argv[1]) == MARTLET_OK);
  drive(f);
  CHECK(fake_auth(f, (fake_client){"c1", "mallory", "x", "192.0.2.7:5"}) == MARTLET_DENY);
  CHECK(fake_auth(f, (fake_client){"c1", "alice", "x", "192.0.2.7:5"}) == MARTLET_IGNORE);
  CHECK(fake_acl(f, (fake_client){"c1", "alice", NULL, "192.0.2.7:5"}, MARTLET_ACL_PUBLISH, "a/b") == MARTLET_IGNORE);
  command_and_route(f, argv[2]);
  what_is_logged_and_filtered(f);
  reconfigure(f, argv[2]);
  CHECK(fake_unload(f) == 0);
  CHECK(fake_live_messages == 0);

  fake_set_conf(f, "template.greting = hi\n");
  CHECK(fake_load(f, argv[1]) == MARTLET_E_INVAL);
  CHECK(strcmp(f->error, "unknown key template.greting") == 0);
  fake_free(f);
  puts("template ok");
  return 0;
}
