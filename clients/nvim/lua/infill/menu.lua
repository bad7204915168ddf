--- Completion menus beside which ghost text hides: Neovim's own, nvim-cmp's and blink.cmp's, and whatever sets `vim.b.infill_hidden`.
local M = {}
local api = vim.api

---@param buf integer
---@return boolean
function M.hides_ghost(buf)
  if vim.b[buf].infill_hidden then
    return true
  end
  if not require('infill.config').get().hide_with_menu then
    return false
  end
  local cmp, blink = package.loaded['cmp'], package.loaded['blink.cmp']
  return vim.fn.pumvisible() == 1 or (cmp ~= nil and cmp.visible()) or (blink ~= nil and blink.is_menu_visible())
end

local followed = false -- nvim-cmp's events

--- Call `changed` when a menu opens or closes. nvim-cmp has events of its own and may be loaded later: call this again.
---@param changed fun()
function M.follow(changed)
  local later = vim.schedule_wrap(changed)
  local cmp = package.loaded['cmp']
  if cmp and cmp.event and not followed then
    followed = true
    cmp.event:on('menu_opened', later)
    cmp.event:on('menu_closed', later)
  end
  local group = api.nvim_create_augroup('infill.menu', {})
  api.nvim_create_autocmd({ 'CompleteChanged', 'CompleteDone' }, { group = group, callback = later })
  api.nvim_create_autocmd('User', { group = group, pattern = { 'BlinkCmpMenuOpen', 'BlinkCmpMenuClose' }, callback = later })
  api.nvim_create_autocmd('InsertEnter', {
    group = group,
    callback = function()
      M.follow(changed)
    end,
  })
end

return M
