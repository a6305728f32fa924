# program: sim-store
# file: broker/store/recover.c
# what: what a restart gave back is not given back again
s/^        image_return_all(im);//
