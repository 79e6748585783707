/* SPDX-License-Identifier: Apache-2.0
 * A host in miniature: enough of every table to drive one plugin image from a test, strict where the header is.
 * One thread plays the control thread and, by turns, both loops; blocking tasks get a thread of their own.
 */
#ifndef FAKEHOST_H
#define FAKEHOST_H
#include <martlet/martlet.h>

enum { FAKE_LOOPS = 2, FAKE_MAX = 64, FAKE_FEEDS = 8, FAKE_SESSION = 8 };

/* Bytes of heap that one life may leave behind: the loader's own bookkeeping is about 5, the smallest block is 32. */
enum { FAKE_LIFE_LEAVES = 16 };

typedef struct fake_reg { /* one registration; fn == NULL: free */
  martlet_token token;
  int32_t kind, priority, hook;
  bool retain_only;
  void (*fn)(void);
  void *user;
  char text[128];
  uint32_t first_ms, every_ms;
  int32_t where;
} fake_reg;
enum { FAKE_HOOK = 1, FAKE_AUTH, FAKE_ACL, FAKE_CTL, FAKE_TIMER, FAKE_POLL, FAKE_SUB, FAKE_METRIC, FAKE_PSK,
       FAKE_HTTP, FAKE_HTTP_AUTH };

typedef struct fake_pair { char *table, *key, *value; size_t klen, vlen; struct fake_pair *next; } fake_pair;
typedef struct fake_job { martlet_task fn; void *user; int32_t where; } fake_job; /* where: -1 main, -2 blocking */

typedef struct fake_image { /* and what it has declared and registered */
  void *image;
  martlet_plugin plugin;
  char path[64]; /* the copy it was loaded from */
  martlet_cfg_key *keys;
  size_t nkeys;
  martlet_cfg_apply apply;
  void *apply_user;
  fake_reg regs[FAKE_MAX];
} fake_image;

typedef struct fake {
  martlet_host host;
  fake_image now, other; /* other: within a reload the one that does not serve, not yet or no longer */
  char error[512], out[65536], log[65536];
  int log_level;
  char *conf;
  uint64_t next_token;
  fake_pair *kv; /* survives unload, like the broker's file */
  fake_job jobs[1024];
  size_t njobs, jobs_run;
  int busy;      /* blocking(), and on_loop() for loop 1, answer MARTLET_E_BUSY */
  int full;      /* on_loop() does for every loop */
  int kv_fails;  /* the disk is broken */
  martlet_deferred open_deferral;
  uint64_t next_deferral;
  int32_t answered, answer_verdict, stale_answers, invalidations, stopped_calls;
  uint8_t answer_reason;
  bool answer_super, any_topic; /* any_topic: said in the last fake_acl */
  char auth_data[4096], auth_username[2048]; /* of the last fake_auth_step, terminated */
  int64_t metric[FAKE_MAX];
  martlet_feed feeds[FAKE_FEEDS]; /* oldest first; of them feeds_before of the image that is being replaced */
  size_t nfeeds, feeds_before;
  char delivered[1024]; /* "topic=payload;" of each message, as many as fit */
} fake;

struct martlet_msg { long count; martlet_msg_fields fields; char texts[]; /* each terminated */ };

typedef struct fake_client { const char *clientid, *username, *password, *peer; } fake_client;

/* conf: the text of etc/plugins/NAME.conf. */
fake *fake_new(const char *conf);
void fake_free(fake *);
/* A private copy, dlopen, entry checks, create, start. On failure everything is rolled back and fake->error has the
 * sentence. */
martlet_status fake_load(fake *, const char *path);
/* Revokes, stops, destroys, closes. Returns how many lines of /proc/self/maps still name the image. */
int fake_unload(fake *);
/* fake_unload, which must leave nothing mapped, and fake_free. */
void fake_end(fake *);
/* Replaces the image as `plugins reload` does; MARTLET_OK or the new image's refusal. */
martlet_status fake_reload(fake *, const char *path);
/* The same in its three steps: both run and the old one serves; the new one serves; the old one is gone. */
martlet_status fake_reload_begin(fake *, const char *path);
void fake_reload_swap(fake *);
int fake_reload_end(fake *);
int fake_mapped(const char *text); /* lines of /proc/self/maps with this text */
void fake_set_conf(fake *, const char *conf);
martlet_status fake_change(fake *, const char *key, const char *value);

martlet_status fake_ctl(fake *, const char *command); /* output in fake->out */
/* Runs deferred work until it is answered; MARTLET_IGNORE when nobody is there. */
int32_t fake_auth(fake *, fake_client);
int32_t fake_auth_direct(fake *, fake_client);        /* the first answer, even MARTLET_PENDING */
/* One step of enhanced authentication; method and data are text. */
typedef struct fake_step {
  martlet_client client;
  const char *method, *data, *username;
  uint32_t step;
  bool reauthenticate;
} fake_step;
int32_t fake_auth_step(fake *, fake_step);
int32_t fake_acl(fake *, fake_client, int action, const char *topic);
size_t fake_psk(fake *, const char *identity, uint8_t key[MARTLET_PSK_MAX_KEY]);
int32_t fake_message(fake *, int32_t hook, const char *topic, const char *payload, char *seen, size_t cap);
/* With fields of the test's own. */
int32_t fake_message_of(fake *, int32_t hook, const martlet_msg_fields *fields, char *seen, size_t cap);
int32_t fake_client_hook(fake *, int32_t hook, const char *clientid, int32_t code);
int32_t fake_subscribe(fake *, int32_t hook, const char *clientid, const char *filter, martlet_sub *out);
/* With a subscription of the test's own, which is given its filter and may come back changed. */
int32_t fake_subscribe_of(fake *, int32_t hook, const char *clientid, const char *filter, martlet_sub *sub);
/* Two of them, longer than the plugin knows. */
typedef struct { martlet_sub known; uint64_t more[3]; } fake_long_sub;
int32_t fake_subscribe_long(fake *, int32_t hook, const char *first, const char *second, fake_long_sub *subs);
/* Pulls at most `most` messages out of the oldest feed, adds them to fake->delivered and ends the feed where it is at
 * its end. How many came; -1: there is no feed. */
int fake_pull(fake *, int most);
void fake_end_feeds(fake *, size_t n); /* the n oldest, as when their session goes */
int64_t fake_metric(fake *, const char *name);
void fake_pump(fake *);   /* run queued tasks until none is left */
void fake_timers(fake *); /* fire every timer once */
martlet_bytes fake_bytes(const char *text);
const void *fake_extension(const martlet_host *host, const char *id);
extern __thread int32_t fake_current;
extern long fake_live_messages;
fake_reg *fake_add(fake *, int32_t kind, void (*fn)(void), void *user, martlet_token *out);
fake_reg *fake_find(fake *, martlet_token);
void fake_forget_keys(fake_image *);
martlet_status fake_forget(const martlet_host *host, martlet_token token);
extern const martlet_log_v1 fake_log;
extern const martlet_config_v1 fake_config;
extern const martlet_message_v1 fake_message_table;
extern const martlet_pubsub_v1 fake_pubsub_table;
extern const martlet_hooks_v1 fake_hooks_table;
extern const martlet_auth_v1 fake_auth_table;
extern const martlet_acl_v1 fake_acl_table;
extern const martlet_psk_v1 fake_psk_table;
extern const martlet_ctl_v1 fake_ctl_table;
extern const martlet_httpc_v1 fake_httpc;
extern const martlet_http_v1 fake_http_table;
/* Asks a route by its text, "GET /hello/:name", with one parameter `name`, one query field `q`, one header `X-Header`.
 * "STATUS HEADER=VALUE...|BODY" as far as it was answered; a streamed body's first piece is answered with "[STATUS]". */
typedef struct fake_web { const char *param, *query, *header, *body; } fake_web;
const char *fake_http(fake *, const char *route, fake_web);
const char *fake_http_room(fake *, const char *route); /* calls writable */
const char *fake_http_gone(fake *, const char *route); /* the client leaves */
const char *fake_http_auth(fake *, const char *username, const char *password, const char *token); /* "VERDICT USER" */
#define FAKE(host) ((fake *)(host)->impl)

#define CHECK(what) \
  do { \
    if (!(what)) { \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
      exit(1); \
    } \
  } while (0)
#endif
