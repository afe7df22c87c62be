/* SPDX-License-Identifier: Apache-2.0
 *
 * Parses a command line by the option table. */
#include "options.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"
#include "option_table.h"
#include "values.h"

static void set_defaults(cli_options *o)
{
    memset(o, 0, sizeof *o);
    o->low_cpu_mem_usage = true;
    o->max_length = o->max_new_tokens = o->do_sample = o->top_k = -1;
    o->temperature = o->top_p = o->min_p = o->repetition_penalty = NAN;
}

/* Of rows with the same name that of the command, or any one. */
static const option_row *find_row(cli_command command, const char *name, size_t bytes)
{
    const option_row *found = NULL;
    for (size_t i = 0; i < cli_option_count; i++) {
        const option_row *row = &cli_option_table[i];
        if ((strlen(row->name) == bytes && !memcmp(row->name, name, bytes)) ||
            (row->alias && strlen(row->alias) == bytes && !memcmp(row->alias, name, bytes)))
            found = found && !(row->commands >> command & 1) ? found : row;
    }
    return found;
}

static const option_row *find_letter(cli_command command, char letter)
{
    const option_row *found = NULL;
    for (size_t i = 0; i < cli_option_count; i++)
        if (letter && cli_option_table[i].letter == letter)
            found = found && !(cli_option_table[i].commands >> command & 1) ? found
                                                                            : &cli_option_table[i];
    return found;
}

/* "want N from 1 to 256" and the like, in the words of the row. */
static plim_status bad_value(const option_row *row, const char *value, plim_error *err)
{
    char want[160];
    switch (row->kind) {
    case KIND_FLAG:
    case KIND_SWITCH:
    case KIND_BOOL:
        snprintf(want, sizeof want, "true or false");
        break;
    case KIND_REAL:
        snprintf(want, sizeof want,
                 row->high < 1e30 ? "a number from %g to %g" : "a number above %g", row->low,
                 row->high);
        break;
    case KIND_U64:
    case KIND_I64:
        if (row->low <= row->high)
            snprintf(want, sizeof want, "a whole number from %.0f to %.0f", row->low, row->high);
        else
            snprintf(want, sizeof want, "a whole number from 0 to %" PRIu64, UINT64_MAX);
        break;
    case KIND_SIZE:
        snprintf(want, sizeof want, "a size as 512MiB, 8GiB, 8GB or plain bytes");
        break;
    case KIND_COUNTS:
        snprintf(want, sizeof want, "up to %d whole numbers between commas", CLI_MAX_COUNTS);
        break;
    case KIND_LINE:
        snprintf(want, sizeof want, "auto, none, or a size as 512MiB, 8GiB, 8GB or plain bytes");
        break;
    default:
        snprintf(want, sizeof want, "one of %s", row->help);
        break;
    }
    return cli_fail(err, PLIM_E_USAGE, "--%s: want %s, found '%.60s'", row->name, want, value);
}

static bool within(const option_row *row, double value)
{
    return row->low > row->high ||
           (value >= row->low && value <= row->high && (value > row->low || !row->above_low));
}

static plim_status set_dtype(const option_row *row, const char *value, plim_dtype *out,
                             plim_error *err)
{
    plim_error ignored;
    plim_dtype dtype;
    if (!strcmp(value, "auto"))
        dtype = PLIM_AUTO;
    else if (plim_dtype_parse(&dtype, value, &ignored) != PLIM_OK ||
             (dtype != PLIM_F32 && dtype != PLIM_F16 && dtype != PLIM_BF16 &&
              (row->kind != KIND_DTYPE || (dtype != PLIM_I8 && dtype != PLIM_Q4))))
        return bad_value(row, value, err);
    *out = dtype;
    return PLIM_OK;
}

static bool set_line(const char *value, cli_line *out)
{
    out->kind = !strcmp(value, "auto")   ? LINE_AUTO
                : !strcmp(value, "none") ? LINE_NONE
                                         : LINE_BYTES;
    return out->kind != LINE_BYTES || (value_size(value, &out->bytes) && out->bytes > 0);
}

static bool set_counts(cli_counts *out, const char *value)
{
    char number[24];
    for (out->n = 0;; value++) {
        size_t digits = strcspn(value, ",");
        if (out->n == CLI_MAX_COUNTS || digits >= sizeof number)
            return false;
        memcpy(number, value, digits);
        number[digits] = '\0';
        if (!value_u64(number, &out->count[out->n]) || out->count[out->n++] > UINT32_MAX)
            return false;
        value += digits;
        if (!*value)
            return true;
    }
}

/* The kinds that are a number: false when `value` is none, or out of range. */
static bool set_number(const option_row *row, void *field, const char *value)
{
    uint64_t whole;
    double real;
    switch (row->kind) {
    case KIND_REAL:
        if (!value_real(value, &real) || !within(row, real))
            return false;
        *(double *)field = real;
        return true;
    case KIND_SIZE:
        if (!value_size(value, &whole) || !within(row, (double)whole))
            return false;
        *(uint64_t *)field = whole;
        return true;
    case KIND_U64:
        if (!value_u64(value, &whole) || !within(row, (double)whole))
            return false;
        *(uint64_t *)field = whole;
        return true;
    default: /* KIND_I64: the bounds are below 2^63 */
        if (!value_u64(value, &whole) || !within(row, (double)whole))
            return false;
        *(int64_t *)field = (int64_t)whole;
        return true;
    }
}

static plim_status set_value(cli_options *o, const option_row *row, const char *value,
                             plim_error *err)
{
    void *field = (char *)o + row->field;
    int64_t truth = 1;
    bool ok = true;
    switch (row->kind) {
    case KIND_FLAG:
    case KIND_BOOL:
        ok = !value || value_bool(value, &truth);
        *(bool *)field = truth != 0;
        break;
    case KIND_SWITCH:
        ok = !value || value_bool(value, &truth);
        *(int64_t *)field = truth;
        break;
    case KIND_TEXT:
    case KIND_FILE_TEXT:
        *(const char **)field = value;
        break;
    case KIND_TEXTS:
        if (((cli_texts *)field)->count == CLI_MAX_STOP || !*value)
            return cli_fail(err, PLIM_E_USAGE, "--%s: want at most %d texts, none of them empty",
                            row->name, CLI_MAX_STOP);
        ((cli_texts *)field)->text[((cli_texts *)field)->count++] = value;
        break;
    case KIND_LINE:
        ok = set_line(value, field);
        break;
    case KIND_DTYPE:
    case KIND_KV_DTYPE:
        return set_dtype(row, value, field, err);
    case KIND_READER:
        ok = value_reader(value, field);
        break;
    case KIND_COUNTS:
        ok = set_counts(field, value);
        break;
    case KIND_IDS:
        free(((cli_ids *)field)->ids);
        return value_ids(value, strlen(value), "--prompt-tokens", field, err);
    default:
        ok = set_number(row, field, value);
        break;
    }
    return ok ? PLIM_OK : bad_value(row, value, err);
}

/* One option at argv[*at]; *at ends on the last argument it took. */
static plim_status parse_option(cli_options *o, cli_command command, int argc, char **argv, int *at,
                                plim_error *err)
{
    const char *text = argv[*at];
    const char *value = NULL;
    const option_row *row;
    if (text[1] == '-') {
        size_t bytes = strcspn(text + 2, "=");
        row = find_row(command, text + 2, bytes);
        value = text[2 + bytes] == '=' ? text + 3 + bytes : NULL;
    } else {
        row = find_letter(command, text[1]);
        value = text[1] && text[2] ? text + 2 : NULL;
        if (row && row->kind == KIND_FLAG && value)
            row = NULL;
    }
    if (!row)
        return cli_fail(err, PLIM_E_USAGE, "unknown option '%.80s'", text);
    if (!(row->commands >> command & 1))
        return cli_fail(err, PLIM_E_USAGE, "--%s is no option of this command", row->name);
    if (!value && row->kind != KIND_FLAG && row->kind != KIND_SWITCH) {
        const char *next = *at + 1 < argc ? argv[*at + 1] : NULL;
        bool option =
            next && !strncmp(next, "--", 2) && find_row(command, next + 2, strcspn(next + 2, "="));
        if (!next || option)
            return cli_fail(err, PLIM_E_USAGE, "--%s wants a value (%s)%s", row->name, row->value,
                            option ? "; write --name=--value for one that begins with dashes" : "");
        value = argv[++*at];
    }
    return set_value(o, row, value, err);
}

plim_status cli_options_parse(cli_options *o, cli_command command, int argc, char **argv,
                              plim_error *err)
{
    bool options_end = false;
    set_defaults(o);
    for (int i = 0; i < argc; i++) {
        if (!options_end && !strcmp(argv[i], "--")) {
            options_end = true;
        } else if (!options_end && argv[i][0] == '-' && argv[i][1]) {
            plim_status status = parse_option(o, command, argc, argv, &i, err);
            if (status != PLIM_OK)
                return status;
        } else if (o->name_count == CLI_MAX_NAMES) {
            return cli_fail(err, PLIM_E_USAGE, "one argument too many: '%.80s'", argv[i]);
        } else {
            o->names[o->name_count++] = argv[i];
        }
    }
    size_t want = o->cpu ? 0 : command == CMD_SYNTH || command == CMD_CONVERT ? 2 : 1;
    if (o->help || o->name_count == want)
        return PLIM_OK;
    if (o->name_count > want)
        return cli_fail(err, PLIM_E_USAGE, "one argument too many: '%.80s'", o->names[want]);
    return cli_fail(err, PLIM_E_USAGE,
                    command == CMD_SYNTH     ? "CONFIG and OUT are wanted"
                    : command == CMD_CONVERT ? "MODEL and OUT are wanted"
                                             : "MODEL is missing");
}

void cli_options_free(cli_options *o)
{
    free(o->prompt_tokens.ids);
    o->prompt_tokens.ids = NULL;
}

void cli_options_help(cli_out *out, cli_command command)
{
    for (size_t i = 0; i < cli_option_count; i++) {
        const option_row *row = &cli_option_table[i];
        if (!(row->commands >> command & 1))
            continue;
        char left[64], letter[5] = "";
        if (row->letter)
            snprintf(letter, sizeof letter, "-%c, ", row->letter);
        snprintf(left, sizeof left, "%s--%s%s%s", letter, row->name, row->value ? " " : "",
                 row->value ? row->value : "");
        out_format(out, "  %-26s %s\n", left, row->help);
    }
}
