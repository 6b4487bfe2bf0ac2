//! The simulator: a whole deployment in virtual time, under faults, watched by an oracle.
//!
//! `cargo test --test sim` runs its tests; `cargo test --test sim -- campaign --help` tells of campaigns, for which there is
//! `cargo xtask sim`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::unreachable)]

mod campaign;
mod dice;
mod faults;
mod objects;
mod oracle;
mod peer;
mod scenarios;
mod schedule;
mod simulation;
mod trace;
mod world;

use std::env;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    if arguments.next().as_deref() == Some("campaign") {
        return campaign::run(arguments);
    }
    let mut trials = campaign::trials();
    trials.extend(scenarios::trials());
    trials.extend(objects::agent::tests::trials());
    trials.extend(objects::class::tests::trials());
    trials.extend(objects::router::tests::trials());
    trials.extend(peer::tests::trials().map(|(name, test)| {
        Trial::test(format!("peer::{name}"), move || {
            test();
            Ok(())
        })
    }));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
