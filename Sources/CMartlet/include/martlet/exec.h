/* SPDX-License-Identifier: Apache-2.0
 * martlet/exec.h - martlet.exec/1: threads, timers, file descriptors.
 */
#ifndef MARTLET_EXEC_H
#define MARTLET_EXEC_H
#include "plugin.h"
#include "begin.h"

#define MARTLET_EXT_EXEC "martlet.exec/1"

enum {
  MARTLET_ON_MAIN = -1,   /**< the control thread */
  MARTLET_ON_FOREIGN = -2 /**< current(): a thread the host did not make, or one of the blocking pool */
};
enum { MARTLET_POLL_IN = 1, MARTLET_POLL_OUT = 2, MARTLET_POLL_HUP = 4 /**< only reported, never asked for */ };

typedef void (*martlet_task)(void *MARTLET_OPT user);
typedef void (*martlet_poll_fn)(void *MARTLET_OPT user, int32_t fd, uint32_t events);

typedef struct martlet_exec_v1 {
  uint32_t size;
  uint32_t (*MARTLET_NN loop_count)(const martlet_host *MARTLET_NN); /* [any] */
  /** [any] The index of the loop this thread is, or MARTLET_ON_MAIN, MARTLET_ON_FOREIGN. */
  int32_t (*MARTLET_NN current)(const martlet_host *MARTLET_NN);
  /** [any] Run task once on the control thread. */
  martlet_status (*MARTLET_NN on_main)(const martlet_host *MARTLET_NN, martlet_task MARTLET_NN, void *MARTLET_OPT user);
  /** [any] Run task once on a loop. */
  martlet_status (*MARTLET_NN on_loop)(const martlet_host *MARTLET_NN, uint32_t loop, martlet_task MARTLET_NN, void *MARTLET_OPT user);
  /** [any] Run task once on a thread that may block. MARTLET_E_BUSY when the plugin's share of the queue is full. */
  martlet_status (*MARTLET_NN blocking)(const martlet_host *MARTLET_NN, martlet_task MARTLET_NN, void *MARTLET_OPT user);
  /** [main] Call task after first_ms, then each every_ms (0: once), on `where`: MARTLET_ON_MAIN or a loop index. */
  martlet_status (*MARTLET_NN timer)(const martlet_host *MARTLET_NN, int32_t where, uint32_t first_ms, uint32_t every_ms, martlet_task MARTLET_NN, void *MARTLET_OPT user, martlet_token *MARTLET_OPT out);
  /** [main] Watch fd (yours to close, after cancel) for MARTLET_POLL_*; fn is called on `where`. Level-triggered. */
  martlet_status (*MARTLET_NN poll_fd)(const martlet_host *MARTLET_NN, int32_t where, int32_t fd, uint32_t events, martlet_poll_fn MARTLET_NN, void *MARTLET_OPT user, martlet_token *MARTLET_OPT out);
  /** [main] End a timer or a watch. When it returns, its function runs nowhere any more, unless it is that function itself,
   *  on the control thread, that ended it. The token of a timer that was to fire once is stale when it has. */
  martlet_status (*MARTLET_NN cancel)(const martlet_host *MARTLET_NN, martlet_token);
} martlet_exec_v1;

#include "end.h"
#endif
