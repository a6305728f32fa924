# file: broker/model/cmd_publish.c
# what: a refused publish is confirmed
s/taken ? CONFIRMED : REFUSED/taken ? CONFIRMED : CONFIRMED/
