--- Downloads, loading and writing as Neovim's own progress messages: in the command line, the default status line and the terminal's tab.
local M = {}

--- One `$/progress` of the server. Its title is in every one of them: Neovim's own handler, which ran before, puts it there.
---@param params lsp.ProgressParams
function M.show(params)
  local value = params.value
  if type(value) ~= 'table' or not require('infill.config').get().progress then
    return
  end
  local ended = value.kind == 'end'
  -- the end says nothing about success: the command's own answer reports it
  vim.api.nvim_echo({ { value.message or (ended and 'ended' or '') } }, false, {
    id = 'infill.' .. params.token,
    kind = 'progress',
    source = 'infill',
    title = value.title,
    status = ended and 'success' or 'running',
    percent = not ended and (value.percentage or 0) or nil,
  })
  vim.cmd.redrawstatus()
end

return M
