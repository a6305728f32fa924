# file: amqp/confirms.c
# what: an ack of many covers a refused one
/^static void flush_from_low/,/^}/s/if (answer == SAFE)/if (answer != WRITTEN)/
