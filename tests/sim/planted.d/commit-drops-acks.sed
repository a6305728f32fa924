# file: amqp/tx.c
# what: a commit forgets the acknowledgements
s/kept->settle\.ticket = t;/kept->settle.ticket = (ticket){.slot = UINT32_MAX};\n    (void)t;/
