/* SPDX-License-Identifier: Apache-2.0
 * martlet.net/1: a listener whose clients say, one line each, what shall be done with them; outgoing connections and
 * datagrams on command. TCP and UDP name the addresses; NO_REBIND leaves connections behind in an upgrade. */
#include "abi.h"
#include <pthread.h>

#ifndef TCP
#  define TCP "127.0.0.1:0"
#endif
#ifndef MAX_CONNECTIONS
#  define MAX_CONNECTIONS 0
#endif
#ifndef HIGH_WATER
#  define HIGH_WATER 65536
#endif

typedef struct {
  const martlet_host *h;
  const martlet_net_v1 *net;
  martlet_token tcp, udp;
  int opened, closed, left, rebound, writable, busy, dgrams, stale, last_why, wrong_loop;
  long got, total; /* total: lines of all connections, kept through upgrades */
  martlet_conn last, out;
  int out_opened, out_why, out_rebound;
} me;

/* One connection: what it asked for, and how much this image and those before it sent to it. */
typedef struct { me *m; martlet_conn c; long filled, lines; int filling; } one;

#define INC(x) __atomic_fetch_add(&(x), 1, __ATOMIC_SEQ_CST)
#define LOAD(x) __atomic_load_n(&(x), __ATOMIC_SEQ_CST)
#define STORE(x, v) __atomic_store_n(&(x), v, __ATOMIC_SEQ_CST)

static void say(one *o, const char *s) { o->m->net->send(o->m->h, o->c, text(s)); }

static void *opened(void *u, martlet_conn c, const martlet_addr *peer) {
  me *m = u;
  one *o = calloc(1, sizeof *o);
  o->m = m;
  o->c = c;
  INC(m->opened);
  STORE(m->last, c);
  if (peer->version != 4 || peer->port == 0) INC(m->wrong_loop);
  return o;
}

/* A thread of the plugin's own sends numbered lines, and waits when the host says so. */
static void *foreign(void *u) {
  one *o = u;
  me *m = o->m;
  martlet_conn c = o->c;
  char line[32];
  for (int i = 0; i < 20000; i++) {
    snprintf(line, sizeof line, "line %d\n", i);
    martlet_status s;
    while ((s = m->net->send(m->h, c, text(line))) == MARTLET_E_BUSY) {
      INC(m->busy);
      sched_yield();
    }
    if (s) break;
  }
  return NULL;
}

/* Sends from the loop until the host takes no more. */
static void fill(one *o) {
  static const char block[1000] = {0};
  martlet_bytes b = {(const uint8_t *)block, sizeof block};
  while (o->filled < 4000000) {
    martlet_status s = o->m->net->send(o->m->h, o->c, b);
    if (s == MARTLET_E_BUSY) { INC(o->m->busy); return; }
    if (s) return;
    o->filled += (long)sizeof block;
  }
  o->filling = 0;
  say(o, "full\n");
}

/* What TLS has proven of the peer: its length, and the bytes; first with too little room. */
static void who(one *o, int32_t what) {
  uint8_t bytes[4096], few[3] = {0};
  size_t n = o->m->net->conn_proof(o->m->h, o->c, what, bytes, sizeof bytes);
  if (o->m->net->conn_proof(o->m->h, o->c, what, few, 2) != n || few[2] != 0 || (n > 1 && memcmp(few, bytes, 2))) n = 0;
  if (o->m->net->conn_proof(o->m->h, o->c, what, NULL, 0) != n || n > sizeof bytes) n = 0;
  char length[32];
  snprintf(length, sizeof length, "%zu\n", n);
  say(o, length);
  martlet_bytes b = {bytes, n};
  if (n) o->m->net->send(o->m->h, o->c, b);
}

static void act(one *o, martlet_bytes line) {
  me *m = o->m;
  char reply[64];
  o->lines++;
  INC(m->total);
  if (is(line, "close")) {
    say(o, "bye\n");
    m->net->close(m->h, o->c, MARTLET_CLOSE_SENT);
    if (m->net->send(m->h, o->c, text("too late\n")) == MARTLET_E_STALE) INC(m->stale);
    if (m->net->close(m->h, o->c, MARTLET_CLOSE_NOW) == MARTLET_E_STALE) INC(m->stale);
  } else if (is(line, "now")) {
    m->net->close(m->h, o->c, MARTLET_CLOSE_NOW);
  } else if (is(line, "foreign")) {
    pthread_t thread;
    pthread_create(&thread, NULL, foreign, o);
    pthread_detach(thread);
  } else if (is(line, "fill")) {
    o->filling = 1;
    fill(o);
  } else if (is(line, "pause")) {
    m->net->pause(m->h, o->c);
  } else if (is(line, "mqtt")) {
    say(o, "mqtt\n");
    STORE(m->last_why, m->net->adopt_mqtt(m->h, o->c, text("")));
  } else if (is(line, "zone")) {
    snprintf(reply, sizeof reply, "%d\n", m->net->adopt_mqtt(m->h, o->c, text("nowhere")));
    say(o, reply);
  } else if (is(line, "stats")) {
    martlet_conn_stats s = {.size = sizeof s};
    martlet_addr a;
    m->net->conn_stats(m->h, o->c, &s);
    m->net->local(m->h, o->c, &a);
    uint8_t where[64];
    size_t n = m->net->format_addr(&a, where, sizeof where);
    snprintf(reply, sizeof reply, "in=%llu %.*s\n", (unsigned long long)s.bytes_in, (int)n, (const char *)where);
    say(o, reply);
  } else if (line.len == 5 && memcmp(line.ptr, "who ", 4) == 0) {
    who(o, line.ptr[4] - '0');
  } else if (is(line, "lines")) {
    snprintf(reply, sizeof reply, VERSION " %ld\n", o->lines);
    say(o, reply);
  } else {
    m->net->send(m->h, o->c, line);
    say(o, "\n");
  }
}

static size_t data(void *u, martlet_conn c, void *mine, martlet_bytes b) {
  me *m = u;
  one *o = mine;
  size_t at = 0;
  (void)c;
#ifdef GREEDY
  return b.len + 1;
#endif
  for (size_t i = 0; i < b.len; i++) {
    if (b.ptr[i] != '\n') continue;
    martlet_bytes line = {b.ptr + at, i - at};
    at = i + 1;
    act(o, line);
    if (is(line, "pause") || is(line, "mqtt")) break;
  }
  __atomic_fetch_add(&m->got, (long)at, __ATOMIC_SEQ_CST);
  return at;
}

static void writable(void *u, martlet_conn c, void *mine) {
  one *o = mine;
  (void)c;
  INC(((me *)u)->writable);
  if (o->filling) fill(o);
}

static void closed(void *u, martlet_conn c, void *mine, martlet_status why) {
  me *m = u;
  (void)c;
  STORE(m->last_why, why);
  INC(m->closed);
  free(mine);
}

static void leaving(void *u, martlet_conn c, void *mine, void (*write)(void *, martlet_bytes), void *to) {
  one *o = mine;
  char state[32];
  (void)c;
  snprintf(state, sizeof state, "%ld", o->lines);
  write(to, text(state));
  INC(((me *)u)->left);
  free(mine);
}

static void *rebound(void *u, martlet_conn c, const martlet_addr *peer, martlet_bytes state) {
  me *m = u;
  one *o = opened(u, c, peer);
  char number[32] = {0};
  memcpy(number, state.ptr, state.len < 31 ? state.len : 31);
  o->lines = atol(number);
  __atomic_fetch_sub(&m->opened, 1, __ATOMIC_SEQ_CST);
  INC(m->rebound);
  return o;
}

static const martlet_conn_cb calls = {sizeof calls, opened, data, writable, closed, leaving,
#ifdef NO_REBIND
                                      NULL
#else
                                      rebound
#endif
};

/* ---- outgoing */

static void *out_opened(void *u, martlet_conn c, const martlet_addr *peer) {
  me *m = u;
  (void)peer;
  INC(m->out_opened);
  m->net->send(m->h, c, text("hello from " VERSION "\n"));
  return m;
}
static size_t out_data(void *u, martlet_conn c, void *mine, martlet_bytes b) {
  me *m = u;
  (void)mine;
  if (b.len >= 5 && memcmp(b.ptr, "ping\n", 5) == 0) m->net->send(m->h, c, text("pong " VERSION "\n"));
  return b.len;
}
static void out_closed(void *u, martlet_conn c, void *mine, martlet_status why) {
  (void)c;
  (void)mine;
  STORE(((me *)u)->out_why, why);
}
static void *out_rebound(void *u, martlet_conn c, const martlet_addr *peer, martlet_bytes state) {
  (void)c;
  (void)peer;
  (void)state;
  INC(((me *)u)->out_rebound);
  return u;
}
static const martlet_conn_cb out_calls = {sizeof out_calls, out_opened, out_data, NULL, out_closed, NULL, out_rebound};

static void dgram(void *u, const martlet_addr *peer, martlet_bytes b) {
  me *m = u;
  uint8_t bytes[4096];
  INC(m->dgrams);
  if (b.len == 6 && memcmp(b.ptr, "who ", 4) == 0) {
    size_t n = m->net->dgram_proof(m->h, m->udp, peer, b.ptr[4] - '0', bytes, sizeof bytes - 1);
    bytes[n] = '\n';
    b = (martlet_bytes){bytes, n + 1};
  }
  m->net->sendto(m->h, m->udp, peer, b);
}

/* ---- command */

static martlet_status command(void *u, const martlet_bytes *a, size_t argc, martlet_ctl_out *out) {
  me *m = u;
  char where[256] = {0};
  if (argc > 2) memcpy(where, a[2].ptr, a[2].len < 255 ? a[2].len : 255);
  if (argc >= 3 && is(a[1], "connect")) {
    bool soon = argc > 3 && is(a[3], "soon"); /* gives up soon */
    martlet_net_options options = {.size = sizeof options, .connect_timeout_ms = soon ? 300 : 60000};
#ifdef PROFILE
    options.tls_profile = text(PROFILE);
    options.connect_timeout_ms = 5000;
#endif
    STORE(m->out_why, 99);
    martlet_conn c;
    martlet_status s = m->net->connect(m->h, argc > 3 && !soon ? "peer" : "", text(where), &options, &out_calls, m, &c);
    if (!s) STORE(m->out, c);
    return s;
  }
  if (argc == 2 && is(a[1], "resume")) return m->net->resume(m->h, LOAD(m->last));
  if (argc == 2 && is(a[1], "send")) return m->net->send(m->h, LOAD(m->last), text("from main\n"));
  if (argc == 2 && is(a[1], "unlisten")) return m->net->unlisten(m->h, m->tcp);
  if (argc == 3 && is(a[1], "listen")) return m->net->listen_tcp(m->h, "more", text(where), NULL, &calls, m, NULL);
  if (argc == 2 && is(a[1], "bad")) {
    martlet_net_options low = {.size = sizeof low, .high_water = 10, .low_water = 10};
    martlet_net_options rule = {.size = sizeof rule, .access = text("allow nobody")};
    martlet_conn_cb empty = {.size = sizeof empty};
    martlet_conn_stats stats = {.size = sizeof stats};
    martlet_addr addr = {.version = 4};
    out_number(out, "address", m->net->listen_tcp(m->h, "x", text("nowhere"), NULL, &calls, m, NULL));
    out_number(out, "twice", m->net->listen_tcp(m->h, "tcp", text("127.0.0.1:0"), NULL, &calls, m, NULL));
    out_number(out, "empty", m->net->listen_tcp(m->h, "x", text("127.0.0.1:0"), NULL, &empty, m, NULL));
    out_number(out, "water", m->net->listen_tcp(m->h, "x", text("127.0.0.1:0"), &low, &calls, m, NULL));
    out_number(out, "rule", m->net->listen_tcp(m->h, "x", text("127.0.0.1:0"), &rule, &calls, m, NULL));
    out_number(out, "connect", m->net->connect(m->h, "", text("nowhere"), NULL, &calls, m, NULL));
    out_number(out, "stale", m->net->send(m->h, 12345, text("x")));
    out_number(out, "how", m->net->close(m->h, LOAD(m->last), 7));
    out_number(out, "thread", m->net->conn_stats(m->h, LOAD(m->last), &stats));
    out_number(out, "proof", (long long)m->net->conn_proof(m->h, LOAD(m->last), MARTLET_PROOF_CN, NULL, 0));
    out_number(out, "dgram_proof", (long long)m->net->dgram_proof(m->h, m->udp, &addr, MARTLET_PROOF_CN, NULL, 0));
    return MARTLET_OK;
  }
  martlet_addr addr = {0};
  if (m->net->listening_on(m->h, m->tcp, &addr) == MARTLET_OK) out_number(out, "tcp", addr.port);
  if (m->net->listening_on(m->h, m->udp, &addr) == MARTLET_OK) out_number(out, "udp", addr.port);
  out_number(out, "opened", LOAD(m->opened));
  out_number(out, "closed", LOAD(m->closed));
  out_number(out, "why", LOAD(m->last_why));
  out_number(out, "left", LOAD(m->left));
  out_number(out, "rebound", LOAD(m->rebound));
  out_number(out, "writable", LOAD(m->writable));
  out_number(out, "busy", LOAD(m->busy));
  out_number(out, "stale", LOAD(m->stale));
  out_number(out, "got", LOAD(m->got));
  out_number(out, "total", LOAD(m->total));
  out_number(out, "dgrams", LOAD(m->dgrams));
  out_number(out, "wrong", LOAD(m->wrong_loop));
  out_number(out, "out_opened", LOAD(m->out_opened));
  out_number(out, "out_why", LOAD(m->out_why));
  out_number(out, "out_rebound", LOAD(m->out_rebound));
  return MARTLET_OK;
}

static martlet_status start(void *state) {
  me *m = state;
  m->net = GET(m->h, net, MARTLET_EXT_NET);
  m->out_why = 99;
  martlet_net_options options = {.size = sizeof options, .high_water = HIGH_WATER, .max_connections = MAX_CONNECTIONS,
                                 .max_input = 100000};
#ifdef IDLE
  options.idle_timeout_ms = IDLE;
#endif
#ifdef CONNECT_TIMEOUT
  options.connect_timeout_ms = CONNECT_TIMEOUT;
#endif
#ifdef ACCESS
  options.access = text(ACCESS);
#endif
#ifdef SECURE
  options.tls_profile = text(SECURE);
#endif
  martlet_status s = m->net->listen_tcp(m->h, "tcp", text(TCP), &options, &calls, m, &m->tcp);
  if (!s) s = m->net->listen_udp(m->h, "udp", text("127.0.0.1:0"), &options, dgram, m, &m->udp);
#ifdef CLAIM
  martlet_conn c;
  if (!s) s = m->net->connect(m->h, "peer", text(CLAIM), NULL, &out_calls, m, &c);
#endif
  if (!s) s = GET(m->h, ctl, MARTLET_EXT_CTL)->command(m->h, ID, NULL, 0, command, m, NULL);
#ifdef FAIL_START
  fail(m->h, MARTLET_E_IO, "never starts");
  return MARTLET_E_IO;
#endif
  return s;
}

/* From here to the end of the new image's start no callback may come, or its line is not counted. */
static martlet_status export_state(void *state, void (*write)(void *, martlet_bytes), void *to) {
  me *m = state;
  martlet_bytes b = {(const uint8_t *)&m->total, sizeof m->total};
  write(to, b);
  return MARTLET_OK;
}
static martlet_status import_state(void *state, martlet_bytes b) {
  memcpy(&((me *)state)->total, b.ptr, b.len < sizeof(long) ? b.len : sizeof(long));
  return MARTLET_OK;
}
static const void *extension(void *state, const char *id) {
  (void)state;
  static const martlet_upgrade_v1 table = {sizeof table, export_state, import_state};
  return strcmp(id, MARTLET_EXT_UPGRADE) == 0 ? &table : NULL;
}

static martlet_status create(const martlet_host *h, martlet_plugin *out);
static martlet_status make(const martlet_host *h, martlet_plugin *out) {
  martlet_status s = create(h, out);
  out->get_extension = extension;
  return s;
}

LIFE(start)
ENTRY(make)
