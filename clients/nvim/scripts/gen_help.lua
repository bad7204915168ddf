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
Neovim 0.12 or newer, and the program `infill`: on the PATH, in the .venv of
this plugin's repository, or installed by `uv tool` or `pipx`. In your
init.lua: >lua

    vim.lsp.enable('infill')
<
There is no setup() to call. Options go into `vim.g.infill`, before that line.
`:checkhealth infill` reports problems with the next step.
]])
section('OPTIONS', 'infill-options')
add('In `vim.g.infill`, a table; a wrong value is reported once and its default used.\n')
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

    <Plug>(infill-accept)          accept the suggestion
    <Plug>(infill-accept-word)     accept the next word
    <Plug>(infill-accept-line)     accept the rest of the line, or the next
    <Plug>(infill-next)            show the next suggestion
    <Plug>(infill-previous)        show the previous suggestion
    <Plug>(infill-dismiss)         dismiss the suggestion
    <Plug>(infill-trigger)         request several suggestions now

In insert and in normal mode:

    <Plug>(infill-next-edit)          go to the next edit; there, apply it
    <Plug>(infill-next-edit-all)      apply all edits of its group
    <Plug>(infill-next-edit-dismiss)  dismiss it; it does not come back
]])
section('GENERATED CODE', 'infill-generate')
add([[
|:Infill| generate writes code from an instruction, or from the comment or
signature at the cursor; with a range it rewrites the lines, and the replaced
ones look removed. In normal mode, while there is generated code:

    <CR>    accept it              <Plug>(infill-generate-accept)
    <Esc>   discard it, or stop    <Plug>(infill-generate-discard)
    <M-r>   generate again         <Plug>(infill-generate-retry)
    <M-f>   ask what to change     <Plug>(infill-generate-followup)
            edit it in a window    <Plug>(infill-generate-edit)

Results longer than the window open in one of their own, where they scroll and
can be edited before they are accepted.
]])
section('FUNCTIONS', 'infill-functions')
add([[
    require('infill').is_visible()     whether ghost text is visible
    require('infill').accept()         accept it; also accept_word(),
                                       accept_line(), next(), previous(),
                                       dismiss(): false where none is visible
    require('infill').trigger()        request several suggestions now
    require('infill').status()         text for a status line
    require('infill').state()          the same as a table, or nil

Ghost text hides while a completion menu is open (|infill-option-hide_with_menu|)
and while `vim.b.infill_hidden` is true.
]])
section('HIGHLIGHTS', 'infill-highlights')
add([[
    InfillSuggestion      ghost text; default: ComplHint
    InfillSuggestionMore  the number of the suggestion; default: ComplHintMore
    InfillAdded           lines of a rewrite; default: DiffAdd
    InfillRemoved         lines that a rewrite replaces; default: DiffDelete
    InfillNextNew         text of a next edit; default: DiffAdd
    InfillNextOld         text that it replaces; default: DiffDelete
    InfillNextSign        its sign and hint; default: Comment
]])
section('STATUS LINE', 'infill-status')
add([[
    %{%v:lua.require'infill'.status()%}

With lualine: >lua

    sections = { lualine_x = { function() return require('infill').status() end } }
<
With heirline: >lua

    { provider = function() return require('infill').status() end }
<
require('infill').state() returns nil where the server does not run, else a
table: `kind` is one of ready, loading, generating, off, language_off,
snoozed, offline, remote, warning, error; `label` one or two words; `message`
a sentence; `model` and `provider`. The autocommand |User| InfillStatus runs
on every change.
]])
section('TROUBLESHOOTING', 'infill-troubleshooting')
add([[
No suggestions:     :Infill status, then :Infill explain
Errors:             :checkhealth infill, then :Infill log
Server exits:       it is restarted after 1, 4 and 16 s; :Infill restart
Slow suggestions:   :Infill stats; a smaller model by :Infill models
]])
add(' vim:tw=78:ts=8:noet:ft=help:norl:')
vim.fn.writefile(lines, arg[1] or (root .. '/doc/infill.txt'))
-- `:help infill` needs the tags beside the page, and nothing generates them for a plugin that is only on the runtime path
vim.cmd.helptags(arg[1] and vim.fs.dirname(arg[1]) or (root .. '/doc'))
