# file: amqp/unacked.c
# what: an ack of many leaves out the last
s/settle_places(u, multiple ? u->clear : at, at, how/settle_places(u, multiple ? u->clear : at, multiple \&\& at > 0 ? at - 1 : at, how/
