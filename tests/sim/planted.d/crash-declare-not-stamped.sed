# file: broker/model/remember.c
# program: sim-crash
# what: declare-ok does not wait
/^static void define/,/^}/s/^    remember_changed(b);//
