--- Ghost text on top of `vim.lsp.inline_completion`: accept whole, by word, by line; next, previous, dismiss, ask now.
---
--- Neovim keeps showing an item while the user types through it, but would insert it at its old range, and it has no partial accept. So the range
--- is worked out anew at the moment of accepting: what stands between the item's start and the cursor must be how the item begins.
local M = {}
local api = vim.api
local display = require('infill.display')
local completor = display.state

---@return integer row
---@return integer col
local function cursor()
  local row, col = unpack(api.nvim_win_get_cursor(0))
  return row - 1, col
end

--- Bytes right of the cursor that the item repeats and takes the place of (such as an auto-closed bracket).
---@param item vim.lsp.inline_completion.Item
---@return integer
local function replaced_length(item)
  local range = item.range
  if not range or range.start_row ~= range.end_row then
    return 0
  end
  local row, col = cursor()
  local line = api.nvim_buf_get_lines(0, row, row + 1, false)[1]
  return math.min(range.end_col - range.start_col, #line - col)
end

---@param buf integer
---@param text string
local function insert_at_cursor(buf, text)
  local row, col = cursor()
  local lines = vim.split(text, '\n')
  api.nvim_buf_set_text(buf, row, col, row, col, lines)
  api.nvim_win_set_cursor(0, { row + #lines, (#lines == 1 and col or 0) + #lines[#lines] })
end

---@param item vim.lsp.inline_completion.Item
---@param accepted string All of the item that is in the document now.
local function tell_server(item, accepted)
  local client = vim.lsp.get_client_by_id(item.client_id)
  if client then
    client:notify('textDocument/didPartiallyAcceptCompletion', {
      item = { insertText = item.insert_text, command = item.command },
      acceptedLength = vim.str_utfindex(accepted, 'utf-16'),
    })
  end
end

--- Insert `piece` of the item and leave the rest standing as ghost text.
---@param item vim.lsp.inline_completion.Item
---@param typed integer
---@param piece string
local function accept_piece(item, typed, piece)
  local buf = api.nvim_get_current_buf()
  insert_at_cursor(buf, piece)
  tell_server(item, item.insert_text:sub(1, typed + #piece))
  local state = completor(buf)
  if state then
    state.current = item
    state:show()
  end
end

---@param take fun(rest: string): string
---@return boolean accepted Whether there was anything to accept.
local function accept(take)
  -- what hides beside a menu cannot be accepted by a key that the menu uses too
  local hidden = require('infill.menu').hides_ghost(api.nvim_get_current_buf())
  return not hidden
    and vim.lsp.inline_completion.get({
      on_accept = function(item)
        local typed = type(item.insert_text) == 'string' and display.typed_length(item) or nil
        if not typed then
          return nil
        end
        local rest = item.insert_text:sub(typed + 1)
        local piece = take(rest)
        if #piece < #rest then
          accept_piece(item, typed, piece)
          return nil
        end
        local row, col = cursor()
        local replaced = replaced_length(item)
        item.insert_text = rest
        item.range = vim.range(item.range and item.range.buf or api.nvim_get_current_buf(), row, col, row, col + replaced)
        return item
      end,
    })
end

--- A word with the white space before it, or a run of punctuation.
---@param rest string
---@return string
function M.first_word(rest)
  return rest:match('^%s*[%w_\128-\255]+') or rest:match('^%s*[^%w%s_\128-\255]+') or rest
end

--- The rest of the line, or the next line with its indentation.
---@param rest string
---@return string
function M.first_line(rest)
  return rest:match('^\n?[^\n]*')
end

function M.accept()
  return accept(function(rest)
    return rest
  end)
end

function M.accept_word()
  return accept(M.first_word)
end

function M.accept_line()
  return accept(M.first_line)
end

--- Whether ghost text is visible in the current buffer.
---@return boolean
function M.is_visible()
  return display.is_visible(api.nvim_get_current_buf())
end

function M.next()
  local any = M.is_visible()
  vim.lsp.inline_completion.select({ count = 1 })
  return any
end

function M.previous()
  local any = M.is_visible()
  vim.lsp.inline_completion.select({ count = -1 })
  return any
end

function M.dismiss()
  local any = M.is_visible()
  local state = completor(api.nvim_get_current_buf())
  if state then
    state:abort()
  end
  return any
end

--- Ask now, for several candidates.
function M.trigger()
  local state = completor(api.nvim_get_current_buf())
  if state then
    state:request(vim.lsp.protocol.InlineCompletionTriggerKind.Invoked)
  end
  return state ~= nil
end

--- Run what a key did before infill took it.
---@param previous table<string, any> As `maparg()` gave it.
---@param key string
---@return string keys To be typed.
local function fall_through(previous, key)
  if vim.tbl_isempty(previous) then
    return key
  end
  if previous.callback then
    if previous.expr == 1 then
      return previous.callback() or ''
    end
    vim.schedule(previous.callback)
    return ''
  end
  if previous.expr == 1 then
    return api.nvim_eval(previous.rhs)
  end
  api.nvim_feedkeys(vim.keycode(previous.rhs), previous.noremap == 1 and 'n' or 'm', false)
  return ''
end

--- An entry of the completion popup is selected: the key belongs to the popup.
---@return boolean
local function popup_has_selection()
  return vim.fn.pumvisible() == 1 and vim.fn.complete_info({ 'selected' }).selected ~= -1
end

--- Map a key to an action; one that has nothing to do runs what was mapped before.
---@param buf integer
---@param mode string
---@param key string
---@param action string
---@param run fun(): boolean
function M.map(buf, mode, key, action, run)
  local previous = vim.fn.maparg(key, mode, false, true)
  if previous.desc and vim.startswith(previous.desc, 'infill: ') then
    return
  end
  vim.keymap.set(mode, key, function()
    if popup_has_selection() or not run() then
      return fall_through(previous, key)
    end
    return ''
  end, { buffer = buf, expr = true, desc = 'infill: ' .. action:gsub('_', ' ') })
end

---@param client vim.lsp.Client
---@param buf integer
function M.attach(client, buf)
  local options = require('infill.config').get()
  if not (options.ghost and client:supports_method('textDocument/inlineCompletion', buf)) then
    return
  end
  vim.lsp.inline_completion.enable(true, { bufnr = buf })
  local state = display.attach(buf)
  if state and buf == api.nvim_get_current_buf() and vim.startswith(api.nvim_get_mode().mode, 'i') then
    -- text typed while the server started gets a suggestion without another key
    state:automatic_request()
  end
  for action, key in pairs(options.keys or {}) do
    if key and M[action] and not vim.startswith(action, 'next_edit') then
      M.map(buf, 'i', key, action, M[action])
    end
  end
end

return M
