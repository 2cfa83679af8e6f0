//! The bundled callcore server: one binary, SQLite, web pages.

mod agents;
mod carrier;
mod carrier_process;
mod clock;
mod config;
mod demo;
mod dialler;
mod http;
mod http_client;
mod log;
mod mail;
mod opt_out_journal;
mod serve;
mod signal;
mod twilio;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use callcore::runtime::{OsEntropy, SystemClock};
use clap::{CommandFactory, Parser};

use config::{Cli, Command, Config};

/// What the process exits with if its settings are wrong, as clap does.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let known = config::known_variables(&Cli::command());
    if let Err(error) = config::check_environment(names, &known) {
        return refuse(&error);
    }
    let log = match &cli.command {
        None => &cli.serve.log,
        Some(Command::SimCarrier(args)) => &args.log,
        Some(Command::Check(args)) => &args.log,
    };
    if let Err(error) = log::init(log) {
        return refuse(&error);
    }
    match cli.command {
        None => match Config::new(cli.serve) {
            Ok(config) => run(serve::run(config)),
            Err(error) => refuse(&error),
        },
        Some(Command::SimCarrier(args)) => run(carrier_process::run(args)),
        Some(Command::Check(args)) => {
            run(twilio::check(args, Arc::new(SystemClock), Arc::new(OsEntropy)))
        }
    }
}

fn refuse(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("callcore-server: {error}");
    ExitCode::from(EXIT_USAGE)
}

#[tokio::main]
async fn run(work: impl Future<Output = Result<(), Box<dyn Error + Send + Sync>>>) -> ExitCode {
    match work.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("callcore-server: {}", chain(&*error));
            ExitCode::FAILURE
        }
    }
}

/// An error with what caused it, on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
