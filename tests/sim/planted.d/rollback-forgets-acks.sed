# file: amqp/tx.c
# what: what was acknowledged stays so after a rollback
s/unacked_rollback(c->unacked)/unacked_commit(c->unacked)/
