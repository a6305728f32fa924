# file: broker/model/schedule.c
# what: delayed messages are due at once
s/\.due_ms = due_ms,/.due_ms = 0 * due_ms,/
