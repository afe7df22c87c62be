# SPDX-License-Identifier: Apache-2.0
"""Text to measure tokenizers with, of what a Debian system has: English prose, source code, Chinese, Japanese.  Nothing
is fetched.  Paragraphs that came before are left out, and what still repeats is counted.

The packages that bring it (apt-get install --no-install-recommends):
  prose     bible-kjv perl-doc dict-gcide dict-jargon dict-foldoc fortunes linux-doc-6.1
  source    python3, libc6-dev, linux-libc-dev, libboost-dev or any other headers
  Chinese   fortunes-zh manpages-zh debian-reference-zh-cn debian-reference-zh-tw gimp-help-zh-cn
  Japanese  manpages-ja manpages-ja-dev debian-reference-ja developers-reference-ja debian-policy-ja gimp-help-ja"""
import glob, gzip, html, os, re, shutil, subprocess, sysconfig

MB = 1000000


def read(path, encoding="utf-8"):
    with open(path, "rb") as f:
        data = f.read()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    return data.decode(encoding, errors="strict")


def files(*patterns):
    return sorted(p for pattern in patterns for p in glob.glob(pattern, recursive=True) if os.path.isfile(p))


def of_files(*patterns, clean=lambda text: text, limit=1 << 62):
    """Texts of the files, at most `limit` bytes; those that are not UTF-8 are left out."""
    total = 0
    for path in files(*patterns):
        try:
            text = clean(read(path))
        except (UnicodeDecodeError, OSError, EOFError):
            continue
        total += len(text.encode())
        yield text
        if total >= limit:
            return


def roff(text):
    """A manual page without its requests and fonts."""
    lines = [line for line in text.split("\n") if not line.startswith((".", "'"))]
    return re.sub(r"\\f\(..|\\f.|\\&|\\c|\\s[-+]?\d+", "", "\n".join(lines)).replace("\\-", "-").replace("\\e", "\\")


def web(text):
    text = re.sub(r"(?s)<(script|style|head|pre)\b.*?</\1>", "", text)
    text = re.sub(r"</(p|div|li|h\d|td|dd|dt|tr)>", "\n", text)
    return re.sub(r"[ \t]*\n\s*\n\s*", "\n\n", html.unescape(re.sub(r"<[^>]*>", "", text)))


def pod(text):
    """Paragraphs of prose: what is indented is code."""
    return "\n\n".join(p for p in text.split("\n\n") if p[:1] not in (" ", "\t", "="))


def rest(text):
    return "\n\n".join(p for p in text.split("\n\n") if len(p) > 120 and not p[:1].isspace()
        and not p.startswith("..")
                       and sum(c.isalpha() or c == " " for c in p) > 0.85 * len(p))


def dictionary(text):
    """Definitions without their sources in brackets."""
    return re.sub(r"\n\s*\[[^\]]{3,60}\]\s*(?=\n)", "", text)


def bible():
    if shutil.which("bible"):
        out = subprocess.run(["bible", "-f", "gen1:1-rev22:21"], capture_output=True, stdin=subprocess.DEVNULL,
            check=False)
        text = out.stdout.decode(errors="replace")
        yield re.sub(r"(?m)^[A-Za-z0-9]+ ?\d+:\d+ ", "", text)


def prose():
    yield from bible()
    yield from of_files("/usr/share/perl/*/pod/*.pod", clean=pod, limit=3 * MB)
    yield from of_files("/usr/share/games/fortunes/[!c]*", limit=2 * MB)
    yield from of_files("/usr/share/doc/linux-doc-*/Documentation/**/*.rst.gz", clean=rest, limit=4 * MB)
    for name in ("jargon", "foldoc", "gcide"):
        yield from of_files(f"/usr/share/dictd/{name}.dict.dz", clean=lambda t: dictionary(t)[:6 * MB])


def source():
    stdlib = sysconfig.get_paths()["stdlib"]
    yield from of_files(stdlib + "/*.py", stdlib + "/[a-su-z]*/*.py", limit=5 * MB)
    yield from of_files("/usr/include/*.h", "/usr/include/linux/**/*.h", "/usr/include/c++/**/*", limit=6 * MB)
    yield from of_files("/usr/share/perl/*/**/*.pm", clean=lambda t: t.split("\n__END__")[0], limit=2 * MB)
    yield from of_files("/usr/include/**/*.h", "/usr/include/**/*.hpp", "/usr/lib/python3/dist-packages/**/*.py")


def han_or_kana(text, kana):
    """Paragraphs in which a third of the characters are Chinese; with `kana` at least one kana, else none."""
    for p in re.split(r"\n\s*\n", text):
        han = len(re.findall("[\u3400-\u9fff]", p))
        has_kana = len(re.findall("[\u3041-\u30ff]", p))
        if 3 * (han + has_kana) > len(p) and (has_kana > 0) == kana:
            yield p


def chinese():
    sources = [of_files("/usr/share/games/fortunes/[ct]*[!u][!8]", "/usr/share/games/fortunes/song100"),
               of_files("/usr/share/man/zh_*/**/*.gz", clean=roff),
               of_files("/usr/share/debian-reference/*.zh-*.html", clean=web),
               of_files("/usr/share/gimp/2.0/help/zh_CN/*.html", clean=web)]
    for texts in sources:
        for text in texts:
            yield "\n\n".join(han_or_kana(text, False))


def japanese():
    sources = [of_files("/usr/share/man/ja/**/*.gz", clean=roff), of_files("/usr/share/debian-reference/*.ja.html",
        clean=web),
               of_files("/usr/share/doc/developers-reference-ja/docs/**/*.html",
               "/usr/share/developers-reference/*.ja.html", clean=web),
               of_files("/usr/share/doc/debian-policy/ja/policy.html/*.html", clean=web),
               of_files("/usr/share/gimp/2.0/help/ja/*.html", clean=web)]
    for texts in sources:
        for text in texts:
            yield "\n\n".join(han_or_kana(text, True))


KINDS = {"prose": prose, "source": source, "chinese": chinese, "japanese": japanese}


def unrepeated(texts, limit):
    """Paragraphs (lines of long ones) that did not come before, up to `limit` bytes."""
    seen, out, total = set(), [], 0
    for text in texts:
        for p in re.split(r"(?<=\n)\n", text):
            key = hash(re.sub(r"\s+", " ", p[:300]))
            if len(p) < 24 and p.strip():
                key = None
            if key in seen or not p.strip():
                continue
            seen.add(key)
            out.append(p + "\n")
            total += len(p.encode()) + 1
            if total >= limit:
                return "".join(out)
    return "".join(out)


def repeated_share(data, window=1024):
    """Of all windows of 1 KiB that begin at a line: those that came before."""
    seen, again, count = set(), 0, 0
    at = 0
    while at >= 0 and at + window <= len(data):
        key = hash(data[at:at + window])
        again += key in seen
        seen.add(key)
        count += 1
        at = data.find(b"\n", at) + 1
        if at == 0:
            break
    return again / count if count else 0.0


def gather(kind, limit):
    """(bytes of the text, share that repeats); the text may be shorter than `limit` bytes."""
    data = unrepeated(KINDS[kind](), limit).encode()[:limit]
    data = data[:data.rfind(b"\n") + 1]
    return data, repeated_share(data)


def documents(data, size):
    """Cut after a line near each `size` bytes."""
    out, at = [], 0
    while at < len(data):
        end = min(at + size, len(data))
        if end < len(data):
            line = data.rfind(b"\n", at + size // 2, end)
            end = line + 1 if line >= 0 else end
            while end < len(data) and data[end] & 0xC0 == 0x80:
                end -= 1
        out.append(data[at:end])
        at = end
    return out
