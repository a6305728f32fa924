# file: broker/model/remember.c
# program: sim-crash
# what: a message that goes to two queues is recorded in the first alone
/^void remember_place/,/^}/s/^    to->records\[p->record\].places++;/    if (to->records[p->record].places > 0) { to->n_places--; return; }\n    to->records[p->record].places++;/
