/* SPDX-License-Identifier: Apache-2.0
 * martlet/martlet.h - everything at once.
 */
#ifndef MARTLET_H
#define MARTLET_H
#include "plugin.h"
#include "log.h"
#include "config.h"
#include "client.h"
#include "message.h"
#include "hooks.h"
#include "auth.h"
#include "psk.h"
#include "pubsub.h"
#include "exec.h"
#include "httpc.h"
#include "kv.h"
#include "metrics.h"
#include "ctl.h"
#include "service.h"
#include "net.h"
#include "upgrade.h"
#include "http.h"
#endif
