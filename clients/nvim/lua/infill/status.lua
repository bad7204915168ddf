--- The state of the server and of this buffer, for status lines and `:Infill status`.
local M = {}

---@class infill.Status As the server sends it in `infill/status`.
---@field kind 'ready'|'loading'|'generating'|'warning'|'error'|'off'
---@field message? string
---@field provider? string
---@field model? string
---@field busy? boolean
---@field offline? boolean
---@field languagesOff? string[]

---@class infill.State
---@field kind 'ready'|'loading'|'generating'|'off'|'language_off'|'snoozed'|'offline'|'remote'|'warning'|'error'
---@field label string One or two words, such as "off for python".
---@field message string One sentence.
---@field model string Without its provider; may be empty.
---@field provider string Such as "local"; may be empty.

---@type infill.Status?
M.current = nil

local MARKS = {
  ready = '●',
  remote = '●',
  offline = '●',
  loading = '◌',
  generating = '◐',
  snoozed = '○',
  language_off = '○',
  off = '○',
  warning = '▲',
  error = '✖',
}

--- Something that `state()` depends on is different now.
function M.changed()
  vim.cmd.redrawstatus()
  vim.api.nvim_exec_autocmds('User', { pattern = 'InfillStatus', data = M.current or { kind = 'off' }, modeline = false })
end

---@param status infill.Status
function M.update(status)
  M.current = status
  M.changed()
end

--- The server exited: what it last sent is no longer true.
---@param status? infill.Status What to show instead; nothing after an ordinary exit.
function M.ended(status)
  M.current = status
  M.changed()
end

--- What there is to say of a server that has nothing to report.
---@param status infill.Status
---@return string kind
---@return string label
local function of_ready(status)
  local provider, minutes = status.provider or '', require('infill.pause').minutes_left()
  if minutes then
    return 'snoozed', ('snoozed, %d min'):format(minutes)
  elseif provider ~= '' and provider ~= 'local' then
    return 'remote', 'remote: ' .. provider
  elseif status.offline then
    return 'offline', 'offline'
  end
  return 'ready', 'ready'
end

---@return infill.State? state Nil where the server does not run.
function M.state()
  local status = M.current
  if not status then
    return nil
  end
  local kind, label = status.kind, status.kind --[[@as string]]
  local language = vim.bo.filetype
  local share = kind == 'loading' and (status.message or ''):match('%d+%%')
  label = share and 'loading ' .. share or label
  if kind == 'ready' or kind == 'generating' then
    if vim.list_contains(status.languagesOff or {}, language) then
      kind, label = 'language_off', 'off for ' .. language
    elseif kind == 'ready' then
      kind, label = of_ready(status)
    end
  end
  local message = status.message and status.message ~= '' and status.message or status.kind
  -- a model's id names its provider
  local model = (status.model or ''):gsub('^[%w_-]+:', '')
  return { kind = kind, label = label, message = message, model = model, provider = status.provider or '' }
end

--- For a status line, without the name of a state that goes without saying. Names that come from a repository or a server are not evaluated there.
---@return string
function M.component()
  local state = M.state()
  if not state then
    return ''
  end
  local name = state.model ~= '' and state.model or 'infill'
  local label = vim.list_contains({ 'ready', 'generating' }, state.kind) and '' or (' (%s)'):format(state.label)
  local text = (name .. label):gsub('%c', '?'):gsub('%%', '%%%%')
  return ('%s %s'):format(MARKS[state.kind] or '?', text)
end

--- Why there is no server for this buffer.
---@return string
local function absent()
  if not require('infill.server').command() then
    return 'infill is not installed. :checkhealth infill shows how to install it.'
  elseif not vim.lsp.is_enabled('infill') then
    return "infill is not enabled: add vim.lsp.enable('infill') to your configuration."
  elseif vim.bo.buftype ~= '' then
    return 'infill does not complete in this kind of buffer.'
  elseif vim.bo.filetype == '' then
    return 'This buffer has no filetype: set one, such as :set filetype=python.'
  end
  return 'The server is not running. :Infill restart starts it, :checkhealth infill shows problems.'
end

--- One sentence.
---@return string
function M.sentence()
  local state = M.state()
  if not state or (state.kind ~= 'error' and #vim.lsp.get_clients({ name = 'infill', bufnr = 0 }) == 0) then
    return absent()
  end
  local said = vim.list_contains({ 'snoozed', 'language_off', 'offline', 'remote' }, state.kind)
  local text = said and state.label:gsub('^%l', string.upper) or state.message
  return state.model ~= '' and ('%s (%s)'):format(text, state.model) or text
end

return M
