-- One-seat orders over a house of 50,000: every request is another member's, for a seat that nobody asked for yet.
-- Environment: TOKENS (a file with one token a line), PERFORMANCE (its id); seats are S-<row 0..99>-<1..500>.
local tokens = {}
for line in io.lines(os.getenv("TOKENS")) do tokens[#tokens + 1] = "Bearer " .. line end
local path = "/v1/performances/" .. os.getenv("PERFORMANCE") .. "/orders"
local n = 0

function request()
  -- A step that shares no factor with 50,000 visits every seat once before any is asked for twice.
  local seat = (n * 7919) % 50000
  n = n + 1
  local body = string.format('{"seats":["S-%d-%d"]}', math.floor(seat / 500), seat % 500 + 1)
  local headers = {
    ["Authorization"] = tokens[(n - 1) % #tokens + 1],
    ["Content-Type"] = "application/json",
    ["Idempotency-Key"] = "k" .. n,
  }
  return wrk.format("POST", path, headers, body)
end
