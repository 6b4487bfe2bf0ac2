//! Pools that are configured by code: what their shards are told, and when.
//!
//! [`Telling`](crate::core::gateway::Telling) decides; here is what it takes to carry that out.

use crate::edge::join::join_all;

use super::error::Error;
use super::isolate;
use super::pool::Pool;
use crate::config::resolved::{self, Millis};
use crate::core::id::ShardIndex;
use crate::core::plan::{CodeVersion, Fingerprint, Plan};
use crate::core::stats::Answers;
use crate::edge::background;
use crate::wire::shard::{ClassPlan, ClassReply};

/// The settings that the code of the Worker gives a pool.
pub(crate) struct ByCode {
    pub settings: resolved::Pool,
    pub version: CodeVersion,
    /// What tells the container class where its binding is not known for certain.
    pub class: Option<Class>,
}

/// A container class, told by what its namespace makes of a name: see [`class`](crate::edge::class).
#[derive(Clone, Debug)]
pub(crate) struct Class {
    /// What it makes of it.
    pub id: String,
    /// Whether the settings name the binding.
    pub named: bool,
}

impl ByCode {
    /// Of code whose deploy was made at `stamp`.
    pub fn new(stamp: u64, settings: resolved::Pool, class: Option<Class>) -> Self {
        let text = serde_json::json!([settings, class.as_ref().map(|class| &class.id)]).to_string();
        let version = CodeVersion { stamp, fingerprint: Fingerprint::of(&text) };
        Self { settings, version, class }
    }

    fn plan(&self, index: ShardIndex) -> Plan {
        Plan::by_code(self.version.clone(), self.settings.clone(), index)
    }
}

impl Pool {
    /// What a shard is asked of the settings that code gives this pool; nothing when it is known to heed them.
    pub(super) fn question_of_code(&self, shard: ShardIndex) -> Option<CodeVersion> {
        let version = &self.by_code.as_ref()?.version;
        (!isolate::is_heeding(&self.env, &self.name, version, shard)).then(|| version.clone())
    }

    /// A shard has answered, and so heeds the settings.
    pub(super) fn heeded(&self, shard: ShardIndex, asked: Option<&CodeVersion>) {
        if let Some(version) = asked {
            isolate::heeds(&self.env, &self.name, version, shard);
        }
    }

    /// Tells a shard the settings that code gives this pool.
    pub(super) async fn tell(&self, code: &ByCode, shard: ShardIndex) -> Result<(), Error> {
        let (client, plan) = (self.shard(shard).within(PLAN_DEADLINE), code.plan(shard));
        match &code.class {
            None => drop(client.configure(&plan).await.map_err(|error| self.failed(error))?),
            Some(Class { id, named }) => {
                let plan = ClassPlan { plan, class: id.clone(), named: *named };
                let reply = client.configure_class(&plan).await.map_err(|error| self.failed(error))?;
                if let ClassReply::Mistake(message) = reply {
                    return Err(Error::Class { pool: self.name.clone(), message });
                }
            }
        }
        isolate::heeds(&self.env, &self.name, &code.version, shard);
        Ok(())
    }

    /// One shard did not heed the settings: tells the others, in the background.
    pub(super) fn tell_others(&self) {
        let Some(code) = &self.by_code else { return };
        if !isolate::begin_telling(&self.env, &self.name, &code.version) {
            return;
        }
        let (pool, code) = (self.clone(), code.clone());
        background::run(async move {
            let plan = pool.plan_in_force().await;
            let untold = pool.all_shards(plan.as_ref()).filter(|&shard| pool.question_of_code(shard).is_some());
            let tells = untold.map(|shard| {
                let (pool, code) = (&pool, &code);
                async move { pool.tell(code, shard).await }
            });
            for error in join_all(tells).await.into_iter().filter_map(Result::err) {
                // It says so itself when it is asked for a container.
                tracing::warn!(pool = %pool.name, %error, "a shard could not be told its settings");
            }
            isolate::end_telling(&pool.env, &pool.name, &code.version);
        });
    }

    /// The shards of a pool configured by code in numbers, and the plan in force. One that has no settings yet is told; others are
    /// left as they are, for looking changes nothing.
    pub(super) async fn stats_by_code(&self, code: &ByCode) -> Result<(Answers, Option<Plan>), Error> {
        let ask_once = async |index| self.shard(index).stats().await.map_err(|error| self.failed(error));
        let ask = async |index| {
            let stats = ask_once(index).await?;
            if !stats.lacks(&code.version) {
                return Ok(stats);
            }
            self.tell(code, index).await?;
            ask_once(index).await
        };
        // Told first, for its plan says how many there are.
        let mut answers = vec![(ShardIndex(0), ask(ShardIndex(0)).await)];
        let plan = self.plan_in_force().await;
        let others = self.all_shards(plan.as_ref()).skip(1).map(|index| {
            let ask = &ask;
            async move { (index, ask(index).await) }
        });
        answers.extend(join_all(others).await);
        let mut all = Answers::default();
        for (index, stats) in answers {
            match stats {
                Ok(stats) => all.answered.push(stats),
                Err(mistake @ Error::Class { .. }) => return Err(mistake),
                // It was logged. Nobody here remembers what it has counted.
                Err(_) => {
                    all.missing.push(index);
                    all.forgotten = true;
                }
            }
        }
        Ok((all, plan))
    }

    /// The plan in force, as far as the first shard knows it. By code alone the shard count that a pool had first stays, so that the
    /// caller's code may have another.
    pub(super) async fn plan_in_force(&self) -> Option<Plan> {
        self.shard(ShardIndex(0)).plan().await.ok().flatten()
    }

    /// Tells every shard that has no settings yet those that code gives this pool, so that it fills its stock.
    pub(crate) async fn tell_all(&self) {
        let Some(code) = &self.by_code else { return };
        if let Err(error) = self.stats_by_code(code).await {
            tracing::warn!(pool = %self.name, %error, "the shards of a pool could not be told its settings");
        }
    }

    /// Tells a shard that was asked for a container and does not heed the settings.
    pub(super) async fn tell_first(&self, code: &ByCode, shard: ShardIndex) -> Result<(), Error> {
        self.tell(code, shard).await?;
        self.tell_others();
        Ok(())
    }
}

/// How long a shard may take to be told, while a request waits.
const PLAN_DEADLINE: Millis = Millis::from_secs(15);
