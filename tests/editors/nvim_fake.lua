-- A language server inside Neovim, for tests of the plugin alone: no process, no model, no waiting. Load with dofile() before the plugin is enabled.
-- `_G.fake` holds what it was sent, what it answers, and `tell()` to send a notification.
local fake = { sent = {}, commands = {}, text = 'first * second', count = 1 }
_G.fake = fake

local function inline_completion(params)
  local items = {}
  for index = 1, params.context.triggerKind == 1 and math.max(3, fake.count) or fake.count do
    items[index] = {
      insertText = fake.text .. (index > 1 and (' -- ' .. index) or ''),
      range = { start = params.position, ['end'] = params.position },
      command = { command = 'infill.didAccept', title = '', arguments = { 'id-' .. index } },
    }
  end
  return { items = items }
end

local function answer(method, params)
  if method == 'initialize' then
    local commands = { 'infill.didAccept' }
    return {
      capabilities = {
        textDocumentSync = { openClose = true, change = 2 },
        inlineCompletionProvider = {},
        executeCommandProvider = { commands = commands },
      },
    }
  elseif method == 'textDocument/inlineCompletion' then
    return inline_completion(params)
  elseif method == 'workspace/executeCommand' then
    local command = fake.commands[params.command]
    return command and command((params.arguments or {})[1]) or vim.empty_dict()
  end
end

--- How many messages of this method have arrived.
function fake.number(method)
  return #vim.tbl_filter(function(one)
    return one.method == method
  end, fake.sent)
end

--- The parameters of the last message of this method.
function fake.last(method)
  for index = #fake.sent, 1, -1 do
    if fake.sent[index].method == method then
      return fake.sent[index].params
    end
  end
end

vim.lsp.config('infill', {
  cmd = function(dispatchers)
    local closing, number = false, 0
    fake.tell = function(method, params)
      dispatchers.notification(method, params)
    end
    fake.crash = function()
      closing = true
      dispatchers.on_exit(1, 9)
    end
    return {
      request = function(method, params, callback, replied)
        number = number + 1
        local id = number
        fake.sent[#fake.sent + 1] = { method = method, params = params }
        vim.schedule(function()
          local result = answer(method, params)
          if replied then
            replied(id)
          end
          callback(result and result.error, result and not result.error and result or nil)
        end)
        return true, number
      end,
      notify = function(method, params)
        fake.sent[#fake.sent + 1] = { method = method, params = params }
        if method == 'exit' then
          closing = true
          dispatchers.on_exit(0, 0)
        end
        return true
      end,
      is_closing = function()
        return closing
      end,
      terminate = function()
        closing = true
        dispatchers.on_exit(0, 15)
      end,
    }
  end,
})
