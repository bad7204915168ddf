"""The marks that models put around their reasoning, and their conversion to one form.

Sources: the chat templates of the models, and the reasoning parsers of vLLM and llama.cpp (common/chat.cpp).
"""

from __future__ import annotations

import re

PAIRS = (
    ("<think>", "</think>"),  # Qwen 3, DeepSeek R1, GLM, SmolLM3, Phi-4, Granite 3.3, MiniMax
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),  # EXAONE Deep
    ("<reasoning>", "</reasoning>"),
    ("<reason>", "</reason>"),
    ("<reflection>", "</reflection>"),
    ("<scratchpad>", "</scratchpad>"),
    ("<seed:think>", "</seed:think>"),  # Seed-OSS
    ("<think:opensource>", "</think:opensource>"),  # Hunyuan 3
    ("[THINK]", "[/THINK]"),  # Magistral
    ("\u25c1think\u25b7", "\u25c1/think\u25b7"),  # Kimi-VL
    ("<|begin_of_thought|>", "<|end_of_thought|>"),  # Sky-T1, OpenThinker
    ("<|START_THINKING|>", "<|END_THINKING|>"),  # Command A Reasoning
    ("<|inner_prefix|>", "<|inner_suffix|>"),  # Apertus
    ("<|think|>", "<|/think|>"),  # Solar Open
    ("<unused94>", "<unused95>"),  # MedGemma
    ("<|channel>", "<channel|>"),  # Gemma 4
)
"""Marks that open and close a reasoning block."""
OPEN, CLOSE = PAIRS[0]
HARMONY = ("<|channel|>", "<|message|>", "<|start|>", "<|end|>", "<|constrain|>")
"""gpt-oss names channels: `<|channel|>analysis<|message|>...<|end|><|start|>assistant<|channel|>final<|message|>...`."""
MARKS = frozenset({mark for pair in PAIRS for mark in pair} | set(HARMONY))
"""Special tokens that an engine has to return as text, so that an answer can be parsed."""

UNQUOTED = r"(?<![\"'])(?<!(?<!`)`)"
"""Not after a quote or backtick: a mark in a string of code, or in backticks in prose, has no meaning."""
_OPENS = re.compile(r"(?<!\w)" + UNQUOTED + "(?:" + "|".join(re.escape(opening) for opening, _ in PAIRS[1:]) + ")", re.IGNORECASE)
_CLOSES = re.compile(UNQUOTED + "(?:" + "|".join(re.escape(closing) for _, closing in PAIRS[1:]) + ")", re.IGNORECASE)
_CHANNEL = re.compile(r"(?:<\|end\|>)?(?:<\|start\|>\w*)?<\|channel\|>\s*(\w+)[^<\n]*(?:<\|constrain\|>[^<\n]*)?<\|message\|>")
_BARE_CHANNEL = re.compile(r"\Aanalysis(?=[A-Z\"'])|(?<=[.!?)\]\"'\w])assistant(?:commentary)?final(?=[A-Z\"'`\s#/({\[<@]|\Z)")
"""The same marks if a server has removed the special tokens: `analysisThe user wants ...assistantfinalHere is`."""
_SPOKEN = re.compile(r"\AHere(?: is|'s) my thought process:\s*|^Here(?: is|'s) my response:[ \t]*", re.MULTILINE)
"""Granite 3.2 marks reasoning with words."""
_END = re.compile(
    UNQUOTED
    + r"(?:<\|(?:im_end|im_start|eot_id|eom_id|end_of_text|endoftext|end|return|call|user|assistant|system|start_header_id|end_of_role|EOT)\|>"
    r"|<end_of_turn>|<start_of_turn>|<turn\|>|<\|turn>|<eos>|<\uff5c[^<>\n]{3,30}\uff5c>|\[/?INST\]|<\|END_RESPONSE\|>|<\|END_OF_TURN_TOKEN\|>|</s>\s*\Z)"
)
"""End-of-turn tokens returned as text; nothing after them is part of the answer."""
_WRAPPERS = re.compile(
    r"^[ \t]*</?(?:answer|response|final_answer)>[ \t]*|<\|(?:begin|end)_of_solution\|>|<\|START_RESPONSE\|>|<\|start\|>\w*", re.MULTILINE
)
_FIRST = "<[\u25c1"
_LONGEST = 40


def canonical(raw: str, *, done: bool) -> str:
    """The answer with every reasoning block between `<think>` and `</think>`, single line breaks, and nothing after the end of the turn.

    While not `done`, the beginning of a mark at its end is omitted.
    """
    text = raw.replace("\r\n", "\n")
    if not done:
        text = text[: _certain(text)]
    text = _CHANNEL.sub(lambda found: CLOSE if found[1] == "final" else OPEN, text)
    text = _BARE_CHANNEL.sub(lambda found: OPEN if found[0] == "analysis" else CLOSE, text)
    text = _SPOKEN.sub(lambda found: OPEN if "thought" in found[0] else CLOSE, text)
    text = _CLOSES.sub(CLOSE, _OPENS.sub(OPEN, text))
    if end := _END.search(text):
        text = text[: end.start()]
    return _WRAPPERS.sub("", text)


def _certain(text: str) -> int:
    """Length of the text that cannot be the beginning of a mark."""
    text = text.removesuffix("\r")
    for start in range(max(0, len(text) - _LONGEST), len(text)):
        if text[start] in _FIRST and _may_be_mark(text[start:]):
            return start
    return len(text)


def _may_be_mark(tail: str) -> bool:
    if "\n" in tail or " " in tail:
        return False
    if tail.startswith(("<|", "<\uff5c")):
        # `<|channel|>` is followed by words and `<|message|>`, which are part of the mark
        return tail.count("|>") == 0 or ("channel" in tail and "<|message|>" not in tail)
    return any(mark.lower().startswith(tail.lower()) and mark.lower() != tail.lower() for pair in PAIRS for mark in pair)


class Joined:
    """Puts reasoning that the server returns separately before the answer, between marks."""

    def __init__(self) -> None:
        self._open = False

    def feed(self, reasoning: str, text: str) -> str:
        """Add text to either; returns the joined new text."""
        said = ""
        if reasoning:
            said, self._open = reasoning if self._open else OPEN + reasoning, True
        if text and self._open:
            text, self._open = CLOSE + text, False
        return said + text
