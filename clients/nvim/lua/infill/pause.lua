--- Automatic suggestions on and off in this Neovim: `auto_trigger`, and a snooze that ends by itself. Requests by key are always made.
local M = {}

local ends_at ---@type integer? Milliseconds of the event loop's clock.
local timer ---@type uv.uv_timer_t?

--- Minutes until automatic suggestions return, rounded up; nil where they are not snoozed.
---@return integer?
function M.minutes_left()
  local left = ends_at and ends_at - vim.uv.now() or 0
  return left > 0 and math.ceil(left / 60000) or nil
end

---@return boolean
function M.is_automatic()
  return require('infill.config').get().auto_trigger and not M.minutes_left()
end

--- Snooze no longer.
function M.resume()
  if timer then
    timer:stop()
    timer:close()
    timer = nil
  end
  ends_at = nil
  require('infill.status').changed()
end

--- No automatic suggestions for some minutes.
---@param minutes number
function M.snooze(minutes)
  M.resume()
  ends_at = vim.uv.now() + math.floor(minutes * 60000)
  timer = vim.defer_fn(function()
    timer = nil
    M.resume()
  end, math.floor(minutes * 60000))
  require('infill.ghost').dismiss()
  require('infill.status').changed()
end

return M
