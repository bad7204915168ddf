--- The next edit after the one just made, drawn by extmarks: what goes, what comes, and where. One key goes there, the same key applies it.
---
--- A suggestion is for one state of the buffer: any change clears it. Nothing is mapped on Escape; what is dismissed by its key does not come back.
local M = {}
local api = vim.api

-- milliseconds after a change
local ASK_AFTER = 100
local NAMESPACE = api.nvim_create_namespace('infill.next_edit')
local GROUP = api.nvim_create_augroup('infill.next_edit', {})

---@class (exact) infill.NextEdit
---@field edit table As the server sent it.
---@field client integer
---@field tick integer The buffer's `changedtick` that it is made for.

local shown = {} ---@type table<integer, infill.NextEdit>
local timer ---@type uv.uv_timer_t? Closes itself when it is done.

---@param buf integer
function M.clear(buf)
  shown[buf] = nil
  if api.nvim_buf_is_valid(buf) then
    api.nvim_buf_clear_namespace(buf, NAMESPACE, 0, -1)
  end
end

---@param buf integer
---@return infill.NextEdit?
local function current(buf)
  local one = shown[buf]
  return one and one.tick == api.nvim_buf_get_changedtick(buf) and one or nil
end

--- What is suggested in the current buffer, for tests and status lines.
---@return table?
function M.get()
  local one = current(api.nvim_get_current_buf())
  return one and one.edit
end

---@param buf integer
---@param position lsp.Position
---@param encoding string
---@return integer row
---@return integer col In bytes.
local function place(buf, position, encoding)
  local line = api.nvim_buf_get_lines(buf, position.line, position.line + 1, false)[1] or ''
  return position.line, vim.str_byteindex(line, encoding, position.character, false)
end

---@param buf integer
---@param edit table
---@param encoding string
local function draw(buf, edit, encoding)
  local count = api.nvim_buf_line_count(buf)
  local row, col = place(buf, edit.range.start, encoding)
  local last, stop = place(buf, edit.range['end'], encoding)
  local full = require('infill.config').next_edit_mode() == 'full'
  if full and edit.text:find('\n') == nil and row == last and row < count then
    api.nvim_buf_set_extmark(buf, NAMESPACE, row, col, { end_col = stop, hl_group = 'InfillNextOld' })
    api.nvim_buf_set_extmark(buf, NAMESPACE, row, stop, { virt_text = { { edit.text, 'InfillNextNew' } }, virt_text_pos = 'inline' })
  elseif full then
    for line = row, math.min(last, count) - 1 do
      api.nvim_buf_set_extmark(buf, NAMESPACE, line, 0, { line_hl_group = 'InfillNextOld' })
    end
    local lines = {}
    for text in vim.gsplit((edit.text:gsub('\r?\n$', '')), '\r?\n') do
      lines[#lines + 1] = { { text, 'InfillNextNew' } }
    end
    api.nvim_buf_set_extmark(buf, NAMESPACE, math.min(row, count - 1), 0, {
      virt_lines = edit.text ~= '' and lines or nil,
      virt_lines_above = row < count,
    })
  end
  api.nvim_buf_set_extmark(buf, NAMESPACE, math.min(row, count - 1), 0, { sign_text = '→', sign_hl_group = 'InfillNextSign' })
  local here = api.nvim_win_get_cursor(0)[1] - 1
  if row ~= here then
    local key = (require('infill.config').get().keys or {}).next_edit or '<Plug>(infill-next-edit)'
    local hint = ('  → line %d: %s'):format(row + 1, key)
    api.nvim_buf_set_extmark(buf, NAMESPACE, here, 0, { virt_text = { { hint, 'InfillNextSign' } }, virt_text_pos = 'eol' })
  end
end

--- The completion menu is open, a snippet is filled in, or text is selected: not the moment.
---@return boolean
local function busy()
  return vim.fn.pumvisible() == 1 or vim.snippet.active() or not vim.list_contains({ 'n', 'i' }, api.nvim_get_mode().mode:sub(1, 1))
end

---@param client vim.lsp.Client
---@param buf integer
local function receive(client, buf, tick, result)
  M.clear(buf)
  local edit = result and result.edits[1]
  if not edit or buf ~= api.nvim_get_current_buf() or tick ~= api.nvim_buf_get_changedtick(buf) or busy() then
    return
  end
  shown[buf] = { edit = edit, client = client.id, tick = tick }
  draw(buf, edit, client.offset_encoding)
  client:notify('textDocument/didShowInlineEdit', { item = { command = edit.command } })
end

---@param buf integer
---@return lsp.Diagnostic[]
local function diagnostics(buf)
  return vim.tbl_map(function(one)
    local from = { line = one.lnum, character = one.col }
    return { range = { start = from, ['end'] = from }, message = one.message, severity = one.severity }
  end, vim.diagnostic.get(buf, { severity = vim.diagnostic.severity.ERROR }))
end

---@param buf integer
local function ask(buf)
  timer = nil
  local client = vim.lsp.get_clients({ name = 'infill', bufnr = buf })[1]
  if not client or buf ~= api.nvim_get_current_buf() or busy() or require('infill.config').next_edit_mode() == 'off' then
    return
  end
  local tick = api.nvim_buf_get_changedtick(buf)
  local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
  params.textDocument.version = vim.lsp.util.buf_versions[buf]
  params.context = { diagnostics = diagnostics(buf) }
  client:request('infill/nextEdit', params, function(err, result)
    if not err then
      receive(client, buf, tick, result)
    end
  end, buf)
end

---@param buf integer
local function changed(buf)
  M.clear(buf)
  if timer then
    timer:stop()
    timer:close()
  end
  timer = vim.defer_fn(function()
    ask(buf)
  end, ASK_AFTER)
end

---@param one infill.NextEdit
local function tell_accepted(one)
  local client = vim.lsp.get_client_by_id(one.client)
  if client then
    client:request('workspace/executeCommand', { command = one.edit.command.command, arguments = one.edit.command.arguments }, function() end)
  end
end

---@param buf integer
---@param one infill.NextEdit
---@param edits lsp.TextEdit[]
local function apply(buf, one, edits)
  local client = vim.lsp.get_client_by_id(one.client)
  if not client then
    return
  end
  M.clear(buf)
  -- one step of undo of its own, also while inserting
  vim.bo[buf].undolevels = vim.bo[buf].undolevels
  vim.lsp.util.apply_text_edits(edits, buf, client.offset_encoding)
  local line = math.min(one.edit.cursor.line, api.nvim_buf_line_count(buf) - 1)
  local _, col = place(buf, { line = line, character = one.edit.cursor.character }, client.offset_encoding)
  api.nvim_win_set_cursor(0, { line + 1, col })
  tell_accepted(one)
end

--- The quick fix that the language's own server has for the error: asked for by the user's key, never before.
---@param edit table
local function fix(edit)
  vim.lsp.buf.code_action({
    context = { only = { 'quickfix' } },
    filter = function(action)
      return action.title:lower():find(edit.fix, 1, true) ~= nil
    end,
  })
end

--- Go to the suggestion; there, apply it.
---@return boolean done Whether there was one.
function M.next_edit()
  local buf = api.nvim_get_current_buf()
  local one = current(buf)
  if not one then
    return false
  end
  local edit, client = one.edit, vim.lsp.get_client_by_id(one.client)
  local row, col = place(buf, edit.range.start, client and client.offset_encoding or 'utf-16')
  row = math.min(row, api.nvim_buf_line_count(buf) - 1)
  if api.nvim_win_get_cursor(0)[1] - 1 ~= row then
    vim.cmd("normal! m'")
    api.nvim_win_set_cursor(0, { row + 1, col })
    if edit.kind ~= 'jump' or edit.fix then
      api.nvim_buf_clear_namespace(buf, NAMESPACE, 0, -1)
      draw(buf, edit, client and client.offset_encoding or 'utf-16')
      return true
    end
  end
  if edit.kind ~= 'jump' then
    apply(buf, one, { { range = edit.range, newText = edit.text } })
    return true
  end
  M.clear(buf)
  tell_accepted(one)
  if edit.fix then
    fix(edit)
  end
  return true
end

--- Apply all edits of the group in this buffer.
---@return boolean done
function M.next_edit_all()
  local buf = api.nvim_get_current_buf()
  local one = current(buf)
  if not one or one.edit.kind == 'jump' then
    return false
  end
  local all = one.edit.all and one.edit.all.documentChanges[1].edits
  apply(buf, one, all or { { range = one.edit.range, newText = one.edit.text } })
  return true
end

--- Away with it, for good.
---@return boolean done
function M.next_edit_dismiss()
  local buf = api.nvim_get_current_buf()
  local one = current(buf)
  if not one then
    return false
  end
  local client = vim.lsp.get_client_by_id(one.client)
  if client then
    client:notify('infill/nextEditRejected', { id = one.edit.id, reason = 'rejected' })
  end
  M.clear(buf)
  return true
end

local function colours()
  api.nvim_set_hl(0, 'InfillNextOld', { default = true, link = 'DiffDelete' })
  api.nvim_set_hl(0, 'InfillNextNew', { default = true, link = 'DiffAdd' })
  api.nvim_set_hl(0, 'InfillNextSign', { default = true, link = 'Comment' })
end

---@param client vim.lsp.Client
---@param buf integer
function M.attach(client, buf)
  local options = require('infill.config').get()
  if require('infill.config').next_edit_mode() == 'off' then
    return
  end
  colours()
  api.nvim_clear_autocmds({ group = GROUP, buffer = buf })
  local function on(events, callback)
    api.nvim_create_autocmd(events, { group = GROUP, buffer = buf, callback = callback })
  end
  on({ 'TextChanged', 'TextChangedI' }, function()
    changed(buf)
  end)
  on({ 'BufLeave', 'LspDetach' }, function()
    M.clear(buf)
  end)
  on('DiagnosticChanged', function()
    if not shown[buf] and client:supports_method('textDocument/didChange', buf) then
      changed(buf)
    end
  end)
  -- an expression mapping may change neither text nor cursor
  local function soon(action)
    if not M.get() then
      return false
    end
    vim.schedule(M[action])
    return true
  end
  for _, action in ipairs({ 'next_edit', 'next_edit_all', 'next_edit_dismiss' }) do
    local key = type(options.keys) == 'table' and options.keys[action]
    if key then
      for _, mode in ipairs({ 'n', 'i' }) do
        require('infill.ghost').map(buf, mode, key, action, function()
          return soon(action)
        end)
      end
    end
  end
end

return M
