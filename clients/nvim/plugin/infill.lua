-- Only what must exist before the first use; everything else is loaded when it is called.
if vim.g.loaded_infill then
  return
end
vim.g.loaded_infill = true

if vim.fn.has('nvim-0.12') == 0 then
  vim.notify_once('infill needs Neovim 0.12 or newer.', vim.log.levels.WARN)
  return
end

vim.api.nvim_create_user_command('Infill', function(args)
  require('infill.command').run(args)
end, {
  nargs = '*',
  range = true,
  desc = 'Completions and code from a local model',
  complete = function(lead, line)
    return require('infill.command').complete(lead, line)
  end,
})

for name, action in pairs({
  accept = 'accept',
  ['accept-word'] = 'accept_word',
  ['accept-line'] = 'accept_line',
  next = 'next',
  previous = 'previous',
  dismiss = 'dismiss',
  trigger = 'trigger',
}) do
  vim.keymap.set('i', '<Plug>(infill-' .. name .. ')', function()
    require('infill.ghost')[action]()
  end, { desc = 'infill: ' .. name:gsub('-', ' ') })
end

for name, action in pairs({
  ['next-edit'] = 'next_edit',
  ['next-edit-all'] = 'next_edit_all',
  ['next-edit-dismiss'] = 'next_edit_dismiss',
}) do
  vim.keymap.set({ 'n', 'i' }, '<Plug>(infill-' .. name .. ')', function()
    require('infill.next_edit')[action]()
  end, { desc = 'infill: ' .. name:gsub('-', ' ') })
end

for name, action in pairs({ accept = 'accept', discard = 'discard', edit = 'edit', retry = 'retry', followup = 'follow_up' }) do
  vim.keymap.set('n', '<Plug>(infill-generate-' .. name .. ')', function()
    require('infill.generate')[action](action == 'follow_up' and '' or nil)
  end, { desc = 'infill: ' .. name .. ' generated code' })
end
