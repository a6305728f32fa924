# file: broker/model/remember.c
# program: sim-crash
# what: that a delayed message has left its exchange is not recorded
/^void remember_begin_letter/,/^}/s/!source->queue->gone/!source->queue->gone \&\& source->queue->delayed == NULL/
