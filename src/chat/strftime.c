/* SPDX-License-Identifier: Apache-2.0
 *
 * strftime_now: the caller's moment, formatted as in the C locale.  Nothing of the system's is
 * asked. */
#include "base/num.h"
#include "chat/run.h"

static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                   "Thursday", "Friday", "Saturday"};
static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};

/* ISO 8601: weeks begin on Monday, the first has the year's first Thursday. */
static int iso_week(const plim_chat_time *t, int *year)
{
    int monday = (t->weekday + 6) % 7, week = (t->yearday - monday + 10) / 7;
    *year = t->year;
    int y = week < 1 ? t->year - 1 : t->year;
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    int days_in = 365 + leap;
    if (week < 1) {
        *year = t->year - 1;
        return (t->yearday + days_in - monday + 10) / 7;
    }
    if (week == 53 && t->yearday - monday + 3 >= days_in) {
        *year = t->year + 1;
        return 1;
    }
    return week;
}

static int64_t seconds_since_epoch(const plim_chat_time *t)
{
    int64_t y = t->year - (t->month <= 2), era = (y >= 0 ? y : y - 399) / 400;
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (t->month + (t->month > 2 ? -3 : 9)) + 2) / 5 + t->day - 1;
    int64_t day = era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
    return ((day * 24 + t->hour) * 60 + t->minute - t->utc_offset_minutes) * 60 + t->second;
}

static size_t date_field(char *out, size_t cap, char c, const plim_chat_time *t)
{
    int year, week = iso_week(t, &year);
    switch (c) {
    case 'a':
        return plim_format(out, cap, "%.3s", days[t->weekday]);
    case 'A':
        return plim_format(out, cap, "%s", days[t->weekday]);
    case 'b':
    case 'h':
        return plim_format(out, cap, "%.3s", months[t->month - 1]);
    case 'B':
        return plim_format(out, cap, "%s", months[t->month - 1]);
    case 'c':
        return plim_format(out, cap, "%.3s %.3s %2d %02d:%02d:%02d %d", days[t->weekday],
                           months[t->month - 1], t->day, t->hour, t->minute, t->second, t->year);
    case 'C':
        return plim_format(out, cap, "%02d", t->year / 100);
    case 'd':
        return plim_format(out, cap, "%02d", t->day);
    case 'D':
    case 'x':
        return plim_format(out, cap, "%02d/%02d/%02d", t->month, t->day, t->year % 100);
    case 'e':
        return plim_format(out, cap, "%2d", t->day);
    case 'F':
        return plim_format(out, cap, "%d-%02d-%02d", t->year, t->month, t->day);
    case 'g':
        return plim_format(out, cap, "%02d", year % 100);
    case 'G':
        return plim_format(out, cap, "%d", year);
    case 'j':
        return plim_format(out, cap, "%03d", t->yearday + 1);
    case 'm':
        return plim_format(out, cap, "%02d", t->month);
    case 'u':
        return plim_format(out, cap, "%d", t->weekday ? t->weekday : 7);
    case 'U':
        return plim_format(out, cap, "%02d", (t->yearday + 7 - t->weekday) / 7);
    case 'V':
        return plim_format(out, cap, "%02d", week);
    case 'w':
        return plim_format(out, cap, "%d", t->weekday);
    case 'W':
        return plim_format(out, cap, "%02d", (t->yearday + 7 - (t->weekday + 6) % 7) / 7);
    case 'y':
        return plim_format(out, cap, "%02d", t->year % 100);
    case 'Y':
        return plim_format(out, cap, "%d", t->year);
    default:
        return 0;
    }
}

static size_t time_field(char *out, size_t cap, char c, const plim_chat_time *t)
{
    int twelve = t->hour % 12 ? t->hour % 12 : 12;
    const char *half = t->hour < 12 ? "AM" : "PM";
    switch (c) {
    case 'f':
        return plim_format(out, cap, "000000");
    case 'H':
        return plim_format(out, cap, "%02d", t->hour);
    case 'I':
        return plim_format(out, cap, "%02d", twelve);
    case 'k':
        return plim_format(out, cap, "%2d", t->hour);
    case 'l':
        return plim_format(out, cap, "%2d", twelve);
    case 'M':
        return plim_format(out, cap, "%02d", t->minute);
    case 'n':
        return plim_format(out, cap, "\n");
    case 'p':
        return plim_format(out, cap, "%s", half);
    case 'P':
        return plim_format(out, cap, "%s", t->hour < 12 ? "am" : "pm");
    case 'r':
        return plim_format(out, cap, "%02d:%02d:%02d %s", twelve, t->minute, t->second, half);
    case 'R':
        return plim_format(out, cap, "%02d:%02d", t->hour, t->minute);
    case 's':
        return plim_format(out, cap, "%lld", (long long)seconds_since_epoch(t));
    case 'S':
        return plim_format(out, cap, "%02d", t->second);
    case 't':
        return plim_format(out, cap, "\t");
    case 'T':
    case 'X':
        return plim_format(out, cap, "%02d:%02d:%02d", t->hour, t->minute, t->second);
    case '%':
        return plim_format(out, cap, "%%");
    default:
        return 0;
    }
}

static bool in_range(const plim_chat_time *t)
{
    return t->month >= 1 && t->month <= 12 && t->weekday >= 0 && t->weekday <= 6 && t->day >= 1 &&
           t->day <= 31 && t->hour >= 0 && t->hour <= 23 && t->minute >= 0 && t->minute <= 59 &&
           t->second >= 0 && t->second <= 60 && t->yearday >= 0 && t->yearday <= 365 &&
           t->year >= 1 && t->year <= 9999;
}

plim_status plim_strftime(plim_run *run, const plim_str *format, plim_val *out)
{
    plim_buf *buf;
    if (!run->now)
        return plim_run_fail(run, PLIM_E_FORMAT, "strftime_now: the caller gave no time");
    if (!in_range(run->now))
        return plim_run_fail(run, PLIM_E_FORMAT, "strftime_now: the caller's time is no time");
    PLIM_TRY(plim_buf_new(run, &buf));
    for (size_t i = 0; i < format->bytes; i++) {
        char field[64], c = i + 1 < format->bytes ? format->data[i + 1] : 0;
        bool input = plim_str_input(format, i, i + 1);
        size_t n;
        if (format->data[i] != '%') {
            PLIM_TRY(plim_buf_add(run, buf, format, i, i + 1));
            continue;
        }
        size_t used = 1;
        bool bare = c == '-' && i + 2 < format->bytes; /* "%-d": no zeros or blanks in front */
        if (bare) {
            c = format->data[i + 2];
            used = 2;
        }
        n = date_field(field, sizeof field, c, run->now);
        n = n ? n : time_field(field, sizeof field, c, run->now);
        const char *text = field;
        while (bare && n > 1 && (*text == '0' || *text == ' ')) {
            text++;
            n--;
        }
        if (c == 'Z' || c == 'z') { /* of a moment without a time zone: nothing, as in Python */
            i += used;
            continue;
        }
        if (!n) { /* unknown: it stays as it is */
            PLIM_TRY(plim_buf_add(run, buf, format, i, i + 1));
            continue;
        }
        PLIM_TRY(plim_buf_put(run, buf, text, n, input));
        i += used;
    }
    return plim_buf_take(run, buf, out);
}
