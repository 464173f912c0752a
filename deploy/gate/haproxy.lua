-- Asks Admit One about a request, and puts its answer into txn.admitone_status, txn.admitone_to and txn.admitone_cookie.

local function first(headers, name)
  local values = headers and headers[name]
  return values and values[0] or nil
end

core.register_action("admitone", { "http-req" }, function(txn, check)
  local headers = txn.http:req_get_headers()
  local scheme = txn.f:ssl_fc() == 1 and "https" or "http"
  local sent = {
    ["x-original-url"] = { scheme .. "://" .. (first(headers, "host") or "") .. txn.f:pathq() },
    ["x-original-method"] = { txn.f:method() },
    ["x-forwarded-for"] = { txn.f:src() },
    ["user-agent"] = { first(headers, "user-agent") or "" },
    ["accept"] = { first(headers, "accept") or "" },
    ["cookie"] = { first(headers, "cookie") or "" },
    ["referer"] = { first(headers, "referer") or "" },
  }
  local answer = core.httpclient():get({ url = check, headers = sent, timeout = 3000 })
  local status = answer and answer.status or 0
  txn:set_var("txn.admitone_status", (status == 200 or status == 401) and status or 0)
  local to, cookie = answer and first(answer.headers, "location"), answer and first(answer.headers, "set-cookie")
  if to then
    txn:set_var("txn.admitone_to", to)
  end
  if cookie then
    txn:set_var("txn.admitone_cookie", cookie)
  end
end, 1)
