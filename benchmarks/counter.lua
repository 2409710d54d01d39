-- Each connection counts in a session of its own: the first answer's id goes into every later call.
-- Threads of wrk share nothing, so there is one.
local ids, turn = {}, 0

function init(args)
  method = args[1]
  path = method == "POST" and "/api/increment" or "/api/count"
end

function request()
  turn = turn + 1
  if #ids < 32 then
    return wrk.format("POST", "/api/increment")
  end
  return wrk.format(method, path, { ["X-Session-ID"] = ids[turn % 32 + 1] })
end

function response(status, headers)
  local id = headers["X-Session-ID"]
  if id and #ids < 32 then
    ids[#ids + 1] = id
  end
end
