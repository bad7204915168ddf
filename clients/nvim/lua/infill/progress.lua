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
  vim.api.nvim_echo({ { value.message or (ended and 'done' or '') } }, false, {
    id = 'infill.' .. params.token,
    kind = 'progress',
    source = 'infill',
    title = value.title,
    status = ended and 'success' or 'running',
    percent = ended and 100 or value.percentage or 0,
  })
end

return M
