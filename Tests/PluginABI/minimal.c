/* SPDX-License-Identifier: Apache-2.0
 * The smallest useful plugin: counts publishes, tells the count through a command. What the tests need different is
 * given at compile time: -DID=\"x\" -DVERSION=\"1.2.3\" -DABI=9 -DNEED=\"martlet.nothing/1\" -DENTRY_SIZE=8
 * -DFAIL_CREATE -DFAIL_START -DSILENT -DMUST_SET -DNULL_ENTRY -DNO_START -DSTOP_TOPIC=\"a/#\"
 */
#include <martlet/martlet.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef ID
#define ID "minimal"
#endif
#ifndef VERSION
#define VERSION "1.0.0"
#endif
#ifndef ABI
#define ABI MARTLET_ABI_MAJOR
#endif
#ifndef ENTRY_SIZE
#define ENTRY_SIZE sizeof(martlet_entry)
#endif

typedef struct state {
  const martlet_host *host;
  const martlet_hooks_v1 *hooks;
  const martlet_ctl_v1 *ctl;
  atomic_long seen;
} state;

static martlet_bytes text(const char *s) { return (martlet_bytes){(const uint8_t *)s, strlen(s)}; }

static int32_t on_publish(void *user, martlet_event *event) {
  state *s = user;
  (void)event;
  atomic_fetch_add_explicit(&s->seen, 1, memory_order_relaxed);
  return MARTLET_NEXT;
}

static int32_t on_forbidden(void *user, martlet_event *event) {
  (void)user, (void)event;
  return MARTLET_STOP;
}

static martlet_status on_command(void *user, const martlet_bytes *argv, size_t argc, martlet_ctl_out *out) {
  state *s = user;
  char line[64];
  (void)argv;
  if (argc != 1) return MARTLET_E_INVAL;
  snprintf(line, sizeof line, "%s %ld\n", VERSION, atomic_load(&s->seen));
  out->print(out->impl, text(line));
  return MARTLET_OK;
}

#ifdef MUST_SET
static martlet_status configure(state *s) {
  static const martlet_cfg_key keys[] = {
      {.size = sizeof(martlet_cfg_key), .type = MARTLET_CFG_INT, .key = "minimal.number", .dflt = "5",
       .range_or_enum = "1..10", .help = "A number from 1 to 10."}};
  const martlet_config_v1 *config = s->host->get_extension(s->host, MARTLET_EXT_CONFIG);
  return config->declare(s->host, keys, 1, NULL, NULL);
}
#endif

static martlet_status start(void *user) {
  static const martlet_ctl_usage usage = {ID, "Show the version and how many publishes were seen"};
  state *s = user;
  martlet_status status = MARTLET_OK;
#ifdef MUST_SET
  status = configure(s);
#endif
  if (status == MARTLET_OK)
    status = s->hooks->add(s->host, MARTLET_HOOK_MESSAGE_PUBLISH, 0, on_publish, (martlet_bytes){0}, s, NULL);
#ifdef STOP_TOPIC
  if (status == MARTLET_OK)
    status = s->hooks->add(s->host, MARTLET_HOOK_MESSAGE_PUBLISH, 5, on_forbidden, text(STOP_TOPIC), s, NULL);
#else
  (void)on_forbidden;
#endif
  if (status == MARTLET_OK) status = s->ctl->command(s->host, ID, &usage, 1, on_command, s, NULL);
#ifdef FAIL_START
#ifndef SILENT
  s->host->set_error(s->host, MARTLET_E_IO, text("the cellar is flooded"));
#endif
  return MARTLET_E_IO; /* with a hook and a command already registered */
#else
  return status;
#endif
}

static martlet_status stop(void *user) {
  (void)user;
  return MARTLET_OK;
}

static martlet_status create(const martlet_host *host, martlet_plugin *out) {
#ifdef FAIL_CREATE
  host->set_error(host, MARTLET_E_NOMEM, text("there is no room in the cellar"));
  return MARTLET_E_NOMEM;
#else
  state *s = calloc(1, sizeof *s);
  if (s == NULL) return MARTLET_E_NOMEM;
  s->host = host;
  s->hooks = host->get_extension(host, MARTLET_EXT_HOOKS);
  s->ctl = host->get_extension(host, MARTLET_EXT_CTL);
  *out = (martlet_plugin){.size = sizeof *out, .state = s, .start = start, .stop = stop, .destroy = free};
#ifdef NO_START
  out->start = NULL;
#endif
  return MARTLET_OK;
#endif
}

static const char *const needs[] = {MARTLET_EXT_HOOKS, MARTLET_EXT_CTL,
#ifdef NEED
                                    NEED,
#endif
                                    NULL};

const martlet_entry *martlet_plugin_entry(void) {
  static const martlet_entry entry = {.size = ENTRY_SIZE, .abi_major = ABI, .abi_minor = MARTLET_ABI_MINOR, .id = ID,
                                      .version = VERSION, .description = "Counts publishes", .needs = needs,
                                      .create = create};
#ifdef NULL_ENTRY
  return NULL;
#else
  return &entry;
#endif
}
