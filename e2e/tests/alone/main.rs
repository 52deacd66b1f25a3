//! Tests that need the live cluster for themselves: they stop the shared operator, change a schema under everybody, or watch
//! that nobody writes anything. Those that only kill the operator run beside each other (`operator::mortal`), any other is
//! alone (`operator::alone`).

mod api;
mod faults;
mod install;
mod kills;
mod killsweep;
mod leaders;
mod own;
mod quiet;
mod soak;
mod stripped;
