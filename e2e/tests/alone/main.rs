//! Tests that need the live cluster for themselves, one after another: they stop the shared operator, change a schema under
//! everybody, or watch that nobody writes anything.

mod faults;
mod install;
mod kills;
mod killsweep;
mod leaders;
mod quiescing;
mod quiet;
mod soak;
mod stripped;
