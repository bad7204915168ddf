-- Entry point for plugin managers: see lua/infill.lua.
dofile(vim.fs.joinpath(require('infill').root, 'plugin', 'infill.lua'))
