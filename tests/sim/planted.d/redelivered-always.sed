# file: amqp/deliver.c
# what: every delivery is flagged
s/\.redelivered = e->delivered\.redelivered/.redelivered = true/
