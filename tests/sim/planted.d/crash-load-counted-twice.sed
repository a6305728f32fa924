# file: broker/model/cold.c
# program: sim-crash
# what: what came after a load was asked for is counted again when it comes with it
s/^        if (le->position >= c->late_from)/        if (false)/
