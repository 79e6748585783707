/* SPDX-License-Identifier: Apache-2.0
 * martlet.service/1: with PROVIDE it offers "adder/1", otherwise it borrows it in start. */
#include "abi.h"

typedef struct adder { uint32_t size; int (*add)(int, int); } adder;
typedef struct { const martlet_host *h; const martlet_service_v1 *service; const adder *adder; martlet_token token; } me;

#ifdef PROVIDE
static int add(int a, int b) { return a + b; }
static const adder table = {sizeof table, add};
static martlet_status start(void *state) {
  me *m = state;
  m->service = GET(m->h, service, MARTLET_EXT_SERVICE);
  return m->service->provide(m->h, "adder/1", &table, &m->token);
}
#else
static martlet_status command(void *u, const martlet_bytes *a, size_t argc, martlet_ctl_out *out) {
  me *m = u;
  if (argc == 2 && is(a[1], "give_back")) {
    m->service->give_back(m->h, m->token);
    m->adder = NULL;
    return MARTLET_OK;
  }
  out_number(out, "sum", m->adder ? m->adder->add(2, 3) : -1);
  return MARTLET_OK;
}
static martlet_status start(void *state) {
  me *m = state;
  m->service = GET(m->h, service, MARTLET_EXT_SERVICE);
  m->adder = m->service->borrow(m->h, "adder/1", &m->token);
  if (!m->adder) {
    fail(m->h, MARTLET_E_NOTFOUND, "nobody adds");
    return MARTLET_E_NOTFOUND;
  }
  return GET(m->h, ctl, MARTLET_EXT_CTL)->command(m->h, ID, NULL, 0, command, m, NULL);
}
#endif

LIFE(start)
ENTRY(create)
