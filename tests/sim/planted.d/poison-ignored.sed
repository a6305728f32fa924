# file: broker/model/broker.c
# what: commands behind a failure are carried out
s/(s->poisoned && c->verb != RESET)/(false)/
