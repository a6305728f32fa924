# file: broker/model/remember.c
# program: sim-crash
# what: a purge of what is cold takes along what is out
/^void remember_purge/,/^}/s/.position = from/.position = 0/
