"""pygls's protocol, made robust: every request gets exactly one response, and no exception reaches the event loop.

It handles malformed JSON, requests before `initialize` or after `shutdown`, invalid parameters, and late replies to cancelled requests. Handlers need
not check for these. Message contents are never logged.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from lsprotocol import converters, types
from pygls.exceptions import (
    JsonRpcException,
    JsonRpcInternalError,
    JsonRpcInvalidParams,
    JsonRpcInvalidRequest,
    JsonRpcParseError,
    JsonRpcRequestCancelled,
    JsonRpcServerNotInitialized,
)
from pygls.protocol import JsonRPCNotification, JsonRPCRequestMessage, JsonRPCResponseMessage, LanguageServerProtocol, lsp_method

from infill.errors import InfillError, RequestError
from infill.lsp.convert import NO_VERSION

if TYPE_CHECKING:
    from cattrs import Converter

REQUEST_FAILED = -32803
"""LSP's error code for a valid request that failed."""
OURS = (
    types.TEXT_DOCUMENT_DID_OPEN,
    types.TEXT_DOCUMENT_DID_CHANGE,
    types.TEXT_DOCUMENT_DID_CLOSE,
    types.NOTEBOOK_DOCUMENT_DID_OPEN,
    types.NOTEBOOK_DOCUMENT_DID_CHANGE,
    types.NOTEBOOK_DOCUMENT_DID_CLOSE,
    types.WORKSPACE_EXECUTE_COMMAND,
)
"""Methods whose built-in handlers of pygls are removed: its documents copy the whole text at each key, and split lines where editors do not."""

TOKENS = {types.CANCEL_REQUEST: "id", types.WINDOW_WORK_DONE_PROGRESS_CANCEL: "token"}
"""Notifications with an id or token (a number or a string), and the member that contains it."""

logger = logging.getLogger(__name__)
# pygls logs whole messages, which contain the user's code
logging.getLogger("pygls").setLevel(logging.CRITICAL + 1)


def converter() -> Converter:
    """The converter of lsprotocol, in which parameters of infill's own methods stay plain JSON."""
    made = converters.get_converter()
    for kind in (JsonRPCRequestMessage, JsonRPCResponseMessage, JsonRPCNotification):
        made.register_structure_hook(kind, lambda data, cls: cls(**{name: data.get(name) for name in cls.__annotations__}))
    for versioned in _VERSIONED:
        made.register_structure_hook(versioned, functools.partial(_with_version, made.get_structure_hook(versioned)))
    return made


_VERSIONED = (types.VersionedTextDocumentIdentifier, types.TextDocumentItem, types.VersionedNotebookDocumentIdentifier, types.NotebookDocument)


def _with_version(structure: Callable[[Any, Any], Any], data: Any, kind: Any) -> Any:
    """Accept a message whose document version is missing or `null`: the version is only returned to the editor."""
    version = data.get("version") if isinstance(data, dict) else 0
    usable = isinstance(version, int) and not isinstance(version, bool) and abs(version) < 2**31
    return structure(data if usable else {**data, "version": NO_VERSION}, kind)


class Wire(LanguageServerProtocol):
    """The connection to one editor."""

    def __init__(self, server: Any, converter: Converter) -> None:
        super().__init__(server, converter)
        self._initialized = False
        self.notifications = {method for method, (_, response, *_) in types.METHOD_TO_TYPES.items() if response is None}
        """Methods that are notifications; infill's own are added by the server."""
        self.finished: asyncio.Future[int] | None = None
        """The process's exit code, set by `exit` or by the end of the stream."""

    def _register_builtin_features(self) -> None:
        super()._register_builtin_features()  # type: ignore[no-untyped-call]
        for method in OURS:
            del self.fm.builtin_features[method]

    def to_json(self, value: Any) -> Any:
        """An LSP value as plain JSON, for results of infill's own commands."""
        return self._converter.unstructure(value)

    def receive(self, body: bytes) -> None:
        """Handle one message from the editor."""
        try:
            data = json.loads(body)
        except (ValueError, RecursionError):
            self._refuse(None, JsonRpcParseError("The message is not JSON."))
            return
        if not isinstance(data, dict) or data.get("jsonrpc") != self.VERSION or not isinstance(data.get("method", ""), str):
            self._refuse(data.get("id") if isinstance(data, dict) else None, JsonRpcInvalidRequest("The message is not a JSON-RPC 2.0 request."))
        elif "method" in data and "id" in data:
            self._take_request(data)
        elif "method" in data:
            self._take_notification(data)
        elif "id" in data:
            self._take_response(data)

    def ended(self) -> None:
        """Handle the end of the editor's stream."""
        self._finish(0 if self._shutdown else 1)

    @lsp_method(types.EXIT)
    def lsp_exit(self, *args: object) -> None:  # type: ignore[override]
        """Exit with code 0 after `shutdown`, else 1."""
        self._finish(0 if self._shutdown else 1)

    def _finish(self, code: int) -> None:
        if self.finished is not None and not self.finished.done():
            self.finished.set_result(code)

    def _take_request(self, data: dict[str, Any]) -> None:
        method, msg_id = data["method"], data["id"]
        if isinstance(msg_id, bool) or not isinstance(msg_id, (int, str)):
            self._refuse(None, JsonRpcInvalidRequest("The id of a request is a number or a string."))
        elif self._shutdown:
            self._refuse(msg_id, JsonRpcInvalidRequest("The server is shutting down."))
        elif method != types.INITIALIZE and not self._initialized:
            self._refuse(msg_id, JsonRpcServerNotInitialized("The first request has to be `initialize`."))
        elif method == types.INITIALIZE and self._initialized:
            self._refuse(msg_id, JsonRpcInvalidRequest("The server is initialized already."))
        elif method in self.notifications:
            self._refuse(msg_id, JsonRpcInvalidRequest(f"{method} is a notification: it has no id."))
        elif (message := self._structured(_only(data, "id", "method", "params"))) is None:
            self._refuse(msg_id, JsonRpcInvalidParams(f"The parameters of {method[:100]} are not what LSP says."))
        else:
            self._initialized = True
            try:
                self.handle_message(message)
            except Exception as exc:  # a request must be answered whatever pygls raises
                self._refuse(msg_id, _told(exc))

    def _take_notification(self, data: dict[str, Any]) -> None:
        method = data["method"]
        if method != types.EXIT and (self._shutdown or not self._initialized):
            return
        message = self._structured(_only(data, "method", "params")) if _has_proper_token(data) else None
        if message is None:
            logger.warning("ignored a notification %s whose parameters are not what LSP says", method[:100])
        else:
            self.handle_message(message)

    def _take_response(self, data: dict[str, Any]) -> None:
        future = self._request_futures.get(data["id"]) if isinstance(data["id"], (int, str)) else None
        if not isinstance(future, Future):
            return  # the editor's own requests are in the same table, as asyncio futures: this is not a reply to the server
        if data.get("error") is None:
            data.pop("error", None)
            data.setdefault("result", None)
        else:
            self._result_types.pop(data["id"], None)  # pygls removes it for results only
        message = self._structured(data)
        if message is not None:
            self.handle_message(message)
        elif self._request_futures.pop(data["id"], None) and not future.done():
            future.set_exception(JsonRpcInvalidParams("The editor's reply is not what LSP says."))

    def _structured(self, data: dict[str, Any]) -> Any:
        try:
            return self.structure_message(data)
        except Exception:  # cattrs and its hooks raise many types
            return None

    def _refuse(self, msg_id: Any, error: JsonRpcException) -> None:
        known = msg_id if isinstance(msg_id, (int, str)) and not isinstance(msg_id, bool) else None
        told = {"code": error.code, "message": error.message} | ({"data": error.data} if error.data else {})
        # as plain JSON: lsprotocol would omit an id that is null
        self._send_data({"jsonrpc": self.VERSION, "id": known, "error": told})

    def _execute_handler(self, msg_id: Any, handler: Any, callback: Any, args: Any = None, kwargs: Any = None) -> None:
        """As inherited, without a leak: pygls stores a future for every notification and never removes it."""

        def ended(future: Any) -> None:
            if self._request_futures.get(msg_id) is future:
                del self._request_futures[msg_id]
            callback(future)

        super()._execute_handler(msg_id, handler, ended, args, kwargs)

    def _handle_response(self, msg_id: Any, result: Any | None = None, error: types.ResponseError | None = None) -> None:
        future = self._request_futures.get(msg_id)
        if future is not None and future.done():  # cancelled meanwhile: nothing waits for it
            del self._request_futures[msg_id]
            return
        super()._handle_response(msg_id, result, error)

    def _send_handler_result(self, future: Any, *, msg_id: Any) -> None:
        self._request_futures.pop(msg_id, None)
        if future.cancelled():
            self._refuse(msg_id, JsonRpcRequestCancelled("Cancelled."))
        elif (error := future.exception()) is not None:
            self._refuse(msg_id, _told(error))
        else:
            self._send_response(msg_id, result=future.result())

    def _check_handler_result(self, future: Any) -> None:
        if not future.cancelled() and (error := future.exception()) is not None:
            logger.error("a notification could not be handled", exc_info=error)


def _only(data: dict[str, Any], *names: str) -> dict[str, Any]:
    """A message without the members that make pygls misread its kind, such as `error` in a request."""
    return {name: value for name, value in data.items() if name in {"jsonrpc", *names}}


def _has_proper_token(data: dict[str, Any]) -> bool:
    name, params = TOKENS.get(data["method"]), data.get("params")
    return name is None or (isinstance(params, dict) and isinstance(params.get(name), int | str))


def _told(error: BaseException) -> JsonRpcException:
    """An exception as an LSP error: a message and a code."""
    if isinstance(error, JsonRpcException):
        return error
    if isinstance(error, RequestError):
        return JsonRpcInvalidParams(str(error))
    if isinstance(error, InfillError):
        return JsonRpcException(str(error), code=REQUEST_FAILED, data={"error": type(error).__name__, "hint": error.hint})
    logger.error("a request could not be handled", exc_info=error)
    return JsonRpcInternalError("Something went wrong inside infill; its log file says where.")
