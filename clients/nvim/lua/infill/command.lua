--- `:Infill {subcommand}`: each one line of a table, with its help and its completion.

---@class (exact) infill.Subcommand
---@field description string
---@field run fun(rest: string, args: table)
---@field complete? string[]

local M = {}

---@param value any
local function show(value)
  require('infill.report').open(value)
end

---@type table<string, infill.Subcommand>
M.subcommands = {
  status = {
    description = 'Show the state of the server and of this buffer.',
    run = function()
      require('infill.message').info(require('infill.status').sentence())
    end,
  },
  explain = {
    description = 'Explain the last suggestion, or why there was none.',
    run = function()
      require('infill.server').run('infill.explain', nil, require('infill.report').explain)
    end,
  },
  stats = {
    description = 'Show statistics: acceptance rate and latency, counted on this machine.',
    run = function()
      require('infill.server').run('infill.stats', nil, show)
    end,
  },
  hardware = {
    description = 'Show the hardware of this machine.',
    run = function()
      require('infill.server').run('infill.hardware', nil, show)
    end,
  },
  models = {
    description = 'Choose the model for completions (`workspace`: for this workspace only).',
    complete = { 'global', 'workspace' },
    run = function(rest)
      require('infill.models').choose(rest ~= '' and rest or nil)
    end,
  },
  switch = {
    description = 'Use the model with this id.',
    run = function(rest)
      if rest == '' then
        require('infill.models').choose()
      else
        require('infill.models').switch(rest)
      end
    end,
  },
  download = {
    description = 'Download a model: the one with this id, or choose; `cancel` stops.',
    complete = { 'cancel' },
    run = function(rest)
      if rest == 'cancel' then
        require('infill.models').cancel_download()
      elseif rest == '' then
        require('infill.models').choose_download()
      else
        require('infill.models').download(rest)
      end
    end,
  },
  check = {
    description = 'Check a model by using it: the one with this id, or choose.',
    run = function(rest)
      if rest == '' then
        require('infill.models').choose_check()
      else
        require('infill.models').check(rest)
      end
    end,
  },
  remove = {
    description = 'Remove an installed model.',
    run = function()
      require('infill.models').choose_removal()
    end,
  },
  load = {
    description = 'Load the model now.',
    run = function()
      require('infill.server').run('infill.loadModel')
    end,
  },
  unload = {
    description = 'Unload the model and free its memory.',
    run = function()
      require('infill.server').run('infill.unloadModel')
    end,
  },
  generate = {
    description = 'Write code from an instruction, or from the comment or signature at the cursor; with a range: rewrite it.',
    run = function(rest, args)
      local range = args.range == 2 and { first = args.line1, last = args.line2 } or nil
      require('infill.generate').run(rest, range)
    end,
  },
  prompt = {
    description = 'Ask for an instruction and write code from it; <Up> recalls earlier ones. With a range: rewrite it.',
    run = function(_, args)
      require('infill.generate').prompt(args.range == 2 and { first = args.line1, last = args.line2 } or nil)
    end,
  },
  accept = {
    description = 'Accept the generated code.',
    run = function()
      require('infill.generate').accept()
    end,
  },
  discard = {
    description = 'Discard the generated code, or stop generating.',
    run = function()
      require('infill.generate').discard()
    end,
  },
  edit = {
    description = 'Edit the generated code in a window before it is accepted.',
    run = function()
      require('infill.generate').edit()
    end,
  },
  followup = {
    description = 'Generate again with a change to the last result, such as `:Infill followup use a set`.',
    run = function(rest)
      require('infill.generate').follow_up(rest)
    end,
  },
  retry = {
    description = 'Generate again.',
    run = function()
      require('infill.generate').retry()
    end,
  },
  toggle = {
    description = 'Enable or disable completions; with a filetype: for that language.',
    run = function(rest)
      require('infill.server').run('infill.toggle', rest ~= '' and { language = rest } or nil, function(result)
        require('infill.message').info(('Completions are %s%s.'):format(result.enabled and 'on' or 'off', rest ~= '' and ' for ' .. rest or ''))
      end)
    end,
  },
  snooze = {
    description = 'No automatic suggestions for some minutes: 10, or this number.',
    complete = { '5', '10', '30', '60' },
    run = function(rest)
      local minutes = rest == '' and 10 or tonumber(rest)
      if not minutes or minutes <= 0 or minutes > 24 * 60 then
        require('infill.message').error('Give a number of minutes, such as :Infill snooze 30.')
        return
      end
      require('infill.pause').snooze(minutes)
      require('infill.message').info(('Snoozed for %g minutes. :Infill resume ends it.'):format(minutes))
    end,
  },
  resume = {
    description = 'End a snooze.',
    run = function()
      require('infill.pause').resume()
      require('infill.message').info('Automatic suggestions are on.')
    end,
  },
  restart = {
    description = 'Restart the server.',
    run = function()
      require('infill.server').restart()
    end,
  },
  engine = {
    description = "Show the engine's state and its last messages.",
    run = function()
      require('infill.server').run('infill.status', nil, show)
    end,
  },
  build = {
    description = 'Build llama.cpp for this machine.',
    run = function()
      require('infill.server').run('infill.build', vim.empty_dict(), function(result)
        require('infill.message').info(result.message)
      end)
    end,
  },
  log = {
    description = "Open Neovim's LSP log.",
    run = function()
      vim.cmd.tabnew(vim.fn.fnameescape(vim.lsp.log.get_filename()))
    end,
  },
}

---@param args table As `nvim_create_user_command()` hands it over.
function M.run(args)
  local name, rest = args.args:match('^(%S*)%s*(.*)$')
  local subcommand = M.subcommands[name == '' and 'status' or name]
  if not subcommand then
    require('infill.message').error(('There is no :Infill %s. Commands: %s.'):format(name, table.concat(M.names(), ', ')))
    return
  end
  subcommand.run(rest, args)
end

---@return string[]
function M.names()
  local names = vim.tbl_keys(M.subcommands)
  table.sort(names)
  return names
end

---@param lead string
---@param line string
---@return string[]
function M.complete(lead, line)
  local name = line:match('Infill%s+(%S+)%s')
  local candidates = name and (M.subcommands[name] or {}).complete or (not name and M.names()) or {}
  return vim.tbl_filter(function(candidate)
    return vim.startswith(candidate, lead)
  end, candidates)
end

return M
