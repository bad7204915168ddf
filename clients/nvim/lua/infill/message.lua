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

---@param text string
function M.warn(text)
  say(text, vim.log.levels.WARN)
end

---@param text string
function M.error(text)
  say(text, vim.log.levels.ERROR)
end

return M
