"""What looks like a secret does not leave: in code, in configuration, across the cursor."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infill.privacy.secrets import MASK, mask, mask_around

BODY = "MIIEpAIBAAKCAQEAy8Dbv8prpJ/0kKhlGeJYozo2t60EG8L0561g13R29LvMR5hy"
KEYS = [
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_" + "a1B2" * 9,
    "github_pat_11ABCDEFG0" + "x9" * 20,
    "sk-ant-api03-" + "Zz09" * 8,
    "sk-proj-" + "Ab1_" * 8,
    "hf_" + "aBcD12" * 5,
    "AIza" + "Sy0-" * 8 + "abc",
    "xoxb-123456789012-1234567890123-AbCdEfGhIjKlMnOpQrStUvWx",
    "glpat-" + "a1B2c3D4e5F6g7H8i9J0",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "SG." + "a1b2c3d4e5f6g7h8" + "." + "Z9y8X7w6V5u4T3s2R1q0",
]


@pytest.mark.parametrize("key", KEYS)
def test_keys_are_known_by_their_shape(key: str) -> None:
    text, found = mask(f"client = connect(x, '{key}')\nprint(1)\n")
    assert not any(key[at : at + 12] in text for at in range(len(key) - 12)), text
    assert found >= 1
    assert "print(1)" in text


@pytest.mark.parametrize(
    ("text", "path", "secret"),
    [
        ('password = "correct horse battery"', "a.py", "correct horse battery"),
        ('{"api_key": "abc-def-ghi-1"}', "a.json", "abc-def-ghi-1"),
        ("password: hunter2hunter2", "a.yaml", "hunter2hunter2"),
        ("db_pass=hunter2hunter2", "a.properties", "hunter2hunter2"),
        ('url = "postgres://admin:s3cr3tpw@db/x"', "a.py", "s3cr3tpw"),
        ('headers = {"Authorization": "Bearer abcdefghijklmnopqrstuvwxyz012345"}', "a.py", "abcdefghijklmnopqrstuvwxyz012345"),
        ('token = "9f8b7c6d5e4f3a2b1c0d9e8f7a6b5c4d"', "a.py", "9f8b7c6d5e4f3a2b1c0d9e8f7a6b5c4d"),
    ],
)
def test_a_value_is_known_by_what_it_is_called(text: str, path: str, secret: str) -> None:
    assert secret not in mask(text, path)[0]


@pytest.mark.parametrize(
    "text",
    [
        "def password_of(user: User) -> str:\n    return user.password\n",
        'if kind == "qwen2.5-coder-1.5b-instruct-q8_0":\n    pass\n',
        'x = "completion_tokens_per_second_of_the_engine"\n',
        "key = lambda item: item.name\n",
        "from secrets import token_hex\n",
        "const id = 'btn-submit-form-primary';\n",
    ],
)
def test_ordinary_code_stays_as_it_is(text: str) -> None:
    assert mask(text) == (text, 0)


def test_a_private_key_goes_as_a_whole() -> None:
    key = f"-----BEGIN RSA PRIVATE KEY-----\n{BODY}\n{BODY}\n-----END RSA PRIVATE KEY-----"
    text, found = mask(f"a = 1\n{key}\nb = 2\n")
    assert BODY not in text
    assert text.startswith("a = 1\n")
    assert text.endswith("\nb = 2\n")
    assert found == 4


def test_a_private_key_whose_beginning_was_cut_off_goes_too() -> None:
    assert BODY not in mask(f"{BODY}\n{BODY}\n{BODY}\nx = 1\n")[0]


def test_a_key_that_the_cursor_stands_in_is_hidden_on_both_sides() -> None:
    key = KEYS[1]
    before, after, found = mask_around(f'x = 1\nkey = "{key[:10]}', f'{key[10:]}"\ny = 2\n')
    assert before == f'x = 1\nkey = "{MASK}'
    assert after == f'{MASK}"\ny = 2\n'
    assert found == 1


def test_a_key_in_a_line_of_a_hundred_thousand_characters_is_found() -> None:
    line = "x" * 50_000 + f' "{KEYS[0]}" ' + "y" * 50_000
    assert KEYS[0] not in mask(line)[0]


@given(st.text("abc =\"'\n:\tkeypasword01", max_size=80), st.text("abc =\"'\n:\tkeypasword01", max_size=80))
def test_masking_around_a_cursor_loses_no_line_and_nothing_outside_masks(before: str, after: str) -> None:
    left, right, found = mask_around(before, after)
    assert (left + right).count("\n") == (before + after).count("\n")
    if not found:
        assert (left, right) == (before, after)
