// SPDX-License-Identifier: Apache-2.0
// A plugin in C++17 from the headers alone: containers, a lock, an inline static that the compiler makes unique.
#include <martlet/martlet.h>

#include <map>
#include <mutex>
#include <new>
#include <string>

namespace {

struct Counter {
  const martlet_host *host;
  const martlet_message_v1 *message;
  std::mutex lock;
  std::map<std::string, long> seen;
};

template <typename T> struct Shared {
  static inline long made = 0;
};

std::string text(martlet_bytes bytes) { return {reinterpret_cast<const char *>(bytes.ptr), bytes.len}; }

int32_t on_publish(void *user, martlet_event *event) {
  auto *counter = static_cast<Counter *>(user);
  martlet_msg_fields fields{};
  fields.size = sizeof fields;
  counter->message->read(event->msg, &fields);
  std::lock_guard<std::mutex> guard(counter->lock);
  if (counter->seen.size() < 1000) counter->seen[text(fields.topic)]++;
  return MARTLET_NEXT;
}

martlet_status command(void *user, const martlet_bytes *, size_t argc, martlet_ctl_out *out) {
  if (argc != 1) return MARTLET_E_INVAL;
  auto *counter = static_cast<Counter *>(user);
  std::lock_guard<std::mutex> guard(counter->lock);
  for (const auto &[topic, count] : counter->seen) {
    const std::string line = topic + " " + std::to_string(count) + "\n";
    out->print(out->impl, {reinterpret_cast<const uint8_t *>(line.data()), line.size()});
  }
  return MARTLET_OK;
}

template <typename Table> const Table *table(const martlet_host *host, const char *id) {
  return static_cast<const Table *>(host->get_extension(host, id));
}

martlet_status start(void *user) {
  static const martlet_ctl_usage usage = {"cplusplus", "Show how often each topic was seen"};
  auto *counter = static_cast<Counter *>(user);
  const martlet_host *host = counter->host;
  martlet_status status = table<martlet_hooks_v1>(host, MARTLET_EXT_HOOKS)
                              ->add(host, MARTLET_HOOK_MESSAGE_PUBLISH, 0, on_publish, {}, counter, nullptr);
  if (status == MARTLET_OK)
    status = table<martlet_ctl_v1>(host, MARTLET_EXT_CTL)->command(host, "cplusplus", &usage, 1, command, counter, nullptr);
  return status;
}
martlet_status stop(void *) { return MARTLET_OK; }
void destroy(void *user) { delete static_cast<Counter *>(user); }

martlet_status create(const martlet_host *host, martlet_plugin *out) {
  auto *counter = new (std::nothrow) Counter{};
  if (counter == nullptr) return MARTLET_E_NOMEM;
  Shared<Counter>::made++;
  counter->host = host;
  counter->message = table<martlet_message_v1>(host, MARTLET_EXT_MESSAGE);
  out->state = counter;
  out->start = start;
  out->stop = stop;
  out->destroy = destroy;
  return MARTLET_OK;
}

const char *const needs[] = {MARTLET_EXT_HOOKS, MARTLET_EXT_CTL, MARTLET_EXT_MESSAGE, nullptr};

}  // namespace

const martlet_entry *martlet_plugin_entry() {
  static const martlet_entry entry = {sizeof entry, MARTLET_ABI_MAJOR, MARTLET_ABI_MINOR, MARTLET_PF_NONE, "cplusplus",
                                      "1.0.0", "Counts messages by topic", needs, nullptr, create};
  return &entry;
}
