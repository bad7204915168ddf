--- Tells the server where the cursor rests, so that the model has read that place before the first key falls there,
--- and how the buffer is indented. A place, never text.
---
--- Not while inserting: there a changed text says where the cursor is, and Neovim asks for a suggestion wherever else it goes.
local M = {}
local api = vim.api

-- milliseconds: a held key says nothing on its way, only where it ends
local RESTS_AFTER = 100

local group = api.nvim_create_augroup('infill.cursor', {})
local timer ---@type uv.uv_timer_t? Closes itself when it is done.

local function tell()
  timer = nil
  local client = vim.lsp.get_clients({ name = 'infill', bufnr = 0 })[1]
  if client then
    local place = vim.lsp.util.make_position_params(0, client.offset_encoding)
    local options = { tabSize = vim.lsp.util.get_effective_tabstop(0), insertSpaces = vim.bo.expandtab }
    client:notify('infill/cursor', vim.tbl_extend('force', place, { options = options }))
  end
end

local function stop()
  if timer then
    timer:stop()
    timer:close()
    timer = nil
  end
end

local function moved()
  stop()
  timer = vim.defer_fn(tell, RESTS_AFTER)
end

--- Follow the cursor in a buffer until the client leaves it.
---@param client vim.lsp.Client
---@param buf integer
function M.attach(client, buf)
  api.nvim_clear_autocmds({ group = group, buffer = buf })
  api.nvim_create_autocmd({ 'CursorMoved', 'BufEnter' }, { group = group, buffer = buf, callback = moved })
  api.nvim_create_autocmd('LspDetach', {
    group = group,
    buffer = buf,
    callback = function(event)
      if event.data.client_id == client.id then
        stop()
        api.nvim_clear_autocmds({ group = group, buffer = buf })
      end
    end,
  })
  if buf == api.nvim_get_current_buf() then
    moved()
  end
end

return M
