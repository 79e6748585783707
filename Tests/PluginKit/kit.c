/* SPDX-License-Identifier: Apache-2.0
 * What PluginKit makes of each table, seen from the host's side: kit PROBE-IMAGE
 */
#include "fakehost.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of the address sanitizer, with which this is built. */
size_t __sanitizer_get_current_allocated_bytes(void);

static void says(fake *f, const char *command, const char *wanted) {
  CHECK(fake_ctl(f, command) == MARTLET_OK);
  if (strcmp(f->out, wanted) != 0) fprintf(stderr, "%s: got\n%swant\n%s", command, f->out, wanted);
  CHECK(strcmp(f->out, wanted) == 0);
}

static void publish_verdicts(fake *f) {
  char seen[32];
  int32_t hook = MARTLET_HOOK_MESSAGE_PUBLISH;
  CHECK(fake_message(f, hook, "probe/1", "pass", seen, sizeof seen) == MARTLET_NEXT && strcmp(seen, "pass") == 0);
  CHECK(fake_message(f, hook, "probe/1", "", seen, sizeof seen) == MARTLET_NEXT);
  CHECK(fake_message(f, hook, "probe/1", "stop", NULL, 0) == MARTLET_STOP);
  CHECK(fake_message(f, hook, "probe/1", "replace", seen, sizeof seen) == MARTLET_NEXT && strcmp(seen,
      "replaced") == 0);
  CHECK(fake_message(f, hook, "probe/1", "itself", seen, sizeof seen) == MARTLET_NEXT && strcmp(seen, "itself") == 0);
  CHECK(fake_live_messages == 0);
  CHECK(fake_message(f, hook, "probe/1", "keep", NULL, 0) == MARTLET_NEXT && fake_live_messages == 1);
  CHECK(fake_message(f, hook, "probe/1", "kept instead", NULL, 0) == MARTLET_NEXT && fake_live_messages == 1);
}

static void deferred_publish(fake *f) {
  int32_t hook = MARTLET_HOOK_MESSAGE_PUBLISH;
  CHECK(fake_message(f, hook, "probe/1", "d go", NULL, 0) == MARTLET_DEFER && f->open_deferral != 0);
  fake_pump(f);
  CHECK(f->answered && f->answer_verdict == MARTLET_NEXT);
  CHECK(fake_message(f, hook, "probe/1", "d stop", NULL, 0) == MARTLET_DEFER);
  fake_pump(f);
  CHECK(f->answered && f->answer_verdict == MARTLET_STOP && f->stale_answers == 0);
  CHECK(fake_live_messages == 1); /* the one that is kept */
}

static void subscriptions(fake *f) {
  martlet_sub sub;
  int32_t hook = MARTLET_HOOK_CLIENT_SUBSCRIBE;
  CHECK(fake_subscribe(f, hook, "c1", "a", &sub) == MARTLET_NEXT && sub.qos == 1);
  CHECK(fake_subscribe(f, hook, "c1", "refuse/me", &sub) == MARTLET_NEXT && sub.qos == 0x87);
  CHECK(fake_subscribe(f, hook, "c1", "lower/me", &sub) == MARTLET_NEXT && sub.qos == 0);
  CHECK(fake_subscribe(f, hook, "c1", "rename/me", &sub) == MARTLET_NEXT && sub.topic.len == 7);
  CHECK(memcmp(sub.topic.ptr, "renamed", 7) == 0);
  /* Of a broker that knows more about a subscription than this kit. */
  fake_long_sub subs[2] = {{.known = {.qos = 1}}, {.known = {.qos = 1}}};
  CHECK(fake_subscribe_long(f, hook, "lower/me", "second", subs) == MARTLET_NEXT);
  CHECK(subs[0].known.qos == 0 && subs[1].known.qos == 0x87);
}

static void feeds(fake *f) {
  f->delivered[0] = 0;
  fake_subscribe(f, MARTLET_HOOK_SESSION_SUBSCRIBED, "c1", "stored/#", NULL);
  CHECK(fake_pull(f, 100) == 3 && fake_pull(f, 1) == -1);
  CHECK(strcmp(f->delivered, "probe/1=kept instead;stored/2=2;stored/1=1;stored/0=0;") == 0);
  CHECK(strstr(f->log, "the feed ended with 0 left") != NULL);
  CHECK(strstr(f->log, "the feed ended with 1 left") == NULL); /* a refused feed is not ended, only freed */
  CHECK(fake_live_messages == 1);
}

static void threads_and_timers(fake *f) {
  fake_timers(f);
  says(f, "probe values 42", "fresh 101\n65536 120000\n1 60\n-1\n42 true\n");
  CHECK(fake_ctl(f, "probe cancel") == MARTLET_OK && fake_ctl(f, "probe cancel") == MARTLET_E_STATE);
  CHECK(strcmp(f->error, "The timer is cancelled already.") == 0);
  fake_timers(f);
  says(f, "probe values -7", "fresh 101\n65536 120000\n1 60\n-1\n-7 true\n");
  CHECK(fake_ctl(f, "probe round") == MARTLET_OK);
  says(f, "probe values 9x", "fresh 1101\n65536 120000\n1 60\n-1\n-1 true\n");
}

/* Boxes of timers that are over are freed, although their plugin goes on. */
static void short_timers(fake *f) {
  size_t before = 0;
  for (int i = 0; i < 4000; i++) {
    if (i == 100) before = __sanitizer_get_current_allocated_bytes();
    CHECK(fake_ctl(f, "probe once") == MARTLET_OK);
    fake_timers(f);
  }
  CHECK(__sanitizer_get_current_allocated_bytes() <= before + 4000);
}

static void requests(fake *f) {
  f->log[0] = 0;
  CHECK(strcmp(fake_http(f, "GET /probe/:name", (fake_web){"p", "v", "h", "b"}),
               "201 content-type=text/plain; charset=utf-8 x-known=yes x-n=1|p,v,h,ada,b,") == 0);
  CHECK(strcmp(fake_http(f, "GET /probe/:name", (fake_web){0}),
               "201 content-type=text/plain; charset=utf-8 x-known=yes x-n=1|,-,-,ada,,") == 0);
  CHECK(strcmp(fake_http(f, "POST /stream", (fake_web){.body = "piece"}), "200 content-type=text/x|piece[-6]end") == 0);
  fake_http_gone(f, "POST /stream");
  CHECK(strstr(f->log, "gone true true") != NULL);
  CHECK(strcmp(fake_http(f, "GET /events", (fake_web){0}), "200|//first") == 0);
  CHECK(strcmp(fake_http_room(f, "GET /events"), "200|//firstn/7/data") == 0);
  CHECK(strcmp(fake_http(f, "GET /ended", (fake_web){0}), "no route") == 0);
  CHECK(strcmp(fake_http_auth(f, NULL, NULL, "t"), "1 robot") == 0);
  CHECK(strcmp(fake_http_auth(f, NULL, NULL, "x"), "2 ") == 0);
  CHECK(strcmp(fake_http_auth(f, "who", "x", NULL), "0 ") == 0);
  CHECK(strcmp(fake_http_auth(f, "late", "x", NULL), "later 1 later4 ") == 0);
  says(f, "probe http", "true false\ntrue false\n");
  CHECK(strstr(f->log, "200 GET http://h/echo X-Mine=value X-Other=a,b  2 700 0 of unique/- 2") != NULL);
  CHECK(strstr(f->log, "200 POST http://h/echo some body 4 0 3 of unique/- 2") != NULL);
  CHECK(strstr(f->log, "-10 3 3 no luck") != NULL);
  CHECK(strstr(f->log, "cancelled") == NULL);
  CHECK(strcmp(f->error, "there is no such file") == 0);
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  fake *f = fake_new("");
  CHECK(fake_load(f, argv[1]) == MARTLET_OK);
  publish_verdicts(f);
  deferred_publish(f);
  subscriptions(f);
  feeds(f);
  threads_and_timers(f);
  short_timers(f);
  requests(f);
  says(f, "probe kv", "one\nk1=one;k2=two;\ntrue false\ntrue\n51 true\n");
  says(f, "probe net", "true\n"); /* this host has no sockets */
  f->kv_fails = 1;
  CHECK(fake_ctl(f, "probe kv") == MARTLET_E_IO);
  says(f, "probe clients", "192.0.2.7:51234\nnone\ntrue\n");
  CHECK(f->answer_reason == 0x98);
  f->delivered[0] = 0;
  says(f, "probe publish", "");
  CHECK(strcmp(f->delivered, "probe/in=hello;probe/out=hello;") == 0);
  CHECK(fake_ctl(f, "probe nonsense") == MARTLET_E_INVAL && f->error[0] == 0);

  CHECK(fake_reload(f, argv[1]) == MARTLET_OK);
  says(f, "probe values 1", "carried:45101 0\n65536 120000\n1 60\n-1\n1 true\n");
  CHECK(fake_unload(f) == 0 && fake_live_messages == 0);

  fake_set_conf(f, "probe.flag = off\n");
  CHECK(fake_load(f, argv[1]) == MARTLET_E_NOTFOUND);
  CHECK(strcmp(f->error, "probe.none is not set and has no default.") == 0);
  f->host.broker_name = "Other";
  CHECK(fake_load(f, argv[1]) == MARTLET_E_INVAL && strcmp(f->error, "This is not the host I know.") == 0);
  fake_free(f);
  puts("kit ok");
  return 0;
}
