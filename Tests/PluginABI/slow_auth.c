/* SPDX-License-Identifier: Apache-2.0
 * An auth module that answers later, from a thread of its own. The client identifier says how:
 *   after-300-x  allows after 300 ms        deny-300-x  refuses after 300 ms       never-x   does not answer
 *   twice-50-x   allows after 50 ms and refuses right behind it                    late-600-x answers after its time
 *   block-200-x  allows after 200 ms in which it blocks the loop, which no plugin may
 * Anybody else is ignored. The command slow_auth tells how the answers were taken.
 */
#include <martlet/martlet.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST = 4096, LATE_TIMEOUT_MS = 200 };

typedef struct state {
  const martlet_host *host;
  const martlet_auth_v1 *auth;
  const martlet_ctl_v1 *ctl;
  atomic_int threads, open;
  atomic_long taken, stale, other;
  atomic_bool stopping;
  pthread_t thread[MOST];
} state;

typedef struct job {
  state *s;
  martlet_deferred answer;
  long delay_ms;
  int32_t verdict;
  bool twice;
} job;

static void give(state *s, martlet_deferred answer, int32_t verdict) {
  martlet_auth_result result = {.size = sizeof result, .verdict = verdict};
  martlet_status status = s->auth->answer(s->host, answer, &result);
  atomic_fetch_add(status == MARTLET_OK ? &s->taken : status == MARTLET_E_STALE ? &s->stale : &s->other, 1);
}

static void *work(void *user) {
  job *j = user;
  state *s = j->s;
  struct timespec delay = {j->delay_ms / 1000, j->delay_ms % 1000 * 1000000};
  nanosleep(&delay, NULL);
  give(s, j->answer, j->verdict);
  if (j->twice) give(s, j->answer, MARTLET_DENY);
  free(j);
  if (atomic_fetch_sub(&s->open, 1) == 1 && atomic_load(&s->stopping)) s->host->stopped(s->host);
  return NULL;
}

static bool begins(martlet_bytes id, const char *word, long *number) {
  char name[64] = {0};
  memcpy(name, id.ptr, id.len < sizeof name - 1 ? id.len : sizeof name - 1);
  size_t length = strlen(word);
  if (strncmp(name, word, length) != 0) return false;
  *number = atol(name + length);
  return true;
}

static int32_t on_auth(void *user, const martlet_auth_req *request, martlet_auth_result *out) {
  state *s = user;
  job j = {.s = s, .verdict = MARTLET_ALLOW};
  uint32_t timeout = 0;
  (void)out;
  if (begins(request->clientid, "block-", &j.delay_ms)) {
    struct timespec delay = {0, j.delay_ms * 1000000};
    nanosleep(&delay, NULL);
    return MARTLET_ALLOW;
  } else if (begins(request->clientid, "never-", &j.delay_ms)) {
    return s->auth->defer(request, LATE_TIMEOUT_MS) == 0 ? MARTLET_ERROR : MARTLET_PENDING;
  } else if (begins(request->clientid, "deny-", &j.delay_ms)) {
    j.verdict = MARTLET_DENY;
  } else if (begins(request->clientid, "twice-", &j.delay_ms)) {
    j.twice = true;
  } else if (begins(request->clientid, "late-", &j.delay_ms)) {
    timeout = LATE_TIMEOUT_MS;
  } else if (!begins(request->clientid, "after-", &j.delay_ms)) {
    return MARTLET_IGNORE;
  }
  int index = atomic_fetch_add(&s->threads, 1);
  job *copy = malloc(sizeof *copy);
  if (index >= MOST || copy == NULL || (j.answer = s->auth->defer(request, timeout)) == 0) {
    free(copy);
    return MARTLET_ERROR;
  }
  *copy = j;
  atomic_fetch_add(&s->open, 1);
  if (pthread_create(&s->thread[index], NULL, work, copy) != 0) abort();
  return MARTLET_PENDING;
}

static martlet_status on_command(void *user, const martlet_bytes *argv, size_t argc, martlet_ctl_out *out) {
  state *s = user;
  char line[96];
  (void)argv;
  if (argc != 1) return MARTLET_E_INVAL;
  int length = snprintf(line, sizeof line, "taken=%ld stale=%ld other=%ld open=%d\n", atomic_load(&s->taken),
                        atomic_load(&s->stale), atomic_load(&s->other), atomic_load(&s->open));
  out->print(out->impl, (martlet_bytes){(const uint8_t *)line, (size_t)length});
  return MARTLET_OK;
}

static martlet_status start(void *user) {
  static const martlet_ctl_usage usage = {"slow_auth", "Show how the late answers were taken"};
  state *s = user;
  martlet_status status = s->auth->add(s->host, 10, on_auth, s, NULL);
  return status == MARTLET_OK ? s->ctl->command(s->host, "slow_auth", &usage, 1, on_command, s, NULL) : status;
}

static martlet_status stop(void *user) {
  state *s = user;
  atomic_store(&s->stopping, true);
  return atomic_load(&s->open) > 0 ? MARTLET_E_BUSY : MARTLET_OK;
}

/* A thread that called stopped() still returns through this image, so it is joined before the image goes. */
static void destroy(void *user) {
  state *s = user;
  int count = atomic_load(&s->threads);
  for (int i = 0; i < count && i < MOST; i++) pthread_join(s->thread[i], NULL);
  free(s);
}

static martlet_status create(const martlet_host *host, martlet_plugin *out) {
  state *s = calloc(1, sizeof *s);
  if (s == NULL) return MARTLET_E_NOMEM;
  s->host = host;
  s->auth = host->get_extension(host, MARTLET_EXT_AUTH);
  s->ctl = host->get_extension(host, MARTLET_EXT_CTL);
  *out = (martlet_plugin){.size = sizeof *out, .state = s, .start = start, .stop = stop, .destroy = destroy};
  return MARTLET_OK;
}

static const char *const needs[] = {MARTLET_EXT_AUTH, MARTLET_EXT_CTL, NULL};

const martlet_entry *martlet_plugin_entry(void) {
  static const martlet_entry entry = {.size = sizeof entry, .abi_major = MARTLET_ABI_MAJOR,
                                      .abi_minor = MARTLET_ABI_MINOR, .id = "slow_auth", .version = "1.0.0",
                                      .description = "Answers later", .needs = needs, .create = create};
  return &entry;
}
