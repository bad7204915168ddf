--- Code from an instruction: it appears as lines below the cursor while it is written, and is then accepted, discarded, changed or written again.
local M = {}
local api = vim.api
local namespace = api.nvim_create_namespace('infill.generate')

---@class infill.Generation
---@field buf integer
---@field mark integer Extmark at the place: it moves with edits elsewhere.
---@field range? { first: integer, last: integer } The lines that are rewritten, 1-based.
---@field editor? integer Buffer in which the result is edited.
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
  local lines = { { { hint, 'InfillSuggestionMore' } } }
  for _, note in ipairs(notes or {}) do
    for _, line in ipairs(wrapped(note)) do
      lines[#lines + 1] = { { line, 'DiagnosticWarn' } }
    end
  end
  for line in vim.gsplit(text, '\n', { plain = true }) do
    lines[#lines + 1] = { { line, running.range and 'InfillAdded' or 'InfillSuggestion' } }
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
  if not running then
    return
  end
  require('infill.generate_keys').restore()
  if api.nvim_buf_is_valid(running.buf) then
    api.nvim_buf_clear_namespace(running.buf, namespace, 0, -1)
  end
  if running.editor and api.nvim_buf_is_valid(running.editor) then
    api.nvim_buf_delete(running.editor, { force = true })
  end
  running = nil
end

--- The lines that will be replaced look removed.
local function mark_removed()
  local range = running.range
  for row = range and range.first - 1 or 0, range and range.last - 1 or -1 do
    api.nvim_buf_set_extmark(running.buf, namespace, row, 0, { line_hl_group = 'InfillRemoved' })
  end
end

--- Edit the finished result in a window below, where it also scrolls; accepting takes what stands there.
---@param focus? boolean Go to that window; default: yes.
function M.edit(focus)
  if not (running and running.result) then
    require('infill.message').info('There is no finished generation to edit.')
    return
  end
  local window, filetype = api.nvim_get_current_win(), vim.bo[running.buf].filetype
  local lines = vim.split(running.result.text, '\n', { plain = true })
  local editor = api.nvim_create_buf(false, true)
  running.editor = editor
  api.nvim_buf_set_lines(editor, 0, -1, false, lines)
  vim.cmd('belowright split')
  api.nvim_win_set_buf(0, editor)
  api.nvim_win_set_height(0, math.max(3, math.min(#lines + 1, math.floor(vim.o.lines / 2))))
  vim.bo[editor].bufhidden = 'wipe'
  -- colours only: language servers have nothing to do with it
  if not pcall(vim.treesitter.start, editor, vim.treesitter.language.get_lang(filetype) or filetype) then
    vim.bo[editor].syntax = filetype
  end
  require('infill.generate_keys').map(editor)
  if focus == false then
    api.nvim_set_current_win(window)
  end
end

local function finished(result)
  running.result = result
  local keys = require('infill.generate_keys')
  show(
    result.text,
    ('  %s accepts · %s discards · :Infill edit, followup or retry'):format(keys.name('accept'), keys.name('discard')),
    result.notes
  )
  local _, breaks = result.text:gsub('\n', '')
  if breaks + 4 > api.nvim_win_get_height(0) then
    M.edit(false)
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
---@param range? { first: integer, last: integer }
local function start(generation_arguments, row, range)
  local buf = api.nvim_get_current_buf()
  local mark = api.nvim_buf_set_extmark(buf, namespace, row, 0, {})
  running = { buf = buf, mark = mark, arguments = generation_arguments, range = range }
  local mine = running
  mark_removed()
  require('infill.generate_keys').map(buf)
  mine.request = require('infill.server').run('infill.generate', generation_arguments, function(result)
    if running == mine then
      finished(result)
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
  start(arguments(client, range, instruction), (range and range.last or api.nvim_win_get_cursor(0)[1]) - 1, range)
end

--- Ask for the instruction first; earlier ones are in the input history (<Up>).
---@param range? { first: integer, last: integer }
function M.prompt(range)
  vim.ui.input({ prompt = 'Describe the code to generate: ' }, function(instruction)
    if instruction then
      M.run(instruction, range)
    end
  end)
end

--- Put the finished text in its place, as one change that `u` undoes.
function M.accept()
  if not (running and running.result) then
    require('infill.message').info('There is no finished generation to accept.')
    return
  end
  local client, edit, editor = require('infill.server').client(), running.result.edit, running.editor
  if editor and api.nvim_buf_is_valid(editor) and edit.documentChanges[1].edits[1] then
    edit.documentChanges[1].edits[1].newText = table.concat(api.nvim_buf_get_lines(editor, 0, -1, false), '\n')
  end
  clear()
  vim.lsp.util.apply_workspace_edit(edit, client and client.offset_encoding or 'utf-8')
end

--- Discard it; one that is still being written is stopped.
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
  local again, row, range = running.arguments, (place()), running.range
  M.discard()
  start(again, row, range)
end

--- Generate again, with the last result and what to change about it.
---@param change string Empty: ask for it.
function M.follow_up(change)
  if not (running and running.result) then
    require('infill.message').info('There is no finished generation to change.')
  elseif change == '' then
    vim.ui.input({ prompt = 'Describe what to change: ' }, function(given)
      if given and given ~= '' then
        M.follow_up(given)
      end
    end)
  else
    local asked = running.arguments.instruction or 'Write the code that the comment or signature describes.'
    local instruction = ('%s\n\nThe last answer was:\n%s\n\nChange it: %s'):format(asked, running.result.text, change)
    running.arguments = vim.tbl_extend('force', running.arguments, { instruction = instruction })
    M.retry()
  end
end

--- Whether something is being written or waits to be taken.
---@return boolean
function M.pending()
  return running ~= nil
end

return M
