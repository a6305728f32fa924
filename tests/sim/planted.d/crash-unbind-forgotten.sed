# file: broker/model/exchange.c
# program: sim-crash
# what: the end of a binding is not recorded
s/^    remember_binding(b, RECORD_UNDEFINE, bd);//
