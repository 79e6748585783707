/* SPDX-License-Identifier: Apache-2.0
 * An ACL module that allows everything, but topics that begin with "late/" only from another thread. */
#include "abi.h"

typedef struct { const martlet_host *h; const martlet_acl_v1 *acl; } me;
typedef struct { me *m; martlet_deferred answer; } job;

static void answer(void *u) {
  job *j = u;
  j->m->acl->answer(j->m->h, j->answer, MARTLET_ALLOW);
  free(j);
}

static int32_t check(void *u, const martlet_acl_req *req) {
  me *m = u;
  if (req->topic.len < 5 || memcmp(req->topic.ptr, "late/", 5) != 0) return MARTLET_ALLOW;
  job *j = malloc(sizeof *j);
  *j = (job){m, m->acl->defer(req, 0)};
  if (j->answer == 0 || GET(m->h, exec, MARTLET_EXT_EXEC)->blocking(m->h, answer, j) != MARTLET_OK) abort();
  return MARTLET_PENDING;
}

static martlet_status start(void *state) {
  me *m = state;
  m->acl = GET(m->h, acl, MARTLET_EXT_ACL);
  return m->acl->add(m->h, 5, check, m, NULL);
}

LIFE(start)
ENTRY(create)
