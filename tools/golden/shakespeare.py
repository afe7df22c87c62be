# SPDX-License-Identifier: Apache-2.0
"""What Transformers gives for the model that the repository carries."""

from pathlib import Path

from real import record_real

MODEL = Path(__file__).resolve().parents[2] / "models" / "shakespeare-1.7m"
SPEECH = (
    "ROMEO:\nWhat light is this, that in the window breaks?\n\n"
    "JULIET:\nIt is the east, good sir, and I the sun.\n\n"
)
TEXTS = {
    "future": "The future of AI is",
    "king": "KING RICHARD III:\nMy lords,",
    "word": "First",
    "foreign": "Ünïcödé: 你好, \U0001f600!\n\n  42 + 1  =\t43",
    "long": SPEECH * 7,
}


def record(out):
    record_real(MODEL, out, TEXTS, logits_up_to=64)
