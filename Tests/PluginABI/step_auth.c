/* SPDX-License-Identifier: Apache-2.0
 * An enhanced authentication of two steps, method "echo": the first data is a name, the answer to it a challenge, and
 * whoever sends the challenge back is let in. With "wrong" as the name re-authentication fails. It has words for people
 * too: with the challenge, and for an echo that is wrong; of code 0x8D for "code", which no CONNACK may have.
 */
#include <martlet/martlet.h>

#include <stdlib.h>
#include <string.h>

typedef struct state {
  const martlet_host *host;
  const martlet_auth_v1 *auth;
} state;

static bool is(martlet_bytes bytes, const char *text) {
  return bytes.len == strlen(text) && memcmp(bytes.ptr, text, bytes.len) == 0;
}
static martlet_bytes text(const char *s) { return (martlet_bytes){(const uint8_t *)s, strlen(s)}; }

static int32_t on_auth(void *user, const martlet_auth_req *request, martlet_auth_result *out) {
  (void)user;
  if (is(request->clientid, "plain")) return MARTLET_CONTINUE; /* which a CONNECT without a method cannot */
  if (request->auth_method.len == 0) return MARTLET_IGNORE;
  if (!is(request->auth_method, "echo")) return MARTLET_IGNORE;
  if (request->step == 0 && !is(request->auth_data, "wrong")) {
    out->auth_data = text("challenge");
    out->reason_string = text("Send it back.");
    return MARTLET_CONTINUE;
  }
  if (request->step == 1 && is(request->auth_data, "challenge")) {
    out->auth_data = text("welcome");
    return MARTLET_ALLOW;
  }
  out->reason_code = is(request->auth_data, "code") ? 0x8D : 0x87;
  if (request->step == 1) out->reason_string = text("That was no echo.");
  if (is(request->auth_data, "bytes")) out->reason_string = text("no \xff text");
  return MARTLET_DENY;
}

static martlet_status start(void *user) {
  state *s = user;
  return s->auth->add(s->host, 10, on_auth, s, NULL);
}
static martlet_status stop(void *user) {
  (void)user;
  return MARTLET_OK;
}

static martlet_status create(const martlet_host *host, martlet_plugin *out) {
  state *s = calloc(1, sizeof *s);
  if (s == NULL) return MARTLET_E_NOMEM;
  s->host = host;
  s->auth = host->get_extension(host, MARTLET_EXT_AUTH);
  *out = (martlet_plugin){.size = sizeof *out, .state = s, .start = start, .stop = stop, .destroy = free};
  return MARTLET_OK;
}

static const char *const needs[] = {MARTLET_EXT_AUTH, NULL};

const martlet_entry *martlet_plugin_entry(void) {
  static const martlet_entry entry = {.size = sizeof entry, .abi_major = MARTLET_ABI_MAJOR,
                                      .abi_minor = MARTLET_ABI_MINOR, .id = "step_auth", .version = "1.0.0",
                                      .description = "Authenticates in two steps", .needs = needs, .create = create};
  return &entry;
}
