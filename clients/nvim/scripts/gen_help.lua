-- Writes doc/infill.txt from the option schema and the sub-commands: nvim -l scripts/gen_help.lua [FILE]
local root = vim.fs.dirname(vim.fs.dirname(vim.fs.abspath(debug.getinfo(1, 'S').source:sub(2))))
vim.opt.runtimepath:prepend(root)
local config, command = require('infill.config'), require('infill.command')

local lines = {}
local function add(text)
  for line in vim.gsplit(text or '', '\n', { plain = true }) do
    lines[#lines + 1] = line
  end
end

local function wrapped(text, indent)
  local line = indent
  for word in text:gmatch('%S+') do
    if #line + #word + 1 > 78 and line ~= indent then
      add(line)
      line = indent
    end
    line = line == indent and line .. word or line .. ' ' .. word
  end
  add(line)
end

local function section(title, tag)
  add(('='):rep(78))
  add(title .. (' '):rep(math.max(1, 78 - #title - #tag - 2)) .. '*' .. tag .. '*')
  add('')
end

add('*infill.txt*  Completions and code from a model on your own machine')
add('')
section('SETTING UP', 'infill')
add([[
Neovim 0.12 or newer, and the program `infill` on the PATH. In your init.lua: >lua

    vim.lsp.enable('infill')
<
There is no setup() to call. Options go into `vim.g.infill`, before that line.
`:checkhealth infill` says what is wrong and the next step.
]])
section('OPTIONS', 'infill-options')
add('In `vim.g.infill`, a table; a wrong value is told once and its default used.\n')
local names = vim.tbl_keys(config.schema)
table.sort(names)
for _, name in ipairs(names) do
  local option = config.schema[name]
  add(('%-40s*infill-option-%s*'):format(name, name))
  wrapped(option.description, '    ')
  local types = type(option.type) == 'table' and table.concat(option.type, ' or ') or option.type
  add('    Type: ' .. types .. '. Default: >lua')
  for line in vim.gsplit(vim.inspect(option.default), '\n', { plain = true }) do
    add('        ' .. line)
  end
  add('<')
end
section('COMMANDS', 'infill-commands')
add('                                                                     *:Infill*')
add(':[range]Infill {subcommand}    Without a sub-command: `status`.\n')
for _, name in ipairs(command.names()) do
  add(':Infill ' .. name)
  wrapped(command.subcommands[name].description, '    ')
end
add('')
section('KEYS', 'infill-keys')
add([[
Insert mode, set per buffer when the server attaches (see |infill-option-keys|).
A key with nothing to do runs what was mapped to it before, and while an entry
of the completion popup is selected it is left to the popup. To map your own,
set `keys = false` and use:

    <Plug>(infill-accept)          all of it
    <Plug>(infill-accept-word)     the next word
    <Plug>(infill-accept-line)     the rest of the line, or the next line
    <Plug>(infill-next)            the next candidate
    <Plug>(infill-previous)        the one before
    <Plug>(infill-dismiss)         away with it
    <Plug>(infill-trigger)         ask now, for several candidates

In insert and in normal mode:

    <Plug>(infill-next-edit)          go to the next edit; there, apply it
    <Plug>(infill-next-edit-all)      apply all edits of its group
    <Plug>(infill-next-edit-dismiss)  away with it; it does not come back
]])
section('STATUS LINE', 'infill-status')
add([[
    %{%v:lua.require'infill.status'.component()%}

The autocommand |User| InfillStatus fires on every change, with the server's
message as data: kind, message, provider, model, busy.
]])
add(' vim:tw=78:ts=8:noet:ft=help:norl:')
vim.fn.writefile(lines, arg[1] or (root .. '/doc/infill.txt'))
-- `:help infill` needs the tags beside the page, and nothing generates them for a plugin that is only on the runtime path
vim.cmd.helptags(arg[1] and vim.fs.dirname(arg[1]) or (root .. '/doc'))
