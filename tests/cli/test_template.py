# SPDX-License-Identifier: Apache-2.0
"""template: messages or a context to text, exactly; and what is refused."""
import json
import shutil
from datetime import datetime
from pathlib import Path

from program import MODEL, Case, environment, main

PLAIN = ("{% for m in messages %}<{{ m.role }}>{{ m.content }}</{{ m.role }}>\n{% endfor %}"
         "{% if add_generation_prompt %}<assistant>{% endif %}")
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Grüße, \"you\"\n\\ 😀 <b>"}]
TEXT = '<system>Be brief.</system>\n<user>Grüße, "you"\n\\ 😀 <b></user>\n'
ONE = json.dumps(MESSAGES[1:])


class Template(Case):
    def setUp(self):
        super().setUp()
        self.jinja = self.write("plain.jinja", PLAIN)
        self.messages = self.write("messages.json", json.dumps(MESSAGES))

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
        return path

    def render(self, *args, **more):
        done = self.run_program("template", *args, **more)
        self.assertEqual((done.code, done.err), (0, ""))
        return done.out

    def test_messages(self):
        self.assertEqual(self.render(self.jinja, "--messages", self.messages), TEXT + "<assistant>")
        self.assertEqual(self.render(self.jinja, "--messages", self.messages, "--no-generation-prompt"), TEXT)
        for ascii_only in (True, False):
            text = "\n " + json.dumps(MESSAGES, ensure_ascii=ascii_only, indent=1) + "\r\n"
            self.assertEqual(self.render(self.jinja, "--messages", "-", stdin=text), TEXT + "<assistant>")
        done = self.run_program("template", self.jinja, "--messages", self.messages, "--json")
        self.assertEqual(done.json, {"text": TEXT + "<assistant>", "template": "default"})

    def test_context(self):
        context = {"messages": MESSAGES, "add_generation_prompt": True}
        path = self.write("context.json", json.dumps(context) + "\n")
        self.assertEqual(self.render(self.jinja, "--context", path), TEXT + "<assistant>")
        path = self.write("context.json", json.dumps({"messages": MESSAGES}))
        self.assertEqual(self.render(self.jinja, "--context", path), TEXT)
        self.assertEqual(self.render(self.jinja, "--context", "-", stdin=json.dumps(context)), TEXT + "<assistant>")
        self.assertEqual(self.render(self.jinja, "--context", "-", "--set", "add_generation_prompt=false",
                                     stdin=json.dumps(context)), TEXT)
        greeting = self.write("greeting.jinja", "{{ who }}{{ 1 if loud else 0 }}")
        self.assertEqual(self.render(greeting, "--context", "-", "--set", 'who="a\\u0062"', "--set", "loud=true",
                                     stdin=" { } \n"), "ab1")

    def test_variables(self):
        jinja = self.write("thinking.jinja", "{{ enable_thinking }} {{ depth + 1 }} {{ names | join('+') }} {{ other }}")
        self.assertEqual(self.render(jinja, "--messages", "-", "--set", "enable_thinking=false", "--set", "depth=2",
                                     "--set", 'names=["a","b"]', "--set", "other=null", stdin=ONE), "False 3 a+b None")

    def test_tools(self):
        tools = self.write("tools.json", json.dumps([{"type": "function", "function": {"name": "f"}}]))
        shutil.copy(Path(MODEL) / "tokenizer.json", self.folder)
        self.write("tokenizer_config.json", json.dumps({"bos_token": "<|endoftext|>", "chat_template": [
            {"name": "default", "template": "{{ bos_token }}plain"},
            {"name": "tool_use", "template": "{{ tools[0].function.name }}"}, {"name": "rag", "template": "rag"}]}))
        common = [self.folder, "--messages", self.messages]
        for more, text, name in ([], "<|endoftext|>plain", "default"), (["--tools", tools], "f", "tool_use"), \
                (["--template", "rag"], "rag", "rag"), (["--template", "default", "--tools", tools], "<|endoftext|>plain", "default"):
            self.assertEqual(self.render(*common, *more), text)
            done = self.run_program("template", *common, *more, "--json")
            self.assertEqual(done.json, {"text": text, "template": name})
        context = json.dumps({"messages": MESSAGES, "tools": [{"function": {"name": "g"}}]})
        done = self.run_program("template", self.folder, "--context", "-", "--json", stdin=context)
        self.assertEqual(done.json, {"text": "g", "template": "tool_use"})
        self.assertEqual(self.fails(2, "USAGE", "template", *common, "--template", "nowhere")["message"],
                         "--template: there is no 'nowhere', but: default, tool_use, rag")

    def test_files_of_a_model(self):
        self.write("model/chat_template.jinja", PLAIN)
        self.assertEqual(self.render(self.folder / "model", "--messages", self.messages), TEXT + "<assistant>")
        error = self.fails(1, "IO", "template", MODEL, "--messages", self.messages)
        self.assertIn("chat_template", error["message"])
        self.assertIn("--template FILE.jinja", error["message"])
        for name in "none.jinja", "none":
            error = self.fails(1, "IO", "template", self.folder / name, "--messages", self.messages)
            self.assertNotIn("--template", error["message"])

    def test_a_file_in_place_of_the_models(self):
        """Its special tokens are those of MODEL; without a MODEL those beside the file, if any."""
        special = self.write("special.jinja", "{{ bos_token }}|{{ eos_token }}|{{ messages[1].content[0] }}")
        self.assertEqual(self.render(special, "--messages", self.messages), "||G")
        model = self.write("model/tokenizer_config.json", json.dumps({"bos_token": "<s>", "chat_template": "never"})).parent
        self.write("model/special_tokens_map.json", json.dumps({"eos_token": {"content": "</s>"}}))
        common = ["template", model, "--messages", self.messages, "--template"]
        self.assertEqual(self.run_program(*common, special).out, "<s>|</s>|G")
        self.assertEqual(self.run_program(*common, special, "--json").json, {"text": "<s>|</s>|G", "template": "default"})
        self.assertEqual(self.run_program("template", MODEL, *common[2:], special).out, "<|endoftext|>|<|endoftext|>|G")
        (model / "own.jinja").write_text("{{ bos_token }}")
        self.assertEqual(self.render(model / "own.jinja", "--messages", self.messages), "<s>")
        self.assertIn("no.jinja", self.fails(1, "IO", *common, self.folder / "no.jinja")["file"])

    def test_the_clock(self):
        jinja = self.write("date.jinja", "{{ strftime_now('%Y-%m-%d %H:%M %j %w %A %B') }}")
        for zone, hours in (("UTC0", 0), ("AAA-5:30", 5.5), ("BBB11", -11)):
            now = [datetime.utcfromtimestamp(datetime.now().timestamp() + 3600 * hours) for _ in range(1)]
            text = self.render(jinja, "--messages", "-", stdin=ONE, env=environment(TZ=zone))
            later = datetime.utcfromtimestamp(datetime.now().timestamp() + 3600 * hours)
            self.assertIn(text, [moment.strftime("%Y-%m-%d %H:%M %j %w %A %B") for moment in (*now, later)], zone)

    def test_what_a_template_refuses(self):
        jinja = self.write("strict.jinja", "{{ raise_exception('no ' ~ messages[0].role ~ ' here') }}")
        error = self.fails(1, "FORMAT", "template", jinja, "--messages", self.messages)
        self.assertIn("no system here", error["message"])
        jinja = self.write("broken.jinja", "{% if %}")
        self.assertIn("broken.jinja", self.fails(1, "FORMAT", "template", jinja, "--messages", self.messages)["file"])
        jinja = self.write("endless.jinja", "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}")
        self.fails(1, "LIMIT", "template", jinja, "--messages", self.messages)

    def test_bad_json(self):
        for text, at, what in [
                ("", 0, "want a JSON value"), ("[", 1, "want a JSON value"), ("[1,]", 3, "want a JSON value"),
                ("[] x", 3, "something follows the value"), ("[01]", 2, "want ',' or ']'"), ("[1.]", 3, "a number wants digits after its point"),
                ("[1e]", 3, "a number wants digits in its exponent"), ("[-]", 2, "want a JSON value"), ("[nul]", 1, "want a JSON value"),
                ('["a]', 4, "the string is not closed"), ('["\\x"]', 3, "unknown escape"), ('["\\u00g0"]', 6, "\\u wants four hexadecimal digits"),
                ('[{"a" 1}]', 6, "want ':'"), ('[{a: 1}]', 2, "want a JSON string"), ('[{"a":1,}]', 8, "want a JSON string"),
                ('[{"a":1 "b"}]', 8, "want ',' or '}'"), ("[1 2]", 3, "want ',' or ']'"), ('["\t"]', 2, "a control character must be escaped"),
                (b'["\xff"]', 2, "the string is not UTF-8"), ("[" * 600, 512, "nested too deeply"), ("{}", 0, "want an array"),
                ("NaN", 0, "want a JSON value"), ("[1]]", 3, "something follows the value"), ("[1}", 2, "want ',' or ']'")]:
            path = self.write("bad.json", text)
            error = self.fails(1, "FORMAT", "template", self.jinja, "--messages", path)
            self.assertEqual((error["message"], error["offset"]), (f"{path}: byte {at}: {what}", at), text)
            self.assertEqual(error["file"], str(path))
        error = self.fails(1, "FORMAT", "template", self.jinja, "--context", "-", stdin="[]")
        self.assertEqual(error["message"], "standard input: byte 0: want an object")
        error = self.fails(1, "FORMAT", "template", self.jinja, "--messages", self.messages, "--tools", "-", stdin="{}")
        self.assertEqual(error["message"], "standard input: byte 0: want an array")
        self.fails(1, "IO", "template", self.jinja, "--messages", self.folder / "none.json")
        error = self.fails(1, "LIMIT", "template", self.jinja, "--messages", "/dev/zero")
        self.assertEqual(error["message"], "/dev/zero: over 64 MiB of text")
        deep = "[" * 512 + "]" * 512
        self.assertEqual(self.run_program("template", self.jinja, "--messages", "-", "--json", stdin=deep).json["error"]["code"], "LIMIT")

    def test_usage(self):
        def usage(message, *args):
            self.assertEqual(self.fails(2, "USAGE", "template", "/nowhere", *args)["message"], message)
        usage("want one of --messages and --context")
        usage("want one of --messages and --context, found both", "--messages", "a", "--context", "b")
        usage("--tools goes with --messages; a --context holds its own", "--context", "a", "--tools", "b")
        usage("--no-generation-prompt goes with --messages; a --context holds its own", "--context", "a", "--no-generation-prompt")
        usage("only one of --messages and --tools can be -", "--messages", "-", "--tools", "-")
        for bad in ("a", "=1", "1a=1", "a b=1", "a-b=1"):
            usage(f"--set: want KEY=JSON, as enable_thinking=false, found '{bad}'", "--messages", "a", "--set", bad)
        usage("--set a: want JSON (a text in double quotes), found 'yes': byte 0: want a JSON value", "--messages", "a", "--set", "a=yes")
        usage("--set a: want JSON (a text in double quotes), found '1 2': byte 2: something follows the value",
              "--messages", "a", "--set", "a=1 2")
        usage("--set: a is given twice", "--messages", "a", "--set", "a=1", "--set", "b=1", "--set", "a=2")
        usage("--set: messages is set by the program itself", "--messages", "a", "--set", "messages=[]")
        usage("--set: tools is set by the program itself", "--messages", "a", "--tools", "b", "--set", "tools=[]")


if __name__ == "__main__":
    main()
