"""Which files may be read for a prompt and sent to a remote provider. The strictest of all rules applies.

Reads ignore files and file sizes, never the file in question. A file is refused where its rules cannot be evaluated.
"""

from __future__ import annotations

import logging
import os
import re
import time
import unicodedata
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

from infill.privacy import workspace_files
from infill.privacy.ignore_rules import IgnoreRules, NotJudged, lines_of
from infill.settings import Privacy

SECRET_FILES = (
    # environments and settings that hold passwords
    ".env", ".env.*", "*.env", ".envrc", "*secret*.y*ml", "*secret*.json", "*secret*.toml", "*secret*.ini", "*secret*.txt",
    "*.secret", "*.secrets", "*.tfvars", "*.tfvars.json", "*.tfstate", "*.tfstate.*", "credentials", "*credentials*.json",
    "*credentials*.y*ml", "*credentials*.toml", "*credentials*.ini",
    "service-account*.json", "service_account*.json", "appsettings.*.json", ".netrc", "_netrc", ".pgpass", ".my.cnf", ".npmrc", ".yarnrc",
    ".pypirc", ".htpasswd",
    ".git-credentials", ".vault-token", ".dockercfg", "auth.json", "wp-config.php", "kubeconfig*", "*.kubeconfig", "secring.*",
    "master.key", "shadow",
    "terraform.rc", ".terraformrc",
    # keys and certificates
    "*.pem", "*.key", "*.p8", "*.p12", "*.pfx", "*.pkcs12", "*.jks", "*.keystore", "*.keychain", "*.keychain-db", "*.kdb", "*.kdbx",
    "*.asc", "*.gpg", "*.pgp",
    "*.pem.*", "*.key.*", "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*",
    "*.ppk", "*.ovpn", "*.der", "*.crt", "*.cer", "id_*", "*_rsa", "*_dsa", "*_ecdsa", "*_ed25519", "known_hosts", "authorized_keys",
    # histories and saved logins of shells and clients
    ".*_history", ".histfile", "*.har", "cookies.sqlite", "logins.json", "login data",
)  # fmt: skip
"""Names of secret files, compared without regard to case. Public keys are included, because their names are similar."""
SECRET_FOLDERS = frozenset(
    {".ssh", ".aws", ".azure", ".gnupg", ".kube", ".docker", "gcloud", ".password-store", ".secrets", ".git", ".hg", ".svn"}
)  # fmt: skip
"""Folders whose files are refused, anywhere in a path."""
SECRET_FOLDERS_INSIDE = frozenset({"secrets", "private_keys", "private-keys"})
"""The same, only below a workspace folder: the workspace folder itself may have any name."""
EXAMPLES = (".env.example", ".env.sample", ".env.template", ".env.dist", "*.env.example")
"""Names that resemble secrets but may be read."""
CODE = frozenset(
    {
        ".py",
        ".pyi",
        ".ts",
        ".tsx",
        ".js",
        ".jsx",
        ".go",
        ".rs",
        ".c",
        ".h",
        ".cc",
        ".cpp",
        ".hpp",
        ".java",
        ".kt",
        ".rb",
        ".php",
        ".cs",
        ".lua",
        ".sql",
    }
)
"""Suffixes of code: `id_card.py` is code, `id_card` may be a key."""
SECRET_WORDS = ("password", "passwd", "passphrase", "token", "secret", "private_key", "private-key", "api_key", "api-key", "apikey")
NOTES = frozenset({"", ".txt", ".md", ".csv", ".tsv", ".log", ".cfg", ".conf", ".properties", ".bak", ".old", ".orig", ".rtf", ".xml"})
"""Suffixes of notes and settings, in which these words count: `password_reset.py` is code, `passwords.txt` a list of passwords."""
_ADDED = re.compile(r"(?: - copy| copy|\.(?:bak|backup|old|orig|save|swp|swo|tmp|copy|\d+)|[~# .])(?: ?\(?\d+\)?)?$")
_ADDED_BEFORE = re.compile(r"^(?:\.#|#|~\$|\.~)")
"""Additions by editors and file managers to the name of a backup, swap file or copy: `.env~`, `#.env#`, `.#.env`, `.env copy 2`."""
LONGEST_NAME = 255
"""Maximum characters of a file's name, on every system."""
IGNORE_FILES = (".gitignore", ".infillignore")
MOST_FOLDERS = 64
"""Maximum number of folders between the repository's root and a file whose rules are evaluated."""
JUDGING_SECONDS = 0.4
"""CPU seconds for all rules about one file. Compiled rules are kept, so that a large but harmless set succeeds at the next request."""

logger = logging.getLogger(__name__)


class Guard:
    """Decides about files by one user's rules and the open workspace folders."""

    def __init__(self, folders: Sequence[Path], privacy: Privacy) -> None:
        self._folders = tuple(dict.fromkeys(name for folder in folders for name in (_absolute(folder), Path(os.path.realpath(folder)))))
        self._limit = privacy.max_file_kilobytes * 1024
        self._tops: dict[Path, Path] = {}
        self._ignored: dict[Path, tuple[int | None, IgnoreRules]] = {}
        self._exclude, self._broken = IgnoreRules(), ""
        try:
            self._exclude = IgnoreRules(privacy.exclude)
        except NotJudged as exc:
            self._broken = f"privacy.exclude cannot be evaluated: {exc}"

    def refusal(self, path: str | Path, size: int | None = None) -> str:
        """Why this file must not be read as context nor sent to a remote provider, as part of a sentence; empty: it may.

        `size` in bytes, where the text is already known (an open document). Without workspace folders every folder counts as one.
        """
        try:
            named, real = _absolute(path), Path(os.path.realpath(path))
            size = size if size is not None else real.stat().st_size if real.exists() else 0
        except (OSError, ValueError):
            return "its path cannot be read"
        if size > self._limit:
            return f"it is larger than privacy.maxFileKilobytes ({self._limit // 1024})"
        until = time.thread_time() + JUDGING_SECONDS
        try:
            return self._broken or next((reason for file in dict.fromkeys((named, real)) if (reason := self._by_name(file, until))), "")
        except NotJudged as exc:
            logger.warning("%s is kept back: its rules cannot be evaluated: %s", path, exc)
            return f"its rules cannot be evaluated: {exc}"

    def folder_refusal(self, folder: Path) -> str:
        """Why no file below this folder may be read, as part of a sentence; empty: some may. As in git, ignored folders exclude all content."""
        try:
            return self._broken or self._by_name(_absolute(folder), time.thread_time() + JUDGING_SECONDS, folder=True)
        except (OSError, ValueError):
            return "its path cannot be read"
        except NotJudged as exc:
            logger.warning("%s is kept back: its rules cannot be evaluated: %s", folder, exc)
            return f"its rules cannot be evaluated: {exc}"

    def _by_name(self, file: Path, until: float, *, folder: bool = False) -> str:
        root = next((folder for folder in self._folders if _within(file, folder)), None)
        if self._folders and root is None:
            return "it lies outside the workspace folders"
        top = self._repository(root or file.parent)
        inside = file.relative_to(root or top)
        if names_a_secret(file / "file" if folder else file, inside / "file" if folder else inside):
            return "its name says that it holds secrets"
        if len(file.relative_to(top).parts) > MOST_FOLDERS:
            raise NotJudged(f"it lies more than {MOST_FOLDERS} folders deep")
        if self._exclude.ignores(inside.as_posix(), until) or (folder and self._exclude.verdict(inside.parts, folder=True, until=until)):
            return "privacy.exclude names it"
        ignoring = self._ignoring(top, file, until, folder=folder)
        return f"{ignoring} names it" if ignoring else ""

    def _repository(self, folder: Path) -> Path:
        """The folder whose ignore files apply first: the root of the repository that contains the given folder, if any."""
        if folder not in self._tops:
            self._tops[folder] = next((above for above in (folder, *folder.parents) if (above / ".git").exists()), folder)
        return self._tops[folder]

    def _ignoring(self, root: Path, file: Path, until: float, *, folder: bool = False) -> str:
        """The name of the ignore file that excludes `file`, else empty. The nearest rule decides, unless a parent folder is ignored."""
        parts = file.relative_to(root).parts
        folders = [root.joinpath(*parts[:depth]) for depth in range(len(parts))]
        rules = [(depth, name, self._rules(above / name, root)) for depth, above in enumerate(folders) for name in IGNORE_FILES]
        for depth in range(1, len(parts) + 1):
            verdict, last = False, ""
            for above, name, found in rules:
                said = found.verdict(parts[above:depth], folder=folder or depth < len(parts), until=until) if above < depth else None
                verdict, last = (verdict, last) if said is None else (said, name)
            if verdict:
                return last
        return ""

    def _rules(self, file: Path, root: Path) -> IgnoreRules:
        """The rules of one ignore file, read again after a change. Raises NotJudged if it is not a regular ignore file."""
        try:
            stamp = file.stat().st_mtime_ns
        except OSError:
            stamp = None
        known = self._ignored.get(file)
        if known is None or known[0] != stamp:
            known = self._ignored[file] = (stamp, _read(file, root))
        return known[1]


def _read(file: Path, root: Path) -> IgnoreRules:
    try:
        return IgnoreRules(lines_of(workspace_files.read(file, root) or b""))
    except (workspace_files.NotRead, NotJudged) as exc:
        raise NotJudged(f"{file.name}: {exc}") from exc


def names_a_secret(file: PurePath, inside: PurePath | None = None) -> bool:
    """Whether a path's names indicate a secret; `inside` is its part below the workspace folder."""
    # on Windows `.env::$DATA` is the content of `.env`
    names = {_plain(_folded(name)) for name in (file.name, file.name.partition(":")[0]) if name}
    if any(fnmatchcase(name, pattern) for name in names for pattern in EXAMPLES):
        return False
    if SECRET_FOLDERS.intersection(map(_folded, file.parent.parts)):
        return True
    if inside and SECRET_FOLDERS_INSIDE.intersection(map(_folded, inside.parent.parts)):
        return True
    return any(_is_secret(name) for name in names)


def _is_secret(name: str) -> bool:
    suffix = PurePath(name).suffix
    if suffix in NOTES and any(word in name for word in SECRET_WORDS):
        return True
    return any(fnmatchcase(name, pattern) for pattern in SECRET_FILES if pattern != "id_*" or suffix not in CODE)


def _folded(name: str) -> str:
    """A name as case-insensitive file systems compare it: normalized, without invisible characters."""
    if name.isascii():
        return name.lower()
    shown = "".join(character for character in name if unicodedata.category(character) != "Cf")
    return unicodedata.normalize("NFKC", shown).casefold()


def _plain(name: str) -> str:
    """The original name of a backup or copy, without the trailing dots and spaces that Windows ignores."""
    plain = _ADDED_BEFORE.sub("", name) if len(name) <= LONGEST_NAME else ""
    while shorter := _ADDED.sub("", plain):
        if shorter == plain:
            break
        plain = shorter
    return plain or name


def _absolute(path: str | Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 (resolve() would follow links: both sides of one are judged)


def _within(file: Path, folder: Path) -> bool:
    return file == folder or folder in file.parents
