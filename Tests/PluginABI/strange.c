/* SPDX-License-Identifier: Apache-2.0
 * Arguments nobody should pass: lengths that no memory has, NULL where a thing is due, text that is none, arrays of a
 * longer struct than the host's. One command per table. */
#include "abi.h"

typedef struct { const martlet_host *h; } me;

static const martlet_bytes endless = {(const uint8_t *)"x", SIZE_MAX};
static const martlet_bytes nothing = {NULL, 7};

static void deliver(void *u, const martlet_msg *m, martlet_bytes f) { (void)u; (void)m; (void)f; }
static int32_t joined(void *u, int64_t l) { (void)u; (void)l; return 0; }

static bool makes(me *m, martlet_msg_fields f) {
  const martlet_message_v1 *message = GET(m->h, message, MARTLET_EXT_MESSAGE);
  f.size = sizeof f;
  martlet_msg *made = message->make(m->h, &f);
  message->release(made); /* NULL gives nothing back, as with free() */
  return made != NULL;
}
static bool carries(me *m, const char *block, size_t length) {
  return makes(m, (martlet_msg_fields){.topic = text("a"), .properties = {(const uint8_t *)block, length}});
}

static martlet_status messages(me *m, martlet_ctl_out *out) {
  const martlet_pubsub_v1 *pubsub = GET(m->h, pubsub, MARTLET_EXT_PUBSUB);
  out_number(out, "endless", makes(m, (martlet_msg_fields){.topic = text("a"), .payload = endless}));
  out_number(out, "endless_topic", makes(m, (martlet_msg_fields){.topic = endless}));
  out_number(out, "nothing", makes(m, (martlet_msg_fields){.topic = text("a"), .payload = nothing}));
  out_number(out, "topic", makes(m, (martlet_msg_fields){.topic = text("a/\xff")}));
  out_number(out, "type_twice", carries(m, "\x03\0\1a\x03\0\1b", 8));
  out_number(out, "format_twice", carries(m, "\x01\0\x01\0", 4));
  out_number(out, "type", carries(m, "\x03\0\1\xff", 4));
  out_number(out, "nul", carries(m, "\x03\0\1\0", 4));
  out_number(out, "response", carries(m, "\x08\0\1#", 4));
  out_number(out, "user", carries(m, "\x26\0\1a\0\1\xc0", 7));
  out_number(out, "cut", carries(m, "\x26\0\1a\0\2b", 7));
  out_number(out, "whole", carries(m, "\x01\1\x08\0\1r\x09\0\1\xff\x26\0\1a\0\1b\x26\0\1a\0\1b", 24));
  out_number(out, "publish", pubsub->publish(m->h, NULL, false));
  out_number(out, "deliver", pubsub->session_deliver(m->h, 1, NULL, 0, false));
  return MARTLET_OK;
}

/* A plugin of a later minor: its martlet_sub is longer. */
typedef struct { martlet_sub sub; uint64_t later; } long_sub;

static martlet_status subscriptions(me *m, martlet_ctl_out *out) {
  const martlet_pubsub_v1 *pubsub = GET(m->h, pubsub, MARTLET_EXT_PUBSUB);
  out_number(out, "shared", pubsub->subscribe(m->h, text("$share/g/a"), 0, deliver, m, NULL));
  out_number(out, "queue", pubsub->subscribe(m->h, text("$queue/a"), 0, deliver, m, NULL));
  out_number(out, "text", pubsub->subscribe(m->h, text("\xff"), 0, deliver, m, NULL));
  out_number(out, "endless", pubsub->subscribe(m->h, endless, 0, deliver, m, NULL));
  martlet_sub good = {.size = sizeof good, .topic = text("a"), .qos = 1}, bad[6];
  for (int i = 0; i < 6; i++) bad[i] = good;
  bad[0].share_group = text("a/b");
  bad[1].share_group = text("+");
  bad[2].share_group = nothing;
  bad[3].subscription_id = 268435456;
  bad[4].retain_handling = 3;
  bad[5].share_group = text("g"), bad[5].no_local = true;
  int refused = 0;
  for (int i = 0; i < 6; i++) refused += pubsub->session_subscribe(m->h, 1, &bad[i], 1) == MARTLET_E_INVAL;
  out_number(out, "refused", refused);
  long_sub longer[2] = {{.sub = good}, {.sub = good}};
  longer[0].sub.size = longer[1].sub.size = sizeof(long_sub);
  longer[1].sub.topic = text("second");
  out_number(out, "longer", pubsub->session_subscribe(m->h, 1, &longer[0].sub, 2));
  return MARTLET_OK;
}

static martlet_status others(me *m, martlet_ctl_out *out) {
  const martlet_service_v1 *service = GET(m->h, service, MARTLET_EXT_SERVICE);
  const martlet_kv_v1 *kv = GET(m->h, kv, MARTLET_EXT_KV);
  const martlet_dynamic_v1 *dynamic = GET(m->h, dynamic, MARTLET_EXT_DYNAMIC);
  out_number(out, "no_table", service->provide(m->h, "strange/1", NULL, NULL));
  out_number(out, "the_hosts", service->provide(m->h, MARTLET_EXT_LOG, m, NULL));
  out_number(out, "put", kv->put(m->h, text("t"), text("k"), endless));
  out_number(out, "key", kv->put(m->h, text("t"), endless, text("v")));
  out_number(out, "own", GET(m->h, metrics, MARTLET_EXT_METRICS)->define(m->h, MARTLET_GAUGE, "clients/count", "", NULL));
  out_number(out, "join", dynamic->hook(m->h, "strange.h", "i(l)", 0, (void (*)(void))joined, m, NULL));
  out_number(out, "point", dynamic->define_hook(m->h, "strange.h", "i(i)", NULL));
  m->h->set_error(m->h, MARTLET_E_IO, endless);
  out->print(out->impl, endless);
  out->print(out->impl, nothing);
  return MARTLET_OK;
}

static martlet_status nothing_to_do(void *u, const martlet_bytes *a, size_t n, martlet_ctl_out *out) {
  (void)u; (void)a; (void)n; (void)out;
  return MARTLET_OK;
}

/* Counts and capacities that are all a size_t can hold: the first are mistakes, the others mean "as much as there is". */
static martlet_status counts(me *m, martlet_ctl_out *out) {
  const martlet_net_v1 *net = GET(m->h, net, MARTLET_EXT_NET);
  const martlet_http_v1 *http = GET(m->h, http, MARTLET_EXT_HTTP);
  static const martlet_ctl_usage usage = {"x", "y"};
  static const martlet_cfg_key key = {.size = sizeof key, .key = "x", .help = "y"};
  static const martlet_http_field field = {{(const uint8_t *)"a", 1}, {(const uint8_t *)"b", 1}};
  martlet_httpc_request request = {.size = sizeof request, .url = text("http://127.0.0.1:9/"), .nheaders = SIZE_MAX};
  martlet_addr address = {{127, 0, 0, 1}, 0, 80, 4, 0};
  martlet_bytes found;
  uint8_t room[64];
  out_number(out, "command", GET(m->h, ctl, MARTLET_EXT_CTL)->command(m->h, "y", &usage, SIZE_MAX, nothing_to_do, m, NULL));
  out_number(out, "declare", GET(m->h, config, MARTLET_EXT_CONFIG)->declare(m->h, &key, SIZE_MAX, NULL, NULL));
  out_number(out, "respond", http->respond(m->h, 1, 200, &field, SIZE_MAX, text("")));
  out_number(out, "find", http->find(&field, SIZE_MAX, "none", &found) || http->find(NULL, 3, "a", &found));
  out_number(out, "kv", GET(m->h, kv, MARTLET_EXT_KV)->change(m->h, text("t"), (const martlet_kv_change *)room, SIZE_MAX));
  out_number(out, "request", GET(m->h, httpc, MARTLET_EXT_HTTPC)->request(m->h, 0, &request, NULL, NULL, NULL));
  out_number(out, "address", (long long)net->format_addr(&address, room, SIZE_MAX));
  out_number(out, "text", memcmp(room, "127.0.0.1:80", 12) == 0);
  return MARTLET_OK;
}

static martlet_status command(void *u, const martlet_bytes *a, size_t argc, martlet_ctl_out *out) {
  me *m = u;
  if (argc != 2) return MARTLET_E_INVAL;
  if (is(a[1], "messages")) return messages(m, out);
  if (is(a[1], "subscriptions")) return subscriptions(m, out);
  if (is(a[1], "others")) return others(m, out);
  if (is(a[1], "counts")) return counts(m, out);
  return MARTLET_E_INVAL;
}

static martlet_status start(void *state) {
  me *m = state;
  return GET(m->h, ctl, MARTLET_EXT_CTL)->command(m->h, ID, NULL, 0, command, m, NULL);
}

LIFE(start)
ENTRY(create)
