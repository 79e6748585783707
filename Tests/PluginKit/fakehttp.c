/* SPDX-License-Identifier: Apache-2.0
 * martlet.httpc/1 of the host in miniature: no network. The URL says what comes of a request: /busy is refused, /fail
 * fails, /never is not answered; anything else is echoed with the next fake_pump. What is lent is overwritten
 * afterwards.
 */
#include "fakehost.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLIENT = 77 };

typedef struct pending {
  fake *f;
  martlet_token token;
  bool over;
  int32_t where;
  martlet_httpc_fn fn;
  void *user;
  char text[1024];
  bool fails;
} pending;

static pending calls[16];
static size_t made;

static martlet_status client(const martlet_host *host, const martlet_httpc_options *options, martlet_token *out) {
  if (options->ca_file.len > 0) {
    host->set_error(host, MARTLET_E_INVAL, fake_bytes("there is no such file"));
    return MARTLET_E_INVAL;
  }
  CHECK(options->size == sizeof *options && options->name.len > 0);
  *out = CLIENT;
  return MARTLET_OK;
}

static void respond(void *user) {
  pending *p = user;
  if (p->over) return;
  p->over = true;
  char head[] = "X-OneuniqueX-Twotwo";
  char error[] = "no luck";
  martlet_httpc_header headers[] = {{{(uint8_t *)head, 5}, {(uint8_t *)head + 5, 6}},
                                    {{(uint8_t *)head + 11, 5}, {(uint8_t *)head + 16, 3}}};
  martlet_httpc_response response = {.size = sizeof response, .http_status = 200, .http_version = 11, .attempts = 1,
                                     .headers = headers, .nheaders = 2, .body = fake_bytes(p->text)};
  if (p->fails)
    response = (martlet_httpc_response){.size = sizeof response, .status = MARTLET_E_IO, .attempts = 3,
                                        .failure = MARTLET_HTTPC_CLOSED, .error = fake_bytes(error)};
  p->fn(p->user, &response);
  memset(head, 0xDB, sizeof head);
  memset(error, 0xDB, sizeof error);
  memset(p->text, 0xDB, sizeof p->text);
  memset(headers, 0xDB, sizeof headers);
}

static void put(pending *p, const char *before, martlet_bytes bytes) {
  size_t used = strlen(p->text);
  snprintf(p->text + used, sizeof p->text - used, "%s%.*s", before, (int)bytes.len, (const char *)bytes.ptr);
}

static martlet_status request(const martlet_host *host, martlet_token token, const martlet_httpc_request *r,
                              martlet_httpc_fn fn, void *user, martlet_token *out) {
  char url[256];
  CHECK(token == CLIENT && r->size == sizeof *r);
  snprintf(url, sizeof url, "%.*s", (int)r->url.len, (const char *)r->url.ptr);
  if (strstr(url, "/busy") != NULL) return MARTLET_E_BUSY;
  CHECK(made < sizeof calls / sizeof *calls);
  pending *p = &calls[made++];
  *p = (pending){.f = FAKE(host), .token = 100 + made, .where = fake_current, .fn = fn, .user = user};
  p->fails = strstr(url, "/fail") != NULL;
  put(p, "", r->method);
  put(p, " ", r->url);
  for (size_t i = 0; i < r->nheaders; i++) {
    put(p, " ", r->headers[i].name);
    put(p, "=", r->headers[i].value);
  }
  put(p, " ", r->body);
  char rest[64];
  snprintf(rest, sizeof rest, " %u %u %u", r->flags, r->timeout_ms, r->retries);
  put(p, rest, (martlet_bytes){(const uint8_t *)"", 0});
  *out = p->token;
  if (strstr(url, "/never") != NULL) return MARTLET_OK;
  const martlet_exec_v1 *exec = fake_extension(host, MARTLET_EXT_EXEC);
  return fake_current >= 0 ? exec->on_loop(host, (uint32_t)fake_current, respond, p) : exec->on_main(host, respond, p);
}

static martlet_status cancel(const martlet_host *host, martlet_token token) {
  (void)host;
  for (size_t i = 0; i < made; i++)
    if (calls[i].token == token && !calls[i].over) {
      calls[i].over = true;
      return MARTLET_OK;
    }
  return MARTLET_E_STALE;
}

static martlet_status close_client(const martlet_host *host, martlet_token token) {
  (void)host;
  return token == CLIENT ? MARTLET_OK : MARTLET_E_STALE;
}

const martlet_httpc_v1 fake_httpc = {sizeof fake_httpc, client, close_client, request, cancel};
