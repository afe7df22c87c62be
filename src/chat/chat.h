/* SPDX-License-Identifier: Apache-2.0
 *
 * Chat templates: messages in, the text that the model was trained on out, as Transformers'
 * apply_chat_template gives it.  The language is the part of Jinja2 that templates use, in the
 * sandbox and with the settings of Transformers. Invariants:
 *  1. A plim_templates never changes after open: any number of threads may render at once.
 *  2. A template is hostile: source, steps, depth, memory and output have caps (below), each of
 *     which is a PLIM_E_LIMIT that says which one.
 *  3. Every byte of the text knows whether it comes from the caller's context or from the
 *     template; no operation on strings loses that. */
#ifndef PLIM_CHAT_CHAT_H
#define PLIM_CHAT_CHAT_H

#include "base/alloc.h"
#include "tokenizer/tokenizer.h"

#define PLIM_CHAT_SOURCE_BYTES  ((size_t)1 << 20)
#define PLIM_CHAT_CONTEXT_BYTES ((size_t)64 << 20)
#define PLIM_CHAT_MAX_STEPS     ((uint64_t)20000000)
#define PLIM_CHAT_MAX_DEPTH     100
#define PLIM_CHAT_OUTPUT_BYTES  ((size_t)16 << 20)
#define PLIM_CHAT_MEMORY_BYTES  ((size_t)256 << 20)

typedef struct plim_templates plim_templates;

/* Read and parse the templates of a folder in Transformers' order: chat_template.jinja with
 * additional_chat_templates/NAME.jinja; else chat_template.json; else `chat_template` of
 * tokenizer_config.json, a string or a list of {name, template}; and the special tokens (bos_token,
 * ...) that templates name, of its tokenizer_config.json and special_tokens_map.json.  `path` may
 * also be a .jinja file: then the special tokens are those of the folder `specials`, NULL: of the
 * folder that the file is in, where it has any.  IO: there is no template, said with what was
 * looked for.  FORMAT: syntax, with file, line and what was expected.  UNSUP: a construct that
 * Jinja2 has and this does not. */
plim_status plim_templates_open(plim_templates **out, const plim_alloc *alloc, const char *path,
                                const char *specials, plim_error *err);
void plim_templates_close(plim_templates **templates);

/* The i-th template's name ("default", "tool_use", ...), NULL past the end; lives with templates.
 */
const char *plim_templates_name(const plim_templates *templates, size_t i);

/* A moment as strftime_now shows it, in the caller's time zone.  Fields as in struct tm. */
typedef struct plim_chat_time {
    int year;                             /* 2026, not 126 */
    int month, day, hour, minute, second; /* month 1..12 */
    int weekday, yearday;                 /* 0: Sunday; 0: 1 January */
    int utc_offset_minutes;               /* east of UTC */
    const char *zone;                     /* "CET"; NULL: "" */
} plim_chat_time;

typedef struct plim_chat_request {
    /* A JSON object with everything that a template may name: messages, tools, documents,
     * add_generation_prompt, continue_final_message, enable_thinking, ...  It overrides the special
     * tokens.  add_generation_prompt and continue_final_message mean what they mean in
     * Transformers. */
    const char *context;
    size_t context_bytes;
    const char *template_name; /* NULL: "tool_use" when there are tools and such a template, else
                                  "default" */
    const plim_chat_time *now; /* NULL: strftime_now is an error */
} plim_chat_request;

/* What a render gives, from the plim_alloc of the call (plim_chat_text_free).  spans: the ranges
 * that came from the context, ascending and disjoint, as plim_tok_request.literal takes them. */
typedef struct plim_chat_text {
    char *text; /* NUL-terminated beyond bytes */
    size_t bytes;
    plim_tok_span *spans;
    size_t span_count;
} plim_chat_text;

/* FORMAT: the context is no such JSON; the template raises (raise_exception: its message), divides
 * by zero, calls what is undefined, ...: wherever Python raises one.  UNSAFE: what the sandbox
 * forbids.  LIMIT: a cap, a range of more than 100,000, an integer of more than 64 bits.  UNSUP:
 * include, import and extends; autoescape blocks; the filters urlize and random; striptags of a
 * text with rare named references of HTML; bytes; text that would hold an address of Python's.
 * USAGE: no template of that name.
 * Without `messages` in the context the template is rendered with them undefined, which harms
 * nothing: one that reads them says so itself, and one that names none (a part of a prompt) is of
 * use.  (apply_chat_template can't be called without a conversation.)  An empty list is an error,
 * as there. */
plim_status plim_templates_render(const plim_templates *templates, const plim_alloc *alloc,
                                  const plim_chat_request *request, plim_chat_text *out,
                                  plim_error *err);
void plim_chat_text_free(plim_chat_text *text, const plim_alloc *alloc);

#endif
