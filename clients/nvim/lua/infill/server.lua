--- Asking the server: one function, so that a missing server and a server's "no" read the same everywhere.
local M = {}

local told = false

---@param path string
---@return boolean
local function is_absolute(path)
  return path:find('^/') ~= nil or path:find('^%a:[/\\]') ~= nil or path:find('^\\\\') ~= nil
end

--- The server where an installation puts it outside the PATH: in this plugin's own repository, or by `uv tool` and `pipx`.
---@return string
local function find_beside()
  local repository = vim.fs.dirname(vim.fs.dirname(require('infill').root))
  local windows = vim.fn.has('win32') == 1
  for _, file in ipairs({
    vim.fs.joinpath(repository, '.venv', windows and 'Scripts' or 'bin', 'infill'),
    vim.fs.joinpath(vim.uv.os_homedir(), '.local', 'bin', 'infill'),
  }) do
    if vim.fn.exepath(file) ~= '' then
      return vim.fn.exepath(file)
    end
  end
  return ''
end

--- The file that a program's name means; empty where there is none that may be started.
--- A relative name or a relative entry of PATH, such as `node_modules/.bin`, would be a file of the current folder: perhaps of a cloned repository.
---@param name string
---@return string
local function find(name)
  if name:find('[/\\]') then
    return is_absolute(name) and vim.fn.exepath(name) or ''
  end
  local separator = vim.fn.has('win32') == 1 and ';' or ':'
  for _, folder in ipairs(vim.split(vim.env.PATH or '', separator, { plain = true, trimempty = true })) do
    local file = is_absolute(folder) and vim.fn.exepath(vim.fs.joinpath(folder, name)) or ''
    if file ~= '' then
      return file
    end
  end
  return name == 'infill' and find_beside() or ''
end

--- The command that starts the server, its program by absolute path; nil where there is none that may be started.
---@return string[]?
function M.command()
  local cmd = vim.deepcopy(require('infill.config').get().cmd)
  local file = find(cmd[1])
  if file == '' then
    return nil
  end
  cmd[1] = file
  return cmd
end

--- Whether the program is there to be started. Tells once, and not in every buffer, where it isn't.
---@return boolean
function M.is_installed()
  local program = require('infill.config').get().cmd[1]
  if M.command() then
    return true
  end
  if not told then
    told = true
    require('infill.message').warn(('%s was not found. :checkhealth infill says how to install it.'):format(program))
  end
  return false
end

--- The client that serves this buffer, or any.
---@return vim.lsp.Client?
function M.client()
  return vim.lsp.get_clients({ name = 'infill', bufnr = 0 })[1] or vim.lsp.get_clients({ name = 'infill' })[1]
end

--- Run a command of the server. Its errors are sentences: they are shown as they are.
---@param command string
---@param argument? table
---@param on_result? fun(result: any)
---@param on_failure? fun()
---@return integer? request_id For `client:cancel_request`.
function M.run(command, argument, on_result, on_failure)
  local client = M.client()
  if not client then
    require('infill.message').warn(require('infill.status').sentence())
    return nil
  end
  local _, request_id = client:request('workspace/executeCommand', {
    command = command,
    arguments = argument and { argument } or nil,
  }, function(err, result)
    if not err then
      if on_result then
        on_result(result)
      end
      return
    end
    -- -32800: the user cancelled it
    if err.code ~= -32800 then
      require('infill.message').error(err.message)
    end
    if on_failure then
      on_failure()
    end
  end)
  return request_id
end

-- milliseconds
local PATIENCE, LOOK_EVERY = 3000, 50
local stopping = false -- a restart is under way: the end of the old server is no crash

local function start_once_ended()
  if #vim.lsp.get_clients({ name = 'infill', _uninitialized = true }) > 0 then
    vim.defer_fn(start_once_ended, LOOK_EVERY)
  else
    stopping = false
    vim.lsp.enable('infill', true)
    require('infill.message').info('the server is starting.')
  end
end

-- milliseconds: the pause before each restart after a crash, then none until :Infill restart
local PAUSES = { 1000, 4000, 16000 }
local STEADY_MS = 60000
local crashes, last_crash = 0, 0

--- The server exited. One that crashed is started again, later each time, until it has crashed too often in a row.
---@param code integer
---@param signal integer
function M.exited(code, signal)
  local status = require('infill.status')
  if (code == 0 and signal == 0) or stopping or vim.v.exiting ~= vim.NIL or not vim.lsp.is_enabled('infill') then
    status.ended()
    return
  end
  local now = vim.uv.now()
  crashes = now - last_crash > STEADY_MS and 1 or crashes + 1
  last_crash = now
  local pause = PAUSES[crashes]
  status.ended({ kind = 'error', message = pause and 'The server exited and is being restarted.' or 'The server keeps exiting.' })
  if not pause then
    require('infill.message').error('the server exited several times in a row. :Infill restart tries again, :Infill log shows why.')
    return
  end
  vim.defer_fn(function()
    if #vim.lsp.get_clients({ name = 'infill' }) == 0 and vim.lsp.is_enabled('infill') then
      vim.lsp.enable('infill', true)
    end
  end, pause)
end

--- Restart the server with the current options. A server that does not end when it is asked to is killed.
function M.restart()
  crashes, stopping = 0, true
  for _, client in ipairs(vim.lsp.get_clients({ name = 'infill' })) do
    client.exit_timeout = PATIENCE
  end
  vim.lsp.enable('infill', false)
  start_once_ended()
end

return M
