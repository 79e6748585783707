/* SPDX-License-Identifier: Apache-2.0
 * martlet.dynamic/1: every letter as argument and result, hook points with joiners; called by another plugin. */
#include "abi.h"

typedef struct { const martlet_host *h; const martlet_dynamic_v1 *d; int ran; } me;

#ifdef OFFER
static int32_t mix(void *u, int32_t i, int64_t l, double d, bool b, const void *p, martlet_bytes s) {
  (void)u;
  return i + (int32_t)l + (int32_t)(d * 10) + b + (p != NULL) + (int32_t)s.len;
}
static int64_t big(void *u) { (void)u; return -5000000000ll; }
static double half(void *u, double d) { (void)u; return d / 2; }
static bool no(void *u, int32_t i) { (void)u; return i > 100; }
static const void *self(void *u) { return u; }
static martlet_bytes name(void *u) { (void)u; return text("martlet"); }
static void nothing(void *u) { ((me *)u)->ran++; }

static martlet_status start(void *state) {
  me *m = state;
  m->d = GET(m->h, dynamic, MARTLET_EXT_DYNAMIC);
#define DEFINE(N, S, F) if ((s = m->d->define(m->h, N, S, (void (*)(void))F, m, NULL))) return s
  martlet_status s;
  DEFINE("t.mix", "i(ildbps)", mix);
  DEFINE("t.big", "l()", big);
  DEFINE("t.half", "d(d)", half);
  DEFINE("t.no", "b(i)", no);
  DEFINE("t.self", "p()", self);
  DEFINE("t.name", "s()", name);
  DEFINE("t.nothing", "v()", nothing);
  return m->d->define_hook(m->h, "t.point", "i(s)", NULL);
}
#else
static int32_t joined(void *u, martlet_bytes s) {
  me *m = u;
  m->ran++;
  return s.len > 3 ? MARTLET_STOP : MARTLET_NEXT;
}
static int32_t second(void *u, martlet_bytes s) {
  (void)s;
  ((me *)u)->ran += 10;
  return MARTLET_NEXT;
}

static martlet_status command(void *u, const martlet_bytes *a, size_t argc, martlet_ctl_out *out) {
  me *m = u;
  if (argc == 2 && is(a[1], "hook")) {
    martlet_value v = {.s = text("abc")};
    out_number(out, "both", m->d->run_hook(m->h, "t.point", &v, 1));
    out_number(out, "ran", m->ran);
    v.s = text("long");
    out_number(out, "stopped", m->d->run_hook(m->h, "t.point", &v, 1));
    out_number(out, "ran", m->ran);
    out_number(out, "unknown", m->d->run_hook(m->h, "t.nowhere", &v, 1));
    return MARTLET_OK;
  }
  int target = 0;
  martlet_value args[6] = {{.i = 1}, {.l = 20}, {.d = 0.5}, {.b = true}, {.p = &target}, {.s = text("four")}};
  martlet_value r;
  memset(&r, 0, sizeof r);
  out_number(out, "mix", m->d->call(m->h, "t.mix", "i(ildbps)", args, 6, &r) ? -1 : r.i);
  out_number(out, "big", m->d->call(m->h, "t.big", "l()", NULL, 0, &r) ? -1 : r.l);
  martlet_value d = {.d = 5};
  out_number(out, "half", m->d->call(m->h, "t.half", "d(d)", &d, 1, &r) ? -1 : (long long)(r.d * 10));
  martlet_value i = {.i = 3};
  r.l = -1;
  out_number(out, "no", m->d->call(m->h, "t.no", "b(i)", &i, 1, &r) ? -1 : r.b);
  out_number(out, "self", m->d->call(m->h, "t.self", "p()", NULL, 0, &r) ? -1 : r.p != NULL);
  out_number(out, "name", m->d->call(m->h, "t.name", "s()", NULL, 0, &r) ? -1 : (long long)r.s.len);
  out_number(out, "nothing", m->d->call(m->h, "t.nothing", "v()", NULL, 0, NULL));
  out_number(out, "signature", m->d->call(m->h, "t.no", "i(i)", &i, 1, &r));
  out_number(out, "count", m->d->call(m->h, "t.no", "b(i)", &i, 0, &r));
  out_number(out, "unknown", m->d->call(m->h, "t.unknown", "v()", NULL, 0, NULL));
  out_number(out, "letters", m->d->define(m->h, "x", "q(i)", (void (*)(void))joined, m, NULL));
  out_number(out, "taken", m->d->define(m->h, "t.no", "b(i)", (void (*)(void))joined, m, NULL));
  return MARTLET_OK;
}
static martlet_status start(void *state) {
  me *m = state;
  m->d = GET(m->h, dynamic, MARTLET_EXT_DYNAMIC);
  martlet_status s = m->d->hook(m->h, "t.point", "i(s)", 5, (void (*)(void))joined, m, NULL);
  if (!s) s = m->d->hook(m->h, "t.point", "i(s)", 1, (void (*)(void))second, m, NULL);
  if (!s) s = GET(m->h, ctl, MARTLET_EXT_CTL)->command(m->h, ID, NULL, 0, command, m, NULL);
  return s;
}
#endif

LIFE(start)
ENTRY(create)
