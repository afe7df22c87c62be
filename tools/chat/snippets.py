# SPDX-License-Identifier: Apache-2.0
"""Small templates over every feature of the language: what record_snippets.py records.

Expressions, printed alone with CONTEXT; whole templates are in snippets_templates.py."""

CONTEXT = {
    "s": "Hello, World", "empty": "", "u": "é ß 日本 👍 Σας", "ws": " \t\n padded \u00a0\n", "quote": "it's", "both": "a'b\"c",
    "n": 7, "neg": -7, "zero": 0, "big": 9007199254740993, "f": 2.5, "fneg": -0.1, "t": True, "no": False, "null": None,
    "l": [3, 1, 2], "ls": ["b", "A", "c", "B"], "le": [], "nested": [[1, [2, 3]], {"k": ["v"]}],
    "d": {"b": 1, "a": "x", "items": "shadow", "C": None}, "de": {}, "html": "<a href='x'>&\"",
    "users": [{"name": "Bob", "age": 30, "tags": ["x"], "addr": {"city": "Rome"}},
              {"name": "alice", "age": 25, "tags": [], "addr": {"city": "oslo"}},
              {"name": "Carl", "age": 30, "addr": {"city": "rome"}}],
    "lines": "one\n\n  two\r\nthree\n", "ctl": "a\u0000b\u001b\u007f\u0085\u200b\ufeff\U000e0001", "long": "word " * 12, "json": "{\"a\": [1]}",
    "num": "42", "numf": " 3.5 ", "hex": "0x1F",
}

OPERATORS = r"""
1 + 2
n - 10
n * 3
n / 2
n // 2
neg // 2
n % 3
neg % 3
n % -3
2 ** 10
2 ** -1
-2 ** 2
2 ** 3 ** 2
7.0 // 2
-7.5 // 2
7.5 % 2
-7.5 % 2
5 % -3.5
0.1 + 0.2
1e3
1.5e300 * 1e10
1e16
123456789012345680.0
1e-5
0.0001
1_000_000
0x1F + 0o17 + 0b11
f * 2
f ** 2
4 ** 0.5
t + t
-t
+no
n / zero
n // zero
n % zero
f / 0
1.0 // 0.0
0 ** -1
9223372036854775807 + 1
9223372036854775807 * 2
2 ** 64
s + 1
1 + s
"a" + "b"
l + [4]
(1,) + (2,)
l + (1,)
"ab" * 3
3 * "ab"
"ab" * 0
"ab" * -1
[1, 2] * 2
"ab" * f
s - "x"
null + 1
missing + 1
s ~ 1 ~ None ~ True ~ 1.0 ~ l
missing ~ "x"
1 < 2 < 3
1 < 3 < 2
3 > 2 >= 2
1 == 1.0
1 == True
"1" == 1
"a" < "b"
"B" < "a"
"a" < 1
None < 1
[1, 2] < [1, 3]
(1, 2) == (1, 2)
[1] == (1,)
l == [3, 1, 2]
d == {"b": 1, "a": "x", "items": "shadow", "C": none}
missing == missing2
missing == none
missing < 1
big == big + 0.0
not t
not empty
not not s
t and s
no and s
null or "default"
empty or le or "x"
n and 0 or "z"
1 in l
4 in l
4 not in l
"ell" in s
"" in s
"x" in d
"b" in d
1 in d
[1] in d
1 in s
1 in missing
missing in l
missing in s
1 in 1
1 in none
2 in range(3)
"b" in d.keys()
("b", 1) in d.items()
1 in d.values()
"a" if t else "b"
"a" if no else "b"
"a" if no
("a" if no) is defined
"a" if no else "b" if no else "c"
(1, 2)
(1,)
()
1, 2
[1, "a", none, true, 1.5, [2], (3,), {"k": "v"}]
{"a": 1, 2: "b", none: 3, true: 4, 1.5: 5, (1, 2): 6}
{"a": 1, "a": 2}
{[1]: 2}
{1: "a", 1.0: "b", true: "c"}
"a" "b" 'c'
"\n\t\\\'\"\x41\u00e9\U0001F600\101\q"
'\é'
"\
x"
-n|abs
(-n)|abs
n.real
n.bit_length()
f.is_integer()
(4.0).is_integer()
loop
self
"%s and %r" % (s, s)
"%s" % l
"%s" % missing
"%d%%" % 50
"%5d|%-5d|%05d|%+d|% d" % (n, n, n, n, n)
"%x %X %#x %o %#o" % (255, 255, 255, 8, 8)
"%.2f %10.3f|%-10.1f|%e %g %G" % (f, f, f, f, 1e10, 1e-10)
"%c%c" % (65, "z")
"%(a)s-%(b)d" % d
"%(zz)s" % d
"%s %s" % (1,)
"%s" % (1, 2)
"%d" % "x"
"%d" % 3.99
"%q" % 1
"%" % ()
"%.3s|%5.1s|" % (s, s)
"%*d|%-*d|%.*f" % (5, 1, 5, 1, 2, 3.14159)
"abc" % []
"abc" % 1
"%s" % none
"%i %u" % (1, 2)
"%.3d" % 5
"%#.3g %#x" % (1.0, 10)
"%5s|%-5s|" % ("é", "é")
+s
-s
-missing
"""

ITEMS = r"""
l[0]
l[-1]
l[5]
l[5].x
l["x"]
l[t]
l[1:]
l[:-1]
l[::-1]
l[::2]
l[-2:]
l[5:]
l[2:0:-1]
l[::0]
l["a":]
s[0]
s[-1]
s[1:4]
s[::-1]
s[::3]
s[-3:-1]
s[10:2:-2]
s[100]
u[2]
u[::-1]
u[3:6]
u[-3:]
u[::2]
(1, 2, 3)[1:]
range(10)[2:8:3]
range(10)[3]
range(5)[::-1]|list
d["b"]
d.b
d.items
d["items"]
d["get"]
d["zz"]
d.zz
d.zz.y
d["zz"]["y"]
d[1]
d[[1]]
d.items()
d.keys()
d.values()
d.items()|list
d.get("b")
d.get("q")
d.get("q", 5)
d.get()
d.copy()
nested[0][1][0]
nested.0
nested.1.k
nested[1]["k"][0]
users[0].addr.city
users[0].tags[0]
missing
missing.x
missing["x"]
missing[0]
missing[1:]
missing()
s()
d()
none.x
none[0]
none.x.y
n[0]
n.x
1.x
s.upper
s.x
"abc".upper()
l[0, 1]
d[1, 2]
d[1:2]
s[1:2, 3]
users|map(attribute="addr.city")|list
dict(a=1, b=2)
dict([("a", 1), ["b", 2]])
dict({"x": 1}, y=2)
dict(1)
dict([1])
dict.fromkeys(["a", "b"], 0)
dict.fromkeys(["a"])
namespace(a=1).a
namespace(a=1).b
namespace({"x": 2}).x
namespace(a=[1])
range(3)
range(1, 4)
range(0, 10, 3)|list
range(3, 0, -1)|list
range(5, 2)|list
range(1, 2, 0)
range("a")
range()
range(100000)|length
range(100001)
range(2, 5)|sum
range(3) == range(0, 3)
joiner is defined
"".__class__
"".__class__.__mro__
"".__class__.x
s.__init__
s._private
s["__class__"]
s["__class__"]|string
l.append(1)
l.append
d.pop("a")
d.update({})
l.sort()
d["pop"]("a")
l.insert
l.pop()
l.clear()
l.extend([1])
d.setdefault("q", 1)
d.popitem()
missing.__class__
d.__class__
"{0.__class__}".format(1)
"{a.b}".format(a=d)
namespace(_x=1)
namespace(__class__=1)
"x"|attr("__class__")
"x"|attr("upper")()
d|attr("items") is callable
d|attr("b")
d|attr("b") is defined
l.index(1)
l.index(9)
l.count(1)
l.copy()
(1, 1).count(1)
(1, 2).index(2)
l.index(1, 2)
"""

METHODS = r"""
s.upper()
s.lower()
u.upper()
u.lower()
u.title()
u.capitalize()
u.swapcase()
u.casefold()
"ß".upper()
"ﬁx ŉ".upper()
"İ".lower()
"ΑΣ ΑΣΑ Σ".lower()
"ǆ".title()
"they're bill's".title()
"hELLO wORLD".capitalize()
s.swapcase()
ws.strip()
ws.lstrip()
ws.rstrip()
"xxaxx".strip("x")
"xyaxy".strip("yx")
"xxaxx".lstrip("x")
"xxaxx".rstrip("x")
"abc".strip(none)
"abc".strip(1)
"a,b,,c".split(",")
"a b  c".split(" ")
" a  b c ".split()
" a  b c ".split(none, 1)
"a,b,c".split(",", 1)
"a,b,c".split(",", maxsplit=1)
"a,b,c".split(sep=",")
"a,b,c".rsplit(",", 1)
" a b c ".rsplit(none, 1)
" a b c ".rsplit()
"abc".split("")
"".split()
"".split(",")
"a<x>b<x>c".split("<x>")[-1]
"aXbXc".partition("X")
"aXbXc".rpartition("X")
"abc".partition("X")
"abc".rpartition("X")
"abc".partition("")
lines.splitlines()
lines.splitlines(true)
lines.splitlines(keepends=true)
"a\x0bb\x0cc\x1cd\u2028e\x85f".splitlines()
"".splitlines()
"aaa".replace("a", "b")
"aaa".replace("a", "b", 2)
"abc".replace("", "-")
"abc".replace("", "-", 2)
"日本".replace("", "-")
"aaa".replace("aa", "b")
"aaa".replace("a", 1)
s.find("o")
s.find("o", 5)
s.find("zz")
s.rfind("o")
s.rfind("o", 0, 5)
u.find("日")
s.index("W")
s.index("zz")
s.rindex("o")
s.count("l")
s.count("")
s.count("l", 3)
"aaaa".count("aa")
s.startswith("Hell")
s.startswith(("x", "H"))
s.startswith("World", 7)
s.startswith("")
s.startswith("", 20)
s.startswith(1)
s.endswith("ld")
s.endswith(("x", "d"))
s.endswith("Hello", 0, 5)
s.removeprefix("Hello")
s.removesuffix("World")
s.removeprefix("x")
"ab".center(7)
"abc".center(6, "*")
"abc".center(7, "*")
"abc".ljust(5, "é")
"abc".rjust(5)
"abc".rjust(5, "xx")
"42".zfill(5)
"-42".zfill(5)
"a\tb\tc".expandtabs()
"a\tb".expandtabs(4)
"-".join(["a", "b"])
"-".join([1])
"-".join("abc")
", ".join(ls)
"".join([])
"abc".isalpha()
"ab1".isalnum()
"".isalpha()
"12".isdigit()
"²".isdigit()
"²".isdecimal()
"½".isnumeric()
"12".isdecimal()
" \t".isspace()
"Ab".istitle()
"AB".istitle()
"ab".islower()
"aB".islower()
"12".islower()
"AB1".isupper()
"a\n".isprintable()
"".isprintable()
"abc".isascii()
"é".isascii()
"a1_".isidentifier()
"1a".isidentifier()
"{} {}".format(1, "a")
"{0} {1} {0}".format(1, 2)
"{a} {b}".format(a=1, b=s)
"{0[0]} {1.x}".format(l, d)
"{d[b]}".format(d=d)
"{:>8}|{:<8}|{:^8}|{:*^8}".format("ab", "ab", "ab", "ab")
"{:5d}|{:<5d}|{:05d}|{:+d}|{:,}".format(n, n, n, n, 1234567)
"{:.2f} {:8.3f} {:e} {:g} {:%}".format(f, f, f, f, 0.25)
"{:x} {:X} {:#x} {:b} {:#b} {:o} {:c}".format(255, 255, 255, 5, 5, 8, 65)
"{!r} {!s}".format(s, s)
"{:{w}}|".format("a", w=5)
"{{}} {{{}}}".format(1)
"{:.3}|{:10.3}|".format(s, s)
"{} {0}".format(1)
"{2}".format(1)
"{x}".format(1)
"{".format()
"}".format()
"{:d}".format("a")
"{:d}".format(1.5)
"{:s}".format(1)
"{}".format(l)
"{:5}".format(l)
"{:5}|{:5}".format(true, none)
"{:>5}|{:5}".format(true, false)
"{:_}".format(1234567)
"{:,.2f}".format(1234567.891)
"{:n}".format(5)
"{0.real}".format(3)
"{:.0f} {:.1f}".format(0.5, 0.25)
"{:G} {:E}".format(1e20, 12345.678)
"{} {} {}".format(1e100, 1e22, 123456.789)
"{:.3}".format(1234.5)
"{:10}|{:<10}|".format(1.5, 2)
"{a}".format_map({"a": 1})
"abc".translate({97: "x", 98: none, 99: 100})
s.nope()
s.upper(1)
s.split(foo=1)
"a".ljust()
"""
