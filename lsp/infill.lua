--- Entry point for plugin managers, for `vim.lsp.enable('infill')` before plugin/ was sourced: see lua/infill.lua.
return dofile(vim.fs.joinpath(require('infill').root, 'lsp', 'infill.lua'))
