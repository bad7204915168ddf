"""Removes text that belongs to no document: special tokens of models, control characters, Markdown fences. Pure.

If a server renders the prompt, the model's family is unknown, so the tokens of all known vocabularies are listed. Tests keep this list and
providers/families.toml equal. The same text can be intended: in a string, as a markup tag, or because the document already has it.
"""

from __future__ import annotations

import re

from infill.completion.place import Place

_TAGS = (
    *("s", "eos", "bos", "pad", "unk", "eot", "eod", "endoftext", "end_of_text", "end_of_turn", "start_of_turn", "end_of_utterance"),
    *("fim_prefix", "fim_suffix", "fim_middle", "fim_pad", "fim-prefix", "fim-suffix", "fim-middle", "fim-pad"),
    *("file_sep", "filename", "repo_name", "reponame", "gh_stars", "issue_start", "issue_comment", "issue_closed"),
    *("jupyter_start", "jupyter_text", "jupyter_code", "jupyter_output", "jupyter_script", "empty_output", "code_to_intermediate"),
    *("commit_before", "commit_msg", "commit_after", "commit_message", "pr_status", "pr_base", "pr_file", "pr_diff", "pr_comment"),
    *("PRE", "SUF", "MID", "EOT", "EOD", "EOS", "BOS"),
)
"""Tokens such as `<eos>`, which look like a tag."""
_WORDS = ("SUFFIX", "PREFIX", "MIDDLE", "INST", "TOOL_CALLS", "AVAILABLE_TOOLS", "TOOL_RESULTS", "SYSTEM_PROMPT")
"""Tokens such as `[INST]`, which look like an index."""
_BAR = r"[|\uff5c]"
_TOKEN = re.compile(
    rf"""
      (?P<bars>  <{_BAR} [^\s<>|\uff5c]{{1,48}} {_BAR}> )           # <|im_end|>, its full-width form
    | (?P<seed>  <\[ (?: fim-\w+ | [^\s<>\[\]]*\u2581[^\s<>\[\]]* ) \]> )  # <[end▁of▁sentence]>; <[string]> is TypeScript
    | (?P<tag>   < (?! s> ) /? (?P<name> {"|".join(map(re.escape, _TAGS))} ) > | <extra_id_\d+> | <<SYS>> )
    | (?P<index> \[ /? (?P<word> {"|".join(_WORDS)} ) \] )
    | \u2047                                                       # what SentencePiece writes for an unknown piece
    | (?P<never> [\x00-\x08\x0b\x0e-\x1f\ufffd] )
    """,
    re.VERBOSE,
)
_UNFINISHED = re.compile(rf"<{_BAR}[^\s<>|\uff5c]*{_BAR}?\Z")
_OPERATORS = frozenset({"fsharp", "elm", "ocaml", "purescript", "haskell"})
"""Languages with the operator `<|`."""
_MARKUP = re.compile(r"html|xml|xsl|svg|vue|svelte|astro|markdown|mdx|php|jsx|tsx|react|razor|blade|erb|handlebars|twig|jinja|liquid")
_FENCE = re.compile(r"(?:^|\n)[ \t]*```")
_MAY_HAVE_FENCES = frozenset({"markdown", "mdx", "quarto", "rmd", "restructuredtext"})
_QUOTED = re.compile(r"""\\.|["'`]""")


def foreign_text_cut(text: str, place: Place) -> str:
    """Cut the text before a control character, a special token as text, or a Markdown fence."""
    ends = [next((match.start() for match in _TOKEN.finditer(text) if not _is_meant(match, text, place)), len(text))]
    if place.language not in _OPERATORS and (unfinished := _UNFINISHED.search(text)):
        ends.append(unfinished.start())
    if place.language not in _MAY_HAVE_FENCES and "```" in text and (fence := _FENCE.search(text)) and not _in_docstring(place):
        ends.append(fence.start())
    return text[: min(ends)]


def _is_meant(match: re.Match[str], text: str, place: Place) -> bool:
    """Whether text that looks like a token is intended."""
    said, before = match[0], text[: match.start()]
    if match["never"]:
        return False
    if said == "</s>":
        return _is_open(place.above + place.line_before + before)
    if match["tag"] and _MARKUP.search(place.region.language or place.language):
        return True
    around = (place.above, place.line_before, place.below)
    if match["index"]:
        return any(re.search(rf"\b{match['word']}\b", one) for one in around)
    return any(said in one for one in around) or _in_string(place.line_before + before, text[match.end() :])


def _is_open(before: str) -> bool:
    """Whether the element `s` (struck-through text) is open."""
    return len(re.findall(r"<s[\s>]", before)) > before.count("</s>")


def _in_string(before: str, after: str) -> bool:
    """Whether the token is inside a string of the line: opened before it and closed after it."""
    quote = ""
    for match in _QUOTED.finditer(before, before.rfind("\n") + 1):
        if match[0] in "\"'`":
            quote = "" if quote == match[0] else quote or match[0]
    return bool(quote) and quote in after.partition("\n")[0]


def _in_docstring(place: Place) -> bool:
    """Whether fences are possible because the line is a comment or docstring, or a fence is near above."""
    return "```" in place.above or place.line_before.lstrip().startswith(("#", "//", "*", "/*", "--", ";", '"""', "'''"))
