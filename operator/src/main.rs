//! The operator's binary: reads its command line, nothing more.

use std::process::ExitCode;

use ottla_operator::cli;

fn main() -> ExitCode {
    cli::main()
}
