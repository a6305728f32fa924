# file: broker/model/deadletter.c
# program: sim-crash
# what: a dead letter does not settle what it is the letter of: a record of its own does, later
s/remember_begin_letter(b, letter, e);/remember_begin(b, letter);/; s/return b->publishing.is_open;/return false;/
