--- Code from an instruction: it appears as ghost lines while it is written, and is then taken or thrown away.
local M = {}
local api = vim.api
local namespace = api.nvim_create_namespace('infill.generate')

---@class infill.Generation
---@field buf integer
---@field mark integer Extmark at the place: it moves with edits elsewhere.
---@field request? integer
---@field result? table The command's answer, once it is there.
---@field arguments table

---@type infill.Generation?
local running

---@return integer row
---@return integer col
local function place()
  local mark = api.nvim_buf_get_extmark_by_id(running.buf, namespace, running.mark, {})
  return mark[1], mark[2]
end

--- Virtual lines do not wrap: what is longer than the window would be cut off.
---@param text string
---@return string[]
local function wrapped(text)
  local lines, room = { ' ' }, math.max(20, api.nvim_win_get_width(0) - 8)
  for word in text:gmatch('%S+') do
    if vim.fn.strdisplaywidth(lines[#lines] .. word) > room then
      lines[#lines + 1] = ' '
    end
    lines[#lines] = lines[#lines] .. ' ' .. word
  end
  return lines
end

---@param text string
---@param hint string What can be done with it.
---@param notes? string[] What the server says about it.
local function show(text, hint, notes)
  local row, col = place()
  -- before the text: what is longer than the window is cut off at its end
  local lines = { { { hint, 'ComplHintMore' } } }
  for _, note in ipairs(notes or {}) do
    for _, line in ipairs(wrapped(note)) do
      lines[#lines + 1] = { { line, 'DiagnosticWarn' } }
    end
  end
  for line in vim.gsplit(text, '\n', { plain = true }) do
    lines[#lines + 1] = { { line, 'ComplHint' } }
  end
  api.nvim_buf_set_extmark(running.buf, namespace, row, col, { id = running.mark, virt_lines = lines })
end

--- `infill/generation`: more of it.
---@param part table
function M.stream(part)
  if running and not running.result then
    show(part.text, ('  %d tokens, %d/s · :Infill discard stops'):format(part.tokens or 0, part.tokensPerSecond or 0))
  end
end

local function clear()
  if running then
    pcall(api.nvim_buf_del_extmark, running.buf, namespace, running.mark)
    running = nil
  end
end

---@param client vim.lsp.Client
---@param range? { first: integer, last: integer } Lines, 1-based.
---@param instruction string
---@return table
local function arguments(client, range, instruction)
  local params = range
      and vim.lsp.util.make_given_range_params(
        { range.first, 0 },
        { range.last, #api.nvim_buf_get_lines(0, range.last - 1, range.last, false)[1] },
        0,
        client.offset_encoding
      )
    or vim.lsp.util.make_position_params(0, client.offset_encoding)
  return {
    uri = params.textDocument.uri,
    position = params.position,
    range = params.range,
    instruction = instruction ~= '' and instruction or nil,
    apply = 'preview',
  }
end

---@param generation_arguments table
---@param row integer
local function start(generation_arguments, row)
  local buf = api.nvim_get_current_buf()
  local mark = api.nvim_buf_set_extmark(buf, namespace, row, 0, {})
  running = { buf = buf, mark = mark, arguments = generation_arguments }
  local mine = running
  mine.request = require('infill.server').run('infill.generate', generation_arguments, function(result)
    if running == mine then
      running.result = result
      show(result.text, '  :Infill accept · :Infill discard · :Infill retry', result.notes)
    end
  end, function()
    if running == mine then
      clear()
    end
  end)
  if not mine.request then
    clear()
  end
end

--- Without an instruction the server takes the comment, docstring or signature at the cursor.
---@param instruction string
---@param range? { first: integer, last: integer }
function M.run(instruction, range)
  local client = require('infill.server').client()
  if not client then
    require('infill.message').warn(require('infill.status').sentence())
    return
  end
  M.discard()
  start(arguments(client, range, instruction), (range and range.last or api.nvim_win_get_cursor(0)[1]) - 1)
end

--- Put the finished text in its place, as one change that `u` undoes.
function M.accept()
  if not (running and running.result) then
    require('infill.message').info('There is no finished generation to accept.')
    return
  end
  local client, edit = require('infill.server').client(), running.result.edit
  clear()
  vim.lsp.util.apply_workspace_edit(edit, client and client.offset_encoding or 'utf-8')
end

--- Throw it away; one that is still being written is stopped.
function M.discard()
  local client = require('infill.server').client()
  if running and running.request and not running.result and client then
    client:cancel_request(running.request)
  end
  clear()
end

function M.retry()
  if not running then
    require('infill.message').info('There is no generation to try again.')
    return
  end
  local again, row = running.arguments, (place())
  M.discard()
  start(again, row)
end

--- Whether something is being written or waits to be taken.
---@return boolean
function M.pending()
  return running ~= nil
end

return M
