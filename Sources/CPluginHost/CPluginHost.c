/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "CPluginHost.h"

#include <dlfcn.h>
#include <elf.h>
#include <ffi.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

const char *cph_entry_missing(const martlet_entry *entry) {
  const martlet_entry *volatile e = entry;
  if (!e->id) return "id";
  if (!e->version) return "version";
  if (!e->description) return "description";
  if (!e->create) return "create function";
  return NULL;
}

const char *cph_plugin_missing(const martlet_plugin *plugin) {
  const martlet_plugin *volatile p = plugin;
  if (!p->start) return "start function";
  if (!p->stop) return "stop function";
  if (!p->destroy) return "destroy function";
  return NULL;
}

bool cph_upgrade_complete(const martlet_upgrade_v1 *table) {
  const martlet_upgrade_v1 *volatile t = table;
  return t->size >= sizeof(martlet_upgrade_v1) && t->export_state && t->import_state;
}

const char *cph_list_at(const char *const *list, size_t index) { return list ? list[index] : NULL; }

const martlet_entry *cph_call_entry(void *symbol) {
  const martlet_entry *(*entry)(void);
  memcpy(&entry, &symbol, sizeof entry);
  return entry();
}

bool cph_image_needs(void *handle, const char *prefix) {
  struct link_map *map = NULL;
  if (dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0 || !map) return false;
  const char *strings = NULL;
  for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++) {
    /* glibc relocates this address in place where the section is writable, musl and some machines do not. */
    if (d->d_tag == DT_STRTAB)
      strings = (const char *)(d->d_un.d_ptr < map->l_addr ? d->d_un.d_ptr + map->l_addr : d->d_un.d_ptr);
  }
  if (!strings) return false;
  for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++)
    if (d->d_tag == DT_NEEDED && strncmp(strings + d->d_un.d_val, prefix, strlen(prefix)) == 0) return true;
  return false;
}



void *cph_dlopen_resident(const char *path) { return dlopen(path, RTLD_NOLOAD | RTLD_NOW); }

bool cph_pin(const char *path) {
  void *again = dlopen(path, RTLD_NOLOAD | RTLD_NOW | RTLD_NODELETE);
  if (!again) return false;
  dlclose(again);
  return true;
}

/* ---- calls by signature ----------------------------------------------------------------------------------------- */

struct cph_signature {
  ffi_cif cif;
  char result;
  size_t n;
  ffi_type *types[CPH_MAX_ARGUMENTS + 1];
  ffi_type bytes;
  ffi_type *members[3];
};

static ffi_type *type_of(cph_signature *s, char letter) {
  switch (letter) {
    case 'v': return &ffi_type_void;
    case 'i': return &ffi_type_sint32;
    case 'l': return &ffi_type_sint64;
    case 'd': return &ffi_type_double;
    case 'b': return &ffi_type_uint8;
    case 'p': return &ffi_type_pointer;
    case 's': return &s->bytes;
    default: return NULL;
  }
}

cph_signature *cph_signature_make(char result, const char *arguments, size_t n) {
  if (n > CPH_MAX_ARGUMENTS) return NULL;
  cph_signature *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  s->result = result;
  s->n = n;
  s->members[0] = &ffi_type_pointer;
  s->members[1] = sizeof(size_t) == 8 ? &ffi_type_uint64 : &ffi_type_uint32;
  s->bytes.type = FFI_TYPE_STRUCT;
  s->bytes.elements = s->members;
  s->types[0] = &ffi_type_pointer;
  ffi_type *out = type_of(s, result);
  bool known = out != NULL;
  for (size_t i = 0; i < n && known; i++) {
    s->types[i + 1] = arguments[i] == 'v' ? NULL : type_of(s, arguments[i]);
    known = s->types[i + 1] != NULL;
  }
  if (known && ffi_prep_cif(&s->cif, FFI_DEFAULT_ABI, (unsigned)(n + 1), out, s->types) == FFI_OK) return s;
  free(s);
  return NULL;
}

void cph_signature_free(cph_signature *signature) { free(signature); }

void cph_call(cph_signature *s, void (*fn)(void), void *user, const martlet_value *arguments, martlet_value *result) {
  void *values[CPH_MAX_ARGUMENTS + 1];
  values[0] = &user;
  for (size_t i = 0; i < s->n; i++) values[i + 1] = (void *)&arguments[i];
  /* Results narrower than a register arrive as a whole ffi_arg. */
  union { ffi_arg word; martlet_value value; } out;
  memset(&out, 0, sizeof out);
  ffi_call(&s->cif, fn, &out, values);
  if (!result || s->result == 'v') return;
  switch (s->result) {
    case 'i': result->i = (int32_t)out.word; break;
    case 'b': result->b = (uint8_t)out.word != 0; break;
    default: *result = out.value;
  }
}

int64_t cph_peer_uid(int fd) {
  struct ucred peer;
  socklen_t length = sizeof peer;
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 ? (int64_t)peer.uid : -1;
}
