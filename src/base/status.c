/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of codes, and the one place where an error's message is put together.
 * Leaves the choice of code and of words to whoever fails. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "base/status.h"

const char *plim_status_name(plim_status code)
{
    static const char *const names[] = {
        "OK",     "TRUNC", "FORMAT",  "LIMIT",     "UNSUP", "UNSAFE", "MISMATCH", "NOMEM",
        "BUDGET", "IO",    "CHANGED", "INTEGRITY", "NET",   "AUTH",   "USAGE",    "CANCELLED"};
    const int count = (int)(sizeof names / sizeof names[0]);
    return code <= PLIM_OK && (int)code > -count ? names[-(int)code] : "?";
}

const char *plim_version(void)
{
    return PLIM_VERSION;
}

void plim_error_clear(plim_error *err)
{
    if (!err)
        return;
    err->code = PLIM_OK;
    err->offset = -1;
    err->message[0] = err->file[0] = err->tensor[0] = '\0';
}

/* Take a code point that was cut in the middle off the end of text[length]. */
static size_t cut_whole(char *text, size_t length)
{
    size_t back = 1;
    while (back <= 4 && back <= length && ((unsigned char)text[length - back] & 0xc0) == 0x80)
        back++;
    if (back <= 4 && back <= length) {
        unsigned char lead = (unsigned char)text[length - back];
        size_t want = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
        if (lead >= 0xc0 && want > back)
            length -= back;
    }
    text[length] = '\0';
    return length;
}

/* Copy a name into a field, cut at a whole code point. */
static void copy_name(char *dst, size_t cap, const char *src)
{
    size_t n = src ? strlen(src) : 0;
    if (n < cap) {
        memcpy(dst, src ? src : "", n);
        dst[n] = '\0';
        return;
    }
    memcpy(dst, src, cap - 1);
    cut_whole(dst, cap - 1);
}

void plim_text_tame(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p; p++) {
        if (*p < 0x20 || *p == 0x7f)
            *p = '?';
        else if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) /* C1: a terminal obeys these too */
            p[0] = p[1] = '?';
        else if (*p >= 0xc2 && (p[1] & 0xc0) == 0x80) /* skip the tail of a longer code point */
            while ((p[1] & 0xc0) == 0x80)
                p++;
        else if (*p >= 0x80 && *p < 0xa0) /* C1 as a bare byte */
            *p = '?';
    }
}

/* Append formatted text at *length, never past cap - 1. */
static void append(char *text, size_t cap, size_t *length, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void append(char *text, size_t cap, size_t *length, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    *length += plim_vformat(text + *length, cap - *length, format, args);
    va_end(args);
}

static plim_status fail_va(plim_error *err, plim_status code, plim_where where, const char *format,
                           va_list args)
{
    if (!err)
        return code;
    /* Built aside: an argument may point into *err (an error that is wrapped into another). */
    plim_error out = {.code = code, .offset = where.offset < 0 ? -1 : where.offset};
    copy_name(out.file, sizeof out.file, where.file);
    copy_name(out.tensor, sizeof out.tensor, where.tensor);

    char tail[40] = "";
    if (out.offset >= 0)
        snprintf(tail, sizeof tail, " (at byte %lld)", (long long)out.offset);
    size_t cap = sizeof out.message - strlen(tail), length = 0;
    if (where.file && where.file[0])
        append(out.message, cap, &length, "%s: ", out.file);
    if (where.tensor && where.tensor[0])
        append(out.message, cap, &length, "tensor '%s': ", out.tensor);
    length += plim_vformat(out.message + length, cap - length, format, args);
    if (length == cap - 1)
        length = cut_whole(out.message, length);
    memcpy(out.message + length, tail, strlen(tail) + 1);
    plim_text_tame(out.message);
    *err = out;
    return code;
}

plim_status plim_fail(plim_error *err, plim_status code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fail_va(err, code, PLIM_NOWHERE, format, args);
    va_end(args);
    return code;
}

plim_status plim_fail_at(plim_error *err, plim_status code, plim_where where, const char *format,
                         ...)
{
    va_list args;
    va_start(args, format);
    fail_va(err, code, where, format, args);
    va_end(args);
    return code;
}

plim_status plim_fail_errno(plim_error *err, int errnum, plim_where where, const char *what)
{
    plim_status code = errnum == ENOMEM ? PLIM_E_NOMEM : PLIM_E_IO;
#ifdef __GLIBC__
    const char *text = strerrordesc_np(errnum); /* never translated, unlike strerror */
#else
    const char *text = NULL;
#endif
    if (text)
        return plim_fail_at(err, code, where, "%s: %s", what, text);
    return plim_fail_at(err, code, where, "%s: system error %d", what, errnum);
}
