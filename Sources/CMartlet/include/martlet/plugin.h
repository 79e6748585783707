/* SPDX-License-Identifier: Apache-2.0
 * martlet/plugin.h - the plugin ABI: values, entry, life cycle, host.
 *
 * This header and the extension headers beside it are the whole contract between the broker and a plugin.
 * Pure C11; also C++17 and Swift 6 (with `import CMartlet`). It needs nothing but the three headers below.
 *
 * The ten rules:
 *  1. A plugin exports one function, martlet_plugin_entry(). It returns static data and runs no code.
 *     abi_major must match. Everything else is found with get_extension("martlet.x/REV"); absent means NULL.
 *  2. Every struct begins with `uint32_t size`, grows only at its end and is read only up to `size`.
 *     A changed meaning is a new extension id; the host keeps serving the old one.
 *  3. Bytes are (ptr,len), UTF-8 where they are text, and borrowed until the call returns, in both directions.
 *     Who wants to keep them copies them. Nothing is freed across the line. The one shared object is
 *     martlet_msg: immutable, counted with retain and release.
 *  4. Clients, sessions, pending answers and registrations are 64-bit handles with a generation inside.
 *     A stale handle is an error code, never a crash.
 *  5. Every function is tagged with the threads it may be called on: [main] the control thread, [loop] the event
 *     loop that owns the client in question, [any] every thread. Callbacks about one client never run concurrently.
 *  6. A [loop] callback never blocks. Slow work is a deferral, exec->blocking, or exec->poll_fd.
 *  7. A deferred answer is given exactly once, from any thread. The host owns the timeout and the disconnect.
 *     A late or second answer returns MARTLET_E_STALE and changes nothing.
 *  8. All registrations belong to the host. Stopping a plugin revokes them all, even those it forgot.
 *  9. State lives in the object that create() makes, never in globals: two versions of one plugin live side by
 *     side during `plugins reload`.
 * 10. No exceptions, longjmp, varargs or traps across the line. A failure is a martlet_status plus one sentence
 *     through set_error; that sentence is what `plugins load` prints.
 */
#ifndef MARTLET_PLUGIN_H
#define MARTLET_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__clang__)
#  pragma clang diagnostic push
#  pragma clang diagnostic ignored "-Wnullability-extension"
#  define MARTLET_NN _Nonnull
#  define MARTLET_OPT _Nullable
#else
#  define MARTLET_NN
#  define MARTLET_OPT
#endif

#if defined(__cplusplus)
#  define MARTLET_BEGIN extern "C" {
#  define MARTLET_END }
#else
#  define MARTLET_BEGIN
#  define MARTLET_END
#endif

#define MARTLET_EXPORT __attribute__((visibility("default")))

MARTLET_BEGIN

#define MARTLET_ABI_MAJOR 1u /* another major: the host refuses to load the plugin                 */
#define MARTLET_ABI_MINOR 0u /* a newer minor than the host's is fine: ask for extensions by name   */

/* ---- values that cross the line ------------------------------------------------------------------ */

/** A run of bytes, borrowed until the call returns. ptr may be NULL only when len is 0. */
typedef struct martlet_bytes {
  const uint8_t *MARTLET_OPT ptr;
  size_t len;
} martlet_bytes;

typedef uint64_t martlet_client;   /**< one network connection of a client; 0 is "none"      */
typedef uint64_t martlet_session;  /**< one MQTT session, online or not; 0 is "none"         */
typedef uint64_t martlet_deferred; /**< one answer that is still owed; 0 is "none"           */
typedef uint64_t martlet_token;    /**< one registration: hook, timer, command, service ...  */

/** 0 is success, a negative value one of MARTLET_E_*. */
typedef int32_t martlet_status;
enum {
  MARTLET_OK = 0,
  MARTLET_E_INVAL = -1,        /**< an argument is wrong                                        */
  MARTLET_E_NOMEM = -2,        /**< out of memory, or a documented limit is reached             */
  MARTLET_E_NOTFOUND = -3,     /**< there is no such thing                                      */
  MARTLET_E_EXISTS = -4,       /**< the name is taken                                           */
  MARTLET_E_DENIED = -5,       /**< not allowed                                                 */
  MARTLET_E_BUSY = -6,         /**< not now: try again, or you will be called back              */
  MARTLET_E_THREAD = -7,       /**< called on a thread the tag does not allow                   */
  MARTLET_E_STATE = -8,        /**< not in this phase of the life cycle                         */
  MARTLET_E_UNSUPPORTED = -9,  /**< this host cannot do that                                    */
  MARTLET_E_IO = -10,          /**< the disk or the network failed                              */
  MARTLET_E_TIMEOUT = -11,     /**< it took too long                                            */
  MARTLET_E_STALE = -12        /**< the handle names something that is gone                     */
};

typedef struct martlet_host martlet_host; /**< one per plugin instance; valid until destroy() returns */
typedef struct martlet_msg martlet_msg;   /**< opaque, immutable, counted by the host (message.h)     */

/* ---- entry: the one exported function -------------------------------------------------------------- */

enum {
  MARTLET_PF_NONE = 0,
  MARTLET_PF_RESIDENT = 1 << 0 /**< never unmap this image, whatever the host finds in it */
};

/** The running plugin: filled by create(), owned by the plugin, read by the host until destroy() returns. */
typedef struct martlet_plugin {
  uint32_t size;
  void *MARTLET_OPT state;
  /** [main] Register everything here. All registrations become visible together when this returns MARTLET_OK;
   *  on any other value they are rolled back and destroy() is called. */
  martlet_status (*MARTLET_NN start)(void *MARTLET_OPT state);
  /** [main] The registrations are already revoked and no callback runs any more. Return MARTLET_E_BUSY when work
   *  of your own threads is still under way, then call host->stopped(); the host waits up to a limit. */
  martlet_status (*MARTLET_NN stop)(void *MARTLET_OPT state);
  /** [main] Free everything. Called exactly once, last. */
  void (*MARTLET_NN destroy)(void *MARTLET_OPT state);
  /** [any] Extensions the plugin offers to the host, such as martlet.upgrade/1. NULL when there are none. */
  const void *MARTLET_OPT (*MARTLET_OPT get_extension)(void *MARTLET_OPT state, const char *MARTLET_NN id);
} martlet_plugin;

/** What a plugin is: static storage in its image. */
typedef struct martlet_entry {
  uint32_t size, abi_major, abi_minor, flags;
  const char *MARTLET_NN id;          /**< "retainer": the name `plugins load` uses, equal to the file's name */
  const char *MARTLET_NN version;     /**< semantic version                                                  */
  const char *MARTLET_NN description; /**< one line for `plugins list`                                       */
  /** NULL-terminated ids of extensions that must exist; checked before create(). May be NULL. */
  const char *MARTLET_OPT const *MARTLET_OPT needs;
  /** NULL-terminated ids of plugins that must run before this one if they are enabled. May be NULL. */
  const char *MARTLET_OPT const *MARTLET_OPT after;
  /** [main] Make the instance and fill *out. The host struct stays valid until destroy() returns. */
  martlet_status (*MARTLET_NN create)(const martlet_host *MARTLET_NN host, martlet_plugin *MARTLET_NN out);
} martlet_entry;

/** The only symbol the host looks up. */
MARTLET_EXPORT const martlet_entry *MARTLET_NN martlet_plugin_entry(void);

/* ---- host ---------------------------------------------------------------------------------------------- */

struct martlet_host {
  uint32_t size, abi_major, abi_minor, reserved;
  void *MARTLET_NN impl; /**< the host's own; do not touch */
  const char *MARTLET_NN broker_name, *MARTLET_NN broker_version, *MARTLET_NN node_name;
  /** [any] The table of an extension, or NULL. The pointer stays valid as long as the instance. */
  const void *MARTLET_OPT (*MARTLET_NN get_extension)(const martlet_host *MARTLET_NN, const char *MARTLET_NN id);
  /** [any] Say in one sentence why the call you are about to fail fails. The text is copied. */
  void (*MARTLET_NN set_error)(const martlet_host *MARTLET_NN, martlet_status code, martlet_bytes text);
  /** [any] After stop() returned MARTLET_E_BUSY: now everything is at rest. */
  void (*MARTLET_NN stopped)(const martlet_host *MARTLET_NN);
};

MARTLET_END

#if defined(__clang__)
#  pragma clang diagnostic pop
#endif
#endif
