/* SPDX-License-Identifier: Apache-2.0
 * martlet/ctl.h - martlet.ctl/1: commands for martlet_ctl.
 */
#ifndef MARTLET_CTL_H
#define MARTLET_CTL_H
#include "plugin.h"
#include "begin.h"

#define MARTLET_EXT_CTL "martlet.ctl/1"

typedef struct martlet_ctl_out {
  uint32_t size;
  void *MARTLET_OPT impl;
  /** [main] Append to the output, newlines included by you. */
  void (*MARTLET_NN print)(void *MARTLET_OPT impl, martlet_bytes);
} martlet_ctl_out;

/** [main] argv[0] is the command's name. A status other than MARTLET_OK, with set_error, becomes one line on the
 *  standard error of martlet_ctl and exit status 1. MARTLET_E_INVAL without set_error prints the usage. */
typedef martlet_status (*martlet_ctl_fn)(void *MARTLET_OPT user, const martlet_bytes *MARTLET_NN argv, size_t argc, martlet_ctl_out *MARTLET_NN out);

typedef struct martlet_ctl_usage {
  const char *MARTLET_NN synopsis, *MARTLET_NN help; /**< "retainer info", "Show the count of retained messages" */
} martlet_ctl_usage;

typedef struct martlet_ctl_v1 {
  uint32_t size;
  /** [main] MARTLET_E_EXISTS when the name is taken. */
  martlet_status (*MARTLET_NN command)(const martlet_host *MARTLET_NN, const char *MARTLET_NN name, const martlet_ctl_usage *MARTLET_NN usage, size_t n, martlet_ctl_fn MARTLET_NN, void *MARTLET_OPT user, martlet_token *MARTLET_OPT out);
} martlet_ctl_v1;

#include "end.h"
#endif
