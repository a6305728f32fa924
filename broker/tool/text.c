#include "broker/tool/text.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"

json_t *text_of(struct bytes b)
{
    json_t *whole = json_stringn(b.len == 0 ? "" : (const char *)b.at, b.len);
    if (whole != NULL)
        return whole;
    static const char digits[] = "0123456789abcdef";
    enum { ESCAPE = 4, FIRST_PRINTABLE = 0x20, LAST_PRINTABLE = 0x7e };
    char *text = alloc(b.len * ESCAPE), *to = text;
    for (size_t i = 0; i < b.len; i++) {
        uint8_t c = b.at[i];
        if (c >= FIRST_PRINTABLE && c <= LAST_PRINTABLE && c != '\\') {
            *to++ = (char)c;
            continue;
        }
        *to++ = '\\';
        *to++ = 'x';
        *to++ = digits[c >> 4];
        *to++ = digits[c & 15];
    }
    json_t *escaped = json_stringn(text, (size_t)(to - text));
    free(text);
    return escaped;
}

json_t *text_base64(struct bytes b)
{
    enum { FROM = 3, TO = 4 };
    unsigned char *text = alloc((b.len + FROM - 1) / FROM * TO + 1);
    int n = EVP_EncodeBlock(text, b.len == 0 ? (const unsigned char *)"" : b.at, (int)b.len);
    json_t *value = json_stringn((const char *)text, (size_t)n);
    free(text);
    return value;
}

void text_set(json_t *object, const char *key, json_t *value)
{
    CHECK(json_object_set_new(object, key, value) == 0);
}

void text_set_number(json_t *object, const char *key, uint64_t value)
{
    text_set(object, key, json_integer((json_int_t)value));
}

static void show_words(json_t *object, const char *head)
{
    fputs(head, stdout);
    for (void *i = json_object_iter(object); i != NULL; i = json_object_iter_next(object, i)) {
        printf(" %s=", json_object_iter_key(i));
        json_dumpf(json_object_iter_value(i), stdout, JSON_ENCODE_ANY | JSON_COMPACT);
    }
}

void text_show(json_t *object, const char *head, bool is_json)
{
    if (is_json)
        json_dumpf(object, stdout, JSON_COMPACT);
    else
        show_words(object, head);
    putchar('\n');
    json_decref(object);
}

void text_show_each(const json_t *list, const char *head)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        text_show(json_incref(json_array_get(list, i)), head, false);
}
