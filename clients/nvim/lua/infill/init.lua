--- The functions for a user's own configuration: keys, status lines, other completion plugins. All are safe to call before the server runs.
local M = {}

--- The plugin's folder.
M.root = vim.fs.dirname(vim.fs.dirname(vim.fs.dirname(vim.fs.abspath(debug.getinfo(1, 'S').source:sub(2)))))

--- Whether ghost text is visible in the current buffer.
---@return boolean
function M.is_visible()
  return require('infill.ghost').is_visible()
end

-- Each returns false, and changes nothing, where no ghost text is visible.
for _, action in ipairs({ 'accept', 'accept_word', 'accept_line', 'next', 'previous', 'dismiss' }) do
  M[action] = function()
    return require('infill.ghost')[action]()
  end
end

--- Request several suggestions now, also with `auto_trigger = false` or while snoozed.
---@return boolean requested False where infill is not attached to the buffer.
function M.trigger()
  return require('infill.ghost').trigger()
end

--- The state for a status line; see `:help infill-status`.
---@return infill.State? state Nil where the server does not run.
function M.state()
  return require('infill.status').state()
end

--- The state as text, such as `● qwen2.5-coder-1.5b`; empty where the server does not run.
---@return string
function M.status()
  return require('infill.status').component()
end

return M
