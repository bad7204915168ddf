-- A list of items (by name) with weights.
local Inventory = {}
Inventory.__index = Inventory

function Inventory.new(limit)
  return setmetatable({ items = {}, limit = limit or 100 }, Inventory)
end

function Inventory:add(name, weight)
  if self:weight() + weight > self.limit then
    return false, string.format("%s is too heavy (%d)", name, weight)
  end
  table.insert(self.items, { name = name, weight = weight })
  return true
end

function Inventory:weight()
  local sum = 0
  for _, item in ipairs(self.items) do
    sum = sum + item.weight
  end
  return sum
end

function Inventory:names(pattern)
  local found = {}
  for index, item in ipairs(self.items) do
    if item.name:match(pattern or "^[%w_]+$") then
      found[#found + 1] = ("%d: %s"):format(index, item.name)
    end
  end
  return table.concat(found, ", ")
end

local text = [[
a long string (with brackets]
]]
print(text, Inventory.new(20):add("stone", 12))

return Inventory
