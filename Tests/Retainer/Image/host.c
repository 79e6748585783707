/* SPDX-License-Identifier: Apache-2.0
 * A host of a few hundred lines that loads the retainer's image as the broker does: private copy, dlopen, entry,
 * create, start, hooks, stop, destroy, dlclose. Everything happens on one thread but the blocking tasks.
 * Usage: host retainer.so WORKDIR
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "martlet/martlet.h"

#define CHECK(condition)                                                                     \
  do {                                                                                       \
    if (!(condition)) {                                                                      \
      fprintf(stderr, "%s:%d: failed: %s (last log: %s)\n", __FILE__, __LINE__, #condition, log_text); \
      exit(1);                                                                               \
    }                                                                                        \
  } while (0)

static char log_text[1024], error_text[1024], printed[4096], work_dir[512];
static const char *image_path;

static martlet_bytes bytes(const char *text) { return (martlet_bytes){(const uint8_t *)text, strlen(text)}; }
static void keep(char *out, size_t size, martlet_bytes text) {
  size_t n = text.len < size - 1 ? text.len : size - 1;
  memcpy(out, text.ptr, n);
  out[n] = 0;
}

/* ---- messages ---- */
typedef struct message { atomic_long references; martlet_msg_fields fields; } message;
static atomic_long alive;
static martlet_bytes place(uint8_t **at, martlet_bytes from) {
  if (from.len == 0) return (martlet_bytes){NULL, 0};
  memcpy(*at, from.ptr, from.len);
  martlet_bytes placed = {*at, from.len};
  *at += from.len;
  return placed;
}
static martlet_msg *make(const martlet_host *host, const martlet_msg_fields *f) {
  (void)host;
  message *m = malloc(sizeof *m + f->topic.len + f->payload.len + f->properties.len + f->from_clientid.len +
                      f->from_username.len);
  uint8_t *at = (uint8_t *)(m + 1);
  m->fields = *f;
  m->fields.topic = place(&at, f->topic);
  m->fields.payload = place(&at, f->payload);
  m->fields.properties = place(&at, f->properties);
  m->fields.from_clientid = place(&at, f->from_clientid);
  m->fields.from_username = place(&at, f->from_username);
  atomic_init(&m->references, 1);
  atomic_fetch_add(&alive, 1);
  return (martlet_msg *)m;
}
static void read_message(const martlet_msg *m, martlet_msg_fields *out) { *out = ((const message *)m)->fields; }
static martlet_msg *retain(const martlet_msg *m) {
  atomic_fetch_add(&((message *)m)->references, 1);
  return (martlet_msg *)m;
}
static void release(martlet_msg *m) {
  if (atomic_fetch_sub(&((message *)m)->references, 1) != 1) return;
  atomic_fetch_sub(&alive, 1);
  free(m);
}
static const martlet_message_v1 messages = {sizeof messages, read_message, make, retain, release};

/* ---- one loaded plugin: its host and what it registered ---- */
typedef struct instance {
  martlet_host host;
  void *image;
  martlet_plugin plugin;
  martlet_hook_fn publish, subscribed;
  void *publish_user, *subscribed_user;
  martlet_task tick;
  void *tick_user;
  martlet_ctl_fn command;
  void *command_user;
  martlet_cfg_key keys[16];
  size_t key_count;
  martlet_feed feeds[8];
  size_t feed_count;
} instance;

static instance *of(const martlet_host *host) { return (instance *)host; }

/* ---- log, config ---- */
static bool enabled(const martlet_host *host, int32_t level) { return host != NULL && level >= MARTLET_LOG_WARNING; }
static void write_log(const martlet_host *host, int32_t level, martlet_bytes text, martlet_client about) {
  (void)host, (void)level, (void)about;
  keep(log_text, sizeof log_text, text);
}
static const martlet_log_v1 log_table = {sizeof log_table, enabled, write_log};

static struct { const char *key, *value; } settings[8];
static void set(const char *key, const char *value) {
  for (size_t i = 0; i < 8; i++)
    if (settings[i].key == NULL || strcmp(settings[i].key, key) == 0) {
      settings[i].key = key;
      settings[i].value = value;
      return;
    }
}
static martlet_status declare(const martlet_host *host, const martlet_cfg_key *keys, size_t n, martlet_cfg_apply apply,
                              void *user) {
  (void)apply, (void)user;
  CHECK(n < 16);
  memcpy(of(host)->keys, keys, n * sizeof *keys);
  of(host)->key_count = n;
  return MARTLET_OK;
}
static const martlet_cfg_key *find(const martlet_host *host, const char *key) {
  for (size_t i = 0; i < of(host)->key_count; i++)
    if (strcmp(of(host)->keys[i].key, key) == 0) return &of(host)->keys[i];
  return NULL;
}
static const char *value_of(const martlet_host *host, const char *key) {
  for (size_t i = 0; i < 8; i++)
    if (settings[i].key != NULL && strcmp(settings[i].key, key) == 0) return settings[i].value;
  const martlet_cfg_key *found = find(host, key);
  return found == NULL ? NULL : found->dflt;
}
static martlet_status get_int(const martlet_host *host, const char *key, int64_t *out) {
  const char *value = value_of(host, key);
  if (value == NULL) return MARTLET_E_NOTFOUND;
  *out = strcmp(value, "1MB") == 0 ? 1 << 20 : atoll(value);
  if (find(host, key)->type == MARTLET_CFG_ENUM)
    *out = strcmp(value, "ram") == 0 ? 0 : strcmp(value, "disc") == 0 ? 1 : 2;
  return MARTLET_OK;
}
static martlet_status get_string(const martlet_host *host, const char *key, martlet_bytes *out) {
  const char *value = value_of(host, key);
  if (value == NULL) return MARTLET_E_NOTFOUND;
  *out = bytes(value);
  return MARTLET_OK;
}
static martlet_status each(const martlet_host *host, const char *prefix,
                           bool (*fn)(void *, martlet_bytes, martlet_bytes), void *user) {
  (void)host, (void)prefix, (void)fn, (void)user;
  return MARTLET_OK;
}
static const martlet_config_v1 config = {sizeof config, declare, get_int, get_string, each};

/* ---- hooks, pubsub ---- */
static martlet_status add_hook(const martlet_host *host, int32_t hook, int32_t priority, martlet_hook_fn fn,
                               martlet_bytes filter, void *user, martlet_token *out) {
  (void)priority, (void)filter;
  instance *i = of(host);
  if (hook == MARTLET_HOOK_MESSAGE_PUBLISH) i->publish = fn, i->publish_user = user;
  if (hook == MARTLET_HOOK_SESSION_SUBSCRIBED) i->subscribed = fn, i->subscribed_user = user;
  if (out != NULL) *out = 1;
  return MARTLET_OK;
}
static martlet_status remove_hook(const martlet_host *host, martlet_token t) { (void)host, (void)t; return MARTLET_OK; }
static const martlet_hooks_v1 hooks = {.size = sizeof hooks, .add = add_hook, .remove = remove_hook};

static martlet_status session_feed(const martlet_host *host, martlet_session session, const martlet_feed *feed) {
  if (session == 0) return MARTLET_E_STALE;
  CHECK(of(host)->feed_count < 8 && feed->retain);
  of(host)->feeds[of(host)->feed_count++] = *feed;
  return MARTLET_OK;
}
static const martlet_pubsub_v1 pubsub = {.size = sizeof pubsub, .session_feed = session_feed};

/* ---- exec ---- */
static atomic_long tasks;
typedef struct job { martlet_task task; void *user; } job;
static void *run_job(void *raw) {
  job *j = raw;
  j->task(j->user);
  free(j);
  atomic_fetch_sub(&tasks, 1);
  return NULL;
}
static martlet_status blocking(const martlet_host *host, martlet_task task, void *user) {
  (void)host;
  pthread_t thread;
  job *j = malloc(sizeof *j);
  *j = (job){task, user};
  atomic_fetch_add(&tasks, 1);
  pthread_create(&thread, NULL, run_job, j);
  pthread_detach(thread);
  return MARTLET_OK;
}
static void rest(void) { while (atomic_load(&tasks) > 0) sched_yield(); }
static uint32_t loop_count(const martlet_host *host) { (void)host; return 1; }
static int32_t current(const martlet_host *host) { (void)host; return 0; }
static martlet_status on_main(const martlet_host *host, martlet_task task, void *user) {
  (void)host;
  task(user);
  return MARTLET_OK;
}
static martlet_status on_loop(const martlet_host *host, uint32_t loop, martlet_task task, void *user) {
  CHECK(loop == 0);
  return on_main(host, task, user);
}
static martlet_status timer(const martlet_host *host, int32_t where, uint32_t first, uint32_t every, martlet_task task,
                            void *user, martlet_token *out) {
  (void)where, (void)first, (void)every;
  of(host)->tick = task;
  of(host)->tick_user = user;
  *out = 1;
  return MARTLET_OK;
}
static const martlet_exec_v1 exec_table = {.size = sizeof exec_table, .loop_count = loop_count, .current = current,
                                           .on_main = on_main, .on_loop = on_loop, .blocking = blocking, .timer = timer};

/* ---- metrics, ctl ---- */
static struct { const char *name; atomic_llong value; } numbers[16];
static martlet_status define(const martlet_host *host, int32_t kind, const char *name, const char *help,
                             martlet_token *out) {
  (void)host, (void)kind, (void)help;
  for (size_t i = 1; i < 16; i++)
    if (numbers[i].name == NULL || strcmp(numbers[i].name, name) == 0) {
      if (numbers[i].name == NULL) numbers[i].name = strdup(name);
      *out = i;
      return MARTLET_OK;
    }
  return MARTLET_E_NOMEM;
}
static void add(const martlet_host *host, martlet_token t, int64_t v) { (void)host; atomic_fetch_add(&numbers[t].value, v); }
static void set_number(const martlet_host *host, martlet_token t, int64_t v) { (void)host; atomic_store(&numbers[t].value, v); }
static const martlet_metrics_v1 metrics = {sizeof metrics, define, add, set_number};
static long long number(const char *name) {
  for (size_t i = 1; i < 16 && numbers[i].name != NULL; i++)
    if (strcmp(numbers[i].name, name) == 0) return numbers[i].value;
  return -1;
}
static martlet_status command(const martlet_host *host, const char *name, const martlet_ctl_usage *usage, size_t n,
                              martlet_ctl_fn fn, void *user, martlet_token *out) {
  (void)usage, (void)n;
  CHECK(strcmp(name, "retainer") == 0);
  of(host)->command = fn;
  of(host)->command_user = user;
  *out = 1;
  return MARTLET_OK;
}
static const martlet_ctl_v1 ctl = {sizeof ctl, command};
static void print(void *impl, martlet_bytes text) {
  (void)impl;
  size_t at = strlen(printed);
  keep(printed + at, sizeof printed - at, text);
}

/* ---- host ---- */
static const void *get_extension(const martlet_host *host, const char *id) {
  (void)host;
  static const struct { const char *id; const void *table; } tables[] = {
      {MARTLET_EXT_LOG, &log_table}, {MARTLET_EXT_CONFIG, &config}, {MARTLET_EXT_MESSAGE, &messages},
      {MARTLET_EXT_HOOKS, &hooks}, {MARTLET_EXT_PUBSUB, &pubsub}, {MARTLET_EXT_EXEC, &exec_table},
      {MARTLET_EXT_METRICS, &metrics}, {MARTLET_EXT_CTL, &ctl}};
  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
    if (strcmp(tables[i].id, id) == 0) return tables[i].table;
  return NULL;
}
static void set_error(const martlet_host *host, martlet_status code, martlet_bytes text) {
  (void)host, (void)code;
  keep(error_text, sizeof error_text, text);
}
static atomic_bool did_stop;
static void stopped(const martlet_host *host) { (void)host; atomic_store(&did_stop, true); }

static void copy_file(const char *from, const char *to) {
  char command_line[1200];
  snprintf(command_line, sizeof command_line, "cp '%s' '%s'", from, to);
  CHECK(system(command_line) == 0);
}

/* create(), import_state() when there is state, start(). NULL when one refuses. */
static instance *load(martlet_bytes state) {
  static unsigned counter;
  char path[1024];
  snprintf(path, sizeof path, "%s/image-%u.so", work_dir, counter++);
  copy_file(image_path, path);
  instance *i = calloc(1, sizeof *i);
  i->image = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  unlink(path);
  if (i->image == NULL) fprintf(stderr, "%s\n", dlerror());
  CHECK(i->image != NULL);
  const martlet_entry *(*entry)(void) = (const martlet_entry *(*)(void))dlsym(i->image, "martlet_plugin_entry");
  i->host = (martlet_host){sizeof i->host, 1, 0, 0, i, "Martlet", "0", "martlet@127.0.0.1", get_extension, set_error, stopped};
  error_text[0] = 0;
  CHECK(strcmp(entry()->id, "retainer") == 0);
  CHECK(entry()->create(&i->host, &i->plugin) == MARTLET_OK);
  martlet_status status = MARTLET_OK;
  if (state.len > 0) {
    const martlet_upgrade_v1 *upgrade = i->plugin.get_extension(i->plugin.state, MARTLET_EXT_UPGRADE);
    status = upgrade->import_state(i->plugin.state, state);
  }
  if (status == MARTLET_OK) status = i->plugin.start(i->plugin.state);
  if (status == MARTLET_OK) return i;
  i->plugin.destroy(i->plugin.state);
  dlclose(i->image);
  free(i);
  return NULL;
}
static instance *fresh(void) { return load((martlet_bytes){NULL, 0}); }

static void unload(instance *i) {
  for (size_t f = 0; f < i->feed_count; f++) i->feeds[f].end(i->feeds[f].user);
  atomic_store(&did_stop, false);
  if (i->plugin.stop(i->plugin.state) == MARTLET_E_BUSY)
    while (!atomic_load(&did_stop)) sched_yield();
  rest();
  i->plugin.destroy(i->plugin.state);
  dlclose(i->image);
  free(i);
}

/* ---- what a client does ---- */
static void publish_at(instance *i, const char *topic, const char *payload, int64_t timestamp, int expiry) {
  martlet_msg_fields fields = {.size = sizeof fields, .retain = true, .qos = 1, .topic = bytes(topic),
                               .payload = bytes(payload), .timestamp_ms = timestamp, .expiry_s = (uint32_t)expiry,
                               .has_expiry = expiry > 0};
  martlet_msg *m = make(NULL, &fields);
  martlet_event event = {.size = sizeof event, .hook = MARTLET_HOOK_MESSAGE_PUBLISH, .msg = m};
  CHECK(i->publish(i->publish_user, &event) == MARTLET_NEXT);
  release(m);
}
static int64_t now(void) { return (int64_t)time(NULL) * 1000; }
static void publish(instance *i, const char *topic, const char *payload) { publish_at(i, topic, payload, now(), 0); }

static void subscribe(instance *i, const char *filter, uint8_t handling, bool is_new, const char *group) {
  martlet_sub sub = {.size = sizeof sub, .topic = bytes(filter), .share_group = bytes(group), .qos = 1,
                     .retain_handling = handling, .is_new = is_new, .subscription_id = 7};
  martlet_event event = {.size = sizeof event, .hook = MARTLET_HOOK_SESSION_SUBSCRIBED, .session = 5, .subs = &sub, .nsubs = 1};
  i->subscribed(i->subscribed_user, &event);
}

/* Pulls the oldest feed to its end; how many messages came. The last payload stays in `printed`. */
static int drain(instance *i) {
  if (i->feed_count == 0) return -1;
  martlet_feed feed = i->feeds[0];
  memmove(i->feeds, i->feeds + 1, --i->feed_count * sizeof *i->feeds);
  CHECK(feed.subscription_id == 7 && feed.qos == 1);
  int count = 0;
  for (bool more = true; more;) {
    martlet_msg *m = feed.next(feed.user, &more);
    if (m == NULL) {
      sched_yield();
      continue;
    }
    martlet_msg_fields fields;
    read_message(m, &fields);
    keep(printed, sizeof printed, fields.payload);
    release(m);
    count++;
  }
  feed.end(feed.user);
  return count;
}
static int matches(instance *i, const char *filter) {
  subscribe(i, filter, 0, true, "");
  return drain(i);
}
static const char *run(instance *i, const char *word, const char *filter) {
  martlet_bytes argv[3] = {bytes("retainer"), bytes(word), bytes(filter == NULL ? "" : filter)};
  martlet_ctl_out out = {sizeof out, NULL, print};
  printed[0] = 0;
  martlet_status status = i->command(i->command_user, argv, filter == NULL ? 2 : 3, &out);
  if (status != MARTLET_OK) snprintf(printed, sizeof printed, "error %d", status);
  return printed;
}
static void tick(instance *i) {
  i->tick(i->tick_user);
  rest();
}

/* ---- the checks ---- */
static void behaviour(const char *storage) {
  set("retainer.storage_type", storage);
  set("retainer.max_message_num", "5");
  set("retainer.max_payload_size", "1024");
  instance *i = fresh();
  CHECK(i != NULL);
  publish(i, "a/b", "1");
  publish(i, "a/c", "2");
  publish(i, "$SYS/x", "3");
  publish(i, "a/b", "4");
  CHECK(matches(i, "a/b") == 1 && strcmp(printed, "4") == 0);
  CHECK(matches(i, "#") == 2 && matches(i, "$SYS/#") == 1 && matches(i, "nothing") == -1 && matches(i, "b/#") == 0);
  tick(i);
  CHECK(matches(i, "a/+") == 2 && strcmp(printed, "2") == 0);
  CHECK(strcmp(run(i, "info", NULL), "retained/total: 3\n") == 0 && number("retained/count") == 3);
  CHECK(strcmp(run(i, "topics", NULL), "$SYS/x\na/b\na/c\n") == 0);
  CHECK(strcmp(run(i, "topics", "a/#"), "a/b\na/c\n") == 0);
  CHECK(strcmp(run(i, "nonsense", NULL), "error -1") == 0 && strcmp(run(i, "clean", "a#"), "error -1") == 0);

  subscribe(i, "#", 2, true, "");      /* never [MQTT-3.3.1-11] */
  subscribe(i, "#", 1, false, "");     /* not new [MQTT-3.3.1-10] */
  subscribe(i, "#", 0, true, "group"); /* shared, MQTT 5 4.8.2 */
  CHECK(drain(i) == -1);
  subscribe(i, "#", 1, true, "");
  CHECK(drain(i) == 2);

  publish(i, "b/1", "x"), publish(i, "b/2", "x"), publish(i, "b/3", "x");
  CHECK(strcmp(log_text, "Cannot retain message(topic=b/3) for table is full!") == 0);
  CHECK(number("retained/dropped/table_full") == 1 && number("retained/count") == 5 && matches(i, "b/#") == 2);
  char big[2048];
  memset(big, 'x', sizeof big);
  big[1025] = 0;
  publish(i, "b/1", big);
  CHECK(number("retained/dropped/payload_size") == 1 && matches(i, "b/1") == 1 && strcmp(printed, "x") == 0);
  CHECK(strcmp(run(i, "clean", "b/#"), "Cleaned 2 retained messages\n") == 0);
  publish(i, "a/c", "");
  CHECK(matches(i, "a/#") == 1);
  publish_at(i, "e", "gone", now() - 10000, 5);
  publish_at(i, "f", "here", now(), 3600);
  CHECK(matches(i, "e") == -1 && matches(i, "f") == 1);
  tick(i);
  CHECK(strcmp(run(i, "info", NULL), "retained/total: 3\n") == 0 && number("retained/max") == 5);
  unload(i);

  i = fresh();
  int expected = strcmp(storage, "ram") == 0 ? 0 : 2;
  CHECK(matches(i, "#") == expected);
  CHECK(strcmp(run(i, "clean", NULL), expected == 0 ? "Cleaned 0 retained messages\n" : "Cleaned 3 retained messages\n") == 0);
  unload(i);
  for (size_t n = 1; n < 16; n++) numbers[n].value = 0;
  CHECK(atomic_load(&alive) == 0);
}

static struct { char data[256]; size_t len; } exported;
static void save(void *to, martlet_bytes part) {
  (void)to;
  CHECK(exported.len + part.len <= sizeof exported.data);
  memcpy(exported.data + exported.len, part.ptr, part.len);
  exported.len += part.len;
}
static martlet_bytes export_from(instance *i) {
  exported.len = 0;
  const martlet_upgrade_v1 *upgrade = i->plugin.get_extension(i->plugin.state, MARTLET_EXT_UPGRADE);
  CHECK(upgrade->export_state(i->plugin.state, save, NULL) == MARTLET_OK);
  return (martlet_bytes){(const uint8_t *)exported.data, exported.len};
}

/* reload: nothing published before, during or after is missing, and a feed cut in the middle goes on. */
static void upgrade(const char *storage) {
  set("retainer.storage_type", storage);
  set("retainer.max_message_num", "0");
  instance *old = fresh();
  char topic[64];
  for (int n = 0; n < 1000; n++) snprintf(topic, sizeof topic, "u/%d", n), publish(old, topic, "x");
  tick(old);
  subscribe(old, "u/#", 0, true, "");
  int before = 0;
  for (bool more = true; before < 300;) {
    martlet_msg *m = old->feeds[0].next(old->feeds[0].user, &more);
    CHECK(more);
    if (m != NULL) release(m), before++;
  }
  instance *next = load(export_from(old));
  CHECK(next != NULL);
  publish(old, "during/old", "x");
  publish(next, "during/new", "x");
  unload(old);
  CHECK(matches(next, "during/+") == 2);
  tick(next);
  CHECK(next->feed_count == 1);
  CHECK(before + drain(next) == 1000);
  publish(next, "after", "x");
  CHECK(strcmp(run(next, "info", NULL), "retained/total: 1003\n") == 0);

  set("retainer.storage_type", strcmp(storage, "ram") == 0 ? "disc" : "ram");
  CHECK(load(export_from(next)) == NULL && strstr(error_text, "unload and load") != NULL);
  set("retainer.storage_type", storage);
  CHECK(matches(next, "u/#") == 1000);
  unload(next);
  CHECK(atomic_load(&alive) == 0);
  instance *again = fresh();
  CHECK(matches(again, "#") == (strcmp(storage, "ram") == 0 ? 0 : 1003));
  run(again, "clean", NULL);
  unload(again);
}

static long resident_kb(void) {
  long pages = 0, ignored = 0;
  FILE *f = fopen("/proc/self/statm", "r");
  CHECK(fscanf(f, "%ld %ld", &ignored, &pages) == 2);
  fclose(f);
  return pages * (sysconf(_SC_PAGESIZE) / 1024);
}
static bool mapped(const char *name) {
  char line[1024];
  bool found = false;
  FILE *f = fopen("/proc/self/maps", "r");
  while (fgets(line, sizeof line, f) != NULL) found |= strstr(line, name) != NULL;
  fclose(f);
  return found;
}

static void cycles(int count) {
  set("retainer.storage_type", "disc");
  long heap = 0, resident = 0;
  for (int n = 0; n < count; n++) {
    instance *i = fresh();
    publish(i, "cycle/a", "x");
    CHECK(matches(i, "cycle/#") == 1);
    if (n % 2 == 0) publish(i, "cycle/a", "");
    if (n % 10 == 0) {
      instance *next = load(export_from(i));
      unload(i);
      i = next;
    }
    unload(i);
    if (n == count / 5) {
      malloc_trim(0);
      heap = (long)mallinfo2().uordblks, resident = resident_kb();
    }
  }
  malloc_trim(0);
  long heap_growth = (long)mallinfo2().uordblks - heap, growth = resident_kb() - resident;
  CHECK(!mapped("image-") && !mapped("data.mdb"));
  printf("%d cycles: heap %+ld bytes, resident %+ld KB in the last %d\n", count, heap_growth, growth, count - count / 5);
  CHECK(heap_growth < 4096 && growth < 2048 && atomic_load(&alive) == 0);
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  image_path = argv[1];
  snprintf(work_dir, sizeof work_dir, "%s", argv[2]);
  static char directory[600];
  snprintf(directory, sizeof directory, "%s/data/retainer", work_dir);
  set("retainer.dir", directory);
  const char *kinds[] = {"ram", "disc", "disc_only"};
  for (int k = 0; k < 3; k++) behaviour(kinds[k]), upgrade(kinds[k]), printf("%s: ok\n", kinds[k]);
  set("retainer.dir", "/dev/null/x");
  set("retainer.storage_type", "disc");
  CHECK(fresh() == NULL);
  printf("refused with: %s\n", error_text);
  set("retainer.dir", directory);
  cycles(1000);
  return 0;
}
