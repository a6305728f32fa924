# program: sim-store
# file: broker/store/image.c
# what: a purge forgets the chunks
s/q->chunks\[q->n_chunks - 1\]->first >= from)/q->chunks[q->n_chunks - 1]->first > UINT64_MAX - 1)/
