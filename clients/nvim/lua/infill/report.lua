--- Facts from the server, readable, in a scratch window that `q` closes.
local M = {}

--- A value as text: numbers without decimals that mean nothing.
---@param value any
---@return string
function M.text(value)
  if type(value) == 'number' and value % 1 ~= 0 then
    return ('%.3g'):format(value)
  end
  return (tostring(value):gsub('\n', ' '))
end

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
      lines[#lines + 1] = label .. ' ' .. M.text(item)
    end
  end
end

---@param value any
---@param heading? string One line above all.
function M.open(value, heading)
  local lines = heading and { heading, '' } or {}
  write(type(value) == 'table' and value or { value }, 0, lines)
  local buf = vim.api.nvim_create_buf(false, true)
  vim.api.nvim_buf_set_lines(buf, 0, -1, false, #lines > 0 and lines or { 'Nothing to show yet.' })
  vim.bo[buf].modifiable = false
  vim.bo[buf].bufhidden = 'wipe'
  vim.bo[buf].filetype = 'yaml'
  vim.cmd('botright split')
  vim.api.nvim_win_set_buf(0, buf)
  vim.api.nvim_win_set_height(0, math.min(#lines + 1, 20))
  vim.keymap.set('n', 'q', '<Cmd>close<CR>', { buffer = buf, nowait = true, desc = 'infill: close this report' })
end

--- What `infill.explain` says: the reason in one sentence first, then all of it.
---@param explained table
function M.explain(explained)
  local count = explained.suggestions or 0
  local reason = explained.reason and explained.reason ~= '' and explained.reason or 'nothing was requested yet'
  local sentence = count > 0 and ('%d suggestion%s from %s.'):format(count, count > 1 and 's' or '', explained.model or 'the model')
    or ('No suggestion: %s.'):format(reason)
  M.open(explained, sentence)
end

return M
