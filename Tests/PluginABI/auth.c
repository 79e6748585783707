/* SPDX-License-Identifier: Apache-2.0
 * martlet.auth/1 and martlet.acl/1: user "late" gets its answer from another thread, "twice" two of them, "never"
 * none; everybody else is let in by name. */
#include "abi.h"
#include <pthread.h>

typedef struct {
  const martlet_host *h;
  const martlet_auth_v1 *auth;
  const martlet_acl_v1 *acl;
  martlet_status first, second;
} me;
typedef struct { me *m; martlet_deferred answer; bool twice; } job;

static void answer(void *u) {
  job *j = u;
  martlet_auth_result r = {.size = sizeof r, .verdict = MARTLET_ALLOW};
  j->m->first = j->m->auth->answer(j->m->h, j->answer, &r);
  if (j->twice) j->m->second = j->m->auth->answer(j->m->h, j->answer, &r);
  free(j);
}

static int32_t authenticate(void *u, const martlet_auth_req *req, martlet_auth_result *out) {
  me *m = u;
  if (is(req->username, "never")) return m->auth->defer(req, 200) ? MARTLET_PENDING : MARTLET_ERROR;
  if (is(req->username, "late") || is(req->username, "twice")) {
    job *j = malloc(sizeof *j);
    *j = (job){m, m->auth->defer(req, 0), is(req->username, "twice")};
    GET(m->h, exec, MARTLET_EXT_EXEC)->blocking(m->h, answer, j);
    return MARTLET_PENDING;
  }
  if (is(req->username, "bad")) {
    out->reason_code = 0x87;
    return MARTLET_DENY;
  }
  return req->username.len ? MARTLET_ALLOW : MARTLET_IGNORE;
}

static int32_t check(void *u, const martlet_acl_req *req) {
  (void)u;
  return req->topic.len && req->topic.ptr[0] == 'x' ? MARTLET_DENY : MARTLET_ALLOW;
}

static martlet_status command(void *u, const martlet_bytes *argv, size_t argc, martlet_ctl_out *out) {
  me *m = u;
  (void)argv;
  (void)argc;
  out_number(out, "first", m->first);
  out_number(out, "second", m->second);
  out_number(out, "unknown", m->acl->answer(m->h, 0xFFFFFFFFFFFFull, MARTLET_ALLOW));
  out_number(out, "verdict", m->acl->answer(m->h, 1, 77));
  return MARTLET_OK;
}

static martlet_status start(void *state) {
  me *m = state;
  m->auth = GET(m->h, auth, MARTLET_EXT_AUTH);
  m->acl = GET(m->h, acl, MARTLET_EXT_ACL);
  m->first = m->second = 1;
  martlet_status s = m->auth->add(m->h, 5, authenticate, m, NULL);
  if (!s) s = m->acl->add(m->h, 5, check, m, NULL);
  if (!s) s = GET(m->h, ctl, MARTLET_EXT_CTL)->command(m->h, ID, NULL, 0, command, m, NULL);
  return s;
}

LIFE(start)
ENTRY(create)
