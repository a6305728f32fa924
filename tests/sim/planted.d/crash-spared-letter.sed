# file: broker/store/append.c
# program: sim-crash
# what: a dead letter that is over is not written, and neither is it that its message is gone
s/ && r->at.queue == 0 && message_is_settled/ \&\& message_is_settled/
