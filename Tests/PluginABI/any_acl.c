/* SPDX-License-Identifier: Apache-2.0
 * An ACL module that counts what it is asked. By user name: "any" may everything, "none" nothing, and it says so for
 * every topic; "some" may everything, "pass" is left to the next module but for the topic "no", "later" gets its answer
 * through a deferral: nothing is said of other topics. */
#include "abi.h"

typedef struct { const martlet_host *h; const martlet_acl_v1 *acl; long long calls; } me;

static int32_t check(void *u, const martlet_acl_req *req) {
  me *m = u;
  if (req->action != MARTLET_ACL_PUBLISH) return MARTLET_ALLOW;
  m->calls++;
  if (is(req->username, "any") || is(req->username, "none")) {
    if (m->acl->any_topic(req) != MARTLET_OK) abort();
    return is(req->username, "any") ? MARTLET_ALLOW : MARTLET_DENY;
  }
  if (is(req->username, "pass")) return is(req->topic, "no") ? MARTLET_DENY : MARTLET_IGNORE;
  if (is(req->username, "later")) {
    martlet_deferred answer = m->acl->defer(req, 0);
    m->acl->any_topic(req);
    if (m->acl->answer(m->h, answer, is(req->topic, "no") ? MARTLET_DENY : MARTLET_ALLOW) != MARTLET_OK) abort();
    return MARTLET_PENDING;
  }
  return MARTLET_ALLOW;
}

static martlet_status command(void *u, const martlet_bytes *argv, size_t argc, martlet_ctl_out *out) {
  me *m = u;
  (void)argv;
  if (argc > 1) return m->acl->invalidate(m->h, 0);
  martlet_acl_req request = {.size = sizeof request};
  out_number(out, "calls", m->calls);
  out_number(out, "outside", m->acl->any_topic(&request));
  return MARTLET_OK;
}

static martlet_status start(void *state) {
  me *m = state;
  m->acl = GET(m->h, acl, MARTLET_EXT_ACL);
  martlet_status s = m->acl->add(m->h, 9, check, m, NULL);
  if (!s) s = GET(m->h, ctl, MARTLET_EXT_CTL)->command(m->h, ID, NULL, 0, command, m, NULL);
  return s;
}

LIFE(start)
ENTRY(create)
