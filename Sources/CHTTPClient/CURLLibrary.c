/* SPDX-License-Identifier: Apache-2.0 */
#include "CURLLibrary.h"
#include "CHTTPClient.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

curl_library chc_curl;

/* What is there stays there; what was not is looked for again: perhaps only the descriptors were used up. */
static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;
static bool is_open;
/* The caller's, until it asks again. */
static __thread char why_not[512];

/* 7.87: CURLOPT_QUICK_EXIT, without which a request that ends while its name is looked up waits for the resolver. */
enum { OLDEST = 0x075700 };

static const struct { const char *name; size_t offset; } symbols[] = {
#define SYMBOL(field) {"curl_" #field, offsetof(curl_library, field)}
    SYMBOL(global_init), SYMBOL(version_info), SYMBOL(easy_init), SYMBOL(easy_cleanup), SYMBOL(easy_reset),
    SYMBOL(easy_setopt), SYMBOL(easy_getinfo), SYMBOL(easy_strerror), SYMBOL(slist_append), SYMBOL(slist_free_all),
    SYMBOL(multi_init), SYMBOL(multi_cleanup), SYMBOL(multi_setopt), SYMBOL(multi_add_handle),
    SYMBOL(multi_remove_handle), SYMBOL(multi_socket_action), SYMBOL(multi_info_read), SYMBOL(share_init),
    SYMBOL(share_setopt), SYMBOL(share_cleanup),
#undef SYMBOL
};

static void look_up(void *library) {
  for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
    void *found = dlsym(library, symbols[i].name);
    if (found == NULL) {
      snprintf(why_not, sizeof why_not, "libcurl.so.4 has no %s", symbols[i].name);
      return;
    }
    memcpy((char *)&chc_curl + symbols[i].offset, &found, sizeof found);
  }
}

static void check_version(void) {
  const curl_version_info_data *info = chc_curl.version_info(CURLVERSION_NOW);
  if (info->version_num < OLDEST)
    snprintf(why_not, sizeof why_not, "libcurl 7.87 or later is needed, this is %s", info->version);
  else if (!(info->features & CURL_VERSION_ASYNCHDNS) || !(info->features & CURL_VERSION_SSL))
    snprintf(why_not, sizeof why_not, "this libcurl %s was built without TLS or without a resolver of its own",
             info->version);
}

static void open_library(void) {
  why_not[0] = 0;
  void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == NULL) {
    const char *reason = dlerror();
    snprintf(why_not, sizeof why_not, "%s; install the package libcurl4", reason != NULL ? reason : "libcurl.so.4");
    return;
  }
  look_up(library);
  if (why_not[0] == 0) check_version();
  if (why_not[0] == 0 && chc_curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
    snprintf(why_not, sizeof why_not, "libcurl does not initialise");
  is_open = why_not[0] == 0;
}

const char *chc_open(void) {
  pthread_mutex_lock(&opening);
  if (!is_open) open_library();
  bool opened = is_open;
  pthread_mutex_unlock(&opening);
  return opened ? NULL : why_not;
}
