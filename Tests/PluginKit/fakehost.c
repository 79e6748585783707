/* SPDX-License-Identifier: Apache-2.0
 * The life cycle, the log and the configuration of the host in miniature.
 */
#define _GNU_SOURCE
#include "fakehost.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__thread int32_t fake_current = MARTLET_ON_MAIN;

martlet_bytes fake_bytes(const char *text) {
  return (martlet_bytes){(const uint8_t *)text, text == NULL ? 0 : strlen(text)};
}

static void set_error(const martlet_host *host, martlet_status code, martlet_bytes text) {
  (void)code;
  snprintf(FAKE(host)->error, sizeof FAKE(host)->error, "%.*s", (int)text.len, text.ptr);
}
static void stopped(const martlet_host *host) { FAKE(host)->stopped_calls++; }

fake *fake_new(const char *conf) {
  fake *f = calloc(1, sizeof *f);
  f->host = (martlet_host){.size = sizeof f->host, .abi_major = MARTLET_ABI_MAJOR, .impl = f, .broker_name = "Fake",
                           .broker_version = "0", .node_name = "fake@127.0.0.1", .get_extension = fake_extension,
                           .set_error = set_error, .stopped = stopped};
  f->log_level = MARTLET_LOG_INFO;
  fake_set_conf(f, conf);
  return f;
}
void fake_set_conf(fake *f, const char *conf) {
  free(f->conf);
  f->conf = strdup(conf);
}

static void forget_keys(fake *f) {
  for (size_t i = 0; i < f->nkeys; i++) {
    free((void *)f->keys[i].key);
    free((void *)f->keys[i].dflt);
    free((void *)f->keys[i].range_or_enum);
  }
  free(f->keys);
  f->keys = NULL;
  f->nkeys = 0;
  f->apply = NULL;
}

void fake_free(fake *f) {
  forget_keys(f);
  while (f->kv != NULL) {
    fake_pair *pair = f->kv;
    f->kv = pair->next;
    free(pair->table), free(pair->key), free(pair->value), free(pair);
  }
  free(f->conf);
  free(f);
}

static martlet_status begin(fake *f, const char *path, void **image, martlet_plugin *plugin) {
  snprintf(f->last_path, sizeof f->last_path, "%s", path);
  *image = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (*image == NULL) fprintf(stderr, "%s\n", dlerror());
  CHECK(*image != NULL);
  const martlet_entry *(*entry)(void) = (const martlet_entry *(*)(void))dlsym(*image, "martlet_plugin_entry");
  CHECK(entry != NULL);
  const martlet_entry *e = entry();
  CHECK(e == entry());
  CHECK(e->size >= sizeof *e && e->abi_major == MARTLET_ABI_MAJOR);
  CHECK(e->id[0] != 0 && e->version[0] != 0 && e->description[0] != 0);
  for (const char *const *need = e->needs; need != NULL && *need != NULL; need++)
    if (fake_extension(&f->host, *need) == NULL) {
      snprintf(f->error, sizeof f->error, "needs %s", *need);
      return MARTLET_E_UNSUPPORTED;
    }
  *plugin = (martlet_plugin){0};
  return e->create(&f->host, plugin);
}

static void revoke(fake *f) { memset(f->regs, 0, sizeof f->regs); }

static int lines_naming(const char *path) {
  char line[1024];
  int count = 0;
  FILE *maps = fopen("/proc/self/maps", "r");
  while (fgets(line, sizeof line, maps) != NULL) count += strstr(line, path) != NULL;
  fclose(maps);
  return count;
}

static int end(fake *f, void *image, martlet_plugin *plugin, const char *path, bool started) {
  if (started) CHECK(plugin->stop(plugin->state) == MARTLET_OK);
  plugin->destroy(plugin->state);
  CHECK(dlclose(image) == 0);
  (void)f;
  return lines_naming(path);
}

martlet_status fake_load(fake *f, const char *path) {
  f->error[0] = 0;
  martlet_status status = begin(f, path, &f->image, &f->plugin);
  if (status != MARTLET_OK) {
    dlclose(f->image);
    return status;
  }
  CHECK(f->plugin.size >= sizeof f->plugin);
  status = f->plugin.start(f->plugin.state);
  if (status == MARTLET_OK) return status;
  revoke(f);
  fake_pump(f);
  CHECK(end(f, f->image, &f->plugin, path, false) == 0);
  forget_keys(f);
  return status;
}

int fake_unload(fake *f) {
  revoke(f);
  fake_pump(f);
  int left = end(f, f->image, &f->plugin, f->last_path, true);
  forget_keys(f);
  return left;
}

typedef struct carried { char *bytes; size_t len; } carried;
static void carry(void *to, martlet_bytes part) {
  carried *c = to;
  c->bytes = realloc(c->bytes, c->len + part.len + 1);
  memcpy(c->bytes + c->len, part.ptr, part.len);
  c->len += part.len;
}

martlet_status fake_reload(fake *f, const char *path) {
  void *old_image = f->image;
  martlet_plugin old = f->plugin;
  char old_path[sizeof f->last_path];
  memcpy(old_path, f->last_path, sizeof old_path);
  carried state = {0};
  const martlet_upgrade_v1 *give =
      old.get_extension == NULL ? NULL : old.get_extension(old.state, MARTLET_EXT_UPGRADE);
  if (give != NULL) CHECK(give->export_state(old.state, carry, &state) == MARTLET_OK);
  CHECK(begin(f, path, &f->image, &f->plugin) == MARTLET_OK);
  const martlet_upgrade_v1 *take =
      f->plugin.get_extension == NULL ? NULL : f->plugin.get_extension(f->plugin.state, MARTLET_EXT_UPGRADE);
  martlet_status status = MARTLET_OK;
  if (give != NULL && take != NULL)
    status = take->import_state(f->plugin.state, (martlet_bytes){(uint8_t *)state.bytes, state.len});
  free(state.bytes);
  if (status != MARTLET_OK) {
    CHECK(end(f, f->image, &f->plugin, path, false) == 0);
    f->image = old_image;
    f->plugin = old;
    memcpy(f->last_path, old_path, sizeof old_path);
    return status;
  }
  revoke(f);
  fake_pump(f);
  forget_keys(f);
  CHECK(f->plugin.start(f->plugin.state) == MARTLET_OK);
  CHECK(end(f, old_image, &old, old_path, true) == 0);
  return MARTLET_OK;
}

/* ---- log */

static bool log_enabled(const martlet_host *host, int32_t level) { return level >= FAKE(host)->log_level; }
static void log_write(const martlet_host *host, int32_t level, martlet_bytes text, martlet_client about) {
  (void)level, (void)about;
  size_t used = strlen(FAKE(host)->log);
  snprintf(FAKE(host)->log + used, sizeof FAKE(host)->log - used, "%.*s\n", (int)text.len, text.ptr);
}
const martlet_log_v1 fake_log = {sizeof fake_log, log_enabled, log_write};

/* ---- config */

static bool matches(const char *pattern, const char *key, size_t len) {
  const char *end = key + len;
  while (*pattern != 0) {
    if (*pattern == '*') {
      while (key < end && *key != '.') key++;
      pattern++;
    } else if (key < end && *pattern == *key) {
      pattern++, key++;
    } else {
      return false;
    }
  }
  return key == end;
}
static const martlet_cfg_key *declared(fake *f, const char *key, size_t len) {
  for (size_t i = 0; i < f->nkeys; i++)
    if (matches(f->keys[i].key, key, len)) return &f->keys[i];
  return NULL;
}
/* Calls fn for every "key = value" line; stops when it returns false. */
static bool each_line(fake *f, bool (*fn)(void *, martlet_bytes, martlet_bytes), void *user) {
  for (const char *line = f->conf; *line != 0;) {
    size_t len = strcspn(line, "\n");
    const char *equals = memchr(line, '=', len);
    if (len > 0 && line[0] != '#' && equals != NULL) {
      size_t klen = (size_t)(equals - line);
      while (klen > 0 && line[klen - 1] == ' ') klen--;
      const char *value = equals + 1;
      while (value < line + len && *value == ' ') value++;
      martlet_bytes key = {(const uint8_t *)line, klen};
      if (!fn(user, key, (martlet_bytes){(const uint8_t *)value, (size_t)(line + len - value)})) return false;
    }
    line += len + (line[len] == '\n');
  }
  return true;
}
static bool known(void *user, martlet_bytes key, martlet_bytes value) {
  (void)value;
  fake *f = user;
  if (declared(f, (const char *)key.ptr, key.len) != NULL) return true;
  snprintf(f->error, sizeof f->error, "unknown key %.*s", (int)key.len, key.ptr);
  return false;
}
static char *copy(const char *text) { return text == NULL ? NULL : strdup(text); }

static martlet_status cfg_declare(const martlet_host *host, const martlet_cfg_key *keys, size_t n,
                                  martlet_cfg_apply apply,
                                  void *user) {
  fake *f = FAKE(host);
  forget_keys(f);
  f->keys = calloc(n, sizeof *keys);
  f->nkeys = n;
  f->apply = apply;
  f->apply_user = user;
  for (size_t i = 0; i < n; i++) {
    CHECK(keys[i].size >= sizeof *keys && keys[i].help != NULL && keys[i].help[0] != 0);
    f->keys[i] = keys[i];
    f->keys[i].key = strdup(keys[i].key);
    f->keys[i].dflt = copy(keys[i].dflt);
    f->keys[i].range_or_enum = copy(keys[i].range_or_enum);
  }
  return each_line(f, known, f) ? MARTLET_OK : MARTLET_E_INVAL;
}

typedef struct wanted { const char *key; martlet_bytes value; bool found; } wanted;
static bool is_wanted(void *user, martlet_bytes key, martlet_bytes value) {
  wanted *w = user;
  if (key.len != strlen(w->key) || memcmp(key.ptr, w->key, key.len) != 0) return true;
  w->value = value;
  w->found = true;
  return false;
}
static martlet_status cfg_string(const martlet_host *host, const char *key, martlet_bytes *out) {
  wanted w = {key, {0}, false};
  const martlet_cfg_key *k = declared(FAKE(host), key, strlen(key));
  CHECK(k != NULL);
  each_line(FAKE(host), is_wanted, &w);
  if (!w.found && k->dflt == NULL) return MARTLET_E_NOTFOUND;
  *out = w.found ? w.value : fake_bytes(k->dflt);
  return MARTLET_OK;
}
static int64_t unit(int32_t type, const char *text) {
  if (type == MARTLET_CFG_BYTES) return *text == 'K' ? 1024 : *text == 'M' ? 1048576 : 1;
  if (type != MARTLET_CFG_DURATION_MS) return 1;
  return strncmp(text, "ms", 2) == 0 ? 1 : *text == 'm' ? 60000 : *text == 'h' ? 3600000 : 1000;
}
static int64_t word_index(const char *words, martlet_bytes value) {
  for (int64_t i = 0; *words != 0; i++) {
    size_t len = strcspn(words, "|");
    if (len == value.len && memcmp(words, value.ptr, len) == 0) return i;
    words += len + (words[len] == '|');
  }
  return -1;
}
static martlet_status cfg_int(const martlet_host *host, const char *key, int64_t *out) {
  martlet_bytes value;
  martlet_status status = cfg_string(host, key, &value);
  if (status != MARTLET_OK) return status;
  const martlet_cfg_key *k = declared(FAKE(host), key, strlen(key));
  char text[64], *rest;
  snprintf(text, sizeof text, "%.*s", (int)value.len, value.ptr);
  if (k->type == MARTLET_CFG_BOOL) {
    *out = strcmp(text, "on") == 0 || strcmp(text, "true") == 0 || strcmp(text, "yes") == 0;
  } else if (k->type == MARTLET_CFG_ENUM) {
    *out = word_index(k->range_or_enum, value);
  } else {
    *out = strtoll(text, &rest, 10);
    *out *= unit(k->type, rest);
  }
  return MARTLET_OK;
}
typedef struct filtered { const char *prefix; bool (*fn)(void *, martlet_bytes, martlet_bytes); void *user; } filtered;
static bool pass(void *user, martlet_bytes key, martlet_bytes value) {
  filtered *p = user;
  if (key.len < strlen(p->prefix) || memcmp(key.ptr, p->prefix, strlen(p->prefix)) != 0) return true;
  return p->fn(p->user, key, value);
}
static martlet_status cfg_each(const martlet_host *host, const char *prefix, bool (*fn)(void *, martlet_bytes,
                               martlet_bytes),
                               void *user) {
  filtered p = {prefix, fn, user};
  each_line(FAKE(host), pass, &p);
  return MARTLET_OK;
}
const martlet_config_v1 fake_config = {sizeof fake_config, cfg_declare, cfg_int, cfg_string, cfg_each};

martlet_status fake_change(fake *f, const char *key, const char *value) {
  f->error[0] = 0;
  if (f->apply == NULL) return MARTLET_E_STATE;
  return f->apply(f->apply_user, key, fake_bytes(value));
}
