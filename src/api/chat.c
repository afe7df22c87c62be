/* SPDX-License-Identifier: Apache-2.0
 *
 * Chat templates: handles, the caller's clock as templates see it, and messages to ids. */
#include <assert.h>
#include <limits.h>
#include <string.h>

#include "api/handles.h"

#define DAY_SECONDS    86400
#define MAX_YEAR       9999 /* Python's datetime goes from year 1 to this one */
#define OFFSET_MINUTES (24 * 60)

static_assert(sizeof(plim_span) == sizeof(plim_tok_span) &&
                  offsetof(plim_span, end) == offsetof(plim_tok_span, end),
              "spans are copied as they are");

static bool is_jinja(const char *path)
{
    size_t bytes = strlen(path);
    return bytes > 6 && !strcmp(path + bytes - 6, ".jinja");
}

/* `path`: as plim_templates_open takes it, and `specials` too. */
static plim_status open_templates(plim_chat **out, plim_context *context, const char *path,
                                  const char *specials, plim_error *err)
{
    plim_chat *c = plim_new(plim_context_alloc(context), 1, sizeof *c, err);
    if (!c)
        return err->code;
    c->context = plim_context_ref(context);
    plim_status status = plim_templates_open(
        &c->templates, plim_ledger_alloc(context->ledger, PLIM_MEM_TOKENIZER), path, specials, err);
    if (status)
        plim_chat_close(&c);
    *out = c;
    return status;
}

/* Where a name leads; its folder, in which tokenizers are looked for. */
static plim_status find_model(char *path, char *folder, size_t cap, const char *name,
                              const plim_model_options *options, plim_error *err)
{
    plim_model_options o;
    plim_status status;
    if ((status = plim_model_options_take(&o, options, err)) ||
        (status = plim_resolve(path, cap, name, &o, err)))
        return status;
    return plim_find_folder(folder, cap, path, o.subfolder, err);
}

plim_status plim_chat_open(plim_chat **out, plim_context *context, const char *name,
                           const plim_model_options *options, plim_error *err)
{
    plim_error local;
    char path[4096], folder[4096];
    bool is_file = false;
    plim_error_clear(err);
    if (!err)
        err = &local;
    *out = NULL;
    plim_status status = find_model(path, folder, sizeof path, name, options, err);
    if (!status && is_jinja(path)) /* it means itself */
        status = plim_path_find_file(&is_file, path, err);
    if (status)
        return status;
    return open_templates(out, context, is_file ? path : folder, NULL, err);
}

plim_status plim_chat_open_template(plim_chat **out, plim_context *context, const char *file,
                                    const char *name, const plim_model_options *options,
                                    plim_error *err)
{
    plim_error local;
    char path[4096], folder[4096];
    bool found;
    plim_error_clear(err);
    if (!err)
        err = &local;
    *out = NULL;
    plim_status status = plim_path_find_file(&found, file, err);
    if (!status && !found)
        status =
            plim_fail_at(err, PLIM_E_IO, (plim_where){file, NULL, -1}, "there is no such file");
    if (!status && name)
        status = find_model(path, folder, sizeof path, name, options, err);
    return status ? status : open_templates(out, context, file, name ? folder : NULL, err);
}

void plim_chat_close(plim_chat **chat)
{
    plim_chat *c = chat ? *chat : NULL;
    if (!c)
        return;
    *chat = NULL;
    plim_context *context = c->context;
    plim_templates_close(&c->templates);
    plim_delete(plim_context_alloc(context), c);
    plim_context_close(&context);
}

const char *plim_chat_template_name(const plim_chat *chat, size_t i)
{
    return plim_templates_name(chat->templates, i);
}

/* ---- the clock ---- */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Seconds since 1970, already in the caller's zone, as a date of the Gregorian calendar.  Years are
 * counted from March, so that the leap day is the last of its year; 146097 days are 400 years. */
static void break_down(int64_t seconds, plim_chat_time *t)
{
    int64_t days = floor_div(seconds, DAY_SECONDS), left = seconds - days * DAY_SECONDS;
    int64_t shifted = days + 719468; /* since 1 March of year 0 */
    int64_t era = floor_div(shifted, 146097), day_of_era = shifted - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153; /* 0: March */
    t->day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
    t->month = (int)(month < 10 ? month + 3 : month - 9);
    t->year = (int)(year_of_era + era * 400 + (t->month <= 2));
    bool leap = (t->year % 4 == 0 && t->year % 100 != 0) || t->year % 400 == 0;
    t->yearday = (int)(month < 10 ? day_of_year + 59 + leap : day_of_year - 306);
    t->weekday = (int)(days + 4 - 7 * floor_div(days + 4, 7)); /* 1 January 1970: a Thursday */
    t->hour = (int)(left / 3600);
    t->minute = (int)(left / 60 % 60);
    t->second = (int)(left % 60);
}

/* *now: to be asked for, or not.  USAGE outside the years 1 to 9999. */
static plim_status read_clock(const plim_chat_options *o, plim_chat_time *t, bool *known,
                              plim_error *err)
{
    static const int64_t first = -62135596800, last = 253402300799;
    *known = o->now != INT64_MIN;
    if (!*known)
        return PLIM_OK;
    if (o->utc_offset_minutes <= -OFFSET_MINUTES || o->utc_offset_minutes >= OFFSET_MINUTES)
        return plim_fail(err, PLIM_E_USAGE, "utc_offset_minutes is %d, want less than a day",
                         o->utc_offset_minutes);
    int64_t shift = (int64_t)o->utc_offset_minutes * 60;
    if (o->now < first - shift || o->now > last - shift)
        return plim_fail(err, PLIM_E_USAGE, "now is %lld, want a second of the years 1 to %d",
                         (long long)o->now, MAX_YEAR);
    break_down(o->now + shift, t);
    t->utc_offset_minutes = o->utc_offset_minutes;
    t->zone = o->zone;
    return PLIM_OK;
}

/* ---- render and encode ---- */

static const plim_alloc *text_alloc(const plim_chat *chat)
{
    return plim_ledger_alloc(chat->context->ledger, PLIM_MEM_TOKENIZER);
}

/* `o` was taken already.  *out is to be freed with text_alloc's. */
static plim_status render(const plim_chat *chat, const char *context, size_t bytes,
                          const plim_chat_options *o, plim_chat_text *out, plim_error *err)
{
    plim_chat_time now = {0};
    bool known;
    plim_status status = read_clock(o, &now, &known, err);
    if (status)
        return status;
    plim_chat_request request = {.context = context,
                                 .context_bytes = bytes,
                                 .template_name = o->template_name,
                                 .now = known ? &now : NULL};
    return plim_templates_render(chat->templates, text_alloc(chat), &request, out, err);
}

plim_status plim_chat_render(const plim_chat *chat, const char *context, size_t bytes,
                             const plim_chat_options *options, char **text, size_t *text_bytes,
                             plim_span **spans, size_t *span_count, plim_error *err)
{
    const plim_alloc *system = plim_alloc_system();
    plim_chat_options o;
    plim_chat_text found = {0};
    plim_error local;
    plim_error_clear(err);
    if (!err)
        err = &local;
    *text = NULL;
    if (spans)
        *spans = NULL;
    plim_status status = plim_chat_options_take(&o, options, err);
    if (!status)
        status = render(chat, context, bytes, &o, &found, err);
    if (status)
        return status;
    char *own = plim_new(system, found.bytes + 1, 1, err);
    plim_span *ranges = own && spans && found.span_count
                            ? plim_new(system, found.span_count, sizeof *ranges, err)
                            : NULL;
    if (!own || (spans && found.span_count && !ranges)) {
        status = err->code;
        plim_delete(system, own);
    } else {
        if (found.bytes)
            memcpy(own, found.text, found.bytes);
        if (ranges)
            memcpy(ranges, found.spans, found.span_count * sizeof *ranges);
        *text = own;
        if (text_bytes)
            *text_bytes = found.bytes;
        if (spans)
            *spans = ranges;
        if (span_count)
            *span_count = found.span_count;
    }
    plim_chat_text_free(&found, text_alloc(chat));
    return status;
}

plim_status plim_chat_encode(const plim_chat *chat, plim_tokenizer *tokenizer, const char *context,
                             size_t bytes, const plim_chat_options *options, int32_t **ids,
                             size_t *count, plim_error *err)
{
    plim_chat_options o;
    plim_chat_text found = {0};
    plim_encode_options how;
    plim_encoding encoding;
    plim_error local;
    plim_error_clear(err);
    if (!err)
        err = &local;
    *ids = NULL;
    *count = 0;
    plim_status status = plim_chat_options_take(&o, options, err);
    if (!status)
        status = render(chat, context, bytes, &o, &found, err);
    if (status)
        return status;
    plim_encode_options_init(&how);
    how.add_special_tokens = 0; /* the template has written those that belong there */
    how.literal = o.trust_context ? NULL : (const plim_span *)found.spans;
    how.literal_count = o.trust_context ? 0 : found.span_count;
    status = plim_tokenizer_encode_with(tokenizer, found.text, found.bytes, &how, &encoding, err);
    *ids = encoding.ids;
    *count = encoding.count;
    plim_chat_text_free(&found, text_alloc(chat));
    return status;
}
