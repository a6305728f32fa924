/* The configuration keys, as data: config_keys.def says what there is. */
#ifndef BROKER_CONFIG_KEYS_H
#define BROKER_CONFIG_KEYS_H

#include <stddef.h>
#include <stdint.h>

/* The keys that do something; in this order config_keys() begins. */
enum config_id {
#define WORKS(id, ...) KEY_##id,
#define ALIAS(...)
#define REFUSED(...)
#define LATER(...)
#define NEVER(...)
#include "broker/config_keys.def"
#undef WORKS
#undef ALIAS
#undef REFUSED
#undef LATER
#undef NEVER
    CONFIG_IDS
};

enum config_effect { CONFIG_WORKS, CONFIG_ALIAS, CONFIG_REFUSED, CONFIG_LATER, CONFIG_NEVER };

enum config_type {
    TYPE_INTEGER,  /* decimal digits */
    TYPE_LIMIT,    /* the same, or infinity */
    TYPE_THREADS,  /* the same, or auto: CONFIG_AUTO */
    TYPE_BOOLEAN,  /* true, false, on, off, yes, no */
    TYPE_STRING,   /* min to max bytes */
    TYPE_SECRET,   /* a string that is not shown */
    TYPE_SIZE,     /* bytes, or a number with a unit: k is 1000, Ki is 1024 */
    TYPE_BYTES,    /* bytes, or a number with a unit: k is 1024 */
    TYPE_FRACTION, /* 0.4, 40% */
    TYPE_DURATION, /* ms, or numbers with units: 1h30m */
    TYPE_LEVEL,    /* a log level */
    TYPE_LISTENER, /* an address (net/listener.h), or none */
    TYPE_PORT,     /* of TCP, or none: CONFIG_NO_PORT */
    TYPE_MODE,     /* of a file: octal digits */
    TYPE_NONE,     /* the word none */
    /* One of some words; the number is that of the enum. */
    TYPE_VERIFY,      /* verify_none, verify_peer: a bool */
    TYPE_TLS_VERSION, /* enum config_tls_version */
    TYPE_CRL_CHECK,   /* enum tls_crl_check (net/tls.h) */
    TYPE_LOGIN_FROM,  /* enum login_from (net/certificate.h) */
    TYPE_MECHANISM,   /* a bit of enum session_mechanism (amqp/session.h), by its number */
    TYPE_SAN_TYPE,    /* enum san_type (net/certificate.h) */
    TYPE_QUEUE_TYPE,  /* enum queue_type (port/spec.h) */
    TYPE_APPLY_TO,    /* what policies apply to */
    TYPE_RATES_MODE,  /* enum config_rates_mode */
    TYPE_LOG_FORMAT,  /* plaintext, json: a bool */
    TYPE_LOG_TIME,    /* enum log_time (base/log.h) */
    TYPE_ANY,
};

#define CONFIG_AUTO UINT64_MAX
#define CONFIG_NO_PORT UINT64_MAX

enum config_rates_mode { CONFIG_RATES_BASIC, CONFIG_RATES_NONE, CONFIG_RATES_DETAILED };

enum config_tls_version { CONFIG_TLS_1_3, CONFIG_TLS_1_2, CONFIG_TLS_1_1, CONFIG_TLS_1_0 };

struct config_key {
    const char *name;
    enum config_effect effect;
    enum config_type type;
    enum config_id id;    /* CONFIG_WORKS; CONFIG_ALIAS: what it is another name of */
    const char *fallback; /* CONFIG_WORKS: the default, or NULL; CONFIG_REFUSED: the value that is harmless, or NULL */
    uint64_t min, max;
    const char *what; /* for people: what it is; CONFIG_REFUSED: why not */
};

extern const struct config_key config_keys[];
extern const size_t config_keys_count;

/* The key of that name, or NULL.  An alias answers what it stands for. */
const struct config_key *config_key_find(const char *name);

/* The name most like it, or NULL if none is. */
const char *config_key_suggest(const char *name);
#endif
