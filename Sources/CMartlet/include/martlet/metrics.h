/* SPDX-License-Identifier: Apache-2.0
 * martlet/metrics.h - martlet.metrics/1 and martlet.alarm/1: numbers and warnings for the operator.
 */
#ifndef MARTLET_METRICS_H
#define MARTLET_METRICS_H
#include "plugin.h"
#include "begin.h"

#define MARTLET_EXT_METRICS "martlet.metrics/1"
#define MARTLET_EXT_ALARM "martlet.alarm/1"

enum { MARTLET_COUNTER, MARTLET_GAUGE };

typedef struct martlet_metrics_v1 {
  uint32_t size;
  /** [main] name "retained/count": shown by `broker stats` (gauges) or `broker metrics` (counters) and under $SYS.
   *  MARTLET_E_EXISTS when another plugin or the broker has a number of that name. */
  martlet_status (*MARTLET_NN define)(const martlet_host *MARTLET_NN, int32_t kind, const char *MARTLET_NN name, const char *MARTLET_NN help, martlet_token *MARTLET_NN out);
  /** [any] Lock-free. */
  void (*MARTLET_NN add)(const martlet_host *MARTLET_NN, martlet_token, int64_t delta);
  /** [any] Lock-free. */
  void (*MARTLET_NN set)(const martlet_host *MARTLET_NN, martlet_token, int64_t value);
} martlet_metrics_v1;

enum { MARTLET_SEVERITY_WARNING, MARTLET_SEVERITY_ERROR, MARTLET_SEVERITY_CRITICAL };

/** [any] An alarm is raised once and stays until cleared; raising it again changes nothing. */
typedef struct martlet_alarm_v1 {
  uint32_t size;
  void (*MARTLET_NN raise)(const martlet_host *MARTLET_NN, martlet_bytes id, int32_t severity, martlet_bytes title, martlet_bytes summary);
  void (*MARTLET_NN clear)(const martlet_host *MARTLET_NN, martlet_bytes id);
} martlet_alarm_v1;

#include "end.h"
#endif
