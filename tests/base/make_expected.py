# SPDX-License-Identifier: Apache-2.0
"""Writes expected_utf8.h, expected_num.h and expected_json.h beside itself: what Python says, for the tests of base/.

python3 tests/base/make_expected.py      (no packages needed; same output every time)
"""
import contextlib
import functools
import itertools
import json
import pathlib
import random
import struct
from fractions import Fraction

MASK = (1 << 64) - 1
EDGE = [0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF,
        0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF]


def fnv(data, h=0xCBF29CE484222325):
    for byte in data:
        h = ((h ^ byte) * 0x100000001B3) & MASK
    return h


def c_string(data):
    """A C string literal of any bytes; octal escapes of three digits swallow nothing that follows."""
    out = ""
    for byte in data:
        c = chr(byte)
        if c in '"\\?':
            out += "\\" + c
        elif 0x20 <= byte < 0x7F:
            out += c
        else:
            out += f"\\{byte:03o}"
    return f'"{out}"'


@functools.cache
def completable(tail):
    """Whether more bytes make one code point of it.  (The incremental decoder is no judge: it also waits for the rest
    of surrogates.)"""
    for n in range(1, 4):
        for more in itertools.product(b"\x80\x8f\x90\x9f\xa0\xbf", repeat=n):
            try:
                if len((tail + bytes(more)).decode("utf-8")) == 1:
                    return True
            except UnicodeDecodeError:
                pass
    return False


def incomplete(data):
    """Offset from which more bytes are wanted, or -1."""
    for start in range(max(0, len(data) - 3), len(data)):
        if data[start] >= 0x80 and completable(data[start:]):
            return start
    return -1


def first_bad(data):
    try:
        data.decode("utf-8")
        return len(data)
    except UnicodeDecodeError as e:
        return e.start


def utf8_tables():
    print("/* Bytes, what they decode to with U+FFFD for each maximal ill-formed prefix, the first bad byte, and")
    print(" * where more bytes could have completed a code point (-1: nowhere). */")
    rng = random.Random(1)
    cases = [b"", b"plain", "Ä€𝄞 Ġthe".encode(), b"\xff", b"a\x80b", b"\xe2\x82", b"\xf0\x9f\x98",
             b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf",
             b"12345678\xc3", b"1234567\xc3\xa9\xe2", b"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41"]
    for _ in range(120):
        cases.append(bytes(rng.choice(EDGE + [0xC3, 0xA9, 0x61]) for _ in range(rng.randint(1, 14))))
    print("static const struct utf8_case {\n    const char *bytes;\n    size_t n;\n    const char *replaced;"
          "\n    size_t replaced_n, first_bad;\n    long incomplete;\n} utf8_cases[] = {")
    for data in cases:
        replaced = data.decode("utf-8", "replace").encode()
        print(f"    {{{c_string(data)}, {len(data)}, {c_string(replaced)}, {len(replaced)}, "
              f"{first_bad(data)}, {incomplete(data)}}},")
    print("};\n")
    print("/* FNV-1a over the UTF-8 of the replaced text, the first bad byte and the incomplete one, of every sequence")
    print(" * of 1 to 4 of utf8_edge (the last byte fastest). */")
    print("static const unsigned char utf8_edge[] = {" + ", ".join(map(str, EDGE)) + "};")
    h = fnv(b"")
    for n in range(1, 5):
        for sequence in itertools.product(EDGE, repeat=n):
            data = bytes(sequence)
            h = fnv(data.decode("utf-8", "replace").encode() + bytes([first_bad(data), incomplete(data) & 255]), h)
    print(f"static const uint64_t utf8_edge_hash = 0x{h:016x}u;")
    h = fnv(b"")
    for cp in range(0x110000):
        if not 0xD800 <= cp < 0xE000:
            h = fnv(chr(cp).encode(), h)
    print("/* FNV-1a over the UTF-8 of every code point. */")
    print(f"static const uint64_t utf8_all_hash = 0x{h:016x}u;\n")


def bits(x):
    return struct.unpack("<Q", struct.pack("<d", x))[0]


def significant(text):
    mantissa = text.lower().split("e")[0].lstrip("-").replace(".", "").lstrip("0").rstrip("0")
    return len(mantissa)


def number_tables():
    rng = random.Random(2)
    values = [0.0, -0.0, 1.0, -1.0, 0.1, 0.2, 0.3, 1 / 3, 1e22, 1e23, 5e-324, 2.2250738585072014e-308,
              2.225073858507201e-308, 1.7976931348623157e308, 9007199254740993.0, 123456789012345680.0,
              1e-6, 1e-5, 6.02214076e23, 0.000123, 3.14159, 1e21, 1e-7, 4.35, 2.675]
    values += [2.0 ** e for e in range(-1074, 1024, 37)]
    while len(values) < 260:
        x = struct.unpack("<d", struct.pack("<Q", rng.getrandbits(64)))[0]
        if x == x and abs(x) != float("inf"):
            values.append(x)
    print("/* Doubles: their bits, Python's repr, and how many digits the shortest text that reads back has. */")
    print("static const struct f64_case {\n    uint64_t bits;\n    const char *text;\n    int digits;\n} f64_cases[] = {")
    for x in values:
        print(f'    {{0x{bits(x):016x}u, "{x!r}", {significant(repr(x))}}},')
    print("};\n")
    # Halfway cases and long texts, whose rounding goes wrong in naive readers.
    texts = ["9007199254740993", "9007199254740992.99999999999999999999", "2.2250738585072011e-308",
             "2.2250738585072012e-308", "1.00000000000000011102230246251565404236316680908203125",
             "1.00000000000000011102230246251565404236316680908203124",
             "1.00000000000000011102230246251565404236316680908203126", "4.9406564584124654e-324",
             "2.4703282292062327e-324", "2.4703282292062328e-324", "1e-400", "-1e-400", "0e999", "-0", "0.0E+0",
             "179769313486231580793728971405303415079934132710037826936173778980444968292764750946649017977587207"
             "0966330286416692887910946555547851940402630657488671505820681908902000708383676273854845817711531764"
             "475730270069855571366959622842914819860834936475292719074168444365510704342711559699508093042880e0",
             "0." + "0" * 300 + "1", "1" + "0" * 300, "8.5e1", "100000000000000016777215", "100000000000000016777216"]
    print("static const struct f64_text {\n    const char *text;\n    uint64_t bits;\n} f64_texts[] = {")
    for text in texts:
        print(f'    {{"{text}", 0x{bits(float(text)):016x}u}},')
    print("};\n")
    sizes = [0, 1, 512, 1023, 1024, 1025, 1075, 1076, 1536, 1048524, 1048525, 1048575, 1048576, 354823168 * 4,
             370920448, 53687091, 53687092, 1073741824 + 53687091, 1073741824 + 53687092, 2 ** 40, 2 ** 50, 2 ** 60,
             2 ** 60 - 1, 2 ** 63, 2 ** 64 - 1, 8 * 2 ** 30, 10 ** 9, 10 ** 12]
    print("static const struct bytes_case {\n    uint64_t bytes;\n    const char *text;\n} bytes_cases[] = {")
    for n in sizes:
        text = f"{n} B"
        if n >= 1024:
            for power, unit in enumerate(("KiB", "MiB", "GiB", "TiB", "PiB", "EiB"), 1):
                tenths = int(Fraction(n * 10, 1024 ** power) + Fraction(1, 2))
                if tenths < 10240 or unit == "EiB":
                    text = f"{tenths // 10}.{tenths % 10} {unit}"
                    break
        print(f'    {{{n}u, "{text}"}},')
    print("};\n")


def stream(value, out):
    """The events of a document, one letter each with the text behind it."""
    if isinstance(value, list) and value and value[0] == "OBJECT":
        out.append(b"{")
        for k, v in value[1:]:
            out.append(b"K" + k.encode() + b"\0")
            stream(v, out)
        out.append(b"}")
    elif isinstance(value, list):
        out.append(b"[")
        for v in value[1:]:
            stream(v, out)
        out.append(b"]")
    elif isinstance(value, tuple):
        out.append(b"N" + value[1].encode() + b"\0")
    elif isinstance(value, str):
        out.append(b"S" + value.encode() + b"\0")
    else:
        out.append({True: b"t", False: b"f", None: b"n"}[value])


def random_text(rng):
    alphabet = 'aB "\\/\b\f\n\r\t\u0001\u007f\u0000éĠ€\uffff𝄞😀0'
    return "".join(rng.choice(alphabet) for _ in range(rng.choice((0, 1, 3, 8, 20, 40))))


def random_value(rng, depth):
    kind = rng.random()
    if depth < 5 and kind < 0.25:
        return {random_text(rng) + str(i): random_value(rng, depth + 1) for i in range(rng.randint(0, 6))}
    if depth < 5 and kind < 0.5:
        return [random_value(rng, depth + 1) for _ in range(rng.randint(0, 6))]
    return rng.choice([random_text(rng), random_text(rng), rng.randint(-10 ** 6, 10 ** 20), rng.uniform(-1e3, 1e3),
                       rng.random() * 1e-300, True, False, None])


def json_tables():
    rng = random.Random(3)
    print("/* Documents, and the events that Python's json finds in them: one letter each, texts end in NUL. */")
    print("static const struct json_case {\n    const char *text;\n    size_t n;\n    const char *events;\n"
          "    size_t events_n;\n} json_cases[] = {")
    for i in range(60):
        value = random_value(rng, 0 if i else 5)
        text = json.dumps(value, ensure_ascii=i % 2 == 0, indent=i % 3 or None,
                          separators=(",", ":") if i % 5 == 0 else None)
        if i % 4 == 3:  # any whitespace goes
            text = "\r\n\t " + text.replace(": ", " :\t\r") + " \n"

        parsed = json.loads(text, object_pairs_hook=lambda pairs: ("OBJECT", pairs),
                            parse_int=lambda s: ("N", s), parse_float=lambda s: ("N", s))

        def tree(v):
            if isinstance(v, tuple) and v[0] == "OBJECT":
                return ["OBJECT"] + [(k, tree(x)) for k, x in v[1]]
            if isinstance(v, list):
                return ["ARRAY"] + [tree(x) for x in v]
            return v

        out = []
        stream(tree(parsed), out)
        data, events = text.encode(), b"".join(out)
        if len(data) > 3000:
            continue
        print(f"    {{{c_string(data)},\n     {len(data)},\n     {c_string(events)},\n     {len(events)}}},")
    print("};\n")

    print("/* Mutations of a document: does Python's json take it?  (NaN, Infinity and lone surrogates, which it takes")
    print(" * and RFC 8259 forbids or leaves open, are refused.) */")
    base = '{"a": [1, -2.5e+3, true, null], "b\\u00e9": "x\\n\\ud834\\udd1e", "c": {"d": "é"}, "e": 0}'.encode()
    pool = b' "\\{}[]:,0123456789.eE+-truefalsnu\n\t\x01\xc3\xa9/bx'
    rng = random.Random(4)
    seen = set()

    def strict(data):
        def refuse(_):
            raise ValueError
        try:
            value = json.loads(data.decode("utf-8"), parse_constant=refuse,
                               object_pairs_hook=lambda pairs: pairs)
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # fails for a lone surrogate
            keys = []

            def walk(v):
                if isinstance(v, list):
                    if v and all(isinstance(x, tuple) for x in v):
                        names = [k for k, _ in v]
                        keys.append(len(names) == len(set(names)))
                    for x in v:
                        walk(x[1] if isinstance(x, tuple) else x)

            walk(value)
            return all(keys)
        except ValueError:
            return False

    print("static const struct json_verdict {\n    const char *text;\n    size_t n;\n    bool good;\n} json_verdicts[] = {")
    wanted = {True: 150, False: 350}
    while any(wanted.values()):
        data = bytearray(base)
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            at = rng.randrange(len(data))
            what = rng.random()
            if what < 0.4:
                data[at] = rng.choice(pool)
            elif what < 0.7:
                del data[at]
            else:
                data.insert(at, rng.choice(pool))
        data = bytes(data)
        good = strict(data)
        if data in seen or not wanted[good]:
            continue
        seen.add(data)
        wanted[good] -= 1
        print(f"    {{{c_string(data)}, {len(data)}, {'true' if good else 'false'}}},")
    print("};\n")


def write(part, tables):
    with open(pathlib.Path(__file__).parent / f"expected_{part}.h", "w") as out, contextlib.redirect_stdout(out):
        print("/* SPDX-License-Identifier: Apache-2.0")
        print(" *")
        print(" * Written by tests/base/make_expected.py: what Python says.  Tables only, of any length. */")
        print("/* clang-format off */")
        guard = f"PLIM_TESTS_BASE_EXPECTED_{part.upper()}_H"
        print(f"#ifndef {guard}\n#define {guard}\n")
        print("#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n")
        tables()
        print("#endif")


write("utf8", utf8_tables)
write("num", number_tables)
write("json", json_tables)
