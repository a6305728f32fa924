# file: amqp/confirms.c
# what: a confirm carries the number of the next publish
/^static void flush_from_low/,/^}/s/^        write(arg, last, run > 1, false);/        write(arg, last + 1, run > 1, false);/
