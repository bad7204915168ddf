--- `vim.lsp.enable('infill')` reads this file: how the server is started and what is told to it.
---@type vim.lsp.Config
return {
  cmd = function(dispatchers)
    -- not the editor's folder: a cloned repository must not decide what is found there
    return vim.lsp.rpc.start(assert(require('infill.server').command()), dispatchers, { cwd = vim.uv.os_homedir() })
  end,
  -- only asked whether to start at all: the markers below say where the workspace is
  root_dir = function(_, start)
    if require('infill.server').is_installed() then
      start()
    end
  end,
  root_markers = { '.git', 'pyproject.toml', 'package.json', 'go.mod', 'Cargo.toml' },
  -- Any file may be completed: the server itself refuses what is switched off, excluded or secret.
  filetypes = require('infill.config').get().filetypes,
  before_init = function(params)
    params.initializationOptions = require('infill.config').get().settings
  end,
  settings = { infill = require('infill.config').get().settings },
  handlers = {
    ['$/progress'] = function(err, params, ctx)
      vim.lsp.handlers['$/progress'](err, params, ctx)
      require('infill.progress').show(params)
    end,
    ['infill/status'] = function(_, result)
      require('infill.status').update(result)
    end,
    ['infill/generation'] = function(_, result)
      require('infill.generate').stream(result)
    end,
    ['window/showMessage'] = function(err, params, ctx)
      params.message = require('infill.message').for_neovim(params.message)
      return vim.lsp.handlers['window/showMessage'](err, params, ctx)
    end,
    -- Neovim would ask with a blocking prompt, which consumes keys typed into the buffer
    ['window/showMessageRequest'] = function(_, params)
      require('infill.message').offer(params.message)
      return vim.NIL
    end,
  },
  on_exit = function(code, signal)
    vim.schedule(function()
      require('infill.server').exited(code, signal)
    end)
  end,
  on_attach = function(client, bufnr)
    require('infill.ghost').attach(client, bufnr)
    require('infill.cursor').attach(client, bufnr)
    require('infill.next_edit').attach(client, bufnr)
  end,
}
