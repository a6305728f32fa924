# file: broker/model/obituary.c
# what: a second death is not counted
s/f\.integer + 1/f.integer/
