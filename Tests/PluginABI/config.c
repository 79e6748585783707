/* SPDX-License-Identifier: Apache-2.0
 * martlet.config/1: every type, a starred key, a live change that is refused when the number is 13. OLD_KEYS: declared
 * as with the header before `example`. */
#include "abi.h"
#include <stddef.h>

typedef struct { const martlet_host *h; const martlet_config_v1 *config; char changes[512]; martlet_bytes kind, list; } me;

static const martlet_cfg_key keys[] = {
  {sizeof(martlet_cfg_key), MARTLET_CFG_BOOL, 0, "config.flag", "on", NULL, "A switch.", NULL},
  {sizeof(martlet_cfg_key), MARTLET_CFG_INT, 0, "config.number", "7", "0..100", "A number.", NULL},
  {sizeof(martlet_cfg_key), MARTLET_CFG_BYTES, 0, "config.size", "64KB", NULL, "A size.", NULL},
  {sizeof(martlet_cfg_key), MARTLET_CFG_DURATION_MS, 0, "config.time", "2s", NULL, "A time.", NULL},
  {sizeof(martlet_cfg_key), MARTLET_CFG_STRING, MARTLET_CFG_SECRET, "config.secret", NULL, NULL, "A secret.", NULL},
  {sizeof(martlet_cfg_key), MARTLET_CFG_ENUM, MARTLET_CFG_IMMUTABLE, "config.kind", "disc", "ram|disc|disc_only", "A kind.", NULL},
  {sizeof(martlet_cfg_key), MARTLET_CFG_LIST, 0, "config.list", "a, b", NULL, "A list.", NULL},
  {sizeof(martlet_cfg_key), MARTLET_CFG_PERCENT, 0, "config.share", "60%", NULL, "A share.", NULL},
  {sizeof(martlet_cfg_key), MARTLET_CFG_PATH, 0, "config.file", "etc/a.conf", NULL, "A file.", NULL},
  {sizeof(martlet_cfg_key), MARTLET_CFG_STRING, 0, "config.user.*.name", NULL, NULL, "A user.", "zoe"},
};

static martlet_status apply(void *u, const char *key, martlet_bytes value) {
  me *m = u;
  if (strcmp(key, "config.number") == 0 && is(value, "13")) {
    fail(m->h, MARTLET_E_INVAL, "13 brings bad luck");
    return MARTLET_E_INVAL;
  }
  if (strcmp(key, "config.number") == 0 && is(value, "12")) return MARTLET_E_INVAL; /* and says nothing */
  size_t used = strlen(m->changes);
  snprintf(m->changes + used, sizeof m->changes - used, "%s=%.*s;", key, (int)value.len, (const char *)value.ptr);
  return MARTLET_OK;
}

static bool each(void *u, martlet_bytes key, martlet_bytes value) {
  char line[256];
  snprintf(line, sizeof line, "%.*s -> %.*s", (int)key.len, (const char *)key.ptr, (int)value.len, (const char *)value.ptr);
  out_line(u, line);
  return true;
}

static martlet_status command(void *u, const martlet_bytes *argv, size_t argc, martlet_ctl_out *out) {
  me *m = u;
  if (argc == 2 && is(argv[1], "kept")) { /* texts handed out before, and now */
    martlet_bytes kind = {0, 0}, list = {0, 0};
    m->config->get_string(m->h, "config.kind", &kind);
    m->config->get_string(m->h, "config.list", &list);
    out_number(out, "kind", m->kind.ptr == kind.ptr);
    out_number(out, "list", m->list.ptr == list.ptr);
    m->kind = kind, m->list = list;
    return MARTLET_OK;
  }
  if (argc == 2 && is(argv[1], "err")) { /* leaves the host's sentence behind */
    GET(m->h, metrics, MARTLET_EXT_METRICS)->define(m->h, 99, "x", "", NULL);
    return MARTLET_OK;
  }
  if (argc != 1) return MARTLET_E_INVAL;
  static const char *numbers[] = {"config.flag", "config.number", "config.size", "config.time", "config.kind", "config.share"};
  for (int i = 0; i < 6; i++) {
    int64_t value = -1;
    martlet_status s = m->config->get_int(m->h, numbers[i], &value);
    out_number(out, numbers[i], s ? s : value);
  }
  martlet_bytes b = {0, 0};
  out_number(out, "secret", m->config->get_string(m->h, "config.secret", &b));
  out_number(out, "undeclared", m->config->get_string(m->h, "config.nothing", &b));
  m->config->get_string(m->h, "config.list", &b);
  out->print(out->impl, b);
  out_line(out, "");
  m->config->get_string(m->h, "config.file", &b);
  out->print(out->impl, b);
  out_line(out, "");
  m->config->each(m->h, "config.user.", each, out);
  out_line(out, m->changes);
  return MARTLET_OK;
}

static martlet_status start(void *state) {
  me *m = state;
  m->config = GET(m->h, config, MARTLET_EXT_CONFIG);
  enum { COUNT = sizeof keys / sizeof *keys };
  const martlet_cfg_key *declared = keys;
#ifdef OLD_KEYS
  enum { OLD = offsetof(martlet_cfg_key, example) };
  _Alignas(martlet_cfg_key) char old[COUNT * OLD];
  for (int i = 0; i < COUNT; i++) {
    uint32_t size = OLD;
    memcpy(old + i * OLD, &keys[i], OLD);
    memcpy(old + i * OLD, &size, sizeof size);
  }
  declared = (const martlet_cfg_key *)old;
#endif
  martlet_status s = m->config->declare(m->h, declared, COUNT, apply, m);
  if (s) return s;
  return GET(m->h, ctl, MARTLET_EXT_CTL)->command(m->h, ID, NULL, 0, command, m, NULL);
}

LIFE(start)
ENTRY(create)
