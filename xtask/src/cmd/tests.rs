//! Commands that succeed, fail, hang and read.

use super::*;

fn sh(script: &str) -> Cmd {
    Cmd::new("sh").args(["-c", script])
}

#[test]
fn output_is_trimmed_and_input_is_fed() {
    assert_eq!(Cmd::new("cat").stdin("hello\n").output().unwrap(), "hello");
}

#[test]
fn a_failure_shows_the_tail_of_standard_error() {
    let error = sh("for i in $(seq 100); do echo line $i >&2; done; exit 3")
        .run()
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("line 100") && !error.contains("line 75\n"),
        "{error}"
    );
}

#[test]
fn a_deadline_ends_the_command_and_its_children() {
    let started = Instant::now();
    let error = sh("echo begun; sleep 60 & wait")
        .deadline(Duration::from_millis(200))
        .run()
        .unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(10));
    assert!(error.to_string().contains("did not end within 0.2 s"), "{error}");
    assert!(error.to_string().contains("begun"), "{error}");
}

#[test]
fn finish_reports_an_exit_code_as_data() {
    assert!(!sh("exit 1").finish().unwrap().success);
    assert!(Cmd::new("no-such-program-anywhere").finish().is_err());
}
