#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Generated texts and lists of ids through this tokenizer and through Hugging Face's, live: ids with special tokens and
without, offsets, decoding both ways, the streaming decoder.  Differences are sorted into classes, each with a text that
was made as short as it can be, and with what the result would fit, as far as that can be told.

usage: compare.py DRIVER FOLDER... [--texts N] [--seed S] [--synthetic] [--list FILE]
DRIVER is the program tok_driver of the tests.  A FOLDER holds tokenizer.json, or vocab.json and merges.txt, or such
folders.  Where a tokenizer_config.json lies beside it, Transformers' class is the reference if --transformers is given.
--synthetic: the files of synthetic.py too (with --large its large ones), made in a temporary folder.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import unicodedata

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ.setdefault("RUST_BACKTRACE", "0")
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from texts import byte_strings, ids_lists, long_texts, texts

FIELDS = ["error", "ids", "plain", "ids_with_offsets", "plain_with_offsets", "offsets", "id_offsets", "decoded",
          "decoded_skip", "streamed", "streamed_skip"]


class Quiet:
    """The package tells of its panics on stderr; they are counted here."""

    def __enter__(self):
        sys.stderr.flush()
        self.kept = os.dup(2)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        os.close(null)

    def __exit__(self, *_):
        os.dup2(self.kept, 2)
        os.close(self.kept)


# ---- the reference --------------------------------------------------------------------------------------------------

def plain(tokenizer):
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def open_folder(folder, with_transformers=False):
    path = os.path.join(folder, "tokenizer.json")
    config = os.path.join(folder, "tokenizer_config.json")
    if with_transformers and os.path.exists(config):
        import transformers
        with open(config, encoding="utf-8") as f:
            name = json.load(f).get("tokenizer_class", "PreTrainedTokenizerFast")
        return plain(getattr(transformers, name).from_pretrained(folder).backend_tokenizer)
    if os.path.exists(path):
        return plain(Tokenizer.from_file(path))
    model = models.BPE.from_file(os.path.join(folder, "vocab.json"), os.path.join(folder, "merges.txt"))
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken("<|endoftext|>", special=True, normalized=False)])
    return tokenizer


def as_text(item):
    """(text, where in bytes each character begins): of bytes, each broken sequence is one U+FFFD."""
    if isinstance(item, str):
        at = [0]
        for c in item:
            at.append(at[-1] + len(c.encode("utf-8")))
        return item, at
    text, at, done = "", [0], 0
    while done < len(item):
        try:
            part, end = item[done:].decode("utf-8"), len(item)
            broken = 0
        except UnicodeDecodeError as e:
            part, end, broken = item[done:done + e.start].decode("utf-8"), done + e.end, e.end - e.start
        for c in part:
            at.append(at[-1] + len(c.encode("utf-8")))
        text += part
        if broken:
            text += "\ufffd"
            at.append(end)
        done = end
    assert text == item.decode("utf-8", errors="replace") and at[-1] == len(item)
    return text, at


def expected(tokenizer, item):
    """None where the package itself raises or panics."""
    try:
        if isinstance(item, (str, bytes)):
            text, at = as_text(item)
            full, bare = tokenizer.encode(text), tokenizer.encode(text, add_special_tokens=False)
            ids = full.ids
            out = {"ids": ids, "plain": bare.ids, "offsets": [at[min(x, len(text))] for pair in bare.offsets
                for x in pair],
                   "id_offsets": [at[min(x, len(text))] for pair in full.offsets for x in pair]}
        else:
            ids, out = item, {"ids": item}
        out["decoded"] = tokenizer.decode(ids, skip_special_tokens=False)
        out["decoded_skip"] = tokenizer.decode(ids, skip_special_tokens=True)
        return out
    except KeyboardInterrupt:
        raise
    except BaseException:
        return None


# ---- the program ----------------------------------------------------------------------------------------------------

def ask(driver, folder, items):
    """One answer per item; {"error": ...} where the program died at it."""
    out = []
    while len(out) < len(items):
        lines = "".join(("x" + x.hex() if isinstance(x, bytes) else json.dumps(x)) + "\n" for x in items[len(out):])
        try:
            done = subprocess.run([driver, folder], input=lines.encode(), capture_output=True, check=False,
                timeout=600)
            code, text, said = done.returncode, done.stdout, done.stderr
        except subprocess.TimeoutExpired as e:
            code, text, said = "timeout", e.stdout or b"", b""
        got = [json.loads(x) for x in text.decode().split("\n")[:-1]]
        out += got
        if len(out) >= len(items):
            break
        why = said.decode(errors="replace").strip().split("\n")
        if code == 1 and not got:
            return why[-1]  # it does not open
        out.append({"error": f"the program ended ({code}): " + " ".join(why[:3])[:300]})
    return out


def differing(want, got):
    """The first field that differs, or None."""
    if want is None:
        return None
    for field in FIELDS:
        if field in ("error", "ids_with_offsets", "plain_with_offsets", "streamed", "streamed_skip"):
            if field in got:
                return field
        elif field in want and got.get(field) != want[field]:
            return field
    return None


# ---- classes --------------------------------------------------------------------------------------------------------

def features(item, added):
    """What a failing item has that others lack: items with the same features are one class until they are shrunk."""
    if not isinstance(item, str):
        return ("broken UTF-8",) if isinstance(item, bytes) else ("ids",)
    out = set()
    if any(t and t in item for t in added):
        out.add("added token")
    for c in item:
        kind = unicodedata.category(c)
        out.add({"M": "mark", "Z": "space", "C": "control or unassigned"}.get(kind[0],
            "" if c.isascii() else "not ASCII"))
        if c in "\t\n\r\x0b\x0c\x85":
            out.add("space")
    if unicodedata.normalize("NFC", item) != item:
        out.add("not NFC")
    if len(item) > 90:
        out.add("long")
    return tuple(sorted(out - {""}))


def smaller(item):
    """Shorter items, the shortest first."""
    n = len(item)
    seen, out = set(), []
    size = max(1, n // 2)
    while size >= 1 and len(out) < 120:
        for at in range(0, n, size):
            candidate = item[:at] + item[at + size:]
            key = tuple(candidate) if isinstance(candidate, list) else candidate
            if key not in seen and len(candidate) < n:
                seen.add(key)
                out.append(candidate)
        size //= 2
    return out[:160]


class Session:
    def __init__(self, driver, folder, with_transformers):
        self.driver, self.folder = driver, folder
        self.tokenizer = open_folder(folder, with_transformers)
        self.others = None
        self.with_transformers = with_transformers

    def agreed(self, item):
        """False where other loads of the same file by the package itself give something else."""
        if self.others is None:
            self.others = [open_folder(self.folder, self.with_transformers) for _ in range(4)]
        want = expected(self.tokenizer, item)
        return all(expected(t, item) == want for t in self.others)

    def shrink(self, item, field, rounds=40):
        for _ in range(rounds):
            candidates = smaller(item)
            if not candidates:
                break
            got = ask(self.driver, self.folder, candidates)
            if isinstance(got, str):
                break
            bad = [c for c, g in zip(candidates, got) if differing(expected(self.tokenizer, c), g) == field]
            if not bad:
                break
            item = min(bad, key=len)
        return item

    def variants(self):
        """The file without one of its parts."""
        path = os.path.join(self.folder, "tokenizer.json")
        if not os.path.exists(path) or os.path.getsize(path) > 200000:
            return
        with open(path, encoding="utf-8") as f:
            value = json.load(f)
        for key in ("normalizer", "pre_tokenizer", "post_processor", "decoder", "added_tokens"):
            if value.get(key):
                yield "without its " + key, {**value, key: [] if key == "added_tokens" else None}
        for key, inner in (("normalizer", "normalizers"), ("pre_tokenizer", "pretokenizers"),
            ("decoder", "decoders")):
            parts = (value.get(key) or {}).get(inner) or []
            for i, p in enumerate(parts):
                yield f"without {p['type']} of its {key}", {**value, key: {**value[key],
                    inner: parts[:i] + parts[i + 1:]}}
        for flag in ("lstrip", "rstrip", "single_word", "normalized", "special"):
            if any(t[flag] for t in value["added_tokens"]):
                yield f"without {flag}", {**value, "added_tokens": [{**t, flag: False}
                    for t in value["added_tokens"]]}

    def fits(self, item, got, field):
        for name, value in self.variants():
            try:
                other = expected(plain(Tokenizer.from_str(json.dumps(value))), item)
            except Exception:
                continue
            if other and field in other and got.get(field) == other[field]:
                return "what the package gives " + name
        return ""


def short(value, limit=160):
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= limit else text[:limit] + f"... ({len(value)})"


def compare(driver, folder, name, args):
    """{"name", "items", "wrong", "raised", "classes": [...]} or with "refused"."""
    report = {"name": name, "items": 0, "wrong": 0, "raised": 0, "unsettled": 0, "classes": []}
    with Quiet():
        try:
            session = Session(driver, folder, args.transformers)
        except Exception as e:
            report["refused"] = f"by the package: {e}"
            return report
        items = texts(session.tokenizer, args.texts, args.seed) + ids_lists(session.tokenizer, args.texts // 4,
            args.seed)
        items += byte_strings(args.texts // 20, args.seed) + (long_texts() if args.long else [])
        wanted = [expected(session.tokenizer, x) for x in items]
    got = ask(driver, folder, items)
    if isinstance(got, str):
        report["refused"] = got
        return report
    report["items"] = len(items)
    report["raised"] = sum(w is None for w in wanted)
    groups = {}
    added = [t.content for t in session.tokenizer.get_added_tokens_decoder().values()]
    with Quiet():
        for item, want, have in zip(items, wanted, got):
            field = differing(want, have)
            if not field:
                continue
            if field.startswith("decoded") or len(groups) < 3:
                if not session.agreed(item):
                    report["unsettled"] += 1
                    continue
            report["wrong"] += 1
            groups.setdefault((field, features(item, added)), []).append(item)
        found = {}
        for (field, what), members in sorted(groups.items(), key=lambda g: (FIELDS.index(g[0][0]), len(g[0][1]))):
            if len(found) >= args.classes:
                break
            item = session.shrink(min(members, key=len), field)
            key = (field, repr(item))
            if key in found:
                found[key]["items"] += len(members)
                continue
            want = expected(session.tokenizer, item)
            have = ask(driver, folder, [item])
            have = have[0] if not isinstance(have, str) else {"error": have}
            found[key] = {"field": field, "features": list(what), "items": len(members), "text": item,
                          "want": (want or {}).get(field), "have": have.get(field),
                          "fits": session.fits(item, have, field)}
        report["classes"] = [{**c, "text": "bytes " + c["text"].hex() if isinstance(c["text"], bytes) else c["text"]}
                             for c in found.values()]
    return report


def tell(report, out):
    if "refused" in report:
        print(f"{report['name']}: REFUSED: {report['refused']}", file=out)
        return
    notes = "".join(f", {report[k]} {w}" for k, w in (("raised", "where the package raises"),
                                                      ("unsettled", "about which the package disagrees with itself"))
                                                      if report[k])
    print(f"{report['name']}: {report['items']} items, {report['wrong']} differ{notes}", file=out)
    for c in report["classes"]:
        print(f"  {c['field']} ({c['items']} items; {', '.join(c['features']) or 'plain'}): {short(c['text'])}",
            file=out)
        print(f"    want {short(c['want'])}\n    have {short(c['have'])}", file=out)
        if c["fits"]:
            print(f"    that is {c['fits']}", file=out)
    out.flush()


# ---- what to compare ------------------------------------------------------------------------------------------------

def is_tokenizer(folder):
    return os.path.exists(os.path.join(folder, "tokenizer.json")) or os.path.exists(os.path.join(folder,
        "merges.txt"))


def folders_below(folder):
    if is_tokenizer(folder):
        return [folder]
    out = []
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if os.path.isdir(path):
            out += folders_below(path)
    return out


def synthetic_folders(top, large):
    import synthetic
    for name, value, _, _ in synthetic.all_files(large=large):
        folder = os.path.join(top, name)
        os.makedirs(folder)
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        try:
            Tokenizer.from_str(text)
        except Exception:
            continue
        with open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf-8") as f:
            f.write(text)
        yield folder


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("driver")
    parser.add_argument("folders", nargs="*")
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--classes", type=int, default=6, help="at most so many are shrunk for each tokenizer")
    parser.add_argument("--synthetic", action="store_true")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--long", action="store_true", help="some texts of 100,000 characters besides")
    parser.add_argument("--transformers", action="store_true")
    parser.add_argument("--only", default="", help="only folders whose path contains this")
    parser.add_argument("--list", help="append the differences to this file")
    parser.add_argument("--json", help="write everything to this file")
    args = parser.parse_args()
    reports = []
    with tempfile.TemporaryDirectory() as top:
        work = [f for folder in args.folders for f in folders_below(folder)]
        if args.synthetic:
            work += list(synthetic_folders(top, args.large))
        for folder in work:
            if args.only not in folder:
                continue
            name = os.path.basename(os.path.normpath(folder))
            report = compare(args.driver, folder, name, args)
            tell(report, sys.stdout)
            if args.list and (report["wrong"] or "refused" in report):
                with open(args.list, "a", encoding="utf-8") as f:
                    tell(report, f)
            reports.append(report)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump(reports, f, indent=1)
    bad = sum(1 for r in reports if r["wrong"] or "refused" in r)
    print(f"{len(reports)} tokenizers, {sum(r['items'] for r in reports)} items: {sum(r['wrong'] for r in reports)} differ, "
          f"{bad} tokenizers with differences or refused, {sum(r['raised'] for r in reports)} items where the package raises")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
