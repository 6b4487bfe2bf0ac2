//! What shards cost, in numbers: runs in fair weather that are about one thing each, with what was measured, and what must
//! come out.
//!
//! `cargo xtask sim --scenarios` runs them all and prints their tables, `--scenario NAME` one; the tests run them too.

mod hot_shard;
mod keys;
mod outage;
mod stage;
mod warm_hits;

use std::process::ExitCode;

use libtest_mimic::Trial;

/// One of them.
#[derive(Clone, Copy)]
pub struct Scenario {
    pub name: &'static str,
    /// What it shows.
    pub about: &'static str,
    run: fn() -> Finding,
}

/// What came out.
pub struct Finding {
    /// What was measured, for people.
    pub table: String,
    /// What should have come out and did not.
    pub wrong: Vec<String>,
}

/// All of them.
pub const ALL: [Scenario; 4] = [
    Scenario {
        name: "warm-hits",
        about: "with an equal stock, shards that lend have as many warm hits as one shard",
        run: warm_hits::run,
    },
    Scenario { name: "hot-shard", about: "one busy shard gets what the pool may have", run: hot_shard::run },
    Scenario { name: "keys", about: "ids are spread evenly, and few move when a shard is added", run: keys::run },
    Scenario { name: "outage", about: "nobody notices that the coordinator is gone for ten minutes", run: outage::run },
];

/// Each as a test.
pub fn trials() -> Vec<Trial> {
    let trial = |scenario: Scenario| {
        Trial::test(format!("scenario::{}", scenario.name), move || {
            let Finding { table, wrong } = (scenario.run)();
            if wrong.is_empty() { Ok(()) } else { Err(format!("{}\n{table}", wrong.join("\n")).into()) }
        })
    };
    ALL.into_iter().map(trial).collect()
}

/// Runs those of these names, or all, and prints what came out.
pub fn print(names: &[String]) -> ExitCode {
    if let Some(unknown) = names.iter().find(|name| ALL.iter().all(|scenario| scenario.name != *name)) {
        let known: Vec<&str> = ALL.iter().map(|scenario| scenario.name).collect();
        eprintln!("no scenario is called `{unknown}`; there are: {}", known.join(", "));
        return ExitCode::FAILURE;
    }
    let chosen = |scenario: &&Scenario| names.is_empty() || names.iter().any(|name| name == scenario.name);
    let (mut count, mut failed) = (0, 0);
    for scenario in ALL.iter().filter(chosen) {
        let Finding { table, wrong } = (scenario.run)();
        println!("{}: {}\n\n{table}", scenario.name, scenario.about);
        for what in &wrong {
            println!("WRONG: {what}");
        }
        println!();
        count += 1;
        failed += u32::from(!wrong.is_empty());
    }
    println!("scenarios={count} failed={failed}");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
