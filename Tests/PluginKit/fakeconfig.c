/* SPDX-License-Identifier: Apache-2.0
 * The configuration of the host in miniature: the text of one file, and the keys an image has declared.
 */
#define _GNU_SOURCE
#include "fakehost.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fake_set_conf(fake *f, const char *conf) {
  free(f->conf);
  f->conf = strdup(conf);
}
void fake_forget_keys(fake_image *image) {
  for (size_t i = 0; i < image->nkeys; i++) {
    free((void *)image->keys[i].key);
    free((void *)image->keys[i].dflt);
    free((void *)image->keys[i].range_or_enum);
  }
  free(image->keys);
  image->keys = NULL;
  image->nkeys = 0;
  image->apply = NULL;
}

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
  for (size_t i = 0; i < f->now.nkeys; i++)
    if (matches(f->now.keys[i].key, key, len)) return &f->now.keys[i];
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
                                  martlet_cfg_apply apply, void *user) {
  fake *f = FAKE(host);
  fake_image *image = &f->now;
  fake_forget_keys(image);
  image->keys = calloc(n, sizeof *keys);
  image->nkeys = n;
  image->apply = apply;
  image->apply_user = user;
  for (size_t i = 0; i < n; i++) {
    CHECK(keys[i].size >= sizeof *keys && keys[i].help != NULL && keys[i].help[0] != 0);
    image->keys[i] = keys[i];
    image->keys[i].key = strdup(keys[i].key);
    image->keys[i].dflt = copy(keys[i].dflt);
    image->keys[i].range_or_enum = copy(keys[i].range_or_enum);
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
  if (f->now.apply == NULL) return MARTLET_E_STATE;
  return f->now.apply(f->now.apply_user, key, fake_bytes(value));
}
