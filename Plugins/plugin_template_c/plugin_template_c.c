/* SPDX-License-Identifier: Apache-2.0
 * plugin_template_c - every hook point, an auth and an ACL module, a command, an HTTP route and three keys, in plain C.
 * The twin of plugin_template; it needs the headers in include/martlet and nothing else.
 */
#include "echo.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is counted: the hook points by their numbers, then the two decisions. */
enum { SEEN_AUTH = MARTLET_HOOK_COUNT_V1, SEEN_ACL, SEEN_COUNT, ROW = 16, GREETING_MAX = 200, USERNAME_MAX = 256 };

static const char *const names[SEEN_COUNT] = {
    "client.connected",   "client.disconnected", "client.subscribe",    "client.unsubscribe",   "session.created",
    "session.resumed",    "session.terminated",  "session.subscribed",  "session.unsubscribed", "message.publish",
    "message.delivered",  "message.acked",       "message.dropped",     "auth",                 "acl"};

/* All state lives here, never in globals: two versions of an image may run side by side during a reload. */
typedef struct state {
  const martlet_host *host;
  const martlet_log_v1 *log;
  const martlet_config_v1 *config;
  const martlet_message_v1 *message;
  const martlet_hooks_v1 *hooks;
  const martlet_auth_v1 *auth;
  const martlet_acl_v1 *acl;
  const martlet_ctl_v1 *ctl;
  const martlet_exec_v1 *exec;
  const martlet_http_v1 *http;
  echo echo;
  char greeting[GREETING_MAX + 1];
  char denied[USERNAME_MAX];
  uint32_t loops;
  /* One row of counters a loop, written only by that loop, so counting costs no traffic between cores; one row more
   * for all other threads. */
  atomic_long *cells;
} state;

static martlet_status fail(state *s, martlet_status status, const char *sentence) {
  s->host->set_error(s->host, status, (martlet_bytes){(const uint8_t *)sentence, strlen(sentence)});
  return status;
}

static void count(state *s, int what) {
  int32_t loop = s->exec->current(s->host);
  if (loop >= 0 && (uint32_t)loop < s->loops) {
    atomic_long *cell = &s->cells[loop * ROW + what];
    atomic_store_explicit(cell, atomic_load_explicit(cell, memory_order_relaxed) + 1, memory_order_relaxed);
  } else {
    atomic_fetch_add_explicit(&s->cells[s->loops * ROW + what], 1, memory_order_relaxed);
  }
}
static long total(const state *s, int what) {
  long sum = 0;
  for (uint32_t row = 0; row <= s->loops; row++)
    sum += atomic_load_explicit(&s->cells[row * ROW + what], memory_order_relaxed);
  return sum;
}

/* Asks before it formats: with debug off a line costs one call. */
__attribute__((format(printf, 3, 4))) static void debug(state *s, martlet_client about, const char *format, ...) {
  if (!s->log->enabled(s->host, MARTLET_LOG_DEBUG)) return;
  char line[1024];
  va_list values;
  va_start(values, format);
  int length = vsnprintf(line, sizeof line, format, values);
  va_end(values);
  if (length < 0) return;
  size_t shown = (size_t)length < sizeof line ? (size_t)length : sizeof line - 1;
  s->log->write(s->host, MARTLET_LOG_DEBUG, (martlet_bytes){(const uint8_t *)line, shown}, about);
}
/* For "%.*s": borrowed bytes are not NUL-terminated. */
#define TEXT(bytes) (int)(bytes).len, (bytes).len == 0 ? "" : (const char *)(bytes).ptr

/* ---- hooks */

static int32_t on_client(void *user, martlet_event *ev) {
  count(user, ev->hook);
  debug(user, ev->client, "%s %.*s, code %d", names[ev->hook], TEXT(ev->clientid), (int)ev->code);
  return MARTLET_NEXT;
}
static int32_t on_subscribe(void *user, martlet_event *ev) {
  count(user, ev->hook);
  /* The broker's structs may be longer than the one known here. */
  for (size_t i = 0; i < ev->nsubs; i++) {
    const martlet_sub *sub = (const martlet_sub *)((const char *)ev->subs + i * ev->subs->size);
    debug(user, ev->client, "%s %.*s to %.*s", names[ev->hook], TEXT(ev->clientid), TEXT(sub->topic));
  }
  return MARTLET_NEXT;
}
static int32_t on_message(void *user, martlet_event *ev) {
  state *s = user;
  count(s, ev->hook);
  if (ev->msg == NULL || !s->log->enabled(s->host, MARTLET_LOG_DEBUG)) return MARTLET_NEXT;
  martlet_msg_fields fields = {.size = sizeof fields};
  s->message->read(ev->msg, &fields);
  debug(s, ev->client, "%s %.*s, QoS %d, %zu bytes", names[ev->hook], TEXT(fields.topic), fields.qos, fields.payload.len);
  return MARTLET_NEXT;
}

/* ---- decisions */

static int32_t on_auth(void *user, const martlet_auth_req *request, martlet_auth_result *out) {
  state *s = user;
  (void)out;
  count(s, SEEN_AUTH);
  debug(s, request->client, "auth %.*s from %.*s", TEXT(request->clientid), TEXT(request->peer));
  size_t length = strlen(s->denied);
  if (length == 0 || !request->has_username || request->username.len != length) return MARTLET_IGNORE;
  return memcmp(request->username.ptr, s->denied, length) == 0 ? MARTLET_DENY : MARTLET_IGNORE;
}
static int32_t on_acl(void *user, const martlet_acl_req *request) {
  count(user, SEEN_ACL);
  debug(user, request->client, "acl %.*s %s %.*s", TEXT(request->clientid),
        request->action == MARTLET_ACL_PUBLISH ? "publish" : "subscribe", TEXT(request->topic));
  return MARTLET_IGNORE;
}

/* ---- command */

static martlet_status on_command(void *user, const martlet_bytes *argv, size_t argc, martlet_ctl_out *out) {
  state *s = user;
  char line[GREETING_MAX + 32];
  (void)argv;
  if (argc != 1) return MARTLET_E_INVAL; /* no sentence: the host prints the usage */
  int length = snprintf(line, sizeof line, "%s\n", s->greeting);
  out->print(out->impl, (martlet_bytes){(const uint8_t *)line, (size_t)length});
  for (int what = 0; what < SEEN_COUNT; what++) {
    length = snprintf(line, sizeof line, "%-22s: %ld\n", names[what], total(s, what));
    out->print(out->impl, (martlet_bytes){(const uint8_t *)line, (size_t)length});
  }
  return MARTLET_OK;
}

/* ---- HTTP */

/* GET /template_c/hello/:name on the HTTP listener "management". */
static void on_hello(void *user, const martlet_http_request *request) {
  state *s = user;
  static const martlet_http_field type = {{(const uint8_t *)"content-type", 12},
                                          {(const uint8_t *)"text/plain; charset=utf-8", 25}};
  char line[GREETING_MAX + 1024];
  int length = snprintf(line, sizeof line, "%s, %.*s\n", s->greeting, TEXT(request->params[0].value));
  if (length >= (int)sizeof line) length = sizeof line - 1;
  s->http->respond(s->host, request->id, 200, &type, 1, (martlet_bytes){(const uint8_t *)line, (size_t)length});
}

static martlet_status serve(state *s) {
  martlet_http_route route = {.size = sizeof route, .method = "GET", .pattern = "/template_c/hello/:name",
                              .handle = on_hello, .user = s};
  return s->http->route(s->host, &route, NULL);
}

/* ---- configuration */

static const martlet_cfg_key keys[] = {
    {.size = sizeof(martlet_cfg_key), .type = MARTLET_CFG_STRING, .key = "template.greeting", .dflt = "hello",
     .help = "What `martlet_ctl template_c` prints first."},
    {.size = sizeof(martlet_cfg_key), .type = MARTLET_CFG_STRING, .flags = MARTLET_CFG_IMMUTABLE, .key = "template.topic",
     .dflt = "#", .help = "Only messages whose topic matches this filter are seen."},
    {.size = sizeof(martlet_cfg_key), .type = MARTLET_CFG_STRING, .flags = MARTLET_CFG_IMMUTABLE,
     .key = "template.deny_username", .help = "Refuse clients that connect with this user name.", .example = "mallory"},
    {.size = sizeof(martlet_cfg_key), .type = MARTLET_CFG_STRING, .flags = MARTLET_CFG_IMMUTABLE, .key = "template.tcp_echo",
     .help = "Accept TCP connections here and send back what they send.", .example = "127.0.0.1:7007"},
    {.size = sizeof(martlet_cfg_key), .type = MARTLET_CFG_STRING, .flags = MARTLET_CFG_IMMUTABLE, .key = "template.udp_echo",
     .help = "Receive datagrams here and send them back.", .example = "127.0.0.1:7007"}};

static martlet_status apply(void *user, const char *key, martlet_bytes value) {
  state *s = user;
  if (strcmp(key, "template.greeting") != 0) return MARTLET_OK;
  if (value.len > GREETING_MAX) return fail(s, MARTLET_E_INVAL, "A greeting has at most 200 bytes.");
  memcpy(s->greeting, value.ptr, value.len);
  s->greeting[value.len] = 0;
  return MARTLET_OK;
}

static martlet_status configure(state *s, martlet_bytes *topic) {
  martlet_bytes value;
  martlet_status status = s->config->declare(s->host, keys, sizeof keys / sizeof *keys, apply, s);
  if (status != MARTLET_OK) return status;
  if ((status = s->config->get_string(s->host, "template.greeting", &value)) != MARTLET_OK) return status;
  if ((status = apply(s, "template.greeting", value)) != MARTLET_OK) return status;
  if ((status = s->config->get_string(s->host, "template.topic", topic)) != MARTLET_OK) return status;
  status = s->config->get_string(s->host, "template.deny_username", &value);
  if (status == MARTLET_E_NOTFOUND) return MARTLET_OK;
  if (status != MARTLET_OK) return status;
  if (value.len >= USERNAME_MAX) return fail(s, MARTLET_E_INVAL, "template.deny_username has at most 255 bytes.");
  memcpy(s->denied, value.ptr, value.len);
  s->denied[value.len] = 0;
  return MARTLET_OK;
}

/* ---- life */

static martlet_hook_fn handler_of(int hook) {
  switch (hook) {
    case MARTLET_HOOK_CLIENT_SUBSCRIBE:
    case MARTLET_HOOK_CLIENT_UNSUBSCRIBE:
    case MARTLET_HOOK_SESSION_SUBSCRIBED:
    case MARTLET_HOOK_SESSION_UNSUBSCRIBED: return on_subscribe;
    case MARTLET_HOOK_MESSAGE_PUBLISH:
    case MARTLET_HOOK_MESSAGE_DELIVERED:
    case MARTLET_HOOK_MESSAGE_ACKED:
    case MARTLET_HOOK_MESSAGE_DROPPED: return on_message;
    default: return on_client;
  }
}

static martlet_status start(void *user) {
  static const martlet_ctl_usage usage = {"template_c", "Show what the plugin template has seen"};
  state *s = user;
  martlet_bytes topic = {0};
  martlet_status status = configure(s, &topic);
  for (int hook = 0; status == MARTLET_OK && hook < MARTLET_HOOK_COUNT_V1; hook++) {
    martlet_bytes filter = hook >= MARTLET_HOOK_MESSAGE_PUBLISH ? topic : (martlet_bytes){0};
    status = s->hooks->add(s->host, hook, 0, handler_of(hook), filter, s, NULL);
  }
  if (status == MARTLET_OK) status = s->auth->add(s->host, 0, on_auth, s, NULL);
  if (status == MARTLET_OK) status = s->acl->add(s->host, 0, on_acl, s, NULL);
  if (status == MARTLET_OK) status = s->ctl->command(s->host, "template_c", &usage, 1, on_command, s, NULL);
  if (status == MARTLET_OK) status = serve(s);
  if (status == MARTLET_OK) status = echo_start(&s->echo, s->host, s->config);
  return status;
}
/* The host has revoked everything already; there is nothing of our own to wait for. */
static martlet_status stop(void *user) {
  (void)user;
  return MARTLET_OK;
}
static void destroy(void *user) {
  state *s = user;
  free(s->cells);
  free(s);
}

static martlet_status create(const martlet_host *host, martlet_plugin *out) {
  state *s = calloc(1, sizeof *s);
  if (s == NULL) return MARTLET_E_NOMEM;
  s->host = host;
  s->log = host->get_extension(host, MARTLET_EXT_LOG);
  s->config = host->get_extension(host, MARTLET_EXT_CONFIG);
  s->message = host->get_extension(host, MARTLET_EXT_MESSAGE);
  s->hooks = host->get_extension(host, MARTLET_EXT_HOOKS);
  s->auth = host->get_extension(host, MARTLET_EXT_AUTH);
  s->acl = host->get_extension(host, MARTLET_EXT_ACL);
  s->ctl = host->get_extension(host, MARTLET_EXT_CTL);
  s->exec = host->get_extension(host, MARTLET_EXT_EXEC);
  s->http = host->get_extension(host, MARTLET_EXT_HTTP);
  s->loops = s->exec->loop_count(host);
  s->cells = calloc((s->loops + 1) * ROW, sizeof *s->cells);
  if (s->cells == NULL) {
    free(s);
    return MARTLET_E_NOMEM;
  }
  *out = (martlet_plugin){.size = sizeof *out, .state = s, .start = start, .stop = stop, .destroy = destroy};
  return MARTLET_OK;
}

/* create() may rely on every id listed here. */
static const char *const needs[] = {MARTLET_EXT_LOG,  MARTLET_EXT_CONFIG, MARTLET_EXT_MESSAGE, MARTLET_EXT_HOOKS,
                                    MARTLET_EXT_AUTH, MARTLET_EXT_ACL,    MARTLET_EXT_CTL,     MARTLET_EXT_EXEC,
                                    MARTLET_EXT_HTTP, NULL};

const martlet_entry *martlet_plugin_entry(void) {
  static const martlet_entry entry = {.size = sizeof entry,
                                      .abi_major = MARTLET_ABI_MAJOR,
                                      .abi_minor = MARTLET_ABI_MINOR,
                                      .id = "plugin_template_c",
                                      .version = "1.0.0",
                                      .description = "Plugin template: every hook point, in C",
                                      .needs = needs,
                                      .create = create};
  return &entry;
}
