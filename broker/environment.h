/* Environment variables that mean something (reference operations 3.6): RabbitMQ's, and the same with MILLRACE_ in
 * place of RABBITMQ_, which come first.  They replace what files say, and --set replaces them.
 *
 * Of each that names a file with _FILE at its end the first line counts.  Passwords are wiped out of the environment.
 */
#ifndef BROKER_ENVIRONMENT_H
#define BROKER_ENVIRONMENT_H

struct config;

/* Reads the file of variables, if there is one: RABBITMQ_CONF_ENV_FILE, else /etc/millrace/millrace-env.conf or
 * /etc/rabbitmq/rabbitmq-env.conf: NAME=VALUE, a line each, with or without the prefix.  What is in the environment
 * already stays.  Before anything else. */
void environment_load(struct config *c);

/* Borrowed: the value of RABBITMQ_name or MILLRACE_name; NULL: there is neither, or it is empty. */
const char *environment_find(const char *name);

/* Settings, and complaints about what cannot be done. */
void environment_apply(struct config *c);
#endif
