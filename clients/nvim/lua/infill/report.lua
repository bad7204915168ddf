--- Facts from the server, readable, in a scratch window that `q` closes.
local M = {}

---@param value any
---@param indent integer
---@param lines string[]
local function write(value, indent, lines)
  local names = vim.tbl_keys(value)
  table.sort(names, function(a, b)
    return tostring(a) < tostring(b)
  end)
  for _, name in ipairs(names) do
    local item = value[name]
    local label = ('  '):rep(indent) .. (type(name) == 'number' and '-' or name .. ':')
    if type(item) == 'table' then
      if not vim.tbl_isempty(item) then
        lines[#lines + 1] = label
        write(item, indent + 1, lines)
      end
    elseif item ~= vim.NIL and item ~= '' then
      lines[#lines + 1] = label .. ' ' .. tostring(item):gsub('\n', ' ')
    end
  end
end

---@param value any
function M.open(value)
  local lines = {}
  write(type(value) == 'table' and value or { value }, 0, lines)
  local buf = vim.api.nvim_create_buf(false, true)
  vim.api.nvim_buf_set_lines(buf, 0, -1, false, #lines > 0 and lines or { 'Nothing to tell yet.' })
  vim.bo[buf].modifiable = false
  vim.bo[buf].bufhidden = 'wipe'
  vim.bo[buf].filetype = 'yaml'
  vim.cmd('botright split')
  vim.api.nvim_win_set_buf(0, buf)
  vim.api.nvim_win_set_height(0, math.min(#lines + 1, 20))
  vim.keymap.set('n', 'q', '<Cmd>close<CR>', { buffer = buf, nowait = true, desc = 'infill: close this report' })
end

return M
