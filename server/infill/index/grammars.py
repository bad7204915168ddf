"""The language of a file, and which nodes of its syntax tree are indexed. Imports tree-sitter when a parser is first needed.

Node names are from the grammars' `node-types.json`.
"""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from tree_sitter import Parser

ENDINGS = {
    "python": ".py .pyi",
    "javascript": ".js .jsx .mjs .cjs",
    "typescript": ".ts .mts .cts",
    "tsx": ".tsx",
    "go": ".go",
    "rust": ".rs",
    "java": ".java",
    "c": ".c",
    "cpp": ".h .cc .cpp .cxx .hpp .hh .hxx .inl",
    "lua": ".lua",
    "other": ".kt .kts .rb .php .cs .swift .scala .vue .svelte .css .scss .less .html .sh .bash .zig .dart .ex .exs .erl .hs .ml .jl .r .sql .m .mm",
}
"""Languages with a grammar; `other` is divided at blank lines. Configuration files are not indexed: they contain secrets more often than names."""
LANGUAGE_OF = {ending: language for language, endings in ENDINGS.items() for ending in endings.split()}
FAMILIES = ({"javascript", "typescript", "tsx"}, {"c", "cpp"})
"""Groups of languages that use each other's definitions."""


class Grammar(msgspec.Struct, frozen=True, kw_only=True):
    """Which nodes of a syntax tree become symbols."""

    module: str
    function: str = "language"
    """Function of `module` that returns the language."""
    symbols: dict[str, str]
    """Node type -> kind of symbol."""
    containers: frozenset[str] = frozenset()
    """Node types whose children are searched, in addition to symbols of the kinds `class` and `module`."""
    hidden: str
    """Query for strings and comments."""


_SCRIPT = {
    "function_declaration": "function",
    "generator_function_declaration": "function",
    "function_signature": "function",
    "class_declaration": "class",
    "abstract_class_declaration": "class",
    "method_definition": "method",
    "abstract_method_signature": "method",
    "interface_declaration": "type",
    "type_alias_declaration": "type",
    "enum_declaration": "type",
    "variable_declarator": "value",
    "module": "module",
    "internal_module": "module",
}
_SCRIPT_CONTAINERS = frozenset(
    {
        "export_statement",
        "ambient_declaration",
        "class_body",
        "lexical_declaration",
        "variable_declaration",
        "statement_block",
        "expression_statement",
    }
)
_SCRIPT_HIDDEN = "[(string) (template_string) (comment) (regex)] @hidden"
_C = {
    "function_definition": "function",
    "declaration": "declared",
    "field_declaration": "declared",
    "struct_specifier": "type",
    "union_specifier": "type",
    "enum_specifier": "type",
    "type_definition": "type",
    "preproc_def": "value",
    "preproc_function_def": "function",
    "class_specifier": "class",
    "namespace_definition": "module",
    "alias_declaration": "type",
    "concept_definition": "type",
}
_C_CONTAINERS = frozenset(
    {
        *("preproc_ifdef", "preproc_if", "preproc_else", "preproc_elif", "linkage_specification", "declaration_list"),
        *("field_declaration_list", "template_declaration"),
    }
)
_C_HIDDEN = "[(string_literal) (raw_string_literal) (char_literal) (comment)] @hidden"

GRAMMARS = {
    "python": Grammar(
        module="tree_sitter_python",
        symbols={"function_definition": "function", "class_definition": "class", "assignment": "value", "type_alias_statement": "type"},
        containers=frozenset({"decorated_definition", "expression_statement", "if_statement", "try_statement", "block", "else_clause"}),
        hidden="[(string) (comment)] @hidden",
    ),
    "javascript": Grammar(module="tree_sitter_javascript", symbols=_SCRIPT, containers=_SCRIPT_CONTAINERS, hidden=_SCRIPT_HIDDEN),
    "typescript": Grammar(
        module="tree_sitter_typescript", function="language_typescript", symbols=_SCRIPT, containers=_SCRIPT_CONTAINERS, hidden=_SCRIPT_HIDDEN
    ),
    "tsx": Grammar(module="tree_sitter_typescript", function="language_tsx", symbols=_SCRIPT, containers=_SCRIPT_CONTAINERS, hidden=_SCRIPT_HIDDEN),
    "go": Grammar(
        module="tree_sitter_go",
        symbols={
            "function_declaration": "function",
            "method_declaration": "method",
            "type_spec": "type",
            "type_alias": "type",
            "const_spec": "value",
            "var_spec": "value",
        },
        containers=frozenset({"type_declaration", "const_declaration", "var_declaration", "var_spec_list"}),
        hidden="[(interpreted_string_literal) (raw_string_literal) (rune_literal) (comment)] @hidden",
    ),
    "rust": Grammar(
        module="tree_sitter_rust",
        symbols={
            "function_item": "function",
            "function_signature_item": "function",
            "struct_item": "type",
            "enum_item": "type",
            "union_item": "type",
            "trait_item": "class",
            "impl_item": "module",
            "mod_item": "module",
            "type_item": "type",
            "const_item": "value",
            "static_item": "value",
            "macro_definition": "macro",
        },
        containers=frozenset({"declaration_list", "foreign_mod_item"}),
        hidden="[(string_literal) (raw_string_literal) (char_literal) (line_comment) (block_comment)] @hidden",
    ),
    "java": Grammar(
        module="tree_sitter_java",
        symbols={
            "class_declaration": "class",
            "interface_declaration": "class",
            "record_declaration": "class",
            "enum_declaration": "class",
            "annotation_type_declaration": "type",
            "method_declaration": "method",
            "constructor_declaration": "method",
        },
        containers=frozenset({"class_body", "interface_body", "enum_body", "enum_body_declarations"}),
        hidden="[(string_literal) (character_literal) (line_comment) (block_comment)] @hidden",
    ),
    "c": Grammar(module="tree_sitter_c", symbols=_C, containers=_C_CONTAINERS, hidden=_C_HIDDEN.replace(" (raw_string_literal)", "")),
    "cpp": Grammar(module="tree_sitter_cpp", symbols=_C, containers=_C_CONTAINERS, hidden=_C_HIDDEN),
    "lua": Grammar(
        module="tree_sitter_lua",
        symbols={"function_declaration": "function", "assignment_statement": "function"},
        containers=frozenset({"variable_declaration"}),
        hidden="[(string) (comment)] @hidden",
    ),
}


def family(language: str) -> set[str]:
    """The languages whose definitions are used in `language`, including itself."""
    return next((languages for languages in FAMILIES if language in languages), {language})


@functools.cache
def parser(language: str) -> Parser | None:
    """The parser of a language; None if its grammar is not installed or incompatible with the installed tree-sitter."""
    grammar = GRAMMARS.get(language)
    if grammar is None:
        return None
    try:
        from tree_sitter import Language, Parser

        return Parser(Language(getattr(importlib.import_module(grammar.module), grammar.function)()))
    except (ImportError, ValueError, AttributeError):  # ValueError: tree-sitter does not support the grammar's version
        return None
