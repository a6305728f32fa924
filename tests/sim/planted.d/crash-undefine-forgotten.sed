# file: broker/model/queue.c
# program: sim-crash
# what: the end of a queue is not recorded
s/^    remember_queue(b, RECORD_UNDEFINE, q);//
