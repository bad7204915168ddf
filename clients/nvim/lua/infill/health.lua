--- `:checkhealth infill`: what is wrong, and the next step.
local M = {}

local function check_options()
  local _, problems = require('infill.config').resolve(vim.g.infill)
  for _, problem in ipairs(problems) do
    vim.health.warn(problem, { 'See :help infill-options.' })
  end
  if #problems == 0 then
    vim.health.ok('The options in vim.g.infill are valid.')
  end
end

---@param program string
---@return string[]?
local function facts_of(program)
  local result = vim.system({ program, 'doctor', '--json' }, { text = true, cwd = vim.uv.os_homedir() }):wait(30000)
  local ok, facts = pcall(vim.json.decode, result.stdout or '')
  return ok and facts or nil
end

local function report_doctor(program)
  local facts = facts_of(program)
  if not facts then
    vim.health.warn(('`%s doctor --json` gave no readable answer.'):format(program), { 'Run `infill doctor` in a terminal.' })
    return
  end
  for _, finding in ipairs(facts.findings or {}) do
    local say = ({ ok = vim.health.ok, warning = vim.health.warn, problem = vim.health.error })[finding.verdict] or vim.health.info
    local text = ('%s: %s'):format(finding.about, finding.detail)
    if say == vim.health.warn or say == vim.health.error then
      say(text, finding.next ~= '' and { finding.next } or nil)
    else
      say(text)
    end
  end
  if #(facts.findings or {}) == 0 then
    vim.health.warn(('`%s doctor --json` reported nothing.'):format(program), { 'Run `infill doctor` in a terminal.' })
  end
end

--- The repository that this plugin is a folder of: the server comes from there.
---@return string
local function clone()
  local here = debug.getinfo(1, 'S').source:sub(2)
  local root = vim.fs.root(here, 'pyproject.toml')
  return root or '/path/to/infill'
end

function M.check()
  vim.health.start('infill')
  check_options()
  local program = require('infill.config').get().cmd[1]
  local command = require('infill.server').command()
  if not command then
    vim.health.error(('The program %q was not found.'):format(program), {
      ('Install it: `uv tool install %s` or `pipx install %s`.'):format(clone(), clone()),
      'Or name it: vim.g.infill = { cmd = { "/path/to/infill", "lsp" } }',
    })
    return
  end
  program = command[1]
  vim.health.ok(('The server is %s.'):format(program))
  if vim.lsp.is_enabled('infill') then
    vim.health.ok('The server is enabled.')
  else
    vim.health.warn('The server is not enabled.', { "Add vim.lsp.enable('infill') to your configuration." })
  end
  local status = require('infill.status')
  if require('infill.server').client() then
    vim.health.ok('It runs: ' .. status.sentence())
  else
    vim.health.info('It does not run: open a file to start it.')
  end
  if vim.fn.fnamemodify(program, ':t'):match('^infill') then
    report_doctor(program)
  end
end

return M
