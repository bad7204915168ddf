--- Normal-mode keys for generated code: mapped in the buffer while there is some, then what they were before.
local M = {}

local ACTIONS = { accept = 'generate_accept', discard = 'generate_discard', retry = 'generate_retry', followup = 'generate_followup' }

---@class (exact) infill.MappedKey
---@field buf integer
---@field key string
---@field before table<string, any> As `maparg()` gave it; empty where nothing was mapped in the buffer.

local mapped = {} ---@type infill.MappedKey[]

---@param action string
---@return string|false
local function key_of(action)
  local keys = require('infill.config').get().keys
  return type(keys) == 'table' and keys[ACTIONS[action]] or false
end

--- How a message names the key of an action, or the command where there is none.
---@param action string
---@return string
function M.name(action)
  return key_of(action) or ':Infill ' .. action
end

---@param buf integer
function M.map(buf)
  for action in pairs(ACTIONS) do
    local key = key_of(action)
    if key then
      local before = vim.api.nvim_buf_call(buf, function()
        return vim.fn.maparg(key, 'n', false, true)
      end)
      mapped[#mapped + 1] = { buf = buf, key = key, before = before.buffer == 1 and before or {} }
      vim.keymap.set('n', key, '<Plug>(infill-generate-' .. action .. ')', { buffer = buf, desc = 'infill: ' .. action .. ' generated code' })
    end
  end
end

function M.restore()
  for index = #mapped, 1, -1 do
    local one = mapped[index]
    if vim.api.nvim_buf_is_valid(one.buf) then
      vim.api.nvim_buf_call(one.buf, function()
        pcall(vim.keymap.del, 'n', one.key, { buffer = one.buf })
        if not vim.tbl_isempty(one.before) then
          vim.fn.mapset('n', false, one.before)
        end
      end)
    end
  end
  mapped = {}
end

return M
