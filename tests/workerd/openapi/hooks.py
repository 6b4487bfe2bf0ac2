"""Keeps the pool that the other operations run on as the test has set it up, whatever configuration is put."""

import schemathesis
from schemathesis import GenerationMode

POOL = "counter"
START = {"env": {"BOOT_MS": "50"}, "ready": {"path": "/healthz", "timeout": "10s"}}
WITH_POOL = {"container": "COUNTER", "warm_target": 2, "refresh_interval": "1s", "sleep_after": "5s", "start": START}
# Nothing is wrong with ten thousand containers, or 256 shards, but that they are too many for one process.
MOST = {"warm_target": 2, "shards": 3, "max_instances": 3}


@schemathesis.hook
def before_call(context, case, kwargs):
    is_put = case.operation.label == "PUT /_warm/v1/config"
    # A wrong one stays wrong, and changes nothing.
    if not is_put or case.meta is None or case.meta.generation.mode != GenerationMode.POSITIVE:
        return
    if not isinstance(case.body, dict) or not isinstance(case.body.get("pools"), dict):
        return
    pools = {name: bounded(pool) for name, pool in case.body["pools"].items()}
    # Without defaults, for these would be those of this pool too.
    body = {key: value for key, value in case.body.items() if key != "defaults"}
    case.body = {**body, "pools": {**pools, POOL: WITH_POOL}}


def bounded(pool):
    is_more = lambda key, value: key in MOST and isinstance(value, int) and value > MOST[key]
    return {key: MOST[key] if is_more(key, value) else value for key, value in pool.items()}
