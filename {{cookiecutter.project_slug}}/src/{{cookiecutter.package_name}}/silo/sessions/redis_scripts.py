"""What Redis does for us in one step each, in Lua.

A record is a string: eight bytes of its version, eight of its due time, then its value. The records
of a kind have an index, a sorted set by due time. Its members are a version and a key, so that of
those due at the same moment the older version comes first. The record of the index `I` and the key
`K` is at `I/K`.

Every record has a time to live that ends `GRACE_SECONDS` after it is due, and every index one that
ends no sooner than those of its records, so nothing stays where nobody cleans up. A member of an
index whose record has gone like this is removed when it is found; each write looks for two. Records
that are never due stay, and so does the number of the last version, one key.
"""

from __future__ import annotations

GRACE_SECONDS = 7 * 86400
"""How long a record outlives its due time: no job that waits is lost over a long weekend."""

TAKE = f"""
local GRACE, SPARE, NEVER = {GRACE_SECONDS}, 3600, 1e11

local time = redis.call('TIME')
local now = tonumber(time[1])
local marks = {{}}

for n = 2, #KEYS, 2 do
  local record, expected = KEYS[n], ARGV[n * 2.5 - 3]
  local mark = redis.call('GETRANGE', record, 0, 7)
  if expected ~= '' and expected ~= (mark == '' and string.rep('\\0', 8) or mark) then
    return 0
  end
  marks[record] = mark
end

local version = now * 1000000 + tonumber(time[2])
local last = tonumber(redis.call('GET', KEYS[1]) or 0)
if last >= version then
  version = last + 1
end
local new = struct.pack('>I8', version)
local numbered = false

local function ends(due)
  return string.format('%.0f', (math.max(now, due) + GRACE) * 1000)
end

local function enter(index, due, text, member)
  local until_now = redis.call('PEXPIRETIME', index)
  redis.call('ZADD', index, text, member)
  if due > NEVER then
    redis.call('PERSIST', index)
  elseif until_now ~= -1 and until_now < tonumber(ends(due)) then
    redis.call('PEXPIREAT', index, ends(due + SPARE))
  end
end

local function trim(index)
  local oldest = redis.call('ZRANGE', index, 0, 1, 'WITHSCORES')
  for n = 1, #oldest, 2 do
    local key = string.sub(oldest[n], 9)
    if tonumber(oldest[n + 1]) + GRACE < now and redis.call('EXISTS', index .. '/' .. key) == 0 then
      redis.call('ZREM', index, oldest[n])
    end
  end
end

for n = 2, #KEYS, 2 do
  local record, index, at = KEYS[n], KEYS[n + 1], n * 2.5 - 4
  local step, text, stored, value = ARGV[at], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local key, mark = string.sub(record, #index + 2), marks[record]
  local due = tonumber(text)
  if step == 'put' then
    if not numbered then
      redis.call('SET', KEYS[1], string.format('%.0f', version))
      numbered = true
    end
    if due > NEVER then
      redis.call('SET', record, new .. stored .. value)
    else
      redis.call('SET', record, new .. stored .. value, 'PXAT', ends(due))
    end
    if mark ~= '' then
      redis.call('ZREM', index, mark .. key)
    end
    enter(index, due, text, new .. key)
    trim(index)
    marks[record] = new
  elseif mark ~= '' and step == 'delete' then
    redis.call('DEL', record)
    redis.call('ZREM', index, mark .. key)
    marks[record] = ''
  elseif mark ~= '' then
    redis.call('SETRANGE', record, 8, stored)
    if due > NEVER then
      redis.call('PERSIST', record)
    else
      redis.call('PEXPIREAT', record, ends(due))
    end
    enter(index, due, text, mark .. key)
  end
end
return string.format('%.0f', version)
"""
APPLY = f"#!lua{TAKE}"
"""KEYS: the last version's, then for each step its record's and its index's.

ARGV, five for each step: `put`, `delete` or `postpone`; the version expected as eight bytes, none
for any; the due time as text and as eight bytes; the value.
"""

APPLY_FULL = f"#!lua flags=allow-oom{TAKE}"
"""The same for steps that need no memory, which must be taken when there is none."""

DUE = """#!lua flags=allow-oom
local limit, offset, found = tonumber(ARGV[2]), 0, {}
local gone = {}
while #found < 2 * limit do
  local left = limit - #found / 2
  local members = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', offset, left)
  if #members == 0 then
    break
  end
  for _, member in ipairs(members) do
    local key = string.sub(member, 9)
    local record = redis.call('GET', KEYS[1] .. '/' .. key)
    if record then
      found[#found + 1] = key
      found[#found + 1] = record
    else
      gone[#gone + 1] = member
    end
  end
  offset = offset + #members
end
for _, member in ipairs(gone) do
  redis.call('ZREM', KEYS[1], member)
end
return found
"""
"""KEYS: an index. ARGV: a time, and how many at most.

The keys and records that are due, one after the other, the longest overdue first.
"""

VERSIONS = """#!lua flags=no-writes
local found = {}
for n, key in ipairs(KEYS) do
  found[n] = redis.call('GETRANGE', key, 0, 7)
end
return found
"""
"""KEYS: records. The version of each, empty if there is none."""
