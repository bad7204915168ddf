-- Neovim's Lua: LuaJIT, and the global `vim`, whose options and variables are set by assignment.
std = 'luajit'
globals = { 'vim.g', 'vim.o', 'vim.bo', 'vim.wo', 'vim.opt', 'vim.ui', 'vim.lsp' }
read_globals = { 'vim' }
max_line_length = 150
