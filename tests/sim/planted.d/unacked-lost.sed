# file: broker/model/outlet.c
# what: what a channel had out is lost with it
s/queue_settle(b, e, REQUEUED)/queue_settle(b, e, ACCEPTED)/
