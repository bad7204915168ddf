--- Entry point for plugin managers, which put the root of this repository on the runtime path. The Neovim plugin is its folder `clients/nvim`.
local root = vim.fs.dirname(vim.fs.dirname(vim.fs.abspath(debug.getinfo(1, 'S').source:sub(2))))
local client = vim.fs.joinpath(root, 'clients', 'nvim')
vim.opt.runtimepath:append(client)
return dofile(vim.fs.joinpath(client, 'lua', 'infill', 'init.lua'))
