--- The options in `vim.g.infill`: their schema, their defaults, and what is said of wrong ones. `:help infill-options` is made from it.

---@class (exact) infill.Option
---@field type string|string[] As `type()` says.
---@field default any
---@field description string

local M = {}

---@type table<string, infill.Option>
M.schema = {
  auto_trigger = {
    type = 'boolean',
    default = true,
    description = 'Request suggestions while typing; false: only by the key `trigger`.',
  },
  cmd = {
    type = 'table',
    default = { 'infill', 'lsp' },
    description = 'Command and arguments that start the language server.',
  },
  filetypes = {
    type = { 'table', 'nil' },
    default = nil,
    description = 'Filetypes to attach to; unset: all of them.',
  },
  ghost = {
    type = 'boolean',
    default = true,
    description = 'Show suggestions as ghost text while typing.',
  },
  hide_with_menu = {
    type = 'boolean',
    default = true,
    description = "Hide ghost text while a completion menu is open: Neovim's own, nvim-cmp's or blink.cmp's. Another plugin hides it with "
      .. '`vim.b.infill_hidden = true`.',
  },
  keys = {
    type = { 'table', 'boolean' },
    default = {
      accept = '<Tab>',
      accept_word = '<M-Right>',
      accept_line = '<M-Down>',
      next = '<M-]>',
      previous = '<M-[>',
      dismiss = '<C-]>',
      trigger = '<M-\\>',
      next_edit = '<M-n>',
      next_edit_all = '<M-a>',
      next_edit_dismiss = '<M-e>',
      generate_accept = '<CR>',
      generate_discard = '<Esc>',
      generate_retry = '<M-r>',
      generate_followup = '<M-f>',
    },
    description = 'Insert-mode keys by action, those of next edits in normal mode too, those of generated code in normal mode while there is '
      .. 'some; false for one of them, or for all: '
      .. 'map the <Plug> names yourself. A key with nothing to do runs what was mapped to it before.',
  },
  progress = {
    type = 'boolean',
    default = true,
    description = "Show how far downloads and loading are as Neovim's own progress messages; false: leave that to a plugin of yours.",
  },
  settings = {
    type = 'table',
    default = {},
    description = "The server's own settings, such as `{ completion = { multiline = false } }`; see docs/settings.md.",
  },
}

---@param option infill.Option
---@param value any
---@return boolean
local function fits(option, value)
  local types = type(option.type) == 'table' and option.type or { option.type }
  return vim.list_contains(types --[[@as string[] ]], type(value))
end

--- Options with defaults filled in, and a sentence for each that is wrong.
---@param given any
---@return table options
---@return string[] problems
function M.resolve(given)
  local options, problems = {}, {}
  for name, option in pairs(M.schema) do
    options[name] = vim.deepcopy(option.default)
  end
  if given ~= nil and type(given) ~= 'table' then
    return options, { ('vim.g.infill must be a table, not a %s.'):format(type(given)) }
  end
  for name, value in pairs(given or {}) do
    local option = M.schema[name]
    if not option then
      problems[#problems + 1] = ('There is no option vim.g.infill.%s.'):format(name)
    elseif not fits(option, value) then
      problems[#problems + 1] = ('vim.g.infill.%s must be a %s, not a %s; the default is used.'):format(
        name,
        type(option.type) == 'table' and table.concat(option.type --[[@as string[] ]], ' or ') or option.type,
        type(value)
      )
    elseif name == 'keys' and type(value) == 'table' then
      options.keys = vim.tbl_extend('force', options.keys, value)
    else
      options[name] = value
    end
  end
  return options, problems
end

--- How next edits are shown: `full`, `hint` or `off`.
---@return string
function M.next_edit_mode()
  local settings = (M.resolve(vim.g.infill)).settings
  return type(settings.nextEdit) == 'table' and settings.nextEdit.mode or 'hint'
end

local told = false

--- The options in force now. Tells of wrong ones once.
---@return table
function M.get()
  local options, problems = M.resolve(vim.g.infill)
  if #problems > 0 and not told then
    told = true
    require('infill.message').warn(table.concat(problems, '\n'))
  end
  -- An empty Lua table would travel as a list.
  if vim.tbl_isempty(options.settings) then
    options.settings = vim.empty_dict()
  end
  return options
end

return M
