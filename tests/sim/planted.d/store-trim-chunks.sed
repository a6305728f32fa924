# program: sim-store
# file: broker/store/image.c
# what: a trim forgets the chunks
s/queue_drop_first_chunks(im, q, queue_find_chunk(q, before));/queue_drop_first_chunks(im, q, 0);/
