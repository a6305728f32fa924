# file: broker/model/cmd_publish.c
# what: an unroutable message does not come back
/^static bool publish(/,/^}/s/to->n == 0 && c->publish\.mandatory/false/
