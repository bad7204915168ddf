--- The only module that talks to the user: one calm sentence each.
local M = {}

---@param text string
---@param level? integer
local function say(text, level)
  vim.notify('infill: ' .. text, level or vim.log.levels.INFO)
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
