-- A steady load: one request in ten takes PHP one to two seconds, the others none; a wrong answer is counted.

local threads = {}

function setup(thread)
  table.insert(threads, thread)
  thread:set("number", #threads)
end

function init()
  math.randomseed(number)
  slow = 0
  wrong = 0
end

function request()
  if math.random(10) == 1 then
    slow = slow + 1
    return wrk.format("GET", "/slow?ms=" .. math.random(1000, 2000))
  end
  return wrk.format("GET", "/health")
end

function delay()
  return math.random(0, 60)
end

function response(status, _, body)
  if status ~= 200 or body ~= "ok" then
    wrong = wrong + 1
  end
end

function done(summary)
  local all_slow, all_wrong = 0, 0
  for _, thread in ipairs(threads) do
    all_slow = all_slow + thread:get("slow")
    all_wrong = all_wrong + thread:get("wrong")
  end
  local errors = summary.errors
  print(string.format(
    '{"requests": %d, "slow": %d, "wrong": %d, "connect": %d, "read": %d, "write": %d, "timeout": %d}',
    summary.requests, all_slow, all_wrong, errors.connect, errors.read, errors.write, errors.timeout
  ))
end
