/* SPDX-License-Identifier: Apache-2.0
 * martlet.metrics/1 and martlet.alarm/1. */
#include "abi.h"

typedef struct { const martlet_host *h; const martlet_metrics_v1 *metrics; martlet_token counter, gauge; } me;

static martlet_status command(void *u, const martlet_bytes *a, size_t argc, martlet_ctl_out *out) {
  me *m = u;
  const martlet_alarm_v1 *alarm = GET(m->h, alarm, MARTLET_EXT_ALARM);
  if (argc != 2) return MARTLET_E_INVAL;
  if (is(a[1], "count")) {
    m->metrics->add(m->h, m->counter, 5);
    m->metrics->set(m->h, m->gauge, -3);
    m->metrics->add(m->h, 12345678901ull, 1);
  }
  if (is(a[1], "twice")) {
    martlet_token t;
    out_number(out, "twice", m->metrics->define(m->h, MARTLET_GAUGE, ID "/gauge", "again", &t));
  }
  if (is(a[1], "raise")) {
    alarm->raise(m->h, text("hot"), MARTLET_SEVERITY_ERROR, text("Too hot"), text("90 degrees"));
    alarm->raise(m->h, text("hot"), MARTLET_SEVERITY_WARNING, text("Again"), text(""));
  }
  if (is(a[1], "clear")) alarm->clear(m->h, text("hot"));
  return MARTLET_OK;
}

static martlet_status start(void *state) {
  me *m = state;
  m->metrics = GET(m->h, metrics, MARTLET_EXT_METRICS);
  martlet_status s = m->metrics->define(m->h, MARTLET_COUNTER, ID "/counter", "Counts", &m->counter);
  if (!s) s = m->metrics->define(m->h, MARTLET_GAUGE, ID "/gauge", "Measures", &m->gauge);
  if (!s) s = GET(m->h, ctl, MARTLET_EXT_CTL)->command(m->h, ID, NULL, 0, command, m, NULL);
  return s;
}

LIFE(start)
ENTRY(create)
