//! `cargo xtask bench`: our library, `cf-container-warm-pool` and Workers that do the least, side by side in one run.
//!
//! `xtask/bench/main.mjs` measures, on one workerd, and `xtask/bench/agent.mjs` on real containers; here is what the numbers mean.
//! What counts are ratios, pair by pair: machines are shared, and how long anything takes says little. For the same reason no
//! ratio fails the command, whatever it is.

mod agent;
mod chart;
mod ratios;
mod samples;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::de::DeserializeOwned;
use serde_json::json;

use self::agent::Agent;
use self::ratios::{Limit, Ratio};
use self::samples::{Measured, Question, Summary};
use crate::engine::{self, Engine};
use crate::process;
use crate::setup::Tools;
use crate::workspace::Workspace;
use crate::{images, worker};

#[derive(Args)]
pub struct Arguments {
    /// Write all that was measured to a file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Fewer rounds: some minutes less, and numbers that tell less
    #[arg(long)]
    quick: bool,
    /// Write a chart for each question into a folder
    #[arg(long, value_name = "DIR")]
    charts: Option<PathBuf>,
    /// As root, install and start a Docker engine for the real containers when none answers
    #[arg(long)]
    start_docker: bool,
}

/// Builds, measures, and prints the ratios.
///
/// # Errors
///
/// When something does not build or could not be measured.
pub fn run(workspace: &Workspace, tools: &Tools, arguments: &Arguments) -> Result<ExitCode> {
    worker::build(workspace, tools)?;
    let measured: Measured = measure(workspace, tools, "main.mjs", arguments, None)?;
    let agent = measure_agent(workspace, tools, arguments)?;
    let ratios = ratios::of(&measured, &agent)?;
    let mut series = measured.questions.clone();
    series.extend(agent_question(&agent).map(|question| ("agent".to_owned(), question)));
    let questions = asked(&series);
    print_questions(&questions)?;
    print_ratios(&ratios);
    if let Some(file) = &arguments.json {
        let text = serde_json::to_string_pretty(&document(&measured, &agent, &ratios, &questions, arguments)?)?;
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    if let Some(folder) = &arguments.charts {
        draw(folder, &questions)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Real containers need an engine; without one that part is left out, and that is told.
fn measure_agent(workspace: &Workspace, tools: &Tools, arguments: &Arguments) -> Result<Agent> {
    let engine = match engine::answering() {
        Ok(_) => None,
        Err(_) if arguments.start_docker => Some(Engine::start(workspace)?),
        Err(error) => return Ok(Agent::Skipped { skipped: format!("no Docker engine answers ({error:#})") }),
    };
    images::build_programs(workspace)?;
    measure(workspace, tools, "agent.mjs", arguments, engine.as_ref().map(Engine::host).as_deref())
}

/// Runs a program that measures, and reads the line of JSON that it prints.
fn measure<T: DeserializeOwned>(
    workspace: &Workspace,
    tools: &Tools,
    program: &str,
    arguments: &Arguments,
    docker_host: Option<&str>,
) -> Result<T> {
    let mut node = Command::new(&tools.node);
    node.arg(workspace.root().join("xtask/bench").join(program)).current_dir(workspace.root());
    node.args(arguments.quick.then_some("--quick"));
    if let Some(host) = docker_host {
        node.env("DOCKER_HOST", host);
    }
    let printed = tempfile::NamedTempFile::new().context("cannot create a temporary file")?;
    node.stdout(printed.reopen().context("cannot write to a temporary file")?);
    let status = process::foreground(&mut node)?;
    if !status.success() {
        bail!("{program} could not measure ({status}); see above");
    }
    let text = fs::read_to_string(printed.path()).context("cannot read a temporary file")?;
    serde_json::from_str(text.trim()).with_context(|| format!("{program} did not print what was measured"))
}

/// A question as people read it.
struct Asked<'m> {
    name: &'m str,
    title: String,
    unit: &'static str,
    series: &'m Question,
}

/// What is asked and in which unit the answer is, by the names that `main.mjs` gives.
fn describe(name: &str) -> (String, &'static str) {
    if let Some((what, connections)) = name.strip_prefix("gateway_").and_then(|rest| rest.rsplit_once('_')) {
        let (what, unit) = match what {
            "throughput" => ("throughput", "requests a second"),
            "p50" => ("median latency", "ms"),
            _ => ("99th percentile of latency", "ms"),
        };
        return (format!("Gateway to known ids, {connections} connections: {what}"), unit);
    }
    let (title, unit) = match name {
        "lookup" => ("The container of an id that has one", "µs a call"),
        "assign" => ("First assignment from warm, by assignments in the pool", "µs an assignment"),
        "tick" => ("A refresh in which nothing has happened, by assignments in the pool", "ms of the processor"),
        "shards" => ("64 lookups at once, by shards", "µs a lookup"),
        "refill" => ("A drained pool of 20 is full again", "times that a start takes"),
        "bursts" => ("Ids that come at once to an empty pool", "times that a start takes"),
        "cold_start" => ("From the start of workerd to the first answer", "ms"),
        "agent" => ("From the start of a real container to the first byte", "ms"),
        other => (other, ""),
    };
    (title.to_owned(), unit)
}

/// The real containers are a question like the others.
fn agent_question(agent: &Agent) -> Option<Question> {
    let Agent::Measured(starts) = agent else { return None };
    let series = [
        ("agent", &starts.agent),
        ("container_class", &starts.container_class),
        ("agent_after_open", &starts.agent_after_open),
        ("container_class_after_open", &starts.container_class_after_open),
    ];
    Some(series.into_iter().map(|(name, samples)| (name.to_owned(), samples.clone())).collect())
}

fn asked(questions: &BTreeMap<String, Question>) -> Vec<Asked<'_>> {
    let asked = questions.iter().map(|(name, series)| {
        let (title, unit) = describe(name);
        Asked { name, title, unit, series }
    });
    asked.collect()
}

fn print_questions(questions: &[Asked<'_>]) -> Result<()> {
    for Asked { title, unit, series, .. } in questions {
        println!("\n{title} ({unit})");
        for (name, samples) in *series {
            let Summary { median, low, high } = samples.summary()?;
            println!("  {name:28} {median:>10.2}   half from {low:.2} to {high:.2}");
        }
    }
    Ok(())
}

fn print_ratios(ratios: &[Ratio]) {
    println!("\nRatios, of pairs in this run");
    for ratio in ratios {
        let value = ratio.value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
        let limit = match ratio.limit {
            Limit::AtMost(limit) => format!("<= {limit}"),
            Limit::AtLeast(limit) => format!(">= {limit}"),
            Limit::None => String::new(),
        };
        println!("  {:26} {value:>8} {limit:8} {:12} {}", ratio.name, ratio.verdict(), ratio.meaning);
    }
}

fn document(
    measured: &Measured,
    agent: &Agent,
    ratios: &[Ratio],
    questions: &[Asked<'_>],
    arguments: &Arguments,
) -> Result<serde_json::Value> {
    let summaries = questions.iter().map(|Asked { name, title, unit, series }| {
        let of_series = series.iter().map(|(name, samples)| {
            let summary = json!({ "summary": samples.summary()?, "samples": samples.values() });
            Ok((name.clone(), summary))
        });
        let of_series: serde_json::Map<String, serde_json::Value> = of_series.collect::<Result<_>>()?;
        Ok(((*name).to_owned(), json!({ "title": title, "unit": unit, "series": of_series })))
    });
    let summaries: serde_json::Map<String, serde_json::Value> = summaries.collect::<Result<_>>()?;
    let by_name = |value: &dyn Fn(&Ratio) -> serde_json::Value| -> serde_json::Map<String, serde_json::Value> {
        ratios.iter().map(|ratio| (ratio.name.to_owned(), value(ratio))).collect()
    };
    Ok(json!({
        "ratios": by_name(&|ratio| json!(ratio.value)),
        "limits": by_name(&|ratio| json!(ratio.limit)),
        "quick": arguments.quick,
        "questions": summaries,
        "facts": measured.facts,
        "containers": match agent {
            Agent::Skipped { skipped } => json!({ "skipped": skipped }),
            Agent::Measured(starts) => json!({ "engine": starts.engine }),
        },
    }))
}

fn draw(folder: &Path, questions: &[Asked<'_>]) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for Asked { name, title, unit, series } in questions {
        chart::draw(&folder.join(format!("{name}.svg")), title, unit, series)?;
    }
    Ok(())
}
