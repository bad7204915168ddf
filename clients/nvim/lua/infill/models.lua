--- Choosing, downloading and removing models.
local M = {}

local marks = { fits = '✓', tight = '~', ['too big'] = '✗', remote = '☁' }

---@param bytes? number
---@return string
function M.size(bytes)
  if not bytes or bytes == 0 then
    return ''
  end
  return bytes < 1e9 and ('%d MB'):format(bytes / 1e6) or ('%.1f GB'):format(bytes / 1e9)
end

--- One line of the picker: fit mark, name, size, speed, state, whether it continues only, licence where it is not a free one.
---@param model table
---@return string
function M.line(model)
  local parts = { (model.active and '▶ ' or '  ') .. (marks[model.fit] or '?') .. ' ' .. model.title }
  for _, part in ipairs({
    M.size(model.size),
    model.tokensPerSecond and model.tokensPerSecond > 0 and ('about %d tokens/s'):format(model.tokensPerSecond) or '',
    model.fit == 'too big' and 'too big' or model.state or '',
    model.continuesOnly and 'continues only' or '',
    model.licence and not model.licence:lower():match('apache') and not model.licence:lower():match('mit') and model.licence or '',
  }) do
    if part ~= '' then
      parts[#parts + 1] = part
    end
  end
  return table.concat(parts, ' · ')
end

---@param prompt string
---@param keep fun(model: table): boolean
---@param choose fun(model: table)
local function pick(prompt, keep, choose)
  require('infill.server').run('infill.models', nil, function(result)
    local models = vim.tbl_filter(keep, result.models)
    if #models == 0 then
      require('infill.message').info('No models to choose from.')
      return
    end
    vim.ui.select(models, { prompt = prompt, format_item = M.line, kind = 'infill.model' }, function(model)
      if model then
        choose(model)
      end
    end)
  end)
end

--- Choose a model; one that is not installed is downloaded first.
---@param id string
---@param scope? 'global'|'workspace'
function M.switch(id, scope)
  require('infill.server').run('infill.switchModel', { model = id, scope = scope or 'global' }, function(result)
    require('infill.message').info(result.message)
  end)
end

local downloading ---@type integer?

---@param id string
---@param done? fun()
function M.download(id, done)
  downloading = require('infill.server').run('infill.downloadModel', { model = id }, function(result)
    downloading = nil
    require('infill.message').info(('Downloaded %s.'):format(result.model))
    if done then
      done()
    end
  end, function()
    downloading = nil
  end)
end

--- Stop the running download; its part of the file is kept, so that the next download resumes.
function M.cancel_download()
  local client = require('infill.server').client()
  if client and downloading then
    client:cancel_request(downloading)
    downloading = nil
    require('infill.message').info('Download stopped. :Infill download resumes it.')
  else
    require('infill.message').info('No download is running.')
  end
end

---@param scope? 'global'|'workspace'
function M.choose(scope)
  pick('Model for completions', function()
    return true
  end, function(model)
    if model.installed or model.fit == 'remote' then
      M.switch(model.id, scope)
    else
      M.download(model.id, function()
        M.switch(model.id, scope)
      end)
    end
  end)
end

function M.choose_download()
  pick('Download which model?', function(model)
    return not model.installed and model.fit ~= 'remote'
  end, function(model)
    M.download(model.id)
  end)
end

--- Fill small holes and follow instructions with a model, and say how many it got right; takes a minute or more.
---@param id string
function M.check(id)
  require('infill.server').run('infill.checkModel', { model = id }, function(result)
    require('infill.message')[result.ok and 'info' or 'error'](result.message)
  end)
end

function M.choose_check()
  pick('Check which model?', function(model)
    return model.installed
  end, function(model)
    M.check(model.id)
  end)
end

function M.choose_removal()
  pick('Remove which model?', function(model)
    return model.installed and not model.active
  end, function(model)
    require('infill.server').run('infill.removeModel', { model = model.id }, function(result)
      require('infill.message').info(('Removed %s: %s freed.'):format(model.title, M.size(result.freed)))
    end)
  end)
end

return M
