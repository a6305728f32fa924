# file: broker/model/delayed.c
# program: sim-crash
# what: of what waited at an exchange when the broker ended some is not found
/^static void sweep/,/^}/s/        looked_at++;/&\n        if (le->position % 4 == 1)\n            continue;/
