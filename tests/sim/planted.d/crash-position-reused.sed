# file: broker/model/restore.c
# program: sim-crash
# what: a queue that was restored counts positions from its first message again
s/^    q->next_position = next_position;/    q->next_position = messages;/
