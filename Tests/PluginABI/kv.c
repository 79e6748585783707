/* SPDX-License-Identifier: Apache-2.0
 * martlet.kv/1 as commands: put T K V, get T K, del T K, scan T P, limits, keep. */
#include "abi.h"

typedef struct { const martlet_host *h; const martlet_kv_v1 *kv; martlet_ctl_out *out; const uint8_t *kept; long n; } me;

static void value(void *u, martlet_bytes v) {
  me *m = u;
  m->kept = v.ptr;
  m->out->print(m->out->impl, v);
}
static bool pair(void *u, martlet_bytes k, martlet_bytes v) {
  me *m = u;
  m->out->print(m->out->impl, k);
  m->out->print(m->out->impl, text("="));
  m->out->print(m->out->impl, v);
  m->out->print(m->out->impl, text(";"));
  return true;
}
/* Writes while it scans. */
static bool drop(void *u, martlet_bytes k, martlet_bytes v) {
  me *m = u;
  (void)v;
  m->n++;
  m->kv->del(m->h, text("many"), k);
  return true;
}

static martlet_status many(me *m, martlet_ctl_out *out) {
  char key[16];
  for (int i = 0; i < 200; i++) {
    snprintf(key, sizeof key, "k%03d", i);
    martlet_status s = m->kv->put(m->h, text("many"), text(key), text("v"));
    if (s) return s;
  }
  m->n = 0;
  m->kv->scan(m->h, text("many"), text("k"), drop, m);
  out_number(out, "seen", m->n);
  m->n = 0;
  m->kv->scan(m->h, text("many"), text(""), drop, m);
  out_number(out, "left", m->n);
  return MARTLET_OK;
}

static martlet_status limits(me *m, martlet_ctl_out *out) {
  static uint8_t big[(1 << 20) + 1];
  martlet_bytes b = {big, sizeof big};
  martlet_bytes key = {big, 1025}, table = {big, 65}, none = {NULL, 0}, lie = {NULL, 5};
  out_number(out, "value", m->kv->put(m->h, text("t"), text("k"), b));
  out_number(out, "key", m->kv->put(m->h, text("t"), key, none));
  out_number(out, "table", m->kv->put(m->h, table, text("k"), none));
  out_number(out, "null", m->kv->put(m->h, text("t"), lie, none));
  b.len--;
  out_number(out, "fits", m->kv->put(m->h, text("t"), text("big"), b));
  out_number(out, "empty", m->kv->put(m->h, text("t"), text("empty"), none));
  return MARTLET_OK;
}

/* A change of many keys at once, and one that must leave all as it was. */
static martlet_status change(me *m, martlet_ctl_out *out) {
  enum { MANY = 20000 };
  static char keys[MANY][8];
  static martlet_kv_change all[MANY + 1];
  for (int i = 0; i < MANY; i++) {
    snprintf(keys[i], sizeof keys[i], "k%05d", i);
    all[i] = (martlet_kv_change){.key = text(keys[i]), .value = text("v")};
  }
  all[1] = (martlet_kv_change){.key = text(keys[0]), .removes = true};
  out_number(out, "many", m->kv->change(m->h, text("c"), all, MANY));
  out_number(out, "none", m->kv->change(m->h, text("c"), NULL, 0));
  all[0].value = text("other");
  all[2].key.len = 0;
  out_number(out, "bad", m->kv->change(m->h, text("c"), all, MANY));
  out_number(out, "null", m->kv->change(m->h, text("c"), NULL, 1));
  out_number(out, "count", m->kv->change(m->h, text("c"), all, 100001));
  return MARTLET_OK;
}

static martlet_status command(void *u, const martlet_bytes *a, size_t argc, martlet_ctl_out *out) {
  me *m = u;
  m->out = out;
  if (argc == 5 && is(a[1], "put")) return m->kv->put(m->h, a[2], a[3], a[4]);
  if (argc == 4 && is(a[1], "get")) return m->kv->get(m->h, a[2], a[3], value, m);
  if (argc == 4 && is(a[1], "del")) return m->kv->del(m->h, a[2], a[3]);
  if (argc == 4 && is(a[1], "scan")) return m->kv->scan(m->h, a[2], a[3], pair, m);
  if (argc == 2 && is(a[1], "many")) return many(m, out);
  if (argc == 2 && is(a[1], "change")) return change(m, out);
  if (argc == 2 && is(a[1], "limits")) return limits(m, out);
  return MARTLET_E_INVAL;
}

static martlet_status start(void *state) {
  me *m = state;
  m->kv = GET(m->h, kv, MARTLET_EXT_KV);
  static const martlet_ctl_usage usage[] = {{ID " get <Table> <Key>", "Show a value"}};
  return GET(m->h, ctl, MARTLET_EXT_CTL)->command(m->h, ID, usage, 1, command, m, NULL);
}

LIFE(start)
ENTRY(create)
