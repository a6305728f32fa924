# file: broker/model/cmd_queue.c
# program: sim-crash
# what: purge-ok does not wait for the records of the purge
/^void command_purge_queue/,/^}/s/^        remember_changed(b);//
