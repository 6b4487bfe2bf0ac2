//! The limits and built-in defaults of every value, in one place: the reader, the schema and the documentation all
//! take them from here, or are tested against it.

use std::ops::RangeInclusive;

use super::resolved::{MAX_SHARDS, Millis};

/// The longest text of a configuration, and the longest rendering of one with its defaults filled in, in bytes.
/// One row of a Durable Object holds 2 MB, so a version and the one before fit with room to spare.
pub const MAX_CONFIG_BYTES: usize = 256 * 1024;
/// The most pools.
pub const MAX_POOLS: usize = 256;
/// The most routes.
pub const MAX_ROUTES: usize = 1024;

/// Limits of `warm_target`.
pub const WARM_TARGET: RangeInclusive<u64> = 0..=10_000;
/// Limits of `shards`.
pub const SHARDS: RangeInclusive<u64> = 1..=MAX_SHARDS as u64;
/// Limits of `max_instances`.
pub const MAX_INSTANCES: RangeInclusive<u64> = 1..=100_000;
/// Limits of `max_concurrent_starts`.
pub const MAX_CONCURRENT_STARTS: RangeInclusive<u64> = 1..=64;
/// Limits of `instance_type.vcpu`, in millionths.
pub const MICRO_VCPUS: RangeInclusive<u64> = 10_000..=128_000_000;
/// Limits of `instance_type.memory_mib`.
pub const MEMORY_MIB: RangeInclusive<u64> = 64..=1_048_576;
/// Limits of `instance_type.disk_mb`.
pub const DISK_MB: RangeInclusive<u64> = 100..=10_000_000;
/// Limits of a price, in whole US dollars.
pub const PRICE: RangeInclusive<u64> = 0..=1;
/// Limits of a port.
pub const PORT: RangeInclusive<u64> = 1..=65_535;
/// Limits of `setup.expect`. A status below 200 is never the last one.
pub const EXPECT: RangeInclusive<u64> = 200..=599;
/// Limits of `id.segment`.
pub const SEGMENT: RangeInclusive<u64> = 0..=31;

/// Limits of `refresh_interval`, in ms: 500 ms to 1 h.
pub const REFRESH_INTERVAL: RangeInclusive<u64> = 500..=HOUR;
/// Limits of `sleep_after`, in ms: 1 s to 24 h.
pub const SLEEP_AFTER: RangeInclusive<u64> = SECOND..=24 * HOUR;
/// Limits of `acquire_timeout`, in ms: 100 ms to 10 min.
pub const ACQUIRE_TIMEOUT: RangeInclusive<u64> = 100..=10 * MINUTE;
/// Limits of `lease_ttl`, in ms: 1 s to 1 h.
pub const LEASE_TTL: RangeInclusive<u64> = SECOND..=HOUR;
/// Limits of `unreachable_timeout`, in ms: 1 s to 1 h.
pub const UNREACHABLE_TIMEOUT: RangeInclusive<u64> = SECOND..=HOUR;
/// Limits of `drain_timeout`, in ms: 100 ms to 15 min, which is what the platform itself allows after SIGTERM.
pub const DRAIN_TIMEOUT: RangeInclusive<u64> = 100..=15 * MINUTE;
/// Limits of `ready.timeout`, in ms: 100 ms to 10 min.
pub const READY_TIMEOUT: RangeInclusive<u64> = 100..=10 * MINUTE;
/// Limits of `setup.timeout`, in ms: 100 ms to 10 min.
pub const SETUP_TIMEOUT: RangeInclusive<u64> = 100..=10 * MINUTE;

/// How many ports a container may be asked to answer on.
pub const PORTS: RangeInclusive<usize> = 1..=16;
/// How many environment variables.
pub const MAX_ENV: usize = 128;
/// The longest name of an environment variable, in bytes.
pub const MAX_ENV_NAME: usize = 256;
/// The longest value of an environment variable, in bytes.
pub const MAX_ENV_VALUE: usize = 32 * 1024;
/// How many labels.
pub const MAX_LABELS: usize = 32;
/// The longest name or value of a label, in bytes.
pub const MAX_LABEL: usize = 256;
/// How many words an entry point has.
pub const ENTRYPOINT: RangeInclusive<usize> = 1..=64;
/// The longest word of an entry point, in bytes.
pub const MAX_ENTRYPOINT_WORD: usize = 4096;
/// The longest path of a route, probe or setup request, in bytes.
pub const MAX_PATH: usize = 1024;
/// The longest host name, in bytes.
pub const MAX_HOST: usize = 253;
/// The longest name of a header, cookie or query parameter, in bytes.
pub const MAX_ID_NAME: usize = 128;
/// The longest session id, in bytes.
pub const MAX_SESSION_ID: usize = 256;

/// What holds where neither the pool nor `[defaults]` says anything.
pub mod built_in {
    use super::Millis;

    /// `warm_target`.
    pub const WARM_TARGET: u32 = 5;
    /// `refresh_interval`.
    pub const REFRESH_INTERVAL: Millis = Millis::from_secs(10);
    /// `sleep_after`.
    pub const SLEEP_AFTER: Millis = Millis::from_secs(5 * 60);
    /// `acquire_timeout`.
    pub const ACQUIRE_TIMEOUT: Millis = Millis::from_secs(30);
    /// `max_concurrent_starts`.
    pub const MAX_CONCURRENT_STARTS: u32 = 32;
    /// `lease_ttl`.
    pub const LEASE_TTL: Millis = Millis::from_secs(60);
    /// `unreachable_timeout`.
    pub const UNREACHABLE_TIMEOUT: Millis = Millis::from_secs(60);
    /// `drain_timeout`.
    pub const DRAIN_TIMEOUT: Millis = Millis::from_secs(15);
    /// `start.port`.
    pub const PORT: u16 = 8080;
    /// `start.ready.timeout`.
    pub const READY_TIMEOUT: Millis = Millis::from_secs(20);
    /// `start.setup.method`.
    pub const SETUP_METHOD: &str = "POST";
    /// `start.setup.expect`.
    pub const SETUP_EXPECT: u16 = 200;
    /// `start.setup.timeout`.
    pub const SETUP_TIMEOUT: Millis = Millis::from_secs(30);
}

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
