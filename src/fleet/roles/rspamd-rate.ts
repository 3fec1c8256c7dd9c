/** What an account may send in a short time. rspamd's own module keeps that in a database; this keeps it in memory. */
export interface RateOptions {
  /** Recipients that an account may send to at once. */
  burst: number;
  /** And then so many more in an hour. */
  perHour: number;
  /** A message that is refused as spam counts as so many recipients. */
  refusedCosts: number;
}

/** Accounts that are remembered before those that have sent nothing lately are forgotten. */
const maxRemembered = 10_000;

/**
 * rspamd.local.lua: a leaky bucket for each account, in the memory of the one process that judges. When that starts anew, all are
 * empty again. Who sends too much is told to try again later; what is refused as spam fills the bucket, so that a stolen key is
 * not good for trying words out.
 */
export function rspamdRate({ burst, perHour, refusedCosts }: RateOptions): string {
  return `local rspamd_util = require "rspamd_util"

local burst, per_second, refused_costs = ${burst}, ${perHour} / 3600, ${refusedCosts}
local buckets, remembered = {}, 0

local function level_of(user, now)
  local bucket = buckets[user]
  if not bucket then return 0 end
  return math.max(0, bucket.level - (now - bucket.time) * per_second)
end

local function forget_empty(now)
  for user in pairs(buckets) do
    if level_of(user, now) == 0 then
      buckets[user] = nil
      remembered = remembered - 1
    end
  end
end

local function fill(user, amount, now)
  if not buckets[user] then
    if remembered >= ${maxRemembered} then forget_empty(now) end
    remembered = remembered + 1
  end
  buckets[user] = { level = level_of(user, now) + amount, time = now }
end

rspamd_config:register_symbol({
  name = "ACCOUNT_RATE",
  type = "prefilter",
  priority = 10,
  callback = function(task)
    local user = task:get_user()
    if not user then return end
    local now = rspamd_util.get_time()
    local count = #(task:get_recipients("smtp") or {})
    local over = level_of(user, now) + count - burst
    if over > 0 then
      local minutes = math.ceil(over / per_second / 60)
      task:set_pre_result("soft reject", string.format("too much mail from this account in a short time: wait %d minutes", minutes))
    else
      fill(user, count, now)
    end
  end,
})

rspamd_config:register_symbol({
  name = "ACCOUNT_REFUSED",
  type = "idempotent",
  callback = function(task)
    local user = task:get_user()
    if user and task:get_metric_action() == "reject" then fill(user, refused_costs, rspamd_util.get_time()) end
  end,
})
`;
}
