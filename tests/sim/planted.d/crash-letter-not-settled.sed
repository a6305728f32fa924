# file: broker/model/deadletter.c
# program: sim-crash
# what: a dead letter leaves what it is the letter of on record
s/remember_begin_letter(b, letter, e);/remember_begin(b, letter);/
