# program: sim-store
# file: broker/store/image.c
# what: what is given back is not marked
s/((\*fate & ~FATE_OUT) | FATE_REDELIVERED)/(*fate \& ~FATE_OUT)/
