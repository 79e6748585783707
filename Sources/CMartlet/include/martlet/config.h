/* SPDX-License-Identifier: Apache-2.0
 * martlet/config.h - martlet.config/1: the keys of etc/plugins/NAME.conf, declared once, typed.
 *
 * Call declare() in create() or at the beginning of start(). The file and the environment
 * (MARTLET__<KEY WITH __ FOR DOTS>) are then checked against the declarations: an unknown key, a bad value or a
 * duplicate fails the load with file, line, key and the nearest known key.
 */
#ifndef MARTLET_CONFIG_H
#define MARTLET_CONFIG_H
#include "plugin.h"
#include "begin.h"

#define MARTLET_EXT_CONFIG "martlet.config/1"

enum {
  MARTLET_CFG_BOOL,        /**< on|off, true|false, yes|no: get_int gives 1 or 0                         */
  MARTLET_CFG_INT,         /**< range_or_enum "0..65535" or "1.." or NULL                                 */
  MARTLET_CFG_BYTES,       /**< "64KB", "1MB", plain bytes: get_int gives bytes                            */
  MARTLET_CFG_DURATION_MS, /**< "20s", "2h", "100ms": get_int gives milliseconds. A bare number is seconds. */
  MARTLET_CFG_STRING,
  MARTLET_CFG_ENUM,        /**< range_or_enum "ram|disc|disc_only"                                         */
  MARTLET_CFG_LIST,        /**< a, b, c: get_string gives it as written                                    */
  MARTLET_CFG_PERCENT,     /**< "60%": get_int gives 60                                                    */
  MARTLET_CFG_PATH         /**< a file or folder: get_string gives a relative one put onto the install root */
};
enum {
  MARTLET_CFG_IMMUTABLE = 1, /**< takes effect only at the next load  */
  MARTLET_CFG_SECRET = 2     /**< never shown in a listing or a log    */
};

typedef struct martlet_cfg_key {
  uint32_t size;
  int32_t type;
  uint32_t flags;
  /** The full key, "retainer.storage_type". A level `*` stands for any name: "auth.user.*.password". */
  const char *MARTLET_NN key;
  const char *MARTLET_OPT dflt; /**< NULL: no default, get_* answers MARTLET_E_NOTFOUND when it is not set */
  const char *MARTLET_OPT range_or_enum;
  const char *MARTLET_NN help; /**< one sentence; becomes the comment in the generated conf file */
  const char *MARTLET_OPT example; /**< what the generated file shows where there is no default; NULL: nothing */
} martlet_cfg_key;

/**
 * [main] A live change of one key. Anything but MARTLET_OK (with set_error) leaves the old value in force. A path that
 * is not MARTLET_CFG_IMMUTABLE comes at every reconfigure, put onto the install root and after all changed keys: what
 * it names may have changed.
 */
typedef martlet_status (*martlet_cfg_apply)(void *MARTLET_OPT user, const char *MARTLET_NN key, martlet_bytes value);

typedef struct martlet_config_v1 {
  uint32_t size;
  /** [main] Declare all keys and read the file. On an error the sentence is already set; just return the status. */
  martlet_status (*MARTLET_NN declare)(const martlet_host *MARTLET_NN, const martlet_cfg_key *MARTLET_NN keys, size_t n,
                                       martlet_cfg_apply MARTLET_OPT, void *MARTLET_OPT user);
  /** [main] The value in force, as in all functions below: a key that is MARTLET_CFG_IMMUTABLE, or any without an apply
   *  function, stays what it was at the load. Bool, int, bytes, duration, percent; an enum gives the index of its word. */
  martlet_status (*MARTLET_NN get_int)(const martlet_host *MARTLET_NN, const char *MARTLET_NN key, int64_t *MARTLET_NN out);
  /** [main] The text of any key, valid until destroy() for one that cannot change, for others until a reconfigure has
   *  given them another value. */
  martlet_status (*MARTLET_NN get_string)(const martlet_host *MARTLET_NN, const char *MARTLET_NN key, martlet_bytes *MARTLET_NN out);
  /** [main] Every key that is set and begins with prefix, in the order of the file; fn returns false to stop. */
  martlet_status (*MARTLET_NN each)(const martlet_host *MARTLET_NN, const char *MARTLET_NN prefix,
                                    bool (*MARTLET_NN fn)(void *MARTLET_OPT user, martlet_bytes key, martlet_bytes value),
                                    void *MARTLET_OPT user);
} martlet_config_v1;

#include "end.h"
#endif
