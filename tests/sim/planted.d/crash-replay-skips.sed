# file: broker/model/replay.c
# program: sim-crash
# what: a reader passes by a message that was loaded
s/entry_hold(b, e.msg);/if (e.position % 16 == 7) { message_unref(e.msg); continue; } entry_hold(b, e.msg);/
