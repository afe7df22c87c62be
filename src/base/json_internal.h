/* SPDX-License-Identifier: Apache-2.0
 *
 * What the three files of the JSON reader share: json.c (events), json_lex.c (bytes, strings,
 * numbers), json_keys.c (duplicate keys).  Nobody else includes this. */
#ifndef PLIM_BASE_JSON_INTERNAL_H
#define PLIM_BASE_JSON_INTERNAL_H

#include "base/file.h"
#include "base/json.h"
#include "base/num.h"

#define JSON_BUFFER_BYTES ((size_t)64 * 1024)
#define JSON_PADDING      PLIM_JSON_SLACK /* behind the buffer: a scan looks at 16 bytes at once */
#define JSON_NO_BYTE      (-1)            /* the document's end */
#define JSON_FAILED       (-2)            /* json->error says why */

/* An object or array that is open. */
typedef struct json_frame {
    size_t keys_start; /* of its keys in json->slots */
    size_t keys_count;
    size_t keys_cap; /* 0: a list; else a table of so many slots, a power of two */
    uint64_t epoch;  /* the lowest bit of the table's entries: 0 or 1 */
    bool object;
} json_frame;

typedef enum json_state {
    JSON_WANT_VALUE,      /* the document, or what follows a comma in an array */
    JSON_WANT_FIRST_ITEM, /* or ] */
    JSON_WANT_FIRST_KEY,  /* or } */
    JSON_WANT_COLON,
    JSON_AFTER_VALUE, /* a comma or a bracket; at depth 0 the end */
    JSON_DONE,
    JSON_BROKEN
} json_state;

struct plim_json {
    const plim_alloc *alloc;
    plim_json_source source;
    plim_json_limits limits;

    char *buffer; /* [buffer_bytes + JSON_PADDING] */
    size_t buffer_bytes, pos, end;
    int64_t buffer_offset; /* of buffer[0], in the file */
    bool at_end;           /* the source has no more */

    const char *text; /* in the buffer, in spill or in number; NUL-terminated */
    size_t text_bytes;
    char *spill; /* strings that hold an escape or the buffer's end */
    size_t spill_bytes, spill_cap;
    char number[PLIM_NUMBER_BYTES + 1];

    json_frame *frames;
    size_t depth, frames_cap;
    uint64_t *slots; /* hashes of the keys of all open objects, the innermost one's last */
    size_t slots_cap;
    uint64_t seed;

    json_state state;
    plim_json_event event;
    int64_t offset; /* of the event */
    plim_status status;
    plim_error error; /* when state is JSON_BROKEN */

    const char *memory; /* for sources that the reader brings along */
    size_t memory_left;
    plim_file file;
    const plim_file *borrowed;
    uint64_t file_offset, file_left;
};

/* Fail for good, at an offset in the file. */
plim_status plim_json_break(plim_json *json, plim_status code, int64_t offset, const char *format,
                            ...) __attribute__((format(printf, 4, 5)));

/* "'x'" or "byte 0x07" or "the end", for messages; buf has room for 16. */
const char *plim_json_byte_name(int c, char *buf);

/* ---- json_lex.c ---- */

/* The next byte that is not whitespace, not consumed yet; JSON_NO_BYTE, JSON_FAILED. */
int plim_json_peek_slow(plim_json *json);
static inline int json_peek(plim_json *json)
{
    if (json->pos < json->end) {
        unsigned char c = (unsigned char)json->buffer[json->pos];
        if (c > ' ')
            return c;
        if (c == ' ' && json->pos + 1 < json->end) { /* the one blank after a colon or a comma */
            c = (unsigned char)json->buffer[json->pos + 1];
            if (c > ' ') {
                json->pos++;
                return c;
            }
        }
    }
    return plim_json_peek_slow(json);
}

/* The file offset of the byte at pos. */
static inline int64_t json_here(const plim_json *json)
{
    return json->buffer_offset + (int64_t)json->pos;
}

/* pos is behind the opening quote.  Sets text; consumes the closing quote. */
plim_status plim_json_lex_string(plim_json *json);
/* pos is at the first byte.  Sets text. */
plim_status plim_json_lex_number(plim_json *json);
plim_status plim_json_lex_word(plim_json *json, const char *word);

/* ---- json_keys.c ---- */

/* Enter json->text into the innermost object; FORMAT when it is there already. */
plim_status plim_json_keys_add(plim_json *json);

#endif
