/* SPDX-License-Identifier: Apache-2.0
 * martlet/log.h - martlet.log/1: lines in the broker's log, marked with the plugin's name.
 */
#ifndef MARTLET_LOG_H
#define MARTLET_LOG_H
#include "plugin.h"
#include "begin.h"

#define MARTLET_EXT_LOG "martlet.log/1"

enum {
  MARTLET_LOG_DEBUG, MARTLET_LOG_INFO, MARTLET_LOG_NOTICE, MARTLET_LOG_WARNING, MARTLET_LOG_ERROR, MARTLET_LOG_CRITICAL
};

typedef struct martlet_log_v1 {
  uint32_t size;
  /** [any] Whether a line of this level would be written: ask before you format. */
  bool (*MARTLET_NN enabled)(const martlet_host *MARTLET_NN, int32_t level);
  /** [any] One line, without newline. `about` may be 0; otherwise the line carries client id and peer. */
  void (*MARTLET_NN write)(const martlet_host *MARTLET_NN, int32_t level, martlet_bytes text, martlet_client about);
} martlet_log_v1;

#include "end.h"
#endif
