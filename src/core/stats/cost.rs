//! What containers cost, as far as it can be known here: memory and disk of every container for as long as it is on the books. CPU
//! is billed by use, which nobody here can see.

use serde::{Deserialize, Serialize};

use super::Counts;
use super::counters::ByState;
use crate::config::resolved::{InstanceType, Prices};

/// What a pool costs, without CPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Cost {
    /// Of the amounts: `USD`.
    pub currency: String,
    /// What is reckoned with: the name of the instance type, or `custom`.
    pub instance_type: String,
    /// What the containers that there are now cost in an hour.
    pub per_hour: f64,
    /// What those of them cost that serve no id.
    pub idle_per_hour: f64,
    /// What all containers have cost, by the present instance type and prices.
    pub so_far: f64,
    /// What containers have cost while they served no id.
    pub idle_so_far: f64,
}

impl Cost {
    pub(super) fn of(
        instance_type: InstanceType,
        prices: &Prices,
        counts: &Counts,
        container_millis: &ByState<u64>,
    ) -> Self {
        let second = prices.of_second(instance_type);
        let Counts { starting, warm, assigned, draining, moving, total: _ } = *counts;
        let idle = f64::from(starting) + f64::from(warm) + f64::from(draining) + f64::from(moving);
        let spent = container_millis;
        let idle_millis = (spent.starting + spent.warm + spent.draining + spent.moving) as f64;
        let all_millis = idle_millis + spent.assigned as f64;
        Self {
            currency: "USD".to_owned(),
            instance_type: instance_type.name().to_owned(),
            per_hour: (idle + f64::from(assigned)) * second * 3_600.0,
            idle_per_hour: idle * second * 3_600.0,
            so_far: all_millis / 1_000.0 * second,
            idle_so_far: idle_millis / 1_000.0 * second,
        }
    }
}
