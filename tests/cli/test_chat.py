# SPDX-License-Identifier: Apache-2.0
"""chat and run --chat: over a pipe, and at a terminal."""
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
import unittest
from pathlib import Path

from program import MODEL, PROGRAM, SANITIZED, Case, environment, main

TEMPLATE = ("{% for m in messages %}{{ m.role | upper }}:\n{{ m.content }}\n\n{% endfor %}"
            "{% if add_generation_prompt %}ASSISTANT:\n{% endif %}")
FIXED = ["--dtype", "float32"]


def text_of(messages):
    return "".join(f"{m['role'].upper()}:\n{m['content']}\n\n" for m in messages) + "ASSISTANT:\n"


class Talk(Case):
    """A copy of the small model with a chat template."""

    def setUp(self):
        super().setUp()
        self.model = self.folder / "talk"
        self.model.mkdir()
        for path in Path(MODEL).iterdir():
            (self.model / path.name).symlink_to(path)
        self.template(TEMPLATE)

    def template(self, text):
        (self.model / "chat_template.jinja").write_text(text)


class Chat(Talk):
    def talk(self, said, *args, code=0, **more):
        done = self.run_program("chat", self.model, *FIXED, *args, stdin=said, **more)
        self.assertEqual(done.code, code, done.err)
        return done

    def ids(self, text):
        return self.run_program("tokenize", MODEL, "--no-special", "--json", stdin=text).json["ids"]

    def answer(self, ids, *args):
        """What run gives for the whole prompt, with nothing kept from before."""
        done = self.run_program("run", MODEL, *FIXED, "--prompt-tokens", ",".join(map(str, ids)), "--no-prompt", "--json", *args)
        return done.json

    def test_conversation(self):
        """The ids are those of the rendered conversation, the answers those of run: what is kept changes nothing."""
        for more in ([], ["--repetition-penalty", "1.5"], ["--do-sample", "--seed", "3"]):
            said = ["Who are you?", "And who am I?", "Farewell."]
            chat = self.talk("\n".join(said) + "\n", "-n", "12", "--json", *more).json
            messages = []
            for i, turn in enumerate(chat["turns"]):
                messages.append({"role": "user", "content": said[i]})
                self.assertEqual(turn["user"], said[i])
                self.assertEqual(turn["prompt_tokens"], self.ids(text_of(messages)))
                want = self.answer(turn["prompt_tokens"], "-n", "12", *more)
                self.assertEqual((turn["tokens"], turn["text"], turn["finish_reason"]),
                                 (want["tokens"], want["text"], want["finish_reason"]))
                self.assertEqual(turn["dropped_messages"], 0)
                self.assertEqual(turn["kept"] > 0, i > 0)
                messages.append({"role": "assistant", "content": turn["text"]})
            self.assertEqual(len(chat["turns"]), 3)
            self.assertEqual(chat["messages"], messages)
            self.assertEqual((chat["model"], chat["context"]), (str(self.model), 512))
            self.assertGreater(chat["memory"]["peak"], 0)
            self.assertFalse(chat["memory"]["prediction_missed"] and not SANITIZED)

    def test_plain_output(self):
        """Answers and nothing else on stdout; a line about each on stderr."""
        turns = self.talk("One.\nTwo.\n", "-n", "8", "--json").json["turns"]
        done = self.talk("One.\n\n  \nTwo.", "-n", "8")  # blank lines say nothing
        self.assertEqual(done.out, "".join(t["text"] + "\n" for t in turns))
        lines = done.err.splitlines()
        self.assertEqual(len(lines), 2, done.err)
        for line, turn in zip(lines, turns):
            self.assertRegex(line, rf"^8 tokens, [\d.]+/s \(cut short\); prompt {len(turn['prompt_tokens']) - turn['kept']} new, "
                             rf"{turn['kept']} kept; memory [\d.]+ MiB, peak [\d.]+ MiB of [\d.]+ \w+$")
        self.assertNotIn("\x1b", done.err)
        self.assertEqual(self.talk("One.\nTwo.\n", "-n", "8", "--quiet").err, "")
        self.assertEqual(self.talk("").raw, b"")
        self.assertEqual(self.talk("", "--json").json["turns"], [])

    def test_commands(self):
        path = self.folder / "said.json"
        chat = self.talk(f"One.\n/system Be brief.\nTwo.\n/save {path}\n/reset\nThree.\n/system\nFour.\n/quit\nFive.\n",
                         "-n", "5", "--json").json
        self.assertEqual([t["user"] for t in chat["turns"]], ["One.", "Two.", "Three.", "Four."])
        system = {"role": "system", "content": "Be brief."}
        saved = json.loads(path.read_text())
        self.assertEqual([m["role"] for m in saved], ["system", "user", "assistant", "user", "assistant"])
        self.assertEqual(saved[0], system)
        for turn, messages in zip(chat["turns"], ([], saved[:3], [system], chat["messages"][:2])):
            self.assertEqual(turn["prompt_tokens"], self.ids(text_of([*messages, {"role": "user", "content": turn["user"]}])))
        self.assertEqual([m["role"] for m in chat["messages"]], ["user", "assistant"] * 2)
        # what was saved is gone on with
        again = self.talk(f"/load {path}\nThree.\n", "-n", "5", "--json").json
        self.assertEqual(again["messages"][:5], saved)
        self.assertEqual(again["turns"][0]["prompt_tokens"], self.ids(text_of([*saved, {"role": "user", "content": "Three."}])))
        self.assertIn("/reset", self.talk("/help\n").err)

    def test_system(self):
        path = self.folder / "system"
        path.write_text("Be brief.")
        want = self.ids(text_of([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "One."}]))
        for given in ("Be brief.", f"@{path}"):
            self.assertEqual(self.talk("One.\n", "-n", "1", "--system", given, "--json").json["turns"][0]["prompt_tokens"], want)

    def test_texts_of_several_lines(self):
        for said, message in [
                ("a\\\nb\\\nc\n", "a\nb\nc"), ('"""\na\n\n  b\n"""\n', "a\n\n  b"), ('"""a\nb"""\n', "a\nb"), ('"""a"""\n', "a"),
                ('"""/reset\n"""\n', "/reset"), ('"""\na', "a"), ("a\\", "a\n"), ("a\\\n\n", "a\n"), ("a\r\n", "a"), ("a \"\"\" b\n", 'a """ b')]:
            turns = self.talk(said, "-n", "1", "--json").json["turns"]
            self.assertEqual([t["user"] for t in turns], [message], said)

    def test_bytes(self):
        """NUL bytes are text; what is no UTF-8 becomes U+FFFD."""
        chat = self.talk(b"a\xff\0b\n", "-n", "1", "--json").json
        self.assertEqual(chat["turns"][0]["user"], "a\ufffd\0b")
        self.assertEqual(chat["turns"][0]["prompt_tokens"], self.ids("USER:\na\ufffd\0b\n\nASSISTANT:\n"))

    def test_no_special_token_from_a_text(self):
        special = "<|endoftext|>"
        [end] = self.run_program("tokenize", MODEL, "--no-special", "-p", special, "--json").json["ids"]
        chat = self.talk(f"{special}{special}a\n/system {special}\n{special}\n", "-n", "1", "--json").json
        for turn in chat["turns"]:
            self.assertNotIn(end, turn["prompt_tokens"])
        run = self.run_program("run", self.model, "--chat", "-p", special, "--system", special, "-n", "1", "--json").json
        self.assertNotIn(end, run["prompt_tokens"])
        self.template(TEMPLATE + special)
        self.assertEqual(self.talk("a\n", "-n", "1", "--json").json["turns"][0]["prompt_tokens"].count(end), 1)

    def test_the_context_is_full(self):
        """The oldest turns go, the system message stays, and it is said."""
        said = "\n".join(f"Tell me of number {i}, and of all the others too." for i in range(12)) + "\n"
        done = self.talk(said, "--context", "200", "-n", "40", "--system", "Count.")
        self.assertIn("The context is full: the 2 oldest messages are forgotten.\n", done.err)
        chat = self.talk(said, "--context", "200", "-n", "40", "--system", "Count.", "--json").json
        self.assertEqual(chat["context"], 200)
        self.assertEqual(len(chat["turns"]), 12)
        dropped = sum(t["dropped_messages"] for t in chat["turns"])
        self.assertGreater(dropped, 8)
        self.assertEqual(len(chat["messages"]), 25 - dropped)
        self.assertEqual(chat["messages"][0], {"role": "system", "content": "Count."})
        for turn in chat["turns"]:
            self.assertLessEqual(len(turn["prompt_tokens"]) + 40, 200)
            self.assertEqual(turn["tokens"], self.answer(turn["prompt_tokens"], "-n", "40")["tokens"])
        self.assertEqual(chat["turns"][-1]["prompt_tokens"], self.ids(text_of(chat["messages"][:-1])))

    def test_many_turns_too_many(self):
        """No turn more goes than has to, however many there are."""
        path = self.folder / "said.json"
        for count in (1, 2, 3, 7, 30, 1000):
            loaded = [{"role": role, "content": f"{role} {i}" + " and more" * (i % 5 + 20)}
                      for i in range(count) for role in ("user", "assistant")]
            path.write_text(json.dumps([{"role": "system", "content": "Be."}, *loaded]))
            turn = self.talk(f"/load {path}\nOne.\n", "--context", "500", "-n", "10", "--json").json["turns"][0]

            def ids(dropped):
                return self.ids(text_of([{"role": "system", "content": "Be."}, *loaded[dropped:], {"role": "user", "content": "One."}]))
            self.assertEqual(turn["prompt_tokens"], ids(turn["dropped_messages"]))
            self.assertLessEqual(len(turn["prompt_tokens"]) + 10, 500)
            if turn["dropped_messages"] > 0:
                self.assertGreater(len(ids(turn["dropped_messages"] - 2)) + 10, 500)
            self.assertEqual(turn["dropped_messages"] > 0, len(ids(0)) + 10 > 500)

    def test_a_message_that_does_not_fit(self):
        long = "word " * 300
        done = self.talk(f"One.\n{long}\nTwo.\n", "--context", "200", "-n", "20", code=1)
        out = done.out
        self.assertRegex(done.err, r"(?m)^plimsoll chat: LIMIT: the message does not fit: it makes a prompt of \d+ tokens, the context "
                         r"is 200, and 20 of it are for the answer \(--context, -n\)$")
        chat = self.talk(f"One.\n{long}\nTwo.\n", "--context", "200", "-n", "20", "--json", code=1).json
        self.assertEqual([t.get("error", {}).get("code") for t in chat["turns"]], [None, "LIMIT", None])
        self.assertEqual(out, "".join(t["text"] + "\n" for t in chat["turns"] if "text" in t))
        self.assertEqual((chat["error"]["code"], len(chat["messages"])), ("LIMIT", 4))
        self.assertTrue(chat["error"]["message"].startswith("1 turn or command failed: the message does not fit"))
        self.assertEqual(chat["turns"][2]["prompt_tokens"], self.ids(text_of(chat["messages"][:3])))

    def test_answers_fill_the_context(self):
        """Without -n an answer may take what is left."""
        chat = self.talk("One.\n", "--context", "64", "--ignore-eos", "--json").json
        turn = chat["turns"][0]
        self.assertEqual((len(turn["prompt_tokens"]) + len(turn["tokens"]), turn["finish_reason"]), (64, "length"))
        chat = self.talk("One.\nTwo.\n", "--context", "64", "--ignore-eos", "--json").json
        self.assertEqual(chat["turns"][1]["dropped_messages"], 2)

    def test_a_turn_that_fails(self):
        self.template("{% if 'bad' in messages[-1].content %}{{ raise_exception('not that') }}{% endif %}" + TEMPLATE)
        done = self.talk("One.\nbad\nTwo.\n", "-n", "2", code=1)
        self.assertEqual(len(done.out.splitlines()), len(self.talk("One.\nTwo.\n", "-n", "2").out.splitlines()))
        self.assertRegex(done.err, r"(?m)^plimsoll chat: FORMAT: .*not that")
        done = self.talk("/frobnicate now\n/save\nOne.\n", "-n", "2", "-q", code=2)
        self.assertEqual(done.err, "plimsoll chat: USAGE: unknown command '/frobnicate now'; /help lists them\n"
                         "plimsoll chat: USAGE: /save wants a FILE\n"
                         "plimsoll chat: USAGE: 2 turns or commands failed, the first: unknown command '/frobnicate now'; "
                         "/help lists them\nsee: plimsoll help chat\n")
        self.assertEqual(self.talk("/save /nowhere/at/all\n", code=1, ).raw, b"")

    def test_bad_files_to_load(self):
        good = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
        path = self.folder / "bad.json"
        for text, at, what in [
                ("{}", 0, "want an array of messages"), ("[1]", 1, 'want a message, {"role": ..., "content": ...}'),
                ("[{}]", 1, "a message wants role and content"), ('[{"role":"user"}]', 1, "a message wants role and content"),
                ('[{"role":"user","content":[]}]', 26, "want a JSON string"), ('[{"role":"","content":""}]', 9, "want a role of 1 to 31 bytes"),
                ('[{"role":"%s","content":""}]' % ("x" * 32), 9, "want a role of 1 to 31 bytes"),
                ('[{"role":"user","content":"","tool_calls":[]}]', 29, "chat keeps role and content of a message, nothing else"),
                ('[{"role":"user","content":"\\ud800"}]', 27, "a lone surrogate"), ("[", 1, "want a JSON value")]:
            path.write_text(text)
            chat = self.talk(f"One.\n/load {path}\n", "-n", "1", "--json", code=1).json
            self.assertEqual(chat["error"]["message"], f"1 turn or command failed: {path}: byte {at}: {what}")
            self.assertEqual(len(chat["messages"]), 2)  # those before stay
        path.write_text(json.dumps(good))
        self.assertEqual(self.talk(f"One.\n/load {path}\n", "-n", "1", "--json").json["messages"], good)

    def test_too_long(self):
        """A message, or a file, of over 16 MiB is an error of that turn; the rest of it is no other message."""
        most = 16 << 20
        long = "a" * (most + 1)
        for said in (long, long + "\\\nb", f'"""{long}"""', f'"""\n{long}\n"""', f'"""{long[9:]}\nbbbbbbbbbb\n"""'):
            chat = self.talk(f"One.\n{said}\nTwo.\n", "-n", "1", "--json", code=1).json
            self.assertEqual([t["user"] for t in chat["turns"]], ["One.", "Two."])
            self.assertEqual((chat["error"]["code"], chat["error"]["message"]),
                             ("LIMIT", "1 turn or command failed: a message of over 16 MiB"))
        path = self.folder / "long.json"
        path.write_text(json.dumps([{"role": "user", "content": "a"}]).ljust(most))
        self.assertEqual(len(self.talk(f"/load {path}\n", "--json").json["messages"]), 1)
        for name in (path, "/dev/zero"):
            if name == path:
                path.write_text(" " * (most + 1))
            error = self.talk(f"/load {name}\n", "--json", code=1).json["error"]
            self.assertEqual((error["code"], error["message"]), ("LIMIT", f"1 turn or command failed: {name}: over 16 MiB of text"))

    def test_saved_for_the_user_alone(self):
        path = self.folder / "said.json"
        path.write_text("")
        path.chmod(0o644)
        self.assertIn("\n1 message saved.\n", "\n" + self.talk(f"/system Be.\n/save {path}\n").err)
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)

    def test_usage(self):
        def usage(message, *args):
            self.assertEqual(self.fails(2, "USAGE", *args)["message"], message)
        usage("--prompt is no option of this command", "chat", "/nowhere", "-p", "a")
        usage("--set: want KEY=JSON, as enable_thinking=false, found 'a'", "chat", "/nowhere", "--set", "a")
        usage(f"--set: a KEY of over 255 bytes: '{'k' * 60}...'", "chat", "/nowhere", "--set", "k" * 256 + "=1")
        usage("-n 512 leaves no room for a prompt: the context is 512", "chat", self.model, "-n", "512")
        usage("--system goes with --chat", "run", "/nowhere", "-p", "a", "--system", "b")
        usage("--template goes with --chat", "run", "/nowhere", "-p", "a", "--template", "b")
        usage("--set goes with --chat", "run", "/nowhere", "-p", "a", "--set", "b=1")
        usage("--chat wants a text, --prompt-tokens gives ids", "run", "/nowhere", "--prompt-tokens", "1", "--chat")

    def test_no_template(self):
        for command in (["chat", MODEL], ["run", MODEL, "--chat", "-p", "a"]):
            message = self.fails(1, "IO", *command)["message"]
            self.assertIn("chat_template", message)
            self.assertIn("plimsoll run", message)
            self.assertIn("--template FILE.jinja", message)
        path = self.folder / "other.jinja"
        path.write_text("{{ messages[-1].content }}!")
        done = self.run_program("chat", MODEL, *FIXED, "--template", path, "-n", "1", "--json", stdin="Hear me")
        self.assertEqual(done.json["turns"][0]["prompt_tokens"], self.ids("Hear me!"))
        done = self.run_program("run", MODEL, "--chat", "-p", "Hear me", "--template", path, "-n", "1", "--json")
        self.assertEqual(done.json["prompt_tokens"], self.ids("Hear me!"))
        path.write_text("{{ bos_token }}{{ messages[-1].content }}")  # the model's
        want = self.ids("<|endoftext|>Hear me")
        self.assertLess(want[0], 2)
        done = self.run_program("chat", MODEL, *FIXED, "--template", path, "-n", "1", "--json", stdin="Hear me")
        self.assertEqual(done.json["turns"][0]["prompt_tokens"], want)
        done = self.run_program("run", MODEL, "--chat", "-p", "Hear me", "--template", path, "-n", "1", "--json")
        self.assertEqual(done.json["prompt_tokens"], want)

    def test_run_chat(self):
        want = self.ids(text_of([{"role": "system", "content": "Be."}, {"role": "user", "content": "One.\n"}]))
        path = self.folder / "prompt"
        path.write_text("One.\n")
        done = self.run_program("run", self.model, *FIXED, "--chat", "--prompt-file", path, "--system", "Be.", "-n", "6", "--json").json
        self.assertEqual(done["prompt_tokens"], want)
        self.assertEqual(done["tokens"], self.answer(want, "-n", "6")["tokens"])
        plain = self.run_program("run", self.model, *FIXED, "--chat", "-p", "One.\n", "--system", "Be.", "-n", "6")
        self.assertEqual(plain.out, done["text"] + "\n")
        self.template("{% if enable_thinking %}<think>{% endif %}{{ messages[0].content }}")
        for more, text in ([], "a"), (["--set", "enable_thinking=true"], "<think>a"):
            run = self.run_program("run", self.model, "--chat", "-p", "a", "-n", "1", "--json", *more).json
            self.assertEqual(run["prompt_tokens"], self.ids(text))

    def test_does_not_fit(self):
        error = self.fails(3, "BUDGET", "chat", self.model, "--memory", "5MiB", stdin=b"One.\n")
        self.assertIn("what would fit", error["message"])

    def test_interrupted_in_a_pipe(self):
        run = subprocess.Popen([PROGRAM, "chat", self.model, "--json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, env=environment())
        time.sleep(0.5 if not SANITIZED else 2)
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=60)
        self.assertEqual(run.returncode, 130, err)
        self.assertEqual(json.loads(out)["error"]["code"], "CANCELLED")


class Terminal(Talk):
    """Somebody at a terminal."""

    def start(self, *args, **env):
        try:
            leader, follower = pty.openpty()
        except OSError as why:
            self.skipTest(f"SKIPPED: there are no pseudo-terminals here: {why}")
        fcntl.ioctl(leader, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))

        def adopt():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        self.home = self.folder / "home"
        self.run = subprocess.Popen([PROGRAM, "chat", self.model, *FIXED, *args], stdin=follower, stdout=follower, stderr=follower,
                                    preexec_fn=adopt, env=environment(**{"TERM": "xterm", "HOME": str(self.home), **env}))
        os.close(follower)
        self.leader, self.seen = leader, ""
        self.addCleanup(os.close, leader)
        self.addCleanup(self.run.wait)
        self.addCleanup(self.run.kill)

    def wait_for(self, what):
        """What was shown up to there; the rest is for the next call."""
        deadline = time.monotonic() + 60
        while not re.search(what, self.seen):
            self.assertLess(time.monotonic(), deadline, self.seen)
            if select.select([self.leader], [], [], 1)[0]:
                try:
                    self.seen += os.read(self.leader, 65536).decode("utf-8", "replace")
                except OSError:  # the program has gone
                    self.assertRegex(self.seen, what)
        at = re.search(what, self.seen).end()
        text, self.seen = self.seen[:at], self.seen[at:]
        return text

    def type(self, text):
        os.write(self.leader, text.encode("utf-8"))

    def end(self, code):
        self.assertEqual(self.run.wait(60), code)


EDITS = os.environ.get("PLIM_EDIT", "1") == "1"
edits = unittest.skipUnless(EDITS, "SKIPPED: the program was built without libedit")
PROMPT = r"(^|[\r\n])> "
TOLD = r"\d+ tokens?.* kept; memory .*\n"


class AtATerminal(Terminal):
    def slow_model(self):
        """Random weights, some milliseconds per token, with the small model's tokenizer."""
        size = json.loads((self.model / "config.json").read_text())["vocab_size"]
        model = self.synth(name="slow", vocab_size=size)
        for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
            (model / name).symlink_to(self.model / name)
        return model

    @edits
    def test_a_conversation(self):
        self.start("-n", "6")
        self.assertIn("512 tokens of context; /help", self.wait_for(PROMPT))
        self.type("Two.\x01One, \x05\x7f!\r")  # Ctrl-A, Ctrl-E, backspace
        shown = self.wait_for(TOLD)
        self.assertRegex(shown, r"\x1b\[2m6 tokens, [\d.]+/s \(cut short\); prompt \d+ new, 0 kept; memory .*\x1b\[0m\r\n$")
        self.wait_for(PROMPT)
        self.type("\x1b[A\r")  # the last line once more
        self.wait_for(TOLD)
        self.wait_for(PROMPT)
        self.type(f"/save {self.folder}/said\r")
        self.wait_for("4 messages saved")
        self.wait_for(PROMPT)
        self.type("\x04")
        self.end(0)
        said = json.loads((self.folder / "said").read_text())
        self.assertEqual([m["content"] for m in said[::2]], ["One, Two!"] * 2)
        history = self.home / ".local" / "state" / "plimsoll" / "history"
        self.assertEqual(history.stat().st_mode & 0o777, 0o600)
        self.assertIn("/save", history.read_text())
        self.start("-n", "1")  # and the next time
        self.wait_for(PROMPT)
        self.type("\x1b[A\x1b[A\r")
        self.assertIn("One, Two!", self.wait_for(TOLD))

    @edits
    def test_a_history_that_is_none(self):
        """Nothing but a history is replaced, and a FIFO in its place holds nobody up."""
        path = self.folder / "home" / ".local" / "state" / "plimsoll" / "history"
        path.parent.mkdir(parents=True)
        for make in (lambda: path.write_text("dear diary\n"), lambda: os.mkfifo(path)):
            make()
            before = path.stat().st_ino
            self.start("-n", "1")
            self.wait_for(PROMPT)
            self.type("/quit\r")
            self.wait_for("warning: the lines typed are not kept: .*is no history of libedit")
            self.end(0)
            self.assertEqual((path.stat().st_ino, [p.name for p in path.parent.iterdir()]), (before, ["history"]))
            path.unlink()

    def test_interrupt_of_a_command(self):
        """It ends the command, and does not count at the prompt."""
        os.mkfifo(self.folder / "fifo")
        self.start("-n", "1")
        self.wait_for(PROMPT)
        self.type(f"/load {self.folder}/fifo\r")
        self.wait_for(r"fifo\r\n")
        time.sleep(0.3)
        self.type("\x03")
        self.wait_for("CANCELLED: /load was interrupted")
        self.assertNotIn("Ctrl-C again", self.wait_for(PROMPT))
        self.type("\x03")
        self.wait_for("Ctrl-C again ends")
        self.wait_for(PROMPT)
        self.type("/quit\r")
        self.end(0)

    @edits
    def test_characters(self):
        self.start("-n", "1", LC_ALL="C")
        self.wait_for(PROMPT)
        self.type("Grüße 世界😀x\x7f\r")
        self.wait_for(TOLD)
        self.type(f"/save {self.folder}/said\r")
        self.wait_for("saved")
        self.assertEqual(json.loads((self.folder / "said").read_text())[0]["content"], "Grüße 世界😀")

    def test_interrupt_stops_the_answer(self):
        """Its text stays, the program goes on; what was computed is kept."""
        self.model = self.slow_model()
        self.start("--ignore-eos")
        self.wait_for(PROMPT)
        self.type("Speak of everything.\r")
        self.wait_for(r"Speak of everything\.\r\n[^\r\n]")
        self.type("\x03")
        self.assertRegex(self.wait_for(TOLD), r"\d+ tokens?.* \(stopped\)")
        self.wait_for(PROMPT)
        self.type(f"/save {self.folder}/said\r")
        self.wait_for("2 messages saved")
        said = json.loads((self.folder / "said").read_text())
        self.assertGreater(len(said[1]["content"]), 0)
        self.wait_for(PROMPT)
        self.type("Go on.\r")
        self.wait_for(r"Go on\.\r\n[^\r\n]")
        self.type("\x03\x03")  # impatience ends nothing
        self.assertRegex(self.wait_for(TOLD), r"\(stopped\); prompt \d+ new, [1-9]\d* kept")
        self.wait_for(PROMPT)
        self.type("/quit\r")
        self.end(0)

    def test_interrupt_at_the_prompt(self):
        self.start("-n", "1")
        self.wait_for(PROMPT)
        self.type("half a line")
        self.wait_for("half a line")
        self.type("\x03")
        self.wait_for("Ctrl-C again ends")
        self.wait_for(PROMPT)
        self.type('"""\r')
        self.wait_for(r"\. ")
        self.type("\x03")  # the block is forgotten too
        self.wait_for(PROMPT)
        self.type("One.\r")
        self.wait_for(TOLD)
        self.wait_for(PROMPT)
        self.type("\x03")
        self.wait_for(PROMPT)
        self.type("\x03")
        self.wait_for("CANCELLED: interrupted")
        self.end(130)

    def test_other_signals_end_it(self):
        self.start("-n", "1")
        self.wait_for(PROMPT)
        self.run.send_signal(signal.SIGTERM)
        self.wait_for("CANCELLED: interrupted")
        self.end(130)

    @edits
    def test_stopped_and_resized(self):
        """The line is shown again, with what was typed."""
        self.start("-n", "1")
        self.wait_for(PROMPT)
        self.type("One")
        self.wait_for("One")
        fcntl.ioctl(self.leader, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
        self.wait_for("One")
        self.run.send_signal(signal.SIGSTOP)
        self.run.send_signal(signal.SIGCONT)
        self.wait_for("One")
        self.type(".\r")
        self.wait_for(TOLD)

    def test_no_colour(self):
        for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            self.start("-n", "1", **env)
            self.wait_for(PROMPT)
            self.type("One.\r")
            self.assertNotIn("\x1b[2m", self.wait_for(TOLD))
            self.type("/quit\r")
            self.end(0)


if __name__ == "__main__":
    main()
