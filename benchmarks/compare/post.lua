-- Counts in a session of its own, over a connection of its own: a thread of wrk each. Arguments are
-- the path, and a body in which SESSION stands for what tells the sessions apart.
local session, cookie

function init(args)
  path = args[1]
  body = args[2]
  if body then
    math.randomseed(os.time() + tonumber(tostring({}):match("0x(%x+)"), 16) % 1000000)
    body = body:gsub("SESSION", tostring(math.random(1, 1000000000)))
  end
end

function request()
  return wrk.format("POST", path, {
    ["X-Session-ID"] = session,
    ["X-Requested-With"] = "bench",
    ["Cookie"] = cookie,
    ["Content-Type"] = body and "application/json",
  }, body)
end

function response(status, headers)
  session = headers["X-Session-ID"] or session
  local set = headers["Set-Cookie"]
  if set then
    cookie = set:match("^[^;]+")
  end
end
