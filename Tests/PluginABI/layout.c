/* SPDX-License-Identifier: Apache-2.0
 * No plugin: prints size and member offsets of every public struct. Its output is compared with layout.txt beside the
 * host's tests; a difference is a change of the ABI. */
#include <martlet/martlet.h>
#include <stdio.h>

#define S(T) printf(#T " %zu\n", sizeof(T))
#define M(T, F) printf("  " #T "." #F " %zu\n", offsetof(T, F))

static void core(void) {
  S(martlet_bytes); M(martlet_bytes, ptr); M(martlet_bytes, len);
  S(martlet_plugin); M(martlet_plugin, state); M(martlet_plugin, start); M(martlet_plugin, stop);
  M(martlet_plugin, destroy); M(martlet_plugin, get_extension);
  S(martlet_entry); M(martlet_entry, abi_major); M(martlet_entry, abi_minor); M(martlet_entry, flags);
  M(martlet_entry, id); M(martlet_entry, version); M(martlet_entry, description); M(martlet_entry, needs);
  M(martlet_entry, after); M(martlet_entry, create);
  S(martlet_host); M(martlet_host, abi_major); M(martlet_host, abi_minor); M(martlet_host, reserved);
  M(martlet_host, impl); M(martlet_host, broker_name); M(martlet_host, broker_version); M(martlet_host, node_name);
  M(martlet_host, get_extension); M(martlet_host, set_error); M(martlet_host, stopped);
}

static void values(void) {
  S(martlet_cfg_key); M(martlet_cfg_key, type); M(martlet_cfg_key, flags); M(martlet_cfg_key, key);
  M(martlet_cfg_key, dflt); M(martlet_cfg_key, range_or_enum); M(martlet_cfg_key, help);
  M(martlet_cfg_key, example);
  S(martlet_msg_fields); M(martlet_msg_fields, qos); M(martlet_msg_fields, retain); M(martlet_msg_fields, dup);
  M(martlet_msg_fields, sys); M(martlet_msg_fields, topic); M(martlet_msg_fields, payload);
  M(martlet_msg_fields, from_clientid); M(martlet_msg_fields, from_username); M(martlet_msg_fields, id_hi);
  M(martlet_msg_fields, id_lo); M(martlet_msg_fields, timestamp_ms); M(martlet_msg_fields, properties);
  M(martlet_msg_fields, expiry_s); M(martlet_msg_fields, has_expiry);
  S(martlet_sub); M(martlet_sub, topic); M(martlet_sub, share_group); M(martlet_sub, subscription_id);
  M(martlet_sub, qos); M(martlet_sub, retain_handling); M(martlet_sub, no_local); M(martlet_sub, retain_as_published);
  M(martlet_sub, local); M(martlet_sub, is_new);
  S(martlet_event); M(martlet_event, hook); M(martlet_event, client); M(martlet_event, session);
  M(martlet_event, clientid); M(martlet_event, username); M(martlet_event, code); M(martlet_event, msg);
  M(martlet_event, subs); M(martlet_event, nsubs); M(martlet_event, ctx);
  S(martlet_auth_req); M(martlet_auth_req, client); M(martlet_auth_req, clientid); M(martlet_auth_req, username);
  M(martlet_auth_req, password); M(martlet_auth_req, peer); M(martlet_auth_req, has_username);
  M(martlet_auth_req, has_password); M(martlet_auth_req, auth_method); M(martlet_auth_req, auth_data);
  M(martlet_auth_req, step); M(martlet_auth_req, reauthenticate); M(martlet_auth_req, ctx);
  S(martlet_auth_result); M(martlet_auth_result, verdict); M(martlet_auth_result, reason_code);
  M(martlet_auth_result, superuser); M(martlet_auth_result, username); M(martlet_auth_result, mountpoint);
  M(martlet_auth_result, auth_data); M(martlet_auth_result, reason_string);
  S(martlet_acl_req); M(martlet_acl_req, client); M(martlet_acl_req, clientid); M(martlet_acl_req, username);
  M(martlet_acl_req, peer); M(martlet_acl_req, topic); M(martlet_acl_req, action); M(martlet_acl_req, qos);
  M(martlet_acl_req, retain); M(martlet_acl_req, ctx);
  S(martlet_feed); M(martlet_feed, qos); M(martlet_feed, retain); M(martlet_feed, subscription_id);
  M(martlet_feed, next); M(martlet_feed, end); M(martlet_feed, user);
  S(martlet_ctl_out); M(martlet_ctl_out, impl); M(martlet_ctl_out, print);
  S(martlet_ctl_usage); M(martlet_ctl_usage, synopsis); M(martlet_ctl_usage, help);
  S(martlet_value);
  S(martlet_httpc_header); M(martlet_httpc_header, name); M(martlet_httpc_header, value);
  S(martlet_httpc_options); M(martlet_httpc_options, flags); M(martlet_httpc_options, name);
  M(martlet_httpc_options, max_host_connections); M(martlet_httpc_options, max_open);
  M(martlet_httpc_options, dns_ttl_s); M(martlet_httpc_options, idle_s); M(martlet_httpc_options, ca_file);
  M(martlet_httpc_options, certificate_file); M(martlet_httpc_options, key_file);
  M(martlet_httpc_options, key_password); M(martlet_httpc_options, proxy);
  S(martlet_httpc_request); M(martlet_httpc_request, flags); M(martlet_httpc_request, method);
  M(martlet_httpc_request, url); M(martlet_httpc_request, headers); M(martlet_httpc_request, nheaders);
  M(martlet_httpc_request, body); M(martlet_httpc_request, timeout_ms); M(martlet_httpc_request, connect_timeout_ms);
  M(martlet_httpc_request, max_response_bytes); M(martlet_httpc_request, retries);
  S(martlet_httpc_response); M(martlet_httpc_response, status); M(martlet_httpc_response, failure);
  M(martlet_httpc_response, http_status); M(martlet_httpc_response, http_version);
  M(martlet_httpc_response, attempts); M(martlet_httpc_response, headers); M(martlet_httpc_response, nheaders);
  M(martlet_httpc_response, body); M(martlet_httpc_response, error);
}

static void tables(void) {
  S(martlet_log_v1); M(martlet_log_v1, enabled); M(martlet_log_v1, write);
  S(martlet_config_v1); M(martlet_config_v1, declare); M(martlet_config_v1, get_int); M(martlet_config_v1, get_string);
  M(martlet_config_v1, each);
  S(martlet_client_v1); M(martlet_client_v1, get); M(martlet_client_v1, copy); M(martlet_client_v1, kick);
  M(martlet_client_v1, by_clientid);
  S(martlet_message_v1); M(martlet_message_v1, read); M(martlet_message_v1, make); M(martlet_message_v1, retain);
  M(martlet_message_v1, release);
  S(martlet_hooks_v1); M(martlet_hooks_v1, add); M(martlet_hooks_v1, remove); M(martlet_hooks_v1, set_topic);
  M(martlet_hooks_v1, defer); M(martlet_hooks_v1, resume);
  S(martlet_auth_v1); M(martlet_auth_v1, add); M(martlet_auth_v1, defer); M(martlet_auth_v1, answer);
  S(martlet_acl_v1); M(martlet_acl_v1, add); M(martlet_acl_v1, defer); M(martlet_acl_v1, answer);
  M(martlet_acl_v1, invalidate); M(martlet_acl_v1, any_topic);
  S(martlet_psk_v1); M(martlet_psk_v1, add);
  S(martlet_pubsub_v1); M(martlet_pubsub_v1, publish); M(martlet_pubsub_v1, subscribe);
  M(martlet_pubsub_v1, unsubscribe); M(martlet_pubsub_v1, session_subscribe); M(martlet_pubsub_v1, session_deliver);
  M(martlet_pubsub_v1, session_feed);
  S(martlet_exec_v1); M(martlet_exec_v1, loop_count); M(martlet_exec_v1, current); M(martlet_exec_v1, on_main);
  M(martlet_exec_v1, on_loop); M(martlet_exec_v1, blocking); M(martlet_exec_v1, timer); M(martlet_exec_v1, poll_fd);
  M(martlet_exec_v1, cancel);
  S(martlet_kv_v1); M(martlet_kv_v1, put); M(martlet_kv_v1, get); M(martlet_kv_v1, del); M(martlet_kv_v1, scan);
  M(martlet_kv_v1, change);
  S(martlet_kv_change); M(martlet_kv_change, key); M(martlet_kv_change, value); M(martlet_kv_change, removes);
  S(martlet_metrics_v1); M(martlet_metrics_v1, define); M(martlet_metrics_v1, add); M(martlet_metrics_v1, set);
  S(martlet_alarm_v1); M(martlet_alarm_v1, raise); M(martlet_alarm_v1, clear);
  S(martlet_ctl_v1); M(martlet_ctl_v1, command);
  S(martlet_service_v1); M(martlet_service_v1, provide); M(martlet_service_v1, borrow); M(martlet_service_v1, give_back);
  S(martlet_dynamic_v1); M(martlet_dynamic_v1, define); M(martlet_dynamic_v1, call); M(martlet_dynamic_v1, define_hook);
  M(martlet_dynamic_v1, hook); M(martlet_dynamic_v1, run_hook);
  S(martlet_httpc_v1); M(martlet_httpc_v1, client); M(martlet_httpc_v1, close); M(martlet_httpc_v1, request);
  M(martlet_httpc_v1, cancel);
  S(martlet_upgrade_v1); M(martlet_upgrade_v1, export_state); M(martlet_upgrade_v1, import_state);
}

static void http(void) {
  S(martlet_http_field); M(martlet_http_field, name); M(martlet_http_field, value);
  S(martlet_http_request); M(martlet_http_request, secure); M(martlet_http_request, id);
  M(martlet_http_request, method); M(martlet_http_request, path); M(martlet_http_request, query);
  M(martlet_http_request, peer); M(martlet_http_request, listener); M(martlet_http_request, user);
  M(martlet_http_request, params); M(martlet_http_request, nparams); M(martlet_http_request, query_fields);
  M(martlet_http_request, nquery_fields); M(martlet_http_request, headers); M(martlet_http_request, nheaders);
  M(martlet_http_request, body);
  S(martlet_http_route); M(martlet_http_route, auth); M(martlet_http_route, method); M(martlet_http_route, pattern);
  M(martlet_http_route, listener); M(martlet_http_route, handle); M(martlet_http_route, chunk);
  M(martlet_http_route, writable); M(martlet_http_route, gone); M(martlet_http_route, user);
  M(martlet_http_route, max_body); M(martlet_http_route, timeout_ms); M(martlet_http_route, max_requests);
  S(martlet_http_files); M(martlet_http_files, auth); M(martlet_http_files, prefix); M(martlet_http_files, folder);
  M(martlet_http_files, listener); M(martlet_http_files, cache_control); M(martlet_http_files, fallback);
  S(martlet_http_event); M(martlet_http_event, retry_ms); M(martlet_http_event, name); M(martlet_http_event, id);
  M(martlet_http_event, data);
  S(martlet_http_credentials); M(martlet_http_credentials, scheme); M(martlet_http_credentials, id);
  M(martlet_http_credentials, username); M(martlet_http_credentials, password); M(martlet_http_credentials, token);
  M(martlet_http_credentials, method); M(martlet_http_credentials, path); M(martlet_http_credentials, peer);
  M(martlet_http_credentials, listener);
  S(martlet_http_auth_result); M(martlet_http_auth_result, verdict); M(martlet_http_auth_result, user);
  S(martlet_http_v1); M(martlet_http_v1, route); M(martlet_http_v1, files); M(martlet_http_v1, authenticator);
  M(martlet_http_v1, remove); M(martlet_http_v1, respond); M(martlet_http_v1, respond_begin); M(martlet_http_v1, write);
  M(martlet_http_v1, end); M(martlet_http_v1, event); M(martlet_http_v1, resume); M(martlet_http_v1, auth_answer);
  M(martlet_http_v1, find); M(martlet_http_v1, same_secret);
}

static void net(void) {
  S(martlet_addr); M(martlet_addr, ip); M(martlet_addr, scope); M(martlet_addr, port); M(martlet_addr, version);
  S(martlet_net_options); M(martlet_net_options, max_connections); M(martlet_net_options, backlog);
  M(martlet_net_options, max_input); M(martlet_net_options, high_water); M(martlet_net_options, low_water);
  M(martlet_net_options, idle_timeout_ms); M(martlet_net_options, send_timeout_ms);
  M(martlet_net_options, connect_timeout_ms); M(martlet_net_options, access); M(martlet_net_options, tls_profile);
  S(martlet_conn_cb); M(martlet_conn_cb, opened); M(martlet_conn_cb, data); M(martlet_conn_cb, writable);
  M(martlet_conn_cb, closed); M(martlet_conn_cb, leaving); M(martlet_conn_cb, rebound);
  S(martlet_conn_stats); M(martlet_conn_stats, silent_ms); M(martlet_conn_stats, bytes_in);
  M(martlet_conn_stats, bytes_out); M(martlet_conn_stats, waiting);
  S(martlet_listener_stats); M(martlet_listener_stats, current); M(martlet_listener_stats, accepted);
  M(martlet_listener_stats, dgrams_in); M(martlet_listener_stats, dgrams_out); M(martlet_listener_stats, bytes_in);
  M(martlet_listener_stats, bytes_out); M(martlet_listener_stats, dropped_in); M(martlet_listener_stats, dropped_out);
  S(martlet_net_v1); M(martlet_net_v1, listen_tcp); M(martlet_net_v1, listen_udp); M(martlet_net_v1, unlisten);
  M(martlet_net_v1, listening_on); M(martlet_net_v1, connect); M(martlet_net_v1, send); M(martlet_net_v1, close);
  M(martlet_net_v1, pause); M(martlet_net_v1, resume); M(martlet_net_v1, peer); M(martlet_net_v1, local);
  M(martlet_net_v1, conn_stats); M(martlet_net_v1, listener_stats); M(martlet_net_v1, sendto);
  M(martlet_net_v1, adopt_mqtt); M(martlet_net_v1, format_addr); M(martlet_net_v1, parse_addr);
  M(martlet_net_v1, conn_proof); M(martlet_net_v1, dgram_proof);
}

int main(void) {
  core();
  values();
  tables();
  http();
  net();
  return 0;
}
