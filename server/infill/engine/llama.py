"""Wrapper of llama.cpp: a model file, a context with its KV cache, and operations on them.

Besides `probe`, `sampling` and `models.quantize` the only module that imports llama_cpp. Independent of slots, prompts and requests. Not thread-safe
except for `Context.abort`: one inference thread calls everything else.
"""

from __future__ import annotations

import ctypes
import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from infill.answers import reasoning
from infill.engine.chat_template import Request, Templates
from infill.engine.load_errors import check_header, load_error
from infill.engine.rotation import Rotation
from infill.errors import DoesNotFit, InfillError, ProviderUnavailable
from infill.models.fit import Plan

log = logging.getLogger("infill.llama")

VERSION = f"llama-cpp-python {llama_cpp.__version__}"
FEW = 4
"""Cells are rotated in Python, not by llama.cpp, if they are fewer than 1/FEW of the cache. Per cell, Python costs several times as much."""
KV_TYPES = {"f16": llama_cpp.GGML_TYPE_F16, "q8_0": llama_cpp.GGML_TYPE_Q8_0, "q4_0": llama_cpp.GGML_TYPE_Q4_0}
FLASH = {None: llama_cpp.LLAMA_FLASH_ATTN_TYPE_AUTO, True: llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED, False: llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED}
MAX_OUTPUTS = 32
"""Rows of logits in one batch, at least one per sequence. Without a limit, llama.cpp allocates them for a whole batch: 300 MB with a vocabulary
of 150,000."""

Logits = NDArray[np.float32]
Progress = Callable[[float], bool]


class Aborted(Exception):
    """`abort` was called: the cache contains nothing of the batch."""


class CacheFull(Exception):
    """No free cells for the batch: the cache contains nothing of it."""


class LoadStopped(Exception):
    """The progress callback requested a stop: an outcome, not an error."""


# ---- llama.cpp's log

_recent: deque[str] = deque(maxlen=50)
_LEVELS = {1: logging.DEBUG, 2: logging.DEBUG, 3: logging.DEBUG, 4: logging.INFO, 5: logging.DEBUG}
"""Maps ggml's levels to logging's. ggml logs an aborted batch as a warning and a damaged file as an error; infill reports both itself."""


def _on_log(level: int, text: bytes, _data: Any) -> None:
    line = text.decode("utf-8", "replace").rstrip()
    if not line.strip(" ."):
        return
    if level >= 3:
        _recent.append(line)
    log.log(_LEVELS.get(level, logging.DEBUG), "%s", line)


_log_callback = llama_cpp.llama_log_callback(_on_log)
"""Kept forever: llama.cpp stores only its address."""


def capture_log() -> None:
    """Redirect llama.cpp's output to logging."""
    llama_cpp.llama_log_set(_log_callback, ctypes.c_void_p())


def system_info() -> str:
    """The CPU features of this build of llama.cpp, in its format: `CPU : AVX2 = 1 | REPACK = 1 | ...`."""
    return bytes(llama_cpp.llama_print_system_info()).decode("utf-8", "replace").strip()


def recent_complaints() -> list[str]:
    """The last warnings and errors of llama.cpp."""
    return list(_recent)


# ---- the model


class Model:
    """The weights and vocabulary of one model file."""

    def __init__(self, path: Path, plan: Plan, progress: Progress) -> None:
        """Load the file; slow. Raises BadModelFile, DoesNotFit or LoadStopped."""
        capture_log()
        check_header(path)
        llama_cpp.llama_backend_init()
        stopped = False

        def on_progress(done: float, _data: Any) -> bool:
            nonlocal stopped
            stopped = stopped or not progress(done)
            return not stopped

        params = llama_cpp.llama_model_default_params()
        params.n_gpu_layers = plan.gpu_layers
        params.load_mode = _load_mode(plan)
        params.use_extra_bufts = plan.extra_buffers
        params.progress_callback = llama_cpp.llama_progress_callback(on_progress)
        if plan.tensor_split:
            split = (ctypes.c_float * llama_cpp.llama_max_devices())(*plan.tensor_split)
            params.tensor_split = split
        _recent.clear()
        self._model = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
        if not self._model:
            raise LoadStopped if stopped else load_error(path, recent_complaints())
        self._vocab: Any = llama_cpp.llama_model_get_vocab(self._model)
        self.trained_context = int(llama_cpp.llama_model_n_ctx_train(self._model))
        self.vocabulary = int(llama_cpp.llama_vocab_n_tokens(self._vocab))
        self.bytes = int(llama_cpp.llama_model_size(self._model))
        self._pieces: dict[int, bytes] = {}
        self._templates = Templates(path.name)

    def close(self) -> None:
        if self._model:
            llama_cpp.llama_model_free(self._model)
            self._model = None

    @property
    def handle(self) -> Any:
        return self._model

    def metadata(self, key: str) -> str:
        """A metadata value of the file; empty if it is missing."""
        buffer = ctypes.create_string_buffer(256)
        length = llama_cpp.llama_model_meta_val_str(self._model, key.encode(), buffer, len(buffer))
        return buffer.value.decode("utf-8", "replace") if length > 0 else ""

    def special(self, name: str) -> int:
        """The id of a special token (`fim_pre`, `fim_suf`, `fim_mid`, `fim_rep`, `fim_sep`, `bos`, ...); -1 if the vocabulary does not have it."""
        return int(getattr(llama_cpp, f"llama_vocab_{name}")(self._vocab))

    @property
    def adds_bos(self) -> bool:
        return bool(llama_cpp.llama_vocab_get_add_bos(self._vocab))

    def is_end(self, token: int) -> bool:
        return bool(llama_cpp.llama_vocab_is_eog(self._vocab, token))

    def tokenize(self, text: str, special: bool = False) -> list[int]:
        """Tokens of a text. Names of special tokens in it are text unless `special`."""
        if not text:
            return []
        data = text.encode("utf-8", "replace")
        room = len(data) + 8
        buffer = (llama_cpp.llama_token * room)()
        count = llama_cpp.llama_tokenize(self._vocab, data, len(data), buffer, room, False, special)
        if count < 0:
            raise InfillError("The text could not be turned into tokens.")
        return buffer[:count]

    def piece(self, token: int) -> bytes:
        """The bytes of a token; empty for special tokens, except those with which chat models delimit their reasoning."""
        known = self._pieces.get(token)
        if known is None:
            buffer = ctypes.create_string_buffer(64)
            length = llama_cpp.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, False)
            if length < 0:
                buffer = ctypes.create_string_buffer(-length)
                length = llama_cpp.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, False)
            known = buffer.raw[: max(0, length)]
            if not known and (text := self._text_of(token)) in reasoning.MARKS:
                known = text.encode()
            self._pieces[token] = known
        return known

    def rotation(self) -> Rotation | None:
        """How keys depend on their position, from the file's metadata; None for architectures whose keys are not rotated in pairs."""
        kind = llama_cpp.llama_model_rope_type(self._model)
        if kind not in (llama_cpp.LLAMA_ROPE_TYPE_NORM, llama_cpp.LLAMA_ROPE_TYPE_NEOX):
            return None
        name = self.metadata("general.architecture")
        heads = max(1, llama_cpp.llama_model_n_head(self._model))
        size = self.metadata(f"{name}.attention.key_length") or llama_cpp.llama_model_n_embd(self._model) // heads
        base = float(self.metadata(f"{name}.rope.freq_base") or 10_000)
        return Rotation(
            heads=llama_cpp.llama_model_n_head_kv(self._model), head_size=int(size), base=base, halves=kind == llama_cpp.LLAMA_ROPE_TYPE_NEOX
        )

    @property
    def chat_template(self) -> str:
        """The file's chat template; empty if it has none."""
        template = llama_cpp.llama_model_chat_template(self._model, None)
        return template.decode("utf-8", "replace") if template else ""

    def render_chat(self, messages: Sequence[dict[str, str]], *, thinking: bool = False) -> Generator[None, None, str]:
        """The conversation in the file's chat template, ready for the answer. Yields while a child process renders it. Raises BadChatTemplate."""
        variables = {f"{name}_token": self._text_of(self.special(name)) for name in ("eos", "bos")}
        return self._templates.render(Request(template=self.chat_template, messages=list(messages), variables=variables, thinking=thinking))

    def _text_of(self, token: int) -> str:
        return (llama_cpp.llama_vocab_get_text(self._vocab, token) or b"").decode("utf-8", "replace") if token >= 0 else ""


def _load_mode(plan: Plan) -> int:
    if plan.mmap:
        return int(llama_cpp.LLAMA_LOAD_MODE_MMAP_MLOCK if plan.mlock else llama_cpp.LLAMA_LOAD_MODE_MMAP)
    return int(llama_cpp.LLAMA_LOAD_MODE_MLOCK if plan.mlock else llama_cpp.LLAMA_LOAD_MODE_NONE)


# ---- the context


class Brake:
    """Makes llama.cpp abort the running batch.

    llama.cpp calls the abort callback at every step of its graph, over a hundred times per token. A Python callback would cost up to a tenth of a
    small model's time and wait for the GIL. So the callback is the C library's `strlen`, on a string that is empty until `pull` is called.
    """

    def __init__(self) -> None:
        self._text = ctypes.create_string_buffer(64)
        self._lock = threading.Lock()
        self._pulled = self._shielded = False
        self.callback = ctypes.cast(_strlen(), llama_cpp.ggml_abort_callback)
        self.data = ctypes.addressof(self._text)

    def pull(self) -> None:
        """Abort the running batch (thread-safe)."""
        with self._lock:
            self._pulled = True
            self._tell()

    def release(self) -> None:
        if self._pulled:
            with self._lock:
                self._pulled = False
                self._tell()

    def shield(self, on: bool) -> None:
        """While on, the batch is completed even after `pull`."""
        with self._lock:
            self._shielded = on
            self._tell()

    def _tell(self) -> None:
        self._text[0] = b"\1" if self._pulled and not self._shielded else b"\0"


def _strlen() -> Any:
    return (ctypes.cdll.msvcrt if sys.platform == "win32" else ctypes.CDLL(None)).strlen


class Context:
    """A KV cache with its sequences, and the batch that is evaluated."""

    _last: ClassVar[Context | None] = None
    """The context that computed last."""

    def __init__(self, model: Model, plan: Plan, sequences: int) -> None:
        """Create the context. Raises DoesNotFit if there is not enough memory for the cache."""
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_batch = plan.context, min(plan.batch, plan.context)
        params.n_ubatch = min(plan.micro_batch, params.n_batch)
        params.n_seq_max, params.kv_unified = sequences + 1, True
        params.n_outputs_max = max(MAX_OUTPUTS, sequences + 1)
        params.n_threads, params.n_threads_batch = plan.threads, plan.threads_batch
        params.flash_attn_type = FLASH[plan.flash_attention]
        params.type_k = params.type_v = KV_TYPES[plan.kv_type]
        params.no_perf = True
        self._brake = Brake()
        params.abort_callback, params.abort_callback_data = self._brake.callback, self._brake.data
        self._context = llama_cpp.llama_init_from_model(model.handle, params)
        if not self._context:
            raise DoesNotFit("There is not enough memory for the model's context.", "Set `engine.contextSize` to a smaller value.")
        self._memory: Any = llama_cpp.llama_get_memory(self._context)
        self.size = int(llama_cpp.llama_n_ctx(self._context))
        self.largest_batch = int(llama_cpp.llama_n_ubatch(self._context))
        self.can_shift = bool(llama_cpp.llama_memory_can_shift(self._memory))
        self._row = ctypes.c_float * model.vocabulary
        self._shift_pending = False
        self._scratch = sequences
        """A separate sequence, for measurements."""
        on_cpu = plan.gpu_layers == 0 and plan.kv_type == "f16"
        self._rotation = model.rotation() if self.can_shift and on_cpu else None
        self._rotation_tried = False
        self.announce: Callable[[], None] = lambda: None
        """Called when this context begins to compute after another one."""
        self.batches = 0
        """Number of evaluated batches: logits are those of the last one."""
        self._batch, self._tokens, self._positions, self._sequences, self._outputs = _new_batch(self.largest_batch)

    def close(self) -> None:
        if self._context:
            llama_cpp.llama_free(self._context)
            self._context = None
            if Context._last is self:
                Context._last = None

    def _check(self) -> None:
        if not self._context:
            raise ProviderUnavailable("The model was unloaded while it answered.")

    def abort(self) -> None:
        """Abort the running batch (thread-safe)."""
        self._brake.pull()

    def rearm(self) -> None:
        """Discard an earlier `abort`."""
        self._brake.release()

    # -- evaluating

    def decode(self, tokens: Sequence[int], start: int, sequence: int, outputs: int = 0) -> None:
        """Evaluate tokens at positions from `start` on, with logits for the last `outputs` of them. Raises Aborted or CacheFull."""
        count = len(tokens)
        if count == 1:  # the usual case in decoding
            self._tokens[0], self._positions[0], self._sequences[0], self._outputs[0] = tokens[0], start, sequence, outputs
        else:
            self._tokens[:count] = tokens
            self._positions[:count] = np.arange(start, start + count)
            self._sequences[:count] = sequence
            self._outputs[:count] = 0
            self._outputs[count - outputs : count] = 1  # also right for zero outputs
        self._run(count)

    def try_out(self, count: int) -> float:
        """Seconds to evaluate a batch of `count` tokens now; the cache is unchanged afterwards. Raises CacheFull."""
        began = time.perf_counter()
        self.decode(range(count), 0, self._scratch)
        took = time.perf_counter() - began
        self.remove(self._scratch)
        return took

    def decode_rows(self, rows: Sequence[tuple[int, int, int]]) -> None:
        """Evaluate one (token, position, sequence) for each of several sequences, all with logits. Raises Aborted or CacheFull."""
        for i, (token, position, sequence) in enumerate(rows):
            self._tokens[i], self._positions[i], self._sequences[i], self._outputs[i] = token, position, sequence, 1
        self._run(len(rows))

    def _run(self, count: int) -> None:
        self._check()
        self._batch.n_tokens = count
        if Context._last is not self:
            Context._last = self
            self.announce()
        # the next batch applies a pending shift, cell by cell in place: aborting it would corrupt the cache
        if self._shift_pending:
            self._brake.shield(True)
        code = llama_cpp.llama_decode(self._context, self._batch)
        # a GPU computes asynchronously: the step ends, and its time is known, only after this call
        llama_cpp.llama_synchronize(self._context)
        if self._shift_pending:
            self._brake.shield(False)
        self.batches += 1
        if code == 0:
            self._shift_pending = False
        elif code == 1:
            raise CacheFull
        elif code == 2:
            raise Aborted
        else:
            raise InfillError(f"llama.cpp could not evaluate a batch of {count} tokens (code {code}).", "See the engine's log.")

    @property
    def shift_pending(self) -> bool:
        """True if the next batch cannot be aborted, and so should be small."""
        return self._shift_pending

    def logits(self, row: int) -> Logits:
        """Logits of the batch's row (-1: its last), valid until the next batch."""
        self._check()
        pointer = llama_cpp.llama_get_logits_ith(self._context, row)
        row_of_floats: Any = self._row.from_address(ctypes.addressof(pointer.contents))
        return np.frombuffer(row_of_floats, np.float32)

    @property
    def handle(self) -> Any:
        return self._context

    # -- the cache

    def remove(self, sequence: int, start: int = 0, end: int = -1) -> None:
        if self._context:
            llama_cpp.llama_memory_seq_rm(self._memory, sequence, start, end)

    def copy(self, source: int, target: int, start: int = 0, end: int = -1) -> None:
        """Let `target` share cells of `source`."""
        if self._context:
            llama_cpp.llama_memory_seq_cp(self._memory, source, target, start, end)

    def shift(self, sequence: int, start: int, end: int, by: int) -> None:
        """Move a sequence's cells to other positions. It must have no other cells, and share none with another sequence."""
        if not by or not self._context:
            return
        if self._rotation is not None and not self._shift_pending and (end - start) * FEW < self.size and self._turn(sequence, start, end, by):
            return
        self._shift_later(sequence, start, end, by)

    def _shift_later(self, sequence: int, start: int, end: int, by: int) -> None:
        llama_cpp.llama_memory_seq_add(self._memory, sequence, start, end, by)
        self._shift_pending = True

    def _turn(self, sequence: int, start: int, end: int, by: int) -> bool:
        """Move a few cells without llama.cpp; False if that is not possible."""
        if self._rotation is None:
            return False
        state = self.save(sequence)
        try:
            self._rotation.move(state, by)
        except ValueError as exc:
            log.info("Shifts are left to llama.cpp: %s.", exc)
            self._rotation = None
            return False
        if not self._rotation_tried:
            self._shift_later(sequence, start, end, by)
            self._compare(sequence, state)
            return True
        self.remove(sequence)
        if not self.restore(sequence, state):
            raise InfillError("llama.cpp did not take back what it had in its cache.", "Set `engine.kvType` to q8_0, or report this.")
        return True

    def _compare(self, sequence: int, moved: bytearray) -> None:
        """Let llama.cpp apply its shift, and compare the results. Later shifts are made without llama.cpp only if they are equal."""
        try:
            self.decode([0], 0, self._scratch)
            after = self.save(sequence)
            self.remove(self._scratch)
            if self._rotation and not (self._rotation.agrees(moved, after) and self.restore(self._scratch, after)):
                log.info("Shifts are left to llama.cpp: this model's keys are turned otherwise.")
                self._rotation = None
            self._rotation_tried = True
        except CacheFull:
            log.debug("No room to try shifting without llama.cpp.")
        finally:
            self.remove(self._scratch)

    def length(self, sequence: int) -> int:
        """Number of positions of a sequence."""
        return int(llama_cpp.llama_memory_seq_pos_max(self._memory, sequence)) + 1

    def save(self, sequence: int) -> bytearray:
        """A sequence's cells as bytes. Not while shifts are pending: positions and keys do not match then."""
        size = llama_cpp.llama_state_seq_get_size(self._context, sequence)
        data = bytearray(size)
        written = llama_cpp.llama_state_seq_get_data(self._context, (ctypes.c_uint8 * size).from_buffer(data), size, sequence)
        del data[written:]
        return data

    def restore(self, sequence: int, data: bytearray) -> bool:
        """Load the bytes of `save` into an empty sequence; False if they do not match the model or do not fit in the cache."""
        buffer = (ctypes.c_uint8 * len(data)).from_buffer(data)
        if data and llama_cpp.llama_state_seq_set_data(self._context, buffer, len(data), sequence):
            return True
        self.remove(sequence)
        return False


def _new_batch(size: int) -> tuple[Any, Any, Any, Any, Any]:
    """A batch over numpy arrays, which are filled much faster than ctypes arrays; each token has one sequence."""
    tokens, positions, counts, sequences = (np.zeros(size, np.int32) for _ in range(4))
    outputs = np.zeros(size, np.int8)
    counts[:] = 1
    pointers = (sequences.ctypes.data + np.arange(size, dtype=np.uintp) * 4).astype(np.uintp)
    batch: Any = llama_cpp.llama_batch()
    batch.embd = None
    for field, array in (("token", tokens), ("pos", positions), ("n_seq_id", counts), ("seq_id", pointers), ("logits", outputs)):
        setattr(batch, field, ctypes.cast(array.ctypes.data, type(getattr(batch, field))))
    batch.arrays = (counts, pointers)  # ctypes holds no reference to the arrays behind its pointers
    return batch, tokens, positions, sequences, outputs
