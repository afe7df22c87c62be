/* SPDX-License-Identifier: Apache-2.0
 *
 * The environment of the program. */
#include "environment.h"

#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fail.h"

typedef struct variable {
    const char *name, *meaning;
} variable;

enum {
    HF_HUB_CACHE,
    HUGGINGFACE_HUB_CACHE,
    HF_HOME,
    XDG_CACHE_HOME,
    HOME,
    PLIMSOLL_CPU,
    XDG_STATE_HOME,
    NO_COLOR,
    TERM,
    TZ,
    VARIABLES
};

static const variable table[VARIABLES] = {
    [HF_HUB_CACHE] = {"HF_HUB_CACHE", "the cache folder itself"},
    [HUGGINGFACE_HUB_CACHE] = {"HUGGINGFACE_HUB_CACHE", "its old name"},
    [HF_HOME] = {"HF_HOME", "the cache is HF_HOME/hub"},
    [XDG_CACHE_HOME] = {"XDG_CACHE_HOME",
                        "the cache is XDG_CACHE_HOME/huggingface/hub; measured speeds are kept in\n"
                        "                         XDG_CACHE_HOME/plimsoll/speeds.json"},
    [HOME] = {"HOME",
              "the cache is HOME/.cache/huggingface/hub, the speeds are in\n"
              "                         HOME/.cache/plimsoll/speeds.json; also what ~ means"},
    [PLIMSOLL_CPU] =
        {"PLIMSOLL_CPU",
         "the kernels, by a level that plimsoll info --cpu lists (scalar, avx2, ...);\n"
         "                         default: the best that this processor has"},
    [XDG_STATE_HOME] = {"XDG_STATE_HOME",
                        "lines typed in chat are kept in XDG_STATE_HOME/plimsoll/history;\n"
                        "                         default: HOME/.local/state/plimsoll/history"},
    [NO_COLOR] = {"NO_COLOR", "set and not empty: no dim lines in chat"},
    [TERM] = {"TERM", "the terminal, for editing lines in chat; dumb: no dim lines"},
    [TZ] = {"TZ", "the time zone, for chat templates that ask for the date"},
};

static const char *value_of(int which)
{
    return getenv(table[which].name);
}

/* Append to path; false when it does not fit. */
static bool append(char *path, size_t cap, const char *text, size_t bytes)
{
    size_t used = strlen(path);
    if (bytes >= cap - used)
        return false;
    memcpy(path + used, text, bytes);
    path[used + bytes] = '\0';
    return true;
}

/* path/name with Python's os.path.join: one slash between, none after an empty path. */
static bool join(char *path, size_t cap, const char *name)
{
    size_t used = strlen(path);
    if (used > 0 && path[used - 1] != '/' && !append(path, cap, "/", 1))
        return false;
    return append(path, cap, name, strlen(name));
}

/* A "~" or "~name" in front becomes the home folder; unknown names stay (os.path.expanduser). */
static bool expand_home(char *dst, size_t cap, const char *src)
{
    dst[0] = '\0';
    size_t bytes = strcspn(src, "/");
    const char *home = NULL;
    if (src[0] == '~' && bytes == 1) {
        home = value_of(HOME);
        const struct passwd *user = home ? NULL : getpwuid(getuid());
        home = user ? user->pw_dir : home;
    } else if (src[0] == '~' && bytes < 256) {
        char name[256];
        memcpy(name, src + 1, bytes - 1);
        name[bytes - 1] = '\0';
        const struct passwd *user = getpwnam(name);
        home = user ? user->pw_dir : NULL;
    }
    if (!home)
        return append(dst, cap, src, strlen(src));
    size_t length = strlen(home);
    while (length > 0 && home[length - 1] == '/')
        length--;
    bool ok = append(dst, cap, home, length) && append(dst, cap, src + bytes, strlen(src + bytes));
    return ok && (dst[0] || append(dst, cap, "/", 1));
}

/* $NAME and ${NAME} become their values; unknown ones stay (os.path.expandvars). */
static bool expand_variables(char *dst, size_t cap, const char *src)
{
    static const char word[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    dst[0] = '\0';
    while (*src) {
        size_t plain = strcspn(src, "$");
        if (!append(dst, cap, src, plain))
            return false;
        src += plain;
        if (!*src)
            break;
        bool braced = src[1] == '{';
        const char *first = src + (braced ? 2 : 1);
        size_t bytes = braced ? strcspn(first, "}") : strspn(first, word);
        size_t whole = (size_t)(first - src) + bytes + (braced ? 1 : 0);
        char name[256] = "";
        bool closed = !braced || first[bytes] == '}';
        if (closed && bytes > 0 && bytes < sizeof name)
            memcpy(name, first, bytes);
        const char *value = name[0] ? getenv(name) : NULL;
        if (!closed || !value)
            value = NULL;
        if (!closed)
            whole = 1;
        if (!append(dst, cap, value ? value : src, value ? strlen(value) : whole))
            return false;
        src += whole;
    }
    return true;
}

static bool expand(char *path, size_t cap)
{
    char home[PATH_MAX], whole[PATH_MAX];
    if (!expand_home(home, sizeof home, path) || !expand_variables(whole, sizeof whole, home))
        return false;
    path[0] = '\0';
    return append(path, cap, whole, strlen(whole));
}

static bool find_cache(char *path, size_t cap)
{
    const char *direct = value_of(HF_HUB_CACHE);
    if (!direct)
        direct = value_of(HUGGINGFACE_HUB_CACHE);
    path[0] = '\0';
    if (direct)
        return append(path, cap, direct, strlen(direct)) && expand(path, cap);
    const char *home = value_of(HF_HOME), *xdg = value_of(XDG_CACHE_HOME);
    bool ok;
    if (home)
        ok = append(path, cap, home, strlen(home));
    else if (xdg)
        ok = append(path, cap, xdg, strlen(xdg)) && join(path, cap, "huggingface");
    else
        ok = append(path, cap, "~/.cache/huggingface", 20);
    return ok && expand(path, cap) && join(path, cap, "hub");
}

plim_status environment_cache(char *path, size_t cap, plim_error *err)
{
    if (find_cache(path, cap))
        return PLIM_OK;
    return cli_fail(err, PLIM_E_LIMIT, "the name of the Hugging Face cache folder is too long");
}

plim_status environment_speeds(char *path, size_t cap, plim_error *err)
{
    const char *xdg = value_of(XDG_CACHE_HOME);
    bool given = xdg && xdg[0] == '/'; /* its specification: others are to be ignored */
    path[0] = '\0';
    if (!append(path, cap, given ? xdg : "~/.cache", given ? strlen(xdg) : 8) ||
        (!given && !expand(path, cap)) || !join(path, cap, "plimsoll") ||
        !join(path, cap, "speeds.json"))
        return cli_fail(err, PLIM_E_LIMIT, "the name of the cache folder is too long");
    return path[0] == '/' ? PLIM_OK : cli_fail(err, PLIM_E_IO, "there is no home folder");
}

plim_status environment_history(char *path, size_t cap, plim_error *err)
{
    const char *xdg = value_of(XDG_STATE_HOME);
    bool given = xdg && xdg[0] == '/';
    path[0] = '\0';
    if (!append(path, cap, given ? xdg : "~/.local/state", given ? strlen(xdg) : 14) ||
        (!given && !expand(path, cap)) || !join(path, cap, "plimsoll") ||
        !join(path, cap, "history"))
        return cli_fail(err, PLIM_E_LIMIT, "the name of the state folder is too long");
    return path[0] == '/' ? PLIM_OK : cli_fail(err, PLIM_E_IO, "there is no home folder");
}

bool environment_colour(void)
{
    const char *no = value_of(NO_COLOR), *term = value_of(TERM);
    return (!no || !*no) && term && *term && strcmp(term, "dumb") != 0;
}

plim_status environment_cpu(unsigned *mask, plim_error *err)
{
    const char *wanted = value_of(PLIMSOLL_CPU);
    char names[160] = "";
    plim_cpu_level level;
    plim_cpu_info cpu;
    *mask = PLIM_CPU_ALL;
    if (!wanted || !*wanted)
        return PLIM_OK;
    plim_cpu_read(&cpu);
    for (size_t i = 0; plim_cpu_level_read(&level, i) == PLIM_OK; i++) {
        bool has = (cpu.features & level.needs) == level.needs;
        if (!strcmp(level.name, wanted)) {
            *mask = level.needs;
            return has ? PLIM_OK
                       : cli_fail(err, PLIM_E_USAGE, "PLIMSOLL_CPU=%s: this processor lacks %s",
                                  wanted, level.instructions);
        }
        if (i > 0)
            append(names, sizeof names, ", ", 2);
        append(names, sizeof names, level.name, strlen(level.name));
    }
    return cli_fail(err, PLIM_E_USAGE, "PLIMSOLL_CPU: want one of %s, found '%.40s'", names,
                    wanted);
}

void environment_help(cli_out *out)
{
    char path[PATH_MAX];
    out_text(
        out,
        "Variables that plimsoll reads; those of folders in the order in which they decide where\n"
        "the Hugging Face cache lies (--cache-dir comes before all of them):\n\n");
    for (int i = 0; i < VARIABLES; i++) {
        const char *value = value_of(i);
        out_format(out, "  %-22s %s\n", table[i].name, table[i].meaning);
        out_format(out, "  %-22s %s%s\n", "", value ? "now: " : "not set", value ? value : "");
    }
    plim_error ignored;
    if (environment_speeds(path, sizeof path, &ignored) == PLIM_OK)
        out_format(out, "\nMeasured speeds are in %s\n", path);
    if (find_cache(path, sizeof path))
        out_format(out, "\nThe cache folder is %s\n", path);
}
