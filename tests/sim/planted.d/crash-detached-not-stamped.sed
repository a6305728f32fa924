# file: broker/model/broker.c
# program: sim-crash
# what: the last event of a client does not wait for those before it
s/broker_tell(b, DETACHED, c->from)->after = after;/broker_tell(b, DETACHED, c->from);/
