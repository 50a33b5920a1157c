-- A hot coupon: every request is another member's, each with a token of its own.
-- Environment: TOKENS (a file with one token a line), COUPON (its id).
local tokens = {}
for line in io.lines(os.getenv("TOKENS")) do tokens[#tokens + 1] = "Bearer " .. line end
local path = "/v1/coupons/" .. os.getenv("COUPON") .. "/issue"
local next_token = 0

function request()
  next_token = next_token + 1
  if next_token > #tokens then
    io.stderr:write("out of tokens: make more of them\n")
    os.exit(1)
  end
  return wrk.format("POST", path, { ["Authorization"] = tokens[next_token], ["Content-Type"] = "application/json" }, "{}")
end
