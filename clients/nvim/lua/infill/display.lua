--- How Neovim's ghost text is requested and drawn, changed per buffer: at once instead of after its fixed 200 ms, hidden beside completion menus
--- and where the typed text differs from it, with highlight groups of its own, and told to the server when it is visible.
---
--- Neovim's state of a buffer is private there. Where a version has another one, its own behaviour is left as it is.
local M = {}
local api = vim.api

-- milliseconds: one request for keys that arrive together. The server waits for the end of typing itself, as long as the model's speed asks for.
local REQUEST_AFTER = 10
local NAMESPACE = api.nvim_create_namespace('nvim.lsp.inline_completion')
local GROUPS = { ComplHint = 'InfillSuggestion', ComplHintMore = 'InfillSuggestionMore' }

--- Neovim's own state of a buffer's ghost text.
---@param buf integer
---@return table?
function M.state(buf)
  local ok, capability = pcall(require, 'vim.lsp._capability')
  local kind = ok and capability.all and capability.all.inline_completion
  return kind and kind.active and kind.active[buf] or nil
end

--- How much of the item the user has typed already, in bytes; nil where the typed text differs from it.
---@param item vim.lsp.inline_completion.Item
---@return integer?
function M.typed_length(item)
  local row, col = unpack(api.nvim_win_get_cursor(0))
  row = row - 1
  local range = item.range
  if not range or type(item.insert_text) ~= 'string' then
    return 0
  end
  if row < range.start_row or (row == range.start_row and col < range.start_col) then
    return nil
  end
  local between = table.concat(api.nvim_buf_get_text(0, range.start_row, range.start_col, row, col, {}), '\n')
  return vim.startswith(item.insert_text --[[@as string]], between) and #between or nil
end

--- Whether ghost text is visible.
---@param buf integer
---@return boolean
function M.is_visible(buf)
  return #api.nvim_buf_get_extmarks(buf, NAMESPACE, 0, -1, { limit = 1 }) > 0
end

--- Draw again what is shown or hidden.
---@param buf integer
function M.refresh(buf)
  local state = M.state(buf)
  if state and vim.startswith(api.nvim_get_mode().mode, 'i') then
    state:show()
  end
end

---@param chunks [string, string][]
---@return [string, string][]
local function recoloured(chunks)
  return vim.tbl_map(function(chunk)
    return { chunk[1], GROUPS[chunk[2]] or chunk[2] }
  end, chunks)
end

---@param buf integer
local function recolour(buf)
  for _, mark in ipairs(api.nvim_buf_get_extmarks(buf, NAMESPACE, 0, -1, { details = true })) do
    local details = mark[4]
    api.nvim_buf_set_extmark(buf, NAMESPACE, mark[2], mark[3], {
      id = mark[1],
      virt_text = recoloured(details.virt_text or {}),
      virt_lines = vim.tbl_map(recoloured, details.virt_lines or {}),
      virt_text_pos = details.virt_text_pos,
      hl_mode = details.hl_mode,
    })
  end
end

---@param item vim.lsp.inline_completion.Item
local function tell_visible(item)
  local client = vim.lsp.get_client_by_id(item.client_id)
  if client and client.name == 'infill' then
    client:notify('textDocument/didShowCompletion', { item = { insertText = item.insert_text, command = item.command } })
  end
end

---@param state table
---@param buf integer
local function draw_our_way(state, buf)
  local show, told = state.show, nil
  state.show = function(self, hint)
    if self.current and buf == api.nvim_get_current_buf() and not M.typed_length(self.current) then
      self.current = nil
    end
    if require('infill.menu').hides_ghost(buf) then
      self:hide()
      return
    end
    show(self, hint)
    recolour(buf)
    if self.current and self.current ~= told then
      told = self.current
      tell_visible(told)
    end
  end
end

---@param state table
local function request_at_once(state)
  local automatic_request = state.automatic_request
  state.automatic_request = function(self)
    local clients = vim.tbl_map(vim.lsp.get_client_by_id, vim.tbl_keys(self.client_state))
    if #clients > 1 then
      -- another server's requests keep Neovim's pace
      automatic_request(self)
      return
    end
    self:show()
    self:reset_timer()
    if require('infill.pause').is_automatic() then
      self.timer = vim.defer_fn(function()
        self:request(vim.lsp.protocol.InlineCompletionTriggerKind.Automatic)
      end, REQUEST_AFTER)
    end
  end
end

local function define_groups()
  local look = api.nvim_get_hl(0, { name = 'ComplHint', link = false }) --[[@as vim.api.keyset.highlight]]
  if look.ctermfg or look.cterm then
    look = { link = 'ComplHint' }
  else
    -- Neovim's own colours have no grey for terminals without true colour: there a suggestion would look like what is typed
    look.ctermfg = 8
  end
  look.default = true
  api.nvim_set_hl(0, 'InfillSuggestion', look)
  api.nvim_set_hl(0, 'InfillSuggestionMore', { default = true, link = 'ComplHintMore' })
  api.nvim_set_hl(0, 'InfillRemoved', { default = true, link = 'DiffDelete' })
  api.nvim_set_hl(0, 'InfillAdded', { default = true, link = 'DiffAdd' })
end

--- Change how ghost text is requested and drawn in a buffer.
---@param buf integer
---@return table? state
function M.attach(buf)
  define_groups()
  api.nvim_create_autocmd('ColorScheme', { group = api.nvim_create_augroup('infill.display', {}), callback = define_groups })
  require('infill.menu').follow(function()
    M.refresh(api.nvim_get_current_buf())
  end)
  local state = M.state(buf)
  if state and not state.infill then
    state.infill = true
    draw_our_way(state, buf)
    request_at_once(state)
  end
  return state
end

return M
