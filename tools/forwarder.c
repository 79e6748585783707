/* SPDX-License-Identifier: Apache-2.0
 * What each broker must pay, and nothing else: one thread, edge-triggered epoll, one receive a ready socket, one send a
 * receiver and tick. No sessions, no rights, no QoS but 0, no filters but exact topics, one subscriber each, and trust in
 * whoever connects: an instrument beside `tools/bench`, for 127.0.0.1 alone. docs/benchmarks.md tells what it is for.
 *
 *     cc -O2 -o forwarder tools/forwarder.c && ./forwarder PORT
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS = 70000, GULP = 1 << 17, TOPICS = 1 << 16, AT_ONCE = 64 };

typedef struct {
  uint8_t *out, *rest; /* what is to be sent; the beginning of a packet that has not come whole */
  size_t length, capacity, kept;
  bool is_dirty, is_5;
} connection;

typedef struct {
  uint64_t hash; /* 0: free */
  int receiver;
} entry;

static connection *connections;
static entry topics[TOPICS];
static int dirty[CONNECTIONS], dirties, queue;
static uint8_t gulp[GULP];

static uint64_t hash(const uint8_t *bytes, size_t count) {
  uint64_t h = 1469598103934665603u;
  for (size_t i = 0; i < count; i++) h = (h ^ bytes[i]) * 1099511628211u;
  return h != 0 ? h : 1;
}

/* The place of a topic, or the one where it would be. */
static entry *find(const uint8_t *text) {
  uint64_t h = hash(text + 2, (size_t)text[0] << 8 | text[1]);
  size_t at = h & (TOPICS - 1);
  while (topics[at].hash != 0 && topics[at].hash != h) at = (at + 1) & (TOPICS - 1);
  if (topics[at].hash == 0) topics[at] = (entry){h, -1};
  return &topics[at];
}

static void put(int fd, const void *bytes, size_t count) {
  connection *c = &connections[fd];
  while (c->length + count > c->capacity) {
    c->capacity = c->capacity > 0 ? c->capacity * 2 : 512;
    c->out = realloc(c->out, c->capacity);
    if (c->out == NULL) abort();
  }
  memcpy(c->out + c->length, bytes, count);
  c->length += count;
  if (!c->is_dirty) c->is_dirty = true, dirty[dirties++] = fd;
}

static void subscribe(int fd, const uint8_t *body) {
  bool is_5 = connections[fd].is_5;
  find(body + 2 + (is_5 ? 1 + body[2] : 0))->receiver = fd;
  uint8_t answer[6] = {0x90, is_5 ? 4 : 3, body[0], body[1], 0, 0};
  put(fd, answer, is_5 ? 6 : 5);
}

/* False: the client says goodbye. */
static bool packet(int fd, const uint8_t *bytes, size_t count, size_t head) {
  const uint8_t *body = bytes + head;
  connection *c = &connections[fd];
  switch (bytes[0] >> 4) {
    case 1:
      c->is_5 = body[6] == 5;
      put(fd, c->is_5 ? "\x20\x03\0\0\0" : "\x20\x02\0\0", c->is_5 ? 5 : 4);
      return true;
    case 3: {
      int to = find(body)->receiver;
      if (to >= 0 && connections[to].is_5 == c->is_5) put(to, bytes, count);
      return true;
    }
    case 8: subscribe(fd, body); return true;
    case 12: put(fd, "\xd0\0", 2); return true;
    default: return bytes[0] >> 4 != 14;
  }
}

/* How much of it were whole packets; -1: the client says goodbye. */
static ssize_t take(int fd, const uint8_t *bytes, size_t count) {
  size_t at = 0;
  while (count - at >= 2) {
    size_t length = 0, head = 1;
    uint8_t digit = 128;
    while (digit & 128 && at + head < count && head < 5) {
      digit = bytes[at + head];
      length |= (size_t)(digit & 127) << 7 * (head - 1);
      head++;
    }
    if (digit & 128 || at + head + length > count) break;
    if (!packet(fd, bytes + at, head + length, head)) return -1;
    at += head + length;
  }
  return (ssize_t)at;
}

/* False: it is over with this connection. */
static bool receive(int fd, uint32_t events) {
  connection *c = &connections[fd];
  for (;;) {
    if (c->kept > 0) memcpy(gulp, c->rest, c->kept);
    size_t room = GULP - c->kept;
    ssize_t count = recv(fd, gulp + c->kept, room, 0);
    if (count < 0 && errno == EAGAIN) return true;
    if (count <= 0) return false;
    size_t all = c->kept + (size_t)count;
    ssize_t taken = take(fd, gulp, all);
    if (taken < 0 || (taken == 0 && all == GULP)) return false;
    c->kept = all - (size_t)taken;
    free(c->rest);
    c->rest = c->kept > 0 ? malloc(c->kept) : NULL;
    if (c->kept > 0) memcpy(c->rest, gulp + taken, c->kept);
    if ((size_t)count < room && !(events & (EPOLLRDHUP | EPOLLHUP))) return true;
  }
}

/* Its topic stays: to look for it would cost more than all the rest, and who comes next subscribes anew. */
static void forget(int fd) {
  free(connections[fd].out);
  free(connections[fd].rest);
  bool is_dirty = connections[fd].is_dirty;
  connections[fd] = (connection){.is_dirty = is_dirty};
  close(fd);
}

static void welcome(int listener) {
  const int one = 1;
  int fd;
  while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    epoll_ctl(queue, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN | EPOLLET | EPOLLRDHUP, .data.fd = fd});
  }
}

static void send_all(void) {
  for (int i = 0; i < dirties; i++) {
    connection *c = &connections[dirty[i]];
    c->is_dirty = false;
    for (size_t at = 0; at < c->length;) {
      ssize_t sent = send(dirty[i], c->out + at, c->length - at, MSG_NOSIGNAL);
      if (sent < 0 && errno == EAGAIN) usleep(50); /* a receiver that does not read holds everybody up */
      if (sent < 0 && errno != EAGAIN) break;
      if (sent > 0) at += (size_t)sent;
    }
    c->length = 0;
  }
  dirties = 0;
}

static int listen_on(uint16_t port) {
  const int one = 1;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 4096) != 0) {
    perror("forwarder: this port cannot be used");
    exit(1);
  }
  return fd;
}

int main(int argc, char **argv) {
  if (argc != 2) return fprintf(stderr, "usage: forwarder PORT\n"), 64;
  size_t size = sizeof(connection) * CONNECTIONS;
  connections = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (connections == MAP_FAILED) return perror("forwarder"), 1;
  madvise(connections, size, MADV_HUGEPAGE);
  int listener = listen_on((uint16_t)atoi(argv[1]));
  queue = epoll_create1(0);
  epoll_ctl(queue, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN, .data.fd = listener});
  struct epoll_event events[AT_ONCE];
  for (;;) {
    int count = epoll_wait(queue, events, AT_ONCE, -1);
    for (int i = 0; i < count; i++) {
      int fd = events[i].data.fd;
      if (fd == listener) welcome(listener);
      else if (!receive(fd, events[i].events)) forget(fd);
    }
    send_all();
  }
}
