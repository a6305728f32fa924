/* What the commands of commands.def do; each answers the exit status. */
#ifndef BROKER_CTL_HANDLERS_H
#define BROKER_CTL_HANDLERS_H

struct ctl;

int list_run(struct ctl *c); /* all that prints a list of the API as a table: cmd_lists.c says which */
int list_limits(struct ctl *c);
int list_policies_that_match(struct ctl *c);
int list_nothing(struct ctl *c);

int users_add(struct ctl *c);
int users_delete(struct ctl *c);
int users_change_password(struct ctl *c);
int users_clear_password(struct ctl *c);
int users_authenticate(struct ctl *c);
int users_set_tags(struct ctl *c);
int users_hash_password(struct ctl *c);

int access_set(struct ctl *c);
int access_set_globally(struct ctl *c);
int access_clear(struct ctl *c);
int access_set_topic(struct ctl *c);
int access_clear_topic(struct ctl *c);

int limits_set(struct ctl *c);
int limits_clear_vhost(struct ctl *c);
int limits_clear_user(struct ctl *c);

int vhosts_add(struct ctl *c);
int vhosts_update(struct ctl *c);
int vhosts_delete(struct ctl *c);
int vhosts_set_tags(struct ctl *c);
int vhosts_protect(struct ctl *c);
int vhosts_trace(struct ctl *c);
int vhosts_restart(struct ctl *c);

int policies_set(struct ctl *c);
int policies_clear(struct ctl *c);
int parameters_set(struct ctl *c);
int parameters_clear(struct ctl *c);
int parameters_set_global(struct ctl *c);
int parameters_clear_global(struct ctl *c);
int parameters_set_cluster_name(struct ctl *c);

int objects_delete_queue(struct ctl *c);
int objects_cancel_delayed(struct ctl *c);
int objects_purge_queue(struct ctl *c);
int objects_create_queue(struct ctl *c);
int objects_set_queue_arguments(struct ctl *c);
int objects_switch_queue(struct ctl *c);
int objects_create_exchange(struct ctl *c);
int objects_delete_exchange(struct ctl *c);
int objects_bind(struct ctl *c);
int objects_publish(struct ctl *c);
int objects_get(struct ctl *c);

int messages_redrive(struct ctl *c);
int messages_move(struct ctl *c);
int messages_peek(struct ctl *c);
int messages_delete(struct ctl *c);

int connections_close(struct ctl *c);
int connections_set_prefetch(struct ctl *c);
int connections_close_all(struct ctl *c);
int connections_close_user(struct ctl *c);

int node_status(struct ctl *c);
int node_cluster_status(struct ctl *c);
int node_environment(struct ctl *c);
int node_report(struct ctl *c);
int node_version(struct ctl *c);
int node_memory(struct ctl *c);
int node_listeners(struct ctl *c);
int node_log_location(struct ctl *c);
int node_log_tail(struct ctl *c);

int process_environment(struct ctl *c);
int process_command_line(struct ctl *c);
int process_suites(struct ctl *c);
int process_tls_versions(struct ctl *c);
int process_certificates(struct ctl *c);
int process_logins(struct ctl *c);
int process_forget_logins(struct ctl *c);

int wait_ping(struct ctl *c);
int wait_startup(struct ctl *c);
int wait_pid_file(struct ctl *c);
int wait_stop(struct ctl *c);

int change_log_level(struct ctl *c);
int change_rotate_logs(struct ctl *c);
int change_reload(struct ctl *c);
int change_memory_limit(struct ctl *c);
int change_disk_limit(struct ctl *c);
int change_listeners(struct ctl *c);

int check_running(struct ctl *c);
int check_booting(struct ctl *c);
int check_alarms(struct ctl *c);
int check_ports(struct ctl *c);
int check_port(struct ctl *c);
int check_protocol(struct ctl *c);
int check_vhosts(struct ctl *c);
int check_certificates(struct ctl *c);
int check_node(struct ctl *c);
int check_critical(struct ctl *c);

int explain_route(struct ctl *c);
int explain_consumer(struct ctl *c);

int audit_run(struct ctl *c);
int top_run(struct ctl *c);
int trace_run(struct ctl *c);

int definitions_export(struct ctl *c);
int definitions_import(struct ctl *c);
int definitions_diff(struct ctl *c);

int outside_check_config(struct ctl *c);
int outside_backup(struct ctl *c);

int other_help(struct ctl *c);
int other_version(struct ctl *c);
int other_complete(struct ctl *c);
int other_accept(struct ctl *c); /* does nothing, and says why */
int other_refuse(struct ctl *c);
int other_plugins(struct ctl *c);
#endif
