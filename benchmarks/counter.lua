-- Counts in a session of its own: the first answer's id goes into every later call. Threads of wrk
-- share nothing, so one thread a connection makes one session a connection.
local id

function init(args)
  method = args[1]
  path = method == "POST" and "/api/increment" or "/api/count"
end

function request()
  if not id then
    return wrk.format("POST", "/api/increment")
  end
  return wrk.format(method, path, { ["X-Session-ID"] = id })
end

function response(status, headers)
  id = id or headers["X-Session-ID"]
end
