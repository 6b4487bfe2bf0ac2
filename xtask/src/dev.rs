//! `cargo xtask dev`: the Worker of wrangler.jsonc, or of another configuration, on local workerd.
//!
//! The serving is `xtask/harness/serve.mjs`, which the tests use too.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::setup::Tools;
use crate::workspace::Workspace;
use crate::{bindings, engine, images, process, worker};

#[derive(Args)]
pub struct Arguments {
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 8787)]
    port: u16,
    /// What stands behind the container classes
    #[arg(long, value_enum, default_value_t = Containers::Auto)]
    containers: Containers,
    /// Begin with empty storage
    #[arg(long)]
    fresh: bool,
    /// Where storage is kept [default: .wrangler/dev, for another Worker .wrangler and the name of its folder]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Serve another Worker, such as example/typescript/wrangler.jsonc, which gets the npm package as it is built here
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Containers {
    /// Docker when an engine answers, else emulated
    Auto,
    /// Real containers
    Docker,
    /// A stand-in inside the container's Durable Object
    Emulated,
}

impl Containers {
    const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Docker => "docker",
            Self::Emulated => "emulated",
        }
    }
}

/// Builds and serves, until a signal.
///
/// # Errors
///
/// When the configuration and `wrangler.jsonc` do not agree, or something does not build.
pub fn run(workspace: &Workspace, tools: &Tools, arguments: &Arguments) -> Result<ExitCode> {
    if arguments.config.is_none() {
        bindings::check(workspace)?;
        bindings::check_variable(workspace)?;
    }
    let real = match arguments.containers {
        Containers::Docker => true,
        Containers::Emulated => false,
        Containers::Auto => engine::answering().is_ok(),
    };
    if real {
        images::build_programs(workspace)?;
    }
    worker::build(workspace, tools)?;

    eprintln!("serve: starting workerd");
    let mut serve = Command::new(&tools.node);
    serve.arg(workspace.root().join("xtask/harness/serve.mjs")).args([
        "--port",
        &arguments.port.to_string(),
        "--containers",
        arguments.containers.name(),
    ]);
    if arguments.fresh {
        serve.arg("--fresh");
    }
    let folder = arguments.config.as_deref().and_then(Path::parent).and_then(Path::file_name);
    let own_state = folder.map(|folder| workspace.root().join(".wrangler").join(folder));
    if let Some(state) = arguments.state.as_ref().or(own_state.as_ref()) {
        serve.arg("--state").arg(state);
    }
    if let Some(config) = &arguments.config {
        serve.arg("--config").arg(config);
    }
    let status = process::foreground(&mut serve)?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
