--- What the server last said of itself, and how a statusline shows it.
local M = {}

---@class infill.Status
---@field kind 'ready'|'loading'|'generating'|'warning'|'error'|'off'
---@field message? string
---@field provider? string
---@field model? string
---@field busy? boolean

---@type infill.Status?
M.current = nil

local marks = { ready = '●', loading = '◌', generating = '◐', warning = '▲', error = '✖', off = '○' }

---@param status infill.Status
function M.update(status)
  M.current = status
  vim.cmd.redrawstatus()
  vim.api.nvim_exec_autocmds('User', { pattern = 'InfillStatus', data = status, modeline = false })
end

--- The server exited: what it last said is no longer true.
---@param status? infill.Status What to show instead; nothing after an ordinary end.
function M.ended(status)
  M.current = status
  vim.cmd.redrawstatus()
  vim.api.nvim_exec_autocmds('User', { pattern = 'InfillStatus', data = status or { kind = 'off' }, modeline = false })
end

--- What a status line may show.
---@return infill.Status?
function M.state()
  return M.current
end

--- For a statusline: `%{%v:lua.require'infill.status'.component()%}`. A name that comes from a repository or a server must not be evaluated there.
---@return string
function M.component()
  local status = M.current
  if not status then
    return ''
  end
  local name = (status.model or ''):gsub('^local:', ''):gsub('%c', '?'):gsub('%%', '%%%%')
  return ('%s %s'):format(marks[status.kind] or '?', name ~= '' and name or 'infill')
end

--- One sentence.
---@return string
function M.sentence()
  local status = M.current
  if not status then
    return 'The server is not running. :checkhealth infill shows why.'
  end
  local who = status.model and status.model ~= '' and (' (' .. status.model .. ')') or ''
  return (status.message and status.message ~= '' and status.message or status.kind) .. who
end

return M
