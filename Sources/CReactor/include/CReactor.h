/* SPDX-License-Identifier: Apache-2.0
 * What Swift cannot say itself: atomics on raw memory, thread-local words, and calls with variable arguments.
 * Everything here is static inline, so it costs what the instruction costs. */
#ifndef CREACTOR_H
#define CREACTOR_H
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* ---- atomics ---------------------------------------------------------------------------------------- */

#define CR_ATOMICS(T, N)                                                                                          \
  static inline T cr_load_##N(const T *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }                       \
  static inline T cr_load_relaxed_##N(const T *p) { return __atomic_load_n(p, __ATOMIC_RELAXED); }               \
  static inline void cr_store_##N(T *p, T v) { __atomic_store_n(p, v, __ATOMIC_RELEASE); }                       \
  static inline void cr_store_relaxed_##N(T *p, T v) { __atomic_store_n(p, v, __ATOMIC_RELAXED); }               \
  static inline void cr_store_seq_##N(T *p, T v) { __atomic_store_n(p, v, __ATOMIC_SEQ_CST); }                   \
  static inline T cr_load_seq_##N(const T *p) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); }                   \
  static inline T cr_exchange_##N(T *p, T v) { return __atomic_exchange_n(p, v, __ATOMIC_ACQ_REL); }             \
  static inline T cr_add_##N(T *p, T v) { return __atomic_fetch_add(p, v, __ATOMIC_ACQ_REL); }                   \
  static inline T cr_add_relaxed_##N(T *p, T v) { return __atomic_fetch_add(p, v, __ATOMIC_RELAXED); }           \
  static inline bool cr_cas_##N(T *p, T *expected, T v) {                                                        \
    return __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);               \
  }
CR_ATOMICS(uint32_t, u32)
CR_ATOMICS(int32_t, i32)
CR_ATOMICS(uint64_t, u64)
CR_ATOMICS(int64_t, i64)
/* A counter that one thread adds to and others read: no locked instruction, and no torn or invented value either. */
static inline void cr_count_u64(uint64_t *p, uint64_t n) {
  __atomic_store_n(p, __atomic_load_n(p, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

/* Pointers travel as uintptr_t in an atomic cell. */
static inline void *cr_load_ptr(void *const *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
static inline void cr_store_ptr(void **p, void *v) { __atomic_store_n(p, v, __ATOMIC_RELEASE); }
static inline void *cr_exchange_ptr(void **p, void *v) { return __atomic_exchange_n(p, v, __ATOMIC_ACQ_REL); }
static inline bool cr_cas_ptr(void **p, void **expected, void *v) {
  return __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}
static inline void cr_fence(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

/* ---- the thread's own words ----------------------------------------------------------------------------- */

/* -2: a thread no loop runs on; -1: the control thread; >= 0: index of the data loop. */
extern __thread int32_t cr_tls_loop;
static inline int32_t cr_current_loop(void) { return cr_tls_loop; }
static inline void cr_set_current_loop(int32_t i) { cr_tls_loop = i; }
/* The object of the loop that runs on this thread, for callbacks that know nothing but their thread. */
extern __thread void *cr_tls_object;
static inline void *cr_current_object(void) { return cr_tls_object; }
static inline void cr_set_current_object(void *object) { cr_tls_object = object; }

/* ---- odds and ends ---------------------------------------------------------------------------------------- */

/* Asks for the cache line at p; p need not be valid. Among tens of thousands of connections each line of the next one's
 * state comes from far away: asked for early, they come together and while the kernel works. */
static inline void cr_prefetch(const void *p) { __builtin_prefetch(p, 1); }

static inline int cr_errno(void) { return errno; }
void cr_name_thread(const char *name);
/* The kernel's number of this thread. */
int32_t cr_thread_id(void);
/* Nanoseconds of processor time that a thread of this process has used; 0 when there is no such thread. */
uint64_t cr_thread_cpu_ns(int32_t thread);
/* How many processors this process may run on. */
int32_t cr_processors(void);
/* accept4 with SOCK_NONBLOCK | SOCK_CLOEXEC. */
int cr_accept(int fd, void *address, uint32_t *length);
static inline uint64_t cr_clock_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}
static inline uint64_t cr_clock_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
static inline int64_t cr_unix_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
/* epoll and eventfd: their headers do not import beside Glibc's. cr_event is laid out as the kernel's epoll_event. */
#if defined(__x86_64__)
typedef struct __attribute__((packed)) cr_event { uint32_t events; uint64_t key; } cr_event;
#else
typedef struct cr_event { uint32_t events; uint64_t key; } cr_event;
#endif
enum { CR_IN = 1, CR_OUT = 4, CR_ERR = 8, CR_HUP = 16, CR_RDHUP = 0x2000 };
#define CR_EDGE 0x80000000u
int cr_epoll_create(void);
int cr_epoll_add(int epoll, int fd, uint32_t events, uint64_t key);
int cr_epoll_modify(int epoll, int fd, uint32_t events, uint64_t key);
int cr_epoll_remove(int epoll, int fd);
int cr_epoll_wait(int epoll, cr_event *events, int capacity, int timeout_ms);
int cr_eventfd(void);

/* A descriptor that reports SIGTERM, SIGINT and SIGHUP, which the caller has blocked; and the number of the next. */
int cr_signalfd_term(void);
int cr_signalfd_read(int fd);

/* Waits for a sem_t for so long by the monotonic clock; ETIMEDOUT when that was too short. */
int cr_semaphore_wait(void *semaphore, int64_t milliseconds);

/* Bytes the allocator holds and nobody uses; their return to the system; and the resident bytes of this process, files
   left out, or 0 without /proc. */
size_t cr_heap_free(void);
void cr_heap_trim(void);
size_t cr_resident(void);

/* Keeps the kernel from making huge pages of memory that does not ask for them: few bytes in use would hold each. */
void cr_use_small_pages(void);

enum { CR_HUGE_PAGE = 2 << 20 };
/* The process's private memory that may be written and has no file behind it: start and end of each mapping, two words
 * each. Returns how many of them, at most capacity. */
int cr_own_mappings(uintptr_t *bounds, int capacity);
/* How many of the 512 small pages of the huge page at p are in memory. */
int cr_resident_pages(void *p);
/* Moves the small pages at p together into a huge page, and fills what was missing. 0; EAGAIN and others: not now;
 * ENOTSUP: not on this kernel, or not with this memory. */
int cr_make_huge_page(void *p);

/* Memory of large messages. The system gives it filled with zeros, page fault by page fault, and takes it back at once,
   so a few blocks of up to 4 MB are kept for the next ones, until cr_blocks_trim. From any thread. */
void *cr_block_take(size_t size);
void cr_block_give(void *block);
void cr_blocks_trim(void);

/* Memory of other messages, from any thread to any other. A loop takes and gives hundreds a tick, more than the allocator
   keeps at hand for a thread. So a thread for which cr_messages_keep(true) was called on it keeps what is given there for
   the next of that size, at most CR_KEPT_MESSAGES bytes, until it calls cr_messages_trim or cr_messages_keep(false).
   cr_messages_keep returns false when the thread keeps nothing: no thread does in an address sanitizer's build. */
enum { CR_KEPT_MESSAGES = 256 << 10 };
void *cr_message_take(size_t size);
void cr_message_give(void *block);
bool cr_messages_keep(bool keeps);
void cr_messages_trim(void);

/* For LeakSanitizer, which does not look into memory from mmap by itself: this one leads to memory of the heap, and does
   not any more, before it is given back. Nothing without a sanitizer. */
void cr_leads_to_heap(const void *p, size_t size);
void cr_leads_nowhere(const void *p, size_t size);
/* Received bytes that more than one may refer to: the loop that receives, outputs, other loops' inboxes. The bytes follow
   the header. Whoever finds itself to be the only one may write, from any thread. */
typedef struct cr_input {
  uint32_t references;
  /* 1: one of the loops' receive buffers, of which there may be many packets' worth in it; 0: made for one packet. */
  uint32_t is_common;
  size_t room;
  size_t unused[6];
} cr_input;
enum { CR_INPUT_ROOM = (256 << 10) - (int)sizeof(cr_input) /* of a receive buffer */ };
/* One reference. Receive buffers are kept for use again as blocks are. */
cr_input *cr_input_take(size_t room);
cr_input *cr_input_take_common(void);
static inline void cr_input_retain(cr_input *input) { cr_add_relaxed_u32(&input->references, 1); }
void cr_input_release(void *input);
static inline bool cr_input_is_shared(const cr_input *input) { return cr_load_u32(&input->references) != 1; }
/* Receive buffers there are, those that are kept included. */
uint32_t cr_inputs_common(void);

/* send and sendmsg without SIGPIPE; v is an array of struct iovec. */
ptrdiff_t cr_send(int fd, const void *p, size_t n);
ptrdiff_t cr_sendv(int fd, void *v, size_t n);
/* Datagrams, many in one call. address holds a struct sockaddr_storage. */
typedef struct cr_datagram { void *data; uint32_t length, address_length; uint64_t address[16]; } cr_datagram;
enum { CR_DATAGRAMS = 32 /* the most that one call takes */ };
/* Receives into data[0..room) of each; returns how many, or -1. *overflows: datagrams the kernel has dropped on this
 * socket so far, because nobody took them; untouched when it does not tell. */
int cr_receive_many(int fd, cr_datagram *v, int count, uint32_t room, uint32_t *overflows);
/* Returns how many were sent; -1 when the first of them could not be. */
int cr_send_many(int fd, const cr_datagram *v, int count);
/* Bytes the peer's side has not acknowledged, -1 when that cannot be told. */
int cr_unacknowledged(int fd);
/* Bytes that arrived and were not read yet, -1 when that cannot be told. */
int cr_unread(int fd);
#endif
