/* SPDX-License-Identifier: Apache-2.0
 * martlet/upgrade.h - martlet.upgrade/1: what a plugin offers so that `plugins reload` keeps its state.
 *
 * Answered by the plugin's own get_extension. Without it, reload still swaps the images without a gap, and the new
 * one starts from its configuration and its kv tables.
 *
 * From export_state to the end of the new image's start() no loop runs and no callback of either image does, so the
 * state is complete; every client waits, so be quick. client->copy and by_clientid answer 0 meanwhile.
 */
#ifndef MARTLET_UPGRADE_H
#define MARTLET_UPGRADE_H
#include "plugin.h"
#include "begin.h"

#define MARTLET_EXT_UPGRADE "martlet.upgrade/1"

typedef struct martlet_upgrade_v1 {
  uint32_t size;
  /** [main] The old image, started and at a standstill: write state as bytes of a format both versions understand. */
  martlet_status (*MARTLET_NN export_state)(void *MARTLET_OPT state, void (*MARTLET_NN write)(void *MARTLET_OPT to, martlet_bytes), void *MARTLET_OPT to);
  /** [main] The new image, after create() and before start(). A refusal keeps the old image running. */
  martlet_status (*MARTLET_NN import_state)(void *MARTLET_OPT state, martlet_bytes);
} martlet_upgrade_v1;

#include "end.h"
#endif
