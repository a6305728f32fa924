# program: sim-store
# file: broker/store/format.c
# what: sums of metas and bodies are not looked at
s/!= h\.meta_crc)/!= h.meta_crc \&\& false)/; s/== h\.body_crc ? ITEM_FINE : ITEM_BAD_BODY/== h.body_crc ? ITEM_FINE : ITEM_FINE/
