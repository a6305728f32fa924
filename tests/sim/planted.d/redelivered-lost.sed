# file: broker/model/queue.c
# what: a requeued message is not flagged
s/e->redelivered = true;/e->redelivered = false;/
