# file: broker/model/outlet.c
# what: what a channel had out is lost with it
s/queue_settle(b, e, held_too ? REQUEUED : HANDED_BACK)/queue_settle(b, e, held_too ? ACCEPTED : HANDED_BACK)/
