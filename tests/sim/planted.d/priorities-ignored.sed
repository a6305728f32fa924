# file: broker/model/ready.c
# what: all messages have one priority
s/    uint8_t level = ready_level(r, e->msg);/    uint8_t level = 0;/
