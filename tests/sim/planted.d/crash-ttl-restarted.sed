# file: broker/model/cold.c
# program: sim-crash
# what: what was loaded may stay as long as if it had just come
s/e->msg->arrived_ms = cold_arrival(b, le);/e->msg->arrived_ms = (int64_t)b->now.ms;/
