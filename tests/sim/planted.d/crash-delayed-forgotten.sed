# file: broker/model/delayed.c
# program: sim-crash
# what: a restart forgets what waits at an exchange
/^void delayed_restore/,/^}/s/if (messages == 0)/if (messages > 0 || messages == 0)/
