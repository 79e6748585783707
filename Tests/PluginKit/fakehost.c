/* SPDX-License-Identifier: Apache-2.0
 * The life cycle of an image in the host in miniature, and the log.
 */
#define _GNU_SOURCE
#include "fakehost.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
void fake_free(fake *f) {
  while (f->kv != NULL) {
    fake_pair *pair = f->kv;
    f->kv = pair->next;
    free(pair->table), free(pair->key), free(pair->value), free(pair);
  }
  free(f->conf);
  free(f);
}

/* ---- images */

/* As in the broker, every life has a file of its own: the loader knows it by no earlier name. */
static void private_copy(const char *from, char *to, size_t cap) {
  static unsigned lives;
  char part[65536];
  snprintf(to, cap, "/tmp/martlet-image-%d-%u.so", (int)getpid(), lives++);
  FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
  CHECK(in != NULL && out != NULL);
  for (size_t n; (n = fread(part, 1, sizeof part, in)) > 0;) CHECK(fwrite(part, 1, n, out) == n);
  fclose(in);
  CHECK(fclose(out) == 0);
}
int fake_mapped(const char *text) {
  char line[1024];
  int count = 0;
  FILE *maps = fopen("/proc/self/maps", "r");
  while (fgets(line, sizeof line, maps) != NULL) count += strstr(line, text) != NULL;
  fclose(maps);
  return count;
}

/* dlopen, what the entry says, create. */
static martlet_status begin(fake *f, const char *path) {
  f->now = (fake_image){0};
  private_copy(path, f->now.path, sizeof f->now.path);
  f->now.image = dlopen(f->now.path, RTLD_NOW | RTLD_LOCAL);
  unlink(f->now.path);
  if (f->now.image == NULL) fprintf(stderr, "%s\n", dlerror());
  CHECK(f->now.image != NULL);
  const martlet_entry *(*entry)(void) = (const martlet_entry *(*)(void))dlsym(f->now.image, "martlet_plugin_entry");
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
  martlet_status status = e->create(&f->host, &f->now.plugin);
  if (status == MARTLET_OK) CHECK(f->now.plugin.size >= sizeof f->now.plugin);
  return status;
}

static void revoke_all(fake_image *image) { memset(image->regs, 0, sizeof image->regs); }

/* What is left of it in memory, in lines of /proc/self/maps. */
static int end(fake *f, fake_image *image, bool started) {
  revoke_all(image);
  if (started) {
    int32_t calls = f->stopped_calls;
    martlet_status status = image->plugin.stop(image->plugin.state);
    CHECK(status == MARTLET_OK || status == MARTLET_E_BUSY);
    fake_pump(f);
    CHECK(f->stopped_calls == calls + (status == MARTLET_E_BUSY));
  }
  fake_pump(f);
  image->plugin.destroy(image->plugin.state);
  CHECK(dlclose(image->image) == 0);
  fake_forget_keys(image);
  return fake_mapped(image->path);
}

martlet_status fake_load(fake *f, const char *path) {
  f->error[0] = 0;
  martlet_status status = begin(f, path);
  if (status != MARTLET_OK) {
    dlclose(f->now.image);
    return status;
  }
  status = f->now.plugin.start(f->now.plugin.state);
  if (status != MARTLET_OK) CHECK(end(f, &f->now, false) == 0);
  return status;
}

int fake_unload(fake *f) {
  revoke_all(&f->now);
  fake_end_feeds(f, f->nfeeds);
  return end(f, &f->now, true);
}
void fake_end(fake *f) {
  CHECK(fake_unload(f) == 0);
  fake_free(f);
}

/* ---- reload */

static const martlet_upgrade_v1 *upgrade_of(const martlet_plugin *plugin) {
  return plugin->get_extension == NULL ? NULL : plugin->get_extension(plugin->state, MARTLET_EXT_UPGRADE);
}
typedef struct carried { char *bytes; size_t len; } carried;
static void carry(void *to, martlet_bytes part) {
  carried *c = to;
  c->bytes = realloc(c->bytes, c->len + part.len + 1);
  memcpy(c->bytes + c->len, part.ptr, part.len);
  c->len += part.len;
}
static void exchange(fake *f) {
  fake_image image = f->now;
  f->now = f->other;
  f->other = image;
}

martlet_status fake_reload_begin(fake *f, const char *path) {
  carried state = {0};
  const martlet_upgrade_v1 *give = upgrade_of(&f->now.plugin);
  if (give != NULL) CHECK(give->export_state(f->now.plugin.state, carry, &state) == MARTLET_OK);
  f->error[0] = 0;
  f->other = f->now;
  CHECK(begin(f, path) == MARTLET_OK);
  const martlet_upgrade_v1 *take = upgrade_of(&f->now.plugin);
  martlet_status status = MARTLET_OK;
  if (give != NULL && take != NULL)
    status = take->import_state(f->now.plugin.state, (martlet_bytes){(uint8_t *)state.bytes, state.len});
  free(state.bytes);
  if (status == MARTLET_OK) status = f->now.plugin.start(f->now.plugin.state);
  if (status != MARTLET_OK) CHECK(end(f, &f->now, false) == 0);
  exchange(f);
  if (status != MARTLET_OK) f->other = (fake_image){0};
  return status;
}
void fake_reload_swap(fake *f) {
  exchange(f);
  revoke_all(&f->other);
  f->feeds_before = f->nfeeds;
}
int fake_reload_end(fake *f) {
  fake_end_feeds(f, f->feeds_before);
  int left = end(f, &f->other, true);
  f->other = (fake_image){0};
  return left;
}
martlet_status fake_reload(fake *f, const char *path) {
  martlet_status status = fake_reload_begin(f, path);
  if (status != MARTLET_OK) return status;
  fake_reload_swap(f);
  CHECK(fake_reload_end(f) == 0);
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
