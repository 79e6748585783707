/* SPDX-License-Identifier: Apache-2.0
 * No plugin: lets a test see how many bytes malloc has handed out, in all arenas. Swift does not import malloc.h. */
#include <malloc.h>
__attribute__((visibility("default"))) long allocated_bytes(void) {
  malloc_trim(0);
  struct mallinfo2 i = mallinfo2();
  return (long)(i.uordblks + i.hblkhd);
}
