# SPDX-License-Identifier: Apache-2.0
"""plimsoll convert: what is written, what is refused, and that nothing half-written is ever left behind."""
import json
import os
import resource
import signal
import struct
import subprocess
import time
import unittest
from pathlib import Path

from program import MODEL, PROGRAM, SANITIZED, Case, environment, main, read_safetensors, write_safetensors

SMALL = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 64, "intermediate_size": 160,
         "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 300,
         "max_position_embeddings": 128, "tie_word_embeddings": False}


def bf16(raw):
    return [struct.unpack("<f", b"\0\0" + raw[i:i + 2])[0] for i in range(0, len(raw), 2)]


class Folder:
    """Tensors of a folder's safetensors files: name -> (dtype, shape, bytes)."""

    def __init__(self, path):
        self.path = Path(path)
        self.config = json.loads((self.path / "config.json").read_text()) if (self.path / "config.json").exists() else {}
        self.tensors, self.spans = {}, {}
        for file in sorted(self.path.glob("*.safetensors")):
            header, data = read_safetensors(file)
            self.metadata = header.pop("__metadata__", None)
            length = file.stat().st_size - len(data)
            end = 0
            for name, t in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
                first, last = t["data_offsets"]
                assert first == end, "a hole"
                end = last
                self.spans[name] = (length + first, last - first)
                self.tensors[name] = (t["dtype"], t["shape"], data[first:last])
            assert end == len(data)

    def dequantised(self, name):
        """Values and levels of NAME.weight, from its groups."""
        packed, scale = self.tensors[name + ".weight_packed"], self.tensors[name + ".weight_scale"]
        rows, inputs = struct.unpack("<2q", self.tensors[name + ".weight_shape"][2])
        bits = packed[1][1] * 32 // inputs
        assert packed[:2] == ("I32", [rows, inputs * bits // 32]) and scale[:2] == ("F16", [rows, inputs // 32])
        levels = list(packed[2]) if bits == 8 else [n for b in packed[2] for n in (b & 15, b >> 4)]
        scales = struct.unpack(f"<{rows * inputs // 32}e", scale[2])
        return bits, [scales[i // 32] * (q - (1 << (bits - 1))) for i, q in enumerate(levels)]


class Convert(Case):
    def convert(self, model, dtype, *more, name=None):
        out = self.folder / (name or dtype)
        done = self.run_program("convert", model, out, "--dtype", dtype, *more)
        self.assertEqual(done.code, 0, done.err)
        self.assertRegex(done.out, rf"^{out}: {dtype}, .* in \d+ files?, ")
        return Folder(out)

    def llama(self, name="model", dtype="bfloat16", **config):
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps({**SMALL, **config}))
        done = self.run_program("synth", path, self.folder / name, "--dtype", dtype)
        self.assertEqual(done.code, 0, done.err)
        return self.folder / name

    def nothing_left(self, out):
        self.assertEqual([p.name for p in out.parent.iterdir() if p.name.startswith(out.name)], [])

    def test_floats(self):
        """There and back: bfloat16 fits into float32, so nothing is lost; tied weights stay one."""
        source = Folder(MODEL)
        wide = self.convert(MODEL, "float32")
        self.assertEqual((wide.config["dtype"], wide.metadata), ("float32", {"format": "pt"}))
        self.assertEqual({**wide.config, "dtype": 0}, {**source.config, "dtype": 0})
        self.assertEqual(set(wide.tensors), set(source.tensors))
        for name, (dtype, shape, raw) in source.tensors.items():
            self.assertEqual(wide.tensors[name][:2], ("F32", shape))
            self.assertEqual(wide.tensors[name][2], b"".join(b"\0\0" + raw[i:i + 2] for i in range(0, len(raw), 2)))
            self.assertEqual(wide.spans[name][0] % 4, 0)
        narrow = self.convert(wide.path, "bfloat16")
        self.assertEqual(narrow.tensors, source.tensors)
        half = self.convert(MODEL, "float16")
        for name, (dtype, shape, raw) in source.tensors.items():
            self.assertEqual(half.tensors[name][2], struct.pack(f"<{len(raw) // 2}e", *bf16(raw)), name)
        for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json", "README.md"):
            self.assertEqual((half.path / name).read_bytes(), (Path(MODEL) / name).read_bytes())
        text = ["-p", "ROMEO:", "-n", "20"]
        self.assertEqual(self.run_program("run", narrow.path, *text).raw, self.run_program("run", MODEL, *text).raw)

    def test_groups(self):
        source = Folder(MODEL)
        for dtype, bits, most in (("int8", 8, 0.01), ("int4", 4, 0.13)):
            out = self.convert(MODEL, dtype)
            config = out.config.pop("quantization_config")
            self.assertEqual(out.config, {**source.config, "dtype": "float32"})
            group = config["config_groups"].pop("group_0")
            self.assertEqual((config["config_groups"], config["ignore"]), ({}, ["lm_head"]))
            self.assertEqual((config["quant_method"], config["format"], config["quantization_status"]),
                             ("compressed-tensors", "pack-quantized", "compressed"))
            want = {"num_bits": bits, "type": "int", "symmetric": True, "strategy": "group", "group_size": 32}
            self.assertEqual(group["targets"], ["Linear"])
            self.assertEqual(want, {k: v for k, v in group["weights"].items() if k in want})
            for name, (stored, shape, raw) in source.tensors.items():
                if "_proj" not in name:
                    self.assertEqual(out.tensors[name], (stored, shape, raw), name)
                    continue
                self.assertNotIn(name, out.tensors)
                found, values = out.dequantised(name[:-len(".weight")])
                self.assertEqual(found, bits)
                exact = bf16(raw)
                error = sum((a - b) ** 2 for a, b in zip(values, exact)) / sum(a * a for a in exact)
                self.assertLess(error ** 0.5, most, name)
                self.assertEqual(out.spans[name + "_packed"][0] % 16, 0)

    def test_text_of_transformers(self):
        """Greedy text from the converted folder as Transformers gives it (tools/quality/converted.py), token by token
        after its own text: all of them in float32; with 8-bit activations those are left out, as recorded, that are nearly
        as likely as the next."""
        recorded = json.loads((Path(__file__).parent / "converted.json").read_text())
        for dtype in ("int8", "int4"):
            out = self.convert(MODEL, dtype).path
            compared = 0
            for row in recorded[dtype]:
                prompt, tokens, close = row["prompt"], row["tokens"], set(row["close"])
                ids = ",".join(map(str, prompt + tokens[:-1]))
                done = self.run_program("logits", out, "--tokens", ids, "-o", self.folder / "logits")
                self.assertEqual(done.code, 0, done.err)
                header, data = read_safetensors(self.folder / "logits")
                vocabulary = header["logits"]["shape"][1]
                for i, token in enumerate(tokens):
                    if i in close:
                        continue
                    at = (len(prompt) - 1 + i) * vocabulary * 4
                    scores = struct.unpack_from(f"<{vocabulary}f", data, at)
                    self.assertEqual(scores.index(max(scores)), token, (dtype, row["prompt"], i))
                    compared += 1
                command = ["run", out, "--prompt-tokens", ",".join(map(str, prompt)), "-n", str(len(tokens)), "--ignore-eos",
                           "--json", "--quiet"]
                self.assertEqual(self.run_program(*command, "--dtype", "float32").json["tokens"], tokens)
                ours = self.run_program(*command).json["tokens"]
                firm = min(close, default=len(tokens))
                self.assertEqual(ours[:firm], tokens[:firm])
            self.assertGreater(compared, 350)

    def test_head_of_its_own(self):
        """8 bits, also beside layers of 4; what no group fills stays, and is ignored by name."""
        model = self.llama(intermediate_size=100)
        out = self.convert(model, "int4")
        config = out.config["quantization_config"]
        self.assertEqual(out.dequantised("lm_head")[0], 8)
        self.assertEqual(out.dequantised("model.layers.1.mlp.up_proj")[0], 4)
        self.assertEqual(config["ignore"], [f"model.layers.{i}.mlp.down_proj" for i in range(2)])
        self.assertEqual({g["weights"]["num_bits"]: g["targets"] for g in config["config_groups"].values()},
                         {4: ["re:.*_proj$"], 8: ["lm_head"]})
        source = Folder(model)
        for name in ("model.layers.0.mlp.down_proj.weight", "model.embed_tokens.weight", "model.norm.weight"):
            self.assertEqual(out.tensors[name], source.tensors[name])
        eight = self.convert(model, "int8").config["quantization_config"]
        self.assertEqual({g["weights"]["num_bits"]: g["targets"] for g in eight["config_groups"].values()},
                         {8: ["Linear"]})

    def test_shards(self):
        whole = self.convert(MODEL, "int4", name="whole")
        cut = self.convert(MODEL, "int4", "--max-shard-size", "300kB", name="cut")
        self.assertEqual(cut.tensors, whole.tensors)
        index = json.loads((cut.path / "model.safetensors.index.json").read_text())
        files = sorted(p.name for p in cut.path.glob("*.safetensors"))
        self.assertEqual(files, [f"model-{i + 1:05}-of-{len(files):05}.safetensors" for i in range(len(files))])
        self.assertGreater(len(files), 2)
        self.assertEqual(index["metadata"]["total_size"], sum(len(t[2]) for t in whole.tensors.values()))
        for name, file in index["weight_map"].items():
            self.assertIn(name, read_safetensors(cut.path / file)[0])
        self.assertEqual(set(index["weight_map"]), set(whole.tensors))

    def test_any_model(self):
        """Floats are cast whatever the model; other types, odd names and odd sizes are kept."""
        model = self.folder / "other"
        floats = struct.pack("<3f", 1.0, -2.5, 3e38)
        write_safetensors(model / "model.safetensors", {
            "a": ("F32", [3], floats), "bool": ("BOOL", [3], b"\1\0\1"), "odd \"name\"\\é": ("U8", [5], b"12345"),
            "empty": ("F32", [0, 4], b""), "ids": ("I64", [2], struct.pack("<2q", -1, 1 << 40)),
            "scalar": ("F64", [], struct.pack("<d", 0.1))})
        (model / "config.json").write_text('{"model_type": "unheard-of", "note": "{\\"dtype\\": 1}"}')
        out = self.convert(model, "bfloat16")
        self.assertEqual(out.config, {"torch_dtype": "bfloat16", "model_type": "unheard-of", "note": '{"dtype": 1}'})
        self.assertEqual(out.tensors["a"], ("BF16", [3], bytes.fromhex("803f20c0627f")))
        self.assertEqual(out.tensors["scalar"], ("BF16", [], bytes.fromhex("cd3d")))
        self.assertEqual(out.tensors["empty"], ("BF16", [0, 4], b""))
        source = Folder(model)
        for name in ("bool", "odd \"name\"\\é", "ids"):
            self.assertEqual(out.tensors[name], source.tensors[name])
        error = self.fails(1, "UNSUP", "convert", str(model), str(self.folder / "no"), "--dtype", "int8")
        self.assertIn("unheard-of", error["message"])
        (model / "config.json").unlink()
        self.assertFalse((self.convert(model, "float16").path / "config.json").exists())

    def test_config_texts(self):
        """Both names of the type, null values, and a name for the weights."""
        model = self.folder / "texts"
        write_safetensors(model / "w.safetensors", {"a": ("F32", [1], b"\0\0\x80\x3f")})
        (model / "config.json").write_text('{"torch_dtype":"float32","dtype":null,"quantization_config": null,'
                                           '"transformers_weights":"w.safetensors","x":[1,2]}')
        out = self.convert(model, "float16")
        self.assertEqual(out.config, {"torch_dtype": "float16", "dtype": "float16", "quantization_config": None,
                                      "transformers_weights": "model.safetensors", "x": [1, 2]})
        (model / "config.json").write_text("{}")
        (model / "model.safetensors").write_bytes((model / "w.safetensors").read_bytes())
        self.assertEqual(self.convert(model, "bfloat16").config, {"torch_dtype": "bfloat16"})

    def test_companions(self):
        model = self.llama()
        (model / "additional_chat_templates").mkdir()
        files = {"tokenizer.json": "{}", "chat_template.jinja": "x", "additional_chat_templates/rag.jinja": "y",
                 "LICENSE": "z", "README.md": "r", "vocab.json": "{}", "merges.txt": "m", "tokenizer.model": "s"}
        others = ["optimizer.pt", "pytorch_model.bin", "notes.txt", "additional_chat_templates/x.txt"]
        for name, text in files.items():
            (model / name).write_text(text)
        for name in others:
            (model / name).write_text("no")
        (self.folder / "blob").write_text("linked")
        (model / "special_tokens_map.json").symlink_to(self.folder / "blob")  # as in the Hub's cache
        out = self.convert(model, "float16").path
        for name, text in files.items():
            self.assertEqual((out / name).read_text(), text)
        self.assertEqual((out / "special_tokens_map.json").read_text(), "linked")
        self.assertFalse((out / "special_tokens_map.json").is_symlink())
        self.assertEqual({p.name for p in out.iterdir()}, {n.split("/")[0] for n in files} |
                         {"special_tokens_map.json", "config.json", "model.safetensors"})
        self.assertEqual([p.name for p in (out / "additional_chat_templates").iterdir()], ["rag.jinja"])

    def test_refused(self):
        out = str(self.folder / "out")
        self.assertIn("--dtype is wanted", self.fails(2, "USAGE", "convert", MODEL, out)["message"])
        gpt2 = self.synth(n_layer=1, n_embd=64, n_head=4)
        error = self.fails(1, "UNSUP", "convert", str(gpt2), out, "--dtype", "int4")
        for word in ("Conv1D", "bfloat16", "--dtype int4"):
            self.assertIn(word, error["message"])
        tiny = self.llama("tiny", hidden_size=24, intermediate_size=40, num_attention_heads=2, num_key_value_heads=2,
                          head_dim=12)
        self.assertIn("multiple of 32", self.fails(1, "UNSUP", "convert", str(tiny), out, "--dtype", "int8")["message"])
        self.fails(1, "IO", "convert", "/nowhere/at/all", out, "--dtype", "int8")
        self.nothing_left(self.folder / "out")
        done = self.convert(MODEL, "int8").path
        for dtype in ("bfloat16", "int4"):
            error = self.fails(1, "UNSUP", "convert", str(done), out, "--dtype", dtype)
            self.assertIn("quantised already", error["message"])
        before = sorted(p.name for p in done.iterdir())
        error = self.fails(2, "USAGE", "convert", MODEL, str(done) + "/", "--dtype", "int8")
        self.assertIn("not empty", error["message"])
        self.assertEqual(sorted(p.name for p in done.iterdir()), before)
        (self.folder / "file").write_text("mine")
        self.fails(2, "USAGE", "convert", MODEL, str(self.folder / "file"), "--dtype", "int8")
        self.fails(1, "IO", "convert", MODEL, str(self.folder / "none" / "out"), "--dtype", "int8")
        (self.folder / "empty").mkdir()
        self.convert(MODEL, "int8", name="empty")

    def test_packed_without_word(self):
        """Quants are refused whatever config.json says of them, and for floats too."""
        done = self.convert(MODEL, "int8")
        text = json.loads((done.path / "config.json").read_text())
        for change in ("absent", "null"):
            text.pop("quantization_config", None)
            if change == "null":
                text["quantization_config"] = None
            (done.path / "config.json").write_text(json.dumps(text))
            for dtype in ("bfloat16", "int4"):
                error = self.fails(1, "UNSUP", "convert", str(done.path), str(self.folder / "out"), "--dtype", dtype)
                self.assertIn("quantised already", error["message"])
        self.nothing_left(self.folder / "out")

    def test_names_are_taken(self):
        model = self.llama()
        header, data = read_safetensors(model / "model.safetensors")
        header.pop("__metadata__", None)
        tensors = {n: (t["dtype"], t["shape"], data[slice(*t["data_offsets"])]) for n, t in header.items()}
        for part in ("scale", "shape"):
            name = f"model.layers.1.mlp.up_proj.weight_{part}"
            write_safetensors(model / "model.safetensors", {**tensors, name: ("F32", [1], b"\0" * 4)})
            error = self.fails(1, "UNSUP", "convert", str(model), str(self.folder / "out"), "--dtype", "int4")
            self.assertEqual(error["tensor"], name)
            self.assertIn("already", error["message"])
        self.nothing_left(self.folder / "out")
        self.convert(model, "float16")

    def test_type_is_no_text(self):
        model = self.llama()
        text = json.loads((model / "config.json").read_text())
        for key in ("dtype", "torch_dtype", "transformers_weights"):
            for value in (5, {}, ["float32"], True):
                (model / "config.json").write_text(json.dumps({**text, key: value}))
                error = self.fails(1, "FORMAT", "convert", str(model), str(self.folder / "out"), "--dtype", "float16")
                self.assertIn(key, error["message"])
        self.nothing_left(self.folder / "out")

    def test_places(self):
        """What can't be renamed to is refused at once."""
        for name in (".", "e/.", "e/..", "x/..", "e/./"):
            (self.folder / "e").mkdir(exist_ok=True)
            self.fails(2, "USAGE", "convert", MODEL, f"{self.folder}/{name}", "--dtype", "int8")
        self.assertEqual([p.name for p in self.folder.iterdir()], ["e"])

    @unittest.skipUnless(os.geteuid() == 0, "a small file system is mounted, which root may do")
    def test_mount_point(self):
        empty = self.folder / "empty"
        empty.mkdir()
        for options in (["-t", "tmpfs", "none"], ["--bind", empty]):
            mount = self.folder / f"m{len(options)}"
            mount.mkdir()
            done = subprocess.run(["mount", *options, mount], stderr=subprocess.PIPE)
            if done.returncode:
                self.skipTest(f"cannot mount: {done.stderr.decode().strip()}")
            self.addCleanup(subprocess.run, ["umount", str(mount)], check=True)
            error = self.fails(2, "USAGE", "convert", MODEL, str(mount), "--dtype", "float32")
            self.assertIn("mount point", error["message"])

    def test_broken_input(self):
        model = self.llama()
        with open(model / "model.safetensors", "r+b") as file:
            file.truncate(os.path.getsize(model / "model.safetensors") - 1)
        self.fails(1, "TRUNC", "convert", str(model), str(self.folder / "out"), "--dtype", "float16")
        self.nothing_left(self.folder / "out")

    def test_json(self):
        out = self.folder / "out"
        done = self.run_program("convert", MODEL, out, "--dtype", "int8", "--json", "--quiet").json
        self.assertEqual(set(done), {"model", "directory", "dtype", "bytes", "files", "tensors", "seconds"})
        self.assertEqual((done["directory"], done["dtype"], done["files"]), (str(out), "int8", 1))
        self.assertEqual(done["bytes"], (out / "model.safetensors").stat().st_size)

    def test_interrupted(self):
        """Exit 130, soon, and neither the folder nor anything beside it stays."""
        model = self.llama("large", hidden_size=2048, intermediate_size=8192, num_hidden_layers=3, vocab_size=32000,
                           num_attention_heads=32, num_key_value_heads=8)
        out = self.folder / "out"
        run = subprocess.Popen([PROGRAM, "convert", model, out, "--dtype", "int4", "--threads", "1"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
        self.end(run, signal.SIGINT, out, "*")

    def end(self, run, number, out, awaited):
        """Send the signal once something of that name is written."""
        deadline = time.monotonic() + 60
        while not any(p.stat().st_size for p in self.folder.glob(f"out.partial-*/{awaited}")):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.002)
        self.assertIsNone(run.poll(), "too fast to be interrupted")
        started = time.monotonic()
        run.send_signal(number)
        err = run.communicate(timeout=60)[1].decode()
        self.assertEqual(run.returncode, 130, err)
        self.assertLess(time.monotonic() - started, 5 if SANITIZED else 1)
        self.assertIn("CANCELLED", err)
        self.nothing_left(out)

    def test_hangup_and_companions(self):
        """A closed terminal ends it as well, also while a companion is copied; nohup's ignoring stays."""
        model, out = self.llama(), self.folder / "out"
        with open(model / "tokenizer.model", "wb") as file:
            file.truncate(256 << 20)
        with open(model / "README.bin", "wb") as file:
            file.truncate((256 << 20) + 1)  # no README
        command = [PROGRAM, "convert", model, out, "--dtype", "float16"]
        run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
        self.end(run, signal.SIGHUP, out, "tokenizer.model*")
        os.truncate(model / "tokenizer.model", 30)
        ignored = lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)
        run = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment(), preexec_fn=ignored)
        while run.poll() is None:
            run.send_signal(signal.SIGHUP)
            time.sleep(0.002)
        self.assertEqual(run.returncode, 0)
        self.assertEqual({p.name for p in out.iterdir()}, {"config.json", "model.safetensors", "tokenizer.model"})

    def test_file_limit(self):
        out = self.folder / "out"
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
        done = subprocess.run([PROGRAM, "convert", MODEL, out, "--dtype", "float32"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, env=environment(), preexec_fn=limit)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(b"File too large", done.stderr)
        self.nothing_left(out)

    def test_memory(self):
        """Whatever the size: a few MiB above the start."""
        if SANITIZED:
            self.skipTest("a sanitizer's memory is not ours")
        model = self.llama("large", hidden_size=1024, intermediate_size=4096, num_hidden_layers=6, vocab_size=32000,
                           num_attention_heads=16, num_key_value_heads=4)
        size = (model / "model.safetensors").stat().st_size
        self.assertGreater(size, 200e6)
        peaks = []
        for at, source in ((0, MODEL), (1, model)):
            run = subprocess.Popen([PROGRAM, "convert", source, self.folder / f"out{at}", "--dtype", "int8"],
                                   stdout=subprocess.DEVNULL, env=environment())
            _, status, usage = os.wait4(run.pid, 0)
            run.returncode = os.waitstatus_to_exitcode(status)
            self.assertEqual(run.returncode, 0)
            peaks.append(usage.ru_maxrss * 1024)
        self.assertLess(peaks[1] - peaks[0], 2 << 20)
        empty = subprocess.Popen([PROGRAM, "info", MODEL], stdout=subprocess.DEVNULL, env=environment())
        _, status, usage = os.wait4(empty.pid, 0)
        empty.returncode = os.waitstatus_to_exitcode(status)
        self.assertLess(peaks[1] - usage.ru_maxrss * 1024, 12 << 20)

    @unittest.skipUnless(os.geteuid() == 0, "a small file system is mounted, which root may do")
    def test_full_disk(self):
        mount = self.folder / "small"
        mount.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M", "none", mount], stderr=subprocess.PIPE)
        if done.returncode:
            self.skipTest(f"cannot mount: {done.stderr.decode().strip()}")
        self.addCleanup(subprocess.run, ["umount", str(mount)], check=True)
        error = self.fails(1, "IO", "convert", MODEL, str(mount / "out"), "--dtype", "float32")
        self.assertIn("No space left", error["message"])
        self.assertEqual(list(mount.iterdir()), [])


if __name__ == "__main__":
    main()
