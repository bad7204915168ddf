--- Notifications, one sentence each. Nothing else calls `vim.notify`.
local M = {}

-- the server's shell commands, and what does the same here; the first that matches
local COMMANDS = {
  { '^infill models download (%S+).*', ':Infill download %1' },
  { '^infill models remove.*', ':Infill remove' },
  { '^infill models check (%S+)$', ':Infill check %1' },
  { '^infill models %a+.*', ':Infill models' },
  { '^infill doctor.*', ':checkhealth infill' },
  { '^infill engine status.*', ':Infill engine' },
  { '^infill engine stop.*', ':Infill restart' },
  { '^infill build$', ':Infill build' },
}
-- these have no command here
local SHELL_ONLY = { '^infill models import', '^infill models check .*%-%-', '^infill models rename' }

---@param command string
---@return string
local function editor_command(command)
  for _, pattern in ipairs(SHELL_ONLY) do
    if command:find(pattern) then
      return '`' .. command .. '`'
    end
  end
  for _, pair in ipairs(COMMANDS) do
    if command:find(pair[1]) then
      return (command:gsub(pair[1], pair[2]))
    end
  end
  return '`' .. command .. '`'
end

--- A sentence of the server with Neovim's commands in the place of shell commands.
---@param text string
---@return string
function M.for_neovim(text)
  return (text:gsub('`(infill [^`]+)`', editor_command))
end

---@param text string
---@param level? integer
local function say(text, level)
  vim.notify('infill: ' .. M.for_neovim(text), level or vim.log.levels.INFO)
end

---@param text string
function M.info(text)
  say(text)
end

local ANSWER = ' (:Infill models)'
-- columns that Neovim keeps free beside a message that needs no Enter
local MARGIN = 12

--- A question of the server, told as a notification of one line: commands answer it, whenever the user likes. Never while inserting, where a message
--- that is too long would wait for Enter.
---@param question string The server's own text, which begins with its name.
function M.offer(question)
  local function tell()
    local room = vim.o.columns - MARGIN - #ANSWER
    local text = vim.fn.strdisplaywidth(question) <= room and question or vim.fn.strcharpart(question, 0, room - 1) .. '…'
    vim.notify(text .. ANSWER, vim.log.levels.INFO)
  end
  if vim.startswith(vim.api.nvim_get_mode().mode, 'i') then
    vim.api.nvim_create_autocmd('InsertLeave', { once = true, callback = vim.schedule_wrap(tell) })
  else
    tell()
  end
end

---@param text string
function M.warn(text)
  say(text, vim.log.levels.WARN)
end

---@param text string
function M.error(text)
  say(text, vim.log.levels.ERROR)
end

return M
