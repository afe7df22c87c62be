/* SPDX-License-Identifier: Apache-2.0
 *
 * Scanners by the class of each character: Digits, Punctuation, Whitespace, WhitespaceSplit, Bert,
 * UnicodeScripts; and FixedLength.  The ones that come behind ByteLevel, whose text is spelled in
 * an alphabet of 256 characters, are turned into scanners of the bytes that it spells. */
#include <string.h>

#include "tokenizer/split_ascii.h"

typedef const unsigned char *at;

/* ---- kinds ---- */

static plim_status fill_kinds(const plim_scan *scan, plim_cutter *c, plim_cut *cuts, size_t *count,
                              plim_error *err)
{
    (void)err;
    at text = (at)c->text, p = text + c->at, end = text + c->bytes;
    size_t n = 0;
    while (p < end && n < PLIM_CUTS) {
        unsigned kind;
        p = plim_kind_end(scan, p, end, &kind);
        cuts[n++] = plim_cut_make((size_t)(p - text), kind != PLIM_KIND_GAP);
    }
    c->at = (size_t)(p - text);
    *count = n;
    return PLIM_OK;
}

bool plim_scan_is_classes(const plim_scan *scan)
{
    return scan->fill == fill_kinds;
}

void plim_scan_classes(plim_scan *scan, const plim_kind_rule *rules, size_t count,
                       uint8_t otherwise)
{
    *scan = (plim_scan){.fill = fill_kinds};
    memset(scan->by_class, otherwise, sizeof scan->by_class);
    memset(scan->by_byte, PLIM_KIND_DECODE, sizeof scan->by_byte);
    for (unsigned class = 0; class < plim_class_count; class ++)
        for (size_t i = count; i-- > 0;)
            if (plim_class_bits[class] & rules[i].mask)
                scan->by_class[class] = rules[i].kind;
    for (unsigned code = 0; code < 0x80; code++)
        scan->by_byte[code] = scan->by_class[plim_class_of(code)];
}

/* ---- pieces of one length ---- */

static plim_status fill_fixed(const plim_scan *scan, plim_cutter *c, plim_cut *cuts, size_t *count,
                              plim_error *err)
{
    (void)err;
    size_t n = 0, p = c->at;
    while (p < c->bytes && n < PLIM_CUTS) {
        for (size_t left = scan->length; left && p < c->bytes; left--) {
            p++;
            while (!scan->bytes_only && p < c->bytes && (c->text[p] & 0xC0) == 0x80)
                p++;
        }
        cuts[n++] = plim_cut_make(p, true);
    }
    c->at = p;
    *count = n;
    return PLIM_OK;
}

void plim_scan_fixed(plim_scan *scan, size_t length)
{
    *scan = (plim_scan){.fill = fill_fixed, .length = length};
}

/* ---- scripts ---- */

unsigned plim_script_of(uint32_t code)
{
    size_t low = 0, high = plim_script_run_count; /* the last run that begins at or before it */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (plim_script_runs[middle] >> 8 <= code)
            low = middle;
        else
            high = middle;
    }
    return plim_script_runs[low] & 255;
}

/* Characters without a script join what is before them; those before the first that has one are
 * lost, as they are in Hugging Face's. */
static plim_status fill_scripts(const plim_scan *scan, plim_cutter *c, plim_cut *cuts,
                                size_t *count, plim_error *err)
{
    (void)err;
    size_t n = 0, p = c->at;
    while (p < c->bytes && n < PLIM_CUTS) {
        unsigned length = 1, script;
        if (scan->bytes_only || (unsigned char)c->text[p] < 0x80) {
            script = scan->by_byte[(unsigned char)c->text[p]];
        } else {
            uint32_t code;
            length = plim_char_at(c->text + p, &code);
            script = plim_script_of(code);
        }
        if (script && script != c->script) {
            if (p)
                cuts[n++] = plim_cut_make(p, c->script);
            c->script = script;
        }
        p += length;
    }
    c->at = p;
    if (p == c->bytes && n < PLIM_CUTS && !c->waits) {
        cuts[n++] = plim_cut_make(p, c->script);
        c->waits = true; /* the last part was given */
    }
    *count = n;
    return PLIM_OK;
}

void plim_scan_scripts(plim_scan *scan)
{
    *scan = (plim_scan){.fill = fill_scripts};
    for (unsigned byte = 0; byte < 0x80; byte++)
        scan->by_byte[byte] = (uint8_t)plim_script_of(byte);
}

/* ---- from the alphabet to bytes ---- */

static uint32_t alphabet_code(unsigned char byte)
{
    char text[4] = {0}; /* two at most, but plim_char_at may look at four */
    uint32_t code;
    plim_alphabet_encode(byte, text);
    plim_char_at(text, &code);
    return code;
}

static bool is_literal(const plim_scan *scan)
{
    return scan->fill == plim_scan_literal || scan->fill == plim_scan_before_literal ||
           scan->fill == plim_scan_behind_literal;
}

bool plim_scan_has_bytes(const plim_scan *scan)
{
    unsigned char byte;
    if (!is_literal(scan))
        return scan->fill == fill_kinds || scan->fill == fill_scripts || scan->fill == fill_fixed ||
               scan->fill == plim_scan_three_digits;
    for (size_t i = 0, length; i < scan->literal_bytes; i += length)
        if (!(length = plim_alphabet_decode(scan->literal + i, scan->literal_bytes - i, &byte)))
            return false;
    return true;
}

void plim_scan_to_bytes(plim_scan *scan)
{
    scan->bytes_only = true;
    size_t used = 0;
    for (size_t i = 0; i < scan->literal_bytes;) { /* no more bytes than characters */
        unsigned char byte = 0;
        i += plim_alphabet_decode(scan->literal + i, scan->literal_bytes - i, &byte);
        scan->literal[used++] = (char)byte;
    }
    scan->literal_bytes = used;
    for (unsigned byte = 0; byte < 256; byte++) {
        uint32_t code = alphabet_code((unsigned char)byte);
        if (scan->fill == fill_kinds)
            scan->by_byte[byte] = scan->by_class[plim_class_of(code)];
        else if (scan->fill == fill_scripts)
            scan->by_byte[byte] = (uint8_t)plim_script_of(code);
    }
}

bool plim_scan_wants(const plim_scan *scan, uint8_t bytes[256])
{
    if (scan->fill != fill_kinds && scan->fill != plim_scan_three_digits)
        return false;
    for (unsigned byte = 0; byte < 256; byte++)
        if (scan->fill == fill_kinds ? scan->by_byte[byte] != PLIM_KIND_GAP
                                     : byte >= '0' && byte <= '9')
            bytes[byte] = 1;
    return true;
}
