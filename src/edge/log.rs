//! What happens, one JSON object a line on the console. Ids of sessions never appear.

use std::fmt;
use std::sync::Once;

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit, display};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event as TracingEvent, Level, Metadata, Subscriber};

use crate::config::resolved::Millis;
use crate::core::id::ShardId;
use crate::core::journal::{Entry, Kind};
use crate::core::plan::PlanVersion;
use crate::core::shard::Event;

/// Sends what `tracing` hears to the console. Once per isolate; the first subscriber stays, whoever sets it.
pub fn init() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An application's own subscriber goes first.
        tracing::subscriber::set_global_default(Console).ok();
    });
}

/// Lines for something that happened in a shard.
pub fn shard_event(shard: &ShardId, event: &Event) {
    let (pool, shard) = (shard.pool.as_str(), shard.index.0);
    for entry in event.entries(Millis(0)) {
        told(pool, shard, entry);
    }
    match event {
        Event::Starting(container) => tracing::debug!(pool, shard, %container, "starting"),
        Event::Moving(container, to) => tracing::debug!(pool, shard, %container, to = to.0, "moving"),
        Event::Received(container, from) => tracing::debug!(pool, shard, %container, from = from.0, "received"),
        Event::Moved(container, to) => tracing::debug!(pool, shard, %container, to = to.0, "moved"),
        Event::Configured(plan) => {
            let (shards, from) = (plan.pool.shards.get(), plan.from.map(|from| from.get()));
            let PlanVersion { version, stamp } = plan.version;
            tracing::info!(pool, shard, version, stamp, shards, from, "configured");
        }
        // Told above.
        Event::Ready(_)
        | Event::StartFailed(..)
        | Event::Assigned(..)
        | Event::Draining(..)
        | Event::Gone(_)
        | Event::Lent(..)
        | Event::Borrowed(..)
        | Event::CeilingLearned(_)
        | Event::CeilingExpired
        | Event::BreakerOpened(_)
        | Event::BreakerClosed => {}
    }
}

/// A line for an event that the coordinator is told as well, in the same words.
fn told(pool: &str, shard: u32, entry: Entry) {
    let Entry { at: _, kind, container, epoch, session, outcome, reason, message: error, from, to, limit, version: _ } =
        entry;
    let (container, session) = (container.map(display), session.map(display));
    let (epoch, outcome) = (epoch.map(|epoch| epoch.0), outcome.map(|outcome| outcome.as_str()));
    let kind_word = kind.as_str();
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                pool,
                shard,
                container,
                epoch,
                session,
                outcome,
                reason,
                error,
                from,
                to,
                limit,
                "{kind_word}"
            )
        };
    }
    match kind {
        Kind::StartFailed | Kind::BreakerOpened | Kind::CeilingLearned => line!(warn),
        Kind::BreakerClosed | Kind::CeilingExpired => line!(info),
        Kind::Started
        | Kind::Assigned
        | Kind::Released
        | Kind::Borrowed
        | Kind::Lent
        | Kind::Drained
        | Kind::Gone
        | Kind::ConfigApplied
        | Kind::MigrationBegan
        | Kind::MigrationEnded => line!(debug),
    }
}

/// An error with its causes, outermost first.
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

struct Console;

impl Subscriber for Console {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &TracingEvent<'_>) {
        let level = *event.metadata().level();
        let mut fields = Fields(Map::new());
        fields.0.insert("level".to_owned(), json!(level.as_str().to_ascii_lowercase()));
        event.record(&mut fields);
        let line = Value::Object(fields.0).to_string();
        if level <= Level::WARN {
            worker::console_error!("{line}");
        } else {
            worker::console_log!("{line}");
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), json!(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), json!(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), json!(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), json!(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), json!(format!("{value:?}")));
    }
}
