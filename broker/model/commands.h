/* One function a verb (broker/port/command.h): what the model does for it.  Each takes over what its command owns. */
#ifndef BROKER_MODEL_COMMANDS_H
#define BROKER_MODEL_COMMANDS_H

#include <stdbool.h>

#include "broker/port/command.h"

struct broker;
struct outlet;
struct stream;

/* cmd_client.c; o: who has that id already, or NULL. */
void command_login(struct broker *b, struct command *c);
void command_attach(struct broker *b, struct command *c, struct outlet *o);
void command_open(struct broker *b, struct command *c, struct stream *s);
void command_reset(struct broker *b, struct command *c, struct stream *s);
void command_echo(struct broker *b, struct command *c, struct stream *s);

/* The first command of a stream: false if its user has too many; then it has failed, and is dropped. */
bool command_begins(struct broker *b, struct command *c, const struct stream *s);

/* alter.c, inspect.c, cmd_client.c: from a desk */
void command_alter(struct broker *b, struct command *c);
void command_inspect(struct broker *b, struct command *c);
void command_expel(struct broker *b, struct command *c);

/* cmd_move.c: from a desk */
void command_move(struct broker *b, struct command *c);

/* cmd_exchange.c */
void command_declare_exchange(struct broker *b, struct command *c, struct stream *s);
void command_delete_exchange(struct broker *b, struct command *c, struct stream *s);
void command_bind(struct broker *b, struct command *c, struct stream *s);
void command_unbind(struct broker *b, struct command *c, struct stream *s);

/* cmd_queue.c */
void command_declare_queue(struct broker *b, struct command *c, struct stream *s);
void command_delete_queue(struct broker *b, struct command *c, struct stream *s);
void command_purge_queue(struct broker *b, struct command *c, struct stream *s);

/* cmd_publish.c */
void command_publish(struct broker *b, struct command *c, struct stream *s);
/* The same for what is published again and again, if it is that; false: nothing has happened.  *is_left: whether
 * anything may be left to be done when the command is over. */
bool command_publish_again(struct broker *b, struct command *c, struct stream *s, bool *is_left);
void command_commit(struct broker *b, struct command *c, struct stream *s);
void command_rollback(struct broker *b, struct command *c, struct stream *s);

/* cmd_consume.c */
void command_subscribe(struct broker *b, struct command *c, struct stream *s);
void command_unsubscribe(struct broker *b, struct command *c, struct stream *s);
void command_limit(struct broker *b, struct command *c, struct stream *s);
void command_sample(struct broker *b, struct command *c);
void command_report(struct broker *b, struct command *c, struct outlet *o); /* NULL: it has gone */
void command_prefetch(struct broker *b, struct command *c);
void command_cancel(struct broker *b, struct command *c);
void command_credit(struct broker *b, struct command *c, struct stream *s);
void command_get(struct broker *b, struct command *c, struct stream *s);
void command_settle(struct broker *b, struct command *c, struct stream *s);
void command_recover(struct broker *b, struct command *c, struct stream *s);
#endif
