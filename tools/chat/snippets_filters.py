# SPDX-License-Identifier: Apache-2.0
"""Filters, representations and tests: the second part of snippets.py."""

FILTERS = r"""
s|upper
s|lower
n|upper
none|lower
missing|upper
"hello wORLD foo-bar (baz) {x} 3rd"|title
u|title
"hELLO"|capitalize
ws|trim
"xxax"|trim("x")
n|trim
missing|trim
"a-b-a"|replace("a", "c")
"aaa"|replace("a", "b", 2)
n|replace(7, 8)
s|replace("Hello")
"ab"|center(10)
"ab"|center
lines|indent
lines|indent(2)
lines|indent(2, true)
lines|indent(2, true, true)
lines|indent(2, blank=true)
lines|indent("> ", first=true)
"a\nb"|indent(width=3)
""|indent
n|indent
long|truncate(20)
long|truncate(20, true)
long|truncate(20, false, "…")
long|truncate(20, leeway=50)
"abc"|truncate(2)
l|truncate(5)
l|truncate(3, leeway=0)|length
[1,2,3,4]|truncate(3, leeway=0)
missing|truncate
n|truncate
"foo bar baz qux"|truncate(9)
"foo bar baz qux"|truncate(11, false, "...", 0)
s|wordcount
u|wordcount
"a-b c_d"|wordcount
"%s-%s"|format(1, 2)
"%(a)s"|format(a=1)
"%s"|format(1, a=2)
"a b/c?d=é&"|urlencode
{"a b": "c&d", "e": 1}|urlencode
[("a", 1)]|urlencode
n|urlencode
s|length
u|length
l|length
d|length
missing|length
n|length
none|length
range(5)|length
s|count
l|first
le|first
s|first
d|first
missing|first
n|first
l|last
s|last
d|last
le|last
range(3)|last
(l|map("abs"))|last
s|list
d|list
n|list
none|list
missing|list
l|reverse|list
s|reverse
u|reverse
d|reverse|list
(1, 2)|reverse|list
l|join
l|join(", ")
ls|join("-")
users|join(", ", attribute="name")
users|map(attribute="name")|join("|")
missing|join
n|join
s|join(".")
[1, none, true, missing, 2.5]|join(",")
d|items|list
missing|items|list
l|items|list
l|sort
ls|sort
ls|sort(case_sensitive=true)
ls|sort(reverse=true)
l|sort(true)
["b", 1]|sort
users|sort(attribute="name")|map(attribute="name")|list
users|sort(attribute="age,name")|map(attribute="name")|list
users|sort(attribute="age", reverse=true)|map(attribute="name")|list
users|sort(attribute="zz")|length
s|sort
d|sort
n|sort
d|dictsort
{"b": 2, "a": 3, "C": 1}|dictsort
{"b": 2, "a": 3, "C": 1}|dictsort(true)
{"b": 2, "a": 3, "C": 1}|dictsort(false, "value")
{"b": 2, "a": 3, "C": 1}|dictsort(by="value", reverse=true)
d|dictsort(by="x")
l|dictsort
l|min
l|max
le|min
ls|min
ls|max(case_sensitive=true)
users|min(attribute="age")
users|max(attribute="name")
[1, "a"]|max
l|sum
[1.5, 2]|sum
users|sum(attribute="age")
l|sum(start=10)
ls|sum
le|sum
[[1], [2]]|sum(start=[])
ls|unique|list
["a", "A", "b"]|unique|list
["a", "A", "b"]|unique(true)|list
users|unique(attribute="age")|map(attribute="name")|list
users|groupby("age")
users|groupby("addr.city")|map(attribute="grouper")|list
users|groupby("addr.city", case_sensitive=true)|map("first")|list
users|groupby("zz", default="none")|map("first")|list
(users|groupby("age"))[0].list|length
users|groupby("age")|map(attribute=0)|list
range(7)|batch(3)|list
range(7)|batch(3, "x")|list
range(7)|slice(3)|list
range(7)|slice(3, "x")|list
range(7)|slice(0)|list
l|map("string")|list
ls|map("upper")|list
l|map("nope")|list
l|map()|list
ls|map("replace", "b", "x")|list
users|map(attribute="tags")|list
users|map(attribute="zz", default="q")|list
users|map(attribute="tags", default=none)|list
users|map(attribute="name", foo=1)|list
n|map("upper")|list
0|map("upper")|list
missing|map("upper")|list
users|selectattr("tags")|map(attribute="name")|list
users|selectattr("age", "equalto", 30)|map(attribute="name")|list
users|selectattr("age", "gt", 26)|list|length
users|selectattr("addr.city", "==", "Rome")|list|length
users|rejectattr("tags")|map(attribute="name")|list
users|rejectattr("tags", "defined")|map(attribute="name")|list
users|selectattr()|list
l|select("odd")|list
l|select|list
[0, 1, "", "a", none]|select|list
[0, 1, "", "a", none]|reject|list
l|reject("odd")|list
l|select("divisibleby", 3)|list
l|select("in", [1, 2])|list
l|select("nope")|list
ls|select("upper")|list
users|selectattr("age", "nope")|list
users|map(attribute="age")|select("gt", 26)|sum
users|selectattr("name", "eq", "Bob")|first
users|selectattr("name", "eq", "zz")|first is defined
missing|default("x")
missing|default
none|default("x")
none|default("x", true)
empty|default("x", true)
empty|d("x", boolean=true)
missing.x|default("x")
d.zz|default([])
0|default(5, true)
s|string
n|string
l|string
none|string
missing|string
true|string
1.0|string
neg|abs
fneg|abs
s|abs
true|abs
missing|abs
num|int
numf|int
numf|float
hex|int
hex|int(base=16)
"0b11"|int(0, 2)
"zz"|int
"zz"|int(5)
"zz"|int(default=-1)
f|int
-2.7|int
none|int
missing|int
true|int
" 12 "|int
"1_000"|int
"1e3"|int
"12abc"|int
"１２"|int
"ff"|int(0, 16)
"99999999999999999999"|int
l|int
"1.5"|float
"x"|float
"x"|float(1.5)
"inf"|float
"-nan"|float
"1e400"|float
"1_0.5"|float
".5"|float
"5."|float
n|float
none|float
missing|float
42.55|round
42.55|round(1)
42.55|round(1, "floor")
42.55|round(1, "ceil")
42.45|round(1, "common")
2.5|round
3.5|round
-2.5|round
0.5|round
2.675|round(2)
n|round
n|round(2)
12345|round(-2)
12350|round(-2)
1234.5|round(-2)
n|round(0, "floor")
f|round(method="ceil")
f|round(1, "x")
s|round
1|filesizeformat
1000|filesizeformat
1500000|filesizeformat
1500000|filesizeformat(true)
"123"|filesizeformat
0|filesizeformat
1e30|filesizeformat
html|e
html|escape
html|e|e
html|forceescape
html|safe
html|safe|e
(html|safe) + html
html + (html|safe)
(html|e) ~ html
(html|safe)|upper
(html|e)|string|e
(html|e) is escaped
html is escaped
("<"|e) * 2
("<%s>"|safe) % html
("<%s>"|safe) % (html|safe)
("<{}>"|safe).format(html)
(html|e)|list
("a<b"|e).split("&")
("a"|safe)
[("a"|safe)]
("a"|safe) == "a"
n|e
none|e
l|e
{"class": "a b", "x": none, "y": "<", "z": missing}|xmlattr
{"a b": 1}|xmlattr
{"a": 1}|xmlattr(false)
d|tojson
nested|tojson
u|tojson
u|tojson(ensure_ascii=true)
html|tojson
ctl|tojson
ctl|tojson(true)
d|tojson(indent=2)
nested|tojson(indent=4)
nested|tojson(indent="--")
nested|tojson(indent=0)
d|tojson(sort_keys=true)
d|tojson(separators=(",", ":"))
d|tojson(indent=1, separators=(",", ": "))
d|tojson(separators=[";", "="])
[1.0, 1e100, 1e-7, -0.0, true, none, 123456789012]|tojson
("inf"|float)|tojson
("nan"|float)|tojson
(1, 2)|tojson
{1: 2, none: 3, true: 4, 1.5: 5}|tojson
{(1, 2): 3}|tojson
missing|tojson
d.missing|tojson
range(3)|tojson
d.items()|tojson
d.items()|list|tojson
namespace()|tojson
le|tojson
de|tojson(indent=2)
[[], {}]|tojson(indent=2)
{"b": 1, "a": {"d": 1, "c": 2}}|tojson(sort_keys=true)
{"b": 1, 1: 2}|tojson(sort_keys=true)
d|tojson(2)
d|tojson(foo=1)
s|nope
s|upper|lower|title|nope
s|upper(1)
s|replace(old="H", new="J")
s|default(default_value="x")
l|map("tojson")|list
nested|map("tojson", indent=2)|list
"a"|upper ~ "b"|upper
1 + 2|string|length
[1, 2]|length + 1
"a" ~ l|length
"x" if l|length == 3 else "y"
s|attr("zz") is defined
"abc" is in "xabcx"
"""

REPRS = r"""
quote
both
[quote, both, s, u]
[ctl]
["\\", "\n", "\r\t", "\x00", "\x7f", "\xa0", "\u200b", "\u2028", "\ufeff", "\U0001F600", "\U000E0001", "é"]
{"k'": "v"}
[1.0, 1.5, 1e16, 1e15, 1e-4, 1e-5, 0.1, 1e22, 123456.789, -0.0, 5e-324, 1.7976931348623157e308]
[true, none, missing]
(("a",), [], {}, ())
d.keys()
d.values()
d.items()
range(0, 10, 2)
namespace(a=1, b="x")
"inf"|float
[("-inf"|float), ("nan"|float)]
9007199254740993.0
0.1 + 0.7
1/3
100.0
1e5
12345678901234567890.0
"""

TESTS = r"""
n is odd
n is even
n is divisibleby 7
n is divisibleby(2)
n is divisibleby 0
s is odd
missing is defined
s is defined
d.zz is defined
d.b is defined
missing is undefined
missing is not defined
null is none
none is none
missing is none
t is boolean
1 is boolean
no is false
0 is false
t is true
1 is true
n is integer
t is integer
f is float
n is float
n is number
t is number
s is number
s is string
n is string
(s|safe) is string
d is mapping
l is mapping
namespace() is mapping
l is sequence
s is sequence
d is sequence
n is sequence
missing is sequence
range(3) is sequence
d.keys() is sequence
(l|map("abs")) is sequence
l is iterable
s is iterable
n is iterable
none is iterable
missing is iterable
d.items() is iterable
range is callable
s is callable
s.upper is callable
missing is callable
"abc" is lower
"ABC" is upper
"aBc" is lower
n is lower
1 is sameas 1
none is sameas none
true is sameas 1
s is sameas s
"upper" is filter
"nope" is filter
"odd" is test
"nope" is test
1 is in [1, 2]
3 is in([1, 2])
3 is not in [1, 2]
1 is eq 1
1 is == 1
1 is ne 2
1 is equalto 1.0
1 is lt 2
1 is lessthan 2
2 is gt 1
2 is greaterthan 1
2 is ge 2
1 is le 2
1 is lt "a"
s is nope
n is odd and n is not even
n is odd or missing.x
not n is odd
n is not odd
n is divisibleby 7 and t
n + 1 is odd
(n is odd) is true
n is odd is true
"a" is string ~ "b"
d.zz is defined and d.zz.y
users[0] is mapping
"x" is eq "x" if t else 2
"""

LAYOUT = r"""
long|wordwrap
long|wordwrap(10)
lines|wordwrap(4)
u|wordwrap(3)
"look, goof-ball -- use the -b option--or not! e-mail a-b ab-cd-ef x--y 1-2 --"|wordwrap(1)
"look, goof-ball -- use the -b option--or not! e-mail ab-cd-ef"|wordwrap(7)
"look, goof-ball -- use the -b option--or not! e-mail ab-cd-ef"|wordwrap(7, false)
"look, goof-ball -- use the -b option--or not! ab-cd-ef"|wordwrap(5, true, "|", false)
"abc-defghij -------- a----b"|wordwrap(3)
"a  b\u00a0\u00a0c \u2003 d"|wordwrap(2)
empty|wordwrap(5) ~ "|"
s|wordwrap(0)
empty|wordwrap(0)
s|wordwrap("a")
s|wordwrap(5, wrapstring=1)
n|wordwrap
missing|wordwrap
"a b"|safe|wordwrap(1)
l|pprint
de|pprint ~ le|pprint ~ ()|pprint ~ (1,)|pprint
s|pprint
missing|pprint
users|pprint
[users, {2: s, "b": l, none: 1, (1, 2): d, true: users}]|pprint
(users, (users, ), [long])|pprint
long|pprint
(long ~ long)|pprint
[long ~ lines ~ long]|pprint
{"a": long ~ u ~ long, "k": [(long ~ long,)]}|pprint
["x" * 90, ("x" * 90)|e, "x y" * 40, {"x" * 70: users}]|pprint
("x" * 90)|pprint
("x" * 40 ~ "\n" ~ "'" * 50)|pprint
users|groupby("age")|pprint
d.items()|pprint
range(3)|pprint
html|striptags
"<p>One &amp; <!-- <c> --> two</p>\n three"|striptags
"a < b > c <!-- d"|striptags
"<a <b> c> <"|striptags
"&lt;b&gt; &quot;&apos;&nbsp;|&#65;&#x41;&#X4e2d;&#0;&#128;&#x9f;&#13;|&#9;&#11;&#127;&#xD800;&#x110000;&#99999999999999999999;&#xfdd0;&#x1fffe;|"|striptags
"& &; &T &# &#x &#; &1a; &#65 &#x41g AT&T"|striptags
["<b>"|safe|striptags, "&amp;lt;"|striptags]
none|striptags ~ l|striptags
ws|striptags ~ "|"
"""
