/* SPDX-License-Identifier: Apache-2.0
 * martlet.http/1 of the host in miniature: routes are found by their text, an answer is kept until it is asked for. What
 * is lent is overwritten afterwards.
 */
#include "fakehost.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static struct { martlet_token token; martlet_http_route route; } routes[16];
static size_t nroutes;
static struct { martlet_http_req id; bool begun, over, full; char text[4096]; } asked;

static martlet_status add_route(const martlet_host *host, const martlet_http_route *route, martlet_token *out) {
  CHECK(route->size == sizeof *route && route->handle != NULL);
  martlet_token token;
  fake_reg *reg = fake_add(FAKE(host), FAKE_HTTP, (void (*)(void))route->handle, route->user, &token);
  snprintf(reg->text, sizeof reg->text, "%s %s", route->method, route->pattern);
  size_t place = 0; /* of a route that is gone */
  while (place < nroutes && routes[place].token != token && fake_find(FAKE(host), routes[place].token) != NULL) place++;
  CHECK(place < 16);
  if (place == nroutes) nroutes++;
  routes[place].token = token;
  routes[place].route = *route;
  if (out != NULL) *out = token;
  return MARTLET_OK;
}
static martlet_status files(const martlet_host *host, const martlet_http_files *files, martlet_token *out) {
  fake_reg *reg = fake_add(FAKE(host), FAKE_HTTP, (void (*)(void))add_route, NULL, out);
  snprintf(reg->text, sizeof reg->text, "%s=%s %s", files->prefix, files->folder, files->cache_control);
  return MARTLET_OK;
}
static martlet_status authenticator(const martlet_host *host, int32_t priority, martlet_http_auth_fn fn, void *user,
                                    martlet_token *out) {
  fake_add(FAKE(host), FAKE_HTTP_AUTH, (void (*)(void))fn, user, out)->priority = priority;
  return MARTLET_OK;
}
static void put(const char *text, size_t len) {
  size_t used = strlen(asked.text);
  CHECK(used + len < sizeof asked.text);
  if (len > 0) memcpy(asked.text + used, text, len);
  asked.text[used + len] = 0;
}
static void put_bytes(martlet_bytes bytes) { put((const char *)bytes.ptr, bytes.len); }
static martlet_status begin(const martlet_host *host, martlet_http_req id, int32_t status,
                            const martlet_http_field *headers, size_t n) {
  (void)host;
  if (id != asked.id || asked.over) return MARTLET_E_STALE;
  if (asked.begun) return MARTLET_E_STATE;
  asked.begun = true;
  char line[16];
  put(line, (size_t)snprintf(line, sizeof line, "%d", status));
  for (size_t i = 0; i < n; i++) {
    put(" ", 1);
    put_bytes(headers[i].name);
    put("=", 1);
    put_bytes(headers[i].value);
  }
  put("|", 1);
  return MARTLET_OK;
}
static martlet_status write_some(const martlet_host *host, martlet_http_req id, martlet_bytes bytes) {
  (void)host;
  if (id != asked.id || asked.over) return MARTLET_E_STALE;
  if (!asked.begun) return MARTLET_E_STATE;
  if (asked.full) return MARTLET_E_BUSY;
  put_bytes(bytes);
  return MARTLET_OK;
}
static martlet_status end(const martlet_host *host, martlet_http_req id) {
  (void)host;
  if (id != asked.id || asked.over) return MARTLET_E_STALE;
  asked.over = true;
  return MARTLET_OK;
}
static martlet_status respond(const martlet_host *host, martlet_http_req id, int32_t status,
                              const martlet_http_field *headers, size_t n, martlet_bytes body) {
  martlet_status result = begin(host, id, status, headers, n);
  if (result != MARTLET_OK) return result;
  put_bytes(body);
  return end(host, id);
}
static martlet_status event(const martlet_host *host, martlet_http_req id, const martlet_http_event *event) {
  CHECK(event->size == sizeof *event);
  if (id == asked.id && !asked.begun) begin(host, id, 200, NULL, 0);
  martlet_bytes parts[] = {event->name, {(const uint8_t *)"/", 1}, event->id, {(const uint8_t *)"/", 1}, event->data};
  for (int i = 0; i < 5; i++) {
    martlet_status status = write_some(host, id, parts[i]);
    if (status != MARTLET_OK) return status;
  }
  return MARTLET_OK;
}
static martlet_status resume(const martlet_host *host, martlet_http_req id) {
  (void)host;
  return id == asked.id && !asked.over ? MARTLET_OK : MARTLET_E_STALE;
}
static martlet_status auth_answer(const martlet_host *host, martlet_http_req id, const martlet_http_auth_result *result) {
  (void)host;
  if (id != asked.id) return MARTLET_E_STALE;
  char line[32];
  put(line, (size_t)snprintf(line, sizeof line, "later %d ", result->verdict));
  put_bytes(result->user);
  asked.id = 0;
  return MARTLET_OK;
}
static bool find(const martlet_http_field *fields, size_t n, const char *name, martlet_bytes *out) {
  for (size_t i = 0; i < n; i++)
    if (fields[i].name.len == strlen(name) && strncasecmp((const char *)fields[i].name.ptr, name, strlen(name)) == 0) {
      *out = fields[i].value;
      return true;
    }
  *out = (martlet_bytes){0};
  return false;
}
static bool same_secret(martlet_bytes a, martlet_bytes b) {
  return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

const martlet_http_v1 fake_http_table = {
    sizeof fake_http_table, add_route, files, authenticator, fake_forget, respond, begin, write_some, end, event,
    resume, auth_answer, find, same_secret};

static martlet_http_route *route_of(fake *f, const char *route) {
  for (int i = 0; i < FAKE_MAX; i++) {
    if (f->now.regs[i].fn == NULL || f->now.regs[i].kind != FAKE_HTTP || strcmp(f->now.regs[i].text, route) != 0) continue;
    for (size_t r = 0; r < nroutes; r++)
      if (routes[r].token == f->now.regs[i].token) return &routes[r].route;
  }
  return NULL;
}

const char *fake_http(fake *f, const char *route, fake_web web) {
  martlet_http_route *found = route_of(f, route);
  if (found == NULL) return "no route";
  static martlet_http_req last;
  asked.id = ++last;
  asked.begun = asked.over = asked.full = false;
  asked.text[0] = 0;
  char *copy[] = {strdup(web.param ? web.param : ""), strdup(web.query ? web.query : ""),
                  strdup(web.header ? web.header : ""), strdup(web.body ? web.body : "")};
  martlet_http_field param = {fake_bytes("name"), fake_bytes(copy[0])};
  martlet_http_field query = {fake_bytes("q"), fake_bytes(copy[1])}, header = {fake_bytes("x-header"), fake_bytes(copy[2])};
  martlet_http_request request = {.size = sizeof request, .id = asked.id, .method = fake_bytes("GET"),
                                  .path = fake_bytes("/path"), .peer = fake_bytes("192.0.2.7:5"),
                                  .listener = fake_bytes("management"), .user = fake_bytes("ada"), .params = &param,
                                  .nparams = 1, .query_fields = &query, .nquery_fields = web.query != NULL,
                                  .headers = &header, .nheaders = web.header != NULL, .body = fake_bytes(copy[3])};
  if (found->chunk != NULL) request.body = (martlet_bytes){0};
  found->handle(found->user, &request);
  if (found->chunk != NULL) {
    char line[32];
    martlet_status status = found->chunk(found->user, asked.id, fake_bytes(copy[3]), false);
    put(line, (size_t)snprintf(line, sizeof line, "[%d]", status));
    found->chunk(found->user, asked.id, (martlet_bytes){0}, true);
  }
  for (int i = 0; i < 4; i++) {
    memset(copy[i], 0xDB, strlen(copy[i]));
    free(copy[i]);
  }
  return asked.text;
}
const char *fake_http_room(fake *f, const char *route) {
  martlet_http_route *found = route_of(f, route);
  if (found != NULL && found->writable != NULL) found->writable(found->user, asked.id);
  return asked.text;
}
const char *fake_http_gone(fake *f, const char *route) {
  martlet_http_route *found = route_of(f, route);
  asked.over = true;
  if (found != NULL && found->gone != NULL) found->gone(found->user, asked.id, MARTLET_E_IO);
  return asked.text;
}
const char *fake_http_auth(fake *f, const char *username, const char *password, const char *token) {
  for (int i = 0; i < FAKE_MAX; i++) {
    if (f->now.regs[i].fn == NULL || f->now.regs[i].kind != FAKE_HTTP_AUTH) continue;
    asked.text[0] = 0;
    asked.id = 4711;
    martlet_http_credentials credentials = {
        .size = sizeof credentials, .scheme = token ? MARTLET_HTTP_AUTH_BEARER : MARTLET_HTTP_AUTH_BASIC, .id = asked.id,
        .username = fake_bytes(username ? username : ""), .password = fake_bytes(password ? password : ""),
        .token = fake_bytes(token ? token : ""), .method = fake_bytes("GET"), .path = fake_bytes("/path")};
    martlet_http_auth_result result = {.size = sizeof result};
    int32_t verdict = ((martlet_http_auth_fn)f->now.regs[i].fn)(f->now.regs[i].user, &credentials, &result);
    char line[32];
    put(line, (size_t)snprintf(line, sizeof line, "%d ", verdict));
    put_bytes(result.user);
    return asked.text;
  }
  return "nobody";
}
