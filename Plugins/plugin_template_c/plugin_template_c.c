/* Placeholder until the plugin lands. */
#include <martlet/martlet.h>
const martlet_entry *martlet_plugin_entry(void) { return 0; }
