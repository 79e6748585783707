/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "CReactor.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

__thread int32_t cr_tls_loop = -2;
__thread void *cr_tls_object;

void cr_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }
int32_t cr_thread_id(void) { return (int32_t)gettid(); }

uint64_t cr_thread_cpu_ns(int32_t thread) {
  /* The kernel's name for the clock of a thread: CPUCLOCK_PERTHREAD | CPUCLOCK_SCHED. */
  clockid_t clock = (clockid_t)(~(uint32_t)thread << 3 | 6u);
  struct timespec t;
  if (clock_gettime(clock, &t) != 0) return 0;
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int32_t cr_processors(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  long all = sysconf(_SC_NPROCESSORS_ONLN); /* More than a set holds, 1,024. */
  return all > 0 ? (int32_t)all : 1;
}

int cr_accept(int fd, void *address, uint32_t *length) {
  return accept4(fd, (struct sockaddr *)address, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

ptrdiff_t cr_send(int fd, const void *p, size_t n) { return send(fd, p, n, MSG_NOSIGNAL); }

ptrdiff_t cr_sendv(int fd, void *v, size_t n) {
  struct msghdr m;
  memset(&m, 0, sizeof m);
  m.msg_iov = (struct iovec *)v;
  m.msg_iovlen = n;
  return sendmsg(fd, &m, MSG_NOSIGNAL);
}

int cr_unacknowledged(int fd) {
  int n = 0;
  return ioctl(fd, SIOCOUTQ, &n) == 0 ? n : -1;
}

int cr_unread(int fd) {
  int n = 0;
  return ioctl(fd, FIONREAD, &n) == 0 ? n : -1;
}

_Static_assert(sizeof(cr_event) == sizeof(struct epoll_event), "cr_event mirrors epoll_event");
_Static_assert(offsetof(cr_event, key) == offsetof(struct epoll_event, data), "cr_event mirrors epoll_event");
_Static_assert(CR_IN == EPOLLIN && CR_OUT == EPOLLOUT && CR_ERR == EPOLLERR && CR_HUP == EPOLLHUP, "epoll bits");
_Static_assert(CR_RDHUP == EPOLLRDHUP && CR_EDGE == EPOLLET, "epoll bits");

int cr_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }

static int control(int epoll, int op, int fd, uint32_t events, uint64_t key) {
  struct epoll_event e = {.events = events, .data.u64 = key};
  return epoll_ctl(epoll, op, fd, &e);
}

int cr_epoll_add(int epoll, int fd, uint32_t events, uint64_t key) {
  return control(epoll, EPOLL_CTL_ADD, fd, events, key);
}

int cr_epoll_modify(int epoll, int fd, uint32_t events, uint64_t key) {
  return control(epoll, EPOLL_CTL_MOD, fd, events, key);
}

int cr_epoll_remove(int epoll, int fd) { return control(epoll, EPOLL_CTL_DEL, fd, 0, 0); }

int cr_epoll_wait(int epoll, cr_event *events, int capacity, int timeout_ms) {
  return epoll_wait(epoll, (struct epoll_event *)events, capacity, timeout_ms);
}

int cr_eventfd(void) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }

int cr_signalfd_term(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

int cr_signalfd_read(int fd) {
  struct signalfd_siginfo info;
  return read(fd, &info, sizeof info) == sizeof info ? (int)info.ssi_signo : 0;
}

int cr_semaphore_wait(void *semaphore, int64_t milliseconds) {
  struct timespec deadline;
  clock_gettime(CLOCK_MONOTONIC, &deadline);
  deadline.tv_sec += milliseconds / 1000;
  deadline.tv_nsec += milliseconds % 1000 * 1000000;
  if (deadline.tv_nsec >= 1000000000) deadline.tv_sec += 1, deadline.tv_nsec -= 1000000000;
  while (sem_clockwait(semaphore, CLOCK_MONOTONIC, &deadline) != 0)
    if (errno != EINTR) return errno;
  return 0;
}

size_t cr_heap_free(void) { return mallinfo2().fordblks; }

void cr_heap_trim(void) { malloc_trim(0); }

enum { CR_KEPT_BLOCKS = 8, CR_LARGEST_KEPT = 4 << 20 };
static void *kept_blocks[CR_KEPT_BLOCKS];

void *cr_block_take(size_t size) {
  for (int i = 0; i < CR_KEPT_BLOCKS; i++) {
    if (!__atomic_load_n(&kept_blocks[i], __ATOMIC_RELAXED)) continue;
    void *block = __atomic_exchange_n(&kept_blocks[i], NULL, __ATOMIC_ACQUIRE);
    if (!block) continue;
    size_t room = malloc_usable_size(block);
    if (room >= size && room / 2 <= size) return block;
    free(block);
  }
  return malloc(size);
}

void cr_block_give(void *block) {
  for (int i = 0; i < CR_KEPT_BLOCKS && malloc_usable_size(block) <= CR_LARGEST_KEPT; i++) {
    void *none = NULL;
    if (__atomic_load_n(&kept_blocks[i], __ATOMIC_RELAXED)) continue;
    if (__atomic_compare_exchange_n(&kept_blocks[i], &none, block, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) return;
  }
  free(block);
}

#if __has_feature(address_sanitizer)
/* What is used after it was given back shall be found. */
void *cr_message_take(size_t size) { return malloc(size); }
void cr_message_give(void *block) { free(block); }
bool cr_messages_keep(bool keeps) { return (void)keeps, false; }
void cr_messages_trim(void) {}
#else
/* Lists of blocks by what they hold at least: 8 bytes, 24, 40 and so on, the sizes of glibc's allocator. Others have sizes
 * of their own, so what is asked for is a size of ours, and what is given back serves the largest of ours that it holds. */
enum { CR_SIZES = 48 };
typedef struct kept_message { struct kept_message *next; } kept_message;
static __thread kept_message *kept_messages[CR_SIZES];
static __thread size_t messages_room;

static size_t kept_size(size_t which) { return which * 16 + 8; }

void *cr_message_take(size_t size) {
  size_t which = (size + 7) / 16;
  if (which >= CR_SIZES) return malloc(size);
  kept_message *block = kept_messages[which];
  if (!block) return malloc(kept_size(which));
  kept_messages[which] = block->next;
  messages_room += kept_size(which);
  return block;
}

void cr_message_give(void *p) {
  size_t size = malloc_usable_size(p), which = (size - 8) / 16;
  if (which >= CR_SIZES || messages_room < kept_size(which)) return free(p);
  messages_room -= kept_size(which);
  kept_message *block = p;
  block->next = kept_messages[which];
  kept_messages[which] = block;
}

void cr_messages_trim(void) {
  for (size_t which = 0; which < CR_SIZES; which++)
    for (kept_message *block; (block = kept_messages[which]) != NULL; free(block)) {
      kept_messages[which] = block->next;
      messages_room += kept_size(which);
    }
}

bool cr_messages_keep(bool keeps) {
  cr_messages_trim();
  messages_room = keeps ? CR_KEPT_MESSAGES : 0;
  return keeps;
}
#endif

enum { CR_KEPT_INPUTS = 32, CR_BLOCK_FROM = 128 << 10 };
static void *kept_inputs[CR_KEPT_INPUTS];
static uint32_t common_inputs;

static cr_input *prepare(cr_input *input, size_t room, uint32_t is_common) {
  if (!input) abort();
  input->references = 1;
  input->is_common = is_common;
  input->room = room;
  return input;
}

cr_input *cr_input_take(size_t room) {
  size_t size = room + sizeof(cr_input);
  return prepare(size >= CR_BLOCK_FROM ? cr_block_take(size) : malloc(size), room, 0);
}

cr_input *cr_input_take_common(void) {
  for (int i = 0; i < CR_KEPT_INPUTS; i++) {
    if (!__atomic_load_n(&kept_inputs[i], __ATOMIC_RELAXED)) continue;
    cr_input *input = __atomic_exchange_n(&kept_inputs[i], NULL, __ATOMIC_ACQUIRE);
    if (input) return prepare(input, CR_INPUT_ROOM, 1);
  }
  cr_add_relaxed_u32(&common_inputs, 1);
  return prepare(aligned_alloc(64, CR_INPUT_ROOM + sizeof(cr_input)), CR_INPUT_ROOM, 1);
}

static void free_common(void *input) {
  if (!input) return;
  cr_add_relaxed_u32(&common_inputs, UINT32_MAX);
  free(input);
}

void cr_input_release(void *p) {
  cr_input *input = p;
  if (cr_add_u32(&input->references, UINT32_MAX) != 1) return;
  if (!input->is_common) {
    if (input->room + sizeof *input >= CR_BLOCK_FROM) cr_block_give(input);
    else free(input);
    return;
  }
  for (int i = 0; i < CR_KEPT_INPUTS; i++) {
    void *none = NULL;
    if (__atomic_load_n(&kept_inputs[i], __ATOMIC_RELAXED)) continue;
    if (__atomic_compare_exchange_n(&kept_inputs[i], &none, input, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) return;
  }
  free_common(input);
}

uint32_t cr_inputs_common(void) { return cr_load_relaxed_u32(&common_inputs); }

void cr_blocks_trim(void) {
  for (int i = 0; i < CR_KEPT_BLOCKS; i++) free(__atomic_exchange_n(&kept_blocks[i], NULL, __ATOMIC_ACQUIRE));
  for (int i = 0; i < CR_KEPT_INPUTS; i++) free_common(__atomic_exchange_n(&kept_inputs[i], NULL, __ATOMIC_ACQUIRE));
}

#if __has_feature(address_sanitizer)
void __lsan_register_root_region(const void *p, size_t size);
void __lsan_unregister_root_region(const void *p, size_t size);
void cr_leads_to_heap(const void *p, size_t size) { __lsan_register_root_region(p, size); }
void cr_leads_nowhere(const void *p, size_t size) { __lsan_unregister_root_region(p, size); }
#else
void cr_leads_to_heap(const void *p, size_t size) { (void)p, (void)size; }
void cr_leads_nowhere(const void *p, size_t size) { (void)p, (void)size; }
#endif

/* From Linux 6.18 on: memory that was advised to be in huge pages still is. */
#ifndef PR_THP_DISABLE_EXCEPT_ADVISED
#define PR_THP_DISABLE_EXCEPT_ADVISED (1 << 1)
#endif

static bool small_pages_only = false;

void cr_use_small_pages(void) {
  if (prctl(PR_SET_THP_DISABLE, 1, PR_THP_DISABLE_EXCEPT_ADVISED, 0, 0) == 0) return;
  char mode[64] = "";
  int fd = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  ssize_t got = read(fd, mode, sizeof mode - 1);
  close(fd);
  if (got > 0 && strstr(mode, "[always]")) small_pages_only = prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0;
}

int cr_own_mappings(uintptr_t *bounds, int capacity) {
  FILE *maps = fopen("/proc/self/maps", "re");
  if (!maps) return 0;
  char line[512];
  int count = 0;
  while (count < capacity && fgets(line, sizeof line, maps)) {
    unsigned long start, end, inode;
    char mode[8], name[64] = "";
    if (sscanf(line, "%lx-%lx %7s %*s %*s %lu %63s", &start, &end, mode, &inode, name) < 4) continue;
    if (strcmp(mode, "rw-p") != 0 || inode != 0) continue;
    if (name[0] && strcmp(name, "[heap]") != 0 && strncmp(name, "[anon", 5) != 0) continue;
    bounds[2 * count] = start;
    bounds[2 * count + 1] = end;
    count++;
  }
  fclose(maps);
  return count;
}

int cr_resident_pages(void *p) {
  unsigned char pages[CR_HUGE_PAGE / 4096];
  if (sysconf(_SC_PAGESIZE) != 4096 || mincore(p, CR_HUGE_PAGE, pages) != 0) return 0;
  int resident = 0;
  for (size_t i = 0; i < sizeof pages; i++) resident += pages[i] & 1;
  return resident;
}

/* Linux 6.1. */
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

int cr_make_huge_page(void *p) {
  if (madvise(p, CR_HUGE_PAGE, MADV_COLLAPSE) == 0) return 0;
  if (errno != EINVAL || !small_pages_only) return errno == EINVAL ? ENOTSUP : errno;
  /* Before Linux 6.18 a process that does without the kernel's own choice does without huge pages altogether. */
  prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0);
  int result = madvise(p, CR_HUGE_PAGE, MADV_COLLAPSE) == 0 ? 0 : errno == EINVAL ? ENOTSUP : errno;
  prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
  return result;
}

size_t cr_resident(void) {
  char text[128];
  int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t got = read(fd, text, sizeof text - 1);
  close(fd);
  if (got <= 0) return 0;
  text[got] = 0;
  unsigned long total, resident, shared;
  if (sscanf(text, "%lu %lu %lu", &total, &resident, &shared) != 3) return 0;
  return (resident - shared) * (size_t)sysconf(_SC_PAGESIZE);
}

int cr_receive_many(int fd, cr_datagram *v, int count, uint32_t room, uint32_t *overflows) {
  struct mmsghdr headers[CR_DATAGRAMS];
  struct iovec parts[CR_DATAGRAMS];
  union { struct cmsghdr header; char bytes[CMSG_SPACE(sizeof(uint32_t))]; } notes[CR_DATAGRAMS];
  if (count > CR_DATAGRAMS) count = CR_DATAGRAMS;
  memset(headers, 0, sizeof headers);
  for (int i = 0; i < count; i++) {
    parts[i] = (struct iovec){v[i].data, room};
    headers[i].msg_hdr = (struct msghdr){.msg_name = v[i].address, .msg_namelen = sizeof v[i].address,
                                         .msg_iov = &parts[i], .msg_iovlen = 1,
                                         .msg_control = &notes[i], .msg_controllen = sizeof notes[i]};
  }
  int got = recvmmsg(fd, headers, (unsigned)count, 0, NULL);
  for (int i = 0; i < got; i++) {
    v[i].length = headers[i].msg_len;
    v[i].address_length = headers[i].msg_hdr.msg_namelen;
    struct cmsghdr *note = CMSG_FIRSTHDR(&headers[i].msg_hdr);
    if (note && note->cmsg_level == SOL_SOCKET && note->cmsg_type == SO_RXQ_OVFL)
      memcpy(overflows, CMSG_DATA(note), sizeof *overflows);
  }
  return got;
}

int cr_send_many(int fd, const cr_datagram *v, int count) {
  struct mmsghdr headers[CR_DATAGRAMS];
  struct iovec parts[CR_DATAGRAMS];
  if (count > CR_DATAGRAMS) count = CR_DATAGRAMS;
  memset(headers, 0, sizeof headers);
  for (int i = 0; i < count; i++) {
    parts[i] = (struct iovec){v[i].data, v[i].length};
    headers[i].msg_hdr = (struct msghdr){.msg_name = (void *)v[i].address, .msg_namelen = v[i].address_length,
                                         .msg_iov = &parts[i], .msg_iovlen = 1};
  }
  return sendmmsg(fd, headers, (unsigned)count, MSG_NOSIGNAL);
}
