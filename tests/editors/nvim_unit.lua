-- Unit tests of the plugin's Lua, without a server: nvim --clean -l tests/editors/nvim_unit.lua
-- Prints one JSON object: a test's name and what was wrong, empty where nothing was.
local root = vim.fs.dirname(vim.fs.dirname(vim.fs.dirname(vim.fs.abspath(debug.getinfo(1, 'S').source:sub(2)))))
vim.opt.runtimepath:prepend(root .. '/clients/nvim')
vim.o.virtualedit = 'onemore' -- the cursor may stand behind a line's end, as it does while inserting

local results = vim.empty_dict()

local function test(sentence, body)
  vim.cmd('enew!')
  local ok, problem = pcall(body)
  results[sentence] = ok and '' or tostring(problem)
end

local function same(expected, actual)
  if not vim.deep_equal(expected, actual) then
    error(('expected %s, got %s'):format(vim.inspect(expected), vim.inspect(actual)), 2)
  end
end

-- Runs what a module would do on taking an item, in a buffer with these lines and the cursor there. Neovim's own part is played by its simplest
-- form: it puts the returned item's text in the place of its range.
local function take(action, lines, cursor, item)
  vim.api.nvim_buf_set_lines(0, 0, -1, false, lines)
  vim.api.nvim_win_set_cursor(0, cursor)
  local inline = vim.lsp.inline_completion.get
  vim.lsp.inline_completion.get = function(options)
    local taken = options.on_accept(item)
    if taken then
      local range = taken.range
      vim.api.nvim_buf_set_text(0, range.start_row, range.start_col, range.end_row, range.end_col, vim.split(taken.insert_text, '\n'))
    end
    return true
  end
  local ok, problem = pcall(require('infill.ghost')[action])
  vim.lsp.inline_completion.get = inline
  assert(ok, problem)
  return vim.api.nvim_buf_get_lines(0, 0, -1, false)
end

local function item(text, row, first, last)
  return { client_id = 0, insert_text = text, range = vim.range(0, row, first, row, last) }
end

-- options

test('options that are not given have their defaults', function()
  local options, problems = require('infill.config').resolve(nil)
  same({}, problems)
  same({ 'infill', 'lsp' }, options.cmd)
  same('<Tab>', options.keys.accept)
end)

test('a wrong option is named with what it must be, and its default is used', function()
  local options, problems = require('infill.config').resolve({ ghost = 'yes', filetypes = 3 })
  table.sort(problems)
  same(true, options.ghost)
  same({
    'vim.g.infill.filetypes must be a table or nil, not a number; the default is used.',
    'vim.g.infill.ghost must be a boolean, not a string; the default is used.',
  }, problems)
end)

test('an unknown option is named', function()
  local _, problems = require('infill.config').resolve({ colour = 1 })
  same({ 'There is no option vim.g.infill.colour.' }, problems)
end)

test('options that are no table at all are refused in one sentence', function()
  local options, problems = require('infill.config').resolve('fast')
  same({ 'vim.g.infill must be a table, not a string.' }, problems)
  same(true, options.ghost)
end)

test('one key that is given leaves the other keys as they are', function()
  local options = require('infill.config').resolve({ keys = { accept = '<C-l>', next = false } })
  same('<C-l>', options.keys.accept)
  same(false, options.keys.next)
  same('<C-]>', options.keys.dismiss)
end)

test('changing resolved options changes no default', function()
  require('infill.config').resolve(nil).cmd[1] = 'other'
  same({ 'infill', 'lsp' }, (require('infill.config').resolve(nil)).cmd)
end)

-- words and lines

test('a word is taken with the white space before it', function()
  local first_word = require('infill.ghost').first_word
  same('  total', first_word('  total = 1'))
  same(' =', first_word(' = 1'))
  same('\n    return', first_word('\n    return x'))
end)

test('a run of punctuation is a word', function()
  same(').', require('infill.ghost').first_word(').strip()'))
end)

test('a word that is not ASCII is not cut in two', function()
  same('größe', require('infill.ghost').first_word('größe = 1'))
  same(' 😀', require('infill.ghost').first_word(' 😀 x'))
end)

test('white space alone is taken whole', function()
  same('   ', require('infill.ghost').first_word('   '))
end)

test('a line is the rest of this one, or the whole next one', function()
  local first_line = require('infill.ghost').first_line
  same('one', first_line('one\ntwo'))
  same('\n  two', first_line('\n  two\nthree'))
  same('', first_line(''))
end)

-- ranges that are out of date

test('what was typed through an item since it came is not inserted twice', function()
  same({ 'return first + second' }, take('accept', { 'return fi' }, { 1, 9 }, item('first + second', 0, 7, 7)))
end)

test('an item that was typed through over several lines is completed where the cursor is', function()
  same({ 'if x:', '    return 1', 'z' }, take('accept', { 'if x:', '    re', 'z' }, { 2, 6 }, item('x:\n    return 1', 0, 3, 3)))
end)

test('an item that the text has left is not inserted', function()
  same({ 'return abc' }, take('accept', { 'return abc' }, { 1, 10 }, item('first', 0, 7, 7)))
end)

test('an item behind the cursor is not inserted', function()
  same({ 'return x' }, take('accept', { 'return x' }, { 1, 2 }, item('first', 0, 7, 7)))
end)

test('a bracket right of the cursor that the item repeats is there once', function()
  same({ 'add(1, 2)' }, take('accept', { 'add(1)' }, { 1, 5 }, item(', 2)', 0, 5, 6)))
end)

test('a bracket right of the cursor is there once also when the item was typed through', function()
  same({ 'add(1, 2)' }, take('accept', { 'add(1, )' }, { 1, 7 }, item(', 2)', 0, 5, 6)))
end)

test('bytes before the place that are not ASCII move nothing', function()
  same({ "s = 'ü😀'; total = 1" }, take('accept', { "s = 'ü😀'; to" }, { 1, 16 }, item('total = 1', 0, 14, 14)))
end)

test('a word that is taken leaves the rest out of the text', function()
  same({ 'return first' }, take('accept_word', { 'return ' }, { 1, 7 }, item('first + second', 0, 7, 7)))
end)

test('taking the next word goes on behind the one that was taken', function()
  same({ 'return first +' }, take('accept_word', { 'return first' }, { 1, 12 }, item('first + second', 0, 7, 7)))
end)

test('a line that is taken leaves the next ones out of the text', function()
  same({ 'x = [', 'y' }, take('accept_line', { 'x = ', 'y' }, { 1, 4 }, item('[\n    1,\n]', 0, 4, 4)))
end)

test('a snippet, which the server never sends, is not inserted as text', function()
  same({ 'x = ' }, take('accept', { 'x = ' }, { 1, 4 }, item({ kind = 'snippet', value = '$1' }, 0, 4, 4)))
end)

-- where the cursor rests

-- What a client is told of this buffer while `act` is done and until the cursor has rested.
local function told(act)
  local messages = {}
  local client = { id = 7, offset_encoding = 'utf-16' }
  function client.notify(_, method, params)
    messages[#messages + 1] = { method, params.position.line, params.position.character }
  end
  local get_clients, defer_fn = vim.lsp.get_clients, vim.defer_fn
  vim.lsp.get_clients = function()
    return { client }
  end
  local rest = {}
  -- luacheck: globals vim.defer_fn
  vim.defer_fn = function(then_do)
    local timer = {}
    function timer.stop()
      rest[timer] = nil
    end
    function timer.close() end
    rest[timer] = then_do
    return timer
  end
  vim.api.nvim_buf_set_lines(0, 0, -1, false, { "s = 'ü😀'", 'x = 1' })
  require('infill.cursor').attach(client, vim.api.nvim_get_current_buf())
  act(client)
  for _, then_do in pairs(rest) do
    then_do()
  end
  vim.lsp.get_clients, vim.defer_fn = get_clients, defer_fn
  return messages
end

local function go(row, col)
  vim.api.nvim_win_set_cursor(0, { row, col })
  vim.api.nvim_exec_autocmds('CursorMoved', { buffer = 0 })
end

test('where the cursor is when the server attaches is told without a key', function()
  same({ { 'infill/cursor', 0, 0 } }, told(function() end))
end)

test('a held key tells only where the cursor came to rest, in the encoding of the client', function()
  local messages = told(function()
    go(2, 0)
    go(2, 4)
    go(1, 11)
  end)
  same({ { 'infill/cursor', 0, 8 } }, messages)
end)

test('a client that has left the buffer is told nothing more', function()
  local messages = told(function(client)
    vim.api.nvim_exec_autocmds('LspDetach', { buffer = 0, data = { client_id = client.id } })
    go(2, 4)
  end)
  same({}, messages)
end)

test('another client that leaves the buffer ends nothing', function()
  local messages = told(function(client)
    vim.api.nvim_exec_autocmds('LspDetach', { buffer = 0, data = { client_id = client.id + 1 } })
    go(2, 4)
  end)
  same({ { 'infill/cursor', 1, 4 } }, messages)
end)

-- words for people

test('a model in the picker has its fit mark, size, speed and an unfree licence', function()
  local model = { title = 'Big', fit = 'tight', size = 1646573056, tokensPerSecond = 12.4, state = 'installed', licence = 'Research' }
  same('  ~ Big · 1.6 GB · about 12 tokens/s · installed · Research', require('infill.models').line(model))
end)

test('a model in the picker that is active and free says so and no more', function()
  same('▶ ✓ Tiny · 12 MB', require('infill.models').line({ title = 'Tiny', fit = 'fits', active = true, size = 12745600, licence = 'MIT' }))
end)

test('the status line names the model, and nothing before the server has spoken', function()
  local status = require('infill.status')
  status.current = nil
  same('', status.component())
  status.update({ kind = 'ready', model = 'local:tiny', provider = 'local' })
  same('● tiny', status.component())
end)

test('the status line names every state that is not ready', function()
  local status, pause = require('infill.status'), require('infill.pause')
  local function shown(more)
    status.update(vim.tbl_extend('force', { kind = 'ready', message = 'Ready', model = 'local:tiny', provider = 'local' }, more))
    return status.component()
  end
  vim.bo.filetype = 'markdown'
  same('◌ tiny (loading)', shown({ kind = 'loading' }))
  same('◌ tiny (loading 40%%)', shown({ kind = 'loading', message = 'Loading tiny (40%)' }))
  same('◐ tiny', shown({ kind = 'generating' }))
  same('● tiny (offline)', shown({ offline = true }))
  same('● big (remote: work)', shown({ provider = 'work', model = 'openai:big' }))
  same('○ tiny (off for markdown)', shown({ languagesOff = { 'markdown' } }))
  same('● tiny', shown({ languagesOff = { 'python' } }))
  same('○ tiny (off)', shown({ kind = 'off' }))
  same('▲ tiny (warning)', shown({ kind = 'warning' }))
  same('✖ tiny (error)', shown({ kind = 'error' }))
  pause.snooze(10)
  same('○ tiny (snoozed, 10 min)', shown({}))
  same(false, pause.is_automatic())
  pause.resume()
  same('● tiny', shown({}))
  same(true, pause.is_automatic())
  status.ended()
  same('', status.component())
end)

test('a name in the status line is shown, never evaluated', function()
  local status = require('infill.status')
  local names = {
    "work/%{execute('let g:evaluated = 1')}",
    "work/%{%execute('let g:evaluated = 1')%}",
    "%!execute('let g:evaluated = 1')",
    'work/%#Error#',
    '%@x@',
  }
  for _, name in ipairs(names) do
    status.update({ kind = 'ready', model = name })
    local shown = vim.api.nvim_eval_statusline("%{%v:lua.require'infill.status'.component()%}", { maxwidth = 500 }).str
    same('● ' .. name, shown)
  end
  same(nil, vim.g.evaluated)
end)

test('sub-commands complete, and so do their own words', function()
  local complete = require('infill.command').complete
  same({ 'stats', 'status' }, complete('sta', 'Infill sta'))
  same({ 'cancel' }, complete('', 'Infill download '))
end)

test('every sub-command says what it does', function()
  for name, subcommand in pairs(require('infill.command').subcommands) do
    assert(subcommand.description:match('%.$'), name)
  end
end)

-- where the server is

test('shell commands in messages of the server become commands of Neovim, where there are such', function()
  local for_neovim = require('infill.message').for_neovim
  same('Get it with :Infill download tiny.', for_neovim('Get it with `infill models download tiny`.'))
  same(':Infill models shows all; :checkhealth infill more.', for_neovim('`infill models list` shows all; `infill doctor` more.'))
  same(':Infill check tiny or :Infill remove', for_neovim('`infill models check tiny` or `infill models remove tiny`'))
  same('Use `infill models import FILE` and `git`.', for_neovim('Use `infill models import FILE` and `git`.'))
end)

-- the command, with a program at this path, the plugin in that repository, and nothing on the PATH
local function command_with(file, repository, home)
  vim.fn.mkdir(vim.fs.dirname(file), 'p')
  vim.fn.writefile({ '#!/bin/sh' }, file)
  vim.fn.setfperm(file, 'rwx------')
  local plugin = require('infill')
  local before, path, home_before = plugin.root, vim.env.PATH, vim.uv.os_homedir
  plugin.root = vim.fs.joinpath(repository, 'clients', 'nvim')
  rawset(vim.uv, 'os_homedir', function()
    return home
  end)
  vim.fn.setenv('PATH', '')
  local ok, command = pcall(require('infill.server').command)
  vim.fn.setenv('PATH', path)
  rawset(vim.uv, 'os_homedir', home_before)
  plugin.root = before
  assert(ok, command)
  return command
end

test('a server that uv tool or pipx installed is found outside the PATH', function()
  local home = vim.fn.tempname()
  local file = vim.fs.joinpath(home, '.local', 'bin', 'infill')
  same({ file, 'lsp' }, command_with(file, '/nowhere', home))
end)

test('a model is checked by its id or by choice, and a problem is told as an error', function()
  local server, message, select = require('infill.server'), require('infill.message'), vim.ui.select
  local run, info, fail = server.run, message.info, message.error
  local asked, heard = {}, {}
  server.run = function(command, argument, done)
    if command == 'infill.models' then
      done({ models = { { id = 'local:far', title = 'Far' }, { id = 'local:here', title = 'Here', installed = true } } })
    else
      asked[#asked + 1] = command .. ' ' .. argument.model
      done({ ok = argument.model ~= 'local:here', message = argument.model .. ': 11 of 12' })
    end
  end
  message.info = function(text)
    heard[#heard + 1] = 'info ' .. text
  end
  message.error = function(text)
    heard[#heard + 1] = 'error ' .. text
  end
  vim.ui.select = function(models, _, choose)
    same(1, #models)
    choose(models[1])
  end
  local ok, problem = pcall(function()
    require('infill.command').run({ args = 'check local:tiny' })
    require('infill.command').run({ args = 'check' })
  end)
  server.run, message.info, message.error, vim.ui.select = run, info, fail, select
  assert(ok, problem)
  same({ 'infill.checkModel local:tiny', 'infill.checkModel local:here' }, asked)
  same({ 'info local:tiny: 11 of 12', 'error local:here: 11 of 12' }, heard)
end)

test('a server in the .venv of the plugin repository is found', function()
  local repository = vim.fn.tempname()
  local file = vim.fs.joinpath(repository, '.venv', 'bin', 'infill')
  same({ file, 'lsp' }, command_with(file, repository, '/nowhere'))
end)

io.stdout:write(vim.json.encode(results))
